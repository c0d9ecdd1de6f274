"""Trackers that are shown what is recorded: TensorBoard, Weights & Biases, trackio.

The records stay the only database. A tracker is shown them from the first step that it lacks, so that a resumed cell
has no step twice, and none is missing where a kill took what was on its way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UserError
from .summary import follow

if TYPE_CHECKING:
    from .benchmark import Cell

Tracker = tuple[Callable[[dict[str, float], int], Any], Callable[[], Any], int]  # log(row, step), close, first it lacks


def check_installed(names: Iterable[str]) -> None:
    """Raises UserError, which says how to install it, where a tracker's package is missing."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise UserError(f"execution.sinks: {missing[0]} is not installed; pip install 'groupbench[trackers]'")


def _tensorboard(cell: Cell, folder: Path) -> Tracker:
    from torch.utils.tensorboard import SummaryWriter

    # TensorBoard calls a run by its folder; no name of one may be longer than 255 bytes, of which a letter has up to 4.
    name = re.sub(r"[^\w@=.,+ ()-]", "-", cell.label)[:50] + f", seed {cell.seed}"
    writer = SummaryWriter(str(folder / "tensorboard" / name), purge_step=0)  # hides what earlier sessions have shown

    def log(row: dict[str, float], step: int) -> None:
        for name, value in row.items():
            writer.add_scalar(name, value, step)

    return log, writer.close, 0


def _run(package: str, cell: Cell, folder: Path) -> Tracker:
    """Of wandb, or of trackio, which has its interface but for what is said to wandb alone."""
    more = {"id": cell.id, "dir": folder, "settings": {"silent": True, "console": "off"}} if package == "wandb" else {}
    about = {"name": f"{cell.label}, seed {cell.seed} ({cell.id})", "group": cell.label, "config": cell.spec}
    run = import_module(package).init(project="groupbench", resume="allow", **about, **more)
    # trackio does not say it in public, hence its narrow range in pyproject.toml.
    return run.log, run.finish, run.starting_step if package == "wandb" else run._next_step


class Sinks:
    """The trackers of one cell. One that fails is told of once and dropped; the run goes on."""

    def __init__(self, cell: Cell, folder: Path, tell: Callable[[str], None]) -> None:
        self.tell, self.open, self.news = tell, dict[str, Tracker](), follow(folder)
        for name in cell.execution.sinks:
            with self._or_drop(name):
                self.open[name] = _tensorboard(cell, folder) if name == "tensorboard" else _run(name, cell, folder)

    def show(self) -> None:
        """Show what was recorded since the last time; of the steps that it is about, nothing may be still to come."""
        rows = next(self.news) if self.open else {}
        for name, (log, _, first) in list(self.open.items()):
            with self._or_drop(name):
                for step in sorted(step for step in rows if step >= first):
                    log(rows[step], step)

    def close(self) -> None:
        """Let go of all; a second time does nothing."""
        while self.open:
            name, (_, close, _) = self.open.popitem()
            with self._or_drop(name):
                close()

    @contextmanager
    def _or_drop(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.open.pop(name, None)
            self.tell(f"{name} failed and is left out: {type(error).__name__}: {error}")
