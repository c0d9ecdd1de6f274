"""Columns of accuracy: start, final, gain, against the reference, against the run's own training examples."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any

from ..analysis import Analysis, Contrast
from ..runs import MODES, Mode, Row, Split
from ..scores import Scores, When
from .base import NOTHING, Entry, Kind, add, estimated, over_seeds

INTERVAL = "± is half of a 95 % interval in which both other seeds and other items would give other numbers."
ONE_SEED = "† one seed: an interval over items only, no test and no rank."
BOLD = "Bold: not significantly worse than the best."
GAIN = "Gain: final − start, paired by seed and item."


def _of(scores: Scores | None) -> Entry:
    return NOTHING if scores is None else estimated(scores.estimate, scores.by_seed)


def _at(analysis: Analysis, row: Row, *, mode: Mode, split: Split, when: When) -> Entry:
    return _of(analysis.scores(row, mode, split, when))


def _final(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    return replace(_of(analysis.scores(row, mode)), bold=row.hash in analysis.ranking(mode).best)


def _gain(analysis: Analysis, row: Row, *, mode: Mode, split: Split) -> Entry:
    return _of(analysis.gain(row, mode, split))


def _delta(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    if analysis.reference is not None and row.hash == analysis.reference.hash:
        return Entry(text="reference")
    contrast = analysis.contrast(row, mode)
    if contrast is None:
        return NOTHING
    if contrast.difference is None:
        return Entry(text="not compared", mark=contrast.mark)
    found = _of(contrast.difference)
    return replace(found, mark=contrast.mark, p=contrast.difference.estimate.p, p_holm=contrast.adjusted)


def _mde(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    contrast = analysis.contrast(row, mode)
    if contrast is None or contrast.difference is None:
        return NOTHING
    return Entry(contrast.difference.estimate.mde())


def _overfit(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    return estimated(analysis.overfit(row, mode))


def _peak_drop(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    return over_seeds(analysis.peak_drops(row, mode), fmean)


def _at_the_end(_: Analysis, row: Row, *, mode: Mode, key: str) -> Entry:
    ends: dict[int, Any] = {cell.seed: end for cell in row.done if (end := cell.final(mode)) is not None}
    return over_seeds({seed: float(end[key]) for seed, end in ends.items()}, fmean)


def _versus(analysis: Analysis, *, mode: Mode) -> str:
    return f"{mode}: vs {analysis.reference.label if analysis.reference else 'reference'}"


def _stars(analysis: Analysis, *, mode: Mode) -> tuple[str, ...]:
    found = [(row, analysis.contrast(row, mode)) for row in analysis.rows if not row.control]
    tested = [c for _, c in found if c is not None and c.difference is not None and c.adjusted is not None]
    said = [f"{mode.capitalize()}, vs: final − the reference's final, paired by seed and item.", *_degrees(tested)]
    if any(c is not None and c.difference is None for _, c in found):
        said.append("‡ evaluated on other items than the reference, and so not compared.")
    return tuple(said)


def _degrees(tested: list[Contrast]) -> list[str]:
    if not tested:
        return []
    degrees = [c.difference.estimate.df for c in tested if c.difference and c.difference.estimate.df is not None]
    tests = f"{len(tested)} test{'s' * (len(tested) > 1)}"
    between = f"{min(degrees):.1f} to {max(degrees):.1f} degrees of freedom"
    return [f"* p < .05, ** p < .01: two-sided t with {between}, after Holm over {tests}."]


def _add_mode(mode: Mode) -> None:
    for split, prefix, said in (("heldout", "", ""), ("probe", "probe_", "probe, ")):
        at: dict[str, Any] = {"mode": mode, "split": split}
        for when in ("start", "final"):
            entry = partial(_at, when=when, **at)
            add(f"{prefix}{mode}_{when}", "share", f"{said}{mode}: {when}", entry, (INTERVAL, ONE_SEED))
        explained = (GAIN, INTERVAL, ONE_SEED)
        add(f"{prefix}{mode}_gain", "points", f"{said}{mode}: gain", partial(_gain, **at), explained)
    # The held-out final is the one that is ranked.
    add(f"{mode}_final", "share", f"{mode}: final", partial(_final, mode=mode), (INTERVAL, ONE_SEED, BOLD))
    add(f"{mode}_delta", "points", partial(_versus, mode=mode), partial(_delta, mode=mode), partial(_stars, mode=mode))
    rest: tuple[tuple[str, Kind, str, Any, str], ...] = (
        ("mde", "points", "detectable", _mde, "Detectable: a difference from the reference of this size would be found "
         "(p < .05, before Holm) in 80 % of such comparisons."),
        ("overfit", "points", "overfit gap", _overfit, "Overfit gap: gain on a fixed probe of training examples minus "
         "gain on held-out ones, decoded and graded alike."),
        ("peak_drop", "points", "below its peak", _peak_drop, "Below its peak: highest point of the smoothed held-out "
         "curve minus its end, mean over seeds."),
    )  # fmt: skip
    for key, kind, heading, entry_of, words_of in rest:
        add(f"{mode}_{key}", kind, f"{mode}: {heading}", partial(entry_of, mode=mode), (words_of,))
    ends: tuple[tuple[str, Kind], ...] = (("response_tokens", "number"), ("truncated", "share"), ("no_answer", "share"))
    for key, kind in ends:
        heading = f"{mode}: {key.replace('_', ' ')}"
        words = (f"{heading[0].upper()}{heading[1:]}, at the last held-out evaluation: mean over seeds.",)
        add(f"{mode}_{key}", kind, heading, partial(_at_the_end, mode=mode, key=key), words)


for _mode in MODES:
    _add_mode(_mode)
