"""How far a policy has gone from where it started, on responses that it has just drawn itself."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from algorithms import Needs
from tasks.base import Task
from tasks.rewards.rewarded import Rewarded

from ..policy import Policy, Row
from ..rows import cut


@dataclass(frozen=True)
class Moved:
    """One response's part in the estimates."""

    log_ratio: float  # Σ_t log π/π_start, nats: its mean over draws from π estimates KL(π ‖ π_start), without bias
    entropy: float  # Σ_t of the policy's entropy, nats


@dataclass(frozen=True)
class Drift:
    """The policy in training and a frozen copy of its start."""

    policy: Policy
    start: Policy
    micro_batch_tokens: int

    def measure(self, rows: Sequence[Row], temperature: float) -> list[Moved]:
        """Of each row, drawn from the policy at `temperature`; a measurement, charged to no budget."""
        now, then = (_at(policy, temperature) for policy in (self.policy, self.start))
        found: dict[int, Moved] = {}
        for part in cut(rows, range(len(rows)), "response", self.micro_batch_tokens):
            chosen = [rows[n] for n in part.tolist()]
            with torch.no_grad():
                mine, theirs = now.signals(chosen, Needs(entropy=True)), then.signals(chosen, Needs())
            lengths = [len(row.response) for row in chosen]
            ratios, entropies = (mine.logp - theirs.logp).split(lengths), mine.entropy.split(lengths)
            for n, ratio, entropy in zip(part.tolist(), ratios, entropies, strict=True):
                found[n] = Moved(ratio.double().sum().item(), entropy.double().sum().item())
        return [found[n] for n in range(len(rows))]


def measured(task: Task, asked: bool) -> bool:
    """Whether drift is recorded: where a recipe asks for it, and with a reward: nothing else holds such a policy."""
    return asked or isinstance(task, Rewarded)


def _at(policy: Policy, temperature: float) -> Policy:
    """The same weights, scored as they were drawn."""
    twin = copy.copy(policy)
    twin.temperature = temperature
    return twin
