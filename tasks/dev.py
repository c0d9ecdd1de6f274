"""A dev split: settings are chosen on examples that are neither trained on meanwhile nor in the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from .base import EvalProtocol, Example, Grade, Source, Task


@dataclass(frozen=True)
class DevSplit(Task):
    """`task` with a share of its training examples held out; its own held-out examples are never touched.

    Which ones is decided by a hash of their leak keys, so that a larger share only adds. Raises ValueError on a bad
    share.
    """

    task: Task
    share: float
    """Expected share of the leak keys that are held out, in (0, 1)."""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share = {self.share}; allowed: a number between 0 and 1, both excluded")

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
    def protocols(self) -> Mapping[str, EvalProtocol]:  # type: ignore[override]
        """The task's own."""
        return self.task.protocols

    @cached_property
    def train(self) -> Sequence[Example]:
        """The task's training examples that are left, in their order."""
        return tuple(example for example in self.task.train if not self._is_dev(example))

    @cached_property
    def heldout(self) -> Sequence[Example]:
        """The task's training examples that are held out, in their order."""
        return tuple(example for example in self.task.train if self._is_dev(example))

    def _is_dev(self, example: Example) -> bool:
        digest = sha256(f"dev|{self.task.leak_key(example)}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < self.share

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
        """The task's own held-out questions: the dev split is cut from what it trains on."""
        return self.task.questions_at_hand()

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """As the task shows."""
        return self.task.demonstrate(example, source, count, seed)
