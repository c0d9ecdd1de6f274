"""UNA: Unified Alignment. Wang et al. 2024 (arXiv 2408.15339) and the authors' online code (UNA-UFT).

    L = E[ ( σ(β s_i) - σ(r_i) )² ],   s_i = log π(y_i)/π_ref(y_i), summed over tokens

The implicit reward is fitted to the explicit one, response by response: no group, no baseline, and log Z(x) is taken
as 0 (GIFT, by the same author, centres it away). The authors' code squashes both rewards with the logistic function
and takes the policy that sampled as reference (`released`); the paper's formula has neither (`paper`: r against β s,
frozen start). A reward of 0 asks for a probability equal to the reference's, so with 0/1 rewards wrong answers are
left where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .base import Algorithm, Batch, Loss, Needs, Signals
from .card import Card
from .ops import Reference, sequence_log_ratio
from .registry import Preset, register


@register(
    "una",
    presets={
        "released": Preset({}, "arXiv 2408.15339; ZhichaoWang970201/UNA-UFT, the online trainer"),
        "paper": Preset({"reference": "initial", "squashed": False}, "arXiv 2408.15339, mean squared error"),
    },
)
@dataclass(frozen=True)
class UNA(Algorithm):
    """Squared distance between a response's implicit and explicit reward."""

    min_group_size: ClassVar[int] = 1

    beta: float = 0.05  # scale of the implicit reward; the default KL coefficient of the trainer their code builds on
    reference: Reference = "rollout"  # π_ref: the policy that sampled, or the frozen start
    squashed: bool = True  # whether both rewards go through the logistic function

    def __post_init__(self) -> None:
        self.require("beta", above=0)

    @property
    def needs(self) -> Needs:
        """One of the two references."""
        return Needs.against(self.reference)

    @property
    def card(self) -> Card:
        """The squared distance with these settings."""
        return Card(
            objective="minimise (σ(β log π/π_ref) - σ(reward))²"
            if self.squashed
            else "minimise (β log π/π_ref - reward)²",
            baseline="none",
            std="nothing",
            aggregation="response-sum",
            clip="none",
            kl="none",
            reference=self.reference,
            old_policy=self.reference == "rollout",
        )

    def advantages(self, batch: Batch) -> Tensor:
        """The reward as it is."""
        return batch.reward

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """Mean over responses."""
        implicit = self.beta * sequence_log_ratio(signals.logp, batch, self.reference)
        explicit = batch.advantage
        if self.squashed:
            implicit, explicit = implicit.sigmoid(), explicit.sigmoid()
        return Loss(((implicit - explicit) ** 2).sum() / batch.totals.responses)
