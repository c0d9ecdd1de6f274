"""Columns of final tasks, which a program names with their task: `final:minerva`, or a pattern, `final:*`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial

from ..analysis import Analysis
from ..runs import Row
from ..scores import Scores
from .base import COLUMNS, Column, Entry, Kind, column, tested
from .measure import of, versus

FINAL = "Final tasks: accuracy of the weights at the end of training, mean over items and their samples."
START = "Start: accuracy of what all runs began with, evaluated once; ± counts the items alone."
GAIN = "Gain: a final task's accuracy minus the start's, whose items are the same and whose draws may be others."
STARS = "vs reference: paired by seed and item; * p < .05, ** p < .01 after Holm over the rows."


def _final(analysis: Analysis, row: Row, *, task: str) -> Entry:
    return of(analysis.final(row, task))


def _start(analysis: Analysis, row: Row, *, task: str) -> Entry:
    return replace(of(analysis.final_start(task, row)), mark="", by_seed={})


def gain(final: Scores | None, start: Scores | None) -> Scores | None:
    """The start is one: it is taken from every seed, item by item."""
    if final is None or start is None or not final.comparable(start):
        return None
    every = replace(start, seeds=final.seeds, values=start.values.repeat(len(final.seeds), axis=0))
    return final.less(every)


def _gain(analysis: Analysis, row: Row, *, task: str) -> Entry:
    return of(gain(analysis.final(row, task), analysis.final_start(task, row)))


def _delta(analysis: Analysis, row: Row, *, task: str) -> Entry:
    if analysis.reference is not None and row.hash == analysis.reference.hash:
        return Entry(text="reference")
    found = analysis.final_contrast(row, task)
    return Entry() if found is None else tested(found)


@dataclass(frozen=True)
class _Family:
    kind: Kind
    heading: Callable[[Analysis, str], str]
    entry: Callable[..., Entry]
    explain: tuple[str, ...]


FAMILIES: Mapping[str, _Family] = {
    "final": _Family("share", lambda _, task: task, _final, (FINAL,)),
    "final_start": _Family("share", lambda _, task: f"{task}: start", _start, (START,)),
    "final_gain": _Family("points", lambda _, task: f"{task}: gain", _gain, (FINAL, GAIN)),
    "final_delta": _Family("points", lambda a, task: f"{task}: {versus(a)}", _delta, (FINAL, STARS)),
}


def find(name: str) -> Column[Analysis, Row] | None:
    """A column by its name, those of final tasks included; None for a name that no column has."""
    family, colon, task = name.partition(":")
    if not colon or family not in FAMILIES or not task:
        return COLUMNS.get(name)
    found = FAMILIES[family]

    def heading(analysis: Analysis) -> str:
        return found.heading(analysis, task)

    return column(name, found.kind, heading, partial(found.entry, task=task), found.explain)


def expanded(name: str, analysis: Analysis) -> list[str]:
    """The columns that a name stands for: a pattern of final tasks for those that the runs have."""
    family, colon, pattern = name.partition(":")
    if not colon or not set(pattern) & set("*?["):
        return [name]
    return [f"{family}:{task}" for task in analysis.final_tasks if fnmatchcase(task, pattern)]
