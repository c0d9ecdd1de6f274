"""What a results folder holds of earlier plans: rows that stay, and those that an edited plug-in file has replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaderboard.records import BenchmarkRecord, PlannedCell, content_hash, read_json

from .benchmark import Cell


def joined(record: BenchmarkRecord, before: BenchmarkRecord, present: Sequence[Cell], cells: Path) -> list[PlannedCell]:
    """The plan's cells, and behind them those of the record `before` it that have left a folder in `cells`.

    A row of an earlier plan stays a row, under that plan's name, where the present one has it as a stage or not at all.
    """
    planned = {cell["id"]: cell for cell in record["cells"]}
    made = {(cell.label, _but_for_source(cell.spec)): cell.row for cell in present}
    for cell in before["cells"]:
        was_row = planned.get(cell["id"], cell).get("stage") and not cell.get("stage")
        if (cell["id"] not in planned or was_row) and (cells / cell["id"]).exists():
            kept = PlannedCell(**cell)
            kept["name"] = cell.get("name", before["name"])
            if kept["name"] == record["name"]:
                del kept["name"]
            if not cell.get("stage") and (row := made.get((cell["algorithm"], _recorded(cells / cell["id"])))):
                kept["earlier"] = row
            planned[cell["id"]] = kept
    rows, current = {cell["row"] for cell in planned.values()}, {cell.row for cell in present}
    for cell in planned.values():
        if "earlier" in cell and (cell["row"] in current or cell["earlier"] not in rows):
            del cell["earlier"]  # it is planned again, or what replaced it was removed
    return list(planned.values())


def _recorded(folder: Path) -> str:
    """Of a cell on disk; empty where it was killed before it had a record."""
    path = folder / "cell.json"
    return _but_for_source(read_json(path)["spec"]) if path.exists() else ""


def _but_for_source(spec: Mapping[str, Any]) -> str:
    """Hash of what a row is besides the code of plug-ins: equal for a row and what an edited file makes of it."""
    stages = [{key: value for key, value in stage.items() if key != "row"} for stage in spec.get("after", ())]
    plain = {key: value for key, value in spec.items() if key not in {"seed", "after"}}
    return content_hash([_without_source(part) for part in (plain, *stages)])


def _without_source(stage: Mapping[str, Any]) -> dict[str, Any]:
    """`algorithm`, `task` and `reward` less the hashes of their files."""
    return {
        key: {name: inner for name, inner in value.items() if name != "source"} if isinstance(value, Mapping) else value
        for key, value in stage.items()
    }
