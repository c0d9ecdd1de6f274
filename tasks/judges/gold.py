"""The judge that knows: P(first preferred) = σ(Δgold), where a task knows what its responses are truly worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .base import Identity
from .registry import register
from .reward_model import RewardModelJudge


@register("gold")
@dataclass(frozen=True)
class GoldJudge(RewardModelJudge):
    """A reward model without an error; the harness hands in what the task knows."""

    @property
    def identity(self) -> Identity:
        """Of the task's formula."""
        return replace(super().identity, kind="gold")
