"""The loop. Everything that can differ between two algorithms is in the algorithm's file; what is here is shared.

sample -> grade -> select (refill) -> add demonstrations (collect.py) -> shape -> advantages over the whole rollout
-> mini-batches of whole groups -> score old/reference -> one optimizer step a mini-batch, gradient norm clipped
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from algorithms import Algorithm, Batch, Loss, Needs, Signals, ops
from algorithms.base import ABSENT
from algorithms.step import accumulate_gradient, attributes, prepare
from leaderboard.records import StepRecord
from tasks.base import Task
from tasks.rewards.rewarded import Rewarded

from .budget import Clock, Spent
from .codec import Codec
from .collect import Collector
from .errors import UserError
from .evaluation.drift import Drift
from .policy import Policy, Row
from .residents import stay, take_turns
from .rollout import Engine
from .rollout.mismatch import Mismatch, measure, whole_responses
from .rows import Group, assemble, cut, mini_batches, rows_of
from .settings import Control, Execution, Sampling, Training
from .summary import step_record

IDLE_STEPS = 10  # steps in a row without a single group to train on, after which a run is given up
MISMATCH_TOKENS = 2048  # of a step's rollout, on which a foreign engine is compared with the policy


class TrainingError(UserError):
    """A run that cannot go on: nothing to train on, a gradient that is not finite, or an undeclared state."""


class Trainer:
    """One run: a policy, an algorithm, a task, a seed. `step()` does one rollout and its updates.

    `state()` is everything that outlives a step; all else is a pure function of (seed, step). It is to be asked for
    between steps only (`between_steps`).
    """

    def __init__(
        self, algorithm: Algorithm, task: Task, policy: Policy, engine: Engine, codec: Codec, *, training: Training,
        sampling: Sampling, execution: Execution, seed: int, control: Control | None = None, turns: bool = False,
        drift: bool = False,
    ) -> None:  # fmt: skip
        """With `turns`, what a phase does not need waits in host memory; see residents.py. `drift` measures how far the
        policy goes with a verifier as well.
        """
        self.algorithm, self.task, self.policy, self.engine, self.codec = algorithm, task, policy, engine, codec
        self.training, self.sampling, self.execution = training, sampling, execution
        self.needs = algorithm.needs
        if self.needs.value:
            policy.add_value_head()
        drifts = drift or isinstance(task, Rewarded)  # nothing but the reward holds such a policy
        self.start = policy.frozen_copy() if self.needs.reference or drifts else None
        self.reference = self.start if self.needs.reference else None
        self.drift = Drift(policy, self.start, execution.micro_batch_tokens) if self.start and drifts else None
        self.optimizer = torch.optim.AdamW(
            policy.parameters(), lr=training.learning_rate, betas=training.adam_betas,
            weight_decay=training.weight_decay, fused=True,
        )  # fmt: skip
        self.spent = Spent()
        self.memory = {name: value.to(policy.device) for name, value in algorithm.initial_state().items()}
        self.samples: list[Group] = []  # the last step's rollout, for the records
        self.between_steps = True
        self._idle_steps = 0
        self.residents = take_turns(policy, self.start, self.optimizer, engine, task) if turns else stay()
        self._clock = Clock(policy.device, self.residents)
        self._collector = Collector(
            algorithm, task, policy, engine, codec, training, sampling, seed, control, self._clock
        )
        self._as_built = attributes(algorithm)

    def step(self) -> StepRecord:
        """One rollout and its updates. Raises TrainingError when it cannot go on."""
        self._clock.restart()
        number, before, version = self.spent.steps + 1, (replace(self.spent), self._idle_steps), self.policy.version
        self.between_steps = False
        try:
            record = self._step(number)
        except BaseException:
            if self.policy.version == version:  # nothing is updated yet: this is still the state after the last step
                (self.spent, self._idle_steps), self.between_steps = before, True
            raise
        self.between_steps = True
        return record

    def _step(self, number: int) -> StepRecord:
        collected = self._collector.collect(number, self.memory, self.spent)
        self.engine.release()
        self.samples = collected.groups or collected.sampled
        updates: list[tuple[Loss, float]] = []
        shaped: float | None = None
        seen: Mismatch | None = None
        memory: Mapping[str, Tensor] = self.memory
        if collected.groups:  # dynamic sampling may have found none
            with self._clock.timed("scoring"):
                seen = self._mismatch(collected.groups)
                batch, rows = self._prepare(collected.groups)
                parts = self._scored(batch, rows)
                memory = self._next_memory(batch)
            shaped = batch.reward.mean().item()
            with self._clock.timed("update"):
                updates = [self._update(part, part_rows) for part, part_rows in parts]
        self._check_alive(bool(updates))
        self.memory = dict(memory)
        self.spent.steps = number
        self.spent.seconds += sum(self._clock.seconds.values())
        learning_rate = self.optimizer.param_groups[0]["lr"]
        return step_record(self.spent.counters(), collected, shaped, seen, updates, learning_rate, self._clock.seconds)

    # --- what outlives a step ---

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs beside its settings: tensors (not copied) and JSON values, nested."""
        optimizer = self.optimizer.state_dict()
        return {
            "spent": asdict(self.spent),
            "idle_steps": self._idle_steps,
            "memory": self.memory,
            "policy": self.policy.state(),
            "optimizer": {str(number): slots for number, slots in optimizer["state"].items()},
            "learning_rates": [group["lr"] for group in optimizer["param_groups"]],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, taken from a trainer with the same settings and the same start."""
        self.spent = Spent(**state["spent"])
        self._idle_steps = state["idle_steps"]
        self.memory = {name: value.to(self.policy.device) for name, value in state["memory"].items()}
        self.policy.load_state(state["policy"])
        slots = {int(number): slot for number, slot in state["optimizer"].items()}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        for group, rate in zip(self.optimizer.param_groups, state["learning_rates"], strict=True):
            group["lr"] = rate

    def _next_memory(self, batch: Batch) -> Mapping[str, Tensor]:
        """The algorithm's own state after this rollout, checked: what is not declared would be lost on resume."""
        memory = {name: value.detach() for name, value in self.algorithm.next_state(batch).items()}
        shapes = [{name: tuple(value.shape) for name, value in m.items()} for m in (self.memory, memory)]
        if shapes[0] != shapes[1]:
            raise TrainingError(
                f"{self.algorithm.name}: next_state gave {shapes[1]}, but initial_state declared {shapes[0]}"
            )
        if attributes(self.algorithm) != self._as_built:
            raise TrainingError(
                f"{self.algorithm.name} changed its own attributes while training; what it remembers from rollout to "
                "rollout belongs into initial_state and next_state, or a resumed run would go on without it"
            )
        return memory

    def _check_alive(self, updated: bool) -> None:
        """A budget of optimizer steps would never end if nothing were ever kept."""
        self._idle_steps = 0 if updated else self._idle_steps + 1
        if self._idle_steps == IDLE_STEPS:
            raise TrainingError(
                f"step {self.spent.steps + 1}: nothing to train on in {IDLE_STEPS} steps: {self.algorithm.name} kept "
                "none of the groups it sampled (all right or all wrong?), or no prompt had a demonstration"
            )

    # --- from groups to mini-batches ---

    def _prepare(self, groups: Sequence[Group]) -> tuple[Batch, list[Row]]:
        """The rollout's batch with shaped rewards and advantages."""
        batch = assemble(groups, self.policy.device, self.sampling.max_tokens)
        batch, rows = replace(batch, state=self.memory), rows_of(groups)
        if self.needs.scores_first:
            batch = self._score(batch, rows, old=True)
        return prepare(self.algorithm, batch), rows

    def _scored(self, batch: Batch, rows: Sequence[Row]) -> list[tuple[Batch, list[Row]]]:
        """The mini-batches, each with the log-probabilities it needs.

        The first one is updated by the very policy that sampled, which `accumulate_gradient` uses: nothing to score.
        """
        parts: list[tuple[Batch, list[Row]]] = []
        for chosen, part in mini_batches(batch, self.training.updates_per_rollout):
            part_rows = [rows[i] for i in chosen.tolist()]
            if not self.needs.scores_first:
                part = self._score(part, part_rows, old=bool(parts))
            parts.append((part, part_rows))
        return parts

    def _score(self, batch: Batch, rows: Sequence[Row], old: bool) -> Batch:
        """The batch with `logp_old` (and `value_old`) if `old` and needed, and with `logp_ref` if needed."""
        if old and (self.needs.old or self.needs.value):
            needs = Needs(value=self.needs.value)
            signals = self._signals_without_graph(self.policy, rows, batch.group.tolist(), needs)
            batch = replace(batch, logp_old=signals.logp if self.needs.old else ABSENT, value_old=signals.value)
        if self.reference is not None:
            batch = replace(batch, logp_ref=self._reference_logp(rows, batch))
        return batch

    def _reference_logp(self, rows: Sequence[Row], batch: Batch) -> Tensor:
        assert self.reference is not None
        return self._signals_without_graph(self.reference, rows, batch.group.tolist(), Needs()).logp

    def _signals_without_graph(
        self, policy: Policy, rows: Sequence[Row], group: Sequence[int], needs: Needs
    ) -> Signals:
        """Scores under the same cut as the update: equal weights then give equal bits, and not kernel noise."""
        self.spent.flops += 2 * policy.flop_parameters * sum(row.tokens for row in rows)
        parts = cut(rows, group, self.algorithm.couples, self.execution.micro_batch_tokens)
        with torch.no_grad():
            found = [policy.signals([rows[i] for i in part.tolist()], needs) for part in parts]
        # Parts are cut by length; put the tokens back into the order of the rows.
        lengths = torch.tensor([len(row.response) for row in rows], device=policy.device)
        order = torch.cat(parts).to(policy.device)
        places = ops.token_positions(lengths, order)

        joined = {name: torch.cat([s.named()[name] for s in found]) for name in found[0].named()}
        return Signals(**{name: torch.empty_like(x).index_copy(0, places, x) for name, x in joined.items()})

    def _mismatch(self, groups: Sequence[Group]) -> Mismatch | None:
        """How far a foreign engine is from the policy that it should be; a measurement, not charged as compute."""
        if not self.engine.foreign:
            return None
        drawn = [
            (Row(group.prompt, response.tokens), response.logp_sampler)
            for group in groups
            for response in group.responses
            if response.logp_sampler is not None
        ]
        if not drawn:
            return None
        return measure(self.policy, whole_responses(drawn, MISMATCH_TOKENS), self.execution.micro_batch_tokens)

    # --- update ---

    def _update(self, batch: Batch, rows: Sequence[Row]) -> tuple[Loss, float]:
        """One optimizer step on one mini-batch. Returns the loss and the gradient norm before clipping."""
        parts = cut(rows, batch.group.tolist(), self.algorithm.couples, self.execution.micro_batch_tokens)
        self.optimizer.zero_grad(set_to_none=True)

        def signals_of(chosen: Tensor) -> Signals:
            return self.policy.signals([rows[i] for i in chosen.tolist()], self.needs)

        loss = accumulate_gradient(self.algorithm, batch, signals_of, [part.to(self.policy.device) for part in parts])
        limit = self.training.max_grad_norm
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), math.inf if limit is None else limit).item()
        if not math.isfinite(norm):
            raise TrainingError(
                f"step {self.spent.steps + 1}: the gradient norm is {norm}, the loss {loss.value.item()}"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.policy.version += 1  # first: a signal that arrives during the next call is handled right after it
        self.optimizer.step()
        self.spent.optimizer_steps += 1
        self.spent.trained_tokens += batch.tokens
        self.spent.flops += 6 * self.policy.flop_parameters * sum(row.tokens for row in rows)
        return loss, norm

    def _learning_rate(self) -> float:
        warmup = self.training.warmup_updates
        return self.training.learning_rate * min(1.0, (self.spent.optimizer_steps + 1) / warmup if warmup else 1.0)
