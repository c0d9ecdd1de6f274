"""AlpacaEval's numbers for length control, from the task that reads them to the leaderboard that needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leaderboard.verdicts import Judged
from leaderboard.winrates.side_file import SideFile
from tasks.alpaca_eval import AlpacaEval
from tasks.base import Task, TaskDataError

from .. import plugins
from ..console import say


def of_verdicts(judged: Sequence[Judged], parameters: Mapping[str, Any] | None = None) -> SideFile | None:
    """Where there are verdicts on AlpacaEval against its baseline: its side file, by `parameters` first."""
    recorded = [one.record.task for one in judged if one.record.task.name == "alpaca_eval" and one.record.official]
    if not recorded:
        return None
    return side_file(plugins.build_task("alpaca_eval", {**recorded[0].parameters, **(parameters or {})}, "alpaca_eval"))


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
