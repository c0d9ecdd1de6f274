"""Synthetic results folders, written with the package's own schema."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from leaderboard import evaluations, records


def _hash(spec: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def counters(step: int) -> dict[str, Any]:
    """A run that samples 8 prompts, generates 1000 tokens and takes 2 optimizer steps and 1.5 seconds a step."""
    return {
        "steps": step,
        "optimizer_steps": 2 * step,
        "prompts": 8 * step,
        "generated_tokens": 1000 * step,
        "trained_tokens": 900 * step,
        "flops": 2.5e12 * step,
        "seconds": 1.5 * step,
    }


def step_record(step: int, **changes: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "step": step,
        "counters": counters(step),
        "reward": 0.5,
        "accuracy": 0.5,
        "shaped_reward": 0.5,
        "response_tokens": 12.5,
        "truncated": 0.25,
        "no_answer": 0.125,
        "groups": 6,
        "groups_discarded": 2,
        "refill_rounds": 0,
        "zero_variance_groups": 0.5,
        "responses": {"policy": 24},
        "demonstration_tokens": 10,
        "updates": 2,
        "updates_without_signal": 0,
        "loss": 0.1,
        "grad_norm": 1.0,
        "grad_norm_max": 2.0,
        "learning_rate": 1e-6,
        "metrics": {},
        "seconds": {"sampling": 1.0, "grading": 0.125, "scoring": 0.125, "update": 0.25},
    }
    assert record.keys() | {"mismatch", "reward_cut"} >= changes.keys()
    return record | changes


def eval_record(step: int, mode: str, accuracy: float | None, **changes: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "step": step,
        "split": "heldout",
        "mode": mode,
        "counters": counters(step),
        "accuracy": accuracy,
        "examples": 64,
        "samples": 1 if mode == "greedy" else 4,
        "truncated": 0.0,
        "no_answer": 0.0,
        "response_tokens": 12.5,
        "seconds": 0.5,
    }
    added = {"items", "strict", "timed_out", "reward", "gold", "reward_cut", "kl", "entropy"}
    assert record.keys() | added >= changes.keys()
    return record | changes


def item_records(
    split: str, mode: str, step: int, verdicts: Sequence[Sequence[int]], clusters: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """One record an item; ids sort as the verdicts stand."""
    of: dict[str, Any] = {"step": step, "split": split, "mode": mode}
    found = [
        of | {"id": f"{split}-{n:03d}", "correct": [int(one) for one in correct], "tokens": [12] * len(correct)}
        for n, correct in enumerate(verdicts)
    ]
    for line, cluster in zip(found, clusters or (), strict=False):
        line["cluster"] = cluster
    return found


def mean(values: Sequence[Sequence[float]]) -> float:
    """Over items of the mean over samples."""
    return fmean(fmean(each) for each in values)


class Results:
    """A results folder in the making. Curves are accuracies at steps 0, `every`, 2·`every`, …"""

    def __init__(self, folder: Path, every: int = 2) -> None:
        self.folder, self.every = folder, every
        self.planned: dict[Path, list[dict[str, Any]]] = {}

    def cell(
        self,
        label: str,
        seed: int,
        sampled: Sequence[float] = (),
        greedy: Sequence[float] = (),
        *,
        state: str | None = "done",
        benchmark: str = ".",
        steps: Mapping[int, Mapping[str, Any]] | None = None,
        error: str | None = None,
        items: Mapping[tuple[str, str, int], Sequence[Sequence[int]]] | None = None,
        provenance: Mapping[str, Any] | None = None,
        name: str | None = None,
        clusters: Sequence[str] | None = None,
        **spec: Any,
    ) -> Path:
        """Write one cell and plan it; `state` None only plans it. `steps` changes step records, `spec` the rest.

        `items` are verdicts (items of samples) by (split, mode, step): of an evaluation of the curves, whose accuracy
        they then decide, or of one more; `clusters` are the items'. `name`: the algorithm's, where it is not the label.
        """
        spec = {
            "algorithm": {"name": label} if name is None else {"name": name, "preset": label},
            "task": {"name": "arithmetic"},
            "model": {"name": "tiny"},
            "budget": {"steps": 4},
        } | spec
        row, cell_id = _hash(spec), _hash(spec | {"seed": seed})
        plan = {"id": cell_id, "row": row, "algorithm": label, "task": spec["task"]["name"], "seed": seed}
        self.planned.setdefault(self.folder / benchmark, []).append(plan)
        folder = self.folder / benchmark / "cells" / cell_id
        if state is None:
            return folder
        folder.mkdir(parents=True)
        known = {"commit": "0" * 40} | dict(provenance or {})
        records.write_json(
            folder / "cell.json",
            {"schema": records.SCHEMA, **plan, "spec": spec | {"seed": seed}, "provenance": known},
        )
        items = items or {}
        last = max([self.every * (max(len(sampled), len(greedy)) - 1), *(step for _, _, step in items)])
        evals = [
            eval_record(self.every * i, mode, accuracy)
            for mode, curve in (("sampled", sampled), ("greedy", greedy))
            for i, accuracy in enumerate(curve)
            if ("heldout", mode, self.every * i) not in items
        ]
        for (split, mode, step), verdicts in items.items():
            start, stop = records.append(folder / "items.jsonl", item_records(split, mode, step, verdicts, clusters))
            measured = {"split": split, "examples": len(verdicts), "samples": len(verdicts[0]), "items": [start, stop]}
            evals.append(eval_record(step, mode, mean(verdicts), **measured))
        records.append(folder / "evals.jsonl", evals)
        changes = steps or {}
        records.append(
            folder / "steps.jsonl", [step_record(step, **changes.get(step, {})) for step in range(1, last + 1)]
        )
        status = {"state": state, "step": max(last, 0), "error": error, "seconds": 9.0}
        records.write_json(folder / "status.json", status | {"weights_start": "a", "weights_end": "b"})
        return folder

    def rewarded(
        self,
        label: str,
        seed: int,
        rewards: Mapping[tuple[str, str, int], Sequence[Sequence[float]]],
        gold: Mapping[tuple[str, str, int], Sequence[Sequence[float]]] | None = None,
        changes: Mapping[int, Mapping[str, Any]] | None = None,
        clusters: Sequence[str] | None = None,
        **cell: Any,
    ) -> Path:
        """A finished cell of a task without a verifier: rewards (items of samples) by (split, mode, step), as `cell`'s.

        `changes` are those of the sampled held-out evaluations, by step.
        """
        folder = self.cell(label, seed, items={key: [[0]] * len(each) for key, each in rewards.items()}, **cell)
        (folder / "items.jsonl").unlink()
        (folder / "evals.jsonl").unlink()
        for key, values in rewards.items():
            split, mode, step = key
            lines = item_records(split, mode, step, [[]] * len(values), clusters)
            measured: dict[str, Any] = {"split": split, "examples": len(values), "samples": len(values[0])}
            for name, found in (("reward", values), ("gold", (gold or {}).get(key))):
                if found is not None:
                    measured[name] = mean(found)
                    for line, each in zip(lines, found, strict=True):
                        line[name] = [float(value) for value in each]
            measured["items"] = list(records.append(folder / "items.jsonl", lines))
            if (split, mode) == ("heldout", "sampled"):
                measured |= (changes or {}).get(step, {})
            records.append(folder / "evals.jsonl", [eval_record(step, mode, None, **measured)])
        return folder

    def final(self, folder: Path, task: str, verdicts: Sequence[Sequence[int]]) -> None:
        """Evaluate a cell, or (in its benchmark's folder) the start of the default model, on a final task."""
        if not (folder / "cell.json").exists():
            folder = folder / "start" / "of"
            folder.mkdir(parents=True, exist_ok=True)
            records.write_json(folder / "start.json", {"model": {"name": "tiny"}})
        final = folder / "final"
        final.mkdir(exist_ok=True)
        path = final / evaluations.FILE
        written = records.read_json(path) if path.exists() else {"schema": 1, "checkpoint": {}, "tasks": {}}
        names = [f"q{n}" for n in range(len(verdicts))]
        written["tasks"][task] = {
            "protocol": {"task": task, "samples": max(map(len, verdicts)), "examples": names}, "items": len(names),
            "metrics": {"accuracy": mean(verdicts)},
        }  # fmt: skip
        records.write_json(path, written)
        blocks = []
        for name, each in zip(names, verdicts, strict=True):
            nothing = [0] * len(each)
            blocks.append({"id": name, "content": name, "first": 0, "responses": ["" for _ in each],
                           "answers": ["" for _ in each], "correct": list(each), "strict": list(each),
                           "tokens": nothing, "truncated": nothing, "timed_out": nothing})  # fmt: skip
        (final / task).mkdir(exist_ok=True)
        records.append(final / task / "items.jsonl", blocks)

    def told(
        self, folder: Path, texts: Mapping[str, Sequence[Sequence[str]]], prompts: Sequence[str], answer: str = "42"
    ) -> None:
        """Have the last held-out evaluations of a cell keep texts (items of samples), by mode."""
        evals = list(records.read_lines(folder / "evals.jsonl"))
        last = max(record["step"] for record in evals)
        items = list(records.read_lines(folder / "items.jsonl"))
        for mode, said in texts.items():
            key = {"step": last, "split": "heldout", "mode": mode}
            lines = [item for item in items if key.items() <= item.items()]
            for line, prompt, responses in zip(lines, prompts, said, strict=True):
                line |= {"prompt": prompt, "answer": answer, "texts": list(responses)}
            (record,) = [one for one in evals if key.items() <= one.items()]
            record["items"] = list(records.append(folder / "items.jsonl", lines))
            records.append(folder / "evals.jsonl", [record])  # supersedes the earlier one

    def plan(self) -> Path:
        """Write each benchmark.json, and return the folder."""
        for folder, cells in self.planned.items():
            folder.mkdir(parents=True, exist_ok=True)
            name = folder.name if folder != self.folder else "demo"
            records.write_json(folder / "benchmark.json", {"schema": records.SCHEMA, "name": name, "cells": cells})
        return self.folder


def reward_runs(results: Results, gold: bool = True, task: str = "preference") -> None:
    """Three rows of three seeds of a task without a verifier: gift gains most in reward, and loses in gold."""
    steps, items = np.arange(0, 12, 2), 20
    level = np.random.default_rng(5).normal(-1, 1, (1, items, 1))
    for label, gains in {"grpo": (2.0, 1.0), "gift@released": (5.0, -0.5), "dapo": (2.2, 1.1)}.items():
        for seed in range(3):
            rng = np.random.default_rng([seed, len(label)])
            found: list[dict[tuple[str, str, int], Any]] = [{}, {}]
            for which, gain in enumerate(gains):
                own = gain + 0.1 * rng.normal() + 0.3 * rng.normal(size=(1, items, 1))
                for mode, samples in (("sampled", 4), ("greedy", 1)):
                    curve = level + np.minimum(1, steps / 6)[:, None, None] * own
                    drawn = curve + 0.2 * rng.normal(size=(len(steps), items, samples))
                    found[which] |= {("heldout", mode, int(s)): drawn[n].tolist() for n, s in enumerate(steps)}
            changes = {
                int(s): {"kl": 0.4 * s * gains[0] + 0.1 * seed, "response_tokens": 20 + gains[0] * s} for s in steps
            }
            results.rewarded(label, seed, found[0], found[1] if gold else None, changes, task={"name": task})


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")
