"""A table of runs under one way to look at it: differences, tests, ranks and times to a target, each computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

from . import finals, scores
from .ranking import ALPHA, Ranking, rank_all
from .records import Axis, EvalRecord, Measure
from .runs import SPLITS, Cell, Mode, Row, Split, Table
from .scores import Scores, When
from .stats import Estimate, convergence, holm

Family = Literal["all", "shown"]
STARS = ((0.01, "**"), (ALPHA, "*"))
ONE_SEED, OTHER_PROTOCOL = "†", "‡"


@dataclass(frozen=True)
class View:
    """How to look at a table of runs. The defaults are those of a program that does not say."""

    metric: Mode = "sampled"  # what rows are ranked by, and whose curve reaches the target
    axis: Axis = "steps"  # on which the way to the target is measured
    reference: str | None = None  # label or pattern; None: the first GRPO of the recipe, else its first row
    target_gain: float = 0.9  # the target: start + this share of the reference's median gain
    target_accuracy: float | None = None  # in [0, 1]; the target itself, instead; a table of rewards has none then
    family: Family = "all"  # the rows that ranks and Holm's corrections count: who picks rows picks stars


@dataclass(frozen=True, eq=False)
class Contrast:
    """One row's final scores minus another's, paired by seed and item."""

    difference: Scores | None  # None: their items are not the same
    adjusted: float | None  # two-sided p, after Holm over its family; None where nothing can be tested

    @property
    def mark(self) -> str:
        """`*` below .05, `**` below .01 after Holm; `†` one seed; `‡` another protocol, not compared."""
        return OTHER_PROTOCOL if self.difference is None else mark(len(self.difference.seeds), self.adjusted)


@dataclass(frozen=True)
class Tested:
    """An estimated difference from the reference, and its test among those of its family."""

    estimate: Estimate
    adjusted: float | None  # two-sided p after Holm; None where nothing can be tested

    @property
    def mark(self) -> str:
        """As `Contrast`'s."""
        return mark(self.estimate.seeds, self.adjusted)


class Analysis:
    """`rows` of `table` under a view. `known` keeps what was read of its cells, for other views of the same table."""

    def __init__(self, table: Table, rows: Sequence[Row], view: View, known: dict[Any, Any]) -> None:
        self.table, self.rows, self.view, self._known = table, tuple(rows), view, known
        self.family = tuple(row for row in (table.rows if view.family == "all" else rows) if not row.control)
        self._rankings: dict[Mode, Ranking] = {}
        self._contrasts: dict[tuple[Mode, Measure], dict[str, Contrast]] = {}
        self._overfits: dict[Mode, dict[str, Tested]] = {}
        self._times: dict[str, dict[int, float]] = {}
        self._finals: dict[str, dict[str, Tested]] = {}

    # --- accuracies, or rewards ---

    @property
    def measure(self) -> Measure:
        """What rows are ranked by, and what every number is of for which no other measure is asked for."""
        return self.table.measure

    def scores(
        self, row: Row, mode: Mode, split: Split = "heldout", when: When = "final", measure: Measure | None = None
    ) -> Scores | None:
        """By seed and item; None where no finished seed has them."""
        key = row.hash, mode, split, when, measure or self.measure
        if key not in self._known:
            self._known[key] = scores.read(row, mode, split, when, measure or self.measure)
        return self._known[key]

    def gain(self, row: Row, mode: Mode, split: Split = "heldout", measure: Measure | None = None) -> Scores | None:
        """Final − start, paired."""
        start, final = (self.scores(row, mode, split, when, measure) for when in ("start", "final"))
        return final.less(start) if start is not None and final is not None else None

    def final(self, row: Row, task: str) -> Scores | None:
        """On a final task, which every run was evaluated on after training; None where no finished seed was."""
        key = "final", row.hash, task
        if key not in self._known:
            self._known[key] = scores.read_final(row, task)
        return self._known[key]

    def final_start(self, task: str, row: Row | None = None) -> Scores | None:
        """On a final task: the start's, one evaluation; of a row that was handed in with one, its own."""
        if row is not None and task in row.otherwise:
            return None
        folder = (row and row.start) or self.table.start
        key = "final start", folder, task
        if key not in self._known:
            self._known[key] = scores.read_start(folder, task)
        return self._known[key]

    @cached_property
    def final_tasks(self) -> list[str]:
        """The names of what its runs were evaluated on after training."""
        return finals.tasks(self.table)

    def final_contrast(self, row: Row, task: str) -> Tested | None:
        """The row against the reference on a final task, paired by seed and item; Holm over the rows."""
        if task not in self._finals:
            less = {other.hash: self._final_less(other, task) for other in self._compared()}
            self._finals[task] = self._tested({h: None if d is None else d.estimate for h, d in less.items()})
        return self._finals[task].get(row.hash)

    def _final_less(self, row: Row, task: str) -> Scores | None:
        if self.reference is None or row.hash == self.reference.hash:
            return None
        mine, theirs = (self.final(one, task) for one in (row, self.reference))
        return mine.less(theirs) if mine is not None and theirs is not None else None

    def overoptimisation(self, row: Row, mode: Mode) -> Scores | None:
        """Gain in reward minus gain in gold, paired; None where one of the two was not recorded."""
        proxy, gold = (self.gain(row, mode, measure=measure) for measure in ("reward", "gold"))
        return proxy.less(gold) if proxy is not None and gold is not None else None

    def overfit(self, row: Row, mode: Mode) -> Estimate | None:
        """How much more the row gained on its own training examples than on held-out ones."""
        probe, heldout = self.gain(row, mode, "probe"), self.gain(row, mode)
        return None if probe is None or heldout is None else scores.sum_of([probe, heldout.negative])

    # --- comparisons ---

    @cached_property
    def reference(self) -> Row | None:
        """The row that others are compared with, chosen without a look at results; None in an empty table."""
        rows = [row for row in self.table.rows if not row.control]
        wanted = self.view.reference
        if wanted is not None:
            return next((row for row in rows if matches(row, wanted)), None)
        return next((row for row in rows if row.algorithm == "grpo"), rows[0] if rows else None)

    def contrast(self, row: Row, mode: Mode, measure: Measure | None = None) -> Contrast | None:
        """The row against the reference; None for the reference itself, and where one of the two has no scores.

        Holm's family: the tests of the view's rows against the reference in this mode and measure, control arms left
        out.
        """
        key = mode, measure or self.measure
        if key not in self._contrasts:
            self._contrasts[key] = self._against_reference(*key)
        return self._contrasts[key].get(row.hash)

    def _against_reference(self, mode: Mode, measure: Measure) -> dict[str, Contrast]:
        reference = self.reference
        theirs = None if reference is None else self.scores(reference, mode, measure=measure)
        if reference is None or theirs is None:
            return {}
        found: dict[str, Scores | None] = {}
        for row in self._compared():
            mine = self.scores(row, mode, measure=measure)
            if row.hash != reference.hash and mine is not None and mine.by_seed.keys() & theirs.by_seed.keys():
                found[row.hash] = self._less(row, reference, mode, measure)
        adjusted = self._adjusted({row: _p(less) for row, less in found.items()})
        return {row: Contrast(less, adjusted.get(row)) for row, less in found.items()}

    def versus(self, row: Row, other: Row, mode: Mode) -> Contrast | None:
        """Any row against any other; None where one has no scores, or they share no seed.

        Holm's family: all pairs of ranked rows, as in `ranking`; a pair that is not among them has no p.
        """
        mine, theirs = self.scores(row, mode), self.scores(other, mode)
        if mine is None or theirs is None or not mine.by_seed.keys() & theirs.by_seed.keys():
            return None
        adjusted = self.ranking(mode).adjusted.get((row.hash, other.hash))
        return Contrast(self._less(row, other, mode, self.measure), adjusted)

    def overfit_contrast(self, row: Row, mode: Mode) -> Tested | None:
        """The row's overfit gap minus the reference's, paired by seed and, on either split, by item."""
        if mode not in self._overfits:
            found = {other.hash: self._overfit_versus(other, mode) for other in self._compared()}
            self._overfits[mode] = self._tested(found)
        return self._overfits[mode].get(row.hash)

    def _overfit_versus(self, row: Row, mode: Mode) -> Estimate | None:
        if self.reference is None or row.hash == self.reference.hash:
            return None
        return self.overfit_less(row, self.reference, mode)

    def overfit_less(self, row: Row, other: Row, mode: Mode) -> Estimate | None:
        """One row's overfit gap minus another's, paired by seed and, on either split, by item."""
        gains = [[self.gain(one, mode, split) for one in (row, other)] for split in SPLITS]
        less = [mine.less(theirs) if mine is not None and theirs is not None else None for mine, theirs in gains]
        heldout, probe = less
        return None if probe is None or heldout is None else scores.sum_of([probe, heldout.negative])

    @cached_property
    def speedups(self) -> Mapping[str, Tested]:
        """By row hash: logarithm of the reference's way to the target over the row's, as far as the horizon."""
        return self._tested({row.hash: self._speedup(row) for row in self._compared()})

    def _speedup(self, row: Row) -> Estimate | None:
        if self.reference is None or self.horizon is None or row.hash == self.reference.hash:
            return None
        ours, theirs = self.times(row), self.times(self.reference)
        seeds = [seed for seed in ours if seed in theirs]
        pairs = [theirs[seed] for seed in seeds], [ours[seed] for seed in seeds]
        return convergence.speedup(*pairs, self.horizon) if seeds else None

    def _compared(self) -> list[Row]:
        """The family, and what is shown besides: control arms."""
        return [*self.family, *(row for row in self.rows if row.control)]

    def _tested(self, found: Mapping[str, Estimate | None]) -> dict[str, Tested]:
        adjusted = self._adjusted({row: estimate.p for row, estimate in found.items() if estimate is not None})
        return {row: Tested(one, adjusted.get(row)) for row, one in found.items() if one is not None}

    def _adjusted(self, p: Mapping[str, float | None]) -> dict[str, float | None]:
        """Holm over the family's."""
        family = [row.hash for row in self.family if row.hash in p]
        return dict(zip(family, holm([p[row] for row in family]), strict=True))

    def ranking(self, mode: Mode) -> Ranking:
        """Ranks by Holm over all pairs of the rows with two finished seeds or more; none where there is one such row.

        Control arms are left out, and so are rows that were evaluated on other items than the reference (else than the
        first row): who is never compared would be first.
        """
        if mode not in self._rankings:
            self._rankings[mode] = self._rank(mode)
        return self._rankings[mode]

    def _rank(self, mode: Mode) -> Ranking:
        found = [(row, self.scores(row, mode)) for row in self.family]
        ranked = [(row, own) for row, own in found if own is not None and len(own.seeds) > 1]
        against = None if self.reference is None else self.scores(self.reference, mode)
        if against is None and ranked:
            against = ranked[0][1]
        ranked = [(row, own) for row, own in ranked if against is not None and own.comparable(against)]
        rows, own = [row for row, _ in ranked], [found for _, found in ranked]
        return rank_all([row.hash for row in rows], own, lambda a, b: self._less(rows[a], rows[b], mode, self.measure))

    def _less(self, row: Row, other: Row, mode: Mode, measure: Measure) -> Scores | None:
        key = "less", row.hash, other.hash, mode, measure
        if key not in self._known:
            mine, theirs = (self.scores(one, mode, measure=measure) for one in (row, other))
            self._known[key] = mine.less(theirs) if mine is not None and theirs is not None else None
        return self._known[key]

    # --- the way to a target ---

    @cached_property
    def target(self) -> float | None:
        """What is to be reached; None where the reference's gain has no interval that excludes 0."""
        view, reference = self.view, self.reference
        if view.target_accuracy is not None:
            return view.target_accuracy if self.measure == "accuracy" else None
        gain = None if reference is None else self.gain(reference, view.metric)
        if reference is None or gain is None or gain.estimate.low is None or gain.estimate.low <= 0:
            return None
        start, final = (self.scores(reference, view.metric, when=when) for when in ("start", "final"))
        assert start is not None and final is not None
        finals = [final.by_seed[seed] for seed in gain.seeds]
        return convergence.reference_target([start.by_seed[seed] for seed in gain.seeds], finals, view.target_gain)

    @cached_property
    def horizon(self) -> float | None:
        """How far every finished run that is compared got on the axis; None where one spent nothing, or none is there.

        Those of the family are compared whether shown or not: the stars of a speed-up stand on it.
        """
        done = (cell for row in self._compared() for cell in row.done)
        ends = [x[-1] for cell in done if (x := self._curve(cell)[0])]
        return min(ends, default=None) or None

    def times(self, row: Row) -> dict[int, float]:
        """By finished seed: where on the axis the target was reached for good; inf where it was not.

        A run that was evaluated twice or less has no time: it had no chance to stay at the target.
        """
        if self.target is None:
            return {}
        if row.hash not in self._times:
            self._times[row.hash] = {
                cell.seed: convergence.time_to_target(*self._curve(cell), self.target)
                for cell in row.done
                if len(self._measured(cell)) > 2
            }
        return self._times[row.hash]

    def early(self, row: Row) -> dict[int, float]:
        """By finished seed: area between curve and start up to the horizon, 1 for a run that stood at the target."""
        if self.target is None or not self.horizon:
            return {}
        found = {}
        for cell in row.done:
            record = cell.start(self.view.metric)
            start = None if record is None else record.get(self.measure)
            if start is not None and self.target > start:
                x, y = self._curve(cell)
                found[cell.seed] = convergence.nauc(x, y, self.target - start, self.horizon)
        return found

    def peak_drops(self, row: Row, mode: Mode, measure: Measure | None = None) -> dict[int, float]:
        """By finished seed: how far the smoothed held-out curve ends below its highest point."""
        found = {cell.seed: cell.measured(mode, measure or self.measure) for cell in row.done}
        curves = {seed: [value for _, value in curve] for seed, curve in found.items()}
        return {seed: convergence.peak_drop(curve) for seed, curve in curves.items() if curve}

    def _curve(self, cell: Cell) -> tuple[list[float], list[float]]:
        """Points whose x rises strictly: of evaluations between which nothing was spent on the axis, the last."""
        metric, axis = self.view.metric, self.view.axis
        key = id(cell), metric, axis
        if key not in self._known:
            points = {float(record["counters"][axis]): value for record, value in self._measured(cell)}
            self._known[key] = list(points), list(points.values())
        return self._known[key]

    def _measured(self, cell: Cell) -> list[tuple[EvalRecord, float]]:
        """The curve that rows are ranked by the end of; each axis asks for it."""
        key = "measured", id(cell), self.view.metric
        if key not in self._known:
            self._known[key] = cell.measured(self.view.metric, self.measure)
        return self._known[key]


def matches(row: Row, pattern: str) -> bool:
    """Whether a row is called this: its label, the algorithm's name, or a pattern with `*` and `?` for its label."""
    names = [name for name in (row.label, row.named) if name]
    return pattern in (*names, row.algorithm) or any(fnmatchcase(name, pattern) for name in names)


def mark(seeds: int, adjusted: float | None) -> str:
    """`†` for a difference of one seed, else its star, if any."""
    return ONE_SEED if seeds == 1 else star(adjusted)


def star(adjusted: float | None) -> str:
    """`*` or `**` for a p after Holm; empty where nothing was found or tested."""
    return next((stars for bound, stars in STARS if adjusted is not None and adjusted < bound), "")


def _p(less: Scores | None) -> float | None:
    return None if less is None else less.estimate.p
