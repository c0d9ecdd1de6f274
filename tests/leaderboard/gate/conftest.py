"""Evaluations made by hand or by chance, for the gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from leaderboard.evaluations import CheckpointRecord, Evaluation, Item, ProtocolRecord, TaskEvaluation


def item(name: str, correct: Sequence[float | None], **changes: Any) -> Item:
    """One item; all of its samples alike but for the verdicts."""
    count = len(correct)
    values: dict[str, Any] = {
        "content": f"content of {name}", "strict": list(correct), "tokens": [100] * count, "truncated": [0] * count,
        "timed_out": [0] * count, "answers": ["42"] * count,
    }  # fmt: skip
    return Item(id=name, correct=list(correct), **(values | changes))


def task(name: str, items: Sequence[Item], **changes: Any) -> TaskEvaluation:
    """A complete task of these items, sampled unless `changes` say otherwise."""
    samples = len(items[0].correct) if items else 1
    protocol: dict[str, Any] = {
        "task": name, "parameters": {}, "protocol": "standard", "samples": samples, "temperature": 0.6, "top_p": 0.95,
        "max_tokens": 1024, "seed": 0, "verifier": "v1", "examples": [one.id for one in items], "data": "abc",
    }  # fmt: skip
    return TaskEvaluation(ProtocolRecord(**(protocol | changes)), list(items))  # type: ignore[typeddict-item]


def evaluation(*tasks: TaskEvaluation, name: str = "base", **keys: TaskEvaluation) -> Evaluation:
    checkpoint = CheckpointRecord(name=name, fingerprint=f"sha-{name}", precision="float32", engine="transformers")
    return Evaluation(checkpoint, {one.protocol["task"]: one for one in tasks} | keys)


def scores(values: np.ndarray, **changes: Any) -> list[Item]:
    """Items q0, q1, … of verdicts (N, K)."""
    return [item(f"q{number:04d}", [float(v) for v in row], **changes) for number, row in enumerate(values)]


def right(count: int, accuracy: float, samples: int = 1, seed: int = 0) -> np.ndarray:
    """Verdicts (N, K): exactly that share of right ones for K = 1, else items of unequal difficulty."""
    rng = np.random.default_rng(seed)
    if samples == 1:
        found = np.zeros((count, 1))
        found[: round(accuracy * count)] = 1
        return rng.permutation(found)
    chance = rng.beta(2 * accuracy, 2 * (1 - accuracy), size=count)
    return (rng.random((count, samples)) < chance[:, None]).astype(float)


def worse(values: np.ndarray, lost: int, gained: int = 0) -> np.ndarray:
    """The same with so many items lost and gained."""
    found = values.copy()
    found[np.flatnonzero(values[:, 0] == 1)[:lost]] = 0
    found[np.flatnonzero(values[:, 0] == 0)[:gained]] = 1
    return found


class Made:
    """The functions above, as one fixture."""

    item = staticmethod(item)
    task = staticmethod(task)
    evaluation = staticmethod(evaluation)
    scores = staticmethod(scores)
    right = staticmethod(right)
    worse = staticmethod(worse)


@pytest.fixture(scope="session")
def made() -> Made:
    return Made()
