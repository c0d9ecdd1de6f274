"""The vocabulary that losses are written in. Shapes: T tokens, N responses, P groups; see `base.Batch`.

Sums over segments are reductions over offsets, not scattered additions, so that they are deterministic on every device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from .words import expect_word

if TYPE_CHECKING:
    from .base import Batch

STD_EPSILON = 1e-6  # verl's and the GIFT and GFT authors' choice; TRL's is 1e-4
TokenAggregation = Literal["response", "response-sum", "token", "group-token", "rollout-token", "max-tokens"]
Aggregation = TokenAggregation | Literal["group"]  # of a statistic of the whole group
Reference = Literal["rollout", "initial"]  # the policy that sampled; the frozen start of the run


def token_positions(lengths: Tensor, rows: Tensor) -> Tensor:
    """(T',) where, in responses of `lengths` (N,) laid end to end, the tokens of `rows` (M,) stand, in that order."""
    starts, chosen = lengths.cumsum(0) - lengths, lengths[rows]
    total = int(chosen.sum())
    shift = (starts[rows] - (chosen.cumsum(0) - chosen)).repeat_interleave(chosen, output_size=total)
    return torch.arange(total, device=lengths.device) + shift


def sequence_sum(x: Tensor, batch: Batch) -> Tensor:
    """(T,) -> (N,): sum over the tokens of each response; 0 for an empty one."""
    return _segment_sum(x, batch.lengths)


def sequence_mean(x: Tensor, batch: Batch) -> Tensor:
    """(T,) -> (N,): mean over the tokens of each response; 0 for an empty one."""
    return sequence_sum(x, batch) / batch.lengths.clamp(min=1)


def per_token(x: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (T,): the response's value at each of its tokens."""
    return x[batch.response]


def group_sum(x: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (P,): sum over the members of each group, in whatever order the rows stand."""
    order, sizes = _group_order(batch)
    return _segment_sum(x[order], sizes)


def group_size(batch: Batch) -> Tensor:
    """(P,) int64: members of each group."""
    return torch.bincount(batch.group, minlength=batch.groups)


def group_mean(x: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (P,)."""
    return group_sum(x, batch) / group_size(batch).clamp(min=1)


def group_constant(x: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (P,) bool: whether all members of the group have exactly the same value."""
    order, sizes = _group_order(batch)
    highest = torch.segment_reduce(x[order].detach(), "max", lengths=sizes)
    lowest = torch.segment_reduce(x[order].detach(), "min", lengths=sizes)
    return highest == lowest


def group_center(x: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (N,): deviation from the group's mean; exactly 0 where the whole group is equal.

    The exactness matters: the mean of eight times 0.1 is not 0.1 in floating point, and a z-score divides the
    difference by a standard deviation of the same size. The gradient is that of x - mean(x) everywhere.
    """
    deviation = x - group_mean(x, batch)[batch.group]
    return deviation - torch.where(group_constant(x, batch)[batch.group], deviation.detach(), 0.0)


def group_std(x: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (P,): standard deviation with Bessel's correction (ddof 1), as verl and TRL; 0 for a single member.

    The derivative at 0 is taken as 0 (as `torch.std` does), not as the NaN of a square root.
    """
    squares = group_sum(group_center(x, batch) ** 2, batch)
    variance = squares / (group_size(batch) - 1).clamp(min=1)
    positive = variance > 0
    return torch.where(positive, torch.where(positive, variance, 1.0).sqrt(), 0.0)


def group_zscore(x: Tensor, batch: Batch, epsilon: float = STD_EPSILON) -> Tensor:
    """(N,) -> (N,): (x - mean) / (std + epsilon) within each group, ddof 1; 0 where the group is equal or single.

    DeepSeekMath (arXiv 2402.03300), outcome supervision; the paper gives neither ddof nor epsilon.
    """
    return group_center(x, batch) / (group_std(x, batch) + epsilon)[batch.group]


def leave_one_out(x: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (N,): deviation from the mean of the other members; 0 for a single one. Kool et al. 2019."""
    size = group_size(batch)[batch.group]
    return group_center(x, batch) * size / (size - 1).clamp(min=1)


def sequence_log_ratio(logp: Tensor, batch: Batch, reference: Reference) -> Tensor:
    """(T,) -> (N,): log π(y)/π_ref(y), nats, against the policy that sampled or the frozen start of the run.

    Raises ValueError for another word.
    """
    expect_word("sequence_log_ratio: reference", reference, get_args(Reference))
    return sequence_sum(logp - (batch.logp_old if reference == "rollout" else batch.logp_ref), batch)


def aggregate(x: Tensor, batch: Batch, by: TokenAggregation) -> Tensor:
    """(T,) -> (): this part's share of the mini-batch's mean of x, under each of the divisors in use.

    The only place where a loss over tokens is divided. Divisors are totals of the whole step (`Batch.totals`), and an
    empty response counts as 0, so that no cut of the step can change the gradient. Raises ValueError for another word.

        response       1/N Σ_i 1/|y_i| Σ_t      GRPO (DeepSeekMath, equation 3)
        response-sum   1/N Σ_i Σ_t              REINFORCE on whole responses
        token          Σ_i Σ_t / Σ_i |y_i|      over the mini-batch: verl's token-mean
        group-token    1/P Σ_p [ Σ_{i in p} Σ_t / Σ_{i in p} |y_i| ]      DAPO's equation 8 as printed
        rollout-token  Σ_i Σ_t / (tokens of the rollout · N / responses of the rollout)      TRL's dapo and cispo
        max-tokens     Σ_i Σ_t / (N · response limit)      Dr. GRPO
    """
    expect_word("aggregate: by", by, get_args(TokenAggregation))
    totals = batch.totals
    if by == "response":
        return sequence_mean(x, batch).sum() / totals.responses
    if by == "response-sum":
        return x.sum() / totals.responses
    if by == "token":
        return x.sum() / max(1, totals.tokens)
    if by == "group-token":
        return (x / per_token(batch.group_tokens, batch)).sum() / totals.groups
    if by == "rollout-token":
        return x.sum() / max(1.0, totals.rollout_tokens * totals.responses / totals.rollout_responses)
    return x.sum() / (totals.responses * totals.max_tokens)


def clipped_surrogate(
    log_ratio: Tensor, advantage: Tensor, low: float, high: float, dual: float | None = None
) -> tuple[Tensor, Tensor]:
    """PPO's pessimistic objective min(ρA, clip(ρ, 1-low, 1+high)A), any shape, to be maximised.

    Returns it together with a float mask of where the clip is active, that is, where the gradient is cut off.
    Schulman et al. 2017 (arXiv 1707.06347), equation 7. With `dual`, where A < 0 the objective is at least dual·A
    (Ye et al. 2020, arXiv 1912.09729, equation 5), as verl has it by default.
    """
    ratio = log_ratio.exp()
    unclipped, clipped = ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage
    objective, active = torch.minimum(unclipped, clipped), clipped < unclipped
    if dual is not None:
        bound = dual * advantage
        beyond = (advantage < 0) & (objective < bound)
        objective, active = torch.where(beyond, bound, objective), active | beyond
    return objective, active.to(log_ratio.dtype)


def k3(logp: Tensor, logp_ref: Tensor) -> Tensor:
    """The non-negative estimator of KL(π‖π_ref) on samples of π: π_ref/π - log(π_ref/π) - 1, any shape.

    Schulman 2020, "Approximating KL divergence"; DeepSeekMath, equation 4.
    """
    log_ratio = logp_ref - logp
    return log_ratio.exp() - log_ratio - 1


def _segment_sum(x: Tensor, lengths: Tensor) -> Tensor:
    return torch.segment_reduce(x, "sum", lengths=lengths, initial=0)


def _group_order(batch: Batch) -> tuple[Tensor, Tensor]:
    """The rows sorted by group, and the groups' sizes."""
    return batch.group.argsort(stable=True), group_size(batch)
