"""GRPO: Group Relative Policy Optimization. Shao et al. 2024, DeepSeekMath (arXiv 2402.03300), equations 3-4.

    J = E[ 1/G Σ_i 1/|o_i| Σ_t { min(ρ_it Â_i, clip(ρ_it, 1-ε, 1+ε) Â_i) - β·k3_it } ]
    ρ_it = π_θ(o_it)/π_old(o_it),   Â_i = (r_i - mean)/std over the prompt's group,   k3 against the frozen reference

The paper gives β = 0.04 (section 4.2) but neither ε nor the standard deviation's ddof and epsilon: 0.2, 1 and 1e-6 are
the values of every public implementation. Those differ from the paper otherwise: verl averages over tokens (not over
responses), turns the KL off and adds a dual clip; TRL's "grpo" trainer runs the DAPO loss with β = 0. Preset `no-kl` is
the paper's loss with β = 0, the usual choice for verifiable rewards: no reference model is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from .base import Algorithm, Batch, Loss, Metric, Needs, Signals
from .ops import clipped_surrogate, k3, sequence_mean
from .registry import register


@register("grpo", presets={"paper": {}, "no-kl": {"beta": 0.0}})
@dataclass(frozen=True)
class GRPO(Algorithm):
    """Clipped token ratios, mean over the tokens of each response, then over responses."""

    clip_low: float = 0.2  # ε below 1
    clip_high: float = 0.2  # ε above 1
    beta: float = 0.04  # weight of the KL penalty inside the loss; 0 loads no reference model

    @property
    def needs(self) -> Needs:
        """The sampling policy's log-probabilities; the reference's only where β > 0."""
        return Needs(old=True, reference=self.beta > 0)

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """Equation 3, negated."""
        log_ratio = signals.logp - batch.logp_old
        objective, clipped = clipped_surrogate(log_ratio, batch.token_advantage, self.clip_low, self.clip_high)
        metrics = {"clip_fraction": Metric(clipped.sum(), batch.tokens)}
        if self.beta > 0:
            kl = k3(signals.logp, batch.logp_ref)
            objective = objective - self.beta * kl
            metrics["kl_reference"] = Metric(kl.sum(), batch.tokens)
        return Loss(-sequence_mean(objective, batch).sum() / batch.totals.responses, metrics)
