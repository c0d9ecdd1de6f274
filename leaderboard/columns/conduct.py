"""Columns of honesty and cost: how the runs went, and what they spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import fmean

from ..analysis import Analysis
from ..records import AXES, PHASES, Axis, StepRecord
from ..runs import Row
from ..words import AXIS_NAMES
from .base import NOTHING, Entry, Kind, add, over_seeds

Steps = Sequence[StepRecord]
MISMATCH = (
    "Sampler mismatch: mean |Δ log-probability| of a sampled token between the engine that drew it and the trainer."
)


def _mean(values: Iterable[float | None]) -> float | None:
    """Mean of what is there: a step that kept no group has no gradient norm, rather than one of 0."""
    there = [value for value in values if value is not None]
    return fmean(there) if there else None


def _each(_: Analysis, row: Row, *, number: Callable[[Steps], float | None], combine: Callable[..., float]) -> Entry:
    found = {cell.seed: n for cell in row.done if cell.steps and (n := number(cell.steps)) is not None}
    return over_seeds(found, combine)


def _share(_: Analysis, row: Row, *, part: Callable[[Steps], float], whole: Callable[[Steps], float]) -> Entry:
    """Totals over seeds, shown as `12/48`."""
    found = {cell.seed: (part(cell.steps), whole(cell.steps)) for cell in row.done if cell.steps}
    if not found:
        return NOTHING
    parts, wholes = (sum(counts) for counts in zip(*found.values(), strict=True))
    by_seed = {seed: some / whole for seed, (some, whole) in found.items() if whole}
    return Entry(parts / wholes if wholes else None, text=f"{parts:g}/{wholes:g}", by_seed=by_seed)


def _total(key: str) -> Callable[[Steps], float]:
    return lambda steps: sum(step[key] for step in steps)  # type: ignore[literal-required]


def _clipped(steps: Steps) -> float | None:
    return _mean(step["metrics"].get("clip_fraction") for step in steps)


def _timed_out(steps: Steps) -> float | None:
    return _mean(step.get("timed_out") for step in steps)


def _reward_cut(steps: Steps) -> float | None:
    return _mean(step.get("reward_cut") for step in steps)


def _largest(steps: Steps) -> float | None:
    return max((norm for step in steps if (norm := step["grad_norm_max"]) is not None), default=None)


def _mismatch(steps: Steps) -> float | None:
    return _mean(seen["mean"] if (seen := step.get("mismatch")) else None for step in steps)


def _seconds(steps: Steps, *, phase: str) -> float:
    return sum(step["seconds"].get(phase, 0.0) for step in steps)


def _spent(steps: Steps, *, axis: Axis) -> float:
    return float(steps[-1]["counters"][axis])


def _sampled(steps: Steps) -> float:
    return sum(step["groups"] + step["groups_discarded"] for step in steps)


def _add() -> None:
    def each(number: Callable[[Steps], float | None], combine: Callable[..., float] = fmean) -> Callable[..., Entry]:
        return partial(_each, number=number, combine=combine)

    def over_steps(key: str) -> Callable[[Steps], float | None]:
        return lambda steps: _mean([step[key] for step in steps])  # type: ignore[literal-required]

    means: tuple[tuple[str, Kind, str, Callable[[Steps], float | None]], ...] = (
        ("truncated", "share", "truncated", over_steps("truncated")),
        ("no_answer", "share", "no answer", over_steps("no_answer")),
        ("timed_out", "share", "grader timed out", _timed_out),
        ("reward_cut", "share", "cut for the reward model", _reward_cut),
        ("clip_fraction", "share", "clipped", _clipped),
        ("grad_norm", "number", "gradient norm", over_steps("grad_norm")),
        ("zero_variance_groups", "share", "zero-variance groups", over_steps("zero_variance_groups")),
    )
    for name, kind, heading, number in means:
        add(name, kind, heading, each(number), ("Shares and norms: means over steps, then over seeds.",))
    add("grad_norm_max", "number", "largest", each(_largest, max), ("Largest: of all gradient norms before clipping.",))
    add("mismatch", "number", "sampler mismatch", each(_mismatch), (MISMATCH,))
    totals: tuple[tuple[str, str, Callable[[Steps], float], Callable[[Steps], float]], ...] = (
        ("steps_without_update", "no group was kept", lambda steps: sum(step["updates"] == 0 for step in steps), len),
        (
            "updates_without_signal",
            "its gradient was exactly zero",
            _total("updates_without_signal"),
            _total("updates"),
        ),
        ("groups_discarded", "sampled and paid for, not trained on", _total("groups_discarded"), _sampled),
    )
    for name, meaning, part, whole in totals:
        heading = name.replace("_", " ")
        words = f"{heading.capitalize()}: {meaning}; total over the finished seeds."
        add(name, "share", heading, partial(_share, part=part, whole=whole), (words,))
    tokens = "Tokens and seconds: means over seeds."
    add("demonstration_tokens", "quantity", "demonstration tokens", each(_total("demonstration_tokens")), (tokens,))
    for phase in PHASES:
        add(f"seconds_{phase}", "seconds", f"{phase} s", each(partial(_seconds, phase=phase)), (tokens,))
    for axis in AXES:
        add(f"spent_{axis}", "quantity", AXIS_NAMES[axis], each(partial(_spent, axis=axis)), (
            "Spent: mean over seeds, thrown-away responses included, evaluation never.",))  # fmt: skip


_add()
