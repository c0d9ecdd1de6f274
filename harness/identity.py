"""What a run is, as its specification has it: what could change the result, and nothing else."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from algorithms import Algorithm
from leaderboard.records import content_hash
from tasks.base import Task
from tasks.data import fingerprint
from tasks.dev import DevSplit
from tasks.rewards.rewarded import Rewarded
from tasks.wrapped import Wrapped, innermost

from .settings import Budget, Recipe, Training
from .sources import source_hash


def task_identity(task: Task) -> dict[str, Any]:
    """The task by what its data are, not by where they lie: the Hub and a folder with the same rows are one task.

    What is trained on counts as well as what is asked: the hash covers demonstrations, and a third party's grader; ours
    by the number that it gives itself, from the second on.
    """
    whole, around, parameters = innermost(task), task, task_parameters(task)
    while isinstance(around, Wrapped):
        if isinstance(around, DevSplit):
            parameters["dev_share"] = around.share
        around = around.task
    shown = [task.demonstrate(e, s, 2, 0) for s in sorted(task.demonstration_sources) for e in task.train]
    data = [fingerprint((*task.train, *task.heldout)), content_hash(shown)]
    identity = {"name": task.name, "parameters": parameters, "data": content_hash(data), "source": source_hash(whole)}
    verifier = whole.verifier.partition(" ")[0]  # ours alone: versions of libraries are provenance here too
    return identity | ({} if verifier == "1" else {"verifier": verifier})


def task_parameters(task: Task) -> dict[str, Any]:
    """Those of the task itself that say what is asked, and not where it lies."""
    whole = innermost(task)
    return {name: value for name, value in asdict(whole).items() if name not in whole.locations}  # type: ignore[call-overload]


def reward_identity(task: Task) -> dict[str, Any]:
    """What rates responses in the verifier's place, where something does."""
    if not isinstance(task, Rewarded):
        return {}
    reward = task.reward
    return {"reward": reward.identity | ({} if (source := source_hash(reward)) is None else {"source": source})}


def stage_identity(algorithm: Algorithm, training: Training, budget: Budget) -> dict[str, Any]:
    """What is a stage's own."""
    named = {"name": algorithm.name, "parameters": asdict(algorithm), "source": source_hash(algorithm)}
    return {"algorithm": named, "training": asdict(training), "budget": asdict(budget)}


def protocol_identity(recipe: Recipe) -> dict[str, Any]:
    """How all cells of a recipe are sampled and looked at."""
    return {
        "sampling": asdict(recipe.sampling),
        "rollout": {"engine": recipe.rollout.engine},
        "evaluation": {k: v for k, v in asdict(recipe.evaluation).items() if k != "drift" or v},
    }
