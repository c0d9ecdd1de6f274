"""Tasks without a right answer: open instructions and a baseline's answers, of which a judge says which are better."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from .base import Example, Grade, TaskDataError
from .data import Hub
from .open_ended import OpenEnded, user


@dataclass(frozen=True)
class Entry:
    """One instruction, and the baseline's answer to it."""

    id: str
    instruction: str
    baseline: str
    opponent: str  # whose answer that is
    category: str | None = None


@dataclass(frozen=True)
class OfficialPrompt:
    """What the official judge is asked. The text is other people's: `tasks.judges.prompts` reads it at run time."""

    name: str  # as it is called there
    judge: str  # the model whose verdicts the published numbers are
    place: Path | None  # the file or folder with the text; None where neither `folder` nor GROUPBENCH_DATA holds it


@dataclass(frozen=True)
class ComparisonTask(OpenEnded):
    """Held-out instructions alone: nothing to train on, and no verifier.

    An example's `answer` is the baseline's, so that whatever identifies an item covers what it was compared with.
    """

    folder: str | None = None
    """A folder with the files, instead of the Hub; `~` and `$VARIABLES` are expanded."""

    licence: ClassVar[str] = ""
    outputs_file: ClassVar[str] = "outputs.json"  # how the benchmark's own tools want a model's answers
    locations: ClassVar[frozenset[str]] = frozenset({"folder"})

    def __post_init__(self) -> None:
        if self.folder is not None and not (isinstance(self.folder, str) and self.folder.strip()):
            raise ValueError(f"{self.name}: folder = {self.folder!r}; allowed: text that is not empty")

    @property
    @abstractmethod
    def hub(self) -> Hub:
        """Where the instructions lie on the Hub, and how many they are."""

    @property
    @abstractmethod
    def opponents(self) -> tuple[str, ...]:
        """Whose answers the baseline consists of."""

    @abstractmethod
    def judge_prompt(self, example: Example) -> OfficialPrompt:
        """What the official judge is asked about this example."""

    @abstractmethod
    def _load(self) -> Sequence[Entry]:
        """All entries, in the official order. Raises TaskDataError."""

    @abstractmethod
    def _asked(self) -> Mapping[str, str] | None:
        """Instructions by id, from GROUPBENCH_DATA; None where they are not there. Raises TaskDataError."""

    @property
    def train(self) -> tuple[Example, ...]:
        """None: a run that would train on it is refused (`harness.benchmark.check_examples`)."""
        return ()

    @cached_property
    def heldout(self) -> tuple[Example, ...]:
        """One user message each, the instruction as it is. Raises TaskDataError."""
        return tuple(self._example(entry) for entry in self._entries.values())

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        first: dict[str, int] = {}
        for number, entry in enumerate(self._load(), start=1):  # answers are joined by the instruction, or by its id
            if (before := first.setdefault(entry.instruction, number)) != number:
                raise TaskDataError(
                    f"{self.name}: instructions {before} and {number} are the same, {entry.instruction!r:.80}; "
                    "expected each once"
                )
            if entry.id in found:
                raise TaskDataError(f"{self.name}: instruction {number} has the id of an earlier one, {entry.id!r}")
            found[entry.id] = entry
        return found

    def _example(self, entry: Entry) -> Example:
        return Example(entry.id, user(entry.instruction), entry.baseline)

    def opponent(self, example: Example) -> str:
        """Whose answer `example.answer` is."""
        return self._entries[example.id].opponent

    def category(self, example: Example) -> str | None:
        """What kind of instruction it is, as the source says."""
        return self._entries[example.id].category

    def questions_at_hand(self) -> Mapping[str, str] | None:
        """Instructions by id, from a folder or already loaded; None where they are not there."""
        if "_entries" in self.__dict__ or self.folder is not None:
            return {entry.id: entry.instruction for entry in self._entries.values()}
        return self._asked()

    def grade(self, example: Example, response: str) -> Grade:
        """No verdict: only a judge can give one. The response is recorded as it is, and not once more as an answer."""
        return Grade(reward=0.0, correct=None, extracted=None)
