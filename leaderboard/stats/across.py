"""Several tasks at once: the macro mean of gains, and the aggregates of rliable (arXiv 2108.13264).

Scores are (R, M): runs × tasks, the M tasks being all there are: nothing here speaks of tasks outside the table. With
five tasks or fewer the macro gain is the headline; IQM throws away half of little data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .comparing import generator
from .intervals import Estimate, Part
from .valid import Array, finite, share

ROUNDING = 1e-12  # of a sum of probabilities


def macro_gain(tasks: Sequence[Estimate]) -> Estimate:
    """Mean over tasks of their estimates, the errors of different tasks independent (other runs, other items).

    The tasks' V_seed/M² add up, and so do the V_item/M², each sum with Satterthwaite's degrees of freedom; the interval
    then takes the two as any estimate does. `seeds` is the fewest of any task. No p-value where a task has one seed, or
    where the seeds (or items) of a task agree exactly on a gain that is not 0. ValueError where there is no task.
    """
    if not tasks:
        raise ValueError("a mean over tasks needs at least one task; there is none")
    m = len(tasks)

    def pooled(parts: Sequence[Part | None]) -> Part | None:
        return Part.pooled(Part(part.variance / m**2, part.df) for part in parts if part)

    # An estimate made by hand has one part, of no kind: as if over seeds.
    seed = pooled([task.seed_part or (None if task.item_part else next(iter(task.parts), None)) for task in tasks])
    item = pooled([task.item_part for task in tasks])
    both = Part.pooled([seed, item])
    known = both is not None and all(task.parts for task in tasks)
    items = [task.items for task in tasks if task.items is not None]
    return Estimate(
        mean=sum(task.mean for task in tasks) / m,
        se=math.sqrt(both.variance) if both and known else None,
        df=both.df if both and known else None,
        seeds=min(task.seeds for task in tasks),
        items=sum(items) if items else None,
        seed_part=seed if known else None,
        item_part=item if known else None,
        degenerate=all(t.degenerate for t in tasks) or any(t.degenerate and t.mean for t in tasks),
    )


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float:
    """P(X > Y): mean over tasks of the Mann-Whitney statistic U_m / (R_x R_y), ties ½; x (R_x, M), y (R_y, M).

    The probability that a run of X beats a run of Y on a task drawn from the table. Source: rliable.
    ValueError where the tasks are not the same number.
    """
    ours, theirs = finite(x, "x", "(R, M)"), finite(y, "y", "(R, M)")
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"x and y must have the same M tasks, not {ours.shape} and {theirs.shape}")
    wins = ours[:, None] > theirs
    return float(np.mean(wins + 0.5 * (ours[:, None] == theirs)))


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean: of all R·M scores together, without the ⌊RM/4⌋ lowest and highest. Source: rliable."""
    ordered = np.sort(finite(scores, "scores", "(R, M)"), axis=None)
    cut = ordered.size // 4
    return float(ordered[cut : ordered.size - cut].mean())


def optimality_gap(scores: ArrayLike, gamma: float = 1.0) -> float:
    """γ − mean(min(score, γ)): how far short of γ, without credit for what is above. Source: rliable."""
    return float(gamma - np.minimum(finite(scores, "scores", "(R, M)"), gamma).mean())


def performance_profile(scores: ArrayLike, taus: ArrayLike) -> Array:
    """ρ(τ): share of the (run, task) scores above τ, strictly, for each of taus (T,) → (T,). Source: rliable."""
    found = finite(scores, "scores", "(R, M)")
    return (found > finite(taus, "taus", "(T,)")[:, None, None]).mean((1, 2))


def profile_band(scores: ArrayLike, taus: ArrayLike, confidence: float = 0.95) -> tuple[Array, Array]:
    """`performance_profile`'s pointwise interval: what `stratified_bootstrap` tends to with more draws, exactly.

    Of R runs resampled from a task's own, each is above τ with the share p that is: the draws of ρ(τ) are the sum of
    R·M such runs over R·M, of a Poisson binomial law, whose tails are cut at (1 − confidence)/2. Nothing is drawn, so
    nothing is seeded. No width where every task's runs are all on one side of τ, and too little of
    it with few runs (docs/statistics.md). taus (T,) → low and high, (T,) each.
    """
    found, at = finite(scores, "scores", "(R, M)"), finite(taus, "taus", "(T,)")
    runs, tail = found.size, (1 - share(confidence, "confidence")) / 2
    shares = np.repeat((found[None] > at[:, None, None]).mean(1), len(found), axis=1)  # (T, R·M)
    law = np.zeros((len(at), runs + 1))  # of how many runs are above
    law[:, 0] = 1
    for n, above in enumerate(shares.T[:, :, None], start=1):
        law[:, 1 : n + 1], law[:, :1] = law[:, 1 : n + 1] * (1 - above) + law[:, :n] * above, law[:, :1] * (1 - above)
    below = np.cumsum(law, axis=1) < tail - ROUNDING
    beyond = np.cumsum(law[:, ::-1], axis=1) < tail - ROUNDING
    return below.sum(1) / runs, 1 - beyond.sum(1) / runs


def stratified_bootstrap(
    statistic: Callable[..., float],
    *scores: ArrayLike,
    content: str | bytes,
    draws: int = 10_000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of statistic(*scores): runs resampled within each task, each matrix (R, M) by itself.

    Source: rliable; seeded by `content` (`generator`). It covers too little with few runs:
    the mean over 5 tasks is held by 86 % of 95 % intervals for 3 runs a task, 90 % for 5, 93 % for 10. So `macro_gain`
    is the headline, and this only for what has no formula. ValueError for no matrix, or draws < 1.
    """
    matrices = [finite(matrix, f"scores {k}", "(R, M)") for k, matrix in enumerate(scores)]
    if not matrices or draws < 1:
        raise ValueError(f"a bootstrap needs at least one matrix and one draw, not {len(matrices)} and {draws}")
    tail, rng = (1 - share(confidence, "confidence")) / 2, generator(content)
    resampled = [np.take_along_axis(m[None], rng.integers(len(m), size=(draws, *m.shape)), axis=1) for m in matrices]
    found = [statistic(*drawn) for drawn in zip(*resampled, strict=True)]
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)
