"""One step in numbers: what is recorded of a rollout and its updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from algorithms import Loss
from algorithms.step import add_losses
from leaderboard.records import Counters, StepRecord

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


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0
