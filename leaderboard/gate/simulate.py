"""The gate against itself: how often it stops an unchanged checkpoint, and how often it finds a loss.

Every repetition draws the items (their clusters) anew from the baseline's, with replacement, and for each item the
samples of both sides from the baseline's own samples of that item. An item's K samples so vary by (K − 1)/K of what
fresh ones would. Greedy answers have no spread of their own: there an answer flips from right to wrong and back in a
stated share of the items (`discordance`), as often either way. A loss of x pp turns right samples wrong, each with the
same chance, and makes answers x % longer. Everything else is the gate's own code: bounds, Holm, two looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluations import Evaluation, TaskEvaluation
from ..stats import generator, holm
from ..stats.valid import Array
from .bounds import bounds
from .config import Config, Metric
from .metrics import score

LOSSES = (0.0, 0.01, 0.02, 0.03, 0.05)
AT_ONCE = 2_000_000  # samples held in memory
WHOLE = "the whole gate"
FAIL, PASS, OPEN = 1, 0, 4


@dataclass(frozen=True)
class Rates:
    """How many of the repetitions failed and passed, at one true loss; the others were inconclusive."""

    loss: float
    failed: int
    passed: int
    repetitions: int


@dataclass(frozen=True)
class _Pool:
    """A task's baseline as arrays: samples (N, K), and the items of each cluster (C, S), −1 where there are fewer."""

    correct: Array
    strict: Array
    tokens: Array
    members: np.ndarray
    longest: float


@dataclass(frozen=True)
class _Look:
    """One look at one metric in all repetitions (R,)."""

    code: np.ndarray  # FAIL, PASS or OPEN, before Holm
    p_fail: Array  # times the number of looks
    floor: np.ndarray  # failed by its floor (or by rtol), which Holm has no part in


def simulate(config: Config, baseline: Evaluation, repetitions: int) -> dict[str, list[Rates]]:
    """Rates by metric and of the whole gate, for each of `LOSSES`; equal inputs give equal numbers.

    The baseline must hold every task of the config, complete (`checks.check`). ValueError for repetitions < 1.
    """
    if repetitions < 1:
        raise ValueError(f"repetitions must be at least 1, not {repetitions}")
    found: dict[str, list[Rates]] = {name: [] for name in (*(m.name for m in config.metrics), WHOLE)}
    pools = {metric.task: _pool(baseline.tasks[metric.task]) for metric in config.metrics}
    for loss in LOSSES:
        looks: dict[str, list[_Look]] = {}
        for task, pool in pools.items():
            rng = generator(f"gate {baseline.checkpoint['fingerprint']} {task} {loss} {repetitions}")
            metrics = [metric for metric in config.metrics if metric.task == task]
            sampled = baseline.tasks[task].protocol["temperature"] > 0
            looks |= _task(pool, metrics, config, loss, repetitions, rng, sampled)
        codes = _final(config.metrics, looks, config.alpha)
        for name, code in codes.items():
            failed, passed = int((code == FAIL).sum()), int((code == PASS).sum())
            found[name].append(Rates(loss, failed, passed, repetitions))
    return found


def _pool(task: TaskEvaluation) -> _Pool:
    items = sorted(task.items, key=lambda item: item.id)
    least = min(len(item.correct) for item in items)

    def samples(name: str) -> Array:
        return np.array([getattr(item, name)[:least] for item in items], dtype=np.float64)

    clusters: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        clusters.setdefault(item.unit, []).append(number)
    members = np.full((len(clusters), max(map(len, clusters.values()))), -1)
    for row, numbers in enumerate(clusters.values()):
        members[row, : len(numbers)] = numbers
    tokens = samples("tokens")
    return _Pool(samples("correct"), samples("strict"), tokens, members, max(task.protocol["max_tokens"], tokens.max()))


def _task(
    pool: _Pool,
    metrics: Sequence[Metric],
    config: Config,
    loss: float,
    repetitions: int,
    rng: np.random.Generator,
    sampled: bool,
) -> dict[str, list[_Look]]:
    """One look or two at each metric of one task, by its name."""
    held = pool.correct.shape[1]
    most = max(max(metric.max_k or metric.k or held, metric.least) for metric in metrics) if sampled else held
    chunk = max(1, AT_ONCE // (pool.members.size * (most + held)))
    parts: dict[str, list[list[_Look]]] = {}
    for first in range(0, repetitions, chunk):
        rows = min(chunk, repetitions - first)
        ours, theirs, there = _draw(pool, rows, most, loss, config.discordance, rng, sampled)
        for metric in metrics:
            sizes = [metric.k or held] + ([metric.max_k] if metric.max_k and sampled else [])
            seen = [_look(metric, pool, config, ours, theirs, there, k, len(sizes)) for k in sizes]
            parts.setdefault(metric.name, []).append(seen)
    return {
        name: [
            _Look(*(np.concatenate([getattr(one, f) for one in column]) for f in ("code", "p_fail", "floor")))
            for column in zip(*chunks, strict=True)
        ]
        for name, chunks in parts.items()
    }


Drawn = Mapping[str, Array]  # correct, strict, tokens: (R, C, S, K)


def _draw(
    pool: _Pool, rows: int, most: int, loss: float, discordance: float, rng: np.random.Generator, sampled: bool
) -> tuple[Drawn, Drawn, Array]:
    """Candidate, baseline and which places hold an item (R, C, S)."""
    clusters = len(pool.members)
    items = pool.members[rng.integers(clusters, size=(rows, clusters))]
    there = (items >= 0).astype(float)
    held, names = pool.correct.shape[1], ("correct", "strict", "tokens")

    def of(count: int) -> dict[str, Array]:
        if not sampled:
            return {name: getattr(pool, name)[items] for name in names}
        picks = rng.integers(held, size=(*items.shape, count))
        return {name: getattr(pool, name)[items[..., None], picks] for name in names}

    theirs, ours, accuracy = of(held), of(most), float(pool.correct.mean())
    if not sampled and 0 < accuracy < 1:
        right = ours["correct"] > 0.5
        flip = rng.random(right.shape) < np.where(right, discordance / 2 / accuracy, discordance / 2 / (1 - accuracy))
        others = pool.tokens[rng.integers(len(pool.tokens), size=items.shape)]
        ours["correct"] = np.where(flip, 1.0 - right, ours["correct"])
        ours["strict"] = np.where(flip, ours["correct"], ours["strict"])
        ours["tokens"] = np.where(flip, others, ours["tokens"])
    if loss:
        now = float(ours["correct"].mean())
        kept = rng.random(ours["correct"].shape) >= min(1.0, loss / now if now else 1.0)
        longer = np.minimum(ours["tokens"] * (1 + loss), pool.longest)
        ours = {"correct": ours["correct"] * kept, "strict": ours["strict"] * kept, "tokens": longer}
    return ours, theirs, there


def _look(
    metric: Metric, pool: _Pool, config: Config, ours: Drawn, theirs: Drawn, there: Array, samples: int, looks: int
) -> _Look:
    def scored(drawn: Drawn) -> Array:
        return score(metric.metric, *(drawn[name][..., :samples] for name in ("correct", "strict", "tokens")))

    ours_, theirs_, count = scored(ours), scored(theirs), there.sum((1, 2))
    base, cand = ((values * there).sum((1, 2)) / count for values in (theirs_, ours_))
    low = np.zeros(len(count), dtype=bool) if metric.min is None else cand < metric.min
    if metric.rtol is not None:
        bad = low | (metric.sign * cand < metric.sign * base * (1 - metric.sign * metric.rtol))
        return _Look(np.where(bad, FAIL, PASS), np.ones(len(count)), bad)
    change = metric.sign * (ours_ - theirs_)
    mean = (change * there).sum((1, 2)) / count
    clusters = there.shape[1]
    by_cluster = ((change - mean[:, None, None]) * there).sum(2) * (clusters / count)[:, None] + mean[:, None]
    largest, margin = 1.0, metric.delta
    if metric.metric == "response_tokens":
        largest, margin = pool.longest, metric.delta * float(pool.tokens.mean())
    span = largest * pool.members.shape[1] * clusters / float((pool.members >= 0).sum())
    found = bounds(by_cluster, margin, config.alpha / looks, max(span, largest), verdicts_only=True)
    code = np.where(low | (found.high < -margin), FAIL, np.where(found.low > -margin, PASS, OPEN))
    return _Look(code, np.minimum(1.0, looks * found.p_fail), low)


def _final(metrics: Sequence[Metric], looks: Mapping[str, Sequence[_Look]], alpha: float) -> dict[str, np.ndarray]:
    """The verdicts after Holm and second looks, by metric and of the whole gate."""
    codes = {metric.name: looks[metric.name][0].code for metric in metrics}
    p_fail = {metric.name: looks[metric.name][0].p_fail for metric in metrics}
    floor = {metric.name: looks[metric.name][0].floor for metric in metrics}
    codes = _after_holm(metrics, codes, p_fail, floor, alpha)
    again = _whole(metrics, codes) == OPEN
    for metric in metrics:
        if len(looks[metric.name]) == 2:
            name, second = metric.name, looks[metric.name][1]
            use = again & (codes[name] == OPEN)
            codes[name] = np.where(use, second.code, codes[name])
            p_fail[name] = np.where(use, np.minimum(second.p_fail, p_fail[name]), p_fail[name])
            floor[name] = np.where(use, second.floor, floor[name])
    codes = _after_holm(metrics, codes, p_fail, floor, alpha)
    return codes | {WHOLE: _whole(metrics, codes)}


def _after_holm(
    metrics: Sequence[Metric],
    codes: Mapping[str, np.ndarray],
    p_fail: Mapping[str, Array],
    floor: Mapping[str, np.ndarray],
    alpha: float,
) -> dict[str, np.ndarray]:
    family = [metric.name for metric in metrics if metric.gated and metric.rtol is None]
    found = dict(codes)
    if len(family) > 1:
        table = np.stack([p_fail[name] for name in family], axis=1)
        adjusted = np.array([holm(list(row)) if row.min() < alpha else row for row in table], dtype=np.float64)
        for column, name in enumerate(family):
            undone = (codes[name] == FAIL) & (adjusted[:, column] >= alpha) & ~floor[name]
            found[name] = np.where(undone, OPEN, codes[name])
    return found


def _whole(metrics: Sequence[Metric], codes: Mapping[str, np.ndarray]) -> np.ndarray:
    required = [codes[metric.name] for metric in metrics if metric.gated]
    if not required:
        return np.full(len(next(iter(codes.values()))), PASS)
    failed = np.any([code == FAIL for code in required], axis=0)
    return np.where(failed, FAIL, np.where(np.any([code == OPEN for code in required], axis=0), OPEN, PASS))
