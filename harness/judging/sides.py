"""Whose answers are judged: those of an evaluation's folder, of an outputs file, or a benchmark's baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leaderboard import records
from leaderboard.evaluations import CheckpointRecord, ProtocolRecord, TaskResult, read_record
from leaderboard.verdicts import Player, outputs_hash
from tasks.comparison import ComparisonTask
from tasks.data import fingerprint
from tasks.judges.texts import clean
from tasks.open_ended import OpenEnded
from tasks.outputs import read_outputs

from ..errors import UserError


@dataclass(frozen=True)
class Side:
    """A player and its answer to each instruction, by the example's id."""

    player: Player
    answers: Mapping[str, str]
    protocol: ProtocolRecord | None = None  # how a checkpoint was asked; None: an outputs file, or a baseline


def baseline(task: ComparisonTask) -> Side:
    """The benchmark's own opponent."""
    answers = {example.id: example.answer for example in task.heldout}
    return Side(Player(name=" and ".join(task.opponents), outputs_sha=outputs_hash(answers)), answers)


def from_outputs(path: Path, task: OpenEnded) -> Side:
    """An outputs file. Raises TaskDataError for one that does not answer exactly the task's instructions."""
    found = read_outputs(task, path)
    return Side(Player(name=clean(found.generator)[:200], outputs_sha=outputs_hash(found.answers)), found.answers)


def compared(folder: Path) -> dict[str, TaskResult]:
    """The tasks of an evaluation that a judge is needed for, by key."""
    return {key: task for key, task in read_record(folder)["tasks"].items() if "accuracy" not in task["metrics"]}


def from_evaluation(folder: Path, key: str, task: OpenEnded) -> Side:
    """A task of an evaluation: the first response to each example.

    UserError where one is missing, or the task's instructions or baseline are not those that were asked.
    """
    record = read_record(folder)
    if key not in record["tasks"]:
        known = ", ".join(record["tasks"]) or "nothing"
        raise UserError(f"{folder}: {key} was not asked; there is {known}")
    protocol, answers = record["tasks"][key]["protocol"], {}
    there = {example.id: example for example in task.heldout}
    asked = [there[name] for name in protocol["examples"] if name in there]
    if fingerprint(asked) != protocol["data"]:
        raise UserError(f"{folder / key}: instructions or the baseline's answers are not those of {task.name} here")
    for block in records.read_lines(folder / key / "items.jsonl"):
        if block["first"] == 0 and block["responses"]:
            answers[block["id"]] = block["responses"][0]
    missing = [name for name in protocol["examples"] if name not in answers]
    if missing:
        raise UserError(f"{folder / key}: {len(missing)} of {len(protocol['examples'])} responses are missing")
    kept = {name: answers[name] for name in protocol["examples"]}
    return Side(_player(record["checkpoint"], kept), kept, protocol)


def _player(checkpoint: CheckpointRecord, answers: Mapping[str, str]) -> Player:
    return Player(
        name=checkpoint["name"], fingerprint=checkpoint["fingerprint"], algorithm=checkpoint.get("algorithm"),
        preset=checkpoint.get("row"), seed=checkpoint.get("seed"), outputs_sha=outputs_hash(answers),
    )  # fmt: skip
