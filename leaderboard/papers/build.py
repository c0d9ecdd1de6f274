"""From the results of a paper's studies to its tables' files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..build import write
from ..departures import Departures, untold
from ..export import markdown
from ..loading import load
from ..selection import Archive
from ..tables import Grid
from ..verdicts import Judged
from ..winrates.build import find
from ..winrates.side_file import SideFile
from .reading import Paper, Scale
from .shape import Study, grids, study


@dataclass(frozen=True)
class Built:
    """The tables of a paper at one scale, and the files that hold them."""

    grids: list[Grid]
    paths: list[Path]


def build(
    paper: Paper, scale: Scale, results: Path, side: Callable[[list[Judged]], SideFile | None],
    departures: Departures = untold,
) -> Built:  # fmt: skip
    """Write <paper>-<scale>.md, .csv, -tidy.csv and .tex into `results`, whose folders are the studies'.

    `side`: AlpacaEval's side file for verdicts, where they are on it; `departures`: settings of a study's runs that are
    not its recipe's. What has not run stands there as not run. The
    same records give the same bytes. Raises RecordError where records cannot be read.
    """

    @cache
    def study_of(name: str) -> Study:
        folder = results / paper.study(scale, name)
        ran = bool(list(folder.glob("cells/*/cell.json")))
        judged = find([folder / "judged"]) if ran and list(folder.glob("judged/**/judged.json")) else []
        return study(Archive(load(folder)) if ran else None, paper.study(scale, name), judged, side(judged), departures)

    shown = grids(paper, scale, study_of)
    head = [f"# {markdown.escape(paper.title)}", markdown.escape(f"{paper.source}. {' '.join(paper.notes)}")]
    text = "\n\n".join([*head, *(markdown.grid(grid, "##") for grid in shown)]) + "\n"
    return Built(shown, write(results, f"{paper.name}-{scale}", text, shown))
