"""A killed or stopped run ends as one that was never touched: same weights, records neither lost nor doubled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from harness import checkpoint, experiment, models
from harness.rollout.transformers import TransformersEngine
from harness.stop import Stop, Stopped
from leaderboard import records
from tasks.arithmetic import Arithmetic

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
        return real(path, lines)

    records.append = dying


KILLS = {  # phase: the step that a new session goes on from, and how to die there
    "loading": (0, lambda: die_at(models, "load_model", 1)),
    "first evaluation": (0, lambda: die_at(TransformersEngine, "generate", 2)),
    "first sampling": (0, lambda: die_at(TransformersEngine, "generate", 3)),
    "sampling": (1, lambda: die_at(TransformersEngine, "generate", 4)),
    "grading": (4, lambda: die_at(Arithmetic, "grade", 250)),
    "first update of a step": (1, lambda: die_at(torch.optim.AdamW, "step", 3)),
    "after the second": (2, lambda: die_at(torch.optim.AdamW, "step", 6, before=False)),
    "torn step record": (1, lambda: torn_append(11)),
    "torn sample record": (1, lambda: torn_append(12)),
    "torn evaluation record": (1, lambda: torn_append(14)),
    "torn item record": (1, lambda: torn_append(19)),
    "first checkpoint": (0, lambda: die_at(checkpoint, "save_file", 1)),
    "checkpoint, after its tensors": (1, lambda: die_at(checkpoint, "save_file", 2, before=False)),
    "checkpoint, while hashing": (1, lambda: die_at(checkpoint, "_sha256", 4)),
    "checkpoint, before the rename": (1, lambda: die_at(Path, "rename", 2)),
    "checkpoint, after the rename": (2, lambda: die_at(Path, "rename", 2, before=False)),
    "last evaluation": (4, lambda: die_at(TransformersEngine, "generate", 12)),
    "saving the weights": (4, lambda: die_at(models, "save", 1, before=False)),
    "last status": (4, lambda: die_at(records, "write_json", 4)),
}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("phase", KILLS)
@pytest.mark.parametrize("algorithm", ["gft", "gift@published"])
def test_a_kill_at_any_phase_changes_nothing(phase, algorithm, tmp_path, small):
    killed_and_resumed(KILLS[phase], algorithm, tmp_path, small)


CHAIN = {"stages": [{"name": "sft", "budget": {"steps": 2}}, {"name": "gft"}]}
OF_A_CHAIN = {  # its last stage begins at step 2
    "copying the earlier records": (2, lambda: die_at(shutil, "copyfile", 3)),
    "first sampling": (2, lambda: die_at(TransformersEngine, "generate", 1)),
    "second sampling": (3, lambda: die_at(TransformersEngine, "generate", 2)),
    "torn item record": (3, lambda: torn_append(5)),
    "checkpoint, before the rename": (2, lambda: die_at(Path, "rename", 1)),
    "last status": (6, lambda: die_at(records, "write_json", 4)),
}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("phase", OF_A_CHAIN)
def test_a_kill_of_a_chains_stage_changes_nothing(phase, tmp_path, small):
    small.stage(small.cell(algorithms=[CHAIN]).after)
    killed_and_resumed(OF_A_CHAIN[phase], CHAIN, tmp_path, small)


def test_a_chain_that_is_stopped_before_its_first_step_goes_on(tmp_path, small):
    cell, stop = small.cell(algorithms=[CHAIN]), Stop()
    with pytest.raises(Stopped):
        small.run(cell, tmp_path, stop, on=lambda p: setattr(stop, "number", 15 if p.step == 2 else None))
    assert records.read_json(tmp_path / "status.json")["step"] == 2
    small.run(cell, tmp_path)
    small.assert_unharmed(tmp_path, CHAIN)


def killed_and_resumed(kill, algorithm, tmp_path, small):
    from_step, die = kill
    cell = small.cell(algorithms=[algorithm])
    child = os.fork()
    if child == 0:
        die()
        small.run(cell, tmp_path)
        os._exit(0)
    _, code = os.waitpid(child, 0)
    assert os.WIFSIGNALED(code) and os.WTERMSIG(code) == signal.SIGKILL
    assert experiment.state_of(tmp_path) == "running"
    small.run(cell, tmp_path)
    assert small.sessions(tmp_path)[-1]["resumed_from"] == from_step
    small.assert_unharmed(tmp_path, algorithm)


def test_random_generators_that_a_plug_in_draws_from_go_on_too(tmp_path, small, monkeypatch):
    """Our own draws are hashes; a third party's loss may use torch's generator, and must resume all the same."""
    real = Arithmetic.grade

    def noisy(self, example, response):
        torch.rand(1 + len(response))
        grade = real(self, example, response)
        return type(grade)(float(torch.rand(())), grade.correct, grade.extracted)

    monkeypatch.setattr(Arithmetic, "grade", noisy)
    whole, _ = small.run(small.cell(), tmp_path / "whole")
    torch.rand(7)  # whatever ran before in this process
    stop = Stop()
    with pytest.raises(Stopped):
        small.run(
            small.cell(), tmp_path / "cut", stop, on=lambda p: setattr(stop, "number", 15 if p.step == 3 else None)
        )
    again, _ = small.run(small.cell(), tmp_path / "cut")
    assert again["weights_end"] == whole["weights_end"]
    assert small.timeless(tmp_path / "cut") == small.timeless(tmp_path / "whole")


# --- SIGTERM and Ctrl-C ---


def test_a_run_asked_to_stop_saves_and_goes_on(tmp_path, small):
    """Even where no checkpoint is due for long."""
    cell, stop = small.cell(execution={"threads": 1, "checkpoint_seconds": 1e6}), Stop()

    def ask(progress):
        if progress.step == 3:
            stop.number = signal.SIGTERM

    with pytest.raises(Stopped):
        small.run(cell, tmp_path, stop, on=ask)
    status = records.read_json(tmp_path / "status.json")
    assert (status["state"], status["step"], status["error"]) == ("stopped", 3, "stopped by SIGTERM")
    _, told = small.run(cell, tmp_path)
    assert told[0].note == "goes on from step 3" and told[0].step == 3 and told[0].sampled is not None
    small.assert_unharmed(tmp_path, "gft")


@pytest.mark.parametrize(
    ("slow", "nth", "saved"), [("sampling", 5, 2), ("evaluation", 6, 2), ("update", 5, None), ("update", 6, None)]
)
def test_a_step_longer_than_the_grace_is_left_unfinished(slow, nth, saved, tmp_path, small, monkeypatch):
    """While it samples or evaluates, the state after the last step is still whole and is saved. Once it has updated,
    that state is gone: the last checkpoint, here none, is what remains."""
    cell, stop, calls = small.cell(execution={"threads": 1, "checkpoint_seconds": 1e6}), Stop(0.3), []
    owner, name = (torch.optim.AdamW, "step") if slow == "update" else (TransformersEngine, "generate")
    real = getattr(owner, name)

    def stuck(*arguments, **options):
        calls.append(1)
        result = real(*arguments, **options)
        if len(calls) == nth:
            os.kill(os.getpid(), signal.SIGTERM)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                time.sleep(0.01)
        return result

    monkeypatch.setattr(owner, name, stuck)
    before = signal.signal(signal.SIGTERM, stop.handle)
    try:
        began = time.monotonic()
        with pytest.raises(Stopped):
            small.run(cell, tmp_path, stop)
        assert time.monotonic() - began < 10
    finally:
        signal.signal(signal.SIGTERM, before)
        stop.end()
    monkeypatch.setattr(owner, name, real)
    assert experiment.state_of(tmp_path) == "stopped"
    small.run(cell, tmp_path)
    assert small.sessions(tmp_path)[-1]["resumed_from"] == (saved or 0)
    small.assert_unharmed(tmp_path, "gft")


@pytest.mark.parametrize(
    ("write", "saved"),
    [(21, 0), (22, 0), (14, 2), (19, 2)],
    ids=["step record", "sample record", "evaluation record", "item record"],
)
def test_a_stop_between_a_step_and_its_records_loses_neither(write, saved, tmp_path, small, monkeypatch):
    """The deadline may strike anywhere: what is saved is a state with all its records, or nothing."""
    cell, real, calls = small.cell(execution={"threads": 1, "checkpoint_seconds": 1e6}), records.append, []

    def struck(path, lines):
        calls.append(path.name)
        if len(calls) == write:
            raise Stopped
        return real(path, lines)

    monkeypatch.setattr(records, "append", struck)
    with pytest.raises(Stopped):
        small.run(cell, tmp_path)
    monkeypatch.setattr(records, "append", real)
    small.run(cell, tmp_path)
    assert small.sessions(tmp_path)[-1]["resumed_from"] == saved
    small.assert_unharmed(tmp_path, "gft")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_command_within_the_grace(number, tmp_path, small):
    """The command as a scheduler, or a person, meets it."""
    command = small.command(tmp_path, ["budget.steps=400", "evaluation.every=400"])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    folder = small.wait_for_steps(tmp_path / "out", 5)
    began = time.monotonic()
    process.send_signal(number)
    said, warned = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert ("finishing the step" in warned) == (number == signal.SIGINT)
    assert process.returncode == 128 + number and "the same command goes on" in said
    status = records.read_json(folder / "status.json")
    assert status["state"] == "stopped" and 5 <= status["step"] < 400
    newest = checkpoint.load(checkpoint.found(folder / "checkpoints")[0], folder.name)
    assert newest.step == status["step"]


# --- damage ---


def stopped_at_step_4(small, folder):
    stop = Stop()
    with pytest.raises(Stopped):
        small.run(small.cell(), folder, stop, on=lambda p: setattr(stop, "number", 15 if p.step == 4 else None))
    return checkpoint.found(folder / "checkpoints")


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(tmp_path, small):
    newest, before = stopped_at_step_4(small, tmp_path)
    tensors = newest / checkpoint.TENSORS
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"?")
    _, told = small.run(small.cell(), tmp_path)
    assert "step-00000004 is skipped: tensors.safetensors is not what was written" in told[0].note
    assert before.name == "step-00000003" and told[1].note == "goes on from step 3"
    small.assert_unharmed(tmp_path, "gft")


def test_what_was_skipped_does_not_push_out_what_is_saved_since(tmp_path, small):
    for path in stopped_at_step_4(small, tmp_path):
        (path / checkpoint.STATE).write_text("{}")
    stop = Stop()
    with pytest.raises(Stopped):
        small.run(small.cell(), tmp_path, stop, on=lambda p: setattr(stop, "number", 15 if p.step == 2 else None))
    assert [path.name for path in checkpoint.found(tmp_path / "checkpoints")] == ["step-00000002", "step-00000001"]
    small.run(small.cell(), tmp_path)
    assert [s["resumed_from"] for s in small.sessions(tmp_path)] == [0, 2]
    small.assert_unharmed(tmp_path, "gft")


def test_no_signal_cuts_the_saving_short(tmp_path, small, monkeypatch):
    """The deadline, and a person who presses Ctrl-C once more, come while the checkpoint is written."""
    stop, real = Stop(0.2), checkpoint.save_file

    def slow(*arguments):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        real(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", slow)
    before = signal.signal(signal.SIGINT, stop.handle)
    try:
        with pytest.raises(Stopped):
            small.run(
                small.cell(execution={"threads": 1, "checkpoint_seconds": 1e6}), tmp_path, stop,
                on=lambda p: p.step == 3 and stop.number is None and os.kill(os.getpid(), signal.SIGINT),
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
        stop.end()
    assert experiment.state_of(tmp_path) == "stopped"
    monkeypatch.undo()
    small.run(small.cell(), tmp_path)
    assert small.sessions(tmp_path)[-1]["resumed_from"] == 3
    small.assert_unharmed(tmp_path, "gft")


def test_where_all_checkpoints_are_damaged_the_cell_begins_anew(tmp_path, small):
    for path in stopped_at_step_4(small, tmp_path):
        (path / checkpoint.MANIFEST).unlink()
    _, told = small.run(small.cell(), tmp_path)
    assert [("is skipped: manifest.json is missing" in (p.note or "")) for p in told[:2]] == [True, True]
    small.assert_unharmed(tmp_path, "gft")


def test_records_that_were_lost_are_made_again(tmp_path, small):
    """A checkpoint whose records are gone would leave a hole in the curves."""
    stopped_at_step_4(small, tmp_path)
    lines = (tmp_path / "steps.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "steps.jsonl").write_text("".join(lines[:3]))
    _, told = small.run(small.cell(), tmp_path)
    assert "step-00000004 is skipped" in told[0].note and "steps.jsonl has" in told[0].note
    assert told[1].note == "goes on from step 3"
    small.assert_unharmed(tmp_path, "gft")


@pytest.mark.slow(seconds=80)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("algorithm", ["gft", "grpo"])
def test_kills_at_random_instants(algorithm):
    """Six, through the command; `python benchmarks/kill.py` makes 25, and above there is one in each phase."""
    script = Path(__file__).parents[2] / "benchmarks" / "kill.py"
    options = ["--kills", "4" if algorithm == "gft" else "2", "--steps", "8", "--algorithm", algorithm]
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
