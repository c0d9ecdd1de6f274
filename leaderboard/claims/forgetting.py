"""What a training run kept of other tasks: its final tasks, in the folder `final` of each finished cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from .. import evaluations
from ..runs import Cell, Row
from ..scores import Scores
from ..stats import macro_gain
from .checks import unshared
from .claim import Compared, Runs, Side
from .quantities import BY_ITEM, POINTS, UNIT_POINTS

FOLDER = "final"  # of a cell


@dataclass(frozen=True)
class Kept:
    """Accuracy on tasks that were not trained on, a row's less another's: the mean over the tasks that both have."""

    row: Side
    others: tuple[Side, ...]
    metric: str = "final accuracy on tasks that were not trained on, mean over tasks"
    unit: str = UNIT_POINTS
    scale: float = POINTS

    def compare(self, runs: Runs) -> list[Compared]:
        """Where a row was evaluated on another task after training: a recipe's `final_tasks`."""
        row = self.row.find(runs.table.rows, runs.study)
        if row is None or not (own := finals(row, runs.table.task)):
            return []
        return [self._one(runs, row, own, side) for side in self.others]

    def _one(self, runs: Runs, row: Row, own: Mapping[str, Scores], side: Side) -> Compared:
        part = f"against {side.label}" if len(self.others) > 1 else ""
        other = side.find(runs.table.rows, runs.study)
        if other is None:
            return Compared(part, f"{row.label} against {side.label}", None, f"no row {side.label} here", missing=True)
        theirs = finals(other, runs.table.task)
        less = {task: own[task].less(theirs[task]) for task in own if task in theirs}
        there = {task: one for task, one in less.items() if one is not None}
        comparison = f"{row.label} against {other.label} on {', '.join(there) or 'no task'}, {BY_ITEM}"
        if missing := unshared([row, other]) or ("" if there else "they share no evaluation on another task"):
            return Compared(part, comparison, None, missing, missing=True)
        return Compared(part, comparison, macro_gain([one.estimate for one in there.values()]))


def finals(row: Row, trained: str) -> dict[str, Scores]:
    """By final task that is not the one `trained` on: accuracies of the seeds that were evaluated on the same items."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    clusters: dict[str, dict[str, str]] = {}
    for cell in row.done:
        for key, evaluation in _of_cell(cell).items():
            if evaluation.protocol["task"] == trained or evaluation.missing:
                continue
            if any(None in item.correct or not item.correct for item in evaluation.items):
                continue  # only a judge can say
            values = {item.id: fmean(float(c or 0) for c in item.correct) for item in evaluation.items}
            found.setdefault(key, {})[cell.seed] = values
            clusters.setdefault(key, {}).update({item.id: item.unit for item in evaluation.items})
    alike = {key: seeds for key, seeds in found.items() if len({frozenset(of) for of in seeds.values()}) == 1}
    return {key: _scores(seeds, clusters[key]) for key, seeds in alike.items()}


def _of_cell(cell: Cell) -> Mapping[str, evaluations.TaskEvaluation]:
    if cell.folder is None or not (cell.folder / FOLDER / "evaluation.json").exists():
        return {}
    return evaluations.read(cell.folder / FOLDER).tasks


def _scores(seeds: Mapping[int, Mapping[str, float]], clusters: Mapping[str, str]) -> Scores:
    items = sorted(next(iter(seeds.values())))
    values = np.array([[of[name] for name in items] for of in seeds.values()])
    labels = tuple(clusters[name] for name in items)
    return Scores(tuple(seeds), values, tuple(items), None if labels == tuple(items) else labels)
