"""GVPO: Group Variance Policy Optimization. Zhang et al. 2025 (arXiv 2504.19599) and verl-recipe's gvpo.

    L = E_x[ 1/2 · 1/(N-1) Σ_i ( (β s_i - mean β s) - (r_i - mean r) )² ],   s_i = log π(y_i)/π_ref(y_i)

GIFT without its two divisions by a standard deviation, and older: β sets the scale that GIFT leaves open, there is no
0/0 at the first update, and the minimiser is π_ref·exp(r/β)/Z alone. As in the released code the reference is the
policy that sampled the rollout, and the mean of s is detached (its gradient would cancel within a group anyway). The
paper's theorem is about a fixed reference: `initial`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .base import Algorithm, Batch, Couples, Loss, Needs, Signals
from .card import Card
from .ops import Reference, group_center, group_mean, group_size, sequence_log_ratio
from .registry import Preset, register


@register(
    "gvpo",
    presets={
        "released": Preset({}, "arXiv 2504.19599; verl-recipe, gvpo"),
        "initial": Preset({"reference": "initial"}, "arXiv 2504.19599 with a frozen reference"),
    },
)
@dataclass(frozen=True)
class GVPO(Algorithm):
    """Variance of the difference between reward and implicit reward."""

    couples: ClassVar[Couples] = "group"

    beta: float = 0.1  # scale of the implicit reward
    reference: Reference = "rollout"  # π_ref: the policy that sampled, or the frozen start

    def __post_init__(self) -> None:
        self.require("beta", above=0)

    @property
    def needs(self) -> Needs:
        """One of the two references, whole groups."""
        return Needs.against(self.reference)

    @property
    def card(self) -> Card:
        """The variance with these settings."""
        return Card(
            objective="minimise the variance within the group of (reward - β log π/π_ref)",
            baseline="group mean",
            std="nothing",
            aggregation="group",
            clip="none",
            kl="none",
            reference=self.reference,
            old_policy=self.reference == "rollout",
        )

    def advantages(self, batch: Batch) -> Tensor:
        """The reward less its group's mean."""
        return group_center(batch.reward, batch)

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """Half the sum of squares over N - 1, mean over groups."""
        implicit = self.beta * sequence_log_ratio(signals.logp, batch, self.reference)
        deviation = implicit - group_mean(implicit.detach(), batch)[batch.group] - batch.advantage
        squares = 0.5 * deviation**2 / (group_size(batch) - 1).clamp(min=1)[batch.group]
        return Loss(squares.sum() / batch.totals.groups)
