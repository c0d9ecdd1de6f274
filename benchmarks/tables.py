"""How long the leaderboard's tables take on many runs.

    python benchmarks/tables.py [--tasks 10 --algorithms 10 --seeds 10 --evaluations 200 --items 100] [--out FOLDER]

Makes a results folder of tasks × algorithms × seeds finished runs, each with so many evaluations (greedy and sampled,
held out and probe) and steps, and times what `groupbench leaderboard` does, from reading the records to the last file,
with and without the figures. Item lines are made for the first and the last evaluation: no table reads the others,
which would be gigabytes. The page (index.html and leaderboard.json) and the pages of the runs are timed apart, with
their sizes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leaderboard import records
from leaderboard.build import build
from leaderboard.loading import load
from leaderboard.page import index
from leaderboard.page.runs import write_runs
from leaderboard.selection import Archive


@dataclass(frozen=True)
class Size:
    """Of the results folder."""

    tasks: int = 10
    algorithms: int = 10
    seeds: int = 10
    evaluations: int = 200
    items: int = 100

    @property
    def runs(self) -> int:
        """All of them."""
        return self.tasks * self.algorithms * self.seeds


def make(folder: Path, size: Size) -> None:
    """Write the runs: algorithm a gains a points more than algorithm 0, seeds differ by a point, items by thirty."""
    for task in range(size.tasks):
        root = folder / f"task-{task}"
        rng = np.random.default_rng(task)
        easy = rng.normal(0, 0.3, size.items)
        planned = []
        for algorithm in range(size.algorithms):
            for seed in range(size.seeds):
                ability = 0.2 + 0.01 * algorithm + 0.01 * rng.normal()
                planned.append(_cell(root, (task, algorithm, seed), size, ability, easy, rng))
        records.write_json(
            root / "benchmark.json", {"schema": records.SCHEMA, "name": f"task-{task}", "cells": planned}
        )


def seconds(folder: Path, out: Path, figures: bool) -> float:
    """Of everything between the records and the last file."""
    began = time.perf_counter()
    _built = build(folder, out, figures=figures)  # letting go of it is not what is measured
    return time.perf_counter() - began


def page(folder: Path, out: Path) -> tuple[float, int]:
    """Seconds from the finished tables to the written page, and the page's bytes."""
    built = build(folder, out, figures=False)
    began = time.perf_counter()
    html, _ = index.write(built, out)
    return time.perf_counter() - began, html.stat().st_size


def run_pages(archive: Archive, out: Path) -> tuple[float, int, int]:
    """Seconds of writing a page for each run once its records are read, and bytes: of all pages, and of the largest."""
    began = time.perf_counter()
    sizes = [path.stat().st_size for path in write_runs(archive, out)]
    return time.perf_counter() - began, sum(sizes), max(sizes)


def main() -> None:
    """Make the runs, and time tables, the page and the pages of runs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, value in vars(Size()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--out", type=Path, help="kept, and used again where it is there")
    asked = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as scratch:
        folder, size = asked.pop("out") or Path(scratch) / "results", Size(**asked)
        if not folder.exists():
            make(folder, size)
        print(f"{size.runs} runs x {size.evaluations} evaluations x 2 modes x 2 splits, {size.items} items")
        for figures in (False, True):
            took = seconds(folder, Path(scratch) / "out", figures)
            print(f"{'tables and figures' if figures else 'tables'}: {took:.2f} s", flush=True)
        took, size_bytes = page(folder, Path(scratch) / "out")
        print(f"page, after the tables: {took:.2f} s, {size_bytes / 1e6:.2f} MB", flush=True)
        took, whole, largest = run_pages(Archive(load(folder)), Path(scratch) / "out")
        print(f"{size.runs} run pages: {took:.2f} s, {whole / 1e6:.0f} MB, the largest {largest / 1e3:.0f} kB")


def _cell(
    root: Path, place: tuple[int, int, int], size: Size, ability: float, easy: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    task, algorithm, seed = place
    name, row = f"algorithm-{algorithm}", f"{task:08x}{algorithm:08x}"
    folder = root / "cells" / f"{row}-{seed}"
    folder.mkdir(parents=True)
    plan = {"id": folder.name, "row": row, "algorithm": name, "task": f"task-{task}", "seed": seed}
    spec = {
        "algorithm": {"name": name}, "task": {"name": f"task-{task}"}, "model": {"name": "model"},
        "budget": {"steps": size.evaluations - 1}, "training": {"learning_rate": 1e-6}, "seed": seed,
    }  # fmt: skip
    record = {"schema": records.SCHEMA, **plan, "spec": spec, "provenance": {"commit": "0" * 40}}
    records.write_json(folder / "cell.json", record)
    steps = [_step(step) for step in range(1, size.evaluations)]
    records.append(folder / "steps.jsonl", steps)
    evals = []
    for step in range(size.evaluations):
        share = step / max(1, size.evaluations - 1)
        for mode, samples in (("greedy", 1), ("sampled", 4)):
            for split in records.SPLITS:
                chance = np.clip(0.3 + ability * share + easy, 0, 1)
                evals.append(_evaluation(step, split, mode, size.items, samples, float(chance.mean())))
                if step in (0, size.evaluations - 1):
                    right = (rng.random((size.items, samples)) < chance[:, None]).astype(int)
                    lines = [
                        {"step": step, "split": split, "mode": mode, "id": f"{split}-{n}", "correct": one,
                         "tokens": [12] * samples}
                        for n, one in enumerate(right.tolist())
                    ]  # fmt: skip
                    if step and split == "heldout":  # as the last evaluation of a run keeps them
                        lines = [line | _texts(n, samples) for n, line in enumerate(lines)]
                    evals[-1]["accuracy"] = float(right.mean())
                    evals[-1]["items"] = list(records.append(folder / "items.jsonl", lines))
    records.append(folder / "evals.jsonl", evals)
    status = {"state": "done", "step": size.evaluations - 1, "error": None, "seconds": 9.0}
    records.write_json(folder / "status.json", status | {"weights_start": "a", "weights_end": "b"})
    return plan


def _texts(number: int, samples: int) -> dict[str, Any]:
    """About as long as an answer to a school problem."""
    said = [f"First {number} + {n} = {number + n}. " + "Then one goes on, step by step. " * 8 for n in range(samples)]
    return {"prompt": f"What is {number} + 1? " * 8, "answer": str(number + 1), "texts": said}


def _counters(step: int) -> dict[str, Any]:
    return {
        "steps": step, "optimizer_steps": 4 * step, "prompts": 16 * step, "generated_tokens": 1000 * step,
        "trained_tokens": 1000 * step, "flops": 2.5e12 * step, "seconds": 1.5 * step,
    }  # fmt: skip


def _evaluation(step: int, split: str, mode: str, items: int, samples: int, accuracy: float) -> dict[str, Any]:
    return {
        "step": step, "split": split, "mode": mode, "counters": _counters(step), "accuracy": accuracy,
        "examples": items, "samples": samples, "truncated": 0.0, "no_answer": 0.0, "response_tokens": 12.0,
        "seconds": 0.5,
    }  # fmt: skip


def _step(step: int) -> dict[str, Any]:
    return {
        "step": step, "counters": _counters(step), "reward": 0.5, "accuracy": 0.5, "shaped_reward": 0.5,
        "response_tokens": 12.5, "truncated": 0.25, "no_answer": 0.125, "groups": 16, "groups_discarded": 0,
        "refill_rounds": 0, "zero_variance_groups": 0.5, "responses": {"policy": 128}, "demonstration_tokens": 0,
        "updates": 4, "updates_without_signal": 0, "loss": 0.1, "grad_norm": 1.0, "grad_norm_max": 2.0,
        "learning_rate": 1e-6, "metrics": {"clip_fraction": 0.01, "ratio_mean": 1.0}, "mismatch": None,
        "seconds": {"sampling": 1.0, "grading": 0.125, "scoring": 0.125, "update": 0.25},
    }  # fmt: skip


if __name__ == "__main__":
    main()
