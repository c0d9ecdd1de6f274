"""What a response is truly worth, where a task knows that: what a proxy stands for, and a judge's measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ..base import Example, Message, Task
from ..engines import Scored
from .base import Reward, RewardError, Worth, prompt_of
from .registry import register


@runtime_checkable
class KnowsGold(Protocol):
    """A task that knows what a response is worth, such as `preference`."""

    name: str

    def gold(self, prompt: str, response: str) -> float:
        """In nats: log-odds of being preferred."""


@dataclass(frozen=True)
class GoldScorer:
    """A `tasks.engines.Scorer` that computes what a task knows. Raises RewardError for a task that knows nothing."""

    task: Task

    def __post_init__(self) -> None:
        if not isinstance(self.task, KnowsGold):
            raise RewardError(f"gold: task {self.task.name} does not know what a response is worth; preference does")

    @property
    def model(self) -> str:
        """The task's name."""
        return f"gold of {self.task.name}"

    @property
    def revision(self) -> str:
        """Of the formula."""
        return "1"

    @property
    def backend(self) -> str:
        """Nothing computes it but the formula."""
        return "closed form"

    def room(self, prompt: Sequence[Message]) -> int | None:
        """Any number."""
        return None

    def score(self, chats: Sequence[Sequence[Message]]) -> list[Scored]:
        """The worth of each conversation's last message."""
        assert isinstance(self.task, KnowsGold)
        return [Scored(self.task.gold(chat[-2]["content"], chat[-1]["content"]), 0) for chat in chats]


@register("gold")
@dataclass(frozen=True)
class Gold(Reward):
    """Training on what a response is truly worth: what a proxy could at best be. `task` is the recipe's."""

    task: Task

    def __post_init__(self) -> None:
        GoldScorer(self.task)

    @property
    def identity(self) -> dict[str, Any]:
        """The task is part of a cell's identity already."""
        return {"name": self.name}

    def rate(self, answered: Sequence[tuple[Example, str]]) -> list[Worth]:
        """See `Reward`."""
        assert isinstance(self.task, KnowsGold)
        return [Worth(self.task.gold(prompt_of(e)[-1]["content"], response)) for e, response in answered]
