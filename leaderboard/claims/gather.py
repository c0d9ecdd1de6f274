"""What lies on disk below some folders that claims can be held to: runs, verdicts of judges, the lab's record.

What lies in submissions is left out: anybody may have put it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import mine, reading, verdicts
from ..loading import load_all
from ..records import SCHEMA, LabRecord, LabReport, RecordError
from ..selection import Archive
from .claim import Verdicts

LAB = "lab.json"


@dataclass(frozen=True)
class Gathered:
    """As `findings` wants it."""

    archive: Archive
    lab: LabRecord | None
    judged: tuple[Verdicts, ...]


@dataclass(frozen=True)
class Beside:
    """What there is besides runs."""

    lab: LabRecord | None
    judged: tuple[Verdicts, ...]

    @property
    def every(self) -> list[verdicts.Judged]:
        """The verdicts of all benchmarks."""
        return [one for benchmark in self.judged for one in benchmark.judged]


def gather(places: Sequence[Path]) -> Gathered:
    """All of it. RecordError for a place that is no folder or holds none of it, and for what cannot be read."""
    runs = []
    for place in places:
        if not place.is_dir():
            raise RecordError(f"{place}: no such folder; `groupbench run RECIPE` makes one")
        run = any(mine.below(place, name) for name in ("cell.json", "benchmark.json"))
        if not (run or any(mine.below(place, name) for name in (LAB, verdicts.FILE))):
            raise RecordError(f"{place}: holds no run, no verdict of a judge and no {LAB}")
        runs += [place] * run
    found = beside(places)
    return Gathered(Archive(load_all(runs)), found.lab, found.judged)


def beside(places: Sequence[Path]) -> Beside:
    """Verdicts and the lab's record. RecordError for what cannot be read."""
    labs = {path.resolve(): None for place in places for path in mine.below(place, LAB)}
    folders = {path.parent.resolve(): None for place in places for path in mine.below(place, verdicts.FILE)}
    return Beside(_lab(list(labs)), _judged(list(folders)))


def _lab(paths: Sequence[Path]) -> LabRecord | None:
    """The reports of all records; of an algorithm that two of them report on, the later one's, by path."""
    reports: dict[str, LabReport] = {}
    for path in sorted(paths):
        record = reading.one(path, LabRecord)
        if record["schema"] != SCHEMA:
            raise RecordError(f"{path}: schema {record['schema']!r}; this groupbench reads schema {SCHEMA}")
        reports |= {report["algorithm"]: report for report in record["reports"]}
    return LabRecord(schema=SCHEMA, reports=list(reports.values())) if reports else None


def _judged(folders: Sequence[Path]) -> tuple[Verdicts, ...]:
    """By the benchmark that they lie in, else by the folder above them."""
    by_root: dict[Path, list[verdicts.Judged]] = {}
    for folder in sorted(folders):
        root = next((parent for parent in folder.parents if (parent / "benchmark.json").exists()), folder.parent)
        by_root.setdefault(root, []).append(verdicts.read(folder))
    return tuple(Verdicts(_name(root), judged, root) for root, judged in sorted(by_root.items()))


def _name(root: Path) -> str:
    path = root / "benchmark.json"
    return str(reading.one(path, dict[str, object])["name"]) if path.exists() else root.name
