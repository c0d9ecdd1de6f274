"""The kinds of comparison that claims are made of: of one row with others, over settings, over mixtures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ..analysis import Analysis
from ..runs import Row
from ..scores import Scores, mean_of
from ..stats import over_seeds
from ..words import number
from .claim import Compared, Runs, Side
from .quantities import BY_ITEM, BY_SEED, FINAL, NO_DRIFT, OTHER_ITEMS, POINTS, UNIT_POINTS, Quantity, column

TENFOLD = 9.0  # times as many prompts as the other row, for a claim about ten times the data


@dataclass(frozen=True)
class Versus:
    """One row against each of others; the claim holds where all comparisons do."""

    row: Side
    others: tuple[Side, ...]
    quantity: Quantity
    target: Side | None = None  # whose gain sets the target of times; None: the first of the others that is there
    tenfold: bool = False  # whether the others must have seen ten times the prompts

    @property
    def metric(self) -> str:
        """What is compared, and which way."""
        more = "more" if self.quantity.higher else "less"
        return f"{self.quantity.words}; {more} of it is claimed for {self.row.label}"

    @property
    def unit(self) -> str:
        """The quantity's."""
        return self.quantity.unit

    @property
    def scale(self) -> float:
        """The quantity's."""
        return self.quantity.scale

    def compare(self, runs: Runs) -> list[Compared]:
        """A comparison for each of the others."""
        rows = runs.table.rows
        row, found = self.row.find(rows, runs.study), {side: side.find(rows, runs.study) for side in self.others}
        there = [other for other in found.values() if other is not None and (row is None or other.hash != row.hash)]
        if row is None or not there:
            return []
        target = there[0] if self.target is None else self.target.find(rows, runs.study) or row
        analysis = runs.analysis([row, *there, target], self.quantity.axis, target)
        return [self._one(analysis, row, side, other) for side, other in found.items()]

    def _one(self, analysis: Analysis, row: Row, side: Side, other: Row | None) -> Compared:
        part = f"against {side.label}" if len(self.others) > 1 else ""
        if other is None or other.hash == row.hash:
            return Compared(part, f"{row.label} against {side.label}", None, f"no row {side.label} here", missing=True)
        comparison = f"{row.label} against {other.label}, {self.quantity.paired}{_unlike(row, other)}"
        if missing := unshared([row, other]):
            return Compared(part, comparison, None, missing, missing=True)
        if self.tenfold and (short := _too_few(row, other)):
            return Compared(part, comparison, None, short, missing=True)
        estimate, remark = self.quantity.in_favour(analysis, row, other)
        return Compared(part, comparison, estimate, remark)


def _unlike(row: Row, other: Row) -> str:
    """What decides a comparison beside the algorithms: learning rates, and steps where a row is a chain."""
    rates = [one.training.get("learning_rate") for one in (row, other)]
    said = [f"learning rates {rates[0]:g} and {rates[1]:g}"] if None not in rates and rates[0] != rates[1] else []
    steps = [max((cell.status["step"] for cell in one.done if cell.status), default=0) for one in (row, other)]
    said += [f"{steps[0]} and {steps[1]} steps"] if (row.stages or other.stages) and steps[0] != steps[1] else []
    return f" ({'; '.join(said)})" if said else ""


def unshared(rows: Sequence[Row]) -> str:
    """Why nothing can be paired: no seed is finished in all rows; empty where one is."""
    seeds = [{cell.seed for cell in row.done} for row in rows]
    if set.intersection(*seeds):
        return ""
    counts = ", ".join(f"{row.label} {len(row.done)} of {len(row.cells)}" for row in rows)
    return f"no seed is finished in all of its rows (finished: {counts})"


def _too_few(row: Row, other: Row) -> str:
    """Where the other row did not see ten times the prompts, by the counters of their last evaluations."""
    ends = [[end["counters"]["prompts"] for cell in one.done if (end := cell.final("sampled"))] for one in (row, other)]
    if not all(ends) or not fmean(ends[0]):
        return "how many prompts its rows saw was not recorded"
    times = fmean(ends[1]) / fmean(ends[0])
    if times >= TENFOLD:
        return ""
    return f"{other.label} saw {number(times)} times the prompts of {row.label}; the claim is about ten times as many"


@dataclass(frozen=True)
class Nearer:
    """A row whose drift is nearer to one row's, claimed the lowest, than to another's, claimed the highest."""

    row: Side
    low: Side
    high: Side
    metric: str = "by how much KL to the start is nearer to the lower row's than to the higher one's, halved"
    unit: str = "nats a response"
    scale: float = 1.0

    def compare(self, runs: Runs) -> list[Compared]:
        """(|row − high| − |row − low|)/2, paired by seed: between the two, their middle less the row."""
        rows = [side.find(runs.table.rows, runs.study) for side in (self.row, self.low, self.high)]
        there = [row for row in rows if row is not None]
        if len(there) < len(rows):
            return []
        comparison = f"{there[0].label} between {there[1].label} and {there[2].label}, {BY_SEED}"
        if missing := unshared(there):
            return [Compared("", comparison, None, missing, missing=True)]
        analysis = runs.analysis(there)
        row, low, high = (column("kl")(analysis, one) for one in there)
        seeds = [seed for seed in row if seed in low and seed in high]
        if not seeds:
            return [Compared("", comparison, None, NO_DRIFT)]
        if fmean(low[s] for s in seeds) >= fmean(high[s] for s in seeds):
            return [Compared("", comparison, None, f"{there[1].label} did not end nearer to the start than the other")]
        return [
            Compared("", comparison, over_seeds([(abs(row[s] - high[s]) - abs(row[s] - low[s])) / 2 for s in seeds]))
        ]


@dataclass(frozen=True)
class Steadier:
    """A final accuracy that depends less on a setting: the range over its values, an algorithm's less another's."""

    row: str  # as labels begin, `GIFT lr=1e-4`
    other: str
    settings: tuple[str, ...]
    metric: str = (
        "range (highest less lowest) of the final held-out accuracy over the values of a setting that both were run "
        "with, the other's less the row's"
    )
    unit: str = UNIT_POINTS
    scale: float = POINTS

    def compare(self, runs: Runs) -> list[Compared]:
        """A comparison for each setting that has rows."""
        both, rows = (self.row, self.other), runs.table.rows
        found = {name: [_values(rows, who, name) for who in both] for name in self.settings}
        if not any(mine and theirs for mine, theirs in found.values()):
            return []
        return [self._one(runs, name, *both) for name, both in found.items()]

    def _one(self, runs: Runs, name: str, mine: Mapping[float, Row], theirs: Mapping[float, Row]) -> Compared:
        part, shared = f"in {name}", sorted(mine.keys() & theirs.keys())
        values = ", ".join(f"{value:g}" for value in shared)
        comparison = f"{self.row} against {self.other} over {name} = {values or 'nothing'}, {BY_SEED}"
        if len(shared) < 2:
            return Compared(part, comparison, None, "fewer than two values that both were run with", missing=True)
        rows = [one[value] for one in (mine, theirs) for value in shared]
        if missing := unshared(rows):
            return Compared(part, comparison, None, missing, missing=True)
        analysis = runs.analysis(rows)
        ranges = [_ranges(analysis, [one[value] for value in shared]) for one in (mine, theirs)]
        seeds = [seed for seed in ranges[0] if seed in ranges[1]]
        if not seeds:
            return Compared(part, comparison, None, "a row has no seed with an evaluation that the others have")
        return Compared(part, comparison, over_seeds([ranges[1][seed] - ranges[0][seed] for seed in seeds]))


def _values(rows: Sequence[Row], who: str, setting: str) -> dict[float, Row]:
    """Rows by the value in labels such as `GIFT lr=1e-4`."""
    found: dict[float, Row] = {}
    for row in rows:
        match = re.fullmatch(rf"{re.escape(who)} {re.escape(setting)}=([-+.\deE]+)", row.label)
        if match and not row.control:
            found.setdefault(float(match[1]), row)
    return found


def _ranges(analysis: Analysis, rows: Sequence[Row]) -> dict[int, float]:
    """By seed that all rows have: the highest final accuracy less the lowest."""
    found = [scores.by_seed if (scores := analysis.scores(row, "sampled")) else {} for row in rows]
    return {seed: max(one[seed] for one in found) - min(one[seed] for one in found)
            for seed in found[0] if all(seed in one for one in found)}  # fmt: skip


@dataclass(frozen=True)
class Interior:
    """A parameter whose best value lies inside: that nearest to `best` against the least and the greatest that ran."""

    algorithm: str  # plain name
    parameter: str
    name: str  # of the parameter, for people
    best: float
    metric: str = FINAL.words
    unit: str = UNIT_POINTS
    scale: float = POINTS

    def compare(self, runs: Runs) -> list[Compared]:
        """Against either end; none where no value lies between two others."""
        found = self._values(runs.table.rows)
        values = sorted(found)
        if len(values) < 3:
            return []
        inside = min(values[1:-1], key=lambda value: abs(value - self.best))
        whole = runs.analysis([found[value] for value in values])
        return [self._one(whole, found[inside], found[end], end) for end in (values[0], values[-1])]

    def _values(self, rows: Sequence[Row]) -> dict[float, Row]:
        """Rows by value, of those that differ in nothing else: the most of one kind, in the recipe's order."""
        kinds: dict[str, dict[float, Row]] = {}
        for row in rows:
            value = row.parameters.get(self.parameter)
            if row.algorithm == self.algorithm and not row.control and isinstance(value, int | float):
                rest = {key: of for key, of in row.parameters.items() if key != self.parameter}
                kind = json.dumps([rest, row.training], sort_keys=True, default=str)
                kinds.setdefault(kind, {}).setdefault(float(value), row)
        return max(kinds.values(), key=len, default={})

    def _one(self, analysis: Analysis, row: Row, end: Row, value: float) -> Compared:
        part, comparison = f"against {self.name}={value:g}", f"{row.label} against {end.label}, {BY_ITEM}"
        if missing := unshared([row, end]):
            return Compared(part, comparison, None, missing, missing=True)
        return Compared(part, comparison, *FINAL.in_favour(analysis, row, end))


MIX = re.compile(r"(\d+):(\d+)$")  # demonstrations : own samples, at the end of a label


@dataclass(frozen=True)
class Mixed:
    """Mixtures of demonstrations and own samples, their mean against either of the two unmixed groups."""

    even: Side  # the row of as many of the one as of the other, which is called by no ratio
    metric: str = f"{FINAL.words}; the mean over mixtures less that of an unmixed group"
    unit: str = UNIT_POINTS
    scale: float = POINTS

    def compare(self, runs: Runs) -> list[Compared]:
        """Two comparisons, where there is a mixture."""
        found = {tuple(map(int, m.groups())): row for row in runs.table.rows if (m := MIX.search(row.label))}
        mixtures = [row for (shown, own), row in found.items() if shown and own]
        even = self.even.find(runs.table.rows, runs.study) if found else None
        mixtures += [even] if even is not None and even not in mixtures else []
        ends = {f"{shown}:{own}": row for (shown, own), row in found.items() if bool(shown) != bool(own)}
        if not mixtures or not ends:
            return []
        names = ", ".join(row.label for row in mixtures)
        analysis = runs.analysis([*mixtures, *ends.values()])
        return [self._one(analysis, mixtures, end, name, names) for name, end in ends.items()]

    def _one(self, analysis: Analysis, mixtures: Sequence[Row], end: Row, name: str, names: str) -> Compared:
        part, comparison = f"against {name}", f"the mean of {names} against {end.label}, {BY_ITEM}"
        if missing := unshared([*mixtures, end]):
            return Compared(part, comparison, None, missing, missing=True)
        theirs = analysis.scores(end, "sampled")
        mine: list[Scores] = [scores for row in mixtures if (scores := analysis.scores(row, "sampled")) is not None]
        whole = mean_of(mine) if len(mine) == len(mixtures) else None
        less = whole.less(theirs) if whole is not None and theirs is not None else None
        return Compared(part, comparison, *((None, OTHER_ITEMS) if less is None else (less.estimate, "")))
