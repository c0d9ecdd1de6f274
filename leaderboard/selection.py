"""Which runs a table program is about: the tables of runs and rows that it asks for, by the names that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from . import finals
from .analysis import Analysis, View, matches
from .programs import ProgramError, TableProgram, Where
from .runs import Row, Submission, Table


class Archive:
    """Tables of runs with what was read and computed of them, so that several programs share it.

    `apart`: tables of submissions that were not verified, by themselves, in none of `tables`; `refused`: submissions
    of which nothing can be read. No program, no test and no rank ever sees these two.
    """

    def __init__(
        self, tables: Sequence[Table], apart: Sequence[Table] = (), refused: Sequence[Submission] = ()
    ) -> None:
        self.tables, self.apart, self.refused = tuple(tables), tuple(apart), tuple(refused)
        self._known: dict[str, dict[Any, Any]] = {table.slug: {} for table in tables}

    @property
    def contents(self) -> str:
        """What there is to be asked for, in words."""
        found = (f"benchmark {t.benchmark}, task {t.task}, model {t.model}" for t in self.tables)
        return "; ".join(dict.fromkeys(found))

    def whole(self, table: Table, view: View) -> Analysis:
        """All rows of one table of runs."""
        return Analysis(table, table.rows, view, self._known[table.slug])

    def part(self, table: Table, rows: Sequence[Row], view: View) -> Analysis:
        """Some rows of one table of runs by themselves: no other row is a reference, a horizon or in Holm's family."""
        return Analysis(replace(table, rows=tuple(rows)), rows, view, self._known[table.slug])

    def analyses(self, program: TableProgram) -> list[Analysis]:
        """The tables of runs that a program asks for, with its rows, under its view; those without such a row left out.

        Raises ProgramError where there are runs, and one of its rows or its reference is not among them.
        """
        tables = [_renamed(table, program) for table in self.tables if _wanted(table, program.where)]
        found = [Analysis(t, _rows(t, program), program.view, self._known[t.slug]) for t in tables]
        there = [analysis for analysis in found if analysis.rows]
        every = [row for table in tables for row in table.rows]
        where, labels = f"table {program.name}", _labels(every)
        unknown = [choice.row for choice in program.rows if not any(matches(row, choice.row) for row in every)]
        if found and unknown:
            raise ProgramError(f"{where}: rows: nothing is called {', '.join(map(repr, unknown))}; there are {labels}")
        if found and not there:
            asked = [f"min_seeds = {program.where.min_seeds}"] * (program.where.min_seeds > 0)
            said = ", ".join(asked + ["controls = false"] * (not program.where.controls))
            raise ProgramError(f"{where}: where = {{{said}}} leaves none of its rows; there are {labels}")
        if program.reference is not None and there and not any(analysis.reference for analysis in there):
            raise ProgramError(f"{where}: reference = {program.reference!r} is no row here; there are {labels}")
        return there


def _wanted(table: Table, where: Where) -> bool:
    names = (
        (table.benchmark, where.benchmark), (table.task, where.task), (str(table.model), where.model),
        (table.measure, where.measure),
    )  # fmt: skip
    if where.final_tasks and not finals.tasks(table):
        return False
    return all(name == pattern or fnmatchcase(name, pattern) for name, pattern in names)


def _renamed(table: Table, program: TableProgram) -> Table:
    """The rows under the program's labels. Raises ProgramError where a label would stand for two of them."""
    rows = list(table.rows)
    for choice in program.rows:
        if choice.label is not None:
            meant = [n for n, row in enumerate(table.rows) if matches(row, choice.row) and not row.control]
            if len(meant) > 1:
                raise ProgramError(
                    f"table {program.name}: rows: {choice.row!r}, to be called {choice.label!r}, is "
                    f"{_labels([table.rows[n] for n in meant])}; a label is for one row of a task"
                )
            for n in meant:
                rows[n] = replace(rows[n], label=choice.label, named=rows[n].label)
    labels = [row.label for row in rows]
    if doubles := sorted({label for label in labels if labels.count(label) > 1}):
        raise ProgramError(f"table {program.name}: rows: two rows would be called {doubles[0]!r}")
    return replace(table, rows=tuple(rows))


def _rows(table: Table, program: TableProgram) -> list[Row]:
    """The rows asked for; in the order of the program's patterns where it has some."""
    rows = [row for row in table.rows if len(row.done) >= program.where.min_seeds]
    rows = [row for row in rows if program.where.controls or not row.control]
    if not program.rows:
        return rows
    picked = [row for choice in program.rows for row in rows if matches(row, choice.row)]
    return list({row.hash: row for row in picked}.values())


def _labels(rows: Sequence[Row]) -> str:
    return ", ".join(sorted({row.label for row in rows if not row.control})) or "none"
