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

ENDED = {"done", "failed", "stopped"}


class ProgressBoard:
    """A watcher for `run_cell`; use as a context manager."""

    def __init__(self, cells: Sequence[Cell], console: Console, already_done: int = 0) -> None:
        self.console, self.already_done = console, already_done
        self.rows = {cell.id: (cell, Progress("waiting", 0, 0.0)) for cell in cells}
        self.started: dict[str, tuple[float, float]] = {}  # when a cell was first heard of, and how far it was then
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
        self.started.setdefault(cell.id, (time.monotonic(), progress.share))
        self.rows[cell.id] = (cell, progress)
        if progress.note:
            self._print(f"{cell.label} seed {cell.seed}: {progress.note}")
        if self.live:
            self.live.update(self.table())
        elif progress.state in ENDED:
            seconds = time.monotonic() - self.started[cell.id][0]
            score = f"held-out {_score(cell, progress.sampled)} sampled, {_score(cell, progress.greedy)} greedy"
            number = sum(p.state in ENDED for _, p in self.rows.values()) + self.already_done
            total = len(self.rows) + self.already_done
            self._print(
                f"[{number}/{total}] {cell.label} seed {cell.seed}: {progress.state} after {progress.step} steps, "
                f"{seconds:.0f} s; {progress.error or score}"
            )

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def table(self) -> Table:
        """The board as it stands."""
        table = Table(box=None, pad_edge=False)
        for title in ("cell", "seed", "step", "budget", "reward", "held-out sampled", "greedy", "time left"):
            table.add_column(title, justify="left" if title == "cell" else "right", no_wrap=True)
        for cell, progress in self.rows.values():
            reward = "" if progress.reward is None else f"{progress.reward:.3f}"
            table.add_row(
                cell.label, str(cell.seed), str(progress.step), f"{progress.share:.0%}", reward,
                _score(cell, progress.sampled), _score(cell, progress.greedy), self._time_left(cell, progress),
            )  # fmt: skip
        return table

    def _time_left(self, cell: Cell, progress: Progress) -> str:
        if progress.state != "running":
            return progress.state
        began, share = self.started[cell.id]
        if progress.share <= share:
            return "…"
        seconds = (time.monotonic() - began) * (1 - progress.share) / (progress.share - share)
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def _score(cell: Cell, score: float | None) -> str:
    """An accuracy, or a reward where there is no verifier."""
    if score is None:
        return ""
    return f"{100 * score:.1f} %" if cell.task.graded else f"{score:.2f}"
