"""lm-evaluation-harness beside our own tasks: its tasks under its own protocols, and its graders on our generations.

`prepare` checks names, permission, packages and data before a model is loaded; `run` evaluates and returns a record.
`crosscheck` grades responses that we graded once more. The package `lm_eval` is imported where it is used.
"""

from .crosscheck import GRADERS, crosscheck, crosscheck_markdown
from .library import version
from .names import SUITES
from .records import recorded_settings
from .running import Outcome, Prepared, Settings, check_names, prepare, run

__all__ = [
    "GRADERS",
    "SUITES",
    "Outcome",
    "Prepared",
    "Settings",
    "check_names",
    "crosscheck",
    "crosscheck_markdown",
    "prepare",
    "recorded_settings",
    "run",
    "version",
]
