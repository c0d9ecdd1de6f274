"""Columns over several tasks: mean gains, probability of improvement, interquartile mean, AlgoPerf's score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from statistics import median

import numpy as np

from ..analysis import Analysis, star
from ..records import Measure
from ..runs import MODES, Mode, Row
from ..scores import Scores
from ..stats import (
    algoperf_scores,
    holm,
    iqm,
    macro_gain,
    probability_of_improvement,
    stratified_bootstrap,
)
from .base import NOTHING, Column, Entry, Kind, column, estimated

FEWEST = 10  # runs a task that a bootstrap's interval takes: of three it covers 75 %, of ten 90 %
ENOUGH = 20  # runs x tasks: below, an interquartile mean throws away half of little data


class Across:
    """Several analyses of one model, one a task, and their rows by label."""

    def __init__(self, analyses: Sequence[Analysis]) -> None:
        self.analyses = tuple(analyses)
        every = [row for analysis in analyses for row in analysis.rows if not row.control]
        self.labels = tuple(dict.fromkeys(row.label for row in every))
        self._tests: dict[Mode, dict[str, float | None]] = {}

    def rows(self, label: str) -> list[Row | None]:
        """The row of this label in each analysis."""
        return [next((row for row in analysis.rows if row.label == label), None) for analysis in self.analyses]

    def finals(self, label: str, mode: Mode) -> np.ndarray | None:
        """Final accuracies (R, M) of the seeds that all tasks have; None where there is none."""
        found = self.each(label, lambda analysis, row: analysis.scores(row, mode)) or []
        tasks = [one.by_seed for one in found]
        seeds = [seed for seed in tasks[0] if all(seed in task for task in tasks)] if tasks else []
        return np.array([[task[seed] for task in tasks] for seed in seeds]) if seeds else None

    def each(self, label: str, what: Callable[[Analysis, Row], Scores | None]) -> list[Scores] | None:
        """Something of the label's row in every task; None where one has it not."""
        found = [
            None if row is None else what(analysis, row)
            for analysis, row in zip(self.analyses, self.rows(label), strict=True)
        ]
        there = [one for one in found if one is not None]
        return there if len(there) == len(found) else None

    @cached_property
    def measure(self) -> Measure | None:
        """That of all tasks; None where they have not the same one: there is no mean of accuracies and rewards, nor of
        two rewards.
        """
        found = {(analysis.measure, analysis.table.reward) for analysis in self.analyses}
        return found.pop()[0] if len(found) == 1 else None

    @cached_property
    def reference(self) -> str | None:
        """The label of the reference, where all tasks have the same one."""
        found = {None if a.reference is None else a.reference.label for a in self.analyses}
        return found.pop() if len(found) == 1 else None

    @cached_property
    def scores(self) -> dict[str, float]:
        """AlgoPerf's score by label, from each row's median way to the task's target."""
        with_target = [n for n, analysis in enumerate(self.analyses) if analysis.target is not None]
        times: dict[str, list[float]] = {}
        for label in self.labels:
            rows = self.rows(label)
            found = [self.analyses[n].times(row) if (row := rows[n]) is not None else {} for n in with_target]
            if found and all(found):  # a row that did not run on every task is not compared on fewer
                times[label] = [median(one.values()) for one in found]
        return dict(zip(times, algoperf_scores(list(times.values())).tolist(), strict=True)) if times else {}

    def adjusted(self, mode: Mode) -> dict[str, float | None]:
        """Each label's test of its mean difference from the reference: p after Holm over the labels."""
        if mode not in self._tests:
            found = {label: _difference(self, label, mode) for label in self.labels if label != self.reference}
            tested = {label: macro_gain([s.estimate for s in one]).p for label, one in found.items() if one}
            self._tests[mode] = dict(zip(tested, holm(list(tested.values())), strict=True))
        return self._tests[mode]


def _difference(across: Across, label: str, mode: Mode) -> list[Scores] | None:
    return across.each(label, lambda a, row: c.difference if (c := a.contrast(row, mode)) else None)


def _gain(across: Across, label: str, *, mode: Mode) -> Entry:
    gains = across.each(label, lambda analysis, row: analysis.gain(row, mode)) if across.measure else None
    return NOTHING if gains is None else estimated(macro_gain([gain.estimate for gain in gains]))


def _delta(across: Across, label: str, *, mode: Mode) -> Entry:
    if label == across.reference:
        return Entry(text="reference")
    found = _difference(across, label, mode)
    if found is None or across.measure is None:
        return NOTHING
    estimate, adjusted = macro_gain([one.estimate for one in found]), across.adjusted(mode).get(label)
    entry = estimated(estimate)
    return replace(entry, mark=entry.mark or star(adjusted), p=estimate.p, p_holm=adjusted)


def _improvement(across: Across, label: str, *, mode: Mode) -> Entry:
    if across.reference is None or label == across.reference:
        return Entry(text="reference") if across.reference else NOTHING
    return _bootstrapped(probability_of_improvement, [across.finals(one, mode) for one in (label, across.reference)])


def _iqm(across: Across, label: str, *, mode: Mode) -> Entry:
    finals = across.finals(label, mode) if across.measure else None
    return NOTHING if finals is None or finals.size < ENOUGH else _bootstrapped(iqm, [finals])


def _bootstrapped(statistic: Callable[..., float], found: Sequence[np.ndarray | None]) -> Entry:
    matrices = [matrix for matrix in found if matrix is not None]
    if len(matrices) < len(found):
        return NOTHING
    value = statistic(*matrices)
    if min(len(matrix) for matrix in matrices) < 2:
        return Entry(value, mark="†")
    if min(len(matrix) for matrix in matrices) < FEWEST:
        return Entry(value)
    content = b"".join(matrix.tobytes() for matrix in matrices)
    low, high = stratified_bootstrap(statistic, *matrices, content=content, draws=1000)
    return Entry(value, low, high) if high > low else Entry(value)


def _algoperf(across: Across, label: str) -> Entry:
    return Entry(across.scores[label]) if label in across.scores else NOTHING


ACROSS: dict[str, Column[Across, str]] = {}


def _add(
    name: str,
    kind: Kind,
    heading: str,
    entry: Callable[[Across, str], Entry],
    explain: tuple[str, ...] | Callable[[Across], tuple[str, ...]] = (),
    measured: bool = False,
) -> None:
    ACROSS[name] = column(name, kind, heading, entry, explain, measured)


MIXED = "No mean over tasks: some are measured by accuracy, others by their reward."
IMPROVEMENT = (
    "P(better): probability that a run beats one of the reference's, mean over tasks; 95 % interval by a bootstrap of "
    f"runs within tasks, where each has {FEWEST} runs or more of both."
)
IQM = (
    f"IQM: mean of the middle half of all runs on all tasks, if there are {ENOUGH} or more; interval by a bootstrap, "
    f"where each task has {FEWEST} runs or more."
)
ALGOPERF = (
    "AlgoPerf score: mean over tasks with a target of max(0, 4 − r)/3, r the median way to it over the shortest of any "
    "row; for rows that ran on all of them."
)


def _macro_gain(across: Across) -> tuple[str, ...]:
    if across.measure is None:
        return (MIXED,)
    unit = "points" if across.measure == "accuracy" else "the reward's unit"
    return (f"Mean gain: mean over tasks of final − start, in {unit}.",)


def _versus(across: Across) -> tuple[str, ...]:
    if across.measure is None:
        return (MIXED,)
    return (
        f"Mean vs reference: mean over tasks of the difference from {across.reference or 'the reference of each'}; "
        "* p < .05, ** p < .01 after Holm over the rows.",
    )


_add("algorithm", "text", "algorithm", lambda _, label: Entry(text=label))
_add("algoperf", "number", "AlgoPerf score", _algoperf, (ALGOPERF,))
for _mode in MODES:
    _add(f"{_mode}_macro_gain", "points", f"{_mode}: mean gain", partial(_gain, mode=_mode), _macro_gain, True)
    _add(f"{_mode}_macro_delta", "points", f"{_mode}: mean vs reference", partial(_delta, mode=_mode), _versus, True)
    _add(f"{_mode}_improvement", "share", f"{_mode}: P(better)", partial(_improvement, mode=_mode), (IMPROVEMENT,))
    _add(f"{_mode}_iqm", "share", f"{_mode}: IQM", partial(_iqm, mode=_mode), (IQM,), True)
