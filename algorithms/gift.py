"""GIFT: Group-relative Implicit Fine-Tuning. Wang 2025 (arXiv 2510.23868) and the author's code (verl pull 4933).

    L = E_x[ 1/N Σ_i (A_i - p_i)² ]
    A_i = (r_i - mean r)/(std r + ε)                      the explicit reward, z-scored within the prompt's group
    p_i = (s_i - mean s)/D,  s_i = Σ_t (ℓ_it - ℓ_it^ref)  the implicit reward β·log π/π_ref, likewise; β and Z(x) cancel

Paper and released code differ, and plain `gift` is the code (`gift@released`): its "reference" is the policy that
produced the rollouts, the mean and std of s are detached, D = std + 1e-6. `gift@published` is the formula as printed:
frozen reference, gradient through the statistics; the loss then is 2(N-1)/N·(1 - corr(r, s)), which fixes only the
direction of s, not its scale. `gift@published-detached` lies between. `gift@smooth` is ours: D = √(var + 1), which has
no 0/0 and equals plain REINFORCE of ordinary size at s = 0; it is *not* the paper's loss.

At the first update of a rollout s = 0 for every response, D = 1e-6 and the gradient is REINFORCE times 2·10⁶/N: the
algorithm lives by gradient-norm clipping, and refuses to train without it. The paper's full text states neither ε nor
ddof; 1e-6 and 1 are the code's, and both sides must use the same ddof for p to be able to reach A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from .base import Algorithm, Batch, Couples, Loss, Metric, Needs, Signals
from .card import Card, Std
from .ops import (
    Reference,
    group_center,
    group_constant,
    group_size,
    group_std,
    group_sum,
    group_zscore,
    sequence_log_ratio,
)
from .registry import Preset, register

_FULL = {"reference": "initial", "statistics": "full"}


@register(
    "gift",
    presets={
        "released": Preset({}, "the author's code, verl pull request 4933", 4),
        "published": Preset(_FULL, "arXiv 2510.23868, the formula as printed"),
        "published-detached": Preset({"reference": "initial"}, "the printed reference, the code's detached statistics"),
        "smooth": Preset({**_FULL, "normaliser": "smooth", "epsilon": 1.0}, "ours: D = √(var + 1), no 0/0"),
    },
)
@dataclass(frozen=True)
class GIFT(Algorithm):
    """Squared distance between two z-scores: of the reward, and of the response's log-ratio."""

    couples: ClassVar[Couples] = "group"
    requires_clipping: ClassVar[bool] = True

    reference: Reference = "rollout"  # π_ref: the policy that sampled, or the frozen start
    statistics: Literal["detached", "full"] = "detached"  # whether the gradient flows through mean and std of s
    normaliser: Literal["additive", "smooth"] = "additive"  # D = std + ε, or √(var + ε²)
    epsilon: float = 1e-6  # nats

    def __post_init__(self) -> None:
        self.require("epsilon", above=0)  # at the first update of a rollout the std of s is 0

    @property
    def needs(self) -> Needs:
        """One of the two references, whole groups."""
        return Needs.against(self.reference)

    @property
    def card(self) -> Card:
        """The mean square with these settings."""
        scale = f"std + {self.epsilon:g}" if self.normaliser == "additive" else f"√(var + {self.epsilon**2:g})"
        return Card(
            objective="minimise (group z-score of the reward - group z-score of log π/π_ref)², the latter's statistics "
            f"{self.statistics}, its scale {scale}",
            baseline="group mean",
            std=Std(),
            aggregation="response-sum",
            clip="none",
            kl="none",
            reference=self.reference,
            old_policy=self.reference == "rollout",
        )

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """The mean square over responses of A - p."""
        s = sequence_log_ratio(signals.logp, batch, self.reference)
        statistics = s.detach() if self.statistics == "detached" else s
        std = group_std(statistics, batch)
        scale = std + self.epsilon if self.normaliser == "additive" else (std**2 + self.epsilon**2).sqrt()
        p = (s - (statistics - group_center(statistics, batch))) / scale[batch.group]
        value = ((batch.advantage - p) ** 2).sum() / batch.totals.responses
        return Loss(value, self._metrics(batch, s.detach(), std.detach()))

    def _metrics(self, batch: Batch, s: Tensor, std: Tensor) -> dict[str, Metric]:
        """How wide s is in a group (nats), and its correlation with the reward where both vary."""
        product = group_sum(group_zscore(batch.reward, batch) * group_zscore(s, batch, epsilon=1e-12), batch)
        members = group_size(batch)
        varied = ~group_constant(batch.reward, batch) & (std > 0)
        correlation = (product / (members - 1).clamp(min=1))[varied].sum()
        return {
            "sigma_s": Metric(std.sum(), batch.groups),
            "correlation": Metric(correlation, varied.sum().cpu()),
        }
