"""Every row against every other, and on which held-out items they differ: the matrix and the compare view."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from ..analysis import Analysis, mark
from ..columns import Entry, Kind
from ..columns.measure import of
from ..runs import MODES, Mode
from ..scores import Scores
from ..winrates import against
from ..winrates.rows import Contest
from .entries import entry

ITEM_VALUES = 400_000  # verdicts, or rewards, of items that one page keeps: 1 to 2 MB


def differences(analysis: Analysis) -> dict[str, list[dict[str, Any]]]:
    """By mode: each pair of rows that share a seed, `a` minus `b`, both hashes; the other way is its negative."""
    kind: Kind = "points" if analysis.measure == "accuracy" else "reward_difference"
    return {mode: found for mode in MODES if (found := list(_pairs(analysis, mode, kind)))}


def _pairs(analysis: Analysis, mode: Mode, kind: Kind) -> Iterator[dict[str, Any]]:
    for a, b in combinations(analysis.rows, 2):
        contrast = analysis.versus(a, b, mode)
        if contrast is None:
            continue
        shown = Entry(text="not compared", mark=contrast.mark)
        if contrast.difference is not None:
            shown = _tested(contrast.difference, contrast.adjusted)
        yield {"a": a.hash, "b": b.hash, "entry": entry(kind, shown)} | _seeds(contrast.difference)


def judged_differences(contest: Contest) -> list[dict[str, Any]]:
    """The same of win rates against one baseline, by label: differences of what rows are ranked by, in points."""
    found = []
    for a, b in combinations(contest.rows, 2):
        mine, theirs = contest.metric(a), contest.metric(b)
        less = against.less(mine, theirs) if mine is not None and theirs is not None else None
        if less is not None:
            shown = _tested(less, contest.ranking.adjusted.get((a.label, b.label)))
            found.append({"a": a.label, "b": b.label, "entry": entry("points", shown)} | _seeds(less))
    return found


def _tested(less: Scores, adjusted: float | None) -> Entry:
    found = of(less)
    return Entry(
        found.value, found.low, found.high, found.df, less.estimate.p, adjusted, mark=mark(len(less.seeds), adjusted)
    )


def _seeds(less: Scores | None) -> dict[str, Any]:
    """By seed, so that one outlier among three can be seen."""
    return {} if less is None else {"by_seed": {str(seed): round(value, 6) for seed, value in less.by_seed.items()}}


def items(analysis: Analysis, room: int = ITEM_VALUES) -> dict[str, Any]:
    """By mode: the ids of the last held-out evaluation's items and, by row, what each was worth.

    `right` counts verdicts of `n`, which are seeds × samples; `mean` has rewards instead. Rows on other items than the
    first are left out. Empty where more than `room` values would be kept.
    """
    found = {mode: _items(analysis, mode) for mode in MODES}
    made: dict[str, Any] = {mode: one for mode, one in found.items() if one is not None}
    return made if sum(size(one) for one in made.values()) <= room else {}


def size(kept: dict[str, Any]) -> int:
    """How many values one mode has."""
    return len(kept["ids"]) * len(kept["rows"])


def _items(analysis: Analysis, mode: Mode) -> dict[str, Any] | None:
    scores = [(row, own) for row in analysis.rows if (own := analysis.scores(row, mode)) is not None and own.items]
    first = next((own for _, own in scores), None)
    if first is None or first.items is None:
        return None
    rows: dict[str, Any] = {}
    for row, own in scores:
        if own.items != first.items:
            continue
        samples = {end["samples"] for cell in row.done if (end := cell.final(mode))}
        if analysis.measure == "accuracy" and len(samples) == 1:
            n = len(own.seeds) * samples.pop()
            right = (own.values.mean(axis=0) * n).round().astype(int)
            rows[row.hash] = {"n": n, "right": right.tolist()}
        else:
            rows[row.hash] = {"mean": [float(f"{value:.3g}") for value in own.values.mean(axis=0).tolist()]}
    return {"ids": list(first.items), "rows": rows}
