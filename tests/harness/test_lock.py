"""One cell, one process: what holds, what lets go, and what counts as dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from harness import lock as locks
from harness.lock import Held, lock

HOLD = """
import sys, time
from pathlib import Path
from harness.lock import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_lock_names_its_holder_and_ends_with_its_block(tmp_path):
    with lock(tmp_path):
        content = json.loads((tmp_path / "lock").read_text())
        assert content["pid"] == os.getpid()
        with pytest.raises(Held, match=f"process {os.getpid()} on "), lock(tmp_path):
            pass
    with lock(tmp_path):
        pass


def test_another_process_is_named_and_a_dead_one_holds_nothing(tmp_path, holder):
    with pytest.raises(Held, match=f"process {holder.pid} on "), lock(tmp_path):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock(tmp_path):
        pass


@pytest.mark.parametrize(("age", "held"), [(10, True), (locks.STALE_SECONDS + 60, False)])
def test_another_machines_lock_is_stale_when_it_was_not_touched_for_long(tmp_path, age, held):
    """Its flock may not reach us: only who is written in the file, and when it was last touched."""
    path = tmp_path / "lock"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 7, "since": "then"}))
    os.utime(path, (time.time() - age,) * 2)
    if held:
        with pytest.raises(Held, match="process 7 on elsewhere"), lock(tmp_path):
            pass
        assert "elsewhere" in path.read_text()
    else:
        with lock(tmp_path):
            assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_holder_keeps_touching_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    with lock(tmp_path):
        os.utime(tmp_path / "lock", (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / "lock").stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / "lock").stat().st_mtime > 0
