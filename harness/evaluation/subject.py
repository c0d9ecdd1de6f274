"""What is to be evaluated: a model, or a cell of a run by its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard import mine, records
from leaderboard.records import CellRecord

from .. import models
from ..errors import UserError


@dataclass(frozen=True)
class Subject:
    """A checkpoint found, not yet loaded."""

    name: str
    source: models.Source
    cell: CellRecord | None = None
    folder: Path | None = None  # of the cell

    @property
    def default_folder(self) -> Path:
        """Where its evaluation goes unless the user says otherwise."""
        return self.folder / "evaluation" if self.folder else Path("results") / "evaluations" / Path(self.name).name

    @property
    def trained_task(self) -> tuple[str, Mapping[str, Any]] | None:
        """Name and parameters of the task that the cell was trained on."""
        if self.cell is None:
            return None
        task = self.cell["spec"]["task"]
        return task["name"], {key: value for key, value in task["parameters"].items() if key != "dev_share"}


def find(name: str, revision: str | None = None) -> Subject:
    """A model folder, a Hub id, a built-in model, or the folder of a cell. Raises UserError that says what is there."""
    folder = Path(name).expanduser()
    if (folder / "cell.json").exists():
        return _cell(folder)
    if folder.is_dir() and not (folder / "config.json").exists():
        cells = [path.parent for path in mine.below(folder, "cell.json")]
        if cells:
            listed = "\n".join(f"  {cell}  {_label(records.read_json(cell / 'cell.json'))}" for cell in cells[:20])
            more = f"\n  and {len(cells) - 20} more" if len(cells) > 20 else ""
            raise UserError(f"{name} holds {len(cells)} cells; name one of them:\n{listed}{more}")
    owner, slash, _ = name.partition("/")
    if slash and owner.strip(".~") and Path(owner).is_dir() and not folder.is_dir():  # no Hub id, but a typing error
        raise UserError(f"{name}: no such folder, though {owner}/ is one here")
    return Subject(name, models.find(name, revision))


def _cell(folder: Path) -> Subject:
    record: CellRecord = records.read_json(folder / "cell.json")
    label, status = _label(record), folder / "status.json"
    state = records.read_json(status)["state"] if status.exists() else "missing"
    if state != "done":
        raise UserError(f"cell {folder} ({label}) is {state}, not done; run its recipe again, which goes on with it")
    weights = folder / "weights"
    if not weights.is_dir():
        raise UserError(f"cell {folder} ({label}) has kept no weights; run its recipe with execution.save_weights=true")
    return Subject(label, models.Source(str(weights), weights), record, folder)


def _label(record: CellRecord) -> str:
    return f"{record['algorithm']} on {record['task']}, seed {record['seed']}"
