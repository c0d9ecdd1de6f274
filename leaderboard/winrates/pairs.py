"""From games to pairs: the candidate's share of each, how the judge behaved, and whether it may be published.

A pair's share is the mean of its games' scores: with both orders, 1 for a consistent win, ¾ for a win and a tie, ½ for
one each; for probabilities ½(p_AB + p_BA). A game without a verdict is left out of it and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..stats import AGREEMENT, Estimate, over_items
from ..stats.valid import Array
from ..verdicts import GameRecord, Judged

CONSISTENCY, FIRST, UNREAD, REFUSED, MASS = 0.75, 0.10, 0.02, 0.05, 0.5  # the limits; see `notices`


@dataclass(frozen=True)
class Notice:
    """Something that a reader must know, or (`refuse`) that forbids a number."""

    kind: Literal["consistency", "first", "mass", "invalid", "failed"]
    value: float  # in [0, 1]
    limit: float
    refuse: bool

    @property
    def words(self) -> str:
        """For people."""
        said = {
            "consistency": "of the pairs have the same winner in both orders; expected at least",
            "first": "of the points go to the answer shown first; expected within 10 points of",
            "mass": "of the judge's probability is on the two labels, on average; expected at least",
            "invalid": "of the replies could not be read; allowed up to",
            "failed": "of the games have no verdict; allowed up to",
        }[self.kind]
        return f"{100 * self.value:.1f} % {said} {100 * self.limit:g} %"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Verdicts by pair, and the judge's conduct. Rates are in [0, 1], None where nothing shows them."""

    ids: tuple[str, ...]
    share: Array  # (N,) the candidate's, NaN where no game of the pair was read
    clusters: tuple[str, ...]
    consistency: float | None  # pairs with the same winner in both orders, a tie agreeing with a tie
    first_rate: float | None  # the first answer's share of the points, over pairs read in both orders
    tie_rate: float | None  # of the games that the judge answered
    invalid_rate: float  # unreadable, of the replies
    failure_rate: float  # without any verdict (unreadable, failed, never asked), of the games that there should be
    double_wins: int  # pairs that the candidate won in both orders
    games: int  # that the judge was asked and answered readably
    pessimistic: float  # the win rate if every game without a verdict were lost
    optimistic: float  # and if it were won
    mass: float | None  # mean probability of the two labels together; None where no log-probabilities were read
    flags: Mapping[str, int]  # pairs by flag of the candidate's answer
    opponent_flags: Mapping[str, int]

    @property
    def n(self) -> int:
        """Pairs that have a share."""
        return int(np.isfinite(self.share).sum())

    @property
    def wins(self) -> int:
        """Pairs of which the candidate has more than half."""
        return int((self.share > 0.5).sum())

    @property
    def ties(self) -> int:
        """Pairs of which it has exactly half."""
        return int((self.share == 0.5).sum())

    @property
    def losses(self) -> int:
        """Pairs of which it has less than half."""
        return int((self.share < 0.5).sum())

    @property
    def discrete(self) -> float | None:
        """(wins + ½ ties) / n."""
        return (self.wins + self.ties / 2) / self.n if self.n else None

    @property
    def estimate(self) -> Estimate | None:
        """The mean share, with the error of its pairs by cluster; None where none was read."""
        known = np.isfinite(self.share)
        if not known.any():
            return None
        return over_items(self.share[known], np.asarray(self.clusters)[known])

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Warnings and refusals.

        Warned of: consistency below 0.75, a first-answer rate off ½ by more than 0.10, a judge that gives less than
        half of its probability to the labels that it was asked for, more than 2 % of the replies
        unreadable, or of the games without a verdict. Refused: more than 5 % of either.
        """
        found = []
        if self.consistency is not None and self.consistency < CONSISTENCY:
            found.append(Notice("consistency", self.consistency, CONSISTENCY, False))
        if self.first_rate is not None and abs(self.first_rate - 0.5) > FIRST + 1e-12:
            found.append(Notice("first", self.first_rate, 0.5, False))
        if self.mass is not None and self.mass < MASS:
            found.append(Notice("mass", self.mass, MASS, False))
        rates: tuple[tuple[Literal["invalid", "failed"], float], ...] = (
            ("invalid", self.invalid_rate), ("failed", self.failure_rate),
        )  # fmt: skip
        for kind, rate in rates:
            if rate > UNREAD:
                found.append(Notice(kind, rate, REFUSED if rate > REFUSED else UNREAD, rate > REFUSED))
        return tuple(found)

    @property
    def refused(self) -> str | None:
        """Why there must be no number; None where there may be one."""
        if not self.n:
            return "no game has a verdict"
        return next((notice.words for notice in self.notices if notice.refuse), None)


def read_pairs(judged: Judged) -> Pairs:
    """All pairs that the record names, judged or not. A pair without games counts as games without a verdict.

    How many games a pair should have: two where any pair has two, else one. Identical answers need none.
    """
    names, by_pair = tuple(judged.record.pairs), judged.by_pair
    orders = max([1, *(len(games) for games in by_pair.values())])
    share, low, high = (
        np.array(part) for part in zip(*(_share(by_pair.get(n, ()), orders) for n in names), strict=True)
    )
    asked = [game for game in judged.games if game.status != "same"]
    scores = [game.score for game in asked if game.score is not None]
    invalid = sum(game.status == "invalid" for game in asked)
    identical = {game.id for game in judged.games if game.status == "same"}
    expected = sum(max(len(by_pair.get(name, ())), orders) for name in names if name not in identical)
    both = [found for games in by_pair.values() if len(found := _read(games)) == 2]
    clusters = {pair.id: pair.unit for pair in judged.pairs}
    flags, theirs = (
        Counter(flag for pair in judged.pairs for flag in getattr(pair, side)) for side in ("flags", "opponent_flags")
    )
    return Pairs(
        ids=names,
        share=share,
        clusters=tuple(clusters.get(name, name) for name in names),
        consistency=_mean([consistent(a, b) for a, b in both]),
        first_rate=_mean([first_share(a, b) for a, b in both]),
        tie_rate=_mean([score == 0.5 for score in scores]),
        invalid_rate=invalid / (len(scores) + invalid) if scores or invalid else 0.0,
        failure_rate=(expected - len(scores)) / expected if expected else 0.0,
        double_wins=sum(a > 0.5 and b > 0.5 for a, b in both),
        games=len(scores),
        pessimistic=float(low.mean()),
        optimistic=float(high.mean()),
        mass=_mean([game.mass for game in asked if game.mass is not None]),
        flags=dict(sorted(flags.items())),
        opponent_flags=dict(sorted(theirs.items())),
    )


def consistent(first: float, second: float) -> bool:
    """Whether both games of a pair have the same winner, a tie agreeing with a tie.

    The candidate's scores, of the game in which it was shown first and of the other.
    """
    return bool(np.sign(first - 0.5) == np.sign(second - 0.5))


def first_share(first: float, second: float) -> float:
    """What the answer shown first got of the two games' points, in [0, 1]; scores as in `consistent`."""
    return (first + 1 - second) / 2


def _share(games: Sequence[GameRecord], orders: int) -> tuple[float, float, float]:
    """A pair's share, and what it were if all games without a verdict were lost, or won."""
    scores = [game.score for game in games if game.score is not None]
    identical = any(game.status == "same" for game in games)
    expected, total = len(scores) if identical else max(len(games), orders), sum(scores)
    share = total / len(scores) if scores else np.nan
    # A judge that goes by the place alone gives p and 1 − p: a tie, also in floating point.
    share = 0.5 if abs(share - 0.5) < AGREEMENT else share
    return share, total / expected, (total + expected - len(scores)) / expected


def _read(games: Sequence[GameRecord]) -> list[float]:
    """The scores of a pair that the judge gave, the game with the candidate first before the other."""
    return [game.score for game in games if game.status == "read" and game.score is not None]


def _mean(values: Sequence[float | bool]) -> float | None:
    return float(np.mean(values)) if values else None
