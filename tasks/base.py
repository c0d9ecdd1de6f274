"""What a task is: examples with prompts, a grader, and (for some) demonstrations. A task never loads a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypedDict

Source = Literal["expert", "teacher"]


class TaskError(Exception):
    """A task that cannot be asked here; the message says why, and what would help."""


class TaskDataError(TaskError):
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

    @property
    def text(self) -> str:
        """The prompt for people: plain text or a single message to the letter, a conversation with its roles."""
        if isinstance(self.prompt, str):
            return self.prompt
        if len(self.prompt) == 1:
            return self.prompt[0]["content"]
        return "\n\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in self.prompt)


@dataclass(frozen=True)
class Grade:
    """The verifier's verdict on one response.

    `reward` is what training maximises. `correct` is the strict verdict, which asks for an answer in the form that the
    prompt wants; training (DAPO's selection, say) sees no other. `lenient` is the verdict that tables count: it also
    takes an answer that stands elsewhere; None where there is no other verdict than `correct`. All are None where there
    is no verifier. `extracted` is the answer found in the response, None when none was found (an extraction failure).
    A response on which the verifier ran out of time or memory is wrong, and `timed_out`. `cut`: a reward model has not
    read its end. `gold` is what the response is truly worth where the task knows that: measured, and never trained on.
    """

    reward: float
    correct: bool | None
    extracted: str | None
    lenient: bool | None = None
    timed_out: bool = False
    cut: bool = False
    gold: float | None = None

    @property
    def counted(self) -> bool | None:
        """The verdict that tables count."""
        return self.correct if self.lenient is None else self.lenient


@dataclass(frozen=True)
class EvalProtocol:
    """How a checkpoint is asked: samples an example, and how they are drawn. avg@k is `samples` = k."""

    samples: int
    temperature: float  # 0: greedy
    top_p: float = 1.0
    max_tokens: int = 2048  # of a response; fewer where the model's context is shorter, and then recorded
    source: str = ""  # whose protocol it is

    def __post_init__(self) -> None:
        found = {"samples": self.samples, "temperature": self.temperature, "top_p": self.top_p}
        said = ", ".join(f"{name} = {value}" for name, value in {**found, "max_tokens": self.max_tokens}.items())
        if self.samples < 1 or self.temperature < 0 or not 0 < self.top_p <= 1 or self.max_tokens < 1:
            raise ValueError(f"{said}; allowed: samples and max_tokens from 1, temperature from 0, top_p in (0, 1]")
        if self.temperature == 0 and self.samples > 1:
            raise ValueError(f"{said}; allowed: one sample at temperature 0, since greedy decoding repeats itself")


GREEDY = EvalProtocol(1, 0.0, source="one greedy response, as most papers' tables")
AVG_4 = EvalProtocol(4, 0.6, 0.95, source="mean of 4 samples, for comparing algorithms")
GFT_16 = EvalProtocol(16, 0.5, source="the GFT paper's mean of 16 samples at T = 0.5")


class Task(ABC):
    """A task is a frozen dataclass: its fields are its parameters, and the recipe may set each of them.

    Data are loaded on first use, not on construction, so that a bad parameter fails before anything is read.
    """

    name: ClassVar[str]  # set by @register
    demonstration_sources: ClassVar[frozenset[Source]] = frozenset()  # what `demonstrate` can give
    locations: ClassVar[frozenset[str]] = frozenset()  # fields that say where the data lie, not what they are
    verifier: ClassVar[str] = "1"  # version of the grader, another one whenever a verdict may change
    graded: ClassVar[bool] = True  # whether `grade` gives verdicts; without, a recipe must name a reward to train on
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {"avg@4": AVG_4, "greedy": GREEDY, "gft": GFT_16}  # default first

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

    def require_grader(self) -> None:  # noqa: B027, most graders have nothing to require
        """Raise TaskError unless responses can be graded here: asked before anything is sampled."""

    def grade_all(self, pairs: Sequence[tuple[Example, str]]) -> list[Grade]:
        """Grade many responses, in order: as `grade` would, and faster where the verifier works in parallel."""
        return [self.grade(example, response) for example, response in pairs]

    def same_answers(self, example: Example, answers: Sequence[str]) -> list[int]:
        """A label for each extracted answer; equal ones share it: what a majority vote counts. Never raises."""
        return [answers.index(answer) for answer in answers]

    def question(self, example: Example) -> str | None:
        """The problem's text without instructions, by which overlaps of training and evaluation sets are found.

        None where the texts are generated and say nothing of that kind.
        """
        return None

    def questions_at_hand(self) -> Mapping[str, str] | None:
        """Questions of the held-out examples by id, as far as they can be read without a network; None: not at all."""
        if self.locations:
            return None
        asked = {example.id: self.question(example) for example in self.heldout}
        return {identity: question for identity, question in asked.items() if question is not None}

    def leak_key(self, example: Example) -> str:
        """Examples of equal keys give each other's answer away: a dev split keeps them on one side."""
        return example.id

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """Up to `count` response texts from `source`, fewer where fewer exist.

        A pure function of its arguments: where demonstrations are drawn (a noisy teacher), `seed` alone decides.
        """
        return ()
