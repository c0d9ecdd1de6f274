"""From a results folder to files: the leaderboard, or the tables of a program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import plot, programs
from .analysis import View
from .export import delimited, latex, markdown
from .programs import Program
from .records import AXES, Axis, RecordError
from .selection import Archive
from .submissions.joining import gather
from .submissions.joining import grid as unverified
from .tables import Grid, grids
from .words import titles

if TYPE_CHECKING:
    from .export.terminal import Plain, Shown

LEADERBOARD, TERMINAL = "leaderboard", "terminal"
POINTER = "How often intervals and stars are right: docs/statistics.md.\n"


@dataclass(frozen=True)
class Built:
    """What was made: `paths` lie on disk, `markdown` has one section a table of runs, or a table of a program."""

    archive: Archive
    grids: list[Grid]
    paths: list[Path]
    markdown: list[str]
    view: View  # of the sections and figures
    empty: tuple[str, ...] = ()  # tables of a program that found no run, by name


def build(
    results: Path, out: Path | None = None, axis: Axis | None = None, figures: bool = True,
    submissions: Path | None = None,
) -> Built:  # fmt: skip
    """Write leaderboard.md, .csv, -tidy.csv and .tex and, for each table of runs, convergence-<task>.svg, .png, .pdf.

    `out` is the folder they go to, `results` itself by default; `axis` is that of the figures and of the way to the
    target, the built-in program's by default; `submissions` holds some beside those of the results folder, of which the
    Markdown alone shows what is not verified, below all else. The same records give the same bytes. Raises RecordError,
    before anything is written, where the records cannot be read.
    """
    program = _on_axis(programs.load(LEADERBOARD), axis)
    view = program.tables[0].view
    archive = gather(Path(results), submissions)
    shown = grids(archive, program) if archive.tables else []  # there may be none that is verified
    stems = {table.slug: f"convergence-{table.slug}" for table in archive.tables} if figures else {}
    sections = []
    for table, title in zip(archive.tables, titles(archive.tables), strict=True):
        own = [grid for grid in shown if grid.of(table)]
        figure = f"{stems[table.slug]}.svg" if figures else None
        sections.append(markdown.section(archive.whole(table, view), title, own, figure))
    rest = [grid for grid in [*(grid for grid in shown if grid.source is None), unverified(archive)] if grid]
    text = "\n".join([*sections, *(markdown.grid(grid, "##") + "\n" for grid in rest)])
    folder = Path(results if out is None else out)
    paths = write(folder, program.name, f"# Leaderboard\n\n{text}\n{POINTER}", shown)
    for title, table in zip(titles(archive.tables), archive.tables, strict=True):
        if figures:
            paths += plot.draw(archive.whole(table, view), folder / stems[table.slug], title)
    return Built(archive, shown, paths, sections, view)


def build_program(
    results: Path, program: Program, out: Path | None = None, axis: Axis | None = None, submissions: Path | None = None,
    files: bool = True,
) -> Built:  # fmt: skip
    """Write a program's tables as <its name>.md, .csv, -tidy.csv and .tex, or no `files`.

    What is not verified stands in none of them. Raises as `build`, and ProgramError.
    """
    archive = gather(Path(results), submissions)
    shown = grids(archive, _on_axis(program, axis))
    named = _titles(archive)
    last = {grid.source.slug: n for n, grid in enumerate(shown) if grid.source}  # what is noted of runs stands once
    sections = []
    for n, grid in enumerate(shown):
        parts = [markdown.grid(grid, "##", f"{named[grid.source.slug]}. {grid.conditions}" if grid.source else "")]
        if grid.source and n == last[grid.source.slug]:
            parts += markdown.remarks(grid.source, f"### Notes on {markdown.escape(named[grid.source.slug])}")
        sections.append("\n\n".join(parts) + "\n")
    empty = tuple(table.name for table in program.tables if table.name not in {grid.name for grid in shown})
    built = Built(archive, shown, [], sections, program.tables[0].view, empty)
    if not files:
        return built
    return replace(built, paths=write_program(built, program, Path(results if out is None else out)))


def write_program(built: Built, program: Program, folder: Path) -> list[Path]:
    """The files of a program's tables."""
    return write(folder, program.name, "\n".join(built.markdown), built.grids)


def for_injection(built: Built, program: Program) -> dict[str, str]:
    """A program's tables as Markdown by name, without titles; several of one name each with what it is of."""
    named, times = _titles(built.archive), Counter(grid.name for grid in built.grids)
    made: dict[str, list[str]] = {table.name: [] for table in program.tables}
    for grid in built.grids:
        of = f"{named[grid.source.slug]}." if grid.source and times[grid.name] > 1 else ""
        made[grid.name].append(markdown.grid(grid, "", of))
    return {name: "\n\n".join(parts) for name, parts in made.items()}


def terminal(archive: Archive, axis: Axis | None = None) -> list[Shown | Plain]:
    """What is printed at the end of a run: a title, a table and a legend for each table of runs; and what is apart."""
    from .export.terminal import Plain, Shown

    program = _on_axis(programs.load(TERMINAL), axis)
    named, view = _titles(archive), program.tables[0].view
    made = grids(archive, program) if archive.tables else []
    shown = [(grid, grid.source) for grid in made if grid.source is not None]
    apart = unverified(archive)
    found = [Shown(grid, archive.whole(table, view), named[table.slug]) for grid, table in shown]
    return [*found, *([Plain(apart)] if apart else [])]


def _titles(archive: Archive) -> dict[str, str]:
    return dict(zip((table.slug for table in archive.tables), titles(archive.tables), strict=True))


def _on_axis(program: Program, axis: Axis | None) -> Program:
    if axis is not None and axis not in AXES:
        raise RecordError(f"axis {axis!r}: expected one of {', '.join(AXES)}")
    return program if axis is None else program.on_axis(axis)


def write(out: Path, name: str, text: str, shown: list[Grid]) -> list[Path]:
    """Grids as <name>.md (`text`), .csv, -tidy.csv and .tex in `out`; the paths."""
    files = {
        f"{name}.md": text,
        f"{name}.csv": delimited.wide(shown),
        f"{name}-tidy.csv": delimited.tidy(shown),
        f"{name}.tex": latex.document(shown),
    }
    out.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (out / file).write_bytes(content.encode("utf-8", "replace"))  # a label may hold half of a surrogate pair
    return [out / file for file in files]
