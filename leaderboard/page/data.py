"""The leaderboard as one JSON document: what leaderboard.json holds, and what the page is drawn from.

    schema      1
    title       what the page is called
    overview    sentences: what was compared
    tables      tables of runs: `title`, `conditions`, `summary`, `columns`, `rows` (with an `entries` entry a column),
                `curves`, `pairs` (differences of rows, by mode), `items` and `texts` of the last held-out evaluation
    papers      papers' tables, ours beside the published figures, likewise
    judged      win-rate tables, a judge each, likewise
    across      tables over several tasks, likewise, with `profile`: how many runs end above a score
    findings    claims of papers and what the runs say of them
    runs        every cell
    method      what the numbers are, in sentences

An entry has `text`, as in leaderboard.md, and, where it is a number, `value`, `low` and `high`, which are not rounded:
shares in [0, 1], log_ratio the natural logarithm, `inf` for infinity. Curves are rounded for drawing. docs/page.md
has all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..analysis import Analysis
from ..build import Built
from ..claims.base import Finding
from ..columns import Entry
from ..columns.identity import CARD
from ..export import formats
from ..export.markdown import CARDS, NO_SEARCH
from ..notes import CONTROLS, notes
from ..plot import looks_of
from ..runs import Row, Table
from ..submissions import joining
from ..tables import SIGNS, Grid, ordered
from ..words import conditions, number, one_line, settings, titles
from . import answers, cells, charts, entries, labelled, pairs, profiles, summary
from .charts import POINTS
from .judged import Found
from .papers import Shaped

SCHEMA = 1
APART = "apart"  # submissions that do not verify


@dataclass(frozen=True)
class Extras:
    """What a page shows besides the tables of runs; each part may be missing."""

    papers: Sequence[Shaped] = ()
    judged: Found = field(default_factory=Found)
    findings: Sequence[Finding] = ()
    run_pages: Mapping[Path, str] = field(default_factory=dict)  # a cell's folder -> <name> of its runs/<name>.html


def payload(built: Built, extras: Extras) -> dict[str, Any]:
    """Everything, as plain JSON. The same records give the same document."""
    archive = built.archive
    room, letters = pairs.ITEM_VALUES, answers.ROOM
    tables = []
    for table, title in zip(archive.tables, titles(archive.tables), strict=True):
        analysis = archive.whole(table, built.view)
        made = _table(analysis, title, [grid for grid in built.grids if grid.of(table)])
        made["curves"] = charts.curves(analysis, archive)
        made["items"] = pairs.items(analysis, room)
        room -= sum(pairs.size(one) for one in made["items"].values())
        made["texts"] = answers.answers(analysis, made["items"].get(built.view.metric), letters)
        letters -= _letters(made["texts"])
        tables.append(made)
    looks = {table["benchmark"]: {row["label"]: row["look"] for row in table["rows"]} for table in tables}
    runs = [run for table in archive.tables for run in cells.runs(table, extras.run_pages)]
    return {
        "schema": SCHEMA,
        "title": "groupbench leaderboard",
        "overview": _overview(archive.tables, extras.judged),
        "tables": tables,
        "papers": [labelled.paper(shaped, grid) for shaped in extras.papers for grid in shaped.grids],
        "judged": [labelled.judged(one, looks.get(one.benchmark, {})) for one in extras.judged.judgings],
        "across": [labelled.across(grid) for grid in built.grids if grid.source is None],
        "apart": [labelled.across(apart, APART)] if (apart := joining.grid(archive)) else [],
        "findings": [_finding(finding) for finding in extras.findings],
        "runs": runs,
        "method": _method(tables, any(grid.across for grid in built.grids), extras),
    }


def _table(analysis: Analysis, title: str, grids: Sequence[Grid]) -> dict[str, Any]:
    table, rows = analysis.table, ordered(analysis)
    columns, lines = entries.merged(grids)
    looks = {label: number for number, label in enumerate(looks_of(rows))}
    at, names = {row.hash: row for row in rows}, summary.short_names([row.label for row in rows])
    searched = any(row.search for row in rows)
    return {
        "slug": table.slug,
        "kind": "rlvr" if table.reward is None and table.measure == "accuracy" else "rlhf",
        "title": one_line(title),
        "benchmark": one_line(table.benchmark),
        "task": one_line(table.task),
        "model": one_line(table.model or "unknown"),
        "measure": table.measure,
        "metric": analysis.view.metric,
        "axis": analysis.view.axis,
        "reference": analysis.reference.hash if analysis.reference else None,
        "conditions": [one_line(said) for said in (conditions(analysis), settings(table)) if said]
        + ([] if searched else [NO_SEARCH]),
        "summary": one_line(summary.of_runs(analysis)),
        "convergence": one_line(summary.of_convergence(analysis)),
        "caption": _once(sentence for grid in grids for sentence in grid.caption),
        "notes": [one_line(note) for note in notes(table)],
        "columns": columns,
        "rows": [
            {
                "hash": name,
                "label": one_line(at[name].label),
                "short": one_line(names[at[name].label]),
                "look": looks[at[name].label],
                "seeds": len(at[name].done),
                "control": at[name].control,
                **_standing(at[name]),
                "entries": found,
                "card": {key: one_line(at[name].card[key]) for key in CARD if key in at[name].card},
            }
            for name, found in lines.items()
        ],
        "pairs": pairs.differences(analysis),
    }


def _standing(row: Row) -> dict[str, Any]:
    """Who handed the row in, where somebody did: only what is verified stands here."""
    if row.submission is None:
        return {}
    found = {"submitted": row.submission.name, "verified": row.submission.verified}
    return found | ({"by": by} if (by := one_line(row.submission.by)) else {})


def _finding(found: Finding) -> dict[str, Any]:
    """As it is, with its estimate as people read it: `+3.2 ± 1.1 points`; the lab's numbers are no differences."""
    made = asdict(found)
    if found.estimate is not None:
        text = formats.text("change", Entry(found.estimate, found.low, found.high))
        made["estimate_text"] = f"{number(found.estimate) if found.scale == 'lab' else text} {found.unit}".rstrip()
    return made


def _overview(tables: Sequence[Table], judged: Found) -> list[str]:
    """What was compared, by what, and how far it is: the page's first lines."""
    if not tables:
        return ["No run, and no submission that verifies."]
    every = [cell for table in tables for row in table.rows for cell in row.cells]
    done = sum(cell.state == "done" for cell in every)
    algorithms = {row.label for table in tables for row in table.rows if not row.control}
    said = [
        f"{len(algorithms)} row{'s' * (len(algorithms) != 1)} on {_names(t.task for t in tables)}; model: "
        f"{_names(t.model or 'unknown' for t in tables)}; {done} of {len(every)} runs finished."
    ]
    graded = sorted({table.task for table in tables if table.measure == "accuracy"})
    rewards = sorted({table.reward for table in tables if table.reward is not None})
    if graded:
        said.append(f"Graded by the task's verifier: {', '.join(graded)}.")
    if rewards:
        said.append(f"Trained on a reward: {', '.join(rewards)}.")
    if judges := sorted({one.grid.model for one in judged.judgings}):
        said.append(f"Judged by {', '.join(judges)}: a table each, for judges do not agree.")
    if newest := max((str(cell.provenance.get("started", "")) for cell in every), default=""):
        said.append(f"The newest run began on {newest[:10]}.")
    return [one_line(sentence) for sentence in said]


def _names(names: Iterable[str], most: int = 3) -> str:
    found = list(dict.fromkeys(names))
    return ", ".join(found) if len(found) <= most else f"{', '.join(found[:most])} and {len(found) - most} more"


def _method(tables: Sequence[Mapping[str, Any]], across: bool, extras: Extras) -> list[dict[str, Any]]:
    """Headings with sentences; those of the columns stand with each table."""
    kept = [table["title"] for table in tables if not table["items"]]
    thinned = [table["title"] for table in tables for panel in table["curves"]["panels"] if panel["thinned"]]
    rounding = [
        "Tables have the numbers of leaderboard.md and leaderboard.csv. Curves are rounded to a hundredth of a point "
        "(rewards to four digits, counts to five), which no screen shows.",
        "The small curves in the tables are drawn from at most 40 points.",
    ]
    if thinned:
        rounding.append(f"Longer curves are thinned to {POINTS} points, both ends kept: {_names(thinned)}.")
    if any(table["texts"] for table in tables):
        rounding.append(
            "Prompts and responses are kept where rows are farthest apart, as far as there is room, one response a row "
            "and item: of its first finished seed, the first sample whose verdict is the more frequent one."
        )
    if kept:
        rounding.append(
            f"Items are left out of this page where they were not recorded, or are too many: {_names(kept)}; the "
            "cells' items.jsonl have them."
        )
    method = [
        {"heading": "Marks", "says": list(SIGNS.values())},
        {"heading": "Rounding and what is left out", "says": rounding},
    ]
    if any(row["control"] for table in tables for row in table["rows"]):
        method.append({"heading": "Control arms", "says": list(CONTROLS.values())})
    if any(row["card"] for table in tables for row in table["rows"]):
        method.append({"heading": "Spec cards", "says": [" ".join(CARDS.split()).replace("`", "")]})
    if not across:
        method.append({"heading": "Performance profile", "says": [profiles.NO_TASKS]})
    if extras.judged.errors:
        method.append({"heading": "Verdicts without a table", "says": [one_line(e) for e in extras.judged.errors]})
    return method


def _once(sentences: Iterable[str]) -> list[str]:
    return [one_line(sentence) for sentence in dict.fromkeys(sentences)]


def _letters(found: Mapping[str, Any]) -> int:
    if not found:
        return 0
    said = sum(len(text) for row in found["rows"].values() for text, _ in row.values())
    return said + sum(len(text) for name in ("prompts", "answers") for text in found[name].values())
