"""How fast and how far a run learns: smoothed curves, time to target, what is under the curve, and how much it loses.

x is a cost at each evaluation (steps, prompts, generated tokens, seconds …), y the accuracy there, both (E,). A time is
an x; ∞ where a target was never reached. Horizon X: the x up to which all algorithms of a table are looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .intervals import Estimate, over_seeds, wilson
from .valid import Array, alike, finite


@dataclass(frozen=True)
class Success:
    """Runs that reached a target, with Wilson's 95 % interval of their share."""

    successes: int
    n: int
    low: float
    high: float


def smoothed(y: ArrayLike) -> Array:
    """Centred mean of 3 evaluations (E,) → (E,); the end points stand for themselves.

    The window shrinks symmetrically, so a straight line stays one. ValueError where y is empty or not finite.
    """
    z = finite(y, "y", "(E,)").copy()
    z[1:-1] = (z[:-2] + z[1:-1] + z[2:]) / 3 if len(z) > 2 else z[1:-1]
    return z


def time_to_target(x: ArrayLike, y: ArrayLike, target: float) -> float:
    """First x where `smoothed` y reaches the target at 2 evaluations in a row, interpolated from the one before; or ∞.

    x[0] where the start (and the evaluation after it) is there already. One evaluation above the target is luck: the
    raw first crossing comes early, the more so the fewer the items. Reaching it at the last evaluation alone is no
    success. After AlgoPerf (Dahl et al., arXiv 2306.07179), smoothed and sustained as the curves are
    noisier here. ValueError where x does not rise strictly, the shapes differ or a value is not finite.
    """
    cost, z = _curve(x, y), smoothed(y)
    if not math.isfinite(target):
        raise ValueError(f"the target must be finite, not {target}")
    there = z >= target
    sustained = np.flatnonzero(there[:-1] & there[1:])
    if not sustained.size:
        return math.inf
    k = int(sustained[0])
    if k == 0:
        return float(cost[0])
    share = (target - z[k - 1]) / (z[k] - z[k - 1])
    return float(cost[k - 1] + share * (cost[k] - cost[k - 1]))


def restricted_mean(times: ArrayLike, horizon: float) -> Estimate:
    """Mean over seeds of min(t, X), times (R,), with Student's interval: of the cost spent up to target or horizon.

    Source: the restricted mean survival time, Royston and Parmar, Statistics in Medicine 30 (2011). ValueError for a
    negative or NaN time, or a horizon that is not positive and finite.
    """
    return over_seeds(np.minimum(_times(times, "times"), _horizon(horizon)))


def success(times: ArrayLike, horizon: float = math.inf) -> Success:
    """How many of the seeds' times (R,) are finite and within the horizon. ValueError as in `restricted_mean`."""
    reached = _reached(_times(times, "times"), horizon)
    return Success(int(reached.sum()), len(reached), *wilson(int(reached.sum()), len(reached)))


def speedup(reference_times: ArrayLike, times: ArrayLike, horizon: float) -> Estimate | None:
    """Mean over seeds of log(reference / this), times (R,) paired by seed: exp of it is the geometric-mean speed-up.

    Interval and p-value (against no speed-up) are Student's on the log scale. None unless both reach the target within
    the horizon X in half of the seeds or more, and where a time is 0 (the start was there already). A time beyond X
    counts as X. That is biased, towards no speed-up for the side that failed: a seed where only this algorithm
    succeeded gives log(X / t), a lower bound; one where only the reference did, log(t_ref / X), an upper bound; one
    where neither did gives 0. Read it beside `success`. ValueError as in `restricted_mean`, and for unequal shapes.
    """
    pair = [_times(reference_times, "reference_times"), _times(times, "times")]
    alike([side.shape for side in pair], "reference_times and times (paired by seed)")
    _horizon(horizon)
    if any(2 * _reached(side, horizon).sum() < len(side) or side.min() == 0 for side in pair):
        return None
    reference, this = (np.log(np.minimum(side, horizon)) for side in pair)
    return over_seeds(reference - this)


def nauc(x: ArrayLike, y: ArrayLike, target_gain: float, horizon: float) -> float:
    """Normalised area under the gain: 1/(X − x₀) ∫ (s(x) − s₀) dx / (T − s₀), from x₀ (0, as a rule) to the horizon X.

    1 for a run that is at the target from the beginning on, 0 for one that stays at its start. `target_gain` is
    T − s₀; a table takes each run's own start for s₀. Trapezoids, s interpolated at X. ValueError where the curve
    does not reach X (choose a horizon that all runs reach), or target_gain is not positive.
    """
    cost, score = _curve(x, y), finite(y, "y", "(E,)")
    if not target_gain > 0:
        raise ValueError(f"target_gain (T − s₀) must be positive, not {target_gain}")
    if not cost[0] < horizon <= cost[-1]:
        raise ValueError(f"the horizon must lie in the curve's range, above {cost[0]} up to {cost[-1]}, not {horizon}")
    before = cost < horizon
    to = np.append(cost[before], horizon)
    gain = np.append(score[before], np.interp(horizon, cost, score)) - score[0]
    return float(np.trapezoid(gain, to) / (horizon - cost[0]) / target_gain)


def peak_drop(y: ArrayLike) -> float:
    """Highest smoothed accuracy minus the last: what training on cost. Never negative, so noise alone makes it > 0."""
    z = smoothed(y)
    return float(z.max() - z[-1])


def roughness(y: ArrayLike) -> float:
    """Root mean square of y minus `smoothed` y, the end points left out: how unsteady a curve (E,) is.

    The sampling noise of few items is in it as well, so it is compared between curves on the same items only. A
    straight line has 0. ValueError where y is empty or not finite, or has fewer than 3 points.
    """
    z = smoothed(y)
    if len(z) < 3:
        raise ValueError(f"roughness takes at least 3 evaluations, not {len(z)}")
    return float(np.sqrt(np.mean((np.asarray(y, dtype=np.float64) - z)[1:-1] ** 2)))


def algoperf_scores(times: ArrayLike) -> Array:
    """AlgoPerf's benchmark score of each of A algorithms, from times (A, M) on M tasks: (A,), each in [0, 1].

    B_a = 1/(r_max − 1) ∫₁^{r_max} ρ_a(τ) dτ with ρ_a(τ) the share of tasks with r_am = t_am / min_b t_bm ≤ τ, which for
    r_max = 4 is mean_m max(0, 4 − r_am)/3. ∞ counts 0, and so does a task that nobody reaches. Of a time of 0 (at the
    target from the start) any time that is not 0 is infinitely many. Scores depend on who else is in the table.
    Source: Dahl et al., arXiv 2306.07179, after Dolan and Moré, Math. Programming 91 (2002).
    """
    found = _times(times, "times", "(A, M)")
    best = found.min(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(found == best, np.where(np.isinf(found), np.inf, 1.0), found / best)
    return np.maximum(0, 4 - ratio).mean(1) / 3


def reference_target(starts: ArrayLike, finals: ArrayLike, fraction: float = 0.9) -> float:
    """T = s₀ + fraction · (median of the reference's final accuracies (R,) − s₀), s₀ the mean of the starts.

    It depends on the reference's runs alone, and on no row that is judged by it. The median: not a lucky outlier
    (AlgoPerf). ValueError for empty or non-finite values. Where the reference did not gain, neither does the target:
    compare it with s₀.
    """
    start = float(finite(starts, "starts", "(R,)").mean())
    return start + fraction * (float(np.median(finite(finals, "finals", "(R,)"))) - start)


def _curve(x: ArrayLike, y: ArrayLike) -> Array:
    cost = finite(x, "x", "(E,)")
    alike([cost.shape, np.shape(y)], "x and y")
    if (steps := np.diff(cost)).size and steps.min() <= 0:
        raise ValueError(f"x must rise strictly, not from {cost[steps.argmin()]} to {cost[steps.argmin() + 1]}")
    return cost


def _times(times: ArrayLike, name: str, shape: str = "(R,)") -> Array:
    found = finite(times, name, shape, infinite=True)
    if found.min() < 0:
        raise ValueError(f"{name} must not be negative, not {found.min()}")
    return found


def _reached(times: Array, horizon: float) -> NDArray[np.bool_]:
    return np.isfinite(times) & (times <= horizon)


def _horizon(horizon: float) -> float:
    if not (math.isfinite(horizon) and horizon > 0):
        raise ValueError(f"the horizon must be positive and finite, not {horizon}")
    return horizon
