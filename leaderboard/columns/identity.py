"""Columns that say what a row is: its rank, name, seeds, search and spec card."""

from __future__ import annotations

from functools import partial
from typing import get_args

from ..analysis import Analysis
from ..runs import Row, State
from .base import NOTHING, Entry, add

# Entries of a spec card that tell two computations of one name apart.
CARD = ("objective", "baseline", "advantage scale", "aggregation", "clip", "KL penalty", "reference", "source")


def seeds(row: Row) -> str:
    """Finished of planned seeds, and what became of the others: `3/3`, `2/3 (1 failed)`, `0/3 (missing)`."""
    states: tuple[State, ...] = ("failed", "stopped", "running", "missing")
    others = [(state, n) for state in states if (n := row.count(state))]
    text = f"{row.count('done')}/{len(row.cells)}"
    if len(others) == 1 and others[0][1] == len(row.cells):
        return f"{text} ({others[0][0]})"
    return f"{text} ({', '.join(f'{n} {state}' for state, n in others)})" if others else text


def _rank(analysis: Analysis, row: Row) -> Entry:
    rank = analysis.ranking(analysis.view.metric).rank.get(row.hash)
    return NOTHING if rank is None else Entry(float(rank))


def _ranked(analysis: Analysis) -> tuple[str, ...]:
    ranking = analysis.ranking(analysis.view.metric)
    if not ranking.pairs:
        return ("No ranks: they take two rows of two finished seeds each, on the same items.",)
    family = f" after Holm over all {ranking.pairs} pairs" * (ranking.pairs > 1)
    if ranking.tests < ranking.pairs:
        without = "the others having no two seeds in common, or no spread"
        family = f" after Holm over {ranking.tests} of {ranking.pairs} pairs, {without}"
    measured = f"{analysis.view.metric} {analysis.measure}"
    return (
        f"Rank: 1 + the number of rows whose final {measured} is significantly better (paired, p < .05{family}). "
        "Rows that cannot be told apart share a rank, and so does a low one whose interval is too wide for any to be "
        "found better.",
    )


def _count(_: Analysis, row: Row, *, state: State) -> Entry:
    return Entry(float(row.count(state)))


def _trials(_: Analysis, row: Row) -> Entry:
    return Entry(float(len(row.search["trials"]))) if row.search else NOTHING


def _card(_: Analysis, row: Row, *, name: str) -> Entry:
    return Entry(text=row.card[name]) if name in row.card else NOTHING


add("rank", "count", "rank", _rank, _ranked)
add("algorithm", "text", "algorithm", lambda _, row: Entry(text=row.label))
add(
    "seeds", "text", "seeds", lambda _, row: Entry(text=seeds(row)),
    ("Only finished seeds count; one shown as running may also have been killed.",),
)  # fmt: skip
add("row", "text", "row", lambda _, row: Entry(text=row.hash))
add("tuning_trials", "count", "trials", _trials, ("Trials: settings tried in the row's search.",))
add("seeds_planned", "count", "seeds planned", lambda _, row: Entry(float(len(row.cells))))
for _state in get_args(State):
    add(f"seeds_{_state}", "count", f"seeds {_state}", partial(_count, state=_state))
for _name in CARD:
    add(f"card_{_name.replace(' ', '_').lower()}", "text", _name, partial(_card, name=_name))
