"""An item's score in each metric, and the pairs of scores that two evaluations share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..evaluations import Item, TaskEvaluation
from ..stats import cluster_means, pass_at_k, pass_hat_k
from ..stats.valid import Array
from .config import OF_SAMPLES, Metric


@dataclass(frozen=True)
class Pairs:
    """Scores of the shared items, in order of their ids, in the metric's own unit."""

    ids: tuple[str, ...]
    base: Array  # (N,)
    cand: Array  # (N,)
    labels: Array  # (N,), of clusters, numbered as they first come
    samples: tuple[int, int]  # fewest of an item: baseline, candidate
    noise: float | None  # variance of one candidate sample about its item's mean; None where K = 1, or not a mean

    @property
    def clusters(self) -> int:
        """C, what was drawn independently."""
        return int(self.labels.max()) + 1

    def changes(self, sign: int) -> Array:
        """Candidate − baseline (C,), by cluster; sign −1 where less is better."""
        return cluster_means(sign * (self.cand - self.base), self.labels)

    def span(self, largest: float) -> float:
        """The most that one cluster's change can be, where an item's is at most `largest`."""
        return largest * float(np.bincount(self.labels.astype(int)).max()) * self.clusters / len(self.ids)


def score(metric: str, correct: ArrayLike, strict: ArrayLike, tokens: ArrayLike) -> Array:
    """Scores (…) of items from their samples (…, K). ValueError for pass@k and pass^k of fewer than k samples."""
    right = np.asarray(correct, dtype=np.float64)
    if metric == "accuracy":
        return right.mean(-1)
    if metric == "strict_accuracy":
        return np.asarray(strict, dtype=np.float64).mean(-1)
    if metric == "format_gap":
        return np.abs(right - np.asarray(strict, dtype=np.float64)).mean(-1)
    if metric == "response_tokens":
        return np.asarray(tokens, dtype=np.float64).mean(-1)
    found = OF_SAMPLES.fullmatch(metric)
    if not found:
        raise ValueError(f"unknown metric {metric!r}")
    of_samples = pass_at_k if found[1] == "@" else pass_hat_k
    return of_samples(right.sum(-1), right.shape[-1], int(found[2]))


def pair(metric: Metric, candidate: TaskEvaluation, baseline: TaskEvaluation, samples: int | None) -> Pairs:
    """The items that both hold, scored on their first `samples` (None: all). ValueError where there is none."""
    ours, theirs = by_id(candidate.items), by_id(baseline.items)
    ids = tuple(sorted(ours.keys() & theirs.keys()))
    if not ids:
        raise ValueError(f"{metric.name}: no item in common")
    numbers: dict[str, int] = {}
    labels = [numbers.setdefault(theirs[name].unit, len(numbers)) for name in ids]
    used = [min(samples or len(item.correct), len(item.correct)) for item in map(ours.__getitem__, ids)]
    return Pairs(
        ids=ids,
        base=np.array([_scored(metric.metric, theirs[name], samples) for name in ids]),
        cand=np.array([_scored(metric.metric, ours[name], samples) for name in ids]),
        labels=np.array(labels, dtype=np.float64),
        samples=(min(min(samples or 10**9, len(theirs[name].correct)) for name in ids), min(used)),
        noise=_noise(metric.metric, [ours[name] for name in ids], samples) if min(used) > 1 else None,
    )


def mean_score(metric: Metric, items: Sequence[Item]) -> float:
    """Mean over items, of the samples that are looked at first."""
    return float(np.mean([_scored(metric.metric, item, metric.k) for item in items]))


def by_id(items: Sequence[Item]) -> Mapping[str, Item]:
    """The items by their ids."""
    return {item.id: item for item in items}


def _scored(metric: str, item: Item, samples: int | None) -> float:
    correct, strict, tokens = (np.array(v[:samples], dtype=float) for v in (item.correct, item.strict, item.tokens))
    return float(score(metric, correct, strict, tokens))


def _noise(metric: str, items: Sequence[Item], samples: int | None) -> float | None:
    name = {"accuracy": "correct", "strict_accuracy": "strict", "response_tokens": "tokens"}.get(metric)
    if name is None:
        return None
    return float(np.mean([np.var(np.array(getattr(item, name)[:samples], dtype=float), ddof=1) for item in items]))
