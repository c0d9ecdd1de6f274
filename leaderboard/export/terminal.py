"""The leaderboard in a terminal: what decides, within 120 characters; the Markdown has everything."""

from __future__ import annotations

from collections.abc import Sequence

import rich.table
from rich.text import Text

from ..notes import notes
from ..runs import Table
from ..searches import found, unsearched
from ..tables import Grid
from ..words import budget
from . import formats


def render(grid: Grid, table: Table, title: str) -> rich.table.Table:
    """A rich table, to be printed by a `rich.console.Console`."""
    shown = rich.table.Table(
        title=Text(f"{title}; budget {budget(table.budget)}"),
        caption=Text("\n".join([" ".join(grid.caption), *_searches(table), *notes(table)])),
        title_justify="left",
        caption_justify="left",
        padding=(0, 0, 0, 0),
    )
    for header in grid.headers:
        if header.kind == "text":
            shown.add_column(header.heading, overflow="fold", min_width=min(12, len(header.heading)))
        else:
            shown.add_column(header.heading, justify="right", no_wrap=header.kind != "count")
    for line in grid.lines:
        cells = []
        for header, entry in zip(grid.headers, line.entries, strict=True):
            mark = f" {entry.mark}" if entry.mark[:1] == "†" else entry.mark
            cells.append(Text(formats.text(header.kind, entry) + mark, style="bold" if entry.bold else ""))
        shown.add_row(*cells)
    return shown


def _searches(table: Table) -> Sequence[str]:
    lines = [
        f"{one.label}: {one.chosen}: best of {one.trials} trials on a dev split, from {one.space}"
        + (f"; {len(one.failed)} failed" if one.failed else "")
        for one in found(table)
    ]
    return [*lines, *(f"{label}: no search is recorded" for label in unsearched(table))]
