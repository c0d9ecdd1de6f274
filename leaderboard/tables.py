"""From tables of runs and a program to the grids that exports print: rows, columns, entries, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .analysis import Analysis, View, matches
from .columns import COLUMNS, Entry, Kind
from .columns.across import ACROSS, Across
from .programs import Choice, Program, ProgramError, TableProgram
from .runs import MODES, Row, Table


@dataclass(frozen=True)
class Header:
    """A column of a grid."""

    name: str
    heading: str
    kind: Kind


@dataclass(frozen=True)
class Line:
    """A row of a grid, and the entries of its columns."""

    label: str
    hash: str  # of the row; empty in a table across tasks
    entries: tuple[Entry, ...]
    control: bool = False  # a control arm: shown, and neither ranked nor part of any family of tests


@dataclass(frozen=True)
class Grid:
    """A finished table: the same for every export. `source` is the table of runs, None for one across tasks."""

    name: str
    title: str
    headers: tuple[Header, ...]
    lines: tuple[Line, ...]
    caption: tuple[str, ...]  # sentences
    source: Table | None = None


def grids(archive: Archive, program: Program) -> list[Grid]:
    """All grids of a program: for each table of runs those of its tables, and then those across tasks.

    A table across tasks is made for each model with two tables of runs, or more, that share a row.
    """
    single = [table for table in program.tables if not table.across]
    made = [(table, grid(table, a)) for table in single for a in archive.analyses(table)]
    found = [shown for source in archive.tables for _, shown in made if shown.source is source]
    for table in program.tables:
        by_model: dict[str, list[Analysis]] = {}
        for analysis in archive.analyses(table) if table.across else ():
            by_model.setdefault(analysis.table.model or "", []).append(analysis)
        for group in by_model.values():
            labels = [row.label for analysis in group for row in analysis.rows if row.done and not row.control]
            if len(group) > 1 and len(set(labels)) < len(labels):
                found.append(across_grid(table, Across(group)))
    if not found:
        raise ProgramError(f"program {program.name}: none of its tables finds a run; there are {_there(archive)}")
    return found


class Archive:
    """Tables of runs with what was read and computed of them, so that several programs share it."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tuple(tables)
        self._known: list[dict[Any, Any]] = [{} for _ in tables]

    def whole(self, table: Table, view: View) -> Analysis:
        """All rows of one table of runs."""
        return Analysis(table, table.rows, view, self._known[self.tables.index(table)])

    def analyses(self, program: TableProgram) -> list[Analysis]:
        """The tables of runs that a program asks for, with its rows, under its view."""
        where, found = program.where, []
        for table, known in zip(self.tables, self._known, strict=True):
            names = ((table.benchmark, where.benchmark), (table.task, where.task), (str(table.model), where.model))
            if all(name == pattern or fnmatchcase(name, pattern) for name, pattern in names):
                found.append(Analysis(table, _rows(table, program), program.view, known))
        wanted = program.reference
        if wanted is not None and found and not any(analysis.reference for analysis in found):
            labels = sorted({row.label for analysis in found for row in analysis.table.rows if not row.control})
            raise ProgramError(
                f"table {program.name}: reference = {wanted!r} is no row here; there are {', '.join(labels)}"
            )
        return found


def grid(program: TableProgram, analysis: Analysis) -> Grid:
    """One table of runs as a program shows it."""
    rows = ordered(analysis, program.order)
    made = {row.hash: {c.column: COLUMNS[c.column].entry(analysis, row) for c in program.columns} for row in rows}
    choices = [c for c in program.columns if _shown(program, c, [made[row.hash][c.column] for row in rows])]
    columns = [(choice, COLUMNS[choice.column]) for choice in choices]
    return Grid(
        name=program.name,
        title=program.title,
        headers=tuple(Header(c.name, choice.heading or c.heading(analysis), c.kind) for choice, c in columns),
        lines=tuple(
            Line(row.label, row.hash, tuple(made[row.hash][c.column] for c in choices), row.control) for row in rows
        ),
        caption=tuple(dict.fromkeys(said for _, column in columns for said in column.explain(analysis))),
        source=analysis.table,
    )


def across_grid(program: TableProgram, across: Across) -> Grid:
    """Several tasks in one grid: columns of a task for each table of runs that the pattern matches, in order."""
    headers: list[Header] = []
    columns: list[dict[str, Entry]] = []
    captions: list[str] = []
    names = dict(
        zip((id(a.table) for a in across.analyses), _task_names([a.table for a in across.analyses]), strict=True)
    )
    for choice in program.columns:
        if choice.task is None:
            whole = ACROSS[choice.column]
            entries = {label: whole.entry(across, label) for label in across.labels}
            found = [(Header(whole.name, choice.heading or whole.heading(across), whole.kind), entries)]
            captions += whole.explain(across)
        else:
            one = COLUMNS[choice.column]
            found = []
            for analysis in across.analyses:
                if fnmatchcase(analysis.table.task, choice.task):
                    name = names[id(analysis.table)]
                    by_label = {row.label: one.entry(analysis, row) for row in analysis.rows}
                    heading = choice.heading or f"{name}: {one.heading(analysis)}"
                    found.append((Header(f"{one.name}_{analysis.table.slug}", heading, one.kind), by_label))
                    captions += one.explain(analysis)
        for header, by_label in found:
            if choice.column not in program.optional or any(e.value is not None for e in by_label.values()):
                headers.append(header)
                columns.append(by_label)
    lines = [Line(label, "", tuple(column.get(label, Entry()) for column in columns)) for label in across.labels]
    return Grid(
        program.name, f"{program.title}, {across.analyses[0].table.model or 'model unknown'}", tuple(headers),
        tuple(_sorted_across(program, across, lines)), tuple(dict.fromkeys(captions)),
    )  # fmt: skip


def _sorted_across(program: TableProgram, across: Across, lines: Sequence[Line]) -> list[Line]:
    if program.order == "rows":
        return list(lines)
    order = program.order or f"{program.metric}_macro_gain"
    sign = 1 if order.startswith("-") else -1

    def place(line: Line) -> tuple[float, str]:
        value = ACROSS[order.removeprefix("-")].entry(across, line.label).value
        return math.inf if value is None else sign * value, line.label

    return sorted(lines, key=place)


def _task_names(tables: Sequence[Table]) -> list[str]:
    """The tasks, or with the slug where one task stands in several tables of runs."""
    tasks = [table.task for table in tables]
    return [t.task if tasks.count(t.task) == 1 else f"{t.task} ({t.slug})" for t in tables]


def _there(archive: Archive) -> str:
    return "; ".join(f"benchmark {t.benchmark}, task {t.task}, model {t.model}" for t in archive.tables)


def _rows(table: Table, program: TableProgram) -> list[Row]:
    """The rows asked for; in the order of the program's patterns where it has some."""
    rows = [row for row in table.rows if len(row.done) >= program.where.min_seeds]
    rows = [row for row in rows if program.where.controls or not row.control]
    if not program.rows:
        return rows
    picked = [row for pattern in program.rows for row in rows if matches(row, pattern)]
    return list({row.hash: row for row in picked}.values())


def ordered(analysis: Analysis, order: str = "") -> list[Row]:
    """Rows by a column, equal ones by label, what has no number last, and control arms below all others.

    Without `order` the best final accuracy comes first.
    """
    if order == "rows":
        return list(analysis.rows)
    keys = [order] if order else [f"{mode}_final" for mode in dict.fromkeys((analysis.view.metric, *MODES))]

    def place(row: Row) -> tuple[Any, ...]:
        values = [COLUMNS[key.removeprefix("-")].entry(analysis, row).value for key in keys]
        places = [
            math.inf if v is None else v if key.startswith("-") else -v for key, v in zip(keys, values, strict=True)
        ]
        return (row.control, *places, row.label)

    return sorted(analysis.rows, key=place)


def _shown(program: TableProgram, choice: Choice, entries: Sequence[Entry]) -> bool:
    return choice.column not in program.optional or any(entry.value is not None for entry in entries)
