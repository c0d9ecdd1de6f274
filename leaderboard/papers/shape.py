"""A paper's table as a grid: its rows, our columns of them, and the published figures beside."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..analysis import Analysis, View
from ..columns import Entry, Kind, find
from ..columns.base import NOTHING, estimated
from ..departures import Departures, untold, words
from ..runs import Row
from ..scores import Scores, sum_of
from ..selection import Archive
from ..tables import Grid, Header, Line
from ..verdicts import Judged
from ..winrates.build import tables as judged_tables
from ..winrates.side_file import SideFile
from ..words import conditions
from .reading import JUDGED, Block, Fill, FillColumn, Paper, PaperTable, Scale

NOT_PUBLISHED, NOT_RUN, NOT_OURS, LATER = "not published", "not run", "not implemented here", "†"
UNITS = "Shares in %, differences of shares in points, rewards in their own unit, KL in nats a response."
INTERVAL = (
    "±: half of a 95 % interval over seeds and items, of Base over items alone; † behind a number of ours: one seed."
)
DIFFERENCE = "Ours − published: the interval is ours alone, for the paper states none."
OTHERS = (
    "Ours are other models on other tasks than the paper's: nothing is subtracted, only the order of rows compares."
)


@dataclass(frozen=True)
class Study:
    """The runs of one study: its table of runs, and the win-rate tables by kind of judge; empty where nothing ran."""

    analysis: Analysis | None = None
    judged: Mapping[str, Grid] = field(default_factory=dict)
    departures: tuple[str, ...] = ()  # settings of the runs that are not the recipe's

    def entry(self, column: str, label: str) -> Entry:
        """A column of the row that is called so."""
        if column.startswith(f"{JUDGED}:"):
            _, judge, name = column.split(":")
            grid = self.judged.get(judge)
            found = {line.label: line for line in grid.lines}.get(label) if grid else None
            names = [header.name for header in grid.headers] if grid else []
            return found.entries[names.index(name)] if found and name in names else NOTHING
        row = self._row(label)
        of = find(column)
        return NOTHING if row is None or of is None or self.analysis is None else of.entry(self.analysis, row)

    def kind(self, column: str) -> Kind:
        """How the column's numbers are printed."""
        of = find(column)
        if of is None:
            return "share"
        return of.kind if self.analysis is None else of.kind_in(self.analysis)

    def seeds(self, label: str) -> int:
        """Finished seeds of a row."""
        row = self._row(label)
        return 0 if row is None else len(row.done)

    def final(self, label: str, task: str, start: bool = False) -> Scores | None:
        """Accuracies on a final task: a row's, or the start's."""
        row = self._row(label)
        if self.analysis is None or (row is None and not start):
            return None
        return self.analysis.final_start(task) if start or row is None else self.analysis.final(row, task)

    def start(self, column: str) -> Entry:
        """A column that is the same for all rows: what they all started from."""
        rows = [row.label for row in self.analysis.rows if row.done] if self.analysis else []
        return self.entry(column, rows[0]) if rows else NOTHING

    def _row(self, label: str) -> Row | None:
        rows = self.analysis.rows if self.analysis else ()
        return next((row for row in rows if row.label == label and not row.control), None)


def study(
    archive: Archive | None, name: str, judged: Sequence[Judged], side: SideFile | None, departures: Departures = untold
) -> Study:
    """The runs of the benchmark `name`, where there are any: of several budgets or tasks those with most finished."""
    tables = [table for table in archive.tables if table.benchmark == name] if archive else []
    most = max(tables, key=lambda table: sum(len(row.done) for row in table.rows), default=None)
    analysis = archive.whole(most, View()) if archive and most is not None else None
    return Study(analysis, judged_tables(judged, side), () if most is None else tuple(departures(most)))


def grids(paper: Paper, scale: Scale, study_of: Callable[[str], Study]) -> list[Grid]:
    """All tables of a paper at a scale: each block with our columns, or alone where no study of ours fills it."""
    found = []
    for table in paper.table:
        fills = table.ours.get(scale, ())
        filled = {fill.block for fill in fills}
        alone = [block for block in table.block if block.model not in filled and any(block.rows.values())]
        found += [_filled(paper, table, fill, scale, study_of, fills) for fill in fills]
        found += [_alone(paper, table, block) for block in alone]
    return found


def _filled(
    paper: Paper,
    table: PaperTable,
    fill: Fill,
    scale: Scale,
    study_of: Callable[[str], Study],
    fills: Sequence[Fill],
) -> Grid:
    block = next(block for block in table.block if block.model == fill.block)
    own, made = study_of(fill.study), list[tuple[Header, dict[str, Entry]]]()
    for number, column in enumerate(fill.columns):
        ours = {row: _ours(table, fill, column, row, study_of) for row in block.rows}
        name, heading = f"ours_{number + 1}", column.heading or column.of
        made.append((Header(name, f"{heading}, ours", own.kind(column.column)), ours))
        if column.of:
            theirs = _published(table, block, column.of)
            made.append((Header(f"published_{number + 1}", f"{column.of}, published", "share"), theirs))
            if scale == "paper" and any(entry.value is not None for entry in theirs.values()):
                less = {row: _less(ours[row], theirs[row]) for row in block.rows}
                made.append((Header(f"difference_{number + 1}", f"{column.of}, ours − published", "points"), less))
    if table.mean:
        made.append((Header("ours_mean", "mean, ours", "share"), _means(table, fill, block, study_of)))
    shown = {column.of for column in fill.columns}
    for number, name in enumerate(table.columns):
        if name not in shown:
            theirs = _published(table, block, name)
            made.append((Header(f"published_of_{number + 1}", f"{name}, published", "share"), theirs))
    if table.mean:
        made.append((Header("published_mean", f"mean of {len(table.columns)}, published", "share"),
                     {row: _mean_of(values, table) for row, values in block.rows.items()}))  # fmt: skip
    seeds = {row: Entry(text=_seeds(table, fill, row, study_of)) for row in block.rows}
    columns = [(Header("seeds", "seeds", "text"), seeds), *made]
    return _grid(paper, table, block, columns, fill, scale, own, fills, _departures(paper, fill, scale, study_of))


def _alone(paper: Paper, table: PaperTable, block: Block) -> Grid:
    made = [
        (Header(f"published_{n + 1}", name, "share"), _published(table, block, name))
        for n, name in enumerate(table.columns)
    ]
    return _grid(paper, table, block, made)


def _grid(
    paper: Paper, table: PaperTable, block: Block, made: Sequence[tuple[Header, Mapping[str, Entry]]],
    fill: Fill | None = None, scale: Scale | None = None, own: Study | None = None, fills: Sequence[Fill] = (),
    departures: str = "",
) -> Grid:  # fmt: skip
    rows = [f"{row} {LATER}" if row in block.later else row for row in block.rows]
    names = (Header("algorithm", "method", "text"), dict(zip(block.rows, (Entry(text=r) for r in rows), strict=True)))
    columns = [names, *made]
    said = [UNITS, published := f"Published: {block.model}; {table.source}."]
    beside = "No study of ours at this scale fills it."
    if fill is not None and scale is not None:
        ours = f"Ours: {paper.study(scale, fill.study)}, {paper.scale[scale].about}."
        said += [ours, *([departures] if departures else []), *paper.scale[scale].notes]
        if own is not None and own.analysis is not None:
            said += [INTERVAL, f"Model {own.analysis.table.model}. {conditions(own.analysis)}"]
        said.append(DIFFERENCE if scale == "paper" else OTHERS)
        beside = " ".join(filter(None, (ours, departures, said[-1])))
        moved = [f"{row} is {_named(paper, scale, label)}" for row, label in fill.rows.items()]
        said += [f"Rows of ours: {'; '.join(moved)}."] * bool(moved)
    else:
        said.append(beside)
    said += [f"{LATER} behind a method: only in the image of the authors' README, a later version."] * bool(block.later)
    return Grid(
        name=_name(table, block, fill, fills),
        title=f"{table.title}; {block.model}",
        headers=tuple(header for header, _ in columns),
        lines=tuple(Line(row, "", tuple(entries[row] for _, entries in columns)) for row in block.rows),
        caption=(*said, *block.notes, *table.notes),
        model=block.model,
        conditions=f"{published} {beside}",
    )


def _departures(paper: Paper, fill: Fill, scale: Scale, study_of: Callable[[str], Study]) -> str:
    """Of each study that fills the block: where its runs are not its recipe's; empty where all are."""
    others = [name for known in fill.rows.values() if (name := known.partition(":")[0]) in paper.scale[scale].studies]
    found = {name: study_of(name).departures for name in dict.fromkeys((fill.study, *others))}
    said = (f"{paper.study(scale, name)}: {words(one, None)}." for name, one in found.items() if one)
    return " ".join(said)


def _named(paper: Paper, scale: Scale, found: str) -> str:
    """LABEL, or STUDY: LABEL; a label may have a colon of its own."""
    study, colon, label = found.partition(":")
    return f"{study}: {label}" if colon and study in paper.scale[scale].studies else found


def _name(table: PaperTable, block: Block, fill: Fill | None, fills: Sequence[Fill]) -> str:
    """Of the grid: with its model where there are several, with its study where several fill one block."""
    if fill is not None and sum(one.block == block.model for one in fills) > 1:
        return f"{table.name}-{fill.study}"
    if len(table.block) == 1:
        return table.name
    return f"{table.name}-{re.sub(r'[^a-z0-9.]+', '-', block.model.lower())}"


def _label(fill: Fill, row: str, study_of: Callable[[str], Study]) -> tuple[Study, str]:
    """The study that a row stands in, and its label there."""
    name, colon, label = fill.rows.get(row, row).partition(":")
    known = fill.rows.get(row, "")
    if colon and known and study_of(name).analysis is not None and study_of(name).seeds(label):
        return study_of(name), label
    return study_of(fill.study), known or row


def _ours(
    table: PaperTable, fill: Fill, column: FillColumn, row: str, study_of: Callable[[str], Study]
) -> Entry:  # fmt: skip
    if row in table.not_implemented:
        return Entry(text=NOT_OURS)
    own, label = _label(fill, row, study_of)
    if row == table.start:
        found = own.start(column.start) if column.start else NOTHING
        return found if found.value is not None else Entry(text=NOT_RUN)
    return replace(own.entry(column.column, label), bold=False) if own.seeds(label) else Entry(text=NOT_RUN)


def _seeds(table: PaperTable, fill: Fill, row: str, study_of: Callable[[str], Study]) -> str:
    if row in table.not_implemented or row == table.start:
        return "–"
    own, label = _label(fill, row, study_of)
    return str(own.seeds(label))


def _published(table: PaperTable, block: Block, column: str) -> dict[str, Entry]:
    place = table.columns.index(column)
    return {
        row: _figure(values[place], table.digits) if values else Entry(text=NOT_PUBLISHED)
        for row, values in block.rows.items()
    }


def _figure(value: float, digits: int) -> Entry:
    """A share, in words as it is printed."""
    return Entry(round(value / 100, 6), text=f"{value:.{digits}f}")


def _mean_of(values: Sequence[float], table: PaperTable) -> Entry:
    return _figure(sum(values) / len(values), table.digits) if values else Entry(text=NOT_PUBLISHED)


def _less(ours: Entry, theirs: Entry) -> Entry:
    if ours.value is None or theirs.value is None:
        return NOTHING
    less = [None if one is None else one - theirs.value for one in (ours.value, ours.low, ours.high)]
    return replace(ours, value=less[0], low=less[1], high=less[2], by_seed={}, p=None, p_holm=None, text=None)


def _means(table: PaperTable, fill: Fill, block: Block, study_of: Callable[[str], Study]) -> dict[str, Entry]:
    """Mean over our final tasks, whose seeds are the same runs and whose items are independent."""
    tasks = [one.column.partition(":")[2] for one in fill.columns if one.column.startswith("final:")]
    found: dict[str, Entry] = {}
    for row in block.rows:
        if row in table.not_implemented:
            found[row] = Entry(text=NOT_OURS)
            continue
        start = row == table.start
        own, label = (study_of(fill.study), row) if start else _label(fill, row, study_of)
        parts = [own.final(label, task, start) for task in tasks]
        there = [replace(part, values=part.values / len(tasks)) for part in parts if part is not None]
        estimate = sum_of(there) if there and len(there) == len(parts) else None
        entry = estimated(estimate)
        found[row] = Entry(text=NOT_RUN) if estimate is None else replace(entry, mark="" if start else entry.mark)
    return found
