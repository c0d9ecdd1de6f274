"""What a manifest says of its cells, computed from them: by whoever packs them, and by whoever verifies them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from .cells import Checked
from .manifest import PackedRow

MEASURES = ("accuracy", "reward", "gold")


def rows(cells: Sequence[Checked], left_out: Mapping[str, list[int]]) -> list[PackedRow]:
    """What a manifest says of these cells, by row."""
    found: dict[str, list[Checked]] = defaultdict(list)
    for cell in cells:
        found[str(cell.record["row"])].append(cell)
    made = []
    for row, own in found.items():
        own.sort(key=lambda cell: int(cell.record["seed"]))
        first, algorithm = own[0].record, own[0].spec.get("algorithm") or {}
        made.append(
            PackedRow(
                row,
                str(first["algorithm"]),
                str(algorithm.get("name", "")),
                str(first["task"]),
                [int(cell.record["seed"]) for cell in own],
                left_out.get(row, []),
                [cell.id for cell in own],
                _finals(own),
            )
        )
    return sorted(made, key=lambda row: (row.label, row.row))


def _finals(cells: Sequence[Checked]) -> dict[str, float]:
    """Means over the cells of their last evaluations, and on their final tasks."""
    found = {}
    for split, mode in sorted({key for cell in cells for key in cell.finals}):
        for measure in MEASURES:
            values = [cell.finals[split, mode].get(measure) for cell in cells if (split, mode) in cell.finals]
            known = [float(value) for value in values if isinstance(value, int | float)]
            if len(known) == len(cells):
                found[f"{split}/{mode}/{measure}"] = round(fmean(known), 12)
    for task in sorted(set.intersection(*(set(cell.tasks) for cell in cells))):
        found[f"final/{task}/accuracy"] = round(fmean(cell.tasks[task] for cell in cells), 12)
    return found


def commits(cells: Sequence[Checked]) -> list[str]:
    """Of the code of all sessions."""
    found = {str(session.get("commit") or "unknown") for cell in cells for session in _sessions(cell)}
    return sorted(found)


def versions(cells: Sequence[Checked]) -> dict[str, list[str]]:
    """Of all packages that any session recorded, and of Python."""
    found: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        for session in _sessions(cell):
            known = session.get("versions")
            for name, version in (known if isinstance(known, dict) else {}).items():
                found[str(name)].add(str(version))
            if "python" in session:
                found["python"].add(str(session["python"]))
    return {name: sorted(there) for name, there in sorted(found.items())}


def _sessions(cell: Checked) -> list[Mapping[str, Any]]:
    provenance = cell.record["provenance"]
    sessions = provenance.get("sessions")
    known = [one for one in sessions if isinstance(one, dict)] if isinstance(sessions, list) else []
    return [provenance, *known]
