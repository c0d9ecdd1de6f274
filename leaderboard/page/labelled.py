"""Tables whose rows are known by their labels, as plain JSON: win rates, the papers' tables, those across tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..tables import Grid
from ..words import one_line
from . import entries, pairs, profiles, summary
from .judged import Judging
from .papers import Shaped

ACROSS = "across"
PAPERS = "papers"


def judged(one: Judging, looks: Mapping[str, int]) -> dict[str, Any]:
    """A judge's win rates; `looks` are those of the benchmark's rows."""
    grid = one.grid
    columns, lines = entries.single(grid, entries.HIDDEN_WINS)
    labels = [line.label for line in grid.lines]
    own = {label: number for number, label in enumerate(sorted(labels))} if not set(labels) <= looks.keys() else looks
    return {
        "slug": one.slug,
        "kind": "wins",
        "title": one_line(f"{one.benchmark}: {grid.title}"),
        "benchmark": one_line(one.benchmark),
        "task": one_line(one.task),
        "judge": one_line(grid.model),
        "reference": one_line(grid.reference),
        "conditions": [],
        "summary": one_line(summary.of_judging(one.contest, grid)),
        "caption": [one_line(sentence) for sentence in grid.caption],
        "notes": [],
        "columns": columns,
        "rows": _labelled(grid, lines, own),
        "pairs": {"judged": pairs.judged_differences(one.contest)},
    }


def paper(shaped: Shaped, grid: Grid) -> dict[str, Any]:
    """A table of a paper: where its figures stand, and how ours were run, is its summary."""
    columns, lines = entries.single(grid)
    looks = {line.label: number for number, line in enumerate(grid.lines)}
    of, rows = shaped.paper, _labelled(grid, lines, looks)
    names = [line.entries[0].text or line.label for line in grid.lines]  # as the paper has them, with their sign
    said = [f"{of.title}; {of.source}.", *of.notes, *(s for s in grid.caption if s not in grid.conditions)]
    return {
        "slug": f"{of.name}-{shaped.scale}-{grid.name}",
        "kind": PAPERS,
        "title": one_line(grid.title),
        "paper": of.name.upper(),
        "scale": shaped.scale,
        "command": shaped.command,
        "conditions": [],
        "summary": one_line(grid.conditions),
        "caption": [one_line(sentence) for sentence in said],
        "notes": [],
        "columns": columns,
        "rows": [row | {"label": one_line(name)} for row, name in zip(rows, names, strict=True)],
        "pairs": {},
    }


def across(grid: Grid, kind: str = ACROSS) -> dict[str, Any]:
    """A table over several tasks with its profile, or another one, of its own `kind`, that is of no table of runs."""
    columns, lines = entries.single(grid)
    labels = sorted(line.label for line in grid.lines)
    looks = {label: number for number, label in enumerate(labels)}
    rows = _labelled(grid, lines, looks)
    made = {
        "slug": f"{kind}-{grid.name}-{one_line(grid.model)}",
        "kind": kind,
        "title": one_line(grid.title),
        "task": "all",
        "model": one_line(grid.model or "unknown"),
        "conditions": [],
        "summary": "",
        "caption": [one_line(sentence) for sentence in grid.caption],
        "notes": [],
        "columns": columns,
        "rows": [row | {"hash": _key(line.label)} for line, row in zip(grid.lines, rows, strict=True)],
        "pairs": {},
    }
    if grid.across is not None:
        found = profiles.profiles(grid.across)
        for panel in found["panels"]:
            panel["rows"] = {_key(label): profile for label, profile in panel["rows"].items()}
        made["profile"] = found
    return made


def _key(label: str) -> str:
    """What stands for a row in an address, where a label may hold anything."""
    return hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _labelled(grid: Grid, lines: Sequence[Any], looks: Mapping[str, int]) -> list[dict[str, Any]]:
    """Rows that are known by their labels, and are no row of one table of runs."""
    names = summary.short_names([line.label for line in grid.lines])
    return [
        {
            "hash": line.label,
            "label": one_line(line.label),
            "short": one_line(names[line.label]),
            "look": looks[line.label],
            "entries": found,
        }
        for line, found in zip(grid.lines, lines, strict=True)
    ]
