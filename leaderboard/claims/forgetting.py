"""What a training run kept of other tasks: its final tasks, in the folder `final` of each finished cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .. import finals
from ..analysis import Analysis
from ..runs import Row
from ..scores import Scores, sum_of
from .checks import unshared
from .claim import Compared, Runs, Side
from .quantities import BY_ITEM, POINTS, UNIT_POINTS


@dataclass(frozen=True)
class Kept:
    """Accuracy on tasks that were not trained on, a row's less another's: the mean over the tasks that both have."""

    row: Side
    others: tuple[Side, ...]
    tasks: tuple[str, ...] = ()  # that the claim is about; none: all but what was trained on
    metric: str = "final accuracy on tasks that were not trained on, mean over tasks"
    unit: str = UNIT_POINTS
    scale: float = POINTS

    def compare(self, runs: Runs) -> list[Compared]:
        """Where a row was evaluated on another task after training: a recipe's `final_tasks`."""
        row = self.row.find(runs.table.rows, runs.study)
        others = {side: side.find(runs.table.rows, runs.study) for side in self.others}
        if row is None:
            return []
        analysis = runs.analysis([row, *filter(None, others.values())])
        if own := self._finals(analysis, row):
            return [self._one(analysis, row, own, side, other) for side, other in others.items()]
        none = f"no final task of {row.label} but {runs.table.task}, which it was trained on"
        return [Compared("", "", None, none, missing=True)] if runs.study else []

    def _one(
        self, analysis: Analysis, row: Row, own: Mapping[str, Scores], side: Side, other: Row | None
    ) -> Compared:  # fmt: skip
        part = f"against {side.label}" if len(self.others) > 1 else ""
        if other is None:
            return Compared(part, f"{row.label} against {side.label}", None, f"no row {side.label} here", missing=True)
        theirs = self._finals(analysis, other)
        less = {task: own[task].less(theirs[task]) for task in own if task in theirs}
        there = {task: one for task, one in less.items() if one is not None}
        comparison = f"{row.label} against {other.label} on {', '.join(there) or 'no task'}, {BY_ITEM}"
        if missing := unshared([row, other]) or ("" if there else "they share no evaluation on another task"):
            return Compared(part, comparison, None, missing, missing=True)
        shares = [replace(one, values=one.values / len(there)) for one in there.values()]
        return Compared(part, comparison, sum_of(shares))  # a seed's luck is in all of its tasks

    def _finals(self, analysis: Analysis, row: Row) -> dict[str, Scores]:
        """By final task that is not what was trained on; those of the source alone, where there is any of them."""
        there = finals.tasks(analysis.table, apart_from=analysis.table.task)
        tasks = [task for task in there if task.partition("@")[0] in self.tasks] or there
        found = {task: analysis.final(row, task) for task in tasks}
        return {task: scores for task, scores in found.items() if scores is not None}
