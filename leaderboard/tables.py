"""From tables of runs and a program to the grids that exports print: rows, columns, entries, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from .analysis import Analysis, matches
from .columns import COLUMNS, Column, Entry, Kind, expanded, find
from .columns.across import ACROSS, Across
from .columns.measure import BOLD, OTHER_ITEMS
from .programs import Choice, Program, ProgramError, TableProgram
from .runs import MODES, Row, Table
from .selection import Archive
from .words import conditions

UNITS: Mapping[Kind, str] = {
    "share": "Shares in %.",
    "points": "Differences of shares in points, signed.",
    "reward": "Rewards in the reward's unit.",
    "reward_difference": "Differences of rewards in the reward's unit, signed.",
}
SIGNS = {  # what every caption explains, where its columns have not
    "±": "± is half of a 95 % interval, [ ] are its ends where it is not symmetric.",
    "†": "† stands on one seed: no test.",
    "‡": OTHER_ITEMS,
    "Bold": BOLD,
    "*": "* p < .05, ** p < .01, after Holm over the tests of the column.",
}


@dataclass(frozen=True)
class Header:
    """A column of a grid."""

    name: str
    heading: str
    kind: Kind
    says: tuple[str, ...] = field(default=(), compare=False)  # of itself; the caption has it, too


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
    model: str = ""  # that all its runs have; empty where unknown
    conditions: str = ""  # budget, seeds and items; these four are a table of runs', one across tasks has several
    axis: str = ""
    reference: str = ""
    target: float | None = None
    across: Across | None = field(default=None, compare=False)  # of one across tasks, what its columns were made from

    def of(self, table: Table) -> bool:
        """Whether it shows this table of runs, under whatever names."""
        return self.source is not None and self.source.slug == table.slug


def grids(archive: Archive, program: Program) -> list[Grid]:
    """All grids of a program: for each table of runs those of its tables, and then those across tasks.

    A table across tasks is made for each model with two tables of runs, or more, that share a row.
    """
    single = [table for table in program.tables if not table.across]
    made = [grid(table, analysis) for table in single for analysis in archive.analyses(table)]
    found = [shown for source in archive.tables for shown in made if shown.of(source)]
    for table in program.tables:
        by_model: dict[str, list[Analysis]] = {}
        for analysis in archive.analyses(table) if table.across else ():
            by_model.setdefault(analysis.table.model or "", []).append(analysis)
        for group in by_model.values():
            labels = [row.label for analysis in group for row in analysis.rows if row.done and not row.control]
            if len(group) > 1 and len(set(labels)) < len(labels):
                found.append(across_grid(table, Across(group)))
    if not found:
        hint = ""
        if len(single) < len(program.tables):
            hint = " (a table across tasks takes two tasks of one model that share a row with a finished seed)"
        raise ProgramError(
            f"program {program.name}: none of its tables finds a run{hint}; there are {archive.contents}"
        )
    return found


def grid(program: TableProgram, analysis: Analysis) -> Grid:
    """One table of runs as a program shows it."""
    rows = ordered(analysis, program.order)
    every = [one for choice in program.columns for one in _every(choice, analysis)]
    made = {row.hash: {c.column: _column(c.column).entry(analysis, row) for c in every} for row in rows}
    choices = [
        c
        for c in every
        if c.column not in program.optional
        or _says_something(_column(c.column).kind, (made[row.hash][c.column] for row in rows))
    ]
    columns = [(choice, _column(choice.column)) for choice in choices]
    explained = [column.explain(analysis) for _, column in columns]
    return Grid(
        name=program.name,
        title=program.title,
        headers=tuple(
            Header(c.name, choice.heading or c.heading(analysis), c.kind_in(analysis), said)
            for (choice, c), said in zip(columns, explained, strict=True)
        ),
        lines=tuple(
            Line(row.label, row.hash, tuple(made[row.hash][c.column] for c in choices), row.control) for row in rows
        ),
        caption=_caption(
            (sentence for said in explained for sentence in said),
            [column.kind_in(analysis) for _, column in columns],
            [made[row.hash][c.column] for row in rows for c in choices],
        )
        + _hidden([analysis], {row.label for row in rows})
        + _renamed([analysis]),
        source=analysis.table,
        model=analysis.table.model or "",
        conditions=conditions(analysis),
        axis=analysis.view.axis,
        reference=analysis.reference.label if analysis.reference else "",
        target=analysis.target,
    )


def _every(choice: Choice, analysis: Analysis) -> list[Choice]:
    """A choice for each column that it stands for; its heading is one column's alone."""
    names = expanded(choice.column, analysis)
    return [choice] if names == [choice.column] else [replace(choice, column=n, heading=None) for n in names]


def _column(name: str) -> Column[Analysis, Row]:
    """Raises KeyError for a name that no column has."""
    return find(name) or COLUMNS[name]


def across_grid(program: TableProgram, across: Across) -> Grid:
    """Several tasks in one grid: columns of a task for each table of runs that the pattern matches, in order."""
    found: dict[str, tuple[Header, dict[str, Entry], tuple[str, ...]]] = {}
    for choice in program.columns:
        for header, entries, said in _across_columns(choice, across):
            if choice.column not in program.optional or _says_something(header.kind, entries.values()):
                found.setdefault(header.name, (header, entries, said))  # two patterns may match one task
    shown = list(found.values())
    lines = [Line(label, "", tuple(entries.get(label, Entry()) for _, entries, _ in shown)) for label in across.labels]
    model = across.analyses[0].table.model or ""
    return Grid(
        name=program.name,
        title=", ".join(part for part in (program.title, model or "model unknown") if part),
        headers=tuple(header for header, _, _ in shown),
        lines=tuple(_sorted_across(program, across, lines)),
        caption=_caption(
            (sentence for _, _, said in shown for sentence in said),
            [header.kind for header, _, _ in shown],
            [entry for _, entries, _ in shown for entry in entries.values()],
        )
        + _hidden(across.analyses, set(across.labels))
        + _renamed(across.analyses)
        + tuple(f"{task}: {conditions(analysis)}" for analysis, task in _tasks(across)),
        model=model,
        across=across,
    )


def _across_columns(choice: Choice, across: Across) -> Iterable[tuple[Header, dict[str, Entry], tuple[str, ...]]]:
    """Header, entries by label and explanation of each column that a choice stands for."""
    if choice.task is None:
        whole = ACROSS[choice.column]
        words = whole.explain(across)
        header = Header(whole.name, choice.heading or whole.heading(across), whole.kind_in(across), words)
        yield header, {label: whole.entry(across, label) for label in across.labels}, words
        return
    one = _column(choice.column)
    found = [(analysis, task) for analysis, task in _tasks(across) if fnmatchcase(analysis.table.task, choice.task)]
    explained = [one.explain(analysis) for analysis, _ in found]
    for (analysis, task), said in zip(found, explained, strict=True):
        said = tuple(
            s if all(s in other for other in explained) else f"{task}: {s}" for s in said
        )  # a target is a task's
        heading = f"{task}: {one.heading(analysis)}"
        if choice.heading:  # several tasks under one heading could not be told apart
            heading = choice.heading if len(found) == 1 else f"{task}: {choice.heading}"
        entries = {row.label: one.entry(analysis, row) for row in analysis.rows if not row.control}
        yield Header(f"{one.name}_{analysis.table.slug}", heading, one.kind_in(analysis), said), entries, said


def _caption(said: Iterable[str], kinds: Sequence[Kind], entries: Sequence[Entry]) -> tuple[str, ...]:
    """What the columns say of themselves, each sentence once, the units, and what no column said of a sign."""
    found = list(dict.fromkeys(said))
    found[:0] = [words for kind, words in UNITS.items() if kind in kinds]
    for sign, meaning in SIGNS.items():
        if any(_bears(entry, sign) for entry in entries) and not any(sign in sentence for sentence in found):
            found.append(meaning)
    return tuple(found)


def _hidden(analyses: Sequence[Analysis], shown: set[str]) -> tuple[str, ...]:
    """Which finished rows a program leaves out, and whether tests do: with fewer, a smaller difference earns a star."""
    finished = [row for a in analyses for row in a.table.rows if row.done and row is not a.reference]
    hidden = sorted({row.label for row in finished if not row.control} - shown)
    counted = len(analyses) == 1 and analyses[0].view.family == "all"
    how = "but counted in ranks and in Holm's corrections" if counted else "and of every test and rank"
    return (f"Left out here, {how}: {', '.join(hidden)}.",) if hidden else ()


def _renamed(analyses: Sequence[Analysis]) -> tuple[str, ...]:
    """What the rows are that a program calls by another name."""
    named = {f"{row.label} is {row.named}": None for a in analyses for row in a.rows if row.named}
    return (f"Rows: {'; '.join(named)}.",) if named else ()


def _bears(entry: Entry, sign: str) -> bool:
    if sign == "±":
        return entry.low is not None and entry.text is None  # words stand for number and interval
    return entry.bold if sign == "Bold" else sign in entry.mark


def _sorted_across(program: TableProgram, across: Across, lines: Sequence[Line]) -> list[Line]:
    """By a column over all tasks, equal ones by label, what has no number last; or as the program has the rows."""
    order = program.order or f"{program.metric}_macro_gain"
    if order == "rows":
        rows = {label: [row for row in across.rows(label) if row] for label in across.labels}

        def first(line: Line) -> int:
            found = (n for n, c in enumerate(program.rows) if any(matches(row, c.row) for row in rows[line.label]))
            return next(found, len(program.rows))

        return sorted(lines, key=first)
    entry = ACROSS[order.removeprefix("-")].entry
    return sorted(lines, key=lambda line: (*_place(entry(across, line.label).value, order), line.label))


def _place(value: float | None, order: str) -> tuple[bool, float]:
    """Sorts numbers as `order` has them, highest first or, after a hyphen, lowest; nothing comes after infinity."""
    return value is None, 0.0 if value is None else value if order.startswith("-") else -value


def _tasks(across: Across) -> list[tuple[Analysis, str]]:
    """Each with its task, and with the slug where one task stands in several tables of runs."""
    tables = [analysis.table for analysis in across.analyses]
    tasks = [table.task for table in tables]
    names = [t.task if tasks.count(t.task) == 1 else f"{t.task} ({t.slug})" for t in tables]
    return list(zip(across.analyses, names, strict=True))


def ordered(analysis: Analysis, order: str = "") -> list[Row]:
    """Rows by a column, equal ones by label, what has no number last, and control arms below all others.

    Without `order` the best final accuracy, or reward, comes first.
    """
    if order == "rows":
        return list(analysis.rows)
    keys = [order] if order else [f"{mode}_final" for mode in dict.fromkeys((analysis.view.metric, *MODES))]

    def place(row: Row) -> tuple[Any, ...]:
        places = (_place(_column(key.removeprefix("-")).entry(analysis, row).value, key) for key in keys)
        return (row.control, *places, row.label)

    return sorted(analysis.rows, key=place)


def _says_something(kind: Kind, entries: Iterable[Entry]) -> bool:
    """Whether any has a number, or words in a column of words: `reference` alone is no content."""
    return any(bool(entry.text) if kind == "text" else entry.value is not None for entry in entries)
