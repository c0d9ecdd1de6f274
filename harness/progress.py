"""Live progress: a row a cell on a terminal, a line a finished cell elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from .benchmark import Cell
from .experiment import Progress


class ProgressBoard:
    """A watcher for `run_cell`; use as a context manager."""

    def __init__(self, cells: Sequence[Cell], console: Console, already_done: int = 0) -> None:
        self.console, self.already_done = console, already_done
        self.rows = {cell.id: (cell, Progress("waiting", 0, 0.0)) for cell in cells}
        self.started: dict[str, float] = {}
        self.live = Live(console=console, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> ProgressBoard:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.update(self.table())
            self.live.stop()

    def __call__(self, cell: Cell, progress: Progress) -> None:
        """Take news of a cell."""
        self.started.setdefault(cell.id, time.monotonic())
        self.rows[cell.id] = (cell, progress)
        if self.live:
            self.live.update(self.table())
        elif progress.state in {"done", "failed"}:
            seconds = time.monotonic() - self.started[cell.id]
            accuracy = f"held-out {_percent(progress.sampled)} sampled, {_percent(progress.greedy)} greedy"
            number = sum(p.state in {"done", "failed"} for _, p in self.rows.values()) + self.already_done
            total = len(self.rows) + self.already_done
            self.console.print(
                f"[{number}/{total}] {cell.label} seed {cell.seed}: {progress.state} after {progress.step} steps, "
                f"{seconds:.0f} s; {progress.error or accuracy}", markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip

    def table(self) -> Table:
        """The board as it stands."""
        table = Table(box=None, pad_edge=False)
        for title in ("cell", "seed", "step", "budget", "reward", "held-out sampled", "greedy", "time left"):
            table.add_column(title, justify="left" if title == "cell" else "right", no_wrap=True)
        for cell, progress in self.rows.values():
            reward = "" if progress.reward is None else f"{progress.reward:.3f}"
            table.add_row(
                cell.label, str(cell.seed), str(progress.step), f"{progress.share:.0%}", reward,
                _percent(progress.sampled), _percent(progress.greedy), self._time_left(cell, progress),
            )  # fmt: skip
        return table

    def _time_left(self, cell: Cell, progress: Progress) -> str:
        if progress.state != "running":
            return progress.state
        if progress.share == 0:
            return "…"
        seconds = (time.monotonic() - self.started[cell.id]) * (1 - progress.share) / progress.share
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
