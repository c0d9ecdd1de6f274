"""What a reward is: a number for each response to a prompt. What it is trained on decides what a policy becomes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from numbers import Real
from typing import Any, ClassVar, NamedTuple

from ..base import Example, Message, TaskError


class RewardError(TaskError):
    """A reward that cannot be given here; the message names the model, what was found and what would help."""


class Worth(NamedTuple):
    """A response's reward, and whether its end was left unread."""

    reward: float
    cut: bool = False


class Reward(ABC):
    """A reward is a frozen dataclass: its fields are its parameters.

    What the harness hands in goes to the fields `scorer` (a `Scorer`, of `model`) and `task` (the recipe's),
    where a reward has them.
    """

    name: ClassVar[str]  # set by @register

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its numbers, as JSON: part of a cell's identity. By default name, parameters and model."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        scorer, _ = own.pop("scorer", None), own.pop("task", None)  # the task is identity anyway
        model = {} if scorer is None else {"model": scorer.revision, "backend": scorer.backend}
        return {"name": self.name, "parameters": own, **model}

    def require(self, examples: Sequence[Example]) -> int | None:
        """The tokens of a response that are read behind the longest of these prompts; None: all.

        Raises RewardError unless responses to all of them can be rated here: asked before anything is sampled.
        """
        return None

    @abstractmethod
    def rate(self, answered: Sequence[tuple[Example, str]]) -> list[Worth]:
        """The reward of each response, in order; a pure function of the prompt and the response."""

    def rated(self, answered: Sequence[tuple[Example, str]]) -> list[Worth]:
        """What `rate` gives, held to the interface. Raises RewardError unless it is a finite `Worth` a response."""
        found: Any = self.rate(answered)
        wanted, who = f"expected a list of {len(answered)} Worth, one a response", f"reward {self.name}: rate returned"
        if not isinstance(found, list | tuple) or isinstance(found, Worth):
            raise RewardError(f"{who} {type(found).__name__}, {wanted}")
        if len(found) != len(answered):
            raise RewardError(f"{who} {len(found)} items for {len(answered)} responses, {wanted}")
        for number, ((example, response), worth) in enumerate(zip(answered, found, strict=True)):
            if not isinstance(worth, Worth) or not isinstance(worth.reward, Real):
                raise RewardError(f"{who} {worth!r:.60} ({type(worth).__name__}) as item {number}, {wanted}")
            if not math.isfinite(worth.reward):
                raise RewardError(
                    f"reward {self.name}: {worth.reward} for a response of {len(response)} characters to "
                    f"example {example.id}, {response!r:.60}; expected a finite number: try another precision "
                    "(reward.parameters.precision) or another model"
                )
        return list(found)


def conversation(example: Example, response: str) -> tuple[Message, ...]:
    """The prompt and the response as a reward model sees them; a plain prompt is a user's message."""
    return (*prompt_of(example), Message(role="assistant", content=response))


def prompt_of(example: Example) -> tuple[Message, ...]:
    """The prompt as messages."""
    plain = isinstance(example.prompt, str)
    return (Message(role="user", content=example.prompt),) if plain else example.prompt  # type: ignore[return-value, typeddict-item]
