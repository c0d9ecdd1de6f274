"""Trackers show what the records hold, every step once; one that fails takes nothing with it."""

from __future__ import annotations

import json
import struct
import subprocess
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from harness import sinks
from harness.errors import UserError
from harness.jobs import Work, run_cells
from harness.settings import Execution
from harness.sinks import Sinks
from harness.stop import Stop, Stopped
from harness.summary import scalars
from leaderboard import records

EVERY_STEP = {"threads": 1, "checkpoint_seconds": 0}


def cell_with(small, *names, **changes):
    return small.cell(execution={**EVERY_STEP, "sinks": list(names)}, **changes)


def recorded(folder):
    """What must be shown: scalars by step, from the records, in the precision of an event file."""
    rows = {}
    for name in ("steps.jsonl", "evals.jsonl"):
        for record in records.read_lines(folder / name):
            rows.setdefault(record["step"], {}).update(scalars(record))
    return rows


def in_tensorboard(folder):
    """What TensorBoard reads, by step; a name that shows a step twice is an error."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (run,) = (folder / "tensorboard").iterdir()
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    rows = {}
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            row = rows.setdefault(event.step, {})
            assert name not in row, f"{name} at step {event.step} is there twice"
            row[name] = event.value
    return rows


def assert_shown(folder):
    shown, there = in_tensorboard(folder), recorded(folder)
    assert {step: set(row) for step, row in shown.items()} == {step: set(row) for step, row in there.items()}
    for step, row in there.items():
        assert shown[step] == pytest.approx(row, rel=1e-6)


def test_names_are_paths_and_what_is_none_is_left_out():
    step = {"step": 3, "counters": {"flops": 2.0}, "loss": None, "reward": 0.5, "metrics": {"clip_fraction": 0.1},
            "seconds": {"update": 1.0}, "mismatch": None}  # fmt: skip
    assert scalars(step) == {
        "train/reward": 0.5, "spent/flops": 2.0, "metrics/clip_fraction": 0.1, "seconds/update": 1.0,
    }  # fmt: skip
    evaluation = {"step": 3, "split": "probe", "mode": "greedy", "accuracy": 0.25, "items": [0, 9]}
    assert scalars(evaluation) == {"probe/greedy/accuracy": 0.25}


def test_tensorboard_shows_what_the_records_hold(tmp_path, small):
    status, told = small.run(cell_with(small, "tensorboard"), tmp_path)
    assert_shown(tmp_path)
    rows = in_tensorboard(tmp_path)
    assert set(rows) == {0, 1, 2, 3, 4, 5}
    assert {"heldout/sampled/accuracy", "probe/greedy/accuracy", "spent/generated_tokens"} <= set(rows[0])
    assert {"train/reward", "train/grad_norm", "seconds/update"} <= set(rows[1])
    assert not any(p.note for p in told)
    plain, _ = small.run(small.cell(), tmp_path / "plain")
    assert plain["weights_end"] == status["weights_end"]
    assert small.timeless(tmp_path / "plain") == small.timeless(tmp_path)


@pytest.mark.parametrize(
    ("label", "run"),
    [
        ("gift@released(epsilon=0.00316), random reward", "gift@released(epsilon=0.00316), random reward, seed 7"),
        ("../a\\b:c\n*", "..-a-b-c--, seed 7"),
        ("é" * 300, "é" * 50 + ", seed 7"),
    ],
)
def test_tensorboard_calls_a_run_by_label_and_seed(label, run, tmp_path):
    cell = SimpleNamespace(label=label, seed=7, execution=Execution(sinks=("tensorboard",)))
    Sinks(cell, tmp_path, pytest.fail).close()  # type: ignore[arg-type]
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()] == [run]


def test_sinks_are_no_part_of_a_cells_identity(small):
    assert cell_with(small, "tensorboard").id == small.cell().id


@pytest.mark.parametrize("at", [0, 2, 3])
def test_a_resumed_cell_shows_every_step_once(at, tmp_path, small):
    """Stopped before or after an evaluation, and with a step shown that is then trained again."""
    stop = Stop()
    with pytest.raises(Stopped):
        small.run(
            cell_with(small, "tensorboard"), tmp_path, stop,
            on=lambda p: setattr(stop, "number", 15 if p.step >= at and p.sampled is not None else None),
        )  # fmt: skip
    small.run(cell_with(small, "tensorboard"), tmp_path)
    assert len(list((tmp_path / "tensorboard").glob("*/*"))) == 2
    assert_shown(tmp_path)


@pytest.mark.slow(seconds=15)
def test_a_killed_cell_shows_every_step_once(tmp_path, small):
    """Steps behind the checkpoint are shown, lost and trained again."""
    command = small.command(tmp_path, ["execution.sinks=[tensorboard]", "execution.checkpoint_seconds=1e6"])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    folder = small.wait_for_steps(tmp_path / "out", 3)
    process.kill()
    process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert_shown(folder)


def test_a_tracker_that_comes_late_is_shown_what_was_before(tmp_path, small):
    stop = Stop()
    with pytest.raises(Stopped):
        small.run(small.cell(), tmp_path, stop, on=lambda p: setattr(stop, "number", 15 if p.step == 3 else None))
    small.run(cell_with(small, "tensorboard"), tmp_path)
    assert_shown(tmp_path)


@pytest.mark.slow(seconds=15)
def test_worker_processes_have_them_too(tmp_path, small):
    cells = small.cells(
        algorithms=["gft", "grpo@no-kl"], budget={"steps": 2}, execution={"threads": 1, "sinks": ["tensorboard"]}
    )
    works = [Work(cell, tmp_path / cell.id, cell.start) for cell in cells]
    assert run_cells(works, lambda cell, progress: None, lambda text: None, jobs=2) == 0
    for cell in cells:
        assert_shown(tmp_path / cell.id)


# --- a tracker that fails ---


class Broken:
    """A tracker of which one call raises."""

    def __init__(self, broken):
        self.broken, self.calls = broken, []

    def open(self, cell, folder):
        self.call("open")
        return (lambda row, step: self.call("log")), (lambda: self.call("close")), 0

    def call(self, name):
        self.calls.append(name)
        if name == self.broken:
            raise ConnectionError("the tracker is away")


@pytest.mark.parametrize(
    ("broken", "calls"), [("open", 1), ("log", 2), ("close", 8), (None, 8)], ids=["open", "log", "close", "none"]
)
def test_a_tracker_that_fails_is_told_once_and_dropped(broken, calls, tmp_path, small, monkeypatch):
    tracker = Broken(broken)
    monkeypatch.setattr(sinks, "_tensorboard", tracker.open)
    status, told = small.run(cell_with(small, "tensorboard"), tmp_path)
    assert status["state"] == "done" and len(tracker.calls) == calls
    notes = [p.note for p in told if p.note]
    assert notes == ["tensorboard failed and is left out: ConnectionError: the tracker is away"] * (broken is not None)
    assert [p.state for p in told].count("done") == 1


def failing(self, example, response):
    raise RuntimeError("the grader died")


@pytest.mark.parametrize("way", ["failed", "stopped"])
def test_trackers_are_closed_on_every_way_out(way, tmp_path, small, monkeypatch):
    tracker, stop = Broken(None), Stop()
    monkeypatch.setattr(sinks, "_tensorboard", tracker.open)
    cell = cell_with(small, "tensorboard")
    if way == "failed":
        monkeypatch.setattr(type(cell.task), "grade", failing)
    with pytest.raises(Stopped if way == "stopped" else RuntimeError):
        small.run(cell, tmp_path, stop, on=lambda p: setattr(stop, "number", 15 if p.step == 2 else None))
    assert records.read_json(tmp_path / "status.json")["state"] == way
    assert tracker.calls[-1] == "close" and tracker.calls.count("close") == 1


def test_a_missing_package_is_named_while_planning(small, monkeypatch):
    monkeypatch.setattr(sinks, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sinks: wandb is not installed; pip install 'groupbench\[trackers\]'"):
        cell_with(small, "wandb")


def test_an_unknown_sink_is_refused(small):
    with pytest.raises(UserError, match=r"execution.sinks"):
        cell_with(small, "mlflow")


def test_without_sinks_nothing_is_read(tmp_path):
    cell = SimpleNamespace(execution=Execution())
    (tmp_path / "steps.jsonl").write_text("not a record\n" * 2)
    found = Sinks(cell, tmp_path, print)  # type: ignore[arg-type]
    found.show()
    found.close()


# --- the other two, where they are installed ---


def cut_in_two(small, folder, *names):
    """A cell that was stopped at step 3 and went on."""
    stop = Stop()
    with pytest.raises(Stopped):
        small.run(
            cell_with(small, *names), folder, stop, on=lambda p: setattr(stop, "number", 15 if p.step == 3 else None)
        )
    _, told = small.run(cell_with(small, *names), folder)
    assert [p.note for p in told if p.note] == ["goes on from step 3"]


@pytest.mark.optional
@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_offline(tmp_path, small, monkeypatch):
    """Offline, a session does not know of the one before: each has all steps so far, in a folder of its own."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    cut_in_two(small, tmp_path, "wandb")
    sessions = [in_wandb(path) for path in sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb"))]
    there = recorded(tmp_path)
    assert [sorted(session) for session in sessions] == [[0, 1, 2], [0, 1, 2, 3, 4, 5]]
    for step, row in there.items():
        assert sessions[1][step] == pytest.approx(row)


def in_wandb(path):
    """The rows of a run's file by step; a step that is there twice is an error."""
    from wandb.proto.wandb_internal_pb2 import Record

    rows = {}
    for data in chunks(path.read_bytes()):
        record = Record.FromString(data)
        if record.WhichOneof("record_type") == "history":
            row = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
            assert row["_step"] not in rows, f"step {row['_step']} is there twice"
            rows[row["_step"]] = {name: value for name, value in row.items() if not name.startswith("_")}
    return rows


def chunks(content, block=32768):
    """The records of a LevelDB log, which is what a .wandb file is behind its first seven bytes."""
    place, parts = 7, b""
    while place + 7 <= len(content):
        if (left := block - place % block) < 7:  # a header does not cross blocks
            place += left
            continue
        size, kind = struct.unpack_from("<HB", content, place + 4)
        parts, place = parts + content[place + 7 : place + 7 + size], place + 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


@pytest.mark.optional
@pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")
def test_trackio_local(tmp_path, small, monkeypatch):
    from trackio.sqlite_storage import SQLiteStorage

    for module in ("sqlite_storage", "utils"):
        monkeypatch.setattr(f"trackio.{module}.TRACKIO_DIR", tmp_path / "trackio")
    cut_in_two(small, tmp_path / "cell", "trackio")
    (run,) = SQLiteStorage.get_runs("groupbench")
    rows = {}
    for row in SQLiteStorage.get_logs("groupbench", run):
        assert row["step"] not in rows, f"step {row['step']} is there twice"
        rows[row["step"]] = {name: value for name, value in row.items() if "/" in name}
    there = recorded(tmp_path / "cell")
    assert sorted(rows) == sorted(there)
    assert all(rows[step] == pytest.approx(row) for step, row in there.items())
