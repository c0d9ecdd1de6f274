"""Grids and whole leaderboards as Markdown. The same records give the same bytes: no date, no machine, no chance."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..analysis import Analysis
from ..columns import Entry, Kind
from ..columns.identity import CARD
from ..notes import notes
from ..runs import Table
from ..searches import found, protocol, unsearched
from ..tables import Grid
from ..words import NOTHING, budget, conditions, one_line, score, settings
from . import formats

CARDS = """\
Spec cards: what a reward is measured from and divided by, how the loss is averaged, what is clipped, and any KL
penalty. `groupbench check` holds an algorithm to what its card states."""

STARS = str.maketrans({"*": r"\*"})
NO_SEARCH = "No search for settings is recorded."
SEARCH = """\
Every algorithm was given the same number of trials over its own declared space (a Latin hypercube), and runs above with
the best of them. Score: {protocol}. Budget of each trial: {budget}. No trial saw the held-out examples of the table
above. The chosen one's score is the best of several and flatters it for that reason; the {numbers} above do not. At
the edge: no trial lies further out in that range, and better settings may."""


def grid(shown: Grid, heading: str = "###", of: str = "", said: set[str] | None = None) -> str:
    """Title, what it is `of`, table, and caption less the sentences that were `said` before; its own join these.

    Without a `heading` there is no title.
    """
    header = [escape(column.heading) for column in shown.headers]
    body = [
        [entry_text(column.kind, entry) for column, entry in zip(shown.headers, line.entries, strict=True)]
        for line in shown.lines
    ]
    left = [column.kind == "text" for column in shown.headers]
    parts = [f"{heading} {escape(shown.title or shown.name)}"] if heading else []
    parts += [escape(of)] if of else []
    new = [sentence for sentence in shown.caption if said is None or sentence not in said]
    if said is not None:
        said.update(new)
    return "\n\n".join([*parts, _table(header, body, left), *([escape(" ".join(new))] if new else [])])


def entry_text(kind: Kind, entry: Entry) -> str:
    """Bold where it is not significantly worse than the best, and its mark."""
    text = escape(formats.text(kind, entry))
    text = f"**{text}**" if entry.bold and text else text
    return f"{text}{formats.mark(entry).translate(STARS)}"


def section(analysis: Analysis, title: str, grids: Sequence[Grid], figure: str | None = None) -> str:
    """One table of runs: title, budget, protocol, grids, figure, searches, spec cards, and notes on cells.

    What several grids say of their columns is said once, below the first of them.
    """
    table = analysis.table
    parts, said = [f"## {escape(title)}", escape(conditions(analysis))], set[str]()
    searched = any(row.search for row in table.rows)
    if held := " ".join(filter(None, (settings(table), "" if searched else NO_SEARCH))):
        parts.append(escape(held))
    for number, shown in enumerate(grids):
        parts.append(grid(shown, said=said))
        if figure and number == 0:
            what = f"Held-out {analysis.measure} over the run, mean and 95 % t-interval over seeds"
            parts.append(f"![{what}]({figure})")
    if searched:
        parts += ["### How the settings were found", *searches(table)]
    if any(row.card for row in table.rows):
        parts += ["### What each row computes", cards(table), CARDS]
    return "\n\n".join([*parts, *remarks(table, "### Notes")]) + "\n"


def remarks(table: Table, heading: str) -> list[str]:
    """Notes on single cells and on what the runs do not have in common, below a heading; empty where there are none."""
    found = notes(table)
    return [heading, "\n".join(f"- {escape(remark)}" for remark in found)] if found else []


def cards(table: Table) -> str:
    """The table of spec cards; a row that recorded none is left open."""
    rows = sorted(table.rows, key=lambda row: row.label)
    names = [name for name in CARD if any(name in row.card for row in rows)]
    body = [[escape(row.label), *(escape(row.card.get(name, NOTHING)) for name in names)] for row in rows]
    return _table(["algorithm", *names], body, [True] * (1 + len(names)))


def searches(table: Table) -> list[str]:
    """The table of searches, what they had in common, and who had none or lost trials."""
    header = ["algorithm", "space", "chosen", "trials", "score of the chosen", "of the others", "at the edge"]
    body = []
    for one in found(table):
        others = ", ".join(score(other, table.measure) for other in one.others) or NOTHING
        cells = [one.label, one.space, one.chosen, str(one.trials), score(one.score, table.measure), others]
        body.append([*map(escape, cells), escape(", ".join(one.edge)) or NOTHING])
    known = [row.search for row in table.rows if row.search]
    protocols = dict.fromkeys((protocol(search), budget(search["budget"])) for search in known)
    parts = [_table(header, body, [True] * 3 + [False] * 4)]
    numbers = "accuracies" if table.measure == "accuracy" else f"{table.measure}s"
    parts += [escape(SEARCH.format(protocol=held, budget=limit, numbers=numbers)) for held, limit in protocols]
    lost = [f"{one.label}, failed: {failure}" for one in found(table) for failure in one.failed]
    lost += [f"{label}: no search is recorded" for label in unsearched(table)]
    return parts + (["\n".join(f"- {escape(remark)}" for remark in lost)] if lost else [])


def escape(text: str) -> str:
    """Text that Markdown leaves as it is, also within a table and at the start of a line."""
    text = re.sub(r"[\\|*_`\[~$&]|<(?=[A-Za-z/!?])", r"\\\g<0>", one_line(text))
    text = re.sub(r"^(?:[-+](?= |$)|#+(?= |$)|>|[-=]{2,}$)", r"\\\g<0>", text)  # lists, headings, quotations, rules
    text = re.sub(r"^(\d+)([.)])(?= |$)", r"\1\\\2", text)
    return text if text.endswith("\\#") else re.sub("#$", r"\\#", text)  # or it would close a heading


def _table(header: list[str], body: list[list[str]], left: Sequence[bool]) -> str:
    rule = [":--" if text else "--:" for text in left]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *body])
