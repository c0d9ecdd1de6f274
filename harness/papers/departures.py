"""Where finished runs of a paper's study are not what its recipe says, for the claims and tables that stand on them.

Seeds are left out: how many there are stands with every number. So are win rates, whose judge and task do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from leaderboard import records
from leaderboard.claims.findings import STUDY
from leaderboard.runs import Cell, Row, Table

from . import standing, studies

_TWIN = re.compile(r" #[0-9a-f]{6}$")  # behind a label that two rows have


def of(table: Table) -> tuple[str, ...]:
    """`budget.steps = 2, not 40` each, behind the rows' labels where it is not all of them; of another table nothing.

    Raises RecordError where a record cannot be read.
    """
    if STUDY.fullmatch(table.benchmark) is None:
        return ()
    study = _study(studies.folder() / f"{table.benchmark}.yaml")
    if study is None:
        return (f"groupbench has no study {table.benchmark}",)
    rows = [row for row in table.rows if row.done and not row.control and row.submission is None]
    found: dict[str, list[str]] = {}
    for row in rows:
        for said in dict.fromkeys(said for cell in row.done for said in _of_cell(cell, row, study)):
            found.setdefault(said, []).append(row.label)
    return tuple(said if len(who) == len(rows) else f"{', '.join(who)}: {said}" for said, who in found.items())


@cache
def _study(path: Path) -> studies.Study | None:
    """As its recipe has it, without a setting of anybody's own; None where there is no such recipe."""
    return studies.study(path.stem, path.stem.split("-", 2)[2], (), Path()) if path.exists() else None


def _of_cell(cell: Cell, row: Row, study: studies.Study) -> Iterator[str]:
    planned = next((one for one in study.rows if one.label == _TWIN.sub("", row.label)), None)
    if planned is None:
        yield "no row of the study"
        return
    assert cell.folder is not None
    record = records.read_json(cell.folder / "cell.json")
    recipe = json.loads(json.dumps(asdict(study.recipe)))
    own = record["provenance"].get("recipe") or recipe
    there = standing.comparable(record, study) | _named(own, recipe)
    wanted = standing.planned(study, planned.stages) | _named(recipe, own)
    for one in (there, wanted):
        one.pop("model.tiny", None)  # the name says it
    yield from standing.differences(there, wanted)


def _named(recipe: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What specifications know by its content, or not at all. Of a model's place the last part is its name.

    Of final tasks those that both recipes have: one that was added later is not in the recipe of a cell that was done.
    """
    reward, asked = recipe.get("reward") or {}, _final_tasks(other)
    parameters = {key: _last(value) for key, value in (reward.get("parameters") or {}).items()}
    known = {
        "model": {"name": _last(recipe["model"]["name"])},
        "reward": {"name": reward.get("name"), "parameters": parameters},
        "final_tasks": {key: task for key, task in _final_tasks(recipe).items() if key in asked},
    }
    return standing.flat(known)


def _final_tasks(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {task.get("label") or task["name"]: task for task in recipe.get("final_tasks", ())}


def _last(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) else value
