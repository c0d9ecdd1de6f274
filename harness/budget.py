"""What a run has spent on every axis, and whether that is enough."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import cast

import torch

from leaderboard.records import OFFLOAD, PHASES, Counters

from .residents import Residents
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

    def since(self, begun: Spent) -> Spent:
        """What was spent after `begun`."""
        return Spent(**{axis: spent - getattr(begun, axis) for axis, spent in vars(self).items()})

    def share(self, budget: Budget) -> float:
        """How much of the budget is used on its tightest axis; the run ends at 1."""
        return max(getattr(self, axis) / limit for axis, limit in vars(budget).items() if limit is not None)


class Clock:
    """Seconds of one step, by phase; and those of moving `residents` between phases, where anything moved."""

    def __init__(self, device: torch.device, residents: Residents) -> None:
        self.device, self.residents = device, residents
        self.seconds = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Charge what runs inside to `phase`, work queued on a GPU included."""
        with self.residents.phase(phase) as moving:
            if moving:
                self.seconds[OFFLOAD] = self.seconds.get(OFFLOAD, 0.0) + moving
            start = time.perf_counter()
            yield
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            self.seconds[phase] += time.perf_counter() - start

    def restart(self) -> None:
        """A new step begins."""
        self.seconds = dict.fromkeys(PHASES, 0.0)
