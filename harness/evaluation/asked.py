"""What a checkpoint is asked: a task, its examples and a protocol, resolved and checked before weights are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from leaderboard import records
from leaderboard.declared import suggestion
from leaderboard.evaluations import FILE, ProtocolRecord
from tasks.base import EvalProtocol, Example, Task
from tasks.data import fingerprint, fixed_subset

from .. import models
from ..codec import Codec
from ..errors import UserError
from ..plugins import build_task
from ..settings import Sampling
from ..sources import source_hash


@dataclass(frozen=True)
class Changes:
    """What the user wants otherwise than the protocol has it; None: as it has it."""

    samples: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    limit: int | None = None  # a fixed subset of so many examples
    seed: int = 0


@dataclass(frozen=True)
class Asked:
    """One task of an evaluation."""

    key: str  # TASK or TASK@PROTOCOL: the name of its folder
    task: Task
    examples: tuple[Example, ...]
    record: ProtocolRecord

    @property
    def sampling(self) -> Sampling:
        """How its responses are drawn."""
        return Sampling(self.record["max_tokens"], self.record["temperature"], self.record["top_p"])


def complete(asked: Sequence[Asked], folder: Path) -> bool:
    """Whether an evaluation that was finished in `folder` holds all of them."""
    if not (folder / FILE).exists():
        return False
    written: Mapping[str, Any] = records.read_json(folder / FILE)["tasks"]
    return all(one.key in written and written[one.key]["protocol"] == one.record for one in asked)


def resolve(
    name: str, parameters: Mapping[str, Any], changes: Changes, codec: Codec, context: int | None
) -> tuple[Asked, list[str]]:
    """`TASK` or `TASK@PROTOCOL` for a model that reads `context` tokens, and remarks.

    Raises UserError (or the task's TaskError) for an unknown task, parameter or protocol, and for data or prompts
    that cannot be had.
    """
    base, _, chosen = name.partition("@")
    where = f"--tasks {name}"
    task = build_task(base, parameters, where)
    chosen = chosen or next(iter(task.protocols))
    if chosen not in task.protocols:
        raise UserError(f"{where}: task {base} has no protocol {chosen!r}{suggestion(chosen, task.protocols)}")
    protocol = task.protocols[chosen]
    changed = {
        key: value
        for key in ("samples", "temperature", "top_p", "max_tokens")
        if (value := getattr(changes, key)) is not None
    }
    if changed.get("temperature") == 0 and "samples" not in changed:
        changed["samples"] = 1
    try:
        wanted = replace(protocol, **changed)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    if wanted != protocol:
        chosen = _changed(chosen, wanted, [key for key in changed if key != "samples"])
    examples = fixed_subset(task.heldout, changes.limit, "--limit")
    if not examples:
        raise UserError(f"{where}: task {base} has no held-out examples")
    task.require_grader()
    wanted, remarks = _fitted(wanted, task.heldout, codec, context, where)  # of all: a larger --limit only adds
    asked = Asked(name, task, examples, _record(task, chosen, wanted, examples, changes.seed))
    return asked, remarks


def again(
    key: str, record: ProtocolRecord, samples: int, places: Mapping[str, Any], codec: Codec, context: int | None
) -> Asked:
    """What an earlier evaluation asked, with another number of samples, found by its record.

    `places`: parameters that say where the task's data lie, which records leave out. Raises UserError where the task's
    data do not hold the same examples any more, or do not fit into the model's context.
    """
    where = f"task {record['task']} of the baseline"
    task = build_task(record["task"], {**record["parameters"], **places}, where)
    task.require_grader()
    by_id = {example.id: example for example in task.heldout}
    lost = [name for name in record["examples"] if name not in by_id]
    if lost:
        raise UserError(f"{where}: {len(lost)} of its examples are not in the task's data, the first is {lost[0]}")
    examples = tuple(by_id[name] for name in record["examples"])
    if fingerprint(examples) != record["data"]:
        raise UserError(f"{where}: its examples have other prompts or answers than those of the baseline")
    longest = max(len(codec.prompt(example)) for example in examples)
    if context is not None and longest + record["max_tokens"] > context:
        raise UserError(
            f"{where}: a prompt of {longest} tokens and a response of {record['max_tokens']}; the model reads {context}"
        )
    protocol = EvalProtocol(samples, record["temperature"], record["top_p"], record["max_tokens"])
    return Asked(key, task, examples, _record(task, record["protocol"], protocol, examples, record["seed"]))


def _changed(name: str, wanted: EvalProtocol, keys: Sequence[str]) -> str:
    """`avg@8, as avg@4 but max_tokens`."""
    own = "greedy" if wanted.temperature == 0 else f"avg@{wanted.samples}"
    like = own if own == name else f"{own}, as {name}"
    return like + (f" but {', '.join(keys)}" if keys else "")


def _record(task: Task, name: str, protocol: EvalProtocol, examples: Sequence[Example], seed: int) -> ProtocolRecord:
    source = source_hash(task)
    return ProtocolRecord(
        task=task.name, parameters=recorded_parameters(task), protocol=name, samples=protocol.samples,
        temperature=protocol.temperature, top_p=protocol.top_p, max_tokens=protocol.max_tokens, seed=seed,
        verifier=task.verifier + (f" {source}" if source else ""),
        examples=[example.id for example in examples], data=fingerprint(examples),
    )  # fmt: skip


def recorded_parameters(task: Task) -> dict[str, Any]:
    """A task's parameters, but for those that say where its data lie."""
    parameters = {key: value for key, value in asdict(task).items() if key not in task.locations}  # type: ignore[call-overload]
    found: dict[str, Any] = json.loads(json.dumps(parameters))
    return found


def _fitted(
    protocol: EvalProtocol, examples: Sequence[Example], codec: Codec, context: int | None, where: str
) -> tuple[EvalProtocol, list[str]]:
    """The protocol with responses no longer than the model's context leaves room for."""
    longest = max(len(codec.prompt(example)) for example in examples)
    if context is None or longest + protocol.max_tokens <= context:
        return protocol, []
    room = context - longest
    if room < 1:
        raise UserError(f"{where}: a prompt of {longest} tokens; the model reads {context}")
    remark = (
        f"{where}: responses of {protocol.max_tokens} tokens do not fit behind the longest prompt ({longest}) into the "
        f"model's {context}; the limit is {room}, and recorded"
    )
    return replace(protocol, max_tokens=room), [remark]


def codec_of(source: models.Source) -> tuple[Codec, int | None]:
    """What prompts are checked against: the tokenizer, and how many tokens the model reads."""
    return models.load_codec(source), models.context_limit(source)
