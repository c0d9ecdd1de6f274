"""From folders of verdicts to files: a win-rate table for each judge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..build import write
from ..export import markdown
from ..records import RecordError
from ..tables import Grid
from ..verdicts import FILE, Judged, read
from .side_file import SideFile
from .table import table


@dataclass(frozen=True)
class Built:
    """A judge's table: the files, and what they show."""

    grid: Grid
    paths: list[Path]


def find(places: Sequence[Path]) -> list[Judged]:
    """All verdicts in or below the places, in the order of their paths. RecordError where there is none."""
    folders = sorted({path.parent for place in places for path in place.rglob(FILE)})
    if not folders:
        raise RecordError(f"{', '.join(map(str, places))}: no {FILE}; `groupbench judge` writes one")
    return [read(folder) for folder in folders]


def build(judged: Sequence[Judged], out: Path, reference: str | None, side: SideFile | None) -> list[Built]:
    """Write win-rates-<judge>.md, .csv, -tidy.csv and .tex for each judge, and way that it was asked, into `out`."""
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(_judge(one), []).append(one)
    made = {name: table(group, reference, side) for name, group in sorted(groups.items())}
    return [
        Built(grid, write(out, f"win-rates-{name}", markdown.grid(grid, "#") + "\n", [grid]))
        for name, grid in made.items()
    ]


def _judge(one: Judged) -> str:
    """A file's name for a judge."""
    judge = one.record.judge
    said = f"{judge.kind}-{Path(judge.model).name}" + (f"-{judge.revision[-8:]}" if judge.revision else "")
    return re.sub(r"[^A-Za-z0-9.]+", "-", said).strip("-.").lower()
