"""Grids as CSV: wide, one line a row, and tidy, one line a row, column and seed. Nothing is rounded.

Columns of numbers hold nothing but numbers (`inf` where a target was not reached) and empty fields.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from ..columns import Entry
from ..tables import Grid, Header, Line

WHERE = ("benchmark", "task", "model", "algorithm", "row")
# What stands beside a number, where it has it; a note is what people read instead of it.
PARTS = ("low", "high", "df", "p", "p_holm", "mark", "note")
TIDY = ("table", *WHERE, "column", "unit", "seed", "value")
Key = tuple[str, ...]  # a line: the table of runs that it is of, then WHERE


def wide(grids: Sequence[Grid]) -> str:
    """One line a row and table of runs, with the columns of all their grids.

    Shares are in [0, 1], and `log_` precedes the name of what is the logarithm of a ratio. Axis, reference and target
    are those that the line was looked at with; where any runs are ranked by another measure than accuracy, `measure`
    tells which. A number's interval, test, mark and note stand in
    columns of its name with `_low`, `_high`, `_df`, `_p`, `_p_holm`, `_mark` and `_note`, where any row has them. A
    name that has not the same content in all grids (two of them may look at one table in different ways), and one of a
    table across tasks, is preceded by its grid's.
    """
    contents: dict[tuple[str, str], dict[Key, Entry]] = {}  # by grid and column; across models and tasks
    text = {header.name for grid in grids for header in grid.headers if header.kind == "text"}
    text |= {"axis", "reference", "measure"}
    measures = {grid.source.measure for grid in grids if grid.source}
    for grid in grids:
        view = {"axis": Entry(text=grid.axis), "reference": Entry(text=grid.reference), "target": Entry(grid.target)}
        if grid.source and measures != {"accuracy"}:
            view["measure"] = Entry(text=grid.source.measure)
        for name, entry in view.items() if grid.source else ():
            contents.setdefault((grid.name, name), {}).update((_key(grid, line), entry) for line in grid.lines)
        for header, entries in _by_column(grid):
            if header.name not in WHERE:
                keys = (_key(grid, line) for line in grid.lines)
                contents.setdefault((grid.name, _name(header)), {}).update(zip(keys, entries, strict=True))
    ambiguous = _ambiguous(contents) | {_name(h) for grid in grids if grid.source is None for h in grid.headers}
    lines: dict[Key, dict[str, str]] = {_key(grid, line): {} for grid in grids for line in grid.lines}
    columns: dict[str, None] = {}
    for (grid_name, column), found in contents.items():
        name = f"{grid_name}_{column}" if column in ambiguous else column
        for part in ("value", *PARTS):
            cells = {key: _part(entry, part, column in text) for key, entry in found.items()}
            if part == "value" or any(cells.values()):
                columns[name if part == "value" else f"{name}_{part}"] = None
                for key, cell in cells.items():
                    lines[key][name if part == "value" else f"{name}_{part}"] = cell
    return _csv([*WHERE, *columns], ([*key[1:], *(line.get(c, "") for c in columns)] for key, line in lines.items()))


def tidy(grids: Sequence[Grid]) -> str:
    """One line a row, column and seed: what the intervals are made of."""
    body = [
        [grid.name, *_key(grid, line)[1:], _name(header), header.kind, str(seed), _number(value)]
        for grid in grids
        for header, entries in _by_column(grid)
        for line, entry in zip(grid.lines, entries, strict=True)
        for seed, value in sorted(entry.by_seed.items())
    ]
    return _csv(TIDY, body)


def _ambiguous(contents: Mapping[tuple[str, str], Mapping[Key, Entry]]) -> set[str]:
    """Columns that say different things of one line in two grids."""
    seen: dict[tuple[str, Key], Entry] = {}
    return {
        column
        for (_, column), found in contents.items()
        for key, entry in found.items()
        if seen.setdefault((column, key), entry) != entry
    }


def _by_column(grid: Grid) -> list[tuple[Header, list[Entry]]]:
    return [(header, [line.entries[n] for line in grid.lines]) for n, header in enumerate(grid.headers)]


def _name(header: Header) -> str:
    """People read a ratio where the number is its logarithm: nobody should take one for the other."""
    return f"log_{header.name}" if header.kind == "log_ratio" else header.name


def _key(grid: Grid, line: Line) -> Key:
    source = grid.source
    where = ("", "", "") if source is None else (source.slug, source.benchmark, source.task)
    return (*where, grid.model, line.label, line.hash)


def _part(entry: Entry, part: str, text: bool) -> str:
    if part == "note":
        return "" if text or entry.value is not None else entry.text or ""
    if part == "value" and text:
        return entry.text or ""
    value = getattr(entry, part)
    return value if isinstance(value, str) else _number(value)


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value)).removesuffix(".0")


def _csv(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(body)
    return text.getvalue()
