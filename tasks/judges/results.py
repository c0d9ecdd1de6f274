"""What judging gives, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .base import Identity
from .games import Pair, Reply
from .prices import Price
from .texts import Flag

Status = Literal["read", "invalid", "failed", "same"]


@dataclass(frozen=True)
class Verdict:
    """One game. `same`: identical answers, a tie that nobody was asked for. Only `read` and `same` have a score."""

    id: str  # the pair's
    candidate_first: bool
    status: Status
    score: float | None = None  # the candidate's share of the point, in [0, 1]
    weight: int = 1
    label: str | None = None
    sample: int = 0  # 1: the reply to the second question
    mass: float | None = None  # `Reading.mass`
    finish: str | None = None  # `Reply.finish`
    reason: str | None = None  # why it failed


@dataclass(frozen=True)
class Judged:
    """A pair's games, the one with the candidate first before the other, and what is to be known about its answers."""

    shown: Pair  # as the judge got it: cleaned, and cut
    games: tuple[Verdict, ...]
    flags: tuple[Flag, ...]  # of the candidate's answer
    baseline_flags: tuple[Flag, ...]

    @property
    def id(self) -> str:
        """The pair's."""
        return self.shown.id


@dataclass(frozen=True)
class Usage:
    """What the replies took: of this session, and (`cached_…`) of earlier ones whose replies were used."""

    calls: int = 0  # replies of this session
    failed: int = 0  # games without one
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0  # the replies' own, added up: a local judge's seconds of computing
    wall_seconds: float = 0.0  # of asking
    unmetered: int = 0  # of `calls`, those that do not say their tokens
    cached: int = 0
    cached_unmetered: int = 0
    cached_prompt_tokens: int = 0
    cached_completion_tokens: int = 0
    cached_seconds: float = 0.0

    def with_reply(self, reply: Reply, cached: bool) -> Usage:
        """With one more reply."""
        if cached:
            return replace(
                self,
                cached=self.cached + 1,
                cached_unmetered=self.cached_unmetered + (reply.prompt_tokens == 0),
                cached_prompt_tokens=self.cached_prompt_tokens + reply.prompt_tokens,
                cached_completion_tokens=self.cached_completion_tokens + reply.completion_tokens,
                cached_seconds=self.cached_seconds + reply.seconds,
            )
        return replace(
            self,
            calls=self.calls + 1,
            prompt_tokens=self.prompt_tokens + reply.prompt_tokens,
            completion_tokens=self.completion_tokens + reply.completion_tokens,
            seconds=self.seconds + reply.seconds,
            unmetered=self.unmetered + (reply.prompt_tokens == 0),
        )


@dataclass(frozen=True)
class Compared:
    """All pairs, in their order. `usd`: this session's; `cached_usd`: what earlier ones paid for; None: unknown."""

    identity: Identity
    parser: str  # its name
    pairs: tuple[Judged, ...]
    usage: Usage
    price: Price | None
    usd: float | None
    cached_usd: float | None

    @property
    def games(self) -> tuple[Verdict, ...]:
        """All games."""
        return tuple(game for pair in self.pairs for game in pair.games)


@dataclass(frozen=True)
class Estimate:
    """What judging would take (`--dry-run`), if no reply is unreadable; `most_usd` if every one is, and the longest."""

    games: int
    same: int  # that need no question
    cached: int
    calls: int
    prompt_tokens: int  # about: four bytes each
    completion_tokens: int  # at most
    least_usd: float | None  # the prompts alone, about; None: the price is not known
    most_usd: float | None
    price: Price | None


@dataclass(frozen=True)
class Progress:
    """Of `total` games, `done` have a reply or have failed."""

    done: int
    total: int
    failed: int
    usd: float | None
