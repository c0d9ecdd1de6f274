"""Tasks without a right answer: a reward rates their responses in training, and a judge says which of two is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .base import Example, Grade, Message, Task, TaskError

if TYPE_CHECKING:
    from .comparison import OfficialPrompt


class OpenEnded(Task):
    """Instructions that no verifier can grade."""

    verifier: ClassVar[str] = "none"
    graded: ClassVar[bool] = False

    def instruction(self, example: Example) -> str:
        """What a judge is shown."""
        return example.text

    def category(self, example: Example) -> str | None:
        """What kind of instruction it is, as the source says."""
        return None

    def difficulty(self, example: Example) -> float | None:
        """Of the instruction, as far as a benchmark knows one (AlpacaEval 2's γ)."""
        return None

    def judge_prompt(self, example: Example) -> OfficialPrompt:
        """What an official judge is asked about this example. Raises TaskError where there is none."""
        raise TaskError(f"task {self.name} has no official judge prompt; choose --judge-prompt labels-1 or verdict-1")

    def question(self, example: Example) -> str | None:
        """The instruction: whoever trains on it has seen the test."""
        return self.instruction(example)

    def grade(self, example: Example, response: str) -> Grade:
        """No verdict; an empty response is no answer."""
        return Grade(reward=0.0, correct=None, extracted=response.strip() or None)


def user(text: str) -> tuple[Message, ...]:
    """A prompt of one user's message."""
    return (Message(role="user", content=text),)
