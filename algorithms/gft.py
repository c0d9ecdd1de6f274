"""GFT: Group Fine-Tuning. ACL 2026 Findings (arXiv 2604.14258) and the authors' code (ZJU-OmniAI/GFT).

    L = - Σ_k Σ_t A_k · C(π_kt) · log π_kt / Σ_k |y_k|,      C(π) = 1 where π > τ, else stop-gradient(π)

over a mixed group of K responses: an expert demonstration, teacher demonstrations, and self-samples fill the rest. All
members are graded by the same verifier and z-scored together (group advantage learning); C bounds the inverse
probability that weighs rare tokens (dynamic coefficient rectification). π is the current policy's probability at
temperature 1, detached. There is no importance ratio, clip, KL or entropy term.

Equations 6, 17 and 22 of the paper carry one factor 1/π more than its own loss (equations 16, 21) and the code; we
follow the loss. τ is contradictory: 0.1 in the released script (`gft@released`, the default), 0.7 best in the paper's
figure 6 (`gft@paper`), and the value behind its table 1 is not stated. The mix is 1 expert + 3 teacher of 8;
`gft@no-mix` has the expert alone; no demonstration at all is the 0:8 of its table 5. The code cuts demonstrations to
the response limit; here they stay whole, because a cut expert has no answer and no end. Tokens are averaged over the
mini-batch, in the code over each micro-batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .base import POLICY, Algorithm, Batch, Loss, Metric, Needs, Signals
from .card import Card, Std
from .ops import aggregate, per_token
from .registry import Preset, register


@register(
    "gft",
    presets={
        "released": Preset({}, "arXiv 2604.14258, equation 21; the authors' script, ZJU-OmniAI/GFT", 4),
        "paper": Preset({"tau": 0.7}, "arXiv 2604.14258, the best τ of figure 6"),
        "no-mix": Preset({"teachers": 0}, "arXiv 2604.14258, our reading of its rows GFT(no mix)"),
    },
)
@dataclass(frozen=True)
class GFT(Algorithm):
    """Advantage-weighted log-likelihood of a mixed group, rectified for rare tokens."""

    experts: int = 1  # expert demonstrations a prompt
    teachers: int = 3  # teacher demonstrations a prompt
    tau: float = 0.1  # τ: probability above which a token's coefficient is 1

    def __post_init__(self) -> None:
        if self.experts < 0 or self.teachers < 0:
            raise ValueError(f"experts = {self.experts}, teachers = {self.teachers}: must be 0 or more")
        if not 0 <= self.tau <= 1:
            raise ValueError(f"tau = {self.tau} must be a probability, from 0 to 1")

    @property
    def needs(self) -> Needs:
        """Undivided log-probabilities for C, and demonstrations."""
        return Needs(raw=True, experts=self.experts, teachers=self.teachers)

    @property
    def card(self) -> Card:
        """Equation 21 with these settings."""
        return Card(
            objective=f"maximise z-score × log π, weighted by π where π ≤ {self.tau:g}; {self.experts} expert and "
            f"{self.teachers} teacher demonstrations a group",
            baseline="group mean",
            std=Std(),
            aggregation="token",
            clip="none",
            kl="none",
        )

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """Equation 21."""
        probability = signals.logp_raw.detach().exp()
        coefficient = torch.where(probability > self.tau, 1.0, probability)
        weighted = batch.token_advantage * coefficient * signals.logp
        metrics = {"rectified_fraction": Metric((probability <= self.tau).sum(), batch.tokens)}
        if batch.source is not None:
            own = per_token(batch.source == POLICY, batch)
            metrics["demonstration_logp"] = Metric(signals.logp.detach()[~own].sum(), (~own).sum().cpu())
        return Loss(-aggregate(weighted, batch, "token"), metrics)
