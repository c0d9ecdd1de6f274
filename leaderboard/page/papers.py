"""The papers' tables of the studies that a results folder holds: ours beside the published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

from ..departures import Departures, untold
from ..papers import shape
from ..papers.reading import PAPERS, Paper, Scale, load
from ..selection import Archive
from ..tables import Grid
from ..verdicts import Judged
from .judged import Sides

OURS = "ours"  # how the names of our columns begin


@dataclass(frozen=True)
class Shaped:
    """A paper's tables at one scale: first those in which anything of ours ran."""

    paper: Paper
    scale: Scale
    grids: Sequence[Grid]

    @property
    def command(self) -> str:
        """What runs what is missing."""
        return f"groupbench reproduce {self.paper.name} --scale {self.scale}"


def find(
    archive: Archive, judged: Mapping[str, Sequence[Judged]], side: Sides = lambda _: None,
    departures: Departures = untold,
) -> tuple[Shaped, ...]:  # fmt: skip
    """For each paper and scale of which a study of ours, and of no submission, is there; `judged` is by benchmark."""
    own = {table.benchmark for table in archive.tables if any(row.submission is None for row in table.rows)}
    found = []
    for name in PAPERS:
        if any(benchmark.startswith(f"{name}-") for benchmark in own):  # else no paper's file is read
            paper = load(name)
            found += [
                Shaped(paper, scale, _grids(paper, scale, archive, own, judged, side, departures))
                for scale, of in paper.scale.items()
                if any(paper.study(scale, study) in own for study in of.studies)
            ]
    return tuple(found)


def _grids(
    paper: Paper, scale: Scale, archive: Archive, own: Set[str], judged: Mapping[str, Sequence[Judged]], side: Sides,
    departures: Departures,
) -> list[Grid]:  # fmt: skip
    @cache
    def study_of(short: str) -> shape.Study:
        name = paper.study(scale, short)
        verdicts = judged.get(name, ())
        return shape.study(archive if name in own else None, name, verdicts, side(verdicts), departures)

    return sorted(shape.grids(paper, scale, study_of), key=lambda grid: not _ran(grid))


def _ran(grid: Grid) -> bool:
    places = [n for n, header in enumerate(grid.headers) if header.name.startswith(OURS)]
    return any(line.entries[n].value is not None for line in grid.lines for n in places)
