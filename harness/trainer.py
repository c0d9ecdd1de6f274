"""The loop. Everything that can differ between two algorithms is in the algorithm's file; what is here is shared.

sample -> grade -> select (refill) -> add demonstrations -> shape -> advantages over the whole rollout
-> mini-batches of whole groups -> score old/reference -> one optimizer step a mini-batch, gradient norm clipped
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from algorithms import Algorithm, Batch, Loss, Needs, Signals, ops
from algorithms.base import ABSENT
from algorithms.step import accumulate_gradient, add_losses
from leaderboard.records import PHASES, StepRecord
from tasks.base import Example, Source, Task

from .budget import Spent
from .codec import Codec
from .errors import UserError
from .policy import Policy, Row
from .rollout import Engine, Request
from .rows import Group, Response, assemble, cut, mini_batches, rows_of
from .seeds import derive, prompts_of_step
from .settings import Execution, Sampling, Training

IDLE_STEPS = 10  # steps in a row without a single group to train on, after which a run is given up


class TrainingError(UserError):
    """A run that cannot go on: nothing to train on, or a gradient that is not finite."""


@dataclass
class Collected:
    """One step's rollout: the groups to train on, and what was sampled to get them."""

    groups: list[Group] = field(default_factory=list)
    sampled: list[Group] = field(default_factory=list)  # before selection, demonstrations not included
    refill_rounds: int = 0


class Trainer:
    """One run: a policy, an algorithm, a task, a seed. `step()` does one rollout and its updates."""

    def __init__(
        self, algorithm: Algorithm, task: Task, policy: Policy, engine: Engine, codec: Codec, *, training: Training,
        sampling: Sampling, execution: Execution, seed: int,
    ) -> None:  # fmt: skip
        self.algorithm, self.task, self.policy, self.engine, self.codec = algorithm, task, policy, engine, codec
        self.training, self.sampling, self.execution, self.seed = training, sampling, execution, seed
        self.needs = algorithm.needs
        if self.needs.value:
            policy.add_value_head()
        self.reference = policy.frozen_copy() if self.needs.reference else None
        self.optimizer = torch.optim.AdamW(
            policy.parameters(), lr=training.learning_rate, betas=training.adam_betas,
            weight_decay=training.weight_decay, fused=True,
        )  # fmt: skip
        self.spent = Spent()
        self.samples: list[Group] = []  # the last step's rollout, for the records
        self._clock = dict.fromkeys(PHASES, 0.0)
        self._idle_steps = 0

    def step(self) -> StepRecord:
        """One rollout and its updates. Raises TrainingError when it cannot go on."""
        self._clock = dict.fromkeys(PHASES, 0.0)
        number = self.spent.steps + 1
        collected = self._collect(number)
        self.samples = collected.groups or collected.sampled
        updates: list[tuple[Loss, float]] = []
        shaped: float | None = None
        if collected.groups:  # dynamic sampling may have found none
            with self._timed("scoring"):
                batch, rows = self._prepare(collected.groups)
                parts = self._scored(batch, rows)
            shaped = batch.reward.mean().item()
            with self._timed("update"):
                updates = [self._update(part, part_rows) for part, part_rows in parts]
        self._check_alive(bool(updates))
        self.spent.steps = number
        self.spent.seconds += sum(self._clock.values())
        return self._record(collected, shaped, updates)

    # --- rollout ---

    def _collect(self, number: int) -> Collected:
        """Sample until the batch is full or the cap is reached; then train on what was found."""
        wanted = self.training.prompts_per_step
        collected, drawn = Collected(), set[int]()
        for refill_round in range(1 + self.training.max_refills):
            indices = prompts_of_step(len(self.task.train), self.seed, number, refill_round, wanted, drawn)
            if not indices:
                break
            drawn.update(indices)
            sampled, complete = self._sample([self.task.train[i] for i in indices], number, refill_round)
            collected.sampled += sampled
            collected.groups += complete
            collected.refill_rounds = refill_round
            if len(collected.groups) >= wanted or self.needs.rollouts == 0:
                break
        del collected.groups[wanted:]
        return collected

    def _sample(self, examples: Sequence[Example], number: int, refill_round: int) -> tuple[list[Group], list[Group]]:
        """All groups as sampled, and those that `select` keeps, with their demonstrations added."""
        with self._timed("grading"):
            shown = [self._demonstrations(example, number, refill_round) for example in examples]
        requests = []
        for example, demonstrations in zip(examples, shown, strict=True):
            count = self.needs.rollouts
            if count is None:  # where demonstrations are missing, sampled responses fill up
                count = self.training.responses_per_prompt - len(demonstrations)
            seeds = tuple(derive("rollout", self.seed, number, refill_round, example.id, k) for k in range(count))
            requests.append(Request(self.codec.prompt(example), seeds))
        self.spent.prompts += len(examples)
        if self.needs.rollouts == 0:
            return [], [Group(e, r.prompt, d) for e, r, d in zip(examples, requests, shown, strict=True) if d]

        with self._timed("sampling"):
            completions = self.engine.generate(requests, self.sampling)
        groups = []
        with self._timed("grading"):
            for example, request, found in zip(examples, requests, completions, strict=True):
                group = Group(example, request.prompt)
                for c in found:
                    text = self.codec.text(c.tokens)
                    grade = self.task.grade(example, text)
                    group.responses.append(Response(c.tokens, text, grade, "policy", c.logp, c.truncated))
                groups.append(group)
        tokens = sum(len(r.tokens) for g in groups for r in g.responses)
        self.spent.generated_tokens += tokens
        self.spent.flops += 2 * self.policy.flop_parameters * (tokens + sum(len(g.prompt) for g in groups))
        with self._timed("grading"):
            keep = self.algorithm.select(assemble(groups, self.policy.device)).tolist()
        kept = [
            replace(group, responses=group.responses + demonstrations)
            for group, demonstrations, good in zip(groups, shown, keep, strict=True)
            if good
        ]
        return groups, kept

    def _demonstrations(self, example: Example, number: int, refill_round: int) -> list[Response]:
        """The example's demonstrations, graded by the same verifier; fewer than asked for where fewer exist."""
        found = []
        wanted: tuple[tuple[Source, int], ...] = (("expert", self.needs.experts), ("teacher", self.needs.teachers))
        for source, count in wanted:
            if count and source in self.task.demonstration_sources:
                seed = derive("demonstration", self.seed, number, refill_round, example.id)
                for text in self.task.demonstrate(example, source, count, seed):
                    tokens = self.codec.demonstration(text)
                    found.append(Response(tokens, text, self.task.grade(example, text), source))
        return found

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
        batch, rows = assemble(groups, self.policy.device), rows_of(groups)
        if self.needs.scores_first:
            batch = self._score(batch, rows, old=True)
        batch = replace(batch, reward=self.algorithm.shape_rewards(batch))
        return batch.with_advantages(self.algorithm.advantages(batch)), rows

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
        self.optimizer.step()
        self.policy.version += 1
        self.spent.optimizer_steps += 1
        self.spent.trained_tokens += batch.tokens
        self.spent.flops += 6 * self.policy.flop_parameters * sum(row.tokens for row in rows)
        return loss, norm

    def _learning_rate(self) -> float:
        warmup = self.training.warmup_updates
        return self.training.learning_rate * min(1.0, (self.spent.optimizer_steps + 1) / warmup if warmup else 1.0)

    # --- records ---

    def _record(self, collected: Collected, shaped: float | None, updates: Sequence[tuple[Loss, float]]) -> StepRecord:
        sampled = [r for group in collected.sampled for r in group.responses]
        trained = [r for group in collected.groups for r in group.responses]
        shown = [r for r in trained if r.source != "policy"]
        rated = sampled or trained
        verdicts = [r.grade.correct for r in rated]
        norms = [norm for _, norm in updates]
        loss = add_losses([loss for loss, _ in updates])
        constant = [len({r.grade.reward for r in group.responses}) == 1 for group in collected.groups]
        return StepRecord(
            step=self.spent.steps,
            counters=self.spent.counters(),
            reward=_mean(r.grade.reward for r in rated),
            accuracy=None if None in verdicts else _mean(float(bool(v)) for v in verdicts),
            shaped_reward=shaped,
            response_tokens=_mean(len(r.tokens) for r in rated),
            truncated=_mean(r.truncated for r in rated),
            no_answer=_mean(r.grade.extracted is None for r in rated),
            groups=len(collected.groups),
            groups_discarded=max(0, len(collected.sampled) - len(collected.groups)),
            refill_rounds=collected.refill_rounds,
            zero_variance_groups=_mean(constant) if constant else None,
            responses={s: sum(r.source == s for r in trained) for s in ("policy", "expert", "teacher")},
            demonstration_tokens=sum(len(r.tokens) for r in shown),
            updates=len(norms),
            updates_without_signal=sum(norm == 0 for norm in norms),
            loss=loss.value.item() / len(norms) if norms else None,
            grad_norm=_mean(norms) if norms else None,
            grad_norm_max=max(norms, default=None),
            learning_rate=self.optimizer.param_groups[0]["lr"],
            metrics={name: float(m.numerator) / int(m.count) for name, m in loss.metrics.items() if int(m.count)},
            seconds=dict(self._clock),
        )

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.policy.device.type == "cuda":
            torch.cuda.synchronize()
        self._clock[phase] += time.perf_counter() - start


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0
