"""What a study costs by the FLOPs model of the records: 2N a token forward, 6N a token trained, prompts included.

N are the parameters that a token passes through. Response lengths are assumed, as a paper's file states them; DAPO's
refills are not counted. Hours are those of one GPU with `PEAK` FLOP/s in bfloat16 at assumed shares of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from leaderboard.papers.reading import ModelOf, ScaleOf
from tasks.base import Task
from tasks.cards import card

from ..plugins import build_task
from ..settings import Budget, Recipe, Training
from .studies import Row, Stage, Study

PEAK = 989e12  # FLOP/s: H100 SXM and H200, dense bfloat16 (NVIDIA's data sheets)
TRAINED_MFU, SAMPLED_MFU = 0.35, 0.10  # assumed: of updates and scoring, and of sampling, which waits for memory
OPTIMISED = 16  # bytes a parameter: float32 weights, gradients and two moments
UNKNOWN_ITEMS = 500  # of a task that does not say how many it holds out


@dataclass(frozen=True)
class Work:
    """FLOPs."""

    sampled: float = 0.0
    trained: float = 0.0  # and scored

    def __add__(self, other: Work) -> Work:
        return Work(self.sampled + other.sampled, self.trained + other.trained)

    def times(self, number: int) -> Work:
        """So many."""
        return Work(number * self.sampled, number * self.trained)

    @property
    def flops(self) -> float:
        """All of them."""
        return self.sampled + self.trained

    @property
    def gpu_hours(self) -> float:
        """Of one GPU, by the assumptions."""
        return (self.sampled / SAMPLED_MFU + self.trained / TRAINED_MFU) / PEAK / 3600


@dataclass(frozen=True)
class Sizes:
    """What a token costs and how many there are."""

    active: float  # parameters
    prompt: int  # tokens
    response: int

    def forward(self, prompts: float, responses: float) -> float:
        """FLOPs of decoding, or reading, so many responses to so many prompts."""
        return 2 * self.active * (prompts * self.prompt + responses * self.response)


def sizes(model: ModelOf, scale: ScaleOf, recipe: Recipe) -> Sizes:
    """Responses are no longer than the recipe allows."""
    response = min(scale.response_tokens, recipe.sampling.max_tokens)
    return Sizes(model.active or model.parameters, scale.prompt_tokens, response)


def of_row(row: Row, study: Study, size: Sizes) -> Work | None:
    """One seed of a row, alone: all its stages, and final tasks. None where a budget has no length in steps."""
    total = finals(study.recipe, size)
    for stages in row.prefixes:
        work = of_stage(stages, study, size)
        if work is None:
            return None
        total += work
    return total


def of_stage(stages: Sequence[Stage], study: Study, size: Sizes) -> Work | None:
    """The last one of a chain's stages: training, and looks on the way. None where a budget has no length in steps."""
    every = [steps_of(stage.budget, stage.training) for stage in stages]
    lengths = [steps for steps in every if steps is not None]
    if len(lengths) < len(every):
        return None
    evaluation, end = study.recipe.evaluation, sum(lengths)
    begin = end - lengths[-1]
    # At every multiple and at the end; at the beginning only of the first stage: the one before has looked there.
    looks = (end - 1) // evaluation.every - begin // evaluation.every + 1 + (begin == 0)
    items = (evaluation.examples or heldout(study.task)) + evaluation.probe
    looked = Work(looks * size.forward(2 * items, items * (1 + evaluation.samples)))
    return _step(stages[-1], size).times(lengths[-1]) + looked


def finals(recipe: Recipe, size: Sizes) -> Work:
    """The final tasks of one cell."""
    total = Work()
    for wanted in recipe.final_tasks:
        base, _, protocol = wanted.name.partition("@")
        task = build_task(base, wanted.parameters, "final_tasks")
        items = wanted.limit or heldout(task)
        asked = task.protocols[protocol] if protocol else next(iter(task.protocols.values()))
        total += Work(size.forward(items, items * (wanted.samples or asked.samples)))
    return total


def steps_of(budget: Budget, training: Training) -> int | None:
    """Rollout steps until the first limit that is known beforehand; None where none is."""
    known = [
        budget.steps,
        None if budget.optimizer_steps is None else math.ceil(budget.optimizer_steps / training.updates_per_rollout),
        None if budget.prompts is None else math.ceil(budget.prompts / training.prompts_per_step),
    ]
    return min((steps for steps in known if steps is not None), default=None)


def heldout(task: Task) -> int:
    """How many examples a task holds out, as it declares it: data are not read, only generated."""
    if not task.locations:
        return len(task.heldout)
    said = card(type(task)).heldout.replace(",", "")
    return int(said) if said.isdigit() else UNKNOWN_ITEMS


def _step(stage: Stage, size: Sizes) -> Work:
    needs, training = stage.algorithm.needs, stage.training
    rollouts = needs.rollouts
    if rollouts is None:
        rollouts = training.responses_per_prompt - needs.demonstrations
    prompts, group = training.prompts_per_step, rollouts + needs.demonstrations
    read = size.forward(prompts * group, prompts * group)
    sampled = size.forward(prompts, prompts * rollouts) if rollouts else 0.0
    return Work(sampled, 3 * read + (needs.old + needs.reference) * read)
