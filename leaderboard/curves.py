"""A row's held-out curve: the mean over its seeds at each evaluation, with its interval, on any axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean

import numpy as np

from .records import AXES, Axis, Measure
from .runs import Mode, Row
from .stats import half_widths
from .stats.valid import Array

COUNTS = attrgetter(*AXES)  # of an evaluation, in one call: a page asks for a million of them


@dataclass(frozen=True, eq=False)
class Curve:
    """Of the finished seeds, at each step at which all of them were evaluated (E,), by step."""

    steps: tuple[int, ...]
    mean: Array  # (E,) over seeds; an accuracy is in [0, 1]
    half: Array | None  # (E,) half of Student's 95 % interval over seeds; None: there is one seed
    spent: Array  # (E, axes): mean counters of the seeds, by AXES

    def x(self, axis: Axis) -> list[float]:
        """What was spent by then: the mean counter of the seeds; of steps, the step itself."""
        if axis == "steps":
            return [float(step) for step in self.steps]
        return list(self.spent[:, AXES.index(axis)].tolist())


def curve(row: Row, mode: Mode, measure: Measure = "accuracy") -> Curve:
    """The row's curve; without a point where no finished seed has one."""
    found = [cell.measured(mode, measure) for cell in row.done]
    by_step = [{record["step"]: (record, value) for record, value in one} for one in found if one]
    steps = tuple(sorted(set.intersection(*map(set, by_step)))) if by_step else ()
    values = np.array([[one[step][1] for step in steps] for one in by_step], dtype=np.float64)
    if not steps:
        return Curve((), np.zeros(0), None, np.zeros((0, len(AXES))))
    spent = np.array([[COUNTS(one[step][0]["counters"]) for step in steps] for one in by_step], dtype=np.float64)
    runs = len(by_step)
    half = half_widths([(values.var(axis=0, ddof=1) / runs, runs - 1)]) if runs > 1 else None
    return Curve(steps, values.mean(axis=0), half, spent.mean(axis=0))


def start(rows: Iterable[Row], mode: Mode, measure: Measure = "accuracy") -> float | None:
    """The mean over all finished runs at step 0; None where none was evaluated then."""
    firsts = (found[0] for row in rows for cell in row.done if (found := cell.measured(mode, measure)))
    values = [value for record, value in firsts if record["step"] == 0]
    return fmean(values) if values else None
