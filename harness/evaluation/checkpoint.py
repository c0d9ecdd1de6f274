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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
    checkpoint_differences,
    comparable,
    join,
    read_items,
    read_record,
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
OUTSIDE = "lm-eval"  # the folder of lm-eval's own tasks
PROMPTS_CHECKED = 8  # drawn from by the start-up check of a foreign engine
SCORED_AT_ONCE = 8192  # tokens of one forward pass of that check


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after every chunk."""

    key: str
    done: int  # items complete
    items: int
    accuracy: float | None  # of the items that are complete; None where only a judge can say
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
        found = CheckpointRecord(
            name=self.subject.name, fingerprint=models.fingerprint(self.subject.source), precision=self.precision,
            engine=self.rollout.engine,
        )  # fmt: skip
        if (cell := self.subject.cell) is not None:
            name = records.algorithm_name(cell["spec"])
            found |= {"algorithm": name, "row": cell["algorithm"], "seed": cell["seed"]}
        return found

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
            self._check_same_checkpoint(folder)
            for one in asked:
                self._check_same(one, folder)
            began, start = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
            written = self._earlier(folder)
            results = dict(written["tasks"])
            for one in asked:
                results[one.key] = self._one(one, folder / one.key)
            written["tasks"] = dict(sorted(results.items()))
            self._write(folder, written)
            if self.asked_responses:
                here = session(torch.device(self.device), 0, engines.versions(self.rollout))
                del here["resumed_from"]
                spent = {"seconds": time.monotonic() - began, "responses": self.asked_responses}
                records.append(folder / "sessions.jsonl", [{**here, "started": start, **spent}])
        return written

    def add_outside(self, folder: Path, found: Mapping[str, Any]) -> None:
        """Put lm-eval's numbers into evaluation.json, beside whatever stands there by now."""
        with _held(folder):
            written = self._earlier(folder)
            written["lm_eval"] = dict(found)
            self._write(folder, written)

    @staticmethod
    def _write(folder: Path, record: EvaluationRecord) -> None:
        records.write_json(folder / "evaluation.json", record)
        (folder / "evaluation.md").write_text(checkpoints.markdown(record), encoding="utf-8")

    def release(self) -> None:
        """Give the model's memory back; it would be loaded again."""
        for name in ("_engine", "_policy"):
            if name in self.__dict__:
                del self.__dict__[name]
        gc.collect()

    # --- the folder ---

    def _check_same_checkpoint(self, folder: Path) -> None:
        """Refuse to mix two checkpoints, whichever of their tasks are asked."""
        for path in sorted([*folder.glob("*/protocol.json"), *folder.glob(f"{OUTSIDE}/*.json")]):
            if differences := checkpoint_differences(self.record, records.read_json(path)["checkpoint"]):
                raise _another(folder, differences)

    def _check_same(self, asked: Asked, folder: Path) -> None:
        """Refuse to mix two protocols, or two states of the data: items there must have been asked the same."""
        path = folder / asked.key / "protocol.json"
        if not path.exists():
            return
        there = records.read_json(path)["protocol"]
        differences = comparable(asked.record, there)
        if asked.record["seed"] != there["seed"]:
            differences.append(f"seed: {asked.record['seed']!r} against {there['seed']!r}")
        if differences:
            raise _another(folder / asked.key, differences)
        items = {item.id: item.content for item in read_items(path.with_name("items.jsonl"))}
        changed = [e.id for e in asked.examples if e.id in items and items[e.id] != self._content(e)]
        if changed:
            raise _another(folder / asked.key, [f"prompt or right answer of {len(changed)} items, e.g. {changed[0]}"])

    def _content(self, example: Example) -> str:
        return content_hash(self._codec.prompt(example), example.answer)

    def _earlier(self, folder: Path) -> EvaluationRecord:
        """What was evaluated into this folder before; a task asked again is counted anew."""
        if (folder / "evaluation.json").exists():
            return {**read_record(folder), "checkpoint": self.record}
        return EvaluationRecord(schema=SCHEMA, checkpoint=self.record, tasks={})

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
            id=example.id, content=self._content(example), first=samples.start,
            responses=[answers.readable(a.text) for a in item.answers],
            answers=[None if (found := a.grade.extracted) is None else answers.readable(found) for a in item.answers],
            correct=[None if a.grade.counted is None else int(a.correct) for a in item.answers],
            strict=[None if a.grade.correct is None else int(a.strict) for a in item.answers],
            tokens=item.each("tokens"),
            truncated=item.each("truncated"), timed_out=item.each("timed_out"),
        )  # fmt: skip
        if samples.start == 0:
            block["prompt"] = answers.readable(example.text)
        if (cluster := asked.task.leak_key(example)) != example.id:
            block["cluster"] = cluster
        return block

    def _progress(self, key: str, asked: Asked, items: dict[str, Item], began: float, done_before: int) -> Progress:
        whole = [items[e.id] for e in asked.examples if _has(items, e) >= asked.record["samples"]]
        now_done = len(whole) - done_before
        left = (time.monotonic() - began) * (len(asked.examples) - len(whole)) / now_done if now_done else None
        accuracy = None
        if not any(None in item.correct for item in whole):
            accuracy = sum(sum(c or 0 for c in item.correct) / len(item.correct) for item in whole) / max(1, len(whole))
        return Progress(key, len(whole), len(asked.examples), accuracy, left)


def _another(place: Path, differences: Sequence[str]) -> UserError:
    listed = "\n".join(f"  {line}" for line in differences)
    return UserError(
        f"{place} holds another evaluation; choose another folder, or remove it. Asked now against what is there:\n"
        f"{listed}"
    )


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
    kept = {key: value for key, value in block.items() if key != "prompt" or not drop}
    return {**kept, **cut, "first": there}  # type: ignore[typeddict-item]


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock(folder))
        except Held as held:
            raise UserError(f"{folder}: {held} is evaluating into it") from None
        except OSError as error:
            raise UserError(f"{folder}: no folder that can be written to ({error.strerror})") from None
        yield
