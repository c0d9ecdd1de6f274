"""Grids as CSV: wide, one line a row, and tidy, one line a row, column and seed. Nothing is rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from ..columns import Entry
from ..tables import Grid, Header

WHERE = ("benchmark", "task", "model", "algorithm", "row")
# What stands beside a number, where it has it.
PARTS = ("low", "high", "df", "p", "p_holm", "mark")
TIDY = ("table", *WHERE, "column", "unit", "seed", "value")


def wide(grids: Sequence[Grid]) -> str:
    """One line a row and table of runs, with the columns of all their grids.

    Shares are in [0, 1]; a speed-up is the logarithm of a ratio. A number's interval, test and mark stand in columns of
    its name with `_low`, `_high`, `_df`, `_p`, `_p_holm` and `_mark`, where any row has them.
    """
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    columns: dict[str, None] = {}
    for grid in grids:
        for header, entries in _by_column(grid):
            shown = [part for part in PARTS if any(_part(entry, part) for entry in entries)]
            name = f"{grid.name}_{header.name}" if grid.source is None else header.name
            names = [name, *(f"{name}_{part}" for part in shown)]
            columns |= dict.fromkeys(names)
            for line, entry in zip(grid.lines, entries, strict=True):
                key = (*_where(grid), line.label, line.hash)
                cells = [_number(entry.value) or entry.text or "", *(_part(entry, part) for part in shown)]
                lines.setdefault(key, {}).update(zip(names, cells, strict=True))
    names = [name for name in columns if name not in WHERE]
    return _csv([*WHERE, *names], ([*key, *(line.get(name, "") for name in names)] for key, line in lines.items()))


def tidy(grids: Sequence[Grid]) -> str:
    """One line a row, column and seed: what the intervals are made of."""
    body = [
        [grid.name, *_where(grid), line.label, line.hash, header.name, header.kind, str(seed), _number(value)]
        for grid in grids
        for header, entries in _by_column(grid)
        for line, entry in zip(grid.lines, entries, strict=True)
        for seed, value in sorted(entry.by_seed.items())
    ]
    return _csv(TIDY, body)


def _by_column(grid: Grid) -> list[tuple[Header, list[Entry]]]:
    return [(header, [line.entries[n] for line in grid.lines]) for n, header in enumerate(grid.headers)]


def _where(grid: Grid) -> tuple[str, str, str]:
    source = grid.source
    return ("", "", "") if source is None else (source.benchmark, source.task, source.model or "")


def _part(entry: Entry, part: str) -> str:
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
