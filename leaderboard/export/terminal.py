"""The leaderboard in a terminal: what decides, within 120 characters; the Markdown has everything."""

from __future__ import annotations

from collections.abc import Sequence

import rich.table
from rich.console import Group
from rich.text import Text

from ..analysis import Analysis
from ..notes import notes
from ..runs import Table
from ..searches import found, unsearched
from ..tables import Grid
from ..words import AXIS_NAMES, budget, one_line, percent
from . import formats


def render(grid: Grid, analysis: Analysis, title: str) -> Group:
    """Title, table and legend, to be printed by a `rich.console.Console`; `analysis` is what the grid shows."""
    table = analysis.table
    shown = rich.table.Table(padding=(0, 0, 0, 0))
    for header in grid.headers:
        heading = Text(one_line(header.heading))  # a Text: no markup
        if header.kind == "text":
            shown.add_column(heading, overflow="fold", min_width=min(12, len(heading)))
        else:
            shown.add_column(heading, justify="right", no_wrap=header.kind != "count")
    for line in grid.lines:
        entries = list(zip(grid.headers, line.entries, strict=True))
        texts = [one_line(formats.text(header.kind, entry)) + formats.mark(entry) for header, entry in entries]
        shown.add_row(*(Text(text, "bold" if e.bold else "") for text, (_, e) in zip(texts, entries, strict=True)))
    below = [*legend(grid, analysis), *_searches(table), *notes(table)]  # not its caption: that is as narrow as itself
    return Group(
        Text(one_line(f"{title}; budget {budget(table.budget)}"), "italic"),
        shown,
        *(Text(one_line(line), "dim") for line in below),
    )


def legend(grid: Grid, analysis: Analysis) -> list[str]:
    """How to read what is there, in at most four short lines."""
    entries = [entry for line in grid.lines for entry in line.entries]
    marks = {entry.mark for entry in entries}
    signs = [
        ("± half of a 95 % interval", any(entry.low is not None for entry in entries)),
        ("bold not significantly worse than the best", any(entry.bold for entry in entries)),
        ("† one seed, no test", "†" in marks),
        ("‡ other items, not compared", "‡" in marks),
    ]
    lines = ["; ".join(words for words, there in signs if there)]
    names = {header.name for header in grid.headers}
    if "rank" in names:
        lines.append("# rank: 1 + the number of rows that are significantly better; rows may share it")
    if analysis.reference is not None and any(name.endswith("_delta") for name in names):
        stars = "; * p < .05, ** p < .01 after Holm" if marks & {"*", "**"} else ""
        lines.append(f"vs reference: final less that of {analysis.reference.label}, in points{stars}")
    if "time_to_target" in names:
        lines.append(_target(analysis))
    return [line for line in lines if line]


def _target(analysis: Analysis) -> str:
    view = analysis.view
    if analysis.target is None:
        return "to target: none was set, for no interval of the reference's gain excludes 0"
    axis = AXIS_NAMES[view.axis]
    return f"to target: {axis} to {percent(analysis.target)} % {view.metric} accuracy, median over seeds; ∞ not reached"


def _searches(table: Table) -> Sequence[str]:
    lines = [
        f"{one.label}: {one.chosen}: best of {one.trials} trials on a dev split, from {one.space}"
        + (f"; {len(one.failed)} failed" if one.failed else "")
        for one in found(table)
    ]
    return [*lines, *(f"{label}: no search is recorded" for label in unsearched(table))]
