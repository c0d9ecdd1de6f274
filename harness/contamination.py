"""Evaluation questions that a run trains on: said before it starts, recorded in every cell, shown below its tables."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tasks.base import Task
from tasks.overlap import with_evaluation_sets


@lru_cache(maxsize=8)
def overlaps(task: Task) -> dict[str, Any]:
    """By evaluation set that shares a question with the task's training prompts: [shared, questions of the set].

    `clean` are the sets that share none, `unseen` those that are not at hand: nothing is downloaded for this.
    """
    found = with_evaluation_sets(task)
    return {
        "shared": {name: [each.count, each.questions] for name, each in found.overlaps.items()},
        "clean": list(found.clean),
        "unseen": dict(found.unseen),
    }


def remarks(task: Task) -> list[str]:
    """What a user must know before training."""
    shared = overlaps(task)["shared"]
    if not shared:
        return []
    listed = ", ".join(f"{count} of the {questions} of {name}" for name, (count, questions) in shared.items())
    return [f"task {task.name} trains on evaluation questions (equal letters and digits): {listed}"]
