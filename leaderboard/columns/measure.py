"""Columns of the table's measure, accuracy or reward: start, final, gain, against the reference, against the probe.

What takes a `measure` is of the table's without one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any

from ..analysis import Analysis
from ..ranking import ALPHA
from ..records import Measure
from ..runs import MODES, Mode, Row, Split
from ..scores import Scores, When
from .base import NOTHING, Entry, Kind, add, estimated, over_seeds, tested

SEEDS_AND_ITEMS = "± is half of a 95 % interval that counts both sources of error, seeds and items."
SEEDS_ALONE = (
    "± is half of a 95 % t-interval over seeds alone, where items were not recorded or not the same in all seeds."
)
ONE_SEED = "† stands on one seed: no test."
ONE_SEED_ITEMS = "† stands on one seed: ± counts the items alone, and there is no test."
BOLD = "Bold: the best of the rows with a rank, and those that are not significantly worse."
OTHER_ITEMS = (
    "‡ evaluated on other items than the reference, or on others in each seed, and so neither compared nor ranked."
)
DETECTABLE = (
    "Detectable: were the true spread the one seen here, a true difference of this size from the reference would be "
    "found (p < .05, before Holm) in 80 % of such comparisons."
)
OVERFIT = (
    "Overfit gap: gain on a fixed probe of training examples minus gain on held-out ones, decoded and graded alike."
)
OVERFIT_DELTA = "Overfit gap vs reference: the row's gap minus the reference's, paired by seed and item."
PEAK_DROP = (
    "Below its peak: highest point of the smoothed held-out curve minus its end, mean over seeds; noise alone makes it "
    "positive."
)
FORMAT_GAP = (
    "Format gap: accuracy, which also counts answers outside the form that the prompt wants, minus that of answers in "
    "it, which alone are rewarded; at the last held-out evaluation, mean over seeds."
)
GAIN = "Gain: final − start, paired by seed and item."


def of(scores: Scores | None) -> Entry:
    """The mean of scores with its interval."""
    return NOTHING if scores is None else estimated(scores.estimate, scores.by_seed)


def at(
    analysis: Analysis, row: Row, *, mode: Mode, when: When, split: Split = "heldout", measure: Measure | None = None
) -> Entry:
    """At the first or the last evaluation."""
    return of(analysis.scores(row, mode, split, when, measure))


def _final(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    return replace(of(analysis.scores(row, mode)), bold=row.hash in analysis.ranking(mode).best)


def gain(
    analysis: Analysis, row: Row, *, mode: Mode, split: Split = "heldout", measure: Measure | None = None
) -> Entry:
    """Final − start."""
    return of(analysis.gain(row, mode, split, measure))


def delta(analysis: Analysis, row: Row, *, mode: Mode, measure: Measure | None = None) -> Entry:
    """The final difference from the reference, and its test."""
    if analysis.reference is not None and row.hash == analysis.reference.hash:
        return Entry(text="reference")
    contrast = analysis.contrast(row, mode, measure)
    if contrast is None:
        return NOTHING
    if contrast.difference is None:
        return Entry(text="not compared", mark=contrast.mark)
    found = of(contrast.difference)
    return replace(found, mark=contrast.mark, p=contrast.difference.estimate.p, p_holm=contrast.adjusted)


def _mde(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    contrast = analysis.contrast(row, mode)
    if contrast is None or contrast.difference is None or len(contrast.difference.seeds) == 1:
        return NOTHING  # one seed is not tested
    return Entry(contrast.difference.estimate.mde())


def _overfit(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    probe, heldout = analysis.gain(row, mode, "probe"), analysis.gain(row, mode)
    if probe is None or heldout is None:
        return NOTHING
    gaps = {seed: gain - heldout.by_seed[seed] for seed, gain in probe.by_seed.items() if seed in heldout.by_seed}
    return estimated(analysis.overfit(row, mode), gaps)


def _overfit_delta(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    if analysis.reference is not None and row.hash == analysis.reference.hash:
        return Entry(text="reference")
    found, reference = analysis.overfit_contrast(row, mode), analysis.reference
    if found is None or reference is None:
        return NOTHING
    ours, theirs = (_overfit(analysis, one, mode=mode).by_seed for one in (row, reference))
    return tested(found, {seed: gap - theirs[seed] for seed, gap in ours.items() if seed in theirs})


def peak_drop(analysis: Analysis, row: Row, *, mode: Mode, measure: Measure | None = None) -> Entry:
    """How far the curve ends below its peak."""
    return over_seeds(analysis.peak_drops(row, mode, measure), fmean)


def _at_the_end(_: Analysis, row: Row, *, mode: Mode, key: str) -> Entry:
    ends: dict[int, Any] = {c.seed: end for c in row.done if (end := c.final(mode)) is not None and key in end}
    return over_seeds({seed: float(end[key]) for seed, end in ends.items()}, fmean)


def _format_gap(_: Analysis, row: Row, *, mode: Mode) -> Entry:
    gaps: dict[int, float] = {}
    for cell in row.done:
        end = cell.final(mode)
        if end is not None and "strict" in end and end["accuracy"] is not None:
            gaps[cell.seed] = end["accuracy"] - end["strict"]
    return over_seeds(gaps, fmean)


def versus(analysis: Analysis) -> str:
    """`vs grpo`."""
    return f"vs {analysis.reference.label if analysis.reference else 'reference'}"


def _headed(words: str | Callable[[Analysis], str], mode: str) -> Callable[[Analysis], str]:
    """`sampled: final`, or `sampled reward: final` in a table of rewards."""

    def heading(analysis: Analysis) -> str:
        measure = "" if analysis.measure == "accuracy" else f" {analysis.measure}"
        return f"{mode}{measure}: {words if isinstance(words, str) else words(analysis)}"

    return heading


def interval(
    analysis: Analysis, *, mode: Mode, split: Split = "heldout", measure: Measure | None = None,
    words: tuple[str, ...] = (),
) -> tuple[str, ...]:  # fmt: skip
    """The column's own words, and what ± and † mean in this mode, split and measure."""
    every = [analysis.scores(row, mode, split, measure=measure) for row in analysis.rows]
    found = [scores for scores in every if scores is not None]
    alone = [scores for scores in found if len(scores.seeds) == 1]
    return (
        *words,
        *([SEEDS_AND_ITEMS] if any(scores.items and len(scores.seeds) > 1 for scores in found) else []),
        *([SEEDS_ALONE] if any(not scores.items and len(scores.seeds) > 1 for scores in found) else []),
        *([ONE_SEED_ITEMS if any(s.items for s in alone) else ONE_SEED] if alone else []),
    )


def _ranked(analysis: Analysis, *, mode: Mode) -> tuple[str, ...]:
    """As other accuracies, and what bold means, where any is."""
    return interval(analysis, mode=mode, words=(BOLD,) if analysis.ranking(mode).best else ())


def stars(analysis: Analysis, measure: Measure | None = None) -> tuple[str, ...]:
    """What is said once for both modes."""
    ranked = analysis.family
    found = [[c for row in ranked if (c := analysis.contrast(row, mode, measure))] for mode in MODES]
    tested = [[c.difference.estimate for c in one if c.difference and c.adjusted is not None] for one in found]
    degrees = [estimate.df for one in tested for estimate in one if estimate.df is not None]
    reference = analysis.reference
    said = [f"Vs {reference.label if reference else 'the reference'}: final − its final, paired by seed and item."]
    if reference is not None:
        theirs = [mode for mode in MODES if analysis.scores(reference, mode, measure=measure)]
        alone = [
            row
            for row in ranked
            for mode in theirs
            if row.hash != reference.hash
            and analysis.scores(row, mode, measure=measure)
            and not analysis.contrast(row, mode, measure)
        ]
        if not theirs:
            said.append(f"No comparison: {reference.label}, the reference, has no finished seed with an evaluation.")
        elif alone:
            said.append("No comparison (–) where a row and the reference have no seed in common.")
    if degrees:
        tests = " or ".join(str(n) for n in sorted({len(one) for one in tested if one}))
        span = " to ".join(dict.fromkeys(f"{df:.1f}".removesuffix(".0") for df in (min(degrees), max(degrees))))
        of_what = "" if measure is None else f"{measure.capitalize()}: "
        said.append(
            f"{of_what}* p < .05, ** p < .01: two-sided, after Holm over the column's {tests} "
            f"test{'s' * (tests != '1')}, with {span} degrees of freedom."
        )
    single = [c for one in found for c in one if c.difference and (p := c.difference.estimate.p) and p < ALPHA]
    if any(c.adjusted is not None and c.adjusted >= ALPHA for c in single):
        said.append("± is of one comparison, a star of them all: an interval may exclude 0 and bear none.")
    if any(c.difference is None for one in found for c in one):
        said.append(OTHER_ITEMS)
    return tuple(said)


def _add_mode(mode: Mode) -> None:
    def add_measured(
        name: str, kind: Kind, words: str | Callable[[Analysis], str], entry: Callable[[Analysis, Row], Entry],
        explain: tuple[str, ...] | Callable[[Analysis], tuple[str, ...]], said: str = "",
    ) -> None:  # fmt: skip
        add(name, kind, _headed(words, f"{said}{mode}"), entry, explain, measured=True)

    for split, prefix, said in (("heldout", "", ""), ("probe", "probe_", "probe, ")):
        where: dict[str, Any] = {"mode": mode, "split": split}
        explain = partial(interval, **where)
        for when in ("start", "final"):
            add_measured(f"{prefix}{mode}_{when}", "share", when, partial(at, when=when, **where), explain, said=said)
        explain = partial(interval, words=(GAIN,), **where)
        add_measured(f"{prefix}{mode}_gain", "points", "gain", partial(gain, **where), explain, said=said)
    # The held-out final is the one that is ranked.
    add_measured(f"{mode}_final", "share", "final", partial(_final, mode=mode), partial(_ranked, mode=mode))
    add_measured(f"{mode}_delta", "points", versus, partial(delta, mode=mode), stars)
    add_measured(f"{mode}_mde", "share", "detectable", partial(_mde, mode=mode), (DETECTABLE,))
    add_measured(f"{mode}_overfit", "points", "overfit gap", partial(_overfit, mode=mode), (OVERFIT,))
    add_measured(f"{mode}_overfit_delta", "points", "overfit gap vs reference", partial(_overfit_delta, mode=mode),
                 (OVERFIT, OVERFIT_DELTA))  # fmt: skip
    add_measured(f"{mode}_peak_drop", "share", "below its peak", partial(peak_drop, mode=mode), (PEAK_DROP,))
    add(f"{mode}_format_gap", "points", f"{mode}: format gap", partial(_format_gap, mode=mode), (FORMAT_GAP,))
    ends: tuple[tuple[str, Kind], ...] = (
        ("response_tokens", "number"), ("truncated", "share"), ("no_answer", "share"), ("timed_out", "share"),
        ("reward_cut", "share"),
    )  # fmt: skip
    for key, kind in ends:
        heading = f"{mode}: {key.replace('_', ' ')}"
        words = (f"{heading[0].upper()}{heading[1:]}, at the last held-out evaluation: mean over seeds.",)
        add(f"{mode}_{key}", kind, heading, partial(_at_the_end, mode=mode, key=key), words)


for _mode in MODES:
    _add_mode(_mode)
