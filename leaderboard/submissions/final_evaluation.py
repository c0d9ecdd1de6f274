"""One final evaluation of a submission, a cell's or a start's: complete, and every number that which its items give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..evaluations import (
    FILE,
    PER_SAMPLE,
    SCHEMA,
    Block,
    EvaluationRecord,
    ProtocolRecord,
    TaskEvaluation,
    TaskResult,
)
from .cells import decode
from .evaluated import MOST_TOKENS, NEAR, UNGRADED
from .faults import Faults, hostile

ITEMS = "items.jsonl"
FLAGS = ("correct", "strict", "truncated", "timed_out")  # 0 or 1, one a sample


@dataclass(frozen=True)
class Evaluated:
    """One final evaluation, of a cell or of a start, as far as it can be read."""

    place: str
    record: EvaluationRecord
    asked: Mapping[str, Mapping[str, str]]  # by task: by item, hash of what was asked, and its cluster

    @property
    def file(self) -> str:
        """For messages."""
        return f"{self.place}/{FILE}"


def read(place: str, there: Sequence[str], contents: Mapping[str, bytes], faults: Faults) -> Evaluated | None:
    """The evaluation in `place`, whose files are `there`, by itself; None, and a fault, where it is not readable."""
    raw: Any = decode(contents, f"{place}/{FILE}", EvaluationRecord, faults)
    if raw is None:
        return None
    if raw["schema"] != SCHEMA:
        faults.add(f"{place}/{FILE}", "schema", raw["schema"], SCHEMA, unsafe=True)
        return None
    record: EvaluationRecord = raw
    for name in there:
        if name.endswith(f"/{ITEMS}") and (key := name.split("/")[-2]) not in record["tasks"]:
            faults.add(f"{name}.gz", "", f"items of {key}", f"those of a task that {place}/{FILE} has")
    return Evaluated(
        place, record, {key: _task(place, key, result, contents, faults) for key, result in record["tasks"].items()}
    )


def _task(
    place: str, key: str, result: TaskResult, contents: Mapping[str, bytes], faults: Faults
) -> dict[str, str]:  # fmt: skip
    """One task's numbers against its items; by item what it asked, nothing where they cannot be read."""
    path, file = f"{place}/{key}/{ITEMS}", f"{place}/{key}/{ITEMS}.gz"
    if path not in contents:
        if not any(fault.file == file for fault in faults.found):
            faults.add(file, "", "no such file", f"the items of {key}, which {place}/{FILE} has", unsafe=True)
        return {}
    try:
        items = msgspec.json.Decoder(Block).decode_lines(contents[path])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        faults.add(file, "", error, "items", unsafe=True)
        return {}
    protocol, record = result["protocol"], f"{place}/{FILE}"
    if protocol["verifier"].partition(" ")[0] == UNGRADED:
        faults.add(record, key, f"verifier = {protocol['verifier']!r}", "one that grades")
    elif _complete(record, file, key, result, items, faults):
        _metrics(record, key, result, items, faults)
    return {item.id: f"{item.content}, drawn with {item.unit}" for item in items}


def _complete(
    record: str, file: str, key: str, result: TaskResult, items: Sequence[Block], faults: Faults
) -> bool:  # fmt: skip
    """Whether there is what the protocol asked, each item once, in its order, with a verdict a sample."""
    protocol, before = result["protocol"], len(faults.found) + faults.more
    examples, samples = protocol["examples"], protocol["samples"]
    if not examples or len(set(examples)) < len(examples) or samples < 1:
        found = f"{len(set(examples))} different examples of {len(examples)}, {samples} samples of each"
        faults.add(record, key, found, "one or more, each once, and one sample or more")
        return False
    if result["items"] != len(examples):
        faults.add(record, key, f"items = {result['items']}", f"{len(examples)}, its protocol's examples")
    if not 0 <= (shared := result.get("overlap", 0)) <= len(examples):
        faults.add(record, key, f"overlap = {shared}", f"0 to {len(examples)} of its questions")
    ids = [item.id for item in items]
    if ids != examples:
        odd = sorted(set(ids) ^ set(examples)) or ["in another order, or more than once"]
        expected = f"the {len(examples)} that {record} asked, each once and in that order"
        faults.add(file, "", f"{len(ids)} items; {odd[0]}", expected)
        return False
    for item in items:
        if fault := _item(item, protocol):
            faults.add(file, f"item {item.id}", *fault)
            return False
    return len(faults.found) + faults.more == before


def _item(item: Block, protocol: ProtocolRecord) -> tuple[str, str] | None:
    """What is wrong with one item, and what was expected."""
    if item.first != 0:
        return f"first = {item.first}", "0: an item is one line"
    for name in PER_SAMPLE:
        if (count := len(getattr(item, name))) != protocol["samples"]:
            return f"{count} values of {name}", f"{protocol['samples']}, one a sample"
    for name in FLAGS:
        if set(getattr(item, name)) - {0, 1}:
            return f"{name} = {getattr(item, name)}", "0 or 1"
    most = min(protocol["max_tokens"], MOST_TOKENS)
    if min(item.tokens) < 0 or max(item.tokens) > most:
        return f"tokens = {item.tokens}", f"0 to {most}, the limit of its protocol"
    for text in (item.id, item.content, item.cluster or ""):
        if found := hostile(text):
            return f"a name that holds {found}", "no control or formatting character"
    return None


def _metrics(record: str, key: str, result: TaskResult, items: Sequence[Block], faults: Faults) -> None:
    from ..checkpoints import metrics  # numpy and scipy, which a submission without final tasks does not need

    plain = [item.cut(result["protocol"]["samples"]) for item in items]
    truth, said = metrics(TaskEvaluation(result["protocol"], plain)), result["metrics"]
    for name in sorted(truth.keys() | said.keys()):
        mine, theirs = said.get(name), truth.get(name)
        if theirs is None:
            faults.add(record, key, f"{name} = {mine}", f"no such number, which its {len(items)} items do not give")
        elif mine is None or not math.isclose(mine, theirs, rel_tol=NEAR, abs_tol=1e-12):
            faults.add(record, key, f"{name} = {mine}", f"{theirs}, from its {len(items)} items")
