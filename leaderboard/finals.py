"""Final tasks: what every finished cell, and the start that all of them had, was evaluated on after training.

    RESULTS/cells/<id>/final/           an evaluation as `evaluations` has it, one folder a task
            start/<model's hash>/start.json   the start's `model`, as its cells' specifications have it
                                 final/       its evaluation

They are no part of a cell's identity: another task may be added to cells that are done.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import reading
from .evaluations import FILE, Item, ProtocolRecord, comparable, read_items, read_record
from .records import RecordError

if TYPE_CHECKING:
    from .runs import Row, Table

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
    there = [(key, protocol) for row in table.rows for key, (_, protocol) in _asked(row).items()]
    if table.start is not None:
        there += [(key, result["protocol"]) for key, result in read_record(table.start)["tasks"].items()]
    return sorted({key for key, protocol in there if protocol["task"] != apart_from})


def otherwise(row: Row, others: Iterable[Row]) -> dict[str, str]:
    """Final tasks of the row that others were asked in another way, and in which; more samples or items only add."""
    known: dict[str, tuple[Path, ProtocolRecord]] = {}
    if not (mine := _asked(row)):
        return {}
    for other in others:
        known = _asked(other) | known
    there = {key: (*one, *known[key]) for key, one in mine.items() if key in known}
    return {key: said for key, one in there.items() if (said := _difference(key, *one))}


def _asked(row: Row) -> dict[str, tuple[Path, ProtocolRecord]]:
    """By final task that the row shows: the evaluation of its first finished cell that has it, and the protocol."""
    found: dict[str, tuple[Path, ProtocolRecord]] = {}
    for folder in (cell.folder / FOLDER for cell in row.done if cell.folder is not None):
        if (folder / FILE).exists():
            there = {key: (folder, result["protocol"]) for key, result in read_record(folder)["tasks"].items()}
            found = {key: one for key, one in there.items() if key not in row.otherwise} | found
    return found


def _difference(key: str, one: Path, mine: ProtocolRecord, other: Path, theirs: ProtocolRecord) -> str:
    if said := comparable(mine, theirs):
        return "; ".join(said)
    known = {item.id: item.content for item in items(other, key) or ()}
    odd = [item.id for item in items(one, key) or () if known.get(item.id, item.content) != item.content]
    return f"another question or answer under the name {odd[0]}" if odd else ""


def items(folder: Path, task: str) -> list[Item] | None:
    """What an evaluation that was finished asked; None where the task is not among it. Raises RecordError."""
    if not (folder / FILE).exists() or (result := read_record(folder)["tasks"].get(task)) is None:
        return None
    path = folder / task / "items.jsonl"
    there = {item.id: item for item in read_items(path)}
    protocol = result["protocol"]
    if lost := [name for name in protocol["examples"] if name not in there]:
        raise RecordError(f"{path}: {len(lost)} of its {len(protocol['examples'])} items are missing, e.g. {lost[0]!r}")
    found = [there[name].cut(protocol["samples"]) for name in protocol["examples"]]
    if unknown := [item.id for item in found if None in item.correct or not item.correct]:
        raise RecordError(f"{path}: item {unknown[0]!r} has no verdict; expected one a sample")
    return sorted(found, key=lambda item: item.id)
