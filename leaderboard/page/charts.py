"""The curves of a table of runs for the page: means and intervals over seeds, on every axis, rounded for drawing."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis import Analysis
from ..columns import Kind
from ..curves import Curve, curve, start
from ..export import formats
from ..records import AXES, Axis, Measure
from ..runs import MODES, Mode, Row
from ..selection import Archive
from ..words import AXIS_NAMES
from .entries import number

POINTS = 400  # of a curve: no screen shows more; a longer one is thinned to as many, its ends among them
X_DIGITS = 5
SHARE_DECIMALS, REWARD_DIGITS = 4, 4  # a hundredth of a point


class Pool:
    """Lists of rounded numbers, each kept once: rows that are evaluated at the same steps share their x."""

    def __init__(self) -> None:
        self.lists: list[list[float]] = []
        self._known: dict[bytes, int] = {}

    def add(self, values: np.ndarray) -> int:
        """Where the list stands."""
        key = values.tobytes()
        if key not in self._known:
            self._known[key] = len(self.lists)
            self.lists.append([_significant(value) for value in values.tolist()])
        return self._known[key]


def curves(analysis: Analysis, archive: Archive) -> dict[str, Any]:
    """`panels`, one for each way to decode and what is measured; `axes`; `pool`, in which a curve's x are looked up.

    `reached` has the median way to the target by axis and row, in the panel that rows are ranked by.
    """
    pool = Pool()
    panels = [made for mode, measure in _kinds(analysis) if (made := _panel(analysis, mode, measure, pool))]
    lines = [one for panel in panels for one in panel["rows"].values()]
    # Steps are there even where all rows share only their start: a plot has an axis.
    spent = [axis for axis in AXES if axis == "steps" or any(pool.lists[one["x"][axis]][-1] for one in lines)]
    return {
        "panels": panels,
        "axes": [{"name": axis, "heading": AXIS_NAMES[axis]} for axis in spent],
        "pool": pool.lists,
        "reached": {axis: found for axis in spent if (found := _reached(analysis, archive, axis))},
    }


def _kinds(analysis: Analysis) -> list[tuple[Mode, Measure]]:
    """What rows are ranked by first."""
    first = analysis.view.metric
    modes = [first, *(mode for mode in MODES if mode != first)]
    return [(mode, analysis.measure) for mode in modes] + [(mode, "gold") for mode in modes]


def _panel(analysis: Analysis, mode: Mode, measure: Measure, pool: Pool) -> dict[str, Any] | None:
    found = {row.hash: drawn for row in analysis.rows if (drawn := curve(row, mode, measure)).steps}
    if not found:
        return None
    ranked = (mode, measure) == (analysis.view.metric, analysis.measure)
    kind: Kind = "share" if measure == "accuracy" else "reward"
    target, level = analysis.target if ranked else None, start(analysis.rows, mode, measure)
    return {
        "name": mode if measure == analysis.measure else f"{mode}_{measure}",
        "heading": f"{mode} {measure}",
        "kind": kind,
        "start": level,
        "target": target,
        "target_text": None if target is None else formats.PLAIN[kind](target),
        "thinned": max(len(drawn.steps) for drawn in found.values()) > POINTS,
        "rows": {
            row.hash: _line(found[row.hash], measure, pool) | {"final": _final(analysis, row, mode, measure)}
            for row in analysis.rows
            if row.hash in found
        },
    }


def _final(analysis: Analysis, row: Row, mode: Mode, measure: Measure) -> float | None:
    """As in the tables: of each seed's own last evaluation, where a curve ends at the last that all seeds share."""
    scores = analysis.scores(row, mode, measure=measure)
    return None if scores is None else scores.estimate.mean


def _line(drawn: Curve, measure: Measure, pool: Pool) -> dict[str, Any]:
    kept = thinned(len(drawn.steps))
    half = None if drawn.half is None else rounded(drawn.half[kept], measure)
    x: dict[Axis, int] = {}
    for axis in AXES:
        x[axis] = pool.add(np.array(drawn.x(axis))[kept])
    return {"x": x, "mean": rounded(drawn.mean[kept], measure), "half": half}


def thinned(count: int) -> NDArray[np.intp]:
    """Places of at most `POINTS` of so many points, evenly, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.intp))


def rounded(values: NDArray[np.float64], measure: Measure) -> list[float]:
    """As far as a screen shows them."""
    if measure == "accuracy":
        return [round(value, SHARE_DECIMALS) for value in values.tolist()]
    return [float(f"{value:.{REWARD_DIGITS}g}") for value in values.tolist()]


def _significant(value: float) -> float:
    """Whole numbers without a decimal point, which costs two bytes each."""
    short = float(f"{value:.{X_DIGITS}g}")
    return int(short) if short == int(short) else short


def _reached(analysis: Analysis, archive: Archive, axis: Axis) -> dict[str, Any]:
    """Median over seeds by row, `inf` where most of them never get there."""
    if analysis.target is None:
        return {}
    view = replace(analysis.view, axis=axis)
    other = analysis if view == analysis.view else archive.whole(analysis.table, view)
    found = {row.hash: list(other.times(row).values()) for row in other.rows}
    return {row: number(_rough(median(times))) for row, times in found.items() if times}


def _rough(value: float) -> float:
    return float(f"{value:.{X_DIGITS}g}")
