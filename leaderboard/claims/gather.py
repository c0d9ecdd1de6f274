"""What lies on disk below some folders that claims can be held to: runs, verdicts of judges, the lab's record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import reading, verdicts
from ..records import SCHEMA, LabRecord, LabReport, RecordError
from ..runs import load_all
from ..selection import Archive
from .claim import Verdicts

LAB = "lab.json"


@dataclass(frozen=True)
class Gathered:
    """As `findings` wants it."""

    archive: Archive
    lab: LabRecord | None
    judged: tuple[Verdicts, ...]


def gather(places: Sequence[Path]) -> Gathered:
    """All of it. RecordError for a place that is no folder or holds none of it, and for what cannot be read."""
    runs, labs, folders = [], dict[Path, None](), dict[Path, None]()
    for place in places:
        if not place.is_dir():
            raise RecordError(f"{place}: no such folder; `groupbench run RECIPE` makes one")
        run = any(True for name in ("cell.json", "benchmark.json") for _ in place.rglob(name))
        lab, judged = sorted(place.rglob(LAB)), sorted(path.parent for path in place.rglob(verdicts.FILE))
        if not (run or lab or judged):
            raise RecordError(f"{place}: holds no run, no verdict of a judge and no {LAB}")
        runs += [place] * run
        labs |= dict.fromkeys(path.resolve() for path in lab)
        folders |= dict.fromkeys(path.resolve() for path in judged)
    return Gathered(Archive(load_all(runs)), _lab(list(labs)), _judged(list(folders)))


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
    return tuple(Verdicts(_name(root), judged) for root, judged in sorted(by_root.items()))


def _name(root: Path) -> str:
    path = root / "benchmark.json"
    return str(reading.one(path, dict[str, object])["name"]) if path.exists() else root.name
