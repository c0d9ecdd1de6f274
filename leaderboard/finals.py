"""Final tasks: what every finished cell, and the start that all of them had, was evaluated on after training.

    RESULTS/cells/<id>/final/           an evaluation as `evaluations` has it, one folder a task
            start/<model's hash>/start.json   the start's `model`, as its cells' specifications have it
                                 final/       its evaluation

They are no part of a cell's identity: another task may be added to cells that are done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import reading
from .evaluations import FILE, Item, read_items, read_record
from .records import RecordError

if TYPE_CHECKING:
    from .runs import Table

FOLDER = "final"
START, START_FILE = "start", "start.json"


def start_of(root: Path, model: Any) -> Path | None:
    """The folder of the evaluation of the start that a specification calls `model`; None where there is none."""
    for path in sorted((root / START).glob(f"*/{START_FILE}")):
        if reading.one(path, dict[str, Any]).get("model") == model and (path.parent / FOLDER / FILE).exists():
            return path.parent / FOLDER
    return None


def tasks(table: Table, apart_from: str | None = None) -> list[str]:
    """The final tasks of any finished cell of the table, or of its start, by name; less those of the task named."""
    folders = [cell.folder / FOLDER for row in table.rows for cell in row.done if cell.folder is not None]
    found = [folder for folder in [*folders, *filter(None, [table.start])] if (folder / FILE).exists()]
    there = [item for folder in found for item in read_record(folder)["tasks"].items()]
    return sorted({key for key, result in there if result["protocol"]["task"] != apart_from})


def items(folder: Path, task: str) -> list[Item] | None:
    """What an evaluation that was finished asked; None where the task is not among it. Raises RecordError."""
    if not (folder / FILE).exists() or (result := read_record(folder)["tasks"].get(task)) is None:
        return None
    path = folder / task / "items.jsonl"
    there = {item.id: item for item in read_items(path)}
    protocol = result["protocol"]
    if lost := [name for name in protocol["examples"] if name not in there]:
        raise RecordError(f"{path}: {len(lost)} of its {len(protocol['examples'])} items are missing, e.g. {lost[0]!r}")
    found = [there[name] for name in protocol["examples"]]
    if unknown := [item.id for item in found if None in item.correct or not item.correct]:
        raise RecordError(f"{path}: item {unknown[0]!r} has no verdict; expected one a sample")
    return sorted(found, key=lambda item: item.id)
