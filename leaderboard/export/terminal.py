"""The leaderboard in a terminal: accuracies only, within 120 characters; the Markdown has everything."""

from __future__ import annotations

from collections.abc import Sequence

import rich.table
from rich.text import Text

from ..runs import Table
from ..searches import found, unsearched
from ..tables import MODES, notes, seeds, summarise
from . import formats


def render(tables: Sequence[Table]) -> list[rich.table.Table]:
    """One rich table a leaderboard table, to be printed by a `rich.console.Console`."""
    return [_render(table, title) for title, table in zip(formats.titles(tables), tables, strict=True)]


def _render(table: Table, title: str) -> rich.table.Table:
    legend = "held-out accuracy in %, ± 95 % t-interval over seeds; Δ bold where above zero; † one seed, no interval"
    shown = rich.table.Table(
        title=Text(f"{title}; budget {formats.budget(table.budget)}"),
        caption=Text("\n".join([legend, *_searches(table), *notes(table)])),
        title_justify="left",
        caption_justify="left",
    )
    shown.add_column("algorithm", overflow="fold", min_width=12)
    shown.add_column("seeds", overflow="fold", max_width=16)
    for mode in MODES:
        shown.add_column(mode, justify="right", no_wrap=True)
        shown.add_column(f"Δ {mode}", justify="right", no_wrap=True)
    for line in summarise(table):
        cells = [Text(line.row.label), Text(seeds(line.row))]
        for mode in MODES:
            change = line.accuracy[mode]
            style = "bold" if formats.improved(change) else ""
            cells += [Text(formats.start_to_final(change)), Text(formats.delta(change), style=style)]
        shown.add_row(*cells)
    return shown


def _searches(table: Table) -> list[str]:
    lines = [
        f"{one.label}: {one.chosen}: best of {one.trials} trials on a dev split, from {one.space}"
        + (f"; {len(one.failed)} failed" if one.failed else "")
        for one in found(table)
    ]
    return [*lines, *(f"{label}: no search is recorded" for label in unsearched(table))]
