"""What a task is: examples with prompts, a grader, and (for some) demonstrations. A task never loads a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypedDict

Source = Literal["expert", "teacher"]


class TaskDataError(Exception):
    """The task's data are missing or unusable; the message names the file or the Hub id, and what was expected."""


class Message(TypedDict):
    """One turn of a chat, as `tokenizer.apply_chat_template` takes it."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """One prompt and what the grader needs to know about it.

    `id` is unique within the task and stable between versions of the data: sampling seeds and item-level pairing are
    derived from it. `prompt` is either plain text (for a base or toy model) or chat messages (for an instruct model).
    """

    id: str
    prompt: str | tuple[Message, ...]
    answer: str


@dataclass(frozen=True)
class Grade:
    """The verifier's verdict on one response.

    `reward` is what training maximises; `correct` is the verdict that tables count (None where there is no verifier);
    `extracted` is the answer found in the response, None when none was found (counted as an extraction failure).
    """

    reward: float
    correct: bool | None
    extracted: str | None


class Task(ABC):
    """A task is a frozen dataclass: its fields are its parameters, and the recipe may set each of them.

    Data are loaded on first use, not on construction, so that a bad parameter fails before anything is read.
    """

    name: ClassVar[str]  # set by @register
    demonstration_sources: ClassVar[frozenset[Source]] = frozenset()  # what `demonstrate` can give
    locations: ClassVar[frozenset[str]] = frozenset()  # fields that say where the data lie, not what they are

    @property
    @abstractmethod
    def train(self) -> Sequence[Example]:
        """Training examples, in a fixed order (the harness shuffles)."""

    @property
    @abstractmethod
    def heldout(self) -> Sequence[Example]:
        """Evaluation examples that training never sees, in a fixed order."""

    @abstractmethod
    def grade(self, example: Example, response: str) -> Grade:
        """Grade the decoded text of one response (special tokens removed). Never raises on any text."""

    def leak_key(self, example: Example) -> str:
        """Examples of equal keys give each other's answer away: a dev split keeps them on one side."""
        return example.id

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """Up to `count` response texts from `source`, fewer where fewer exist.

        A pure function of its arguments: where demonstrations are drawn (a noisy teacher), `seed` alone decides.
        """
        return ()
