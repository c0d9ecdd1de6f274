"""What is compared between two rows: each a difference with its error, by the tables' own functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..analysis import Analysis
from ..columns import COLUMNS
from ..records import Axis
from ..runs import Row
from ..stats import Estimate, over_seeds, roughness, speedup, success
from ..words import AXIS_NAMES

Difference = Callable[[Analysis, Row, Row], tuple[Estimate | None, str]]
BY_SEED, BY_ITEM = "paired by seed", "paired by seed and item"
OTHER_ITEMS = "they were evaluated on other items, or share no finished seed"
UNIT_POINTS, POINTS = "points", 100.0


@dataclass(frozen=True)
class Quantity:
    """A number of a row; `difference` is the first row's minus the second's, and a remark, or why there is none."""

    words: str
    unit: str
    difference: Difference
    higher: bool = True  # whether more of it is what is claimed
    scale: float = 1.0  # of the estimate, to be in the unit
    paired: str = BY_SEED
    axis: Axis = "steps"

    def in_favour(self, analysis: Analysis, row: Row, other: Row) -> tuple[Estimate | None, str]:
        """The difference, above 0 where `row` is on the claimed side."""
        return self.difference(analysis, row, other) if self.higher else self.difference(analysis, other, row)


def _final(analysis: Analysis, row: Row, other: Row) -> tuple[Estimate | None, str]:
    mine, theirs = (analysis.scores(one, "sampled") for one in (row, other))
    less = mine.less(theirs) if mine is not None and theirs is not None else None
    return (None, OTHER_ITEMS) if less is None else (less.estimate, "")


def _overfit(analysis: Analysis, row: Row, other: Row) -> tuple[Estimate | None, str]:
    found = analysis.overfit_less(row, other, "sampled")
    return found, "" if found is not None else "one of them has no train probe (evaluation.probe)"


def by_seed(values: Callable[[Analysis, Row], Mapping[int, float]], absent: str) -> Difference:
    """Of one number a seed; `absent` says why a row may have none."""

    def difference(analysis: Analysis, row: Row, other: Row) -> tuple[Estimate | None, str]:
        mine, theirs = values(analysis, row), values(analysis, other)
        seeds = [seed for seed in mine if seed in theirs]
        return (over_seeds([mine[seed] - theirs[seed] for seed in seeds]), "") if seeds else (None, absent)

    return difference


def column(name: str) -> Callable[[Analysis, Row], Mapping[int, float]]:
    """What a table's column shows of each seed."""
    return lambda analysis, row: COLUMNS[name].entry(analysis, row).by_seed


def _roughness(_: Analysis, row: Row) -> dict[int, float]:
    curves = {cell.seed: [value for _, value in cell.measured("sampled", "accuracy")] for cell in row.done}
    return {seed: roughness(curve) for seed, curve in curves.items() if len(curve) > 2}


def _time(analysis: Analysis, row: Row, other: Row) -> tuple[Estimate | None, str]:
    """Of what lies beyond the horizon, ∞ too, the horizon counts: a difference that is always there, and too small."""
    reference = analysis.reference
    assert reference is not None
    if analysis.target is None:
        return None, f"no target: no interval of {reference.label}'s gain excludes 0"
    if analysis.horizon is None:
        return None, f"a run spent no {AXIS_NAMES[analysis.view.axis]}"
    mine, theirs = analysis.times(row), analysis.times(other)
    seeds = [seed for seed in mine if seed in theirs]
    if not seeds:
        return None, "runs that were evaluated twice or less have no time to the target"
    found, _ = by_seed(column("restricted_time"), "")(analysis, row, other)
    return found, _reached(analysis, other, row, seeds)  # the claim's row is the `other`: less of it is claimed


def _reached(analysis: Analysis, fast: Row, slow: Row, seeds: list[int]) -> str:
    """`reached grpo's target: gift 3/3, grpo 2/3; geometric-mean speed-up × 1.40`, if the first is the faster one."""
    assert analysis.horizon is not None and analysis.reference is not None
    quick, late = ([times[seed] for seed in seeds] for times in (analysis.times(fast), analysis.times(slow)))
    pairs = ((fast.label, quick), (slow.label, late))
    counts = [f"{name} {success(found).successes}/{len(found)}" for name, found in pairs]
    ratio = speedup(late, quick, analysis.horizon)
    told = "" if ratio is None else f"; geometric-mean speed-up × {math.exp(ratio.mean):.2f}"
    return f"reached {analysis.reference.label}'s target: {', '.join(counts)}{told}"


def time(axis: Axis) -> Quantity:
    """How far a row must go to the target, restricted to the horizon."""
    return Quantity(
        f"{AXIS_NAMES[axis]} to the target (start + 90 % of the median gain of the row that sets it), what lies beyond "
        "the horizon counted as the horizon",
        AXIS_NAMES[axis], _time, higher=False, axis=axis,
    )  # fmt: skip


NO_DRIFT = "KL and entropy were not recorded: set `evaluation: {drift: true}`"
FINAL = Quantity(
    "final held-out accuracy, mean over samples", UNIT_POINTS, _final, scale=POINTS, paired=BY_ITEM
)  # fmt: skip
OVERFIT = Quantity(
    "overfit gap: gain on the train probe minus gain on held-out examples", UNIT_POINTS, _overfit, False, POINTS,
    BY_ITEM,
)  # fmt: skip
PEAK_DROP = Quantity(
    "how far the smoothed held-out curve ends below its peak", UNIT_POINTS,
    by_seed(column("sampled_peak_drop"), "one of them was not evaluated"), False, POINTS,
)  # fmt: skip
ROUGHNESS = Quantity(
    "roughness of the held-out curve: root mean square of what smoothing over three evaluations takes off",
    UNIT_POINTS, by_seed(_roughness, "one of them was evaluated twice or less"), False, POINTS,
)  # fmt: skip
KL = Quantity(
    "KL of the final policy to the start, on its own samples", "nats a response",
    by_seed(column("kl"), NO_DRIFT), False,
)  # fmt: skip
ENTROPY = Quantity(
    "entropy of the final policy, on its own samples", "nats a token", by_seed(column("entropy"), NO_DRIFT)
)
