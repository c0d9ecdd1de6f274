"""GSPO: Group Sequence Policy Optimization, and its token form. Zheng et al. 2025 (arXiv 2507.18071), equations 5-17.

    s_i = (π_θ(y_i)/π_old(y_i))^(1/|y_i|) = exp( 1/|y_i| Σ_t (ℓ_it - ℓ_it^old) )
    J = E[ 1/G Σ_i min(s_i Â_i, clip(s_i, 1-ε_l, 1+ε_r) Â_i) ]
    GSPO-token: s_it = sg[s_i] · π_θ(y_it)/sg[π_θ(y_it)], mean over tokens, then over responses; Â may differ by token

The clip bounds the mean log-ratio of a token, hence its size: 3e-4/4e-4 in the paper, for a 30B mixture of experts.
Smaller models and larger learning rates clip most responses after the first mini-batch; watch `clip_fraction` and tune
the range, or GSPO looks inert. Left at the 0.2 of GRPO (the default of verl and TRL) it never clips at all. The paper
gives no group size, learning rate or batch; equal advantages within a response make both forms identical.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .base import Algorithm, Batch, Loss, Metric, Needs, Signals
from .ops import clipped_surrogate, per_token, sequence_mean
from .registry import register


@register("gspo", presets={"paper": {}})
@dataclass(frozen=True)
class GSPO(Algorithm):
    """One length-normalised ratio a response, clipped as a whole."""

    clip_low: float = 3e-4  # ε_l
    clip_high: float = 4e-4  # ε_r

    @property
    def needs(self) -> Needs:
        """The sampling policy's log-probabilities."""
        return Needs(old=True)

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """Equation 5, negated. An empty response has no ratio and counts as 0; clipping is reported by tokens."""
        log_ratio = sequence_mean(signals.logp - batch.logp_old, batch)
        objective, clipped = clipped_surrogate(log_ratio, batch.advantage, self.clip_low, self.clip_high)
        objective = objective * (batch.lengths > 0)
        return Loss(
            -objective.sum() / batch.totals.responses,
            {"clip_fraction": Metric((clipped * batch.lengths).sum(), batch.tokens)},
        )


@register("gspo_token", presets={"paper": {}})
@dataclass(frozen=True)
class GSPOToken(GSPO):
    """The token form: the response's ratio in value, the token's own gradient; takes one advantage a token."""

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """Equation 13, negated."""
        sequence: Tensor = sequence_mean(signals.logp - batch.logp_old, batch).detach()
        log_ratio = per_token(sequence, batch) + signals.logp - signals.logp.detach()
        objective, clipped = clipped_surrogate(log_ratio, batch.token_advantage, self.clip_low, self.clip_high)
        return Loss(
            -sequence_mean(objective, batch).sum() / batch.totals.responses,
            {"clip_fraction": Metric(clipped.sum(), batch.tokens)},
        )
