"""Runs that survive: kills at every phase, signals, damaged checkpoints, full disks, two processes, dying workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness import benchmark, checkpoint, commands, experiment, models, recipe
from harness.lock import Held, lock
from harness.rollout.transformers import TransformersEngine
from harness.stop import Stop, Stopped
from leaderboard import records, runs
from tasks.arithmetic import Arithmetic

ROOT = Path(__file__).parents[2]
GROUPBENCH = Path(sys.executable).with_name("groupbench")
BASE = {
    "name": "b",
    "task": {"name": "arithmetic", "parameters": {"level": 1}},
    "model": "tiny",
    "algorithms": ["gft"],
    "budget": {"steps": 5},
    "training": {"prompts_per_step": 4, "responses_per_prompt": 6, "updates_per_rollout": 2, "learning_rate": 1e-3},
    "sampling": {"max_tokens": 4},
    "evaluation": {"every": 2, "examples": 10, "samples": 2},
    "execution": {"threads": 1, "checkpoint_seconds": 0},
}


def cell_of(**changes):
    (cell,) = benchmark.plan(recipe.parse({**BASE, **changes}, "recipe"), "cpu").cells
    return cell


def run(cell, folder, stop=None):
    told = []
    status = experiment.run_cell(cell, folder, cell.start, lambda _, progress: told.append(progress), stop)
    return status, told


def timeless(folder):
    """All records of a cell, without what is measured in seconds."""

    def strip(record):
        record.pop("seconds", None)
        record.get("counters", {}).pop("seconds", None)
        return record

    return {n: [strip(json.loads(x)) for x in (folder / n).read_text().splitlines()] for n in records.RECORD_FILES}


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory):
    """The same cells, never killed, by algorithm."""
    known = {}

    def get(algorithm):
        if algorithm not in known:
            folder = tmp_path_factory.mktemp("unharmed")
            status, _ = run(cell_of(algorithms=[algorithm]), folder)
            known[algorithm] = status["weights_end"], timeless(folder)
        return known[algorithm]

    return get


def assert_unharmed(folder, expected):
    status = records.read_json(folder / "status.json")
    assert status["state"] == "done"
    assert (status["weights_end"], timeless(folder)) == expected
    assert not (folder / "checkpoints").exists() and not list(folder.rglob("tmp-*"))


# --- kill -9 ---


def die_at(owner, name, nth, before=True):
    """Have this process killed, the hard way, at the nth call of `owner.name`, before or after it does its work."""
    real, calls = getattr(owner, name), []

    def dying(*arguments, **options):
        calls.append(1)
        if len(calls) == nth and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if len(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def torn_append(nth):
    """Have this process killed in the middle of writing a record."""
    calls, real = [], records.append

    def dying(path, lines):
        calls.append(1)
        if len(calls) == nth:
            text = "".join(json.dumps(line) + "\n" for line in lines)
            with path.open("a") as file:
                file.write(text[: len(text) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        real(path, lines)

    records.append = dying


KILLS = {
    "loading": lambda: die_at(models, "load_model", 1),
    "first evaluation": lambda: die_at(TransformersEngine, "generate", 2),
    "first sampling": lambda: die_at(TransformersEngine, "generate", 3),
    "sampling": lambda: die_at(TransformersEngine, "generate", 4),
    "grading": lambda: die_at(Arithmetic, "grade", 200),
    "update": lambda: die_at(torch.optim.AdamW, "step", 3),
    "second update": lambda: die_at(torch.optim.AdamW, "step", 6, before=False),
    "torn step record": lambda: torn_append(9),
    "torn sample record": lambda: torn_append(10),
    "torn evaluation record": lambda: torn_append(13),
    "torn item record": lambda: torn_append(14),
    "first checkpoint, tensors": lambda: die_at(checkpoint, "save_file", 1),
    "checkpoint, after its tensors": lambda: die_at(checkpoint, "save_file", 2, before=False),
    "checkpoint, while hashing": lambda: die_at(checkpoint, "_sha256", 4),
    "checkpoint, before the rename": lambda: die_at(Path, "rename", 2),
    "checkpoint, after the rename": lambda: die_at(Path, "rename", 2, before=False),
    "last evaluation": lambda: die_at(TransformersEngine, "generate", 12),
    "saving the weights": lambda: die_at(models, "save", 1, before=False),
    "last status": lambda: die_at(records, "write_json", 4),
    "clearing up": lambda: die_at(experiment.shutil, "rmtree", 9),
}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("phase", KILLS)
@pytest.mark.parametrize("algorithm", ["gft", "gift@published"])
def test_a_kill_at_any_phase_changes_nothing(phase, algorithm, tmp_path, unharmed):
    expected = unharmed(algorithm)
    cell = cell_of(algorithms=[algorithm])
    child = os.fork()
    if child == 0:
        KILLS[phase]()
        run(cell, tmp_path)
        os._exit(0)
    _, code = os.waitpid(child, 0)
    if phase != "clearing up":  # how many folders there are to clear is no promise
        assert os.WIFSIGNALED(code) and os.WTERMSIG(code) == signal.SIGKILL
        assert experiment.state_of(tmp_path) in {"running", "done"}
    run(cell, tmp_path)
    if experiment.state_of(tmp_path) == "done":
        (tmp_path / "weights").exists()
    status = records.read_json(tmp_path / "status.json")
    assert (status["weights_end"], timeless(tmp_path)) == expected
