"""Many cells in several processes, several runs on one folder, and faults of the machine: each told, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
import torch

from harness import experiment, jobs
from harness.jobs import Work, run_cells, share_threads
from harness.stop import Stopped
from leaderboard import records
from tasks.arithmetic import Arithmetic

FOUR = {"algorithms": ["gft", "grpo@no-kl"], "seeds": [0, 1], "budget": {"steps": 3}}
LONG = ("budget.steps=60", "evaluation.every=60")  # so that five steps are far from the end
PATIENCE = 400  # seconds that no machine needs, however busy it is: reached only where something hangs
pytestmark = pytest.mark.timeout(3 * PATIENCE)


def works_of(cells, results):
    return [Work(cell, results / cell.id, cell.start) for cell in cells]


def ends(results):
    return {p.parent.name: records.read_json(p)["weights_end"] for p in sorted(results.rglob("status.json"))}


def test_two_processes_give_the_bits_of_one(tmp_path, small):
    cells, told = small.cells(**FOUR), []
    for count in (1, 2):
        said: list[str] = []
        assert run_cells(works_of(cells, tmp_path / str(count)), lambda c, p: told.append(p), said.append, count) == 0
        assert said == []
    assert ends(tmp_path / "1") == ends(tmp_path / "2") and len(ends(tmp_path / "1")) == 4
    for cell in cells:
        assert small.timeless(tmp_path / "1" / cell.id) == small.timeless(tmp_path / "2" / cell.id)
    assert sum(p.state == "done" for p in told) == 8 and max(p.step for p in told) == 3
    pids = {json.loads(p.read_text() or "{}").get("pid") for p in (tmp_path / "2").rglob("lock")}
    assert pids == {None}  # all locks were let go


def test_a_signal_while_the_last_cell_ends_is_heeded(tmp_path, small):
    """What comes after the cells, evaluations and judges, is not begun; the cell is done."""
    (cell,) = small.cells(algorithms=["gft"], budget={"steps": 1})

    def watch(_, progress):
        if progress.state == "done":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="SIGTERM"):
        run_cells(works_of([cell], tmp_path), watch, print, 1)
    assert records.read_json(tmp_path / cell.id / "status.json")["state"] == "done"


def test_threads_are_shared_out_and_the_recipes_number_is_kept(small, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "ALL_THREADS", 8)
    monkeypatch.setattr(jobs.os, "cpu_count", lambda: 8)
    free, fixed = small.cell(execution={}), small.cell(execution={"threads": 3})
    said: list[str] = []
    shared = share_threads(works_of([free, fixed], tmp_path), 3, said.append)
    assert [work.cell.execution.threads for work in shared] == [2, 3]
    assert shared[0].cell.id == free.id
    assert "2 threads a cell" in said[0] and "9 threads on 8 cores" in said[1]
    assert (
        share_threads(works_of([free], tmp_path), 1, said.append)[0].cell.execution.threads is None and len(said) == 2
    )


def test_a_worker_that_dies_fails_its_cell_and_the_others_go_on(tmp_path, small):
    """As the kernel does when memory runs out."""
    cells = small.cells(algorithms=["gft", "grpo@no-kl"], budget={"steps": 30})
    told, killed = [], []

    def watch(cell, progress):
        told.append((cell, progress))
        if progress.step == 4 and not killed:
            pid = json.loads((tmp_path / cell.id / "lock").read_text())["pid"]
            assert pid != os.getpid()
            os.kill(pid, signal.SIGKILL)
            killed.append(cell)

    assert run_cells(works_of(cells, tmp_path), watch, print, 2) == 1
    (victim,) = killed
    status = records.read_json(tmp_path / victim.id / "status.json")
    assert status["state"] == "failed" and status["error"].startswith(
        "its process was killed by SIGKILL; out of memory?"
    )
    (other,) = [cell for cell in cells if cell is not victim]
    assert experiment.state_of(tmp_path / other.id) == "done"
    assert [p.error for c, p in told if c is victim][-1] == status["error"]
    small.run(victim, tmp_path / victim.id)
    assert small.sessions(tmp_path / victim.id)[-1]["resumed_from"] >= 3
    again, _ = small.run(victim, tmp_path / "whole")
    assert records.read_json(tmp_path / victim.id / "status.json")["weights_end"] == again["weights_end"]


@pytest.mark.slow
def test_a_worker_that_is_asked_to_end_is_replaced_and_its_cell_goes_on(tmp_path, small):
    """SIGTERM to one process alone, as a monitor of memory sends it: no other cell may suffer."""
    cells, asked = small.cells(algorithms=["gft", "grpo@no-kl"], budget={"steps": 30}), []

    def watch(cell, progress):
        if progress.step == 4 and not asked:
            os.kill(json.loads((tmp_path / cell.id / "lock").read_text())["pid"], signal.SIGTERM)
            asked.append(cell)

    assert run_cells(works_of(cells, tmp_path), watch, print, 2) == 0
    assert [experiment.state_of(tmp_path / cell.id) for cell in cells] == ["done", "done"]
    assert small.sessions(tmp_path / asked[0].id)[-1]["resumed_from"] >= 4
    assert len(small.sessions(tmp_path / next(c.id for c in cells if c is not asked[0]))) == 1


@pytest.mark.slow
def test_two_runs_share_a_folder_and_wait_for_each_others_cells(tmp_path, small):
    """Started together on one cell: one trains, the other waits; both end with the table."""
    command = small.command(tmp_path, ["budget.steps=40"])
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    trains = json.loads((small.wait_for_steps(tmp_path / "out", 1) / "lock").read_text())["pid"]
    (other,) = [process for process in both if process.pid != trains]
    os.kill(trains, signal.SIGSTOP)  # or it might be done before the other has looked
    try:
        assert any("is being run by process" in line for line in other.stdout)
    finally:
        os.kill(trains, signal.SIGCONT)
    said = {process.pid: process.communicate(timeout=PATIENCE)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0], said
    assert "is being run by process" not in said[trains]
    assert "another process has finished it" in said[other.pid]
    (folder,) = (tmp_path / "out" / "cells").iterdir()
    assert [s["step"] for s in small.timeless(folder)["steps.jsonl"]] == list(range(1, 41))
    assert len(small.sessions(folder)) == 1


@pytest.mark.slow
def test_a_plug_in_trains_in_worker_processes(tmp_path, small, capsys):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from algorithms import Algorithm, Loss, register\n"
        "from algorithms.ops import sequence_sum\n"
        "@register('mine')\nclass Mine(Algorithm):\n"
        "    def loss(self, signals, batch):\n"
        "        return Loss(-(batch.advantage * sequence_sum(signals.logp, batch)).sum() / batch.totals.responses)\n"
    )
    command = small.command(
        tmp_path, ["--jobs", "2", "--plugin", str(plugin)], algorithms=["mine"], budget={"steps": 2}
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(ends(tmp_path / "out").values()) != [None]


# --- a run of several processes, asked to stop or killed ---


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, small):
    """The results of LONG, by one process to which nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    command = small.command(folder, ["--jobs", "1", *LONG], **FOUR)
    assert subprocess.run(command, stdout=subprocess.DEVNULL, timeout=PATIENCE).returncode == 0
    return folder / "out"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_with_workers_stops_and_goes_on(number, tmp_path, small, undisturbed):
    command = small.command(tmp_path, ["--jobs", "2", *LONG], **FOUR)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    small.wait_for_steps(tmp_path / "out", 5)
    os.killpg(process.pid, number)  # all of them, as a terminal or a scheduler does
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number, said
    assert_nobody_left(process.pid)
    states = [experiment.state_of(p) for p in (tmp_path / "out" / "cells").iterdir()]
    assert "stopped" in states and "failed" not in states and "running" not in states
    assert_ends_as_undisturbed(command, tmp_path / "out", undisturbed, small)


@pytest.mark.slow
def test_workers_of_a_killed_run_save_and_end(tmp_path, small, undisturbed):
    command = small.command(tmp_path, ["--jobs", "2", *LONG], **FOUR)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    small.wait_for_steps(tmp_path / "out", 5)
    process.kill()
    process.wait()
    assert_nobody_left(process.pid)
    assert_ends_as_undisturbed(command, tmp_path / "out", undisturbed, small)


def assert_nobody_left(group):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("a worker outlived its run")


def assert_ends_as_undisturbed(command, results, undisturbed, small):
    assert subprocess.run(command, stdout=subprocess.DEVNULL, timeout=PATIENCE).returncode == 0
    found = ends(results)
    assert found == ends(undisturbed) and len(found) == 4
    for name in found:
        assert small.timeless(results / "cells" / name) == small.timeless(undisturbed / "cells" / name)


# --- faults ---


def test_a_reward_that_is_no_number_is_told_and_nothing_is_lost(tmp_path, small, monkeypatch):
    real, calls = Arithmetic.grade, []

    def sick(self, example, response):
        calls.append(1)
        grade = real(self, example, response)
        return type(grade)(float("nan"), grade.correct, grade.extracted) if len(calls) == 160 else grade

    monkeypatch.setattr(Arithmetic, "grade", sick)
    assert run_cells([Work(small.cell(), tmp_path, small.cell().start)], lambda *_: None, print) == 1
    status = records.read_json(tmp_path / "status.json")
    assert status["state"] == "failed" and "the reward is nan, not a number" in status["error"]
    assert status["step"] > 1
    _, told = small.run(small.cell(), tmp_path)
    assert told[0].note == f"goes on from step {status['step']}"
    small.assert_unharmed(tmp_path, "gft")


def test_memory_that_runs_out_names_the_settings_that_help(tmp_path, small, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore words")

    monkeypatch.setattr(experiment.Trainer, "step", full)
    assert run_cells([Work(small.cell(), tmp_path, small.cell().start)], lambda *_: None, print) == 1
    error = records.read_json(tmp_path / "status.json")["error"]
    assert "Tried to allocate" in error and "execution.micro_batch_tokens" in error and "\n" not in error


MOUNTED = """
set -e
mount -t tmpfs -o size=$SIZE groupbench {folder}
{first} && exit 90
echo "=== $?"
mount -o remount,{remount} {folder}
{second}
cp -r {folder} {copy}
"""


def in_a_mount(tmp_path, command, size, first, remount):
    """Run `first` on a small file system of its own, change it by `remount`, run the command; returns what was said."""
    script = MOUNTED.format(
        folder=tmp_path / "out", first=first, remount=remount, second=" ".join(command), copy=tmp_path / "copy"
    )
    (tmp_path / "out").mkdir()
    called = ["unshare", "--mount", "--map-root-user", "sh", "-c", script]
    done = subprocess.run(called, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, "SIZE": size})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("=== ")


def quoted(command):
    return [f"'{part}'" for part in command]


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(tmp_path, small):
    command = quoted(small.command(tmp_path, ["execution.keep_checkpoints=1"]))
    # One checkpoint of the tiny model is 3.6 MB: there is room for one, and for the half of another.
    first, second = in_a_mount(tmp_path, command, "6m", " ".join(command), "size=64m")
    assert "No space left on device" in first and "could not be written" in first
    assert "failed after" in first
    assert second.startswith("1\n") and "goes on from step 1" in second
    (folder,) = (tmp_path / "copy" / "cells").iterdir()
    small.assert_unharmed(folder, "gft")


@pytest.mark.slow
def test_a_read_only_folder_is_told_before_a_model_is_loaded(tmp_path, small):
    command = quoted(small.command(tmp_path))
    first = f"mount -o remount,ro {tmp_path / 'out'} && {' '.join(command)} 2>&1"
    said, second = in_a_mount(tmp_path, command, "64m", first, "rw")
    assert "results folder" in said and "Read-only file system" in said and "Traceback" not in said
    assert second.startswith("2\n") and "convergence-arithmetic.svg" in second
