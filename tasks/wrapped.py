"""A task around another one: what a wrapper does not say is the wrapped task's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .base import EvalProtocol, Example, Grade, Source, Task


@dataclass(frozen=True)
class Wrapped(Task):
    """All of `task`; a wrapper overrides what it changes."""

    task: Task

    @property
    def name(self) -> str:  # type: ignore[override]  # class variables of a task; here they are the wrapped task's
        """The task's own."""
        return self.task.name

    @property
    def demonstration_sources(self) -> frozenset[Source]:  # type: ignore[override]
        """The task's own."""
        return self.task.demonstration_sources

    @property
    def verifier(self) -> str:  # type: ignore[override]
        """The task's own."""
        return self.task.verifier

    @property
    def graded(self) -> bool:  # type: ignore[override]
        """As the task is."""
        return self.task.graded

    @property
    def protocols(self) -> Mapping[str, EvalProtocol]:  # type: ignore[override]
        """The task's own."""
        return self.task.protocols

    @property
    def train(self) -> Sequence[Example]:
        """The task's own."""
        return self.task.train

    @property
    def heldout(self) -> Sequence[Example]:
        """The task's own."""
        return self.task.heldout

    def leak_key(self, example: Example) -> str:
        """As the task says."""
        return self.task.leak_key(example)

    def grade(self, example: Example, response: str) -> Grade:
        """As the task grades."""
        return self.task.grade(example, response)

    def require_grader(self) -> None:
        """As the task requires."""
        self.task.require_grader()

    def grade_all(self, pairs: Sequence[tuple[Example, str]]) -> list[Grade]:
        """As the task grades."""
        return self.task.grade_all(pairs)

    def same_answers(self, example: Example, answers: Sequence[str]) -> list[int]:
        """As the task compares."""
        return self.task.same_answers(example, answers)

    def question(self, example: Example) -> str | None:
        """As the task says."""
        return self.task.question(example)

    def questions_at_hand(self) -> Mapping[str, str] | None:
        """The task's own held-out questions."""
        return self.task.questions_at_hand()

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """As the task shows."""
        return self.task.demonstrate(example, source, count, seed)


def innermost(task: Task) -> Task:
    """The task that a recipe names, out of whatever is around it."""
    while isinstance(task, Wrapped):
        task = task.task
    return task
