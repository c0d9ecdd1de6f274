"""The leaderboard in a terminal: what decides, in the width that is there; the Markdown has everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import rich.table
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from ..analysis import Analysis
from ..notes import notes
from ..runs import Table
from ..searches import found, unsearched
from ..tables import Grid, Header
from ..words import AXIS_NAMES, budget, number, one_line, percent
from . import formats

REWARD_WORDS = {
    "sampled_gold_gain": "gold: the true worth",
    "sampled_overoptimisation": "over-opt.: gain less gold gain",
    "kl": "KL: to the start, nats a response",
    "length_drift": "length: tokens at the end less at the start",
}
FOLDED = 16  # characters of a name's line: columns of numbers are left out before names are folded further


@dataclass(frozen=True)
class Shown:
    """Title, table and legend, to be printed by a `rich.console.Console`; `analysis` is what the grid shows.

    rich would cut numbers, or leave out columns without a word: here whole ones go, from the right, and are named.
    """

    grid: Grid
    analysis: Analysis
    title: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Of the columns as many as the console has room for."""
        table, count = self.analysis.table, _fitting(self.grid, options.max_width)
        lines = tuple(replace(line, entries=line.entries[:count]) for line in self.grid.lines)
        grid = replace(self.grid, headers=self.grid.headers[:count], lines=lines)
        below = [*legend(grid, self.analysis), *_left_out(self.grid.headers, count), *_searches(table), *notes(table)]
        yield Text(one_line(f"{self.title}; budget {budget(table.budget)}"), "italic")
        yield _table(grid)
        for line in below:  # not the caption: that is as narrow as the table
            yield Text(one_line(line), "dim")


@dataclass(frozen=True)
class Plain:
    """A grid that stands on its own, with its caption."""

    grid: Grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Of the columns as many as the console has room for."""
        count = _fitting(self.grid, options.max_width)
        lines = tuple(replace(line, entries=line.entries[:count]) for line in self.grid.lines)
        yield Text(one_line(self.grid.title), "italic")
        yield _table(replace(self.grid, headers=self.grid.headers[:count], lines=lines))
        for line in [*_left_out(self.grid.headers, count), *self.grid.caption]:
            yield Text(one_line(line), "dim")


def _table(grid: Grid) -> rich.table.Table:
    shown = rich.table.Table(padding=(0, 0, 0, 0))
    for header, texts in zip(grid.headers, _columns(grid), strict=True):
        heading = Text(texts[0])  # a Text: no markup
        if header.kind == "text":
            shown.add_column(heading, overflow="fold", min_width=min(12, len(heading)))
        else:
            shown.add_column(heading, justify="right", no_wrap=header.kind != "count")
    for line, row in zip(grid.lines, list(zip(*_columns(grid), strict=True))[1:], strict=True):
        shown.add_row(*(Text(text, "bold" if e.bold else "") for text, e in zip(row, line.entries, strict=True)))
    return shown


def _columns(grid: Grid) -> list[list[str]]:
    """The texts of each column, its heading first."""
    return [
        [one_line(h.heading)]
        + [one_line(formats.text(h.kind, line.entries[n])) + formats.mark(line.entries[n]) for line in grid.lines]
        for n, h in enumerate(grid.headers)
    ]


def _fitting(grid: Grid, width: int) -> int:
    """How many columns stand side by side, numbers uncut and names folded no narrower than is readable; at least 1."""
    widths = [
        min(widest, FOLDED) if header.kind == "text" else widest
        for header, texts in zip(grid.headers, _columns(grid), strict=True)
        for widest in [max(map(cell_len, texts))]
    ]
    ends = accumulate(1 + one for one in widths)  # each with the rule to its left; one more closes the table
    return max(1, sum(end + 1 <= width for end in ends))


def _left_out(headers: Sequence[Header], count: int) -> list[str]:
    """Which columns are not shown; with their names where two share a heading."""
    times = Counter(header.heading for header in headers)
    out = [
        header.heading if times[header.heading] == 1 else f"{header.heading} ({header.name.replace('_', ' ')})"
        for header in headers[count:]
    ]
    return [f"not shown at this width: {', '.join(out)}"] if out else []


def legend(grid: Grid, analysis: Analysis) -> list[str]:
    """How to read what is there, in at most four short lines; five in a table of rewards."""
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
        unit = "in points" if analysis.measure == "accuracy" else "in the reward's unit"
        lines.append(f"vs reference: final less that of {analysis.reference.label}, {unit}{stars}")
    if "time_to_target" in names:
        lines.append(_target(analysis))
    lines.append("; ".join(words for name, words in REWARD_WORDS.items() if name in names))
    return [line for line in lines if line]


def _target(analysis: Analysis) -> str:
    view = analysis.view
    if analysis.target is None:
        return "to target: none was set, for no interval of the reference's gain excludes 0"
    level = f"{percent(analysis.target)} % {view.metric} accuracy"
    if analysis.measure != "accuracy":
        level = f"a {view.metric} {analysis.measure} of {number(analysis.target)}"
    return f"to target: {AXIS_NAMES[view.axis]} to {level}, median over seeds; ∞ not reached"


def _searches(table: Table) -> Sequence[str]:
    lines = [
        f"{one.label}: {one.chosen}: best of {one.trials} trials on a dev split, from {one.space}"
        + (f"; {len(one.failed)} failed" if one.failed else "")
        for one in found(table)
    ]
    return [*lines, *(f"{label}: no search is recorded" for label in unsearched(table))]
