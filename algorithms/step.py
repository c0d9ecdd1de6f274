"""One optimizer step's gradient, from any cut of the mini-batch. Trainer, conformance suite and lab all call this.

A part is a set of responses small enough for one forward and backward pass. Where every coupled unit of the algorithm
(a response, a group, the batch) lies inside one part, the part's loss is back-propagated directly. Where a unit is
spread over several parts, the chain rule does it in two passes: collect the unit's signals without a graph, ask
autograd for w = ∂loss/∂signals, then back-propagate Σ w·signals part by part. Both give the same gradient to rounding,
and the second needs no more memory than a loss that couples nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from .base import Algorithm, Batch, Loss, Metric, Signals

SignalsOf = Callable[[Tensor], Signals]  # rows (M,) of the batch -> their signals, token by token in the order of rows


def prepare(algorithm: Algorithm, batch: Batch) -> Batch:
    """The rollout with its rewards shaped and its advantages made, both checked: what is no number is not trained on.

    Raises ValueError for a reward or an advantage that is not finite, or of another shape, and TypeError for what is
    no tensor.
    """
    reward = _tensor(algorithm.shape_rewards(batch), "shape_rewards")
    if reward.shape != batch.reward.shape or not torch.isfinite(reward).all():
        raise ValueError(f"shaped rewards have shape {tuple(reward.shape)}, or one of them is not a finite number")
    batch = replace(batch, reward=reward)
    return batch.with_advantages(_tensor(algorithm.advantages(batch), "advantages"))


def _tensor(returned: object, by: str) -> Tensor:
    if not isinstance(returned, Tensor):
        raise TypeError(f"{by} returned {type(returned).__name__}, expected a tensor")
    return returned


def attributes(algorithm: Algorithm) -> str:
    """An algorithm's attributes as text, cached properties aside: what must not change while it trains."""
    cached = {
        name for cls in type(algorithm).__mro__ for name, v in vars(cls).items() if isinstance(v, cached_property)
    }
    return repr({name: value for name, value in vars(algorithm).items() if name not in cached})


def accumulate_gradient(algorithm: Algorithm, batch: Batch, signals_of: SignalsOf, cut: Sequence[Tensor]) -> Loss:
    """Add the gradient of the whole batch's loss to the parameters behind `signals_of`.

    Args:
        algorithm: its `loss` is called on batches that hold whole coupled units only.
        batch: the optimizer step's responses, with advantages. Where the algorithm needs `logp_old` and the batch has
            none, the policy is the one that sampled (the first update of a rollout): the signals' own detached values
            stand in, so that the ratio is exactly 1.
        signals_of: must give the same values when called twice on the same rows (no dropout).
        cut: a partition of the responses; each part is what fits into memory at once.

    Returns:
        The loss, detached, and its metrics, summed over the whole batch.

    Raises:
        ValueError: the cut is no partition, a signal has the wrong shape, or the loss is not a scalar.

    """
    _check_partition(cut, batch.responses)
    results = []
    for parts in _components(algorithm, batch, cut):
        rows = torch.cat(parts)
        if len(parts) == 1:
            signals = _checked(signals_of(rows), algorithm, batch, rows)
            loss = _loss(algorithm, signals, batch.take(rows))
            loss.value.backward()
        else:
            loss = _two_pass(algorithm, batch, signals_of, parts)
        results.append(Loss(loss.value.detach(), loss.metrics))
    return add_losses(results)


def add_losses(losses: Sequence[Loss]) -> Loss:
    """The sum of several parts' losses and metrics."""
    metrics: dict[str, Metric] = {}
    for loss in losses:
        for name, metric in loss.metrics.items():
            sofar = metrics.get(name, Metric(torch.zeros(()), 0))
            metrics[name] = Metric(metric.numerator.detach().cpu() + sofar.numerator, metric.count + sofar.count)
    return Loss(sum((loss.value for loss in losses), torch.zeros(())), metrics)


def _two_pass(algorithm: Algorithm, batch: Batch, signals_of: SignalsOf, parts: Sequence[Tensor]) -> Loss:
    rows = torch.cat(list(parts))
    with torch.no_grad():
        collected = [_checked(signals_of(part), algorithm, batch, part).named() for part in parts]
    leaves = {
        name: torch.cat([signals[name] for signals in collected]).detach().requires_grad_() for name in collected[0]
    }
    loss = _loss(algorithm, Signals(**leaves), batch.take(rows))
    slopes = torch.autograd.grad(loss.value, list(leaves.values()), allow_unused=True)
    weights = {name: slope for name, slope in zip(leaves, slopes, strict=True) if slope is not None}
    start = 0
    for part in parts:
        signals = signals_of(part)
        stop = start + signals.logp.shape[0]
        terms = [(weight[start:stop] * signals.named()[name]).sum() for name, weight in weights.items()]
        if terms:
            torch.stack(terms).sum().backward()
        start = stop
    return loss


def _loss(algorithm: Algorithm, signals: Signals, batch: Batch) -> Loss:
    if algorithm.needs.old and batch.logp_old is None:
        batch = replace(batch, logp_old=signals.logp.detach())
    if algorithm.needs.value and batch.value_old is None and signals.value is not None:
        batch = replace(batch, value_old=signals.value.detach())
    loss = algorithm.loss(signals, batch)
    if loss.value.shape != ():
        raise ValueError(f"{algorithm.name}: loss has shape {tuple(loss.value.shape)}, expected a scalar")
    return loss


def _components(algorithm: Algorithm, batch: Batch, cut: Sequence[Tensor]) -> list[list[Tensor]]:
    """The parts, joined where they share a coupled unit."""
    if algorithm.couples == "response":
        return [[part] for part in cut]
    if algorithm.couples == "batch":
        return [list(cut)]
    # Union-find over parts: two parts that hold members of the same group belong together.
    parent = list(range(len(cut)))

    def root(part: int) -> int:
        while parent[part] != part:
            part = parent[part]
        return part

    first_part: dict[int, int] = {}
    for part, rows in enumerate(cut):
        for group in batch.group[rows].unique().tolist():
            parent[root(part)] = root(first_part.setdefault(group, part))
    components = defaultdict(list)
    for part, rows in enumerate(cut):
        components[root(part)].append(rows)
    return list(components.values())


def _check_partition(cut: Sequence[Tensor], responses: int) -> None:
    rows = torch.cat(list(cut)) if cut else torch.zeros(0, dtype=torch.int64)
    if not torch.equal(rows.sort().values.cpu(), torch.arange(responses)):
        raise ValueError(f"the cut must hold each of the {responses} responses exactly once")


def _checked(signals: Signals, algorithm: Algorithm, batch: Batch, rows: Tensor) -> Signals:
    tokens = int(batch.lengths[rows].sum())
    for name, value in signals.named().items():
        if value.shape != (tokens,):
            raise ValueError(f"signal {name} has shape {tuple(value.shape)}, expected ({tokens},)")
    needs = algorithm.needs
    for name, needed in (("logp_raw", needs.raw), ("entropy", needs.entropy), ("value", needs.value)):
        if needed and getattr(signals, name) is None:
            raise ValueError(f"{algorithm.name} needs the signal {name}, which is missing")
    return signals
