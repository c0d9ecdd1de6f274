"""From a results folder to the leaderboard's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import plot
from .export import formats, markdown
from .export.terminal import render
from .records import Axis, RecordError
from .runs import Table, load
from .tables import AXES, frame

__all__ = ["Built", "build", "render"]


@dataclass(frozen=True)
class Built:
    """What `build` made: `markdown` has one section a table, and `render(built.tables)` is for the terminal."""

    tables: list[Table]
    paths: list[Path]
    markdown: list[str]


def build(results: Path, out: Path | None = None, axis: Axis = "steps") -> Built:
    """Write leaderboard.md, leaderboard.csv and, for each table, convergence-<task>.svg and .png.

    `out` is the folder they go to, `results` itself by default; `axis` is the figures' horizontal axis. The same
    records give the same bytes. Raises RecordError, before anything is written, where the records cannot be read.
    """
    if axis not in AXES:
        raise RecordError(f"axis {axis!r}: expected one of {', '.join(AXES)}")
    tables = load(Path(results))
    out = Path(results if out is None else out)
    out.mkdir(parents=True, exist_ok=True)
    stems = {table.slug: f"convergence-{table.slug}" for table in tables}
    sections = markdown.leaderboard(tables, {slug: f"{stem}.svg" for slug, stem in stems.items()})
    paths = [out / "leaderboard.md", out / "leaderboard.csv"]
    paths[0].write_bytes(("# Leaderboard\n\n" + "\n".join(sections)).encode())
    paths[1].write_bytes(frame(tables).to_csv(index=False, lineterminator="\n").encode())
    for title, table in zip(formats.titles(tables), tables, strict=True):
        paths += plot.draw(table, out / stems[table.slug], axis, title)
    return Built(tables, paths, sections)
