"""From a results folder to files: the leaderboard, or the tables of a program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import plot, programs
from .export import delimited, latex, markdown
from .programs import Program
from .records import AXES, Axis, RecordError
from .runs import load
from .tables import Archive, Grid, grids
from .words import titles

if TYPE_CHECKING:
    import rich.table

LEADERBOARD = "leaderboard"


@dataclass(frozen=True)
class Built:
    """What was made: `paths` lie on disk, `markdown` has one section a table of runs."""

    archive: Archive
    grids: list[Grid]
    paths: list[Path]
    markdown: list[str]


def build(results: Path, out: Path | None = None, axis: Axis | None = None, figures: bool = True) -> Built:
    """Write leaderboard.md, .csv, -tidy.csv and .tex and, for each table of runs, convergence-<task>.svg and .png.

    `out` is the folder they go to, `results` itself by default; `axis` is that of the figures and of the way to the
    target, the built-in program's by default. The same records give the same bytes. Raises RecordError, before anything
    is written, where the records cannot be read.
    """
    program = _on_axis(programs.load(LEADERBOARD), axis)
    view = program.tables[0].view
    archive = Archive(load(Path(results)))
    shown = grids(archive, program)
    out = _folder(results, out)
    stems = {table.slug: f"convergence-{table.slug}" for table in archive.tables} if figures else {}
    sections = []
    for table, title in zip(archive.tables, titles(archive.tables), strict=True):
        own = [grid for grid in shown if grid.source is table]
        sections.append(markdown.section(table, title, own, f"{stems[table.slug]}.svg" if figures else None))
    text = "\n".join([*sections, *(markdown.grid(grid, "##") + "\n" for grid in shown if grid.source is None)])
    paths = _write(out, program.name, f"# Leaderboard\n\n{text}", shown)
    for title, table in zip(titles(archive.tables), archive.tables, strict=True):
        if figures:
            paths += plot.draw(archive.whole(table, view), out / stems[table.slug], title)
    return Built(archive, shown, paths, sections)


def build_program(results: Path, program: Program, out: Path | None = None, axis: Axis | None = None) -> Built:
    """Write a program's tables as <its name>.md, .csv, -tidy.csv and .tex."""
    archive = Archive(load(Path(results)))
    shown = grids(archive, _on_axis(program, axis))
    names = dict(zip((id(table) for table in archive.tables), titles(archive.tables), strict=True))
    sections = []
    for grid in shown:
        of = "" if grid.source is None else f"{markdown.escape(names[id(grid.source)])}\n\n"
        sections.append(f"## {markdown.escape(grid.title or grid.name)}\n\n{of}{markdown.grid(grid, '')}\n")
    return Built(archive, shown, _write(_folder(results, out), program.name, "\n".join(sections), shown), sections)


def terminal(archive: Archive) -> list[rich.table.Table]:
    """What is printed at the end of a run: one rich table a table of runs."""
    from .export.terminal import render

    program = programs.load("terminal")
    named = dict(zip((id(table) for table in archive.tables), titles(archive.tables), strict=True))
    return [render(grid, grid.source, named[id(grid.source)]) for grid in grids(archive, program) if grid.source]


def _on_axis(program: Program, axis: Axis | None) -> Program:
    if axis is not None and axis not in AXES:
        raise RecordError(f"axis {axis!r}: expected one of {', '.join(AXES)}")
    return program if axis is None else program.on_axis(axis)


def _folder(results: Path, out: Path | None) -> Path:
    out = Path(results if out is None else out)
    out.mkdir(parents=True, exist_ok=True)
    return out


def _write(out: Path, name: str, text: str, shown: list[Grid]) -> list[Path]:
    files = {
        f"{name}.md": text,
        f"{name}.csv": delimited.wide(shown),
        f"{name}-tidy.csv": delimited.tidy(shown),
        f"{name}.tex": latex.document(shown),
    }
    for file, content in files.items():
        (out / file).write_bytes(content.encode())
    return [out / file for file in files]
