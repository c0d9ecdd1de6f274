"""AlpacaEval's numbers for length control, from the task that reads them to the leaderboard that needs them."""

from __future__ import annotations

import numpy as np

from leaderboard.winrates.side_file import SideFile
from tasks.alpaca_eval import AlpacaEval
from tasks.base import Task, TaskDataError

from ..commands import say


def side_file(task: Task) -> SideFile | None:
    """Of an AlpacaEval task; None for another, and, said, where the files cannot be had."""
    if not isinstance(task, AlpacaEval):
        return None
    try:
        control = task.length_control
    except TaskDataError as error:
        say(f"note: nothing is length-controlled: {error}")
        return None
    if control is None:
        return None
    share, length, difficulty = np.array(control.gamed).T
    return SideFile(np.array(list(control.difficulty.values())), np.tanh(length), difficulty, share, control.path)
