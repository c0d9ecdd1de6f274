"""Evaluation of the current policy on a task's examples: greedy, or several samples, graded item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.base import Example, Task

from .codec import Codec
from .rollout import Engine, Request
from .seeds import derive
from .settings import Sampling


@dataclass(frozen=True)
class Item:
    """One example's responses, judged."""

    id: str
    correct: tuple[int, ...]  # 1 or 0 a sample
    tokens: tuple[int, ...]
    truncated: tuple[bool, ...]
    answered: tuple[bool, ...]  # whether the grader found an answer at all


@dataclass(frozen=True)
class Evaluated:
    """All items of one evaluation, and their means."""

    items: tuple[Item, ...]

    def mean(self, field: str) -> float:
        """Mean over examples of the mean over samples of an `Item` field."""
        return sum(sum(getattr(i, field)) / len(getattr(i, field)) for i in self.items) / len(self.items)


def evaluate(
    engine: Engine, codec: Codec, task: Task, examples: Sequence[Example], sampling: Sampling, samples: int, seed: int
) -> Evaluated:
    """Grade `samples` responses per example. Temperature 0 is greedy, where one sample says everything.

    Seeds derive from `seed` and the example alone: every evaluation of a run, and every algorithm at the same run
    seed, draws with the same numbers, so that differences are paired.
    """
    requests = [
        Request(codec.prompt(e), tuple(derive("evaluation", seed, e.id, k) for k in range(samples))) for e in examples
    ]
    items = []
    for example, completions in zip(examples, engine.generate(requests, sampling), strict=True):
        grades = [task.grade(example, codec.text(c.tokens)) for c in completions]
        items.append(
            Item(
                example.id,
                tuple(int(bool(grade.correct)) for grade in grades),
                tuple(len(c.tokens) for c in completions),
                tuple(c.truncated for c in completions),
                tuple(grade.extracted is not None for grade in grades),
            )
        )
    return Evaluated(tuple(items))


def greedy(sampling: Sampling) -> Sampling:
    """The same limits, without randomness."""
    return replace(sampling, temperature=0.0, top_p=1.0, top_k=0)
