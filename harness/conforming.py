"""Whether a plug-in's algorithm computes what it should, asked while a run is planned: its author may not have asked.

Ours are not asked: tests hold them to it. What cannot train is refused. What trains and does not conform is said before
training, recorded with each cell and noted under the table; it may be meant.
"""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path

from algorithms import Algorithm, conformance
from algorithms.step import attributes

from .cores import one_thread
from .errors import UserError
from .plugins import MODULE
from .settings import Training
from .sources import is_ours

_KNOWN: dict[tuple[type[Algorithm], str], list[conformance.Finding]] = {}  # it takes a second for each


def failing(algorithm: Algorithm) -> dict[str, str] | None:
    """Check of `groupbench check` that does not hold -> what it found; None for ours, which are not asked."""
    if is_ours(algorithm):
        return None
    return {found.check: found.detail for found in _findings(algorithm) if found.verdict == "failed"}


def hold(algorithm: Algorithm, training: Training, label: str, where: str) -> list[str]:
    """Refuse a plug-in's algorithm that cannot train; return a note on what else does not conform.

    Raises UserError with the words of the check that says so.
    """
    if is_ours(algorithm):
        return []
    if obstacle := conformance.obstacle(_findings(algorithm), algorithm, training.responses_per_prompt):
        raise UserError(f"{where}: {obstacle}; more: {command(algorithm)}")
    names = ", ".join(failing(algorithm) or ())
    return [f"{label} does not conform: {names}; what was found: {command(algorithm)}"] if names else []


def command(algorithm: Algorithm) -> str:
    """What tells more about it: `groupbench check NAME --plugin FILE`, without a file for an installed package's."""
    cls, here = type(algorithm), Path.cwd()
    file = inspect.getsourcefile(cls) if cls.__module__.startswith(MODULE) else None
    words = ["groupbench", "check", algorithm.name]
    if file is not None:
        path = Path(file)
        words += ["--plugin", str(path.relative_to(here) if path.is_relative_to(here) else path)]
    return shlex.join(words)


def _findings(algorithm: Algorithm) -> list[conformance.Finding]:
    key = type(algorithm), attributes(algorithm)
    if key not in _KNOWN:
        with one_thread():
            _KNOWN[key] = list(conformance.check(algorithm))
    return _KNOWN[key]
