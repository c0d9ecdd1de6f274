"""Chains of stages: what a stage goes on from, and which stages there are still to run.

Every stage is a cell of its own: its start is the last weights of the stage before it, its records are theirs and what
it adds. So a chain's last cell holds one continuous run, with costs from the first stage on, and chains that begin
alike share what is alike.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from leaderboard import records
from leaderboard.records import RECORD_FILES, CellRecord, Status

from . import models
from .benchmark import Cell
from .budget import Spent
from .errors import UserError


@dataclass(frozen=True)
class Before:
    """The finished stage before a cell, by its folder."""

    folder: Path

    @property
    def start(self) -> models.Source:
        """Its last weights."""
        return models.Source(str(self.folder / "weights"), self.folder / "weights")

    @cached_property
    def status(self) -> Status:
        """How it ended."""
        status: Status = records.read_json(self.folder / "status.json")
        return status

    @cached_property
    def spent(self) -> Spent:
        """What it had spent when it ended, the stages before it included."""
        *_, last = records.read_lines(self.folder / "evals.jsonl")  # shorter than the steps; a run ends with one
        return Spent(**last["counters"])

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """Where and how it was made, which is part of how a cell was made that goes on from it."""
        cell: CellRecord = records.read_json(self.folder / "cell.json")
        return cell["provenance"]

    @property
    def stages(self) -> list[dict[str, Any]]:
        """It and the stages before it, for a record: which cells, and the step at which each one ended."""
        own = {"id": self.folder.name, "steps": self.spent.steps}
        return [*self.provenance.get("stages", ()), own]

    def copy_records(self, folder: Path) -> None:
        """Begin a cell's records with its own; an evaluation's items then lie where its record says."""
        for name in RECORD_FILES:
            if (path := self.folder / name).exists():
                shutil.copyfile(path, folder / name)

    def check(self, weights: str) -> None:
        """Refuse weights, by their hash, that are not those with which the stage ended."""
        if weights != self.status["weights_end"]:
            raise UserError(
                f"{self.start.location}: not the weights with which that stage ended; remove the folder, and run again"
            )


def before(cell: Cell, cells: Path) -> Before | None:
    """The stage before `cell`, in the folder of all cells; None where it is no chain's, or the first."""
    return None if cell.after is None else Before(cells / cell.after.id)


def needed(missing: Sequence[Cell], cells: Path) -> list[Cell]:
    """The earlier stages that are to be run before the `missing` cells: not done, or their weights are gone.

    Each once, earlier stages first.
    """
    found: dict[str, Cell] = {}
    for cell in missing:
        after = cell.after
        if after is not None and not usable(cells / after.id):
            found |= {one.id: one for one in (*needed([after], cells), after)}
    return list(found.values())


def lost(every: Sequence[Cell], cells: Path) -> list[Cell]:
    """The finished ones whose weights are gone, and that stay so: nothing that is to be run goes on from them."""
    again = {cell.id for cell in needed([cell for cell in every if not _done(cells / cell.id)], cells)}
    return [cell for cell in every if _done(cells / cell.id) and not usable(cells / cell.id) and cell.id not in again]


def usable(folder: Path) -> bool:
    """Whether a stage is done, and others can go on from it."""
    return _done(folder) and (folder / "weights").is_dir()


def make_again(folder: Path) -> None:
    """Have a finished stage whose weights are gone run once more; any other stays as it is."""
    if _done(folder) and not usable(folder):
        (folder / "status.json").unlink()


def _done(folder: Path) -> bool:
    status = folder / "status.json"
    return status.exists() and bool(records.read_json(status)["state"] == "done")
