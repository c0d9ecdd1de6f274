"""One cell, one process: a lock that a dead process does not keep.

On one machine the kernel holds the lock (flock) and lets go of it when its process ends, however it ends. Network file
systems may keep flock to each machine alone, so the holder also writes who it is into the file and touches it every
BEAT_SECONDS; a lock of another machine counts as stale when it has not been touched for STALE_SECONDS. What this cannot
do, where flock does not reach: keep two machines apart that begin the same cell within the same instant.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

BEAT_SECONDS = 15
STALE_SECONDS = 180
NAME = "lock"


class Held(Exception):
    """Another process has the folder; the message says which."""


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold `folder`, which must exist, while the block runs. Raises Held at once where another process does."""
    with (folder / NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(_holder(folder / NAME) or "another process") from None
        if (other := _alive_elsewhere(folder)) is not None:
            raise Held(other)
        mine = {"host": socket.gethostname(), "pid": os.getpid(), "since": _now()}
        _write(file.fileno(), mine)
        stopped = threading.Event()
        beat = threading.Thread(target=_beat, args=(folder / NAME, mine, stopped), daemon=True)
        beat.start()
        try:
            yield
        finally:
            stopped.set()
            beat.join()
            if _content(folder / NAME) == mine:  # the file stays: whoever waits for it would lock a name that is gone
                _write(file.fileno(), None)


def _alive_elsewhere(folder: Path) -> str | None:
    """The holder on another machine, if it has touched the lock lately by the file system's own clock."""
    path = folder / NAME
    content = _content(path)
    if content is None or content.get("host") == socket.gethostname():
        return None
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        age = os.stat(probe.name).st_mtime - path.stat().st_mtime
    return _holder(path) if age < STALE_SECONDS else None


def _holder(path: Path) -> str | None:
    content = _content(path)
    if content is None:
        return None
    return f"process {content.get('pid')} on {content.get('host')}, since {content.get('since')}"


def _content(path: Path) -> dict[str, object] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):  # not there, or empty: released
        return None
    return content if isinstance(content, dict) else None


def _write(descriptor: int, content: dict[str, object] | None) -> None:
    os.ftruncate(descriptor, 0)
    if content is not None:
        os.write(descriptor, json.dumps(content).encode())


def _beat(path: Path, mine: Mapping[str, object], stopped: threading.Event) -> None:
    while not stopped.wait(BEAT_SECONDS):
        with suppress(OSError):  # a file system that is away for a moment; for longer, the run itself will say so
            if _content(path) != mine:  # taken over while this process slept
                return
            os.utime(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
