"""DCR: GFT's dynamic coefficient rectification alone, on demonstrations (arXiv 2604.14258, equation 5).

    L = - Σ_i Σ_t C(π_it) · log π_it / Σ_i |y_i|,      C(π) = 1 where π > τ, else stop-gradient(π)

Our reading of the paper's ablation "w/o GAL", which states no loss: what is left of GFT without group advantages. τ = 0
is SFT, τ = 1 is DFT. Samples nothing, reads no reward. π is the probability at temperature 1, as in `gft`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import Batch, Loss, Metric, Needs, Signals
from .card import Card
from .ops import aggregate
from .registry import Preset, register
from .sft import SFT


@register(
    "dcr",
    presets={
        "released": Preset({}, "arXiv 2604.14258, table 2, w/o GAL, our reading; τ of the authors' script"),
        "paper": Preset({"tau": 0.7}, "arXiv 2604.14258, table 2, w/o GAL, our reading; the best τ of figure 6"),
    },
)
@dataclass(frozen=True)
class DCR(SFT):
    """Log-likelihood of demonstrations, tokens below τ weighted by their own probability."""

    tau: float = 0.1  # τ: probability above which a token's coefficient is 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.tau <= 1:
            raise ValueError(f"tau = {self.tau} must be a probability, from 0 to 1")

    @property
    def needs(self) -> Needs:
        """Demonstrations, and undivided log-probabilities for C."""
        return Needs(rollouts=0, raw=True, experts=self.experts, teachers=self.teachers)

    @property
    def card(self) -> Card:
        """Equation 5 on demonstrations."""
        return Card(
            objective=f"maximise log π of demonstrations, weighted by π where π ≤ {self.tau:g}",
            source="arXiv 2604.14258, equation 5",
            baseline="rewards not read",
            std="nothing",
            aggregation="token",
            clip="none",
            kl="none",
        )

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """Equation 5 as the weight of each token's log-likelihood."""
        probability = signals.logp_raw.detach().exp()
        coefficient = torch.where(probability > self.tau, 1.0, probability)
        metrics = {"rectified_fraction": Metric((probability <= self.tau).sum(), batch.tokens)}
        return Loss(-aggregate(batch.token_advantage * coefficient * signals.logp, batch, "token"), metrics)
