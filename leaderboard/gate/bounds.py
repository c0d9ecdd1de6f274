"""The test of one metric: a change per item, its bounds L and U, and what a margin δ makes of them.

d (C,) are the changes of items (or of clusters of items, `stats.cluster_means`), paired, larger is better, each at
least −s (s: `span`, 1 for a share). The candidate is not inferior where the loss −E d is shown to be below δ:

    L = d̄ − s/2C − t_{1−α} SE_L      pass if L > −δ
    U = d̄ + s/2C + t_{1−α} SE_U      fail if U < −δ      t with C − 1 degrees of freedom

With SE = sd/√C this is Student's test of non-inferiority (S. Wellek, "Testing Statistical Hypotheses of Equivalence and
Noninferiority", 2010; EMA, CPMP/EWP/2158/99). Alone it passes what it must not: where every item agrees, sd = 0 and any
margin is met. What is known of the variance under the hypothesis to be rejected, E d = −δ, is put below it.

*Lattice.* If d is a multiple of g (1/K for K samples), then |d| ≥ g where d ≠ 0, so E d² ≥ g E|d| ≥ gδ and
var d ≥ gδ − δ². For K = 1 that is δ(1 − δ), reached by losing a share δ of the items and gaining none. For δ ≥ g it
says nothing, and rightly: all items may have lost the same. But so may a share δ of the items have lost everything,
K = 32 or not, and then 30 items show no trace of a loss of 6 pp in .94³⁰ = 16 of 100 gates. A bound on the variance
that holds for every distribution is too low for a test that is to hold for every distribution.

*Restricted likelihood.* So the variance is that of the likeliest distribution on [−s, ∞) with mean −δ:

    maximise Σ log p_i  subject to  Σ p_i d_i − s p_0 = −δ,  Σ p_i + p_0 = 1
    p_i = 1 / (C (1 + λ(d_i + δ))),   λ ≤ 1/(s − δ);  what is left at that end is p_0, on −s
    V_0 = Σ p_i (d_i + δ)² + p_0 (s − δ)²

(A. B. Owen, "Empirical Likelihood", 2001, with the end of the support added; J. Honda and A. Takemura, JMLR 16, 2015.)
For right-or-wrong answers it is the restricted estimate of T. Tango's score test, Statistics in Medicine 17 (1998). For
items that all agree it is s δ(1 − δ/s), at least the lattice's bound for any K. SE_L = √(max(V̂, V_0)/C).

*Half an item.* A count of lost items has steps of one; without s/2C the score test passes 6 to 7 of 100 true losses of
δ where a handful of items decides. U is the same with −d in the place of d: gains that were not seen are put on +s.
Measured error rates: docs/gate.md, tests/leaderboard/gate/test_bounds.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..stats.quantiles import normal_quantile, t_quantile
from ..stats.valid import Array, share

STEPS = 60  # of Newton's method, at most; six are the rule


@dataclass(frozen=True)
class Bounds:
    """Of the mean change: each an array (…), or a number for one test."""

    mean: Array
    low: Array  # one-sided, at α each: together a 1 − 2α interval
    high: Array
    p_pass: Array  # of the hypothesis that the loss is δ or more; below α exactly where low > −δ
    p_fail: Array  # of the hypothesis that the loss is δ or less


def bounds(
    changes: ArrayLike, margin: float, alpha: float, span: float = 1.0, *, verdicts_only: bool = False
) -> Bounds:
    """L, U and p-values of changes (…, C), larger is better, none below −span or above it.

    With `verdicts_only`, V_0 is left out where V̂ alone prevents a verdict: whatever is below −δ stays there, whatever p
    is not below α stays there, and a simulation takes half as long.

    One item says nothing: its bounds are ∓ ∞ and its p-values 1. ValueError for a margin outside (0, span), or α
    outside (0, 1).
    """
    from scipy.special import stdtr

    d = np.asarray(changes, dtype=np.float64)
    if not 0 < margin < span:
        raise ValueError(f"margin must lie between 0 and {span}, not {margin}")
    share(alpha, "alpha")
    count, shape = d.shape[-1], d.shape[:-1]
    if count < 2:
        mean, nothing, one = d.mean(-1), np.full(shape, math.inf), np.ones(shape)
        return Bounds(mean, -nothing, nothing, one, one)
    d = d.reshape(-1, count)
    half, t = span / (2 * count), t_quantile(count - 1, 1 - alpha)
    mean, seen = d.mean(-1), d.var(-1, ddof=1)
    ends, levels = [], []
    for sign in (1, -1):  # is the loss below δ? is it above?
        distance, variance = sign * (mean + margin) - half, seen.copy()
        rows = distance > (t * np.sqrt(seen / count) if verdicts_only else -math.inf)
        variance[rows] = np.maximum(seen[rows], restricted_variance(sign * d[rows], -sign * margin, span))
        error = np.sqrt(variance / count)
        ends.append(mean - sign * (half + t * error))
        # Without any variance the values speak for the hypothesis.
        scaled = np.divide(distance, error, out=np.full_like(mean, -math.inf), where=error > 0)
        levels.append(stdtr(count - 1, -scaled))
    return Bounds(mean.reshape(shape), *(np.asarray(one).reshape(shape) for one in (*ends, *levels)))


def restricted_variance(values: Array, mean: float, span: float = 1.0) -> Array:
    """V_0 of values (…, C) under the likeliest distribution on [−span, ∞) with the given mean; (…).

    0 where the values' own mean is no higher: they speak for the hypothesis, and nothing is to be tested.
    """
    rows = values.reshape(-1, values.shape[-1]) - mean
    found = np.zeros(len(rows))
    higher = np.flatnonzero(rows.mean(-1) > 0)
    x = rows[higher]
    end = 1 / (span + mean)
    tilt = _tilt(x, end)
    with np.errstate(divide="ignore"):
        weights = 1 / (x.shape[-1] * (1 + tilt[:, None] * x))
    left = np.maximum(0, 1 - weights.sum(-1))
    found[higher] = (weights * x**2).sum(-1) + left / end**2
    return found.reshape(values.shape[:-1])


def _tilt(x: Array, end: float) -> Array:
    """The root λ of mean(x/(1 + λx)) in (0, end], or `end` where there is none; x (R, C), of positive means."""
    low, high = np.zeros(len(x)), np.full(len(x), end)
    with np.errstate(divide="ignore"):
        at_end = (x / np.maximum(1 + end * x, 1e-300)).mean(-1)
    mean = x.mean(-1)
    tilt = np.where(at_end >= 0, end, np.minimum(mean / np.maximum((x**2).mean(-1), 1e-300), 0.9 * end))
    open_ = np.flatnonzero(at_end < 0)
    for _ in range(STEPS):
        if not open_.size:
            break
        part = x[open_]
        ratio = part / (1 + tilt[open_, None] * part)
        value, slope = ratio.mean(-1), -(ratio**2).mean(-1)
        low[open_] = np.where(value > 0, tilt[open_], low[open_])
        high[open_] = np.where(value > 0, high[open_], tilt[open_])
        newton = tilt[open_] - value / slope
        inside = (newton > low[open_]) & (newton < high[open_])
        step = np.where(inside, newton, (low[open_] + high[open_]) / 2)
        moved = np.abs(step - tilt[open_])
        tilt[open_] = step
        open_ = open_[moved > 1e-10 * end]
    return tilt


def items_needed(variance: float, margin: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """(z_{1−α} + z_power)² variance/δ²: items with which no change passes in `power` of the gates.

    For right-or-wrong answers the variance of d is ψ, the share of items on which the two disagree. Source: the usual
    sample size of a paired test (Miller, arXiv 2411.00640), one-sided. ValueError for a margin ≤ 0 or a variance < 0.
    """
    if not (margin > 0 and variance >= 0):
        raise ValueError(f"margin must be positive and the variance not negative, not {margin} and {variance}")
    z = normal_quantile(1 - share(alpha, "alpha")) + normal_quantile(share(power, "power"))
    return max(2, math.ceil(z**2 * variance / margin**2))
