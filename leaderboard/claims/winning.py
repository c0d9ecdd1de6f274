"""Claims on win rates: two rows on the same judge's verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..records import LeaderboardError
from ..runs import Row
from ..verdicts import Judged
from ..winrates import against, length_control
from ..winrates import rows as contests
from ..winrates.side_file import SideFile
from .claim import Compared, OfJudge, Side, Verdicts
from .quantities import BY_ITEM, POINTS, UNIT_POINTS

ARENA = "arena_hard"


@dataclass(frozen=True)
class WinRate:
    """A win rate against the benchmark's baseline (or the start), a row's less another's."""

    row: Side
    others: tuple[Side, ...]
    kind: Literal["controlled", "arena"] = "controlled"
    unit: str = UNIT_POINTS
    scale: float = POINTS

    @property
    def metric(self) -> str:
        """What is compared."""
        if self.kind == "arena":
            return "Arena-Hard's score against its baseline, each row's"
        return "length-controlled win rate against the benchmark's baseline or the common start, each row's"

    def compare_judged(self, of: OfJudge) -> list[Compared]:
        """A comparison for each of the others; none where the judge did not see the claim's row, or on another task."""
        if of.judged[0].record.task.name.startswith(ARENA) != (self.kind == "arena"):
            return []
        try:
            found = contests.contest(of.judged, None, of.side)
        except LeaderboardError as error:
            return [Compared("", of.title, None, str(error))]
        names = {one.record.candidate.label: one.record.candidate.algorithm or "" for one in of.judged}
        rows = [Row(label, label, (), algorithm) for label, algorithm in names.items()]
        mine = self.row.find(rows, of.study)
        theirs = {side: side.find(rows, of.study) for side in self.others}
        if mine is None or not any(theirs.values()):
            return []
        return [self._one(found, mine.label, side, other, of.title) for side, other in theirs.items()]

    def _one(self, found: contests.Contest, row: str, side: Side, other: Row | None, title: str) -> Compared:
        part = f"against {side.label}" if len(self.others) > 1 else ""
        if other is None:
            absent = f"no row {side.label} here"
            return Compared(part, f"{row} against {side.label}, {title}", None, absent, missing=True)
        comparison = f"{row} against {other.label}, {title}, {BY_ITEM}"
        both = [one for label in (row, other.label) for one in found.rows if one.label == label]
        kind: contests.Kind = "arena" if self.kind == "arena" else "main"
        scores = [found.arena(one) if self.kind == "arena" else found.controlled(one) for one in both]
        if refused := next((why for one in both if (why := one.refused(kind))), None):
            return Compared(part, comparison, None, refused)
        mine, theirs = scores
        if mine is None or theirs is None:
            return Compared(part, comparison, None, _uncontrolled([one for row_ in both for one in row_.of(kind)]))
        less = against.less(mine, theirs)
        if less is None:
            return Compared(part, comparison, None, "they share no seed, or no judged pair", missing=True)
        return Compared(part, comparison, less.estimate)


def _uncontrolled(judged: Sequence[Judged]) -> str:
    said = (length_control.unplain(one) for one in judged)
    return next((why for why in said if why), "not length-controlled: AlpacaEval's side file is not there")


def by_judge(verdicts: Verdicts, side: SideFile | None, study: bool) -> list[OfJudge]:
    """One benchmark's verdicts by judge, way to ask it, task and opponent: those of two judges are never pooled.

    Verdicts on the rows against each other are left out.
    """
    groups: dict[tuple[str, ...], list[Judged]] = {}
    for one in verdicts.judged:
        record = one.record
        if record.official:
            way = repr((record.judge.identity, record.parser, record.orders, record.cap_chars))
            groups.setdefault((record.task.name, record.judge.words, record.opponent.name, way), []).append(one)
    return [
        OfJudge(f"on {task} against {opponent}, judged by {judge}", found, side, study)
        for (task, judge, opponent, _), found in sorted(groups.items())
    ]
