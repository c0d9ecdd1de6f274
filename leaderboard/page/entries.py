"""Entries and columns of grids as plain JSON: the texts that every export prints, and the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..columns import Entry, Kind
from ..export import formats
from ..tables import Grid, Header
from ..words import one_line

# What a table shows before anybody chooses; everything else is one click away.
SHOWN = frozenset((
    "rank", "algorithm", "seeds", "sampled_final", "sampled_delta", "greedy_final", "time_to_target", "speedup",
    "sampled_gold_gain", "sampled_overoptimisation", "kl",
))  # fmt: skip
HIDDEN_WINS = frozenset(("judge", "cost_usd", "gpu_hours", "discrete", "band"))


def number(value: float | None) -> float | str | None:
    """JSON has no infinity: `inf` and `-inf` stand for it."""
    if value is None or math.isfinite(value):
        return value
    return "inf" if value > 0 else "-inf"


def entry(kind: Kind, shown: Entry) -> dict[str, Any] | None:
    """`text` as in the Markdown, `mark` as there; `parts` are value and ends as text, with an interval."""
    if shown.value is None and shown.text is None:
        return {"mark": shown.mark} if shown.mark else None
    made: dict[str, Any] = {"text": one_line(formats.text(kind, shown))}
    if shown.value is not None:
        made["value"] = number(shown.value)
    if shown.value is not None and shown.low is not None and shown.high is not None:
        made |= {"low": number(shown.low), "high": number(shown.high)}
        if shown.text is None:
            made["parts"] = [formats.PLAIN[kind](one) for one in (shown.value, shown.low, shown.high)]
    if shown.p is not None:
        made |= {"p": shown.p} | ({} if shown.p_holm is None else {"p_holm": shown.p_holm})
    if shown.mark:
        made["mark"] = shown.mark
    if shown.bold:
        made["bold"] = True
    return made


def column(header: Header, group: str, shown: bool) -> dict[str, Any]:
    """What it is called, in which group the chooser has it, what it says of itself, whether it is shown at first."""
    made: dict[str, Any] = {
        "name": header.name, "heading": one_line(header.heading), "kind": header.kind, "group": group, "shown": shown,
    }  # fmt: skip
    if header.says:
        made["says"] = [one_line(sentence) for sentence in header.says]
    return made


def merged(grids: Sequence[Grid]) -> tuple[list[dict[str, Any]], dict[str, list[Any]]]:
    """The columns of several grids of one table of runs, each once, and the entries of each row, by its hash."""
    columns: dict[str, dict[str, Any]] = {}
    places: dict[str, tuple[Grid, int]] = {}
    for grid in grids:
        for at, header in enumerate(grid.headers):
            if header.name not in columns:
                group = grid.title or grid.name
                columns[header.name] = column(header, group, header.name in SHOWN)
                places[header.name] = grid, at
    if "sampled_gold_gain" in columns and "greedy_final" in columns:  # what is truly worth more room
        columns["greedy_final"]["shown"] = False
    lines = {(grid.name, line.hash): line for grid in grids for line in grid.lines}
    rows: dict[str, list[Any]] = {}
    for row in dict.fromkeys(line.hash for grid in grids for line in grid.lines):
        found = ((lines.get((grid.name, row)), at, grid.headers[at].kind) for grid, at in places.values())
        rows[row] = [None if line is None else entry(kind, line.entries[at]) for line, at, kind in found]
    for n, made in enumerate(columns.values()):  # who has no target needs no column of times
        if not any(found[n] is not None and "value" in found[n] for found in rows.values()) and made["kind"] != "text":
            made["shown"] = False
    return list(columns.values()), rows


def single(grid: Grid, hidden: Iterable[str] = ()) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """One grid whose lines have no hash: its columns, and the entries of each line."""
    away = frozenset(hidden)
    columns = [column(header, grid.title, header.name not in away) for header in grid.headers]
    kinds = [header.kind for header in grid.headers]
    return columns, [[entry(k, e) for k, e in zip(kinds, line.entries, strict=True)] for line in grid.lines]
