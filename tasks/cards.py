"""What each task is, in one row: for `groupbench list tasks` and docs/tasks.md. Reads no data that is not generated."""

from __future__ import annotations

from dataclasses import dataclass

from . import registry
from .base import Task
from .comparison import ComparisonTask
from .math_problems import MathProblems


@dataclass(frozen=True)
class Card:
    """One row, as text; "" where there is nothing to say."""

    task: str
    train: str
    heldout: str
    protocol: str
    answers: str = ""
    demonstrations: str = ""
    hub: str = ""
    pin: str = ""
    licence: str = ""


def card(cls: type[Task]) -> Card:
    """The row of one task."""
    protocol = next(iter(cls.protocols), "")
    if issubclass(cls, MathProblems):
        splits = [split for split in (cls.training, cls.evaluation) if split is not None]
        hubs = list(dict.fromkeys(split.hub.id for split in splits))
        pins = list(dict.fromkeys(split.hub.pin for split in splits))
        has_solutions = cls.training is not None and any(layout.solution for layout in cls.training.layouts)
        shown = ["expert"] * has_solutions + ["teacher (file)"] * (cls.training is not None)
        size = f"{cls.training.size:,}" if cls.training else "–"
        return Card(
            cls.name, size, f"{cls.evaluation.size:,}", protocol, cls.answers, ", ".join(shown), ", ".join(hubs),
            ", ".join(pins), cls.licence,
        )  # fmt: skip
    if issubclass(cls, ComparisonTask):
        return _compared(cls, protocol)
    sources = cls.demonstration_sources
    given = ", ".join(sorted(sources)) if isinstance(sources, frozenset) else ""  # a property says it of an instance
    answers = "" if cls.graded else "rated by a reward"
    if cls.locations:
        return Card(cls.name, "", "", protocol, answers, given)
    try:
        task = cls()
        return Card(cls.name, f"{len(task.train):,}", f"{len(task.heldout):,}", protocol, answers, given)
    except (TypeError, ValueError):  # it has no defaults
        return Card(cls.name, "", "", protocol, answers, given)


def _compared(cls: type[ComparisonTask], protocol: str) -> Card:
    try:
        task = cls()
    except (TypeError, ValueError):  # it has no defaults
        return Card(cls.name, "–", "", protocol, licence=cls.licence)
    hub = task.hub
    size = "" if hub.examples is None else f"{hub.examples:,}"
    judged = f"judged against {', '.join(task.opponents)}"
    return Card(cls.name, "–", size, protocol, judged, "", hub.id, hub.pin, cls.licence)


def markdown() -> str:
    """The table of docs/tasks.md: every built-in task."""
    rows = [card(cls) for cls in registry.load().values() if cls.__module__.startswith(f"{__package__}.")]
    lines = [
        "| task | train | held out | protocol | answer | demonstrations | on the Hub | pinned by | licence |",
        "|---|--:|--:|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            f"`{row.task}`", row.train, row.heldout, row.protocol, row.answers, row.demonstrations, row.hub, row.pin,
            row.licence,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
