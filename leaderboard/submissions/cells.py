"""One cell of a submission: what it says that it is, and whether it spent what it says, step by step."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .. import packed, reading
from ..records import (
    AXES,
    SCHEMA,
    CellRecord,
    EvalRecord,
    RecordError,
    SampleRecord,
    Status,
    StepRecord,
    content_hash,
    row_hash,
)
from . import shapes
from .evaluated import Measures, check_evaluations, check_measures
from .faults import Faults
from .files import refuse_hostile
from .manifest import RECORDS, SAMPLES

NEAR = 1e-6  # relative: what was recorded as a mean of counts is a count over a count
HUGE = re.compile(rb"(?<![\d.\"])\d{19,}")  # a whole number that fits into no array; the digits of a fraction are none


@dataclass(frozen=True)
class Checked:
    """What is needed of a cell to compare it with others, and with what the manifest says."""

    id: str
    record: Mapping[str, Any]  # cell.json
    status: Status
    steps: Sequence[StepRecord] = ()
    finals: Mapping[tuple[str, str], EvalRecord] = field(default_factory=dict)  # by split and mode
    asked: Mapping[str, tuple[tuple[str, str | None], ...]] = field(default_factory=dict)  # items and clusters by split
    measures: Measures = field(default_factory=dict)  # what was measured, by split
    tasks: Mapping[str, float] = field(default_factory=dict)  # accuracies on final tasks

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its specification."""
        spec: Mapping[str, Any] = self.record["spec"]
        return spec

    @property
    def folder(self) -> str:
        """Where it lies."""
        return f"cells/{self.id}"

    @property
    def words(self) -> str:
        """For messages."""
        return f"{self.record['algorithm']}, seed {self.record['seed']}"


def check(name: str, contents: Mapping[str, bytes], faults: Faults) -> Checked | None:
    """All that can be said of the cell in `cells/<name>` alone; None where it cannot be read."""
    folder = f"cells/{name}"
    record = decode(contents, f"{folder}/cell.json", CellRecord, faults)
    status = decode(contents, f"{folder}/status.json", Status, faults)
    if record is None or status is None:
        return None
    if not _identity(name, record, faults):
        return None
    lines: dict[str, list[Any]] = {}
    for file, schema in (("steps.jsonl", StepRecord), ("evals.jsonl", EvalRecord)):
        found = parse(contents, f"{folder}/{file}", schema, faults)
        if found is None:
            return None
        lines[file] = found
    if f"{folder}/items.jsonl" not in contents:
        missing(f"{folder}/items.jsonl", faults)
        return None
    steps, evals = lines["steps.jsonl"], lines["evals.jsonl"]
    cell = Checked(name, record, status, steps)  # type: ignore[arg-type]
    _status(cell, faults)
    _steps(cell, faults)
    _budget(cell, faults)
    when = {0, *ends(cell.spec, steps)}
    finals, asked = check_evaluations(folder, cell.spec, steps, when, evals, contents, faults)
    measures = check_measures(folder, cell.spec, evals, faults)
    if f"{folder}/{SAMPLES}" in contents and parse(contents, f"{folder}/{SAMPLES}", SampleRecord, faults) is None:
        return None
    return Checked(name, record, status, steps, finals, asked, measures)  # type: ignore[arg-type]


def decode(contents: Mapping[str, bytes], file: str, schema: Any, faults: Faults) -> dict[str, Any] | None:
    """A JSON file, as its schema has it, with every key that it holds; None, and a fault, where it does not fit."""
    if file not in contents:
        faults.add(file, "", "no such file", "one", unsafe=True)
        return None
    try:
        raw = reading.decode(contents[file], dict[str, Any], file)
        reading.convert(raw, schema, file)
    except (RecordError, RecursionError) as error:
        found, _, expected = str(error).removeprefix(f"{file}: ").partition("; expected ")
        faults.add(file, "", found, expected, unsafe=True)
        return None
    refuse_hostile(file, raw, faults)
    return raw


def parse(contents: Mapping[str, bytes], file: str, schema: Any, faults: Faults) -> list[Any] | None:
    """A file of records; None, and a fault, where it is not there, is cut off, or one does not fit the schema."""
    if file not in contents:
        missing(file, faults)
        return None
    name, content = file + packed.SUFFIX, contents[file]
    if content and not content.endswith(b"\n"):
        faults.add(name, "", "a last record without its end", "whole records", unsafe=True)
        return None
    if schema is not SampleRecord and HUGE.search(content):  # texts may have any digits, and nothing else is read
        faults.add(name, "", "a whole number of more than 63 bits", "less", unsafe=True)
        return None
    try:
        return reading.parse(content, schema, name)
    except (RecordError, RecursionError) as error:
        place, _, rest = str(error).removeprefix(f"{name}, ").partition(": ")
        found, _, expected = rest.partition("; expected ")
        faults.add(name, place, found, expected, unsafe=True)
        return None


def missing(file: str, faults: Faults) -> None:
    """Name a file of records that is not there, unless its own fault was named already."""
    name = file + packed.SUFFIX
    if not any(fault.file == name for fault in faults.found):
        faults.add(name, "", "no such file", f"the records of a cell: {', '.join(RECORDS)}", unsafe=True)


def _identity(name: str, record: Mapping[str, Any], faults: Faults) -> bool:
    """Whether its specification can be used at all; faults where it is not what its hashes say."""
    file, spec = f"cells/{name}/cell.json", record["spec"]
    if record["schema"] != SCHEMA:
        faults.add(file, "schema", record["schema"], SCHEMA, unsafe=True)
        return False
    if not shapes.fits(file, record, faults):
        return False
    for key, found, expected in (
        ("id", record["id"], content_hash(spec)),
        ("row", record["row"], row_hash(spec)),
    ):
        if found != expected:
            faults.add(file, key, found, f"{expected}, the hash of its specification")
    if record["id"] != name:
        faults.add(file, "id", record["id"], f"{name}, its folder")
    if record["seed"] != spec["seed"]:
        faults.add(file, "seed", record["seed"], f"{spec['seed']}, as in its specification")
    if (said := record["provenance"].get("control")) != spec.get("control"):
        faults.add(file, "provenance.control", repr(said), f"{spec.get('control')!r}, as in its specification")
    task = spec["task"].get("name")
    if record["task"] != task:
        faults.add(file, "task", repr(record["task"]), f"{task!r}, as in its specification")
    return True


def _status(cell: Checked, faults: Faults) -> None:
    file, status = f"{cell.folder}/status.json", cell.status
    if status["state"] != "done":
        faults.add(file, "state", status["state"], "done")
    last = cell.steps[-1]["step"] if cell.steps else 0
    if status["step"] != last:
        faults.add(file, "step", status["step"], f"{last}, the last of {cell.folder}/steps.jsonl.gz")
    for key in ("weights_start", "weights_end"):
        digest = str(status.get(key))
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            faults.add(file, key, repr(status.get(key)), "a sha256")


def stages(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Settings of the stages of a chain, the last one's those of the cell; of any other cell, its own alone."""
    return [*spec.get("after", ()), spec]


def ends(spec: Mapping[str, Any], steps: Sequence[StepRecord]) -> list[int]:
    """The step at which each stage ended, as far as steps tell: those of the first do not say that they are."""
    found = [step.get("stage") or 1 for step in steps]
    return [sum(number <= stage for number in found) for stage in range(1, len(stages(spec)) + 1)]


def _steps(cell: Checked, faults: Faults) -> None:
    """Consecutive, each one's counters those before it and what it spent itself."""
    file, stage = f"{cell.folder}/steps.jsonl.gz", 1
    before: Any = None
    begun = dict.fromkeys(AXES, 0.0)  # what the stage began with
    for number, record in enumerate(cell.steps, start=1):
        where, counters = f"step {record['step']}", record["counters"]
        if record["step"] != number:
            faults.add(file, f"record {number}", where, f"step {number}: every step once, in order")
            return
        if counters["steps"] != number:
            faults.add(file, where, f"counters.steps = {counters['steps']}", number)
        said = record.get("stage") or 1
        if said not in (stage, stage + 1) or said > len(stages(cell.spec)):
            faults.add(file, where, f"stage {said}", f"{stage}, or the one after it of {len(stages(cell.spec))}")
            return
        if said > stage:
            stage, begun = said, {axis: before[axis] if before else 0.0 for axis in AXES}
        spent = {axis: counters[axis] - (before[axis] if before else 0) for axis in AXES}
        for axis, more in spent.items():
            if not 0 <= more < math.inf:
                less = before[axis] if before else 0
                faults.add(file, where, f"counters.{axis} = {counters[axis]}", f"{less} or more, as before")
        if spent["optimizer_steps"] != record["updates"]:
            faults.add(file, where, f"{spent['optimizer_steps']} optimizer steps more", f"{record['updates']} updates")
        took = sum(record["seconds"].values())
        if not math.isclose(spent["seconds"], took, rel_tol=NEAR, abs_tol=1e-6):
            faults.add(file, where, f"{spent['seconds']} seconds more", f"{took}, the sum of its phases")
        _sampled(file, where, record, spent["generated_tokens"], faults)
        for key in ("metrics", "responses", "seconds"):
            refuse_hostile(file, {f"{where}, {key}": list(record[key])}, faults)
        updates = counters["optimizer_steps"] - begun["optimizer_steps"]
        _learning_rate(file, where, stages(cell.spec)[stage - 1], record, updates, faults)
        before = counters


def _sampled(file: str, where: str, record: StepRecord, tokens: float, faults: Faults) -> None:
    """A mean length is tokens over responses, and a share of responses a count of them over all."""
    if tokens <= 0 or record["response_tokens"] <= 0:
        return  # nothing was sampled, or nothing but empty responses
    responses = tokens / record["response_tokens"]
    if not _whole(responses):
        found = f"{tokens} generated tokens at response_tokens = {record['response_tokens']}"
        faults.add(file, where, f"{found}: {responses:.6g} responses", "a whole number of them")
        return
    said: Any = record  # by names that are in no literal
    for key in ("accuracy", "truncated", "no_answer", "timed_out", "reward_cut"):
        share = said.get(key)
        if share is not None and not (0 <= share <= 1 and _whole(share * responses)):
            faults.add(file, where, f"{key} = {share}", f"a share of {responses:.0f} responses")


def _learning_rate(
    file: str, where: str, spec: Mapping[str, Any], record: StepRecord, updates: float, faults: Faults
) -> None:
    """That of the specification; `updates`: of its stage, after this step."""
    training = spec.get("training") or {}
    highest, warmup = training.get("learning_rate"), training.get("warmup_updates") or 0
    if highest is None or not record["updates"]:
        return
    expected = highest * min(1.0, updates / warmup if warmup else 1.0)
    if not math.isclose(record["learning_rate"], expected, rel_tol=NEAR):
        faults.add(file, where, f"learning_rate = {record['learning_rate']}", f"{expected}, by its specification")


def _budget(cell: Checked, faults: Faults) -> None:
    """Spent at the last step of each stage, and not before it: a run neither stops early nor goes on."""
    counters = [msgspec.to_builtins(step["counters"]) for step in cell.steps]
    if [step["step"] for step in cell.steps] != list(range(1, len(cell.steps) + 1)):
        return  # named already
    first = 0
    for spec, last in zip(stages(cell.spec), ends(cell.spec, cell.steps), strict=True):
        limits = {axis: limit for axis, limit in (spec.get("budget") or {}).items() if limit is not None}
        begun = counters[first - 1] if first else dict.fromkeys(AXES, 0)

        def share(step: int, limits: Mapping[str, float] = limits, begun: Mapping[str, float] = begun) -> float:
            used = counters[step - 1] if step else dict.fromkeys(AXES, 0)
            return max((used[axis] - begun[axis]) / limit for axis, limit in limits.items())

        file, said = f"{cell.folder}/steps.jsonl.gz", ", ".join(f"{axis} = {limit}" for axis, limit in limits.items())
        if not limits:
            faults.add(f"{cell.folder}/cell.json", "spec.budget", "no limit", f"limits on {', '.join(AXES)}")
            return
        if (spent := share(last)) < 1:
            faults.add(file, f"step {last}, the last", f"{spent:.1%} of the budget is spent", f"all of {said}")
        elif last - 1 > first and (spent := share(last - 1)) >= 1:
            found = f"it goes on with {spent:.1%} of the budget spent"
            faults.add(file, f"step {last}", found, f"an end at {said}")
        first = last


def _whole(value: float) -> bool:
    return math.isfinite(value) and abs(value - round(value)) <= NEAR * max(1.0, abs(value))
