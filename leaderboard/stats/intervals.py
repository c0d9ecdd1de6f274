"""Means with their errors: over training seeds, over items, and over both at once.

Seeds and items are both samples: of the runs an algorithm could have had, and of the questions a test could have held.
A number that is to hold for other runs and other questions carries the error of both. d (R, N) are the outcomes of R
seeds on the same N items, best differences paired by seed and item (A − B, final − start). With d̄ its mean and

    MS_seed = N · var_r(mean over items)       R − 1 degrees of freedom; in expectation σ²_res + N σ²_seed
    MS_item = R · var_i(mean over seeds)       N − 1;                     σ²_res + R σ²_item
    MS_res  = the interaction's mean square    (R − 1)(N − 1);            σ²_res

the variance of d̄, σ²_seed/R + σ²_item/N + σ²_res/(RN), has two independently estimated parts:

    V_seed = MS_seed / (RN)                     with R − 1 degrees of freedom: the variance of the seeds' means over R,
                                                which holds the interaction; there is no negative component to set to 0
    V_item = max(0, MS_item − MS_res) / (RN)    with N − 1: what the items add to it

    d̄ ± √( t²_{R−1} V_seed + t²_{N−1} V_item )

(components: Searle, Casella and McCulloch, "Variance Components", 1992, chapter 4). With two independent normal sources
an interval of this form covers at least its confidence: S. K. Banerjee, "Approximate confidence interval for linear
functions of means of k populations when the population variances are not equal", Sankhya 22 (1960). It is built like
the modified-large-sample intervals of Burdick and Graybill, "Confidence Intervals on Variance Components", 1992.
V_item, a difference of mean squares, is not quite what the theorem asks for; that the coverage holds is measured.
p-values are the same statement turned round, and so hold at the small levels of Holm's procedure too. Why not the
others: t_{R−1} on the whole variance covers 100 % where items dominate, Satterthwaite's single t only 92 % where 3
seeds nearly dominate, a bootstrap over 3 seeds 75 % (`docs/statistics.md`, tests/leaderboard/stats/test_coverage.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from .quantiles import falling_root, mean_square_quantiles, normal_cdf, normal_quantile, t_quantile, t_two_sided
from .valid import Array, finite, share

# A spread below this is rounding: seeds or items that agree exactly say nothing about how much others would differ.
AGREEMENT = 1e-9


@dataclass(frozen=True)
class Part:
    """What one source of error adds to the variance of a mean, and how well that is known."""

    variance: float
    df: float

    @staticmethod
    def pooled(parts: Iterable[Part | None]) -> Part | None:
        """The sum of independent parts of one kind, degrees of freedom by Satterthwaite (1946): (ΣV)² / Σ(V²/ν)."""
        present = [part for part in parts if part]
        if not present:
            return None
        total = sum(part.variance for part in present)
        doubt = sum((part.variance / total) ** 2 / part.df for part in present) if total else 0.0
        return Part(total, 1 / doubt if doubt else min(part.df for part in present))


@dataclass(frozen=True)
class Estimate:
    """A mean with what is known of its error, in the unit of the values.

    Made by `over_seeds`, `over_items`, `crossed` and what builds on them. An estimate without parts, made by hand, is
    taken as one part of variance se² with df degrees of freedom.
    """

    mean: float
    se: float | None  # √ of the parts' sum; None where nothing is known of the error
    df: float | None  # of se, Satterthwaite's, for display: intervals and p-values take each part with its own
    seeds: int  # training runs it stands on
    items: int | None  # items (or clusters) it stands on; None: over seeds only
    seed_part: Part | None = None
    item_part: Part | None = None
    degenerate: bool = False  # seeds or items agree exactly: no p-value

    @property
    def parts(self) -> tuple[Part, ...]:
        """The sources of error that are known, each independent of the others."""
        present = tuple(part for part in (self.seed_part, self.item_part) if part)
        return present or (() if self.se is None or self.df is None else (Part(self.se**2, self.df),))

    def half_width(self, confidence: float = 0.95) -> float | None:
        """√(Σ t²_ν V) over the parts, t the (1 + confidence)/2 quantile. None where nothing is known of the error."""
        return float(half_widths([(p.variance, p.df) for p in self.parts], confidence)) if self.parts else None

    @cached_property
    def low(self) -> float | None:
        """Lower end of the 95 % interval."""
        half = self.half_width()
        return None if half is None else self.mean - half

    @cached_property
    def high(self) -> float | None:
        """Upper end of the 95 % interval."""
        half = self.half_width()
        return None if half is None else self.mean + half

    @cached_property
    def p(self) -> float | None:
        """Two-sided p against 0: the level at which the interval just touches 0.

        None where it would pretend: for one seed, and where seeds (or all items) agree exactly.
        """
        if self.seeds < 2 or not self.parts or self.degenerate or not self.se or self.se < AGREEMENT:
            return None
        if self.mean == 0:
            return 1.0
        # No higher than with all of the variance at the fewest degrees of freedom, no lower than with one part alone.
        present = [part for part in self.parts if part.variance]
        high = t_two_sided(min(part.df for part in present), self.mean / self.se)
        low = max(t_two_sided(part.df, self.mean / math.sqrt(part.variance)) for part in present)
        if low <= 0 or high - low <= 1e-12 * high:
            return high

        def excess(log_p: float) -> float:  # in logarithms, where it is nearly a straight line
            halves = (t_quantile(part.df, math.exp(log_p) / 2) * math.sqrt(part.variance) for part in self.parts)
            return min(math.log(math.hypot(*halves)), 700.0) - math.log(abs(self.mean))

        return math.exp(falling_root(excess, math.log(low), math.log(high)))

    def mde(self, alpha: float = 0.05, power: float = 0.8) -> float | None:
        """Minimum detectable effect: the true mean δ whose interval excludes 0 in `power` of the repetitions.

        With c(w) = √( t²_ν V w + Σ t² V over the other parts ), V the part of fewest degrees of freedom ν,

            power = E_w[ Φ((δ − c(w))/se) + Φ((−δ − c(w))/se) ],    w ~ χ²_ν/ν

        solved for δ. The other parts' variances are taken as known. One part: Student's noncentral t, exactly. None
        where nothing is known of the error, or no spread was seen.
        """
        share(alpha, "alpha"), share(power, "power")
        if not self.parts or not self.se or self.degenerate:
            return None
        se, (rough, *others) = self.se, sorted(self.parts, key=lambda part: part.df)
        w = mean_square_quantiles(rough.df, (np.arange(1024) + 0.5) / 1024)
        critical = half_widths([(rough.variance * w, rough.df), *((p.variance, p.df) for p in others)], 1 - alpha)

        def found(effect: float) -> float:
            return float(np.mean(normal_cdf((effect - critical) / se) + normal_cdf((-effect - critical) / se)))

        low, high = 0.0, se
        while found(high) < power:
            low, high = high, 2 * high
        return falling_root(lambda effect: power - found(effect), low, high)


def half_widths(parts: Sequence[tuple[ArrayLike, float]], confidence: float = 0.95) -> Array:
    """√(Σ t²_ν V) for (V, ν) of each part; the variances may be arrays, of many estimates of the same shape."""
    level = (1 + share(confidence, "confidence")) / 2
    return np.sqrt(sum(t_quantile(df, level) ** 2 * np.asarray(variance) for variance, df in parts))


def variances(values: Array) -> tuple[Array, Array, Array]:
    """Mean, V_seed and V_item (see above) of values (…, R, N), R and N at least 2; each of shape (…).

    No error is raised and nothing checked: `crossed` does, for one estimate; this is also what simulations call.
    """
    runs, items = values.shape[-2:]
    seed, item = values.mean(-1), values.mean(-2)
    mean = seed.mean(-1)
    seed_square, item_square = items * seed.var(-1, ddof=1), runs * item.var(-1, ddof=1)
    total = np.square(values - mean[..., None, None]).sum((-2, -1))
    residual = (total - (runs - 1) * seed_square - (items - 1) * item_square) / ((runs - 1) * (items - 1))
    # The total is a difference of sums: an interaction of none may come out a rounding error below 0.
    gain = item_square - np.maximum(0, residual)
    return mean, seed_square / (runs * items), np.maximum(0, gain) / (runs * items)


def _estimate(mean: float, seeds: int, items: int | None, seed: Part | None, item: Part | None, same: bool) -> Estimate:
    both = Part.pooled([seed, item])
    se, df = (math.sqrt(both.variance), both.df) if both else (None, None)
    return Estimate(mean, se, df, seeds, items, seed, item, same)


def over_seeds(values: ArrayLike) -> Estimate:
    """Student's t-interval over training runs: values (R,), one a seed; R − 1 degrees of freedom, none for one seed.

    For a paired comparison pass the differences. Source: Student, "The probable error of a mean", Biometrika 6 (1908).
    ValueError where there is no value or one is not finite.
    """
    runs = finite(values, "values", "(R,)")
    part = Part(float(runs.var(ddof=1)) / len(runs), len(runs) - 1) if len(runs) > 1 else None
    return _estimate(float(runs.mean()), len(runs), None, part, None, part is not None and _agree(runs))


def over_items(values: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Miller's standard error over the items of one run: sd/√N, N − 1 degrees of freedom; values (N,).

    With clusters (N,) the items of one label count as drawn together: √(C/(C−1) Σ_c(Σ_{i∈c}(y_i − ȳ))²)/N, C − 1. It
    says how well these weights are measured, nothing of other seeds: one seed, no p-value. Source: E. Miller, "Adding
    error bars to evals", arXiv 2411.00640, with the factor C/(C−1). ValueError as in `over_seeds`.
    """
    items = finite(values, "values", "(N,)")
    return crossed(items[None], clusters=None if clusters is None else [clusters])


def crossed(*blocks: ArrayLike, clusters: Sequence[ArrayLike | None] | None = None) -> Estimate:
    """Seeds × items: the SUM of the blocks' means, with the error of both, by the formula above.

    Each block is (R, N_k): the same R seeds in all blocks, other items, independent of one another, in each; so an
    overfit gap is crossed(probe, -heldout). `clusters` holds for each block the items' labels (N_k,) or None: items of
    a label are drawn together, and count as one (`cluster_means`). V_seed is that of the seeds' sums over the blocks;
    the blocks' V_item add up, with Satterthwaite's degrees of freedom. One seed: V_item = sd²/N of its items, seeds=1
    and no p-value. One item (or cluster) a block: V_seed alone. Neither: no error is known.

    ValueError where a block is empty or not finite, the seeds are not the same number, or labels do not fit.
    """
    if not blocks:
        raise ValueError("crossed needs at least one block (R, N) of values; there is none")
    arrays = [finite(block, f"block {k}", "(R, N)") for k, block in enumerate(blocks)]
    if len({len(array) for array in arrays}) > 1:
        raise ValueError(f"all blocks must have the same R seeds, not {', '.join(str(a.shape) for a in arrays)}")
    if clusters is not None:
        if len(clusters) != len(arrays):
            raise ValueError(f"clusters must be one array (or None) a block: {len(arrays)}, not {len(clusters)}")
        pairs = zip(arrays, clusters, strict=True)
        arrays = [array if labels is None else cluster_means(array, labels) for array, labels in pairs]
    runs, sizes = len(arrays[0]), [array.shape[1] for array in arrays]
    sums = np.sum([array.mean(1) for array in arrays], axis=0)
    seed = Part(float(sums.var(ddof=1)) / runs, runs - 1) if runs > 1 else None
    item = Part.pooled(_item_part(array) for array in arrays)
    wide = [array for array in arrays if array.shape[1] > 1]
    same_items = bool(wide) and all(_agree(array - array[:, :1]) for array in wide)
    same = runs > 1 and (_agree(sums) or same_items)
    return _estimate(float(sums.mean()), runs, sum(sizes), seed, item, same)


def _item_part(values: Array) -> Part | None:
    """V_item of one block (R, N), N − 1 degrees of freedom; None for one item."""
    runs, items = values.shape
    if items == 1:
        return None
    variance = float(variances(values)[2]) if runs > 1 else float(values.var(ddof=1)) / items
    return Part(variance, items - 1)


def _agree(values: Array) -> bool:
    return float(np.ptp(values)) < AGREEMENT


def cluster_means(values: ArrayLike, clusters: ArrayLike) -> Array:
    """Values (…, N) of items drawn in clusters (N,) → (…, C), one for each label, in sorted order of the labels.

    u_c = (C/N) Σ_{i∈c}(y_i − ȳ) + ȳ: the mean of u is ȳ, and sd(u)/√C is Miller's clustered standard error with
    C/(C−1). Clusters of one size: their means. Raises ValueError where labels and items are not the same number.
    """
    array, labels = np.asarray(values, dtype=np.float64), np.asarray(clusters)
    if labels.shape != array.shape[-1:] or not labels.size:
        raise ValueError(f"clusters must be one label for each of the items, {array.shape[-1:]}, not {labels.shape}")
    _, member = np.unique(labels, return_inverse=True)
    order = np.argsort(member, kind="stable")
    first = np.flatnonzero(np.diff(member[order], prepend=-1))
    mean = array.mean(-1, keepdims=True)
    sums = np.add.reduceat((array - mean)[..., order], first, axis=-1)
    return len(first) / labels.size * sums + mean


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a binomial rate, for rates near 0 or 1 too. E. B. Wilson, JASA 22 (1927).

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n). ValueError unless 0 ≤ successes ≤ n and n ≥ 1.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"successes must lie in 0 … n and n be at least 1, not {successes} of {n}")
    z, rate = normal_quantile((1 + share(confidence, "confidence")) / 2), successes / n
    centre = rate + z**2 / (2 * n)
    spread = z * math.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # At the ends the formula gives exactly 0 and 1, but not in floating point.
    low = 0.0 if successes == 0 else (centre - spread) / (1 + z**2 / n)
    return low, 1.0 if successes == n else (centre + spread) / (1 + z**2 / n)


def of_shares(values: ArrayLike, clusters: ArrayLike | None = None) -> tuple[float, float]:
    """95 % interval of the mean of items' shares (N,), each in [0, 1], near 0 and 1 too.

    Wilson's, with the effective sample size p(1 − p)/SE² (E. L. Korn and B. I. Graubard, Survey Methodology 24, 1998)
    of `over_items`' SE, so that clusters and several samples an item count, and t with its degrees of freedom for z.
    Where all items agree, the sample size is the number of items or clusters. One of them: [0, 1].
    """
    estimate = over_items(values, clusters)
    if estimate.items is None or estimate.items < 2:
        return 0.0, 1.0
    rate, variance = estimate.mean, (estimate.se or 0.0) ** 2
    n = estimate.items if variance < AGREEMENT**2 or rate in (0.0, 1.0) else rate * (1 - rate) / variance
    t = t_quantile(estimate.items - 1, 0.975)
    centre = rate + t**2 / (2 * n)
    spread = t * math.sqrt(max(0.0, rate * (1 - rate)) / n + t**2 / (4 * n**2))
    low, high = ((centre + sign * spread) / (1 + t**2 / n) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def minimum_detectable(sd: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """(z_{1−α/2} + z_power) · sd/√n: the smallest paired difference that n items show, one run each, unit of sd.

    Source: Miller, arXiv 2411.00640, on sample sizes. ValueError for a negative sd, n < 1, or a share outside (0, 1).
    """
    if not (math.isfinite(sd) and sd >= 0 and n >= 1):
        raise ValueError(f"sd must be finite and not negative and n at least 1, not sd {sd} and n {n}")
    z = normal_quantile(1 - share(alpha, "alpha") / 2) + normal_quantile(share(power, "power"))
    return z * sd / math.sqrt(n)


def sample_size(sd: float, effect: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """The fewest items that show `effect`: `minimum_detectable` solved for n. ValueError for an effect ≤ 0."""
    if not effect > 0:
        raise ValueError(f"effect must be positive, not {effect}")
    return max(1, math.ceil((minimum_detectable(sd, 1, alpha, power) / effect) ** 2))
