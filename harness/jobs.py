"""Many cells: one after another in this process, or in several; each one locked, tried once, and its failure recorded.

A chain's later stage begins when the one before it is done, whatever else is under way.

Several runs may work on one folder. A cell that another process holds is left to it and asked for again later, so that
every run ends with all cells finished. Where the other process dies, its lock is free and the cell goes on here.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .cores import ALL_THREADS
from .experiment import Progress, Watcher
from .pools import Pool, Work, open_pool
from .stop import GRACE_SECONDS, Stop, Stopped, on_signals

__all__ = ["Work", "run_cells", "share_threads"]

POLL_SECONDS = 2.0  # between two tries of a cell that another process holds
PARENT_GRACE_SECONDS = GRACE_SECONDS + 8  # workers save first

Say = Callable[[str], None]


def run_cells(works: Sequence[Work], watch: Watcher, say: Say, jobs: int = 1, plugin_files: Sequence[Path] = ()) -> int:
    """Run all, `jobs` at a time; returns how many failed. Raises Stopped, with all saved, on SIGTERM or Ctrl-C."""
    with on_signals(GRACE_SECONDS if jobs == 1 else PARENT_GRACE_SECONDS) as stop:
        pool = open_pool(jobs, watch, stop, plugin_files)
        try:
            failed = _schedule(works, pool, watch, say, stop)
        finally:
            pool.close()
        stop.check()  # asked while the last cell ended: what comes after the cells is not begun
        return failed


def share_threads(works: Sequence[Work], jobs: int, say: Say) -> list[Work]:
    """A fixed number of threads a cell: the recipe's, or an equal share of torch's own choice."""
    if jobs == 1:
        return list(works)
    share = max(1, ALL_THREADS // jobs)
    if any(work.cell.execution.threads is None for work in works):
        say(f"note: {share} threads a cell, since execution.threads is not set; another number may give other bits")
    most = jobs * max((work.cell.execution.threads or share for work in works), default=1)
    if most > (cores := os.cpu_count() or most):
        say(f"note: {most} threads on {cores} cores; that is several times slower than one job after another")
    return [
        replace(work, cell=replace(work.cell, execution=replace(work.cell.execution, threads=threads)))
        for work in works
        for threads in [work.cell.execution.threads or share]
    ]


def _schedule(works: Sequence[Work], pool: Pool, watch: Watcher, say: Say, stop: Stop) -> int:
    waiting, again_at, told = deque(works), dict[str, float](), set[str]()
    unfinished, failed = {work.cell.id for work in works}, dict[str, Work]()
    while waiting or pool.busy():
        if stop.number is not None:
            pool.ask_to_stop()
            raise Stopped(stop.number)
        for work in list(waiting):
            stage = work.cell.after
            if stage is not None and stage.id in failed:
                waiting.remove(work)
                failed[work.cell.id] = work
                error = f"not run: the stage before it failed ({failed[stage.id].cell.label})"
                watch(work.cell, Progress("failed", 0, 0.0, error=error))
            elif (stage is None or stage.id not in unfinished) and pool.free() and _due(work, again_at):
                waiting.remove(work)
                pool.submit(work)
        if not pool.busy():
            time.sleep(POLL_SECONDS / 4)
        for work, outcome in pool.results():
            if outcome.state == "done":
                unfinished.discard(work.cell.id)
            if outcome.state == "failed":
                failed[work.cell.id] = work
            if outcome.state == "stopped" and stop.number is None:  # that process alone: another goes on with it
                waiting.append(work)
            if outcome.state == "held":
                waiting.append(work)
                again_at[work.cell.id] = time.monotonic() + POLL_SECONDS
                if work.cell.id not in told:
                    told.add(work.cell.id)
                    say(f"{work.cell.label} seed {work.cell.seed} is being run by {outcome.holder}; waiting for it")
    return len(failed)


def _due(work: Work, again_at: Mapping[str, float]) -> bool:
    """Whether it is time to ask for a cell that another process held."""
    return again_at.get(work.cell.id, 0) <= time.monotonic()
