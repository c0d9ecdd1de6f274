"""The reward of a reward model: its raw logit, in nats where it was fitted to preferences by Bradley and Terry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..base import Example
from ..engines import Scorer
from .base import Reward, Worth, conversation, prompt_of
from .registry import register

LONGEST = 16  # prompts whose tokens are counted: counting all would take seconds


@register("reward_model")
@dataclass(frozen=True)
class RewardModel(Reward):
    """Any `AutoModelForSequenceClassification` with one output and a chat template, such as the Skywork-Reward-V2s.

    The harness makes `scorer` of the recipe's `model`, or of the one that the recipe has it train.
    """

    scorer: Scorer

    @property
    def identity(self) -> dict[str, Any]:
        """Of the weights that the scorer holds."""
        return {"name": self.name, "model": self.scorer.revision, "backend": self.scorer.backend}

    def require(self, examples: Sequence[Example]) -> int | None:
        """As much as the model's context leaves behind the longest prompt. Raises RewardError where that is nothing."""
        longest = sorted(examples, key=lambda example: len(str(example.prompt)))[-LONGEST:]
        rooms = [self.scorer.room(prompt_of(example)) for example in longest]
        return min((room for room in rooms if room is not None), default=None)

    def rate(self, answered: Sequence[tuple[Example, str]]) -> list[Worth]:
        """See `Reward`; an answer whose end the model does not read is `cut`."""
        scored = self.scorer.score([conversation(example, response) for example, response in answered])
        return [Worth(one.reward, one.cut) for one in scored]
