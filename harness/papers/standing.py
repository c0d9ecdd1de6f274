"""How a study stands: which of its cells are done in its results folder, and which cells there are others.

Cells are told by what they are: their records' specification, as far as that can be known without model and data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from leaderboard import records
from leaderboard.records import CellRecord

from .. import chains, models
from ..errors import UserError
from ..experiment import state_of
from ..identity import protocol_identity, stage_identity, task_parameters
from .studies import Stage, Study

OWN, PROTOCOL = ("algorithm", "training", "budget"), ("sampling", "rollout", "evaluation")  # keys of a specification
SHOWN = 3  # differences, of a cell that is another one


@dataclass(frozen=True)
class Found:
    """A cell of the results folder."""

    folder: Path
    label: str
    seed: int
    row: bool  # or an earlier stage of a chain alone, which is no row of a table
    known: Mapping[str, Any]  # of its specification, by dotted key: what a plan knows as well
    seconds: float | None  # its own, less the earlier stages'; null where it, or the stage before it, is not done

    @property
    def state(self) -> str:
        """As its status says; without one it was killed early."""
        state = state_of(self.folder)
        return "running" if state == "missing" else state


@dataclass(frozen=True)
class Standing:
    """What of a study is there."""

    study: Study
    found: tuple[Found, ...]

    @cached_property
    def states(self) -> dict[tuple[str, int], str]:
        """How each planned cell stands, by row label and seed."""
        return {
            (row.label, seed): cell.state if (cell := self._cell(row.stages, seed)) else "missing"
            for row in self.study.rows
            for seed in self.study.recipe.seeds
        }

    @cached_property
    def missing(self) -> list[tuple[tuple[Stage, ...], int]]:
        """The cells that a run would train, each once: stages up to it, and seed. Earlier ones only where needed."""
        left: dict[tuple[str, int], tuple[tuple[Stage, ...], int]] = {}
        for row in self.study.rows:
            for seed in self.study.recipe.seeds:
                if self.states[row.label, seed] == "done":
                    continue
                for stages in reversed(row.prefixes):
                    cell = self._cell(stages, seed)
                    if stages != row.stages and cell is not None and chains.usable(cell.folder):
                        break
                    left[json.dumps(planned(self.study, stages)), seed] = stages, seed
        return list(left.values())

    @cached_property
    def seconds(self) -> list[float]:
        """Of the planned stages that are done here."""
        return [cell.seconds for cell in self.found if cell.seconds is not None and cell.known in self._planned]

    @cached_property
    def others(self) -> str:
        """What cells that are others the folder holds under the rows' labels, in words; empty where there are none."""
        why: dict[str, list[str]] = {}
        for row in self.study.rows:
            known = planned(self.study, row.stages)
            for cell in self.found:
                if cell.row and cell.label == row.label and cell.known != known:
                    why.setdefault(row.label, list(differences(cell.known, known)))
        if not why:
            return ""
        label, first = next(iter(why.items()))
        said = ", ".join(first[:SHOWN]) + ", …" * (len(first) > SHOWN)
        return f"holds other cells under the same labels, {', '.join(why)}: {label} has {said}"

    def refuse_others(self) -> None:
        """Raises UserError where there are any: a table would have two rows of one label."""
        if self.others:
            raise UserError(f"{self.study.results} {self.others}; give another --out, or remove that folder")

    @cached_property
    def _planned(self) -> list[dict[str, Any]]:
        return [planned(self.study, stages) for row in self.study.rows for stages in row.prefixes]

    def _cell(self, stages: Sequence[Stage], seed: int) -> Found | None:
        known = planned(self.study, stages)
        return next((cell for cell in self.found if cell.seed == seed and cell.known == known), None)


def planned(study: Study, stages: Sequence[Stage]) -> dict[str, Any]:
    """What is known of the specification of a row, or of a stage, before anything is loaded; by dotted key."""
    recipe, task = study.recipe, study.task
    *earlier, own = [stage_identity(stage.algorithm, stage.training, stage.budget) for stage in stages]
    spec = {
        "task": {"name": task.name, "parameters": task_parameters(task)},
        "model": {"tiny": recipe.model.name == models.TINY, "warm_start": _warm_start(asdict(recipe))},
        "reward": {"train": _reward_training(asdict(recipe))},
        **own,
        **protocol_identity(recipe),
        "after": dict(enumerate(earlier)),
    }
    return flat(json.loads(json.dumps(spec)))


def standing(study: Study) -> Standing:
    """Reads the records in the study's results folder. Raises RecordError."""
    return Standing(study, tuple(_found(study)))


def comparable(record: CellRecord, study: Study) -> dict[str, Any]:
    """What a plan knows as well. The warm start and the reward model stand as hashes in a specification: what they are
    made of says the recipe that lies beside it; a stage has none, and is taken to have the study's.
    """
    spec, recipe = record["spec"], record["provenance"].get("recipe") or asdict(study.recipe)
    known = {
        "task": {key: spec["task"].get(key) for key in ("name", "parameters")},
        "model": {"tiny": spec["model"]["name"] == models.TINY, "warm_start": _warm_start(recipe)},
        "reward": {"train": _reward_training(recipe)},
        **{key: spec.get(key) for key in (*OWN, *PROTOCOL)},
        "after": {n: {key: stage[key] for key in OWN} for n, stage in enumerate(spec.get("after", ()))},
    }
    return flat(json.loads(json.dumps(known)))


def flat(content: Any, key: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    if not isinstance(content, Mapping) or not content:
        return {key: content} if key else {}
    return {inner: v for name, one in content.items() for inner, v in flat(one, f"{key}.{name}".strip(".")).items()}


def differences(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """`budget.steps = 2, not 40` each."""
    for key in dict.fromkeys((*there, *wanted)):
        if there.get(key) != wanted.get(key):
            yield f"{key} = {there.get(key)}, not {wanted.get(key)}"


def _found(study: Study) -> Iterator[Found]:
    plan = study.results / "benchmark.json"
    listed = records.read_json(plan)["cells"] if plan.exists() else []
    stages = {cell["id"] for cell in listed if cell.get("stage")}
    for path in sorted(study.results.glob("cells/*/cell.json")):
        record: CellRecord = records.read_json(path)
        if "control" not in record["spec"]:
            known, seconds = comparable(record, study), _seconds(path.parent, record["provenance"].get("stages", ()))
            row = record["id"] not in stages
            yield Found(path.parent, record["algorithm"], record["seed"], row, known, seconds)


def _warm_start(recipe: Mapping[str, Any]) -> Any:
    return recipe["model"].get("warm_start")


def _reward_training(recipe: Mapping[str, Any]) -> Any:
    return (recipe.get("reward") or {}).get("train")


def _seconds(folder: Path, stages: Sequence[Mapping[str, Any]]) -> float | None:
    """Of a cell alone: its status counts the whole chain's. None where it, or the stage before it, is not done."""
    if state_of(folder) != "done":
        return None
    spent = float(records.read_json(folder / "status.json")["seconds"])
    if not stages:
        return spent
    before = folder.with_name(stages[-1]["id"])
    return spent - float(records.read_json(before / "status.json")["seconds"]) if state_of(before) == "done" else None
