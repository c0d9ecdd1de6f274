"""A task whose responses are rated by a reward: the harness wraps the recipe's task in its reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..base import Example, Grade
from ..wrapped import Wrapped
from .base import Reward


@dataclass(frozen=True)
class Rewarded(Wrapped):
    """`task` with the rewards of `reward`; a verifier's verdicts stay, and are what tables count."""

    reward: Reward

    def require_grader(self) -> None:
        """As the task and the reward require."""
        self.task.require_grader()
        self.reward.require((*self.train, *self.heldout))

    def remarks(self, max_tokens: int) -> list[str]:
        """What a user should know before training with responses of at most `max_tokens`."""
        room = self.reward.require((*self.train, *self.heldout))
        if room is None or room >= max_tokens:
            return []
        return [
            f"reward {self.reward.name}: behind the longest prompt it reads {room} tokens of a response, which may "
            f"have {max_tokens}: the end of longer ones is not rated, and their share recorded (reward_cut)"
        ]

    def grade(self, example: Example, response: str) -> Grade:
        """As `grade_all`."""
        return self.grade_all([(example, response)])[0]

    def grade_all(self, pairs: Sequence[tuple[Example, str]]) -> list[Grade]:
        """The task's grades with the reward's rewards. Raises RewardError as `Reward.rated`."""
        rated = self.reward.rated(pairs) if pairs else []
        grades = self.task.grade_all(pairs)
        return [replace(g, reward=w.reward, cut=w.cut) for g, w in zip(grades, rated, strict=True)]
