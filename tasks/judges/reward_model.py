"""A reward model as a judge: w = σ((r_candidate − r_baseline) / T), as Bradley and Terry have it; a tie if they agree.

It has no place that it prefers, no reply that cannot be read, and one number an answer. A model that was trained on
this reward is not judged by it: such a win rate measures how far the reward was optimised.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..base import Message
from ..engines import Scored, Scorer
from .base import Decode, Identity, Judge, JudgeError, Sink
from .games import Game, Reply
from .registry import register

TIE = 1e-6  # of the difference of two rewards
PART = 64  # games that are lost if the process dies; the scorer makes its own batches of them


@register("reward_model")
@dataclass(frozen=True)
class RewardModelJudge(Judge):
    """`temperature` is T, in units of the reward. Its replies' texts hold the two rewards."""

    symmetric = True
    deterministic = True

    scorer: Scorer
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise JudgeError(f"judge 'reward_model': temperature {self.temperature}; expected a number above 0")

    @property
    def identity(self) -> Identity:
        """Of the model that the scorer holds."""
        scorer, decode = self.scorer, Decode(temperature=self.temperature, max_tokens=0)
        return Identity("reward_model", scorer.model, scorer.revision, "", "", decode, scorer.backend)

    @property
    def parser_name(self) -> str:
        """The share as it is."""
        return "share"

    @property
    def free(self) -> bool:
        """It is."""
        return True

    def require(self) -> None:
        """Nothing: the scorer is there."""

    def ask(self, games: Sequence[Game], sink: Sink) -> None:
        """Score each answer once, in order."""
        rewards: dict[tuple[str, str], float] = {}
        for start in range(0, len(games), PART):
            part, began = games[start : start + PART], time.monotonic()
            shown = [(game.pair.instruction, answer) for game in part for answer in (game.first, game.second)]
            new = [answered for answered in dict.fromkeys(shown) if answered not in rewards]
            scored = dict(zip(new, self._scores(new), strict=True)) if new else {}
            rewards |= {answered: one.reward for answered, one in scored.items()}
            seconds = (time.monotonic() - began) / len(part)
            for game, pair in zip(part, zip(shown[::2], shown[1::2], strict=True), strict=True):
                tokens = sum(scored.pop(answered).tokens for answered in dict.fromkeys(pair) if answered in scored)
                sink(game, self._reply(rewards[pair[0]], rewards[pair[1]], tokens, seconds))

    def _scores(self, answered: Sequence[tuple[str, str]]) -> list[Scored]:
        """Of (instruction, answer) pairs. JudgeError for one that is not read whole: the other side's might be."""
        found = self.scorer.score(
            [
                (Message(role="user", content=instruction), Message(role="assistant", content=answer))
                for instruction, answer in answered
            ]
        )
        if cut := [one for one, score in zip(answered, found, strict=True) if score.cut]:
            raise JudgeError(
                f"judge {self.scorer.model!r}: an answer of {len(cut[0][1])} characters to {cut[0][0]!r:.60} does not "
                "fit into what it reads; cut both answers with --cap-chars, or choose a judge with a longer context"
            )
        return found

    def _reply(self, first: float, second: float, tokens: int, seconds: float) -> Reply:
        share = None  # a reward that is no number says nothing
        if math.isfinite(first) and math.isfinite(second):
            difference = first - second
            share = 0.5 if abs(difference) < TIE else _sigmoid(difference / self.temperature)
        return Reply(json.dumps({"first": first, "second": second}), share=share, prompt_tokens=tokens, seconds=seconds)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
