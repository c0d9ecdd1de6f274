"""Ranks that are shared where nothing separates: every pair of rows tested, Holm over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from .scores import Scores
from .stats import holm, ranks

ALPHA = 0.05


@dataclass(frozen=True)
class Ranking:
    """All pairs of ranked rows, tested; by the rows' names."""

    rank: Mapping[str, int]  # 1 + the number of rows that are significantly better; shared
    best: frozenset[str]  # the best, and the rows that were compared with it and are not significantly worse
    pairs: int  # of ranked rows
    tests: int  # of those pairs: Holm's family. The others share too few seeds, or agree exactly
    better: frozenset[tuple[str, str]] = frozenset()  # (a, b): a is significantly better than b
    adjusted: Mapping[tuple[str, str], float] = field(default_factory=dict)  # p after Holm, of each test, either way


def rank_all(names: Sequence[str], scores: Sequence[Scores], less: Callable[[int, int], Scores | None]) -> Ranking:
    """Rows with two seeds or more; `less(a, b)` is row a minus row b, paired, None where they share nothing."""
    if len(names) < 2:
        return Ranking({}, frozenset(), 0, 0)
    every = list(combinations(range(len(names)), 2))
    found = {(a, b): less(a, b) for a, b in every}
    tested = {pair: one.estimate for pair, one in found.items() if one is not None and len(one.seeds) > 1}
    adjusted = holm([estimate.p for estimate in tested.values()])
    better = {
        (a, b) if estimate.mean > 0 else (b, a)
        for ((a, b), estimate), p in zip(tested.items(), adjusted, strict=True)
        if p is not None and p < ALPHA
    }
    best = max(range(len(names)), key=lambda n: scores[n].values.mean())
    compared = {n for pair in tested if best in pair for n in pair} | {best}
    return Ranking(
        rank=dict(zip(names, ranks(len(names), better), strict=True)),
        best=frozenset(names[n] for n in compared if (best, n) not in better),
        pairs=len(every),
        tests=sum(p is not None for p in adjusted),
        better=frozenset((names[a], names[b]) for a, b in better),
        adjusted={
            pair: p
            for (a, b), p in zip(tested, adjusted, strict=True)
            if p is not None
            for pair in ((names[a], names[b]), (names[b], names[a]))
        },
    )
