"""Every run of every table: its state, on what it ran, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..export.formats import PLAIN
from ..records import AXES
from ..runs import Cell, Row, Table
from ..words import one_line, quantity
from . import again


def runs(table: Table, pages: Mapping[Path, str]) -> list[dict[str, Any]]:
    """One entry a cell; `pages` names the runs/<name>.html of those that have one, by their folders."""
    return [_run(table, row, cell, pages) for row in table.rows for cell in row.cells]


def _run(table: Table, row: Row, cell: Cell, pages: Mapping[Path, str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": cell.folder.name if cell.folder is not None else "",
        "table": table.slug, "row": row.hash, "seed": cell.seed, "state": cell.state,
    }  # fmt: skip
    end = cell.final("sampled") or cell.final("greedy")
    value = None if end is None else end.get(table.measure)
    if value is not None:
        made |= {"final": value, "final_text": PLAIN["share" if table.measure == "accuracy" else "reward"](value)}
    if cell.status is not None:
        made |= {"step": cell.status["step"], "wall_seconds": round(cell.status["seconds"], 1)}
        if cell.status["error"]:
            made["error"] = one_line(cell.status["error"])[:300]
    for key in ("device", "commit", "started", "control"):
        if cell.provenance.get(key):
            made[key] = one_line(str(cell.provenance[key]))
    if cell.steps:
        spent = cell.steps[-1]["counters"]
        made["spent"] = {axis: [spent[axis], quantity(float(f"{spent[axis]:.4g}"))] for axis in AXES}
    if cell.folder is not None and cell.folder in pages:
        made["page"] = f"runs/{pages[cell.folder]}.html"
    if commands := again.commands(cell.provenance, made["id"]):
        made["command"] = " && ".join(commands)
    return made
