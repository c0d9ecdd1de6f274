"""Arena-Hard's score: the weighted mean over games, with an interval over questions.

From the candidate's view a game counts 1, ½ or 0 once, and a "much better" three times (`GameRecord.weight`). All
battles share one baseline, a star, on which the Bradley-Terry likelihood falls apart by model: its maximum gives the
win rate Σ weight·score / Σ weight exactly, so no model is fitted (`bradley_terry` does where style is controlled).

Policies differ in what is dropped and in the interval:

    ours           games without a verdict dropped; questions resampled (2,000 draws), 95 %
    upstream-v0.1  the same games; battles, exploded by weight, resampled (100 draws), 95 %
    upstream-v2    both games of a question dropped where one has no verdict; battles resampled (100 draws), 90 %

A question's two games and a verdict's three copies are not independent: upstream's intervals are about half as wide as
they should be, and stand beside ours for comparison only. Upstream draws without a seed (v2; and reports the mean of
its draws as the score) or with one of a global generator (v0.1): its intervals are met within the noise of 100 draws.

Source: lmarena/arena-hard-auto, show_result.py and utils_math.py at 0489bf3 (v0.1), show_result.py at 196f6b8 (v2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..records import LeaderboardError
from ..stats import generator
from ..stats.valid import Array, share
from ..verdicts import Judged

DRAWS, CHUNK = 2000, 250


@dataclass(frozen=True)
class Policy:
    """What is dropped, what is resampled, and how often."""

    drop: Literal["game", "question"]
    unit: Literal["question", "battle"]
    draws: int
    confidence: float


POLICIES: Mapping[str, Policy] = {
    "ours": Policy("game", "question", DRAWS, 0.95),
    "upstream-v0.1": Policy("game", "battle", 100, 0.95),
    "upstream-v2": Policy("question", "battle", 100, 0.90),
}


@dataclass(frozen=True, eq=False)
class Battles:
    """Games that have a verdict, from the candidate's view."""

    question: np.ndarray  # (N,) what is drawn together
    score: Array  # (N,) in [0, 1]
    weight: Array  # (N,) how often it counts
    row: np.ndarray  # (N,) of the pair, counted from 0

    def __post_init__(self) -> None:
        shapes = {part.shape for part in (self.question, self.score, self.weight, self.row)}
        if len(shapes) > 1 or not self.score.size:
            raise ValueError(f"battles need one value each of question, score, weight and row, not {sorted(shapes)}")
        if self.score.min() < 0 or self.score.max() > 1 or self.weight.min() <= 0:
            raise ValueError("scores must lie in [0, 1] and weights be positive")


@dataclass(frozen=True)
class Score:
    """A score and its percentile interval, in [0, 1]."""

    score: float
    low: float
    high: float
    se: float
    confidence: float
    questions: int
    games: int


def battles(question: Sequence[str] | ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Battles:
    """Battles from arrays (N,), a pair being a question. ValueError where they do not fit."""
    scores, names = np.asarray(score, dtype=np.float64), np.asarray(question)
    weights = np.ones_like(scores) if weight is None else np.asarray(weight, dtype=np.float64)
    return Battles(names, scores, weights, np.unique(names, return_inverse=True)[1])


def of_judged(judged: Judged, policy: str = "ours") -> Battles:
    """The battles that a policy counts. LeaderboardError where none has a verdict, or for an unknown policy.

    Identical answers are a tie in each order that the other pairs were judged in.
    """
    drop = of_name(policy).drop
    both = any(len(games) > 1 for games in judged.by_pair.values())
    found = []
    for row, pair in enumerate(judged.pairs):
        games = judged.by_pair[pair.id]
        if drop == "question" and any(game.score is None for game in games):
            continue
        for game in games:
            copies = 2 if game.status == "same" and both and len(games) == 1 else 1
            if game.score is not None:
                found += [(pair.unit, game.score, game.weight, row)] * copies
    if not found:
        raise LeaderboardError(f"{judged.title}: no game has a verdict")
    names, scores, weights, rows = zip(*found, strict=True)
    return Battles(np.array(names), np.array(scores), np.array(weights, dtype=np.float64), np.array(rows))


def of_name(policy: str) -> Policy:
    """The policy of that name. LeaderboardError that lists them."""
    if policy not in POLICIES:
        raise LeaderboardError(f"Arena-Hard policy {policy!r}: expected one of {', '.join(POLICIES)}")
    return POLICIES[policy]


def score(found: Battles, policy: str, content: str) -> Score:
    """The score of battles under a policy; its interval is seeded by `content`.

    Where all questions agree the interval has no width, whatever there is to be known: a Wilson interval of the table
    (`stats.of_shares`) stands in for it there.
    """
    rule = of_name(policy)
    if rule.unit == "question":
        member = np.unique(found.question, return_inverse=True)[1]
        points = _sums(member, found.weight * found.score)
        weights = _sums(member, found.weight)
    else:
        copies = found.weight.astype(int)
        points, weights = np.repeat(found.score, copies), np.ones(int(copies.sum()))
    drawn = _ratios(points, weights, content, rule.draws)
    tail = (1 - share(rule.confidence, "confidence")) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Score(
        score=float(points.sum() / weights.sum()),
        low=float(low),
        high=float(high),
        se=float(drawn.std(ddof=1)),
        confidence=rule.confidence,
        questions=len(np.unique(found.question)),
        games=len(found.score),
    )


def _ratios(points: Array, weights: Array, content: str, draws: int) -> Array:
    """(draws,) Σ points / Σ weights of units drawn with replacement."""
    rng, n, parts = generator(content), len(points), []
    for first in range(0, draws, CHUNK):
        drawn = rng.integers(n, size=(min(CHUNK, draws - first), n))
        parts.append(points[drawn].sum(1) / weights[drawn].sum(1))
    return np.concatenate(parts)


def _sums(member: np.ndarray, values: Array) -> Array:
    return np.bincount(member, values).astype(np.float64)


def question_values(found: Battles) -> tuple[np.ndarray, Array]:
    """Questions in sorted order (Q,), and of each the linearised value of the score (Q,): a mean over questions.

    u_q = s + Q·(P_q − s·W_q)/ΣW with a question's points P and weights W: the mean of u is s, and its error that of the
    ratio, to first order. So differences of scores are paired by seed and question like those of any mean. Source: the
    ratio estimator, W. G. Cochran, "Sampling Techniques", 1977, chapter 6.
    """
    names, member = np.unique(found.question, return_inverse=True)
    points, weights = _sums(member, found.weight * found.score), _sums(member, found.weight)
    whole = points.sum() / weights.sum()
    return names, whole + len(names) * (points - whole * weights) / weights.sum()
