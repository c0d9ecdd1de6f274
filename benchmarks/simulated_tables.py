"""Simulated evaluations: what coverage_and_power.py and the slow tests of tests/leaderboard/stats measure on.

An answer is right with probability expit(item + algorithm + algorithm × item + run + run × item), all but the
algorithm's own level normal, the item's difficulty shared by the algorithms: most items are nearly always right or
nearly always wrong, as on GSM8K. The truth is then an integral over one normal variable, and no simulation. Seeds and
items are both new in every repetition.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, expit, gammaincinv, ndtr

from leaderboard.claims.claim import Compared
from leaderboard.claims.deciding import decide, overall
from leaderboard.stats import (
    AGREEMENT,
    Part,
    crossed,
    generator,
    half_widths,
    profile_band,
    time_to_target,
    variances,
)
from leaderboard.stats.quantiles import t_quantile

Array = NDArray[np.float64]
RUNS = (3, 5, 10)
ITEMS = (30, 200, 1319)
SEED_PP = (0.0, 0.2, 1.0, 3.0, 10.0)
# (algorithm × item, run × item, samples, whether a gain): from no item effect to a dominant one, as for the interaction
KINDS = {
    "A − B, noise only, K = 1": (0.0, 0.5, 1, False),
    "A − B, K = 1": (0.5, 0.5, 1, False),
    "A − B, strong item effect, K = 1": (2.0, 0.5, 1, False),
    "A − B, strong interaction, K = 1": (0.5, 3.0, 1, False),
    "A − B, noise only, K = 4": (0.0, 0.5, 4, False),
    "A − B, strong item effect, K = 4": (2.0, 0.5, 4, False),
    "final − start, K = 1": (1.0, 1.0, 1, True),
    "final − start, K = 4": (0.5, 0.5, 4, True),
}


@dataclass(frozen=True)
class World:
    """Standard deviations in logits, but the seeds', which is that of a difference's accuracy, in percentage points."""

    seed_pp: float = 1.0
    algorithm_item: float = 0.5
    run_item: float = 0.5
    samples: int = 1
    gain: bool = False  # final − start, the start the same outcomes for all seeds; else A − B, paired by seed and item
    level: float = 0.5
    difficulty: float = 2.0
    shift: float = 0.0  # of A over B, or of the final over the start

    @cached_property
    def run(self) -> float:
        """The seeds' standard deviation in logits, of one algorithm."""
        one = self.seed_pp / 100 / (1 if self.gain else math.sqrt(2))
        slope = (self.accuracy(self.level + 0.01, 0.0) - self.accuracy(self.level - 0.01, 0.0)) / 0.02
        return one / slope

    def accuracy(self, level: float, run: float) -> float:
        """E expit(level + all effects), by Gauss-Hermite quadrature."""
        sd = math.sqrt(self.difficulty**2 + self.algorithm_item**2 + self.run_item**2 + run**2)
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        return float(expit(level + sd * nodes) @ weights / weights.sum())

    @cached_property
    def truth(self) -> float:
        """The expected difference or gain."""
        start = replace(self, algorithm_item=0.0, run_item=0.0) if self.gain else self
        return self.accuracy(self.level + self.shift, self.run) - start.accuracy(
            self.level, 0.0 if self.gain else self.run
        )

    def planted(self, effect: float) -> World:
        """The same world with A better by `effect`, an accuracy difference."""
        low, high = 0.0, 8.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if replace(self, shift=middle).truth > effect else (middle, high)
        return replace(self, shift=high)


# What power is stated for: each algorithm's accuracy has 1 pp standard deviation over seeds, 4 samples an item.
STATED = World(seed_pp=math.sqrt(2), samples=4)
EQUALS = {
    "the same algorithm five times": World(algorithm_item=0.0),
    "equal on average, each with strengths of its own": World(seed_pp=0.2, algorithm_item=2.0),
}
EDGES = {  # where no interval of this kind can be right: nearly all items agree
    "0.3 % right, A − B": World(0.2, 0.2, level=-8.0),
    "4 % right, A − B": World(1.0, level=-5.0),
    "from 89 % to 97 %, final − start": World(1.0, gain=True, level=3.0, shift=2.0, difficulty=1.5),
}
CONTRASTS = {  # with the items' share of the variance of 3 seeds on 200 items
    "items add nothing": World(seed_pp=3.0, algorithm_item=0.0),
    "items add an eighth": World(seed_pp=3.0, samples=4),
    "items dominate (6/7)": World(seed_pp=0.0, algorithm_item=2.0, samples=4),
}


def answers(world: World, logits: Array, rng: np.random.Generator) -> Array:
    """Mean of K samples each."""
    p = expit(logits)
    rights = sum((rng.random(p.shape, dtype=np.float32) < p).astype(np.float32) for _ in range(world.samples))
    return np.asarray(rights, dtype=np.float64) / world.samples


def finals(
    world: World, shifts: Sequence[float], shape: tuple[int, int, int], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Logits of the items (repetitions, 1, N), and outcomes (algorithms, repetitions, R, N), one algorithm a shift."""
    repetitions, runs, items = shape

    def normal(sd: float, *size: int) -> Array:
        return sd * rng.standard_normal(size, dtype=np.float32)

    base = world.level + normal(world.difficulty, repetitions, 1, items)
    outcomes = [
        answers(
            world,
            base
            + shift
            + normal(world.algorithm_item, repetitions, 1, items)
            + normal(world.run, repetitions, runs, 1)
            + normal(world.run_item, *shape),
            rng,
        )
        for shift in shifts
    ]
    return base, np.stack(outcomes)


def differences(world: World, repetitions: int, runs: int, items: int, content: str) -> Iterator[Array]:
    """Chunks (…, R, N) of the outcomes that an interval is made of."""
    rng, chunk = generator(content), max(1, 100_000 // (runs * items))
    for first in range(0, repetitions, chunk):
        shape = (min(chunk, repetitions - first), runs, items)
        if world.gain:
            base, (final,) = finals(world, [world.shift], shape, rng)
            yield final - answers(world, base, rng)
        else:
            _, (a, b) = finals(world, [world.shift, 0.0], shape, rng)
            yield a - b


def ours(seed: Array, item: Array, runs: int, items: int, confidence: float = 0.95) -> Array:
    """The package's half widths."""
    return half_widths([(seed, runs - 1), (item, items - 1)], confidence)


def plain(seed: Array, item: Array, runs: int, items: int) -> Array:
    """t_{R−1} on both sources."""
    return t_quantile(runs - 1, 0.975) * np.sqrt(seed + item)


def satterthwaite(seed: Array, item: Array, runs: int, items: int) -> Array:
    """One t on both sources, with Satterthwaite's degrees of freedom."""
    from scipy.special import stdtrit

    with np.errstate(invalid="ignore"):
        df = (seed + item) ** 2 / (seed**2 / (runs - 1) + item**2 / (items - 1))
    return np.where(seed + item > 0, stdtrit(np.nan_to_num(df, nan=1.0), 0.975), 0) * np.sqrt(seed + item)


METHODS = {"ours": ours, "t with R − 1": plain, "Satterthwaite": satterthwaite}


def coverage(
    world: World, repetitions: int, methods: Sequence[str] = ("ours",), sizes: Sequence[int] = ITEMS
) -> dict[tuple[str, int, int], float]:
    """Share of 95 % intervals that hold the truth, by method, seeds and items; a quarter of them for 1319 items.

    Smaller tables are the first seeds and items of larger ones.
    """
    found = {}
    for nested in ([n for n in sizes if n < 1000], [n for n in sizes if n >= 1000]):
        if not nested:
            continue
        total = repetitions if max(nested) < 1000 else repetitions // 4
        hits = dict.fromkeys(itertools.product(methods, RUNS, nested), 0)
        for chunk in differences(world, total, max(RUNS), max(nested), f"coverage {world}"):
            for runs, items in itertools.product(RUNS, nested):
                mean, seed, item = variances(chunk[:, :runs, :items])
                for name in methods:
                    inside = np.abs(mean - world.truth) <= METHODS[name](seed, item, runs, items) + 1e-12
                    hits[name, runs, items] += int(inside.sum())
        found |= {key: hit / total for key, hit in hits.items()}
    return found


def worlds() -> dict[tuple[str, float], World]:
    """The grid: every kind at every standard deviation of the seeds."""
    return {
        (kind, pp): World(pp, *settings, shift=1.5 if settings[-1] else 0.0)
        for kind, settings in KINDS.items()
        for pp in SEED_PP
    }


def normal_coverage(runs: int, items: int, parts: tuple[float, float, float], draws: int = 20_000) -> dict[str, float]:
    """Of normal data with variances (seed, item, residual): mean squares are χ², the mean is independent of them."""
    rng, (seed, item, residual) = generator(f"normal {runs} {items} {parts}"), parts

    def square(expected: float, df: int) -> Array:
        return expected * 2 / df * gammaincinv(df / 2, rng.random(draws))

    seed_square = square(residual + items * seed, runs - 1)
    item_square = square(residual + runs * item, items - 1)
    gain = item_square - square(residual, (runs - 1) * (items - 1))
    found = seed_square / (runs * items), np.maximum(0, gain) / (runs * items)
    variance = seed / runs + item / items + residual / (runs * items)
    return {name: float(chdtr(1, half(*found, runs, items) ** 2 / variance).mean()) for name, half in METHODS.items()}


def pooled_coverage(runs: int, shares: Sequence[float], draws: int = 5000) -> float:
    """Of a macro gain over tasks with these shares of the variance, all of it the seeds', in normal data."""
    squares = 2 / (runs - 1) * gammaincinv((runs - 1) / 2, generator(f"pool {runs}").random((draws, len(shares))))
    inside = 0.0
    for row in squares * shares:
        both = Part.pooled(Part(float(variance), runs - 1) for variance in row)
        assert both is not None
        inside += float(chdtr(1, half_widths([(both.variance, both.df)]) ** 2 / sum(shares)))
    return inside / draws


def false_stars(world: World, runs: int, items: int, tables: int, algorithms: int = 5) -> tuple[float, float]:
    """Share of tables of equal algorithms with any star after Holm: against the first, and among all pairs.

    Any star: the smallest p is below 0.05 over the family's size.
    """
    rng, chunk = generator(f"A/A {world} {runs} {items}"), max(1, 50_000 // (runs * items))
    pairs = list(itertools.combinations(range(algorithms), 2))
    any_reference = any_pair = 0
    for first in range(0, tables, chunk):
        shape = (min(chunk, tables - first), runs, items)
        _, y = finals(world, [0.0] * algorithms, shape, rng)
        for family in (pairs[: algorithms - 1], pairs):
            star = np.zeros(shape[0], dtype=bool)
            for a, b in family:
                mean, seed, item = variances(y[a] - y[b])
                agree = np.sqrt(seed) < AGREEMENT
                star |= ~agree & (np.abs(mean) > ours(seed, item, runs, items, 1 - 0.05 / len(family)))
            if len(family) < len(pairs):
                any_reference += int(star.sum())
            else:
                any_pair += int(star.sum())
    return any_reference / tables, any_pair / tables


def power(world: World, effect: float, runs: int, items: int, repetitions: int, family: int = 1) -> float:
    """Share of repetitions in which a planted difference is significant at 0.05 over `family`, and has its sign."""
    planted, found = world.planted(effect), 0
    for chunk in differences(planted, repetitions, runs, items, f"power {planted} {runs} {items}"):
        mean, seed, item = variances(chunk)
        found += int((mean > ours(seed, item, runs, items, 1 - 0.05 / family)).sum())
    return found / repetitions


def verdicts(world: World, effect: float, runs: int, items: int, tables: int, others: int = 3) -> dict[str, float]:
    """Of tables of one algorithm, better by `effect`, and equal others, each held to the claim that it beats them all:
    the shares in which the claim is supported or refuted, and in which one of its comparisons, `any`, has a verdict.
    """
    shifts = [world.planted(effect).shift if effect else 0.0, *[0.0] * others]
    rng, counts = (
        generator(f"verdicts {world} {effect} {runs} {items}"),
        dict.fromkeys(("supported", "refuted", "any"), 0),
    )
    for _ in range(tables):
        _, (row, *rest) = finals(world, shifts, (1, runs, items), rng)
        compared = [Compared(str(n), "", crossed(row[0] - other[0])) for n, other in enumerate(rest)]
        decisions = decide(compared)
        found = {one.verdict for one in decisions} & {"supported", "refuted"}
        counts["any"] += bool(found)
        whole = overall(compared, decisions).verdict
        if whole in counts:
            counts[whole] += 1
    return {name: count / tables for name, count in counts.items()}


def crossing_times(items: int, repetitions: int, every: int = 20, steps: int = 400) -> tuple[float, float, float]:
    """True, mean raw and mean smoothed-and-sustained time to 0.9 of the gain of a run evaluated on `items` questions.

    Accuracy rises from 0.30 to 0.70 as 1 − exp(−steps/80); raw is the first evaluation at or above the target,
    interpolated from the one before.
    """
    rng, x = generator(f"crossing {items}"), np.arange(0.0, steps + 1, every)
    curve, target = 0.3 + 0.4 * (1 - np.exp(-x / 80)), 0.3 + 0.4 * 0.9
    raw, ours = [], []
    for y in rng.binomial(items, curve, size=(repetitions, len(x))) / items:
        if (y >= target).any() and math.isfinite(time := time_to_target(x, y, target)):
            k = int(np.argmax(y >= target))
            raw.append(x[k - 1] + (target - y[k - 1]) / (y[k] - y[k - 1]) * every)
            ours.append(time)
    return 80 * math.log(10), float(np.mean(raw)), float(np.mean(ours))


def bootstrap_coverage(runs: int, repetitions: int, draws: int = 1000) -> float:
    """Of the percentile bootstrap of a mean of normal seeds."""
    rng = generator(f"bootstrap {runs}")
    values = rng.standard_normal((repetitions, runs))
    means = np.stack([values[:, rng.integers(runs, size=runs)].mean(1) for _ in range(draws)])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return float(((low <= 0) & (high >= 0)).mean())


def profile_coverage(runs: int, tasks: int, apart: float, repetitions: int) -> float:
    """Of the pointwise band of a performance profile, mean over the τ at which a tenth to nine tenths are above.

    Normal runs of standard deviation 1; the tasks' means lie evenly, `apart` from one to the next.
    """
    means, rng = apart * np.arange(tasks), generator(f"profile {runs} {tasks} {apart}")
    taus = np.linspace(-2, means[-1] + 2, 41)
    truth = ndtr(means[:, None] - taus).mean(0)
    inner = (truth >= 0.1) & (truth <= 0.9)
    taus, truth, held = taus[inner], truth[inner], 0.0
    for _ in range(repetitions):
        low, high = profile_band(means + rng.standard_normal((runs, tasks)), taus)
        held += float(((low <= truth) & (truth <= high)).mean())
    return held / repetitions
