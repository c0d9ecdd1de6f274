"""One step's rollout: sample, grade, select, refill, add demonstrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from algorithms import Algorithm
from tasks.base import Example, Source, Task

from . import controls
from .budget import Clock, Spent
from .codec import Codec
from .policy import Policy
from .rollout import Engine, Request
from .rows import Group, Response, assemble
from .seeds import derive, prompts_of_step
from .settings import Control, Sampling, Training


@dataclass
class Collected:
    """The groups to train on, and what was sampled to get them."""

    groups: list[Group] = field(default_factory=list)
    sampled: list[Group] = field(default_factory=list)  # before selection, demonstrations not included
    refill_rounds: int = 0


@dataclass(frozen=True)
class Collector:
    """Fills a step's batch; a pure function of (seed, step) and of the policy that samples."""

    algorithm: Algorithm
    task: Task
    policy: Policy
    engine: Engine
    codec: Codec
    training: Training
    sampling: Sampling
    seed: int
    control: Control | None
    clock: Clock

    def collect(self, number: int, state: Mapping[str, Tensor], spent: Spent) -> Collected:
        """Sample until the batch is full or the cap is reached; then it is what was found. Charged to `spent`."""
        wanted = self.training.prompts_per_step
        collected, drawn = Collected(), set[int]()
        for refill_round in range(1 + self.training.max_refills):
            indices = prompts_of_step(len(self.task.train), self.seed, number, refill_round, wanted, drawn)
            if not indices:
                break
            drawn.update(indices)
            examples = [self.task.train[i] for i in indices]
            shown = self._demonstrations(examples, number, refill_round)
            sampled = self._sample(examples, shown, number, refill_round, spent)
            with self.clock.timed("grading"):
                collected.groups += self._complete(sampled, shown, state)
            collected.refill_rounds = refill_round
            if self.algorithm.needs.rollouts == 0:
                break
            collected.sampled += sampled
            if len(collected.groups) >= wanted:
                break
        del collected.groups[wanted:]
        return collected

    def _sample(
        self, examples: Sequence[Example], shown: Sequence[list[Response]], number: int, refill_round: int, spent: Spent
    ) -> list[Group]:
        """One group an example: its responses, graded, without demonstrations."""
        requests, salt = [], controls.stream(self.control)
        for example, demonstrations in zip(examples, shown, strict=True):
            count = self.algorithm.needs.rollouts
            if count is None:  # where demonstrations are missing, sampled responses fill up
                count = self.training.responses_per_prompt - len(demonstrations)
            seeds = tuple(
                derive("rollout", *salt, self.seed, number, refill_round, example.id, k) for k in range(count)
            )
            requests.append(Request(self.codec.prompt(example), seeds))
        spent.prompts += len(examples)
        if self.algorithm.needs.rollouts == 0:
            return [Group(e, r.prompt) for e, r in zip(examples, requests, strict=True)]

        with self.clock.timed("sampling"):
            completions = self.engine.generate(requests, self.sampling)
        groups = []
        with self.clock.timed("grading"):
            texts = [[self.codec.text(c.tokens) for c in found] for found in completions]
            pairs = [(example, text) for example, found in zip(examples, texts, strict=True) for text in found]
            grades = iter(self.task.grade_all(pairs))
            for number, request in enumerate(requests):
                group = Group(examples[number], request.prompt)
                for c, text, seed in zip(completions[number], texts[number], request.seeds, strict=True):
                    grade = controls.reward(self.control, next(grades), seed)
                    group.responses.append(Response(c.tokens, text, grade, "policy", c.logp, c.truncated))
                groups.append(group)
        tokens = sum(len(r.tokens) for g in groups for r in g.responses)
        spent.generated_tokens += tokens
        spent.flops += 2 * self.policy.flop_parameters * (tokens + sum(len(g.prompt) for g in groups))
        return groups

    def _complete(
        self, sampled: Sequence[Group], shown: Sequence[list[Response]], state: Mapping[str, Tensor]
    ) -> list[Group]:
        """The groups that `select` keeps, with their demonstrations added."""
        if self.algorithm.needs.rollouts == 0:
            keep = [bool(demonstrations) for demonstrations in shown]
        else:
            batch = replace(assemble(sampled, self.policy.device, self.sampling.max_tokens), state=state)
            keep = self.algorithm.select(batch).tolist()
        return [
            replace(group, responses=group.responses + demonstrations)
            for group, demonstrations, good in zip(sampled, shown, keep, strict=True)
            if good
        ]

    def _demonstrations(self, examples: Sequence[Example], number: int, refill_round: int) -> list[list[Response]]:
        """Each example's demonstrations, fewer than asked for where fewer exist; all graded in one call, as any."""
        needs = self.algorithm.needs
        wanted: tuple[tuple[Source, int], ...] = (("expert", needs.experts), ("teacher", needs.teachers))
        drawn: list[tuple[int, Source, int, str]] = []  # example, source, seed of its coin, text
        for place, example in enumerate(examples):
            seed = derive("demonstration", self.seed, number, refill_round, example.id)
            for source, count in wanted:
                if count and source in self.task.demonstration_sources:
                    texts = self.task.demonstrate(example, source, count, seed)
                    drawn += [(place, source, derive(source, seed, n), text) for n, text in enumerate(texts)]
        found: list[list[Response]] = [[] for _ in examples]
        if not drawn:
            return found  # no model need move for nothing
        with self.clock.timed("grading"):
            grades = self.task.grade_all([(examples[place], text) for place, _, _, text in drawn])
        for (place, source, coin, text), grade in zip(drawn, grades, strict=True):
            shown = controls.reward(self.control, grade, coin)
            found[place].append(Response(self.codec.demonstration(text), text, shown, source))
        return found
