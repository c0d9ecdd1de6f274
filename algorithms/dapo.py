"""DAPO: Decoupled Clip and Dynamic sAmpling Policy Optimization. Yu et al. 2025 (arXiv 2503.14476), equations 8-13.

    J = E[ 1/Σ_i|o_i| Σ_i Σ_t min(ρ_it Â_i, clip(ρ_it, 1-ε_low, 1+ε_high) Â_i) ]   subject to 0 < #correct < G

Four parts: clip-higher (0.2/0.28), the mean over tokens rather than responses, dynamic sampling (groups that are all
right or all wrong are thrown away and replaced, `select`), and a soft penalty on overlong responses (equation 13).

Deviations in the wild: equation 8 divides by the tokens of one prompt's group inside the expectation, verl, TRL and we
by the tokens of the mini-batch, which is what `dapo@released` says; TRL does no dynamic sampling and leaves clip-higher
off unless set. The paper's rewards are ±1 and its penalty goes down to -1; rewards here are 0/1, so the penalty is
halved (`overlong_factor`) to keep the ratio. The penalty acts on responses longer than `overlong_max - overlong_cache`
tokens; set them to fit the response limit of your recipe, with the paper's 20480 no short response ever sees it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Algorithm, Batch, Loss, Metric, Needs, Signals
from .ops import clipped_surrogate, group_constant, group_sum
from .registry import register


@register("dapo", presets={"released": {}})
@dataclass(frozen=True)
class DAPO(Algorithm):
    """Asymmetric clip, token mean, dynamic sampling, soft overlong penalty."""

    clip_low: float = 0.2  # ε_low
    clip_high: float = 0.28  # ε_high
    overlong_max: int = 20480  # L_max, tokens
    overlong_cache: int = 4096  # L_cache, tokens: the penalty grows from 0 to full over the last of them
    overlong_factor: float = 0.5  # the full penalty; 1.0 where rewards are ±1

    def __post_init__(self) -> None:
        if not 0 < self.overlong_cache <= self.overlong_max:
            raise ValueError(
                f"overlong_cache = {self.overlong_cache} must be from 1 to overlong_max = {self.overlong_max}"
            )

    @property
    def needs(self) -> Needs:
        """The sampling policy's log-probabilities."""
        return Needs(old=True)

    def shape_rewards(self, batch: Batch) -> Tensor:
        """Equation 13, added to the reward before it is normalised."""
        over = batch.lengths - (self.overlong_max - self.overlong_cache)
        penalty = (over / self.overlong_cache).clamp(min=0, max=1)
        return batch.reward - self.overlong_factor * penalty.to(batch.reward.dtype)

    def remarks(self, max_tokens: int) -> list[str]:
        """Say so when no response can be long enough to be penalised."""
        begins = self.overlong_max - self.overlong_cache + 1
        if max_tokens >= begins:
            return []
        return [f"the overlong penalty begins at {begins} tokens, responses end at {max_tokens}: it never acts"]

    def select(self, batch: Batch) -> Tensor:
        """Equation 11: neither all right nor all wrong; without a verifier, not all rewards equal."""
        if batch.correct is None:
            return ~group_constant(batch.reward, batch)
        right = group_sum(batch.correct.to(batch.reward.dtype), batch)
        members = torch.bincount(batch.group, minlength=batch.groups)
        return (right > 0) & (right < members)

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """Equation 8, negated, with the mini-batch's token count as divisor."""
        log_ratio = signals.logp - batch.logp_old
        objective, clipped = clipped_surrogate(log_ratio, batch.token_advantage, self.clip_low, self.clip_high)
        return Loss(-objective.sum() / batch.totals.tokens, {"clip_fraction": Metric(clipped.sum(), batch.tokens)})
