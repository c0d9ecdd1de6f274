"""Where cells run: this process, or several worker processes. A worker that dies takes one cell with it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from leaderboard import records
from leaderboard.records import RecordError, Status

from . import models
from .benchmark import Cell
from .chains import Before
from .experiment import Progress, Watcher, run_cell
from .lock import Held, lock
from .stop import GRACE_SECONDS, Stop, Stopped, on_signals


@dataclass(frozen=True)
class Outcome:
    """What became of one try."""

    state: Literal["done", "failed", "held", "stopped"]
    holder: str = ""


@dataclass(frozen=True)
class Work:
    """One cell to run, and where. A chain's later stage waits until the one `before` it is done."""

    cell: Cell
    folder: Path
    start: models.Source
    before: Before | None = None


class Pool(Protocol):
    """Where cells run."""

    def free(self) -> bool:
        """Whether `submit` would be taken now."""
        ...

    def submit(self, work: Work) -> None:
        """Begin a cell."""
        ...

    def results(self) -> list[tuple[Work, Outcome]]:
        """What has ended; waits a moment for it."""
        ...

    def busy(self) -> bool:
        """Whether anything runs."""
        ...

    def close(self) -> None:
        """End what still runs."""
        ...

    def ask_to_stop(self) -> None:
        """Have running cells saved and ended."""
        ...


def open_pool(jobs: int, watch: Watcher, stop: Stop, plugin_files: Sequence[Path]) -> Pool:
    """The process itself for one job at a time, worker processes for more."""
    return _Here(watch, stop) if jobs == 1 else _Workers(jobs, watch, plugin_files)


def _attempt(work: Work, watch: Watcher, stop: Stop) -> Outcome:
    """Run a cell; whatever it raises is recorded in its folder, and here it is one word."""
    try:
        run_cell(work.cell, work.folder, work.start, watch, stop, work.before)
    except Held as held:
        return Outcome("held", str(held))
    except Exception:  # the watcher has been told; the cause stands in status.json
        outcome = Outcome("failed")
    else:
        return Outcome("done")
    gc.collect()  # not before: the exception held the cell's frames, and with them the model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return outcome


class _Here:
    """The process itself: a cell at a time."""

    def __init__(self, watch: Watcher, stop: Stop) -> None:
        self.watch, self.stop = watch, stop
        self.ended: list[tuple[Work, Outcome]] = []

    def free(self) -> bool:
        return not self.ended

    def busy(self) -> bool:
        return bool(self.ended)

    def submit(self, work: Work) -> None:
        self.ended.append((work, _attempt(work, self.watch, self.stop)))

    def results(self) -> list[tuple[Work, Outcome]]:
        ended, self.ended = self.ended, []
        return ended

    def ask_to_stop(self) -> None:
        pass  # `run_cell` has seen to it

    def close(self) -> None:
        pass


NOTHING_YET = Progress("running", 0, 0.0)


@dataclass
class _Worker:
    process: Any
    connection: Connection
    work: Work | None = None
    heard: Progress = field(default=NOTHING_YET)


@dataclass
class _Workers:
    """Up to `jobs` processes, each for one cell after another; one that dies takes one cell with it."""

    jobs: int
    watch: Watcher
    plugin_files: Sequence[Path]
    workers: list[_Worker] = field(default_factory=list)

    def free(self) -> bool:
        return sum(worker.work is not None for worker in self.workers) < self.jobs

    def busy(self) -> bool:
        return any(worker.work is not None for worker in self.workers)

    def submit(self, work: Work) -> None:
        message = ForkingPickler.dumps(work)
        for worker in [w for w in self.workers if w.work is None]:
            try:
                worker.connection.send_bytes(message)
            except OSError:  # it died while it had nothing to do
                self._dismiss(worker)
                continue
            worker.work = work
            return
        worker = self._start()
        worker.work = work
        worker.connection.send_bytes(message)

    def results(self) -> list[tuple[Work, Outcome]]:
        ended: list[tuple[Work, Outcome]] = []
        by_connection = {w.connection: w for w in self.workers if w.work is not None}
        for connection in wait(list(by_connection), timeout=0.5):
            worker = by_connection[connection]  # type: ignore[index]
            assert worker.work is not None
            try:
                news = worker.connection.recv()
            except (EOFError, OSError):
                ended.append((worker.work, self._bury(worker)))
                continue
            if isinstance(news, Progress):
                worker.heard = news
                self.watch(worker.work.cell, news)
                continue
            ended.append((worker.work, news))
            worker.work, worker.heard = None, NOTHING_YET
            if news.state == "stopped":  # someone asked this one process to end, and it does
                self._dismiss(worker)
        return ended

    def ask_to_stop(self) -> None:
        for worker in self.workers:
            if worker.work is not None and worker.process.is_alive():
                os.kill(worker.process.pid, signal.SIGTERM)
        while self.busy():  # a second Ctrl-C, or the deadline, ends this with Stopped
            self.results()

    def close(self) -> None:
        for worker in self.workers:
            worker.connection.close()  # an idle worker ends by itself
            if worker.work is not None:
                worker.process.kill()
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
        self.workers.clear()

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        taken = {w.process.name for w in self.workers}
        number = next(n for n in range(self.jobs) if f"groupbench-{n}" not in taken)
        process = context.Process(
            target=_work, args=(theirs, number, list(self.plugin_files)), name=f"groupbench-{number}"
        )
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: a terminal's Ctrl-C is ours to pass on
        process.start()
        signal.signal(signal.SIGINT, before)
        theirs.close()  # or the end of the worker would not be seen here
        worker = _Worker(process, mine)
        self.workers.append(worker)
        return worker

    def _bury(self, worker: _Worker) -> Outcome:
        """Record a cell whose process died without a word."""
        work = worker.work
        assert work is not None
        worker.process.join()
        self._dismiss(worker)
        code = worker.process.exitcode
        if code == -signal.SIGTERM:  # asked to end before it could listen
            return Outcome("stopped")
        error = f"its process ended with exit code {code}"
        if code and code < 0:
            error = f"its process was killed by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL:
            error += "; out of memory? lower --jobs or execution.micro_batch_tokens"
        _record_death(work.folder, error)
        self.watch(work.cell, replace(worker.heard, state="failed", error=error, note=None))
        return Outcome("failed")

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.connection.close()
        worker.process.join(timeout=5)
        if worker.process.is_alive():
            worker.process.kill()


def _record_death(folder: Path, error: str) -> None:
    """Write the cause, unless another process has taken the cell over already."""
    path = folder / "status.json"
    none = Status(state="running", step=0, error=None, weights_start="", weights_end=None, seconds=0.0)
    try:
        with lock(folder):
            status = records.read_json(path) if path.exists() else none
            if status["state"] == "running":
                records.write_json(path, {**status, "state": "failed", "error": error})
    except (Held, OSError, RecordError):
        pass  # the board has the cause all the same


def _work(connection: Connection, number: int, plugin_files: Sequence[Path]) -> None:
    """A worker process: cells come in, progress and outcomes go out, until the parent hangs up."""
    from .console import quiet_libraries
    from .plugins import load_file

    for file in plugin_files:  # before the first cell is unpickled: it may hold a plug-in's algorithm
        load_file(file)
    quiet_libraries()
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())
    with on_signals(GRACE_SECONDS, (signal.SIGTERM,)) as stop:

        def tell(_: Cell, progress: Progress) -> None:
            try:
                connection.send(progress)
            except OSError:  # the parent is gone: save and end
                stop.number = stop.number or signal.SIGTERM

        while stop.number is None:
            try:
                work = connection.recv()
            except EOFError:
                return
            try:
                outcome = _attempt(work, tell, stop)
            except Stopped:
                outcome = Outcome("stopped")
            try:
                connection.send(outcome)
            except OSError:
                return
