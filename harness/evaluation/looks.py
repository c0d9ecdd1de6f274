"""Looks at a policy in training: held-out examples and a train probe, greedy and sampled, graded item by item."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from leaderboard.records import SPLITS, Counters, EvalRecord, ItemRecord
from tasks.base import Example, Task
from tasks.data import fixed_subset
from tasks.rewards.rewarded import Rewarded

from ..codec import Codec
from ..policy import Row
from ..residents import Residents, stay
from ..rollout import Engine
from ..settings import Evaluation, Sampling
from .answers import Item, ask, mean, readable
from .drift import Drift


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
    engine: Engine, codec: Codec, task: Task, settings: Evaluation, max_tokens: int, seed: int, counters: Counters,
    drift: Drift | None = None, residents: Residents | None = None, texts: bool = False,
) -> Iterator[tuple[EvalRecord, list[ItemRecord]]]:  # fmt: skip
    """The records of one look at the policy: every split, greedy and sampled (sharpening alone moves only the second).

    All splits are asked in one call a mode, so that the engine's batches are full. `max_tokens`: of a response, where
    `settings` has no limit of its own; `counters`: what the run has spent so far; `drift`: where the policy began, for
    the distance to it on the held-out samples; `residents`: models that take turns, whose moving counts as `seconds`;
    `texts`: whether held-out items keep what was asked and answered.
    """
    splits = splits_of(task, settings)
    examples = [example for part in splits.values() for example in part]
    sampled = Sampling(settings.max_tokens or max_tokens, settings.temperature)
    for mode, sampling, samples in (("greedy", greedy(sampled), 1), ("sampled", sampled, settings.samples)):
        began = time.perf_counter()
        items = iter(ask(engine, codec, task, examples, sampling, seed, range(samples), residents))
        seconds = time.perf_counter() - began
        for split, part in splits.items():
            found = [next(items) for _ in part]
            record = EvalRecord(
                step=counters["steps"], split=split, mode=mode, counters=counters,
                accuracy=mean(found, "correct") if task.graded else None, examples=len(part), samples=samples,
                truncated=mean(found, "truncated"), no_answer=1 - mean(found, "answered"),
                timed_out=mean(found, "timed_out"), response_tokens=mean(found, "tokens"),
                seconds=seconds * len(part) / len(examples),
            )  # fmt: skip
            if task.graded:
                record["strict"] = mean(found, "strict")
            if isinstance(task, Rewarded):
                record["reward"], record["reward_cut"] = mean(found, "reward"), mean(found, "cut")
            if _gold(found):
                record["gold"] = mean(found, "gold")
            if drift is not None and (split, mode) == ("heldout", "sampled"):
                with (residents or stay()).phase("scoring"):
                    record["kl"], record["entropy"] = _moved(drift, codec, part, found, sampling.temperature)
            kept = texts and split == "heldout"
            yield record, [_item_record(record, task, *pair, kept) for pair in zip(part, found, strict=True)]


def _gold(items: Sequence[Item]) -> bool:
    return all(answer.gold is not None for item in items for answer in item.answers)


def _moved(
    drift: Drift, codec: Codec, examples: Sequence[Example], items: Sequence[Item], temperature: float
) -> tuple[float, float]:
    """KL to the start in nats a response, and entropy in nats a token; an empty response has no token."""
    rows = [
        Row(prompt, answer.ids)
        for prompt, item in zip(map(codec.prompt, examples), items, strict=True)
        for answer in item.answers
    ]
    found = drift.measure(rows, temperature)
    tokens = sum(len(row.response) for row in rows)
    return sum(one.log_ratio for one in found) / len(found), sum(one.entropy for one in found) / max(1, tokens)


def _item_record(evaluation: EvalRecord, task: Task, example: Example, item: Item, texts: bool) -> ItemRecord:
    record = ItemRecord(
        step=evaluation["step"], split=evaluation["split"], mode=evaluation["mode"], id=item.id,
        correct=item.each("correct") if task.graded else [], tokens=item.each("tokens"),
    )  # fmt: skip
    if (cluster := task.leak_key(example)) != example.id:
        record["cluster"] = cluster
    if "reward" in evaluation:
        record["reward"] = item.values("reward")
    if "gold" in evaluation:
        record["gold"] = item.values("gold")
    if texts:
        record["prompt"] = readable(example.text)
        record["texts"] = [readable(answer.text) for answer in item.answers]
        if example.answer:
            record["answer"] = readable(example.answer)
    return record
