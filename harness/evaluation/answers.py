"""Sampled and graded: what every evaluation is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.base import Example, Grade, Task

from ..codec import Codec
from ..residents import Residents, stay
from ..rollout import Engine, Request
from ..seeds import derive
from ..settings import Sampling


@dataclass(frozen=True)
class Answer:
    """One response, judged."""

    text: str
    ids: tuple[int, ...]  # its tokens
    truncated: bool
    grade: Grade

    @property
    def tokens(self) -> int:
        """How many."""
        return len(self.ids)

    @property
    def reward(self) -> float:
        """What training maximises."""
        return self.grade.reward

    @property
    def gold(self) -> float | None:
        """What it is truly worth; None where the task does not know."""
        return self.grade.gold

    @property
    def cut(self) -> bool:
        """Whether the reward model has not read its end."""
        return self.grade.cut

    @property
    def correct(self) -> bool:
        """The verdict that tables count; an open one is not right."""
        return bool(self.grade.counted)

    @property
    def strict(self) -> bool:
        """The verdict that training sees."""
        return bool(self.grade.correct)

    @property
    def answered(self) -> bool:
        """Whether the grader found an answer at all."""
        return self.grade.extracted is not None

    @property
    def timed_out(self) -> bool:
        """Whether the grader ran out of time or memory."""
        return self.grade.timed_out


@dataclass(frozen=True)
class Item:
    """One example's answers."""

    id: str
    answers: tuple[Answer, ...]

    def each(self, field: str) -> list[int]:
        """A count or a yes of `Answer`, one number a sample."""
        return [int(getattr(answer, field)) for answer in self.answers]

    def values(self, field: str) -> list[float]:
        """A number of `Answer`, one a sample."""
        return [float(getattr(answer, field)) for answer in self.answers]


def readable(text: str) -> str:
    """The text without what no encoding can carry (lone surrogates), which readers of JSON refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")


def mean(items: Sequence[Item], field: str) -> float:
    """Mean over examples of the mean over samples of a field of `Answer`."""
    return sum(sum(item.values(field)) / len(item.answers) for item in items) / len(items)


def ask(
    engine: Engine, codec: Codec, task: Task, examples: Sequence[Example], sampling: Sampling, seed: int,
    samples: range, residents: Residents | None = None,
) -> list[Item]:  # fmt: skip
    """Samples `samples` (0, 1, … of as many as one likes) of every example, drawn in one call and graded in another.

    Seeds derive from `seed`, the example and the sample's number alone: every evaluation of a run, and every algorithm
    at the same run seed, draws with the same numbers, so that differences are paired; more samples only add to fewer.
    `residents`: models that take turns.
    """
    turns = residents or stay()
    requests = [Request(codec.prompt(e), tuple(derive("evaluation", seed, e.id, k) for k in samples)) for e in examples]
    with turns.phase("sampling"):
        completions = engine.generate(requests, sampling)
    texts = [[codec.text(c.tokens) for c in found] for found in completions]
    pairs = [(example, text) for example, found in zip(examples, texts, strict=True) for text in found]
    with turns.phase("grading"):
        grades = iter(task.grade_all(pairs))

    def answers(number: int) -> Iterator[Answer]:
        for completion, text in zip(completions[number], texts[number], strict=True):
            yield Answer(text, tuple(completion.tokens), completion.truncated, next(grades))

    return [Item(example.id, tuple(answers(number))) for number, example in enumerate(examples)]
