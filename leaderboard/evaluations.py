"""What `groupbench evaluate` leaves on disk, and what the gate compares: one checkpoint, item by item.

    FOLDER/evaluation.json     an `EvaluationRecord`: checkpoint, protocols, metrics; no clock in it, so that an
                               interrupted evaluation ends with the same bytes as one that was not
           evaluation.md       the same for people
           sessions.jsonl      when, how long and on what
           <key>/protocol.json a `ProtocolRecord`, written before the first answer; <key> is TASK or TASK@PROTOCOL
                 items.jsonl   `ItemBlock`s, appended as they are graded
                 xcheck.json   where asked for: the same responses by lm-eval's graders; xcheck.md for people
           lm-eval/<name>.json where asked for: tasks of lm-evaluation-harness, and their samples

A baseline (`*.json.gz`) is the same evaluation in one file, without the texts of the responses.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from . import packed
from .records import RecordError, read_json, write_json

SCHEMA = 1
FILE = "evaluation.json"
PER_SAMPLE = ("correct", "strict", "tokens", "truncated", "timed_out", "answers")


class ProtocolRecord(TypedDict):
    """How a task was asked. Two evaluations are comparable where `comparable` finds no difference."""

    task: str
    parameters: dict[str, Any]  # of the task, as far as they are not places
    protocol: str  # its name; "avg@8, as avg@4" where the user wants something of it otherwise
    samples: int  # asked for; a larger number only adds to a smaller one
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    verifier: str
    examples: list[str]  # ids, in order: what a complete evaluation holds
    data: str  # fingerprint of these examples


class _Clustered(TypedDict, total=False):
    cluster: str  # items of equal clusters are not independent
    prompt: str  # for people; in an item's first block, and not in evaluations of earlier versions


class ItemBlock(_Clustered):
    """Samples `first`, `first` + 1, … of one item; every list holds one entry a sample."""

    id: str
    content: str  # hash of the prompt's token ids and of the right answer: items of equal hashes asked the same
    first: int
    responses: list[str]
    answers: list[str | None]  # as extracted; None: an extraction failure
    correct: list[int | None]  # the verdict that tables count, 1 or 0; null where only a judge can give one
    strict: list[int | None]  # the verdict that training sees
    tokens: list[int]
    truncated: list[int]
    timed_out: list[int]


class _Trained(TypedDict, total=False):
    algorithm: str  # of the run that made it: its name,
    row: str  # the label of its row, e.g. gift@released,
    seed: int  # and the seed of training


class CheckpointRecord(_Trained):
    """What was evaluated."""

    name: str  # as the user named it
    fingerprint: str  # of configuration, tokenizer and weights, or the Hub commit
    precision: str
    engine: str


class _Overlapping(TypedDict, total=False):
    overlap: int  # of the questions, so many were training prompts of the run that made the checkpoint


class TaskResult(_Overlapping):
    """One task's entry in evaluation.json."""

    protocol: ProtocolRecord
    items: int  # complete ones
    metrics: dict[str, float]


class _Beside(TypedDict, total=False):
    lm_eval: dict[str, Any]  # lm-eval's own tasks by name, each with its protocol: see harness/lm_eval/records.py


class EvaluationRecord(_Beside):
    """evaluation.json."""

    schema: int
    checkpoint: CheckpointRecord
    tasks: dict[str, TaskResult]


class Item(msgspec.Struct):
    """One item with all of its samples, in order of their numbers; texts are left out."""

    id: str
    content: str
    correct: list[float | None]  # null where only a judge can say, or somebody else's file does: the gate refuses it
    strict: list[float | None]
    tokens: list[int]
    truncated: list[int]
    timed_out: list[int]
    answers: list[str | None]
    cluster: str | None = None

    @property
    def unit(self) -> str:
        """What it is drawn with: its cluster, which may be named after one of its items, or itself."""
        return self.cluster or self.id

    def cut(self, samples: int) -> Item:
        """With so many samples: one that was asked more often answers as if it had not been."""
        whole: dict[str, Any] = {name: getattr(self, name) for name in Item.__struct_fields__}
        lists = {name: value[:samples] for name, value in whole.items() if isinstance(value, list)}
        return Item(**(whole | lists))


@dataclass(frozen=True)
class TaskEvaluation:
    """One task of an evaluation: what was asked and what came back, complete or not."""

    protocol: ProtocolRecord
    items: Sequence[Item]

    @property
    def missing(self) -> list[str]:
        """Ids of the examples that have no item, or one with fewer samples than were asked for."""
        there = {item.id: len(item.correct) for item in self.items}
        return [name for name in self.protocol["examples"] if there.get(name, 0) < self.protocol["samples"]]


@dataclass(frozen=True)
class Evaluation:
    """An evaluated checkpoint, or a baseline."""

    checkpoint: CheckpointRecord
    tasks: Mapping[str, TaskEvaluation]
    note: str = ""  # of a baseline that was written against the gate's verdict: why


def same_checkpoint(one: CheckpointRecord, other: CheckpointRecord) -> bool:
    """Whether both are of the same weights in the same engine, wherever these lay and whatever their name."""
    return not checkpoint_differences(one, other)


def checkpoint_differences(one: CheckpointRecord, other: CheckpointRecord) -> list[str]:
    """What `same_checkpoint` compares, as `key: this against that`."""
    found: list[tuple[str, Any, Any]] = [(k, one.get(k), other.get(k)) for k in ("fingerprint", "precision", "engine")]
    return [f"{key}: {mine} against {theirs}" for key, mine, theirs in found if mine != theirs]


def comparable(one: ProtocolRecord, other: ProtocolRecord) -> list[str]:
    """What makes two evaluations incomparable, as `key: this against that`; empty where nothing does.

    The number of samples, the seed and the choice of examples are no such thing: pairs are made of shared items, whose
    `content` must be equal.
    """
    keys = ("task", "parameters", "temperature", "top_p", "max_tokens", "verifier")
    found: list[tuple[str, Any, Any]] = [(key, one.get(key), other.get(key)) for key in keys]
    return [f"{key}: {mine!r} against {theirs!r}" for key, mine, theirs in found if mine != theirs]


def read(path: Path) -> Evaluation:
    """An evaluation's folder, or a baseline file. Raises RecordError that names the file and what is wrong with it."""
    if not path.is_dir():
        return read_baseline(path)
    record, tasks = read_record(path), {}
    for key, task in record["tasks"].items():
        there = {item.id: item for item in read_items(path / key / "items.jsonl")}
        items = [there[name] for name in task["protocol"]["examples"] if name in there]
        tasks[key] = TaskEvaluation(task["protocol"], items)
    return Evaluation(record["checkpoint"], tasks)


def read_record(folder: Path) -> EvaluationRecord:
    """A folder's evaluation.json. Raises RecordError where it is none, or of another version."""
    path = folder / FILE
    record: EvaluationRecord = read_json(path)
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise RecordError(f"{path}: not an evaluation of schema {SCHEMA}")
    return record


def read_items(path: Path) -> list[Item]:
    """The items of an items.jsonl, their blocks joined, in the order of their first one.

    A torn last line is left out, and so are samples behind a gap. Raises RecordError that names file and line.
    """
    items: dict[str, Item] = {}
    if not packed.there(path):
        return []
    decode = msgspec.json.Decoder(Block).decode
    lines = packed.content(path).split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            _join(items, decode(line))
        except (msgspec.DecodeError, ValueError) as error:
            if number == len(lines):
                break
            raise RecordError(f"{path}, line {number}: {error}") from None
    return list(items.values())


def join(items: dict[str, Item], block: ItemBlock) -> None:
    """Add a block's samples to its item; those behind a gap, or there already, are left out."""
    _join(items, msgspec.convert(block, Block))


class Block(Item, kw_only=True):
    """A line of an items.jsonl, an `ItemBlock` without its texts."""

    first: int


def _join(items: dict[str, Item], block: Block) -> None:
    lengths = {len(getattr(block, name)) for name in PER_SAMPLE}
    if len(lengths) != 1:
        raise ValueError(f"lists of {sorted(lengths)} samples; expected equally many")
    item = items.get(block.id)
    if item is None and block.first == 0:
        items[block.id] = Item(**{name: getattr(block, name) for name in Item.__struct_fields__})
    elif item is not None and block.first == len(item.correct):
        for name in PER_SAMPLE:
            getattr(item, name).extend(getattr(block, name))


class _Baseline(msgspec.Struct):
    schema: int
    checkpoint: dict[str, Any]
    tasks: dict[str, _BaselineTask]
    note: str = ""


class _BaselineTask(msgspec.Struct):
    protocol: dict[str, Any]
    items: list[Item]


def read_baseline(path: Path) -> Evaluation:
    """A baseline file. Raises RecordError that names it and what is wrong with it."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found = msgspec.json.decode(data, type=_Baseline)
    except FileNotFoundError:
        raise RecordError(f"{path}: no such evaluation folder or baseline file") from None
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise RecordError(f"{path}: not a baseline ({error}); `groupbench gate --create-baseline` writes one") from None
    if found.schema != SCHEMA:
        raise RecordError(f"{path}: a baseline of schema {found.schema}; this version reads {SCHEMA}")
    tasks = {key: TaskEvaluation(task.protocol, task.items) for key, task in found.tasks.items()}  # type: ignore[arg-type]
    return Evaluation(found.checkpoint, tasks, found.note)  # type: ignore[arg-type]


def write_baseline(path: Path, evaluation: Evaluation) -> None:
    """An evaluation as one file, replaced atomically; gzip where the name ends in .gz, the same bytes each time."""
    record = {
        "schema": SCHEMA,
        "checkpoint": evaluation.checkpoint,
        "tasks": {
            key: {"protocol": task.protocol, "items": [msgspec.to_builtins(item) for item in task.items]}
            for key, task in evaluation.tasks.items()
        },
    } | ({"note": evaluation.note} if evaluation.note else {})
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".gz":
        write_json(path, record)
        return
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(gzip.compress(json.dumps(record).encode(), mtime=0))
    temporary.replace(path)
