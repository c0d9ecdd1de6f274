"""Processes that compare answers and can be killed: the parent's side of `worker`.

A question gets `CPU_SECONDS` of processor time, which the kernel counts, so that a loaded machine turns no right answer
into a wrong one. After `PATIENCE` endless ones in one call, each of those left gets `SHORT_CPU_SECONDS`. `WALL_SECONDS`
is only for what uses no processor time. Who exceeds any, or the memory, or breaks the process, gets a reply that says
so; only a pool that cannot start a worker at all raises.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..base import TaskError

CPU_SECONDS = 2.0  # 25 times the slowest of 500 ordinary answers; an endless one never needs less
PATIENCE = 16  # answers of one call that may take CPU_SECONDS and come to no end; then
SHORT_CPU_SECONDS = 0.5  # for each one left: 6 times the slowest ordinary answer
WALL_SECONDS = 60.0
READY_SECONDS = 120.0  # for importing sympy, on a machine that is busy with something else
MEMORY_BYTES = 2 << 30  # of address space; a quarter of it resident is too much already
MAX_WORKERS = 4
_WORKER = Path(__file__).with_name("worker.py")


class VerifierError(TaskError):
    """No process can be started that checks answers (math-verify is missing, say): nothing can be graded."""


class Question(NamedTuple):
    """Is `answer` the same as `gold`? `anywhere`: is what math-verify finds in the text `answer`?"""

    gold: str
    answer: str
    anywhere: bool = False


@dataclass(frozen=True)
class Reply:
    """Equal under the strict and under the lenient reading; what was compared; `died`: why there is no verdict.

    It is `final` unless more time might have brought another one.
    """

    strict: bool = False
    lenient: bool = False
    found: str | None = None
    died: str | None = None
    final: bool = True


class _Died(Exception):
    """The worker is gone; the message says how."""


class _Worker:
    """One process. Not thread-safe; the pool hands it to one thread at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", str(_WORKER), str(MEMORY_BYTES)]
        try:
            self.process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the harness; and the group can be killed as one
            )
        except OSError as error:
            raise VerifierError(f"{' '.join(command[:3])} cannot be started: {error}") from error
        assert self.process.stdin is not None and self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._rest = b""
        try:
            first = self._read(READY_SECONDS)
        except _Died as error:
            self.kill()
            raise VerifierError(f"the process that checks answers did not start: {error}") from None
        except BaseException:
            self.kill()
            raise
        if "ready" not in first:
            self.kill()
            raise VerifierError(f"math-verify cannot be used by {sys.executable}: {first.get('error')}")

    def ask(self, question: Question, seconds: float) -> dict[str, Any]:
        """The worker's reply. Raises _Died when the process is gone, or was killed for not answering in time."""
        try:
            os.write(self._in, json.dumps({"seconds": seconds} | question._asdict()).encode() + b"\n")
        except OSError as error:
            raise _Died(str(error)) from None
        return self._read(WALL_SECONDS)

    def _read(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    if time.monotonic() >= deadline:
                        raise _Died(f"no reply in {seconds:g} s")
                    continue
                part = os.read(self._out, 1 << 16)
                if not part:
                    raise _Died("it ended")
                self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def close(self) -> None:
        """Let it end by itself, which takes milliseconds; else kill it."""
        self.disown()
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process and its child, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.disown()
        self.process.wait()

    def disown(self) -> None:
        """Close this process's ends of the pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


class Pool:
    """At most `size` workers, started when they are first needed. Thread-safe."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.counts: Counter[str] = Counter()  # started, killed, time, memory, …: what has happened so far
        self._slots = threading.Semaphore(size)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """The replies, in order. Raises VerifierError where no worker can be started."""
        replies: list[Reply] = [Reply()] * len(questions)
        numbers = iter(range(len(questions)))  # `next` on it is atomic
        failures: list[BaseException] = []
        endless: list[int] = []

        def work() -> None:
            try:
                for number in numbers:
                    if failures:
                        break
                    short = len(endless) >= PATIENCE
                    reply = self._ask(questions[number], SHORT_CPU_SECONDS if short else CPU_SECONDS)
                    if reply.died == "time":
                        endless.append(number)
                        reply = replace(reply, final=not short)
                    replies[number] = reply
            except BaseException as error:
                failures.append(error)

        helpers = [threading.Thread(target=work) for _ in range(min(self.size, len(questions)) - 1)]
        for helper in helpers:
            helper.start()
        work()
        for helper in helpers:
            helper.join()
        if failures:
            raise failures[0]
        return replies

    def _ask(self, question: Question, seconds: float) -> Reply:
        """One reply. A worker that died of nothing known is replaced and asked again, once: it may be the machine."""
        with self._slots:
            why = ""
            for _ in range(2):
                try:
                    worker = self._idle.pop()
                except IndexError:
                    worker = _Worker()
                    self.counts["started"] += 1
                self._busy.add(worker)
                try:
                    answer = worker.ask(question, seconds)
                except _Died as error:
                    self.counts["killed"] += 1
                    worker.kill()
                    why = str(error)
                    continue
                except BaseException:
                    worker.kill()
                    raise
                finally:
                    self._busy.discard(worker)
                self._idle.append(worker)
                if "died" not in answer:
                    return Reply(**answer)
                why = answer["died"]
                self.counts[why] += 1
                if why in ("time", "memory", "forbidden"):
                    break
            return Reply(died=why)

    def close(self) -> None:
        """End the idle workers. The pool starts others when it is asked again."""
        while self._idle:
            self._idle.pop().close()

    def disown(self) -> None:
        """In a forked child: forget the parent's workers, and let them see the end of their input when it dies."""
        for worker in (*self._idle, *self._busy):
            worker.process.returncode = 0  # not ours to wait for
            worker.disown()


_pool: Pool | None = None
_lock = threading.Lock()


def shared() -> Pool:
    """The pool of this process."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = Pool(min(MAX_WORKERS, os.cpu_count() or 1))
            atexit.register(_pool.close)
        return _pool


def _after_fork() -> None:
    global _pool, _lock
    _lock = threading.Lock()  # the parent's may be held by a thread that does not exist here
    if _pool is not None:
        _pool.disown()
        atexit.unregister(_pool.close)
    _pool = None


os.register_at_fork(after_in_child=_after_fork)
