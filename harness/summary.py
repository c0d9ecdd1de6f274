"""One step in numbers: what is recorded of a rollout and its updates, and what a tracker is shown of the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from algorithms import Loss
from algorithms.step import add_losses
from leaderboard.records import Counters, StepRecord, read_lines, sizes

from .collect import Collected
from .rollout.mismatch import Mismatch


def step_record(
    counters: Counters, collected: Collected, shaped: float | None, mismatch: Mismatch | None,
    updates: Sequence[tuple[Loss, float]], learning_rate: float, seconds: Mapping[str, float],
) -> StepRecord:  # fmt: skip
    """`shaped`: mean shaped reward of the trained responses; `mismatch`: of a foreign engine on the sampled ones;
    `updates`: loss and unclipped gradient norm of each.
    """
    sampled = [r for group in collected.sampled for r in group.responses]
    trained = [r for group in collected.groups for r in group.responses]
    shown = [r for r in trained if r.source != "policy"]
    rated = sampled or trained
    verdicts = [r.grade.correct for r in rated]
    norms = [norm for _, norm in updates]
    loss = add_losses([loss for loss, _ in updates])
    constant = [len({r.grade.reward for r in group.responses}) == 1 for group in collected.groups]
    return StepRecord(
        step=counters["steps"],
        counters=counters,
        reward=_mean(r.grade.reward for r in rated),
        accuracy=None if None in verdicts else _mean(float(bool(v)) for v in verdicts),
        shaped_reward=shaped,
        response_tokens=_mean(len(r.tokens) for r in rated),
        truncated=_mean(r.truncated for r in rated),
        no_answer=_mean(r.grade.extracted is None for r in rated),
        timed_out=_mean(r.grade.timed_out for r in rated),
        reward_cut=_mean(r.grade.cut for r in rated),
        groups=len(collected.groups),
        groups_discarded=max(0, len(collected.sampled) - len(collected.groups)),
        refill_rounds=collected.refill_rounds,
        zero_variance_groups=_mean(constant) if constant else None,
        responses={s: sum(r.source == s for r in trained) for s in ("policy", "expert", "teacher")},
        demonstration_tokens=sum(len(r.tokens) for r in shown),
        updates=len(norms),
        updates_without_signal=sum(norm == 0 for norm in norms),
        loss=loss.value.item() / len(norms) if norms else None,
        grad_norm=_mean(norms) if norms else None,
        grad_norm_max=max(norms, default=None),
        learning_rate=learning_rate,
        metrics={name: float(m.numerator) / int(m.count) for name, m in loss.metrics.items() if int(m.count)},
        mismatch=None if mismatch is None else asdict(mismatch),
        seconds=dict(seconds),
    )


def follow(folder: Path) -> Iterator[dict[int, dict[str, float]]]:
    """The `scalars` by step of what was recorded in a cell's folder since they were last asked for. Without end."""
    seen: Mapping[str, int] = {}
    while True:
        rows: dict[int, dict[str, float]] = defaultdict(dict)
        for name in ("steps.jsonl", "evals.jsonl"):
            for record in read_lines(folder / name, seen.get(name, 0)):
                rows[record["step"]] |= scalars(record)
        seen = sizes(folder)
        yield rows


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a step or an evaluation: `train/reward`, `metrics/clip_fraction`, `spent/flops`,
    `heldout/sampled/accuracy`. What is None is left out.
    """
    parts = {f"{record['split']}/{record['mode']}" if "split" in record else "train": record}
    for name, part in record.items():
        if isinstance(part, Mapping):
            parts["spent" if name == "counters" else name] = part
    return {
        f"{place}/{name}": float(value)
        for place, part in parts.items()
        for name, value in part.items()
        if isinstance(value, (int, float)) and name != "step"
    }


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0
