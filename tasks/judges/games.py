"""What passes between us and a judge: a pair of answers, a game of it, the reply, and what is read from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Two answers to one instruction. `id` is the item's; the baseline is what the candidate is measured against."""

    id: str
    instruction: str
    candidate: str
    baseline: str


@dataclass(frozen=True)
class Game:
    """One question to a judge: a pair in one order. `candidate_first` is known to us, never to the judge."""

    pair: Pair
    candidate_first: bool
    sample: int = 0  # 1: asked once more, after a reply that could not be read

    @property
    def first(self) -> str:
        """The answer that is shown first."""
        return self.pair.candidate if self.candidate_first else self.pair.baseline

    @property
    def second(self) -> str:
        """The answer that is shown second."""
        return self.pair.baseline if self.candidate_first else self.pair.candidate


@dataclass(frozen=True)
class Reply:
    """What a judge answered to one game."""

    text: str
    logprobs: Mapping[str, float] | None = None  # of the first token, by its text
    share: float | None = None  # the first answer's share of the point, where no text is written (a reward model)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    finish: str = "stop"  # "length": the reply was cut off


@dataclass(frozen=True)
class Failure:
    """A game that got no reply. Never cached, never scored."""

    reason: str


@dataclass(frozen=True)
class Reading:
    """What a reply says. `first` is the first answer's share of the point: 1, ½, 0 or a probability; None: unreadable.

    `weight` is how often it counts (Arena-Hard's "much better" counts three times).
    """

    label: str | None
    first: float | None
    weight: int = 1
    mass: float | None = None  # probability of the labels together, where log-probabilities are read


Parser = Callable[[Reply], Reading]
