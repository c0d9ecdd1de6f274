"""Looks at a policy in training: held-out examples and a train probe, greedy and sampled, graded item by item."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from leaderboard.records import SPLITS, Counters, EvalRecord, ItemRecord
from tasks.base import Example, Task
from tasks.data import fixed_subset

from ..codec import Codec
from ..rollout import Engine
from ..settings import Evaluation, Sampling
from .answers import Item, ask, mean


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
        items = iter(ask(engine, codec, task, examples, sampling, seed, range(samples)))
        seconds = time.perf_counter() - began
        for split, part in splits.items():
            found = [next(items) for _ in part]
            record = EvalRecord(
                step=counters["steps"], split=split, mode=mode, counters=counters, accuracy=mean(found, "correct"),
                strict=mean(found, "strict"), examples=len(part), samples=samples, truncated=mean(found, "truncated"),
                no_answer=1 - mean(found, "answered"), timed_out=mean(found, "timed_out"),
                response_tokens=mean(found, "tokens"), seconds=seconds * len(part) / len(examples),
            )  # fmt: skip
            yield record, [_item_record(record, task, *pair) for pair in zip(part, found, strict=True)]


def _item_record(evaluation: EvalRecord, task: Task, example: Example, item: Item) -> ItemRecord:
    record = ItemRecord(
        step=evaluation["step"], split=evaluation["split"], mode=evaluation["mode"], id=item.id,
        correct=item.each("correct"), tokens=item.each("tokens"),
    )  # fmt: skip
    if (cluster := task.leak_key(example)) != example.id:
        record["cluster"] = cluster
    return record
