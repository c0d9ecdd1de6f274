"""Columns of convergence: how far a run must go on the chosen axis to reach the target, and how it compares."""

from __future__ import annotations

import math
from statistics import median

from ..analysis import Analysis
from ..runs import Row
from ..stats import convergence, over_seeds
from ..words import AXIS_NAMES, number, percent, quantity
from .base import NOTHING, Entry, add, estimated, tested


def _target(analysis: Analysis) -> str:
    view, reference = analysis.view, analysis.reference
    if analysis.target is None:
        if view.target_accuracy is not None:
            return f"No target: the program's is an accuracy, and these runs are measured by their {analysis.measure}."
        if reference is None or analysis.gain(reference, view.metric) is None:
            return "No target: the reference has no finished seed with a start and an end."
        return "No target: the reference's gain has no interval that excludes 0."
    curves = [cell.measured(view.metric, analysis.measure) for row in analysis.rows for cell in row.done]
    short = "; runs of fewer than three evaluations have no time" * any(0 < len(curve) < 3 for curve in curves)
    how = ""
    if view.target_accuracy is None and reference is not None:
        how = f", the start + {100 * view.target_gain:g} % of {reference.label}'s median gain"
    level = f"{percent(analysis.target)} % of held-out {view.metric} accuracy"
    if analysis.measure != "accuracy":
        level = f"a held-out {view.metric} {analysis.measure} of {number(analysis.target)}"
    return (
        f"Target: {level}{how}; reached where the curve, smoothed over three evaluations, stays at or above it for "
        f"two, interpolated{short}."
    )


def _horizon(analysis: Analysis) -> str:
    if analysis.horizon is None:
        return f"No horizon: a run spent no {AXIS_NAMES[analysis.view.axis]}, or none was evaluated."
    return f"Horizon: {quantity(analysis.horizon)} {AXIS_NAMES[analysis.view.axis]}, as far as every run went."


def _time(analysis: Analysis, row: Row) -> Entry:
    times = analysis.times(row)
    return Entry(median(times.values()), by_seed=times) if times else NOTHING


def _success(analysis: Analysis, row: Row) -> Entry:
    times = analysis.times(row)
    if not times:
        return NOTHING
    found = convergence.success(list(times.values()))
    reached = {seed: float(math.isfinite(time)) for seed, time in times.items()}
    share, text = found.successes / found.n, f"{found.successes}/{found.n}"
    return Entry(share, found.low, found.high, by_seed=reached, text=text)


def _restricted(analysis: Analysis, row: Row) -> Entry:
    times, horizon = analysis.times(row), analysis.horizon
    if not times or horizon is None:
        return NOTHING
    restricted = {seed: min(time, horizon) for seed, time in times.items()}
    return estimated(convergence.restricted_mean(list(times.values()), horizon), restricted)


def _speedup(analysis: Analysis, row: Row) -> Entry:
    if analysis.reference is not None and row.hash == analysis.reference.hash:
        return Entry(text="reference")
    found, horizon = analysis.speedups.get(row.hash), analysis.horizon
    if found is None or horizon is None or analysis.reference is None:
        return NOTHING
    ours, theirs = analysis.times(row), analysis.times(analysis.reference)
    logs = {s: math.log(min(theirs[s], horizon) / min(ours[s], horizon)) for s in ours if s in theirs}
    return tested(found, logs)


def _nauc(analysis: Analysis, row: Row) -> Entry:
    found = analysis.early(row)
    return estimated(over_seeds(list(found.values())), found) if found else NOTHING


def _axis(analysis: Analysis) -> str:
    return f"{AXIS_NAMES[analysis.view.axis]} to target"


def _reading(analysis: Analysis) -> str:
    axis = AXIS_NAMES[analysis.view.axis]
    return f"To target: {axis}, evaluation not charged; the median over seeds, ∞ where the run ends before."


def _versus(analysis: Analysis) -> str:
    return f"speed-up vs {analysis.reference.label if analysis.reference else 'reference'}"


WILSON = "Reached it: seeds; the CSV has Wilson's interval."
RESTRICTED = "Restricted: the mean over seeds, where what lies beyond the horizon counts as the horizon."
SPEEDUP = (
    "Speed-up: the reference's way to the target over the row's, restricted to the horizon, paired by seed: geometric "
    "mean and 95 % t-interval of the logarithm; only where both reach it before the horizon in half of their seeds."
)
AREA = (
    "Area: between curve and start up to the horizon, over (target − start) × horizon; 1 for a run that stood at the "
    "target from its first step on."
)

add("time_to_target", "quantity", _axis, _time, lambda a: (_target(a), _reading(a)))
add("success", "share", "reached it", _success, lambda a: (_target(a), WILSON))
add(
    "restricted_time", "quantity", lambda a: f"{_axis(a)}, restricted", _restricted, lambda a: (RESTRICTED, _horizon(a))
)
add("speedup", "log_ratio", _versus, _speedup, lambda a: (SPEEDUP, _horizon(a)))
add("nauc", "number", "area", _nauc, lambda a: (AREA, _horizon(a)))
