"""The gate: may this checkpoint follow that one? Pure decisions over two evaluations; harness/gate.py reads and writes.

config: gate.yaml. metrics: scores of items. checks: comparable and complete. bounds: the test. decide: verdicts and the
exit code. simulate: the gate against itself. advice, report: what people and programs are told. alone: what
is asked of a first baseline.
"""

from .alone import alone
from .checks import Problem, check
from .config import Config, ConfigError, Limits, Metric, load, parse
from .decide import Extend, Report, Result, decide, unreadable, worst
from .simulate import LOSSES, WHOLE, Rates, simulate

__all__ = [
    "LOSSES",
    "WHOLE",
    "Config",
    "ConfigError",
    "Extend",
    "Limits",
    "Metric",
    "Problem",
    "Rates",
    "Report",
    "Result",
    "alone",
    "check",
    "decide",
    "load",
    "parse",
    "simulate",
    "unreadable",
    "worst",
]
