"""Baselines as the gate meets them, made by chance: what docs/gate.md runs `--aa` on.

    python benchmarks/gate_baselines.py FOLDER

gsm8k: 1,319 greedy answers, 75 % right. gsm8k-200: 200 of them. math500: 500 items, 4 samples each, about half right.
aime24, aime24-25: 30 and 60 items, 32 samples each, about a fifth right. The chance of an item is drawn from a beta
distribution: many are nearly always right or wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from leaderboard.evaluations import CheckpointRecord, Evaluation, Item, ProtocolRecord, TaskEvaluation, write_baseline

TASKS = {  # items, samples, accuracy
    "gsm8k": (1319, 1, 0.75),
    "gsm8k-200": (200, 1, 0.75),
    "math500": (500, 4, 0.5),
    "aime24": (30, 32, 0.2),
    "aime24-25": (60, 32, 0.2),
}


def main(folder: Path) -> None:
    """Write FOLDER/made.json.gz and a gate.yaml beside it."""
    rng = np.random.default_rng(0)
    tasks = {name: task(name, *numbers, rng) for name, numbers in TASKS.items()}
    checkpoint = CheckpointRecord(name="made by chance", fingerprint="chance-0", precision="none", engine="none")
    write_baseline(folder / "made.json.gz", Evaluation(checkpoint, tasks))
    lines = [f"  - {{task: {name}, metric: accuracy, required: true}}" for name in TASKS]
    (folder / "made.yaml").write_text("\n".join(["metrics:", *lines]) + "\n")
    print(f"wrote {folder / 'made.json.gz'} and {folder / 'made.yaml'}")


def task(name: str, count: int, samples: int, accuracy: float, rng: np.random.Generator) -> TaskEvaluation:
    """One task; one sample an item is a greedy answer."""
    chance = rng.beta(accuracy, 1 - accuracy, size=(count, 1))
    right = (rng.random((count, samples)) < chance).astype(int)
    tokens = rng.lognormal(5.5, 0.4, size=(count, samples)).astype(int)
    items = [
        Item(
            id=f"{name}-{number}", content=f"{name}-{number}", correct=row.tolist(), strict=row.tolist(),
            tokens=tokens[number].tolist(), truncated=[0] * samples, timed_out=[0] * samples,
            answers=["0"] * samples,
        )
        for number, row in enumerate(right)
    ]  # fmt: skip
    protocol = ProtocolRecord(
        task=name, parameters={}, protocol="made", samples=samples, temperature=0.6 if samples > 1 else 0.0, top_p=0.95,
        max_tokens=4096, seed=0, verifier="none", examples=[item.id for item in items], data="chance",
    )  # fmt: skip
    return TaskEvaluation(protocol, items)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("."))
