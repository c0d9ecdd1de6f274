"""Evaluation of the current policy: held-out examples and a train probe, greedy and sampled, graded item by item."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from leaderboard.records import SPLITS, Counters, EvalRecord, ItemRecord
from tasks.base import Example, Task
from tasks.data import fixed_subset

from .codec import Codec
from .rollout import Engine, Request
from .seeds import derive
from .settings import Evaluation, Sampling


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


def splits_of(task: Task, settings: Evaluation) -> dict[str, tuple[Example, ...]]:
    """What a run of `task` is evaluated on, by split, as far as there is any."""
    probe = min(settings.probe, len(task.train))
    chosen = (
        fixed_subset(task.heldout, settings.examples, "evaluation.examples"),
        fixed_subset(task.train, probe, "evaluation.probe"),
    )
    return {split: examples for split, examples in zip(SPLITS, chosen, strict=True) if examples}


def evaluations(
    engine: Engine, codec: Codec, task: Task, settings: Evaluation, max_tokens: int, seed: int, counters: Counters
) -> Iterator[tuple[EvalRecord, list[ItemRecord]]]:
    """The records of one look at the policy: every split, greedy and sampled (sharpening alone moves only the second).

    All splits are asked in one call a mode, so that the engine's batches are full. `max_tokens`: of a response, where
    `settings` has no limit of its own; `counters`: what the run has spent so far.
    """
    splits = splits_of(task, settings)
    examples = [example for part in splits.values() for example in part]
    sampled = Sampling(settings.max_tokens or max_tokens, settings.temperature)
    for mode, sampling, samples in (("greedy", greedy(sampled), 1), ("sampled", sampled, settings.samples)):
        began = time.perf_counter()
        items = iter(evaluate(engine, codec, task, examples, sampling, samples, seed).items)
        seconds = time.perf_counter() - began
        for split, part in splits.items():
            found = Evaluated(tuple(islice(items, len(part))))
            record = EvalRecord(
                step=counters["steps"], split=split, mode=mode, counters=counters, accuracy=found.mean("correct"),
                examples=len(part), samples=samples, truncated=found.mean("truncated"),
                no_answer=1 - found.mean("answered"), response_tokens=found.mean("tokens"),
                seconds=seconds * len(part) / len(examples),
            )  # fmt: skip
            yield record, [_item_record(record, task, *pair) for pair in zip(part, found.items, strict=True)]


def _item_record(evaluation: EvalRecord, task: Task, example: Example, item: Item) -> ItemRecord:
    record = ItemRecord(
        step=evaluation["step"], split=evaluation["split"], mode=evaluation["mode"], id=item.id,
        correct=list(item.correct), tokens=list(item.tokens),
    )  # fmt: skip
    if (cluster := task.leak_key(example)) != example.id:
        record["cluster"] = cluster
    return record
