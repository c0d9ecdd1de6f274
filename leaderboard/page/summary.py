"""One sentence or two above each table: what its numbers show, and what they do not. Nothing is said but from tests."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ..analysis import Analysis
from ..columns import COLUMNS
from ..export import formats
from ..ranking import Ranking
from ..tables import Grid, ordered
from ..winrates.rows import KINDS, Contest
from ..words import AXIS_NAMES, quantity

MANY = 4  # names that a sentence has room for
RATES = {  # what a win-rate table is headed by: the first that it has
    "lc_win_rate": "length-controlled win rate", "win_rate": "win rate", "arena_hard": "Arena-Hard score",
    "vs_reference": "win rate against the reference",
}  # fmt: skip


HANDED_IN = re.compile(r" \([A-Za-z0-9][\w.-]*\)(?: #\w+)?$", re.ASCII)  # the end of a submitted row's label


def short_names(labels: Sequence[str]) -> dict[str, str]:
    """`gift@released` for `gift@released(epsilon=0.003)`, where no other row would be called the same.

    The name of a submission stays: `gift@released (mine)` for `gift@released(epsilon=0.003) (mine)`.
    """
    short = {label: _short(label) for label in labels}
    counts = Counter(short.values())
    return {label: name if counts[name] == 1 else label for label, name in short.items()}


def _short(label: str) -> str:
    found = HANDED_IN.search(label)
    own, whose = (label[: found.start()], found[0]) if found else (label, "")
    return (own.partition("(")[0].strip() or own) + whose


def of_runs(analysis: Analysis) -> str:
    """Of a table of runs: who is first, who cannot be told apart from it, and how many pairs separate."""
    mode = analysis.view.metric
    rows = [row for row in ordered(analysis) if not row.control]
    finished = [row for row in rows if row.done]
    if not finished:
        return f"No run has finished yet: {len(rows)} row{'s are' if len(rows) != 1 else ' is'} planned."
    names = short_names([row.label for row in analysis.rows])
    labels = {row.hash: names[row.label] for row in rows}
    column = COLUMNS[f"{mode}_final"]
    texts = {row.hash: formats.text(column.kind_in(analysis), column.entry(analysis, row)) for row in finished}
    unit = " %" if analysis.measure == "accuracy" else ""
    seeds = sorted({len(row.done) for row in finished})
    at = _seeds(seeds)
    what = f"final {mode} {analysis.measure}"
    return _said(analysis.ranking(mode), [row.hash for row in finished], labels, texts, unit, what, at)


def of_judging(contest: Contest, grid: Grid) -> str:
    """The same of a win-rate table."""
    labels = short_names([row.label for row in contest.rows])
    by_name = {header.name: n for n, header in enumerate(grid.headers)}
    shown = next((name for name in RATES if name in by_name), None)
    if shown is None:
        return "No row has a win rate."
    at = by_name[shown]
    texts = {line.label: formats.text(grid.headers[at].kind, line.entries[at]) for line in grid.lines}
    ranked = [line.label for line in grid.lines if line.entries[at].value is not None]
    if not ranked:
        return "No row has a win rate."
    seeds = sorted({max(len(row.of(kind)) for kind in KINDS) for row in contest.rows})
    what = f"{RATES[shown]} by this judge"
    return _said(contest.ranking, ranked, labels, texts, " %", what, _seeds(seeds))


def of_convergence(analysis: Analysis) -> str:
    """Who reaches the target, and who first; medians alone, which no test compares."""
    if analysis.target is None:
        reached = COLUMNS["time_to_target"].explain(analysis)[0]
        return reached
    names = short_names([row.label for row in analysis.rows])
    ranked = [row for row in analysis.rows if not row.control]
    every = [(names[row.label], COLUMNS["time_to_target"].entry(analysis, row).value) for row in ranked]
    timed = {label: value for label, value in every if value is not None}
    times = {label: value for label, value in timed.items() if math.isfinite(value)}
    if not times:
        return f"No row reaches the target in half of its seeds or more; {len(timed)} were evaluated often enough."
    axis, first = AXIS_NAMES[analysis.view.axis], min(times, key=lambda label: (times[label], label))
    told = "no speed-up over the reference is significant"
    told_apart = [names[row.label] for row in ranked if "*" in getattr(analysis.speedups.get(row.hash), "mark", "")]
    if told_apart and analysis.reference:
        told = f"significantly faster or slower than {names[analysis.reference.label]}: {_names(told_apart)}"
    return (
        f"{len(times)} of {len(timed)} rows reach the target in half of their seeds or more, {first} first, after a "
        f"median of {quantity(float(f'{times[first]:.3g}'))} {axis}; {told}."
    )


def _said(
    ranking: Ranking, order: Sequence[str], labels: Mapping[str, str], texts: Mapping[str, str], unit: str, what: str,
    at: str,
) -> str:  # fmt: skip
    first = order[0]
    head = f"{labels[first]} has the highest {what}, {texts[first]}{unit}"
    if len(order) == 1:
        return f"{labels[first]} alone has a {what}: {texts[first]}{unit}, {at}."
    if not ranking.pairs:
        return f"{head}, but nothing is ranked: a test takes two rows of two finished seeds each, on the same items."
    ranked = [row for row in order if row in ranking.rank]
    if not ranking.better:
        return (
            f"No two of {len(ranked)} rows separate {at}: all share rank 1. {head}, which no test shows to be better."
        )
    if first not in ranking.rank:
        best = _said(ranking, ranked, labels, texts, unit, what, at)
        return f"{head}, but has no rank (one seed, or other items). Of the ranked rows, {best}"
    beaten = [row for row in ranked if (first, row) in ranking.better]
    equal = [row for row in ranked if row != first and row not in beaten]
    every = f"every other {'row' if len(ranked) == len(order) else 'ranked row'}"
    told = []
    if beaten:
        told.append(f"significantly above {_names([labels[row] for row in beaten]) if equal else every}")
    if equal:
        told.append(f"not to be told apart from {_names([labels[row] for row in equal]) if beaten else every}")
    pairs = f"{len(ranking.better)} of {ranking.pairs} pairs of rows separate {at} (paired, p < .05 after Holm)"
    if len(ranked) == 2:
        pairs = f"The two separate {at} (paired, p < .05)"
    return f"{head}: {', '.join(told)}. {pairs}."


def _seeds(seeds: Sequence[int]) -> str:
    of = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"at {of} seed{'s' * (of != '1')} a row"


def _names(names: Sequence[str]) -> str:
    if len(names) > MANY:
        return f"{len(names)} rows"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
