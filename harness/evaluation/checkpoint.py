"""The evaluation of a checkpoint: chunk by chunk, each recorded as soon as it is graded, so that a kill loses one.

Chunks are the same however often the evaluation was interrupted, and a chunk with a missing item is asked whole:
what is sampled together decides rounding, and an interrupted evaluation is to end with the same bytes as one that was
not.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from leaderboard import checkpoints, records
from leaderboard.evaluations import (
    SCHEMA,
    CheckpointRecord,
    EvaluationRecord,
    Item,
    ItemBlock,
    TaskEvaluation,
    TaskResult,
    comparable,
    join,
    read_items,
)
from tasks.base import Example, TaskError
from tasks.overlap import overlap

from .. import models
from ..codec import Codec
from ..errors import UserError
from ..lock import Held, lock
from ..plugins import build_task
from ..policy import Policy, check_projection
from ..provenance import session
from ..rollout import Engine, engines, mismatch
from ..settings import Rollout
from . import answers
from .asked import Asked
from .subject import Subject

AT_ONCE = {"cpu": 32, "cuda": 512}  # responses a chunk: what a kill can lose
PROMPTS_CHECKED = 8  # drawn from by the start-up check of a foreign engine
SCORED_AT_ONCE = 8192  # tokens of one forward pass of that check


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after every chunk."""

    key: str
    done: int  # items complete
    items: int
    accuracy: float  # of the items that are complete
    seconds_left: float | None  # of this task, by the pace of this session


Watcher = Callable[[Progress], None]


@dataclass
class Examiner:
    """A checkpoint with its engine, loaded when the first question is due; several tasks may be asked."""

    subject: Subject
    rollout: Rollout
    precision: Any  # float32 | bfloat16
    device: str
    decode_tokens: int
    watch: Watcher
    asked_responses: int = field(default=0, init=False)

    @cached_property
    def record(self) -> CheckpointRecord:
        """What is evaluated."""
        return CheckpointRecord(
            name=self.subject.name, fingerprint=models.fingerprint(self.subject.source), precision=self.precision,
            engine=self.rollout.engine,
        )  # fmt: skip

    @cached_property
    def _codec(self) -> Codec:
        return models.load_codec(self.subject.source)

    @cached_property
    def _policy(self) -> Policy:
        model = models.load_model(self.subject.source, self.precision)
        return Policy(model, torch.device(self.device), self.precision, 1.0, trained=False)

    @cached_property
    def _engine(self) -> Engine:
        return engines.build(self.rollout, self._policy, self._codec.end_ids, self.decode_tokens)

    def _verified(self, asked: Asked) -> Engine:
        """The engine; one that computes with code of its own is compared with the model first, as before a run."""
        if "_engine" not in self.__dict__ and self._engine.foreign:
            try:
                check_projection(self._policy.model)
            except ValueError as error:
                raise UserError(
                    f"--engine {self.rollout.engine} cannot be verified: {error}; use transformers"
                ) from None
            prompts = [self._codec.prompt(example) for example in asked.examples[:PROMPTS_CHECKED]]
            mismatch.check(self._engine, self._policy, prompts, asked.sampling, None, SCORED_AT_ONCE)
        return self._engine

    def examine(self, asked: Sequence[Asked], folder: Path) -> EvaluationRecord:
        """Ask what `folder` does not hold yet, and write its evaluation.json, evaluation.md and sessions.jsonl.

        Raises UserError where the folder holds another evaluation, or another process writes to it.
        """
        with _held(folder):
            for one in asked:
                self._check_same(one, folder)
            began, start = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
            results = self._earlier(folder)
            for one in asked:
                results[one.key] = self._one(one, folder / one.key)
            written = EvaluationRecord(schema=SCHEMA, checkpoint=self.record, tasks=dict(sorted(results.items())))
            write(folder, written)
            if self.asked_responses:
                here = session(torch.device(self.device), 0, engines.versions(self.rollout))
                del here["resumed_from"]
                spent = {"seconds": time.monotonic() - began, "responses": self.asked_responses}
                records.append(folder / "sessions.jsonl", [{**here, "started": start, **spent}])
        return written

    def release(self) -> None:
        """Give the model's memory back; it would be loaded again."""
        for name in ("_engine", "_policy"):
            if name in self.__dict__:
                del self.__dict__[name]
        gc.collect()

    # --- the folder ---

    def _check_same(self, asked: Asked, folder: Path) -> None:
        """Refuse to mix two evaluations: what is there must be of this checkpoint and of this protocol."""
        path = folder / asked.key / "protocol.json"
        if not path.exists():
            return
        there = records.read_json(path)
        mine = {"checkpoint": self.record, "seed": asked.record["seed"]}
        differences = comparable(asked.record, there["protocol"]) + [
            f"{key}: {mine[key]!r} against {found!r}"
            for key, found in (("checkpoint", there["checkpoint"]), ("seed", there["protocol"]["seed"]))
            if mine[key] != found
        ]
        if differences:
            listed = "\n".join(f"  {line}" for line in differences)
            raise UserError(
                f"{folder / asked.key} holds another evaluation; choose another --out, or remove it. Asked now against "
                f"what is there:\n{listed}"
            )

    def _earlier(self, folder: Path) -> dict[str, TaskResult]:
        """Results of tasks that were evaluated into this folder before; a task asked again is counted anew."""
        path = folder / "evaluation.json"
        if not path.exists():
            return {}
        found: EvaluationRecord = records.read_json(path)
        return dict(found["tasks"]) if found["checkpoint"] == self.record else {}

    def _one(self, asked: Asked, folder: Path) -> TaskResult:
        folder.mkdir(parents=True, exist_ok=True)
        records.write_json(folder / "protocol.json", {"checkpoint": self.record, "protocol": asked.record})
        path = folder / "items.jsonl"
        items = {item.id: item for item in read_items(path)}
        self._complete(asked, items, path)
        result = _result(asked, items)
        if (shared := self._shared(asked)) is not None:
            result["overlap"] = shared
        return result

    def _shared(self, asked: Asked) -> int | None:
        """How many of the questions the cell was trained on; None where that cannot be known."""
        if self._trained is None:
            return None
        questions = {e.id: text for e in asked.examples if (text := asked.task.question(e)) is not None}
        return overlap(self._trained, questions).count if questions else None

    @cached_property
    def _trained(self) -> list[str] | None:
        if self.subject.trained_task is None:
            return None
        name, parameters = self.subject.trained_task
        try:
            task = build_task(name, parameters, "the task that the cell was trained on")
            return [text for example in task.train if (text := task.question(example)) is not None]
        except (UserError, TaskError):
            return None

    def _complete(self, asked: Asked, items: dict[str, Item], path: Path) -> None:
        """Ask chunk by chunk what `items` lacks; it is recorded in `path`, and added to `items`."""
        samples, key = asked.record["samples"], asked.key
        began, done_before = time.monotonic(), sum(_has(items, e) >= samples for e in asked.examples)
        for chunk in _chunks(asked, AT_ONCE[self.device]):
            missing = [example for example in chunk if _has(items, example) < samples]
            if not missing:
                continue
            first = min(_has(items, example) for example in missing)
            blocks = self._ask(asked, chunk, range(first, samples))
            kept = [
                _behind(block, there)
                for example, block in zip(chunk, blocks, strict=True)
                if (there := _has(items, example)) < samples
            ]
            records.append(path, kept)
            for block in kept:
                join(items, block)
            self.watch(self._progress(key, asked, items, began, done_before))

    def _ask(self, asked: Asked, examples: Sequence[Example], samples: range) -> list[ItemBlock]:
        self.asked_responses += len(examples) * len(samples)
        found = answers.ask(
            self._verified(asked), self._codec, asked.task, examples, asked.sampling, asked.record["seed"], samples
        )
        return [self._block(asked, example, item, samples) for example, item in zip(examples, found, strict=True)]

    def _block(self, asked: Asked, example: Example, item: answers.Item, samples: range) -> ItemBlock:
        block = ItemBlock(
            id=example.id, content=content_hash(self._codec.prompt(example), example.answer), first=samples.start,
            responses=[a.text for a in item.answers], answers=[a.grade.extracted for a in item.answers],
            correct=item.each("correct"), strict=item.each("strict"), tokens=item.each("tokens"),
            truncated=item.each("truncated"), timed_out=item.each("timed_out"),
        )  # fmt: skip
        if (cluster := asked.task.leak_key(example)) != example.id:
            block["cluster"] = cluster
        return block

    def _progress(self, key: str, asked: Asked, items: dict[str, Item], began: float, done_before: int) -> Progress:
        whole = [items[e.id] for e in asked.examples if _has(items, e) >= asked.record["samples"]]
        now_done = len(whole) - done_before
        left = (time.monotonic() - began) * (len(asked.examples) - len(whole)) / now_done if now_done else None
        accuracy = sum(sum(c or 0 for c in item.correct) / len(item.correct) for item in whole) / max(1, len(whole))
        return Progress(key, len(whole), len(asked.examples), accuracy, left)


def write(folder: Path, record: EvaluationRecord) -> None:
    """evaluation.json, and the same for people."""
    records.write_json(folder / "evaluation.json", record)
    (folder / "evaluation.md").write_text(checkpoints.markdown(record), encoding="utf-8")


def content_hash(prompt: Sequence[int], answer: str) -> str:
    """What an item asked: its prompt's token ids and the right answer."""
    return hashlib.sha256(json.dumps([list(prompt), answer]).encode()).hexdigest()[:16]


def _result(asked: Asked, items: dict[str, Item]) -> TaskResult:
    whole = TaskEvaluation(asked.record, [items[example.id] for example in asked.examples])
    votes = None
    if asked.record["samples"] > 2:
        votes = {e.id: _labels(asked, e, items[e.id].answers[: asked.record["samples"]]) for e in asked.examples}
    return TaskResult(protocol=asked.record, items=len(asked.examples), metrics=checkpoints.metrics(whole, votes))


def _labels(asked: Asked, example: Example, found: Sequence[str | None]) -> list[int]:
    """Labels of equal answers, −1 where there is none: what a majority vote counts."""
    given = [answer for answer in found if answer is not None]
    labels = iter(asked.task.same_answers(example, given))
    return [-1 if answer is None else next(labels) for answer in found]


def _chunks(asked: Asked, responses: int) -> Iterator[Sequence[Example]]:
    size = max(1, responses // asked.record["samples"])
    for start in range(0, len(asked.examples), size):
        yield asked.examples[start : start + size]


def _has(items: dict[str, Item], example: Example) -> int:
    item = items.get(example.id)
    return 0 if item is None else len(item.correct)


def _behind(block: ItemBlock, there: int) -> ItemBlock:
    """The block without the samples before number `there`."""
    drop = there - block["first"]
    cut = {key: value[drop:] for key, value in block.items() if isinstance(value, list)}
    return {**block, **cut, "first": there}  # type: ignore[typeddict-item]


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder):
            yield
    except Held as held:
        raise UserError(f"{folder}: {held} is evaluating into it") from None
