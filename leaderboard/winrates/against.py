"""One algorithm against another: directly, or each against the same baseline; over items and training seeds.

Seeds are paired r ↔ r, items by their id, and the error is that of both (`stats.crossed`), the pairs of a cluster
counting as one. A direct comparison tests whether the candidate's share is ½; it has far more power than the difference
of two win rates against a baseline, and neither floor nor ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ..records import LeaderboardError
from ..scores import Scores
from ..stats import Estimate, mcnemar, sign_flip
from ..stats.valid import Array
from ..verdicts import Judged
from .pairs import read_pairs

ONE = 0  # stands for the seed of what has none

Values = Callable[[Judged], tuple[Sequence[str], ArrayLike, Sequence[str]]]  # ids, a value each (NaN: none), clusters


@dataclass(frozen=True)
class HeadToHead:
    """A candidate against an opponent, shares in [0, 1]."""

    win_rate: float  # mean over seeds and pairs
    over_half: Estimate  # the win rate less ½, over seeds and items: its interval, and its p for two seeds or more
    by_seed: Mapping[int, float]
    wins: int  # pairs, of all seeds together
    ties: int
    losses: int
    p_items: float  # sign flips of the pairs' shares less ½: of these checkpoints, not of the algorithms
    p_signs: float  # exact test of wins against losses, ties left out: likewise

    @property
    def low(self) -> float | None:
        """Lower end of the win rate's 95 % interval."""
        return None if self.over_half.low is None else self.over_half.low + 0.5

    @property
    def high(self) -> float | None:
        """Upper end."""
        return None if self.over_half.high is None else self.over_half.high + 0.5


def shares(judged: Judged) -> tuple[Sequence[str], Array, Sequence[str]]:
    """Each pair's share."""
    found = read_pairs(judged)
    return found.ids, found.share, found.clusters


def by_seed(judged: Sequence[Judged], values: Values = shares) -> Scores:
    """Values (R, N) of one row's seeds, over the items that have a value in all of them, in sorted order.

    LeaderboardError where a seed comes twice, or where no item has a value in all.
    """
    seeds = [ONE if one.record.candidate.seed is None else one.record.candidate.seed for one in judged]
    if len(set(seeds)) < len(seeds) or not seeds:
        who = judged[0].title if judged else "no verdicts"
        raise LeaderboardError(f"{who}: seeds {seeds}; expected at least one, and each once")
    tables = []
    labels: dict[str, str] = {}
    for one in judged:
        ids, found, clusters = values(one)
        tables.append({name: value for name, value in zip(ids, _list(found), strict=True) if np.isfinite(value)})
        labels |= dict(zip(ids, clusters, strict=True))
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    if not shared:
        raise LeaderboardError(f"{judged[0].title}: no pair has a verdict in every seed")
    order = sorted(range(len(seeds)), key=lambda n: seeds[n])
    matrix = np.array([[tables[n][name] for name in shared] for n in order])
    return Scores(tuple(seeds[n] for n in order), matrix, tuple(shared), tuple(labels[name] for name in shared))


def less(one: Scores, other: Scores) -> Scores | None:
    """The difference on the items that both have, paired by seed; None where they share no seed or no item."""
    if one.items is None or other.items is None:
        return None
    shared = [name for name in one.items if name in set(other.items)]
    if not shared:
        return None
    return _on(one, shared).less(_on(other, shared))


def head_to_head(judged: Sequence[Judged], content: str = "") -> HeadToHead:
    """A row's seeds against an opponent's, each with the same seed; `content` seeds the permutations.

    LeaderboardError as in `by_seed`, and where of several a seed meets another seed. One comparison alone may be of any
    two checkpoints.
    """
    for one in judged if len(judged) > 1 else ():
        mine, theirs = one.record.candidate.seed, one.record.opponent.seed
        if theirs is not None and mine != theirs:
            raise LeaderboardError(f"{one.title}: seed {mine} against seed {theirs}; expected equal ones")
    found = by_seed(judged)
    half = replace(found, values=found.values - 0.5)
    counts = [read_pairs(one) for one in judged]
    wins, losses = sum(c.wins for c in counts), sum(c.losses for c in counts)
    return HeadToHead(
        win_rate=float(found.values.mean()),
        over_half=half.estimate,
        by_seed=found.by_seed,
        wins=wins,
        ties=sum(c.ties for c in counts),
        losses=losses,
        p_items=sign_flip(_by_cluster(half), content or judged[0].title),
        p_signs=mcnemar(wins, losses),
    )


def _by_cluster(found: Scores) -> Array:
    """Sums over seeds and the items of a cluster: these flip their signs together."""
    _, member = np.unique(np.asarray(found.clusters or found.items), return_inverse=True)
    return np.bincount(member, found.values.sum(axis=0)).astype(np.float64)


def _on(found: Scores, items: Sequence[str]) -> Scores:
    assert found.items is not None
    place = {name: n for n, name in enumerate(found.items)}
    columns = [place[name] for name in items]
    clusters = None if found.clusters is None else tuple(found.clusters[n] for n in columns)
    return Scores(found.seeds, found.values[:, columns], tuple(items), clusters)


def _list(values: ArrayLike) -> list[float]:
    return [float(value) for value in np.asarray(values)]
