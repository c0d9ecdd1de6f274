"""What a run has spent on every axis, and whether that is enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

from leaderboard.records import Counters

from .settings import Budget


@dataclass
class Spent:
    """Cumulative counters of one run; see `leaderboard.records.Counters` for what each one counts."""

    steps: int = 0
    optimizer_steps: int = 0
    prompts: int = 0
    generated_tokens: int = 0
    trained_tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def counters(self) -> Counters:
        """A copy, as it is recorded."""
        return cast(Counters, asdict(self))

    def share(self, budget: Budget) -> float:
        """How much of the budget is used on its tightest axis; the run ends at 1."""
        return max(getattr(self, axis) / limit for axis, limit in vars(budget).items() if limit is not None)
