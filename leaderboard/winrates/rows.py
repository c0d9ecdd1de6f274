"""Verdicts of many judgings as rows of one table: which may stand in it together, and what each row has.

A row is an algorithm's preset, its judgings are its training seeds'. They are of three kinds: `main` against a
benchmark's baseline, `arena` the same on Arena-Hard, `direct` against the reference's own checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from ..ranking import Ranking, rank_all
from ..records import LeaderboardError
from ..scores import Scores
from ..verdicts import Judged, comparable
from . import against, arena, length_control
from .pairs import Pairs, read_pairs
from .side_file import SideFile

Kind = Literal["main", "arena", "direct"]
KINDS: tuple[Kind, ...] = ("main", "arena", "direct")


@dataclass(frozen=True, eq=False)
class Row:
    """One row's judgings by kind, in the order of seeds."""

    label: str
    main: Sequence[Judged] = ()
    arena: Sequence[Judged] = ()
    direct: Sequence[Judged] = ()
    other: frozenset[Kind] = frozenset()  # kinds whose pairs, or baseline's answers, are not those of the reference

    def of(self, kind: Kind) -> Sequence[Judged]:
        """The judgings of a kind; may be empty."""
        found: Sequence[Judged] = getattr(self, kind)
        return found

    @cached_property
    def pairs(self) -> Mapping[Kind, Sequence[Pairs]]:
        """Their verdicts by pair."""
        return {kind: [read_pairs(one) for one in self.of(kind)] for kind in KINDS}

    def refused(self, kind: Kind) -> str | None:
        """Why a kind must show no number."""
        found = zip(self.of(kind), self.pairs[kind], strict=True)
        said = [(one.record.candidate.seed, pairs.refused) for one, pairs in found]
        return next(
            (f"refused: {why}" + ("" if seed is None else f" (seed {seed})") for seed, why in said if why), None
        )

    @property
    def leading(self) -> Kind:
        """The kind that conduct is shown of: the first that it has."""
        return next(kind for kind in KINDS if self.of(kind))

    @property
    def every(self) -> list[Judged]:
        """All its judgings."""
        return [one for kind in KINDS for one in self.of(kind)]


@dataclass(frozen=True, eq=False)
class Contest:
    """The rows of a table and the view of them; scores are computed once."""

    rows: Sequence[Row]
    reference: str | None  # label of the row that direct judgings are against
    side: SideFile | None  # of AlpacaEval; None: its win rates are not length-controlled
    _known: dict[tuple[str, str], Scores | None] = field(default_factory=dict)
    _controls: dict[int, length_control.Control | None] = field(default_factory=dict)
    _strengths: dict[int, float] = field(default_factory=dict)

    def shares(self, row: Row, kind: Kind) -> Scores | None:
        """Shares by seed and pair; None where the row has none, or they are refused."""
        return self._scores(row, kind, "share", against.shares)

    def controlled(self, row: Row) -> Scores | None:
        """Length-controlled win rates as pseudo-values by seed and pair (see `length_control.pseudo_values`)."""
        if any(self.control(one) is None for one in row.main):
            return None
        return self._scores(row, "main", "lc", self._pseudo)

    def control(self, judged: Judged) -> length_control.Control | None:
        """What a judging's length control stands on; None: it has none."""
        if id(judged) not in self._controls:  # it is asked for many times, and looks at every pair
            self._controls[id(judged)] = length_control.control(judged, self.side)
        return self._controls[id(judged)]

    def arena(self, row: Row) -> Scores | None:
        """Arena-Hard scores by seed and question, linearised (see `arena.question_values`)."""
        return self._scores(row, "arena", "arena", _questions)

    def strength(self, judged: Judged) -> float:
        """The penalty of a judging's length control."""
        found = self.control(judged)
        assert found is not None
        if id(judged) not in self._strengths:
            self._strengths[id(judged)] = length_control.choose(*found)
        return self._strengths[id(judged)]

    def _pseudo(self, judged: Judged) -> tuple[Sequence[str], np.ndarray, Sequence[str]]:
        found = self.control(judged)
        assert found is not None
        values = length_control.pseudo_values(*found, self.strength(judged))
        return [pair.id for pair in judged.pairs], values, [pair.unit for pair in judged.pairs]

    def _scores(self, row: Row, kind: Kind, name: str, values: against.Values) -> Scores | None:
        key = row.label, f"{kind}/{name}"
        if key not in self._known:
            there = row.of(kind) and row.refused(kind) is None
            self._known[key] = against.by_seed(row.of(kind), values) if there else None
        return self._known[key]

    @cached_property
    def _ranked_by(self) -> tuple[Kind, Callable[[Row], Scores | None]]:
        """The first metric that every row has that has any."""
        metrics: tuple[tuple[Kind, Callable[[Row], Scores | None]], ...] = (
            ("main", self.controlled), ("main", lambda row: self.shares(row, "main")), ("arena", self.arena),
        )  # fmt: skip
        shown = [row for row in self.rows if any(of(row) is not None for _, of in metrics)]
        for kind, of in metrics:
            if shown and all(of(row) is not None for row in shown):
                return kind, of
        return "main", lambda row: None

    def metric(self, row: Row) -> Scores | None:
        """What rows are ranked by: length-controlled win rates, else win rates, else Arena-Hard's scores."""
        return self._ranked_by[1](row)

    @cached_property
    def ranking(self) -> Ranking:
        """Ranks by Holm over all pairs of the rows with two seeds or more, paired by seed and item."""
        compared_rows = [row for row in self.rows if self._ranked_by[0] not in row.other]
        found = [(row, own) for row in compared_rows if (own := self.metric(row)) and len(own.seeds) > 1]
        scores = [one for _, one in found]
        return rank_all([row.label for row, _ in found], scores, lambda a, b: against.less(scores[a], scores[b]))


def _questions(judged: Judged) -> tuple[Sequence[str], np.ndarray, Sequence[str]]:
    names, values = arena.question_values(arena.of_judged(judged))
    return list(names), values, list(names)


def contest(judged: Sequence[Judged], reference: str | None = None, side: SideFile | None = None) -> Contest:
    """Rows of judgings. `reference` is a label (an algorithm, a preset); judgings against it are direct.

    LeaderboardError, naming both, for two judges, two ways to ask one judge within a kind, or two baselines or tasks
    within a kind; and where a row has a seed twice.
    """
    kinds: dict[str, dict[Kind, list[Judged]]] = {}
    for one in judged:
        kinds.setdefault(one.record.candidate.label, {}).setdefault(_kind(one, reference), []).append(one)
    if not kinds:
        raise LeaderboardError("a win-rate table takes at least one folder of verdicts; there is none")
    _one_judge(judged, reference)
    found = {
        label: {kind: sorted(ones, key=lambda one: one.record.candidate.seed or 0) for kind, ones in by_kind.items()}
        for label, by_kind in sorted(kinds.items())
    }
    others: dict[str, set[Kind]] = {label: set() for label in found}
    for kind in ("main", "arena"):
        having = sorted(  # the first one's terms are the table's
            (label for label in found if kind in found[label]),
            key=lambda label: (label != reference, -len(found[label][kind][0].record.pairs)),
        )
        for label in having:
            if any(_terms(one) != _terms(found[having[0]][kind][0]) for one in found[label][kind]):
                others[label].add(kind)
    rows = []
    for label, parts in found.items():
        for kind in KINDS:
            _once(label, kind, parts.get(kind, ()))
        main, on_arena, direct = (parts.get(kind, ()) for kind in KINDS)
        rows.append(Row(label, main, on_arena, direct, frozenset(others[label])))
    return Contest(tuple(rows), reference, side)


def _kind(one: Judged, reference: str | None) -> Kind:
    if reference is not None and one.record.opponent.label == reference:
        return "direct"
    if not one.record.official:
        raise LeaderboardError(
            f"{one.title}: the opponent is not the benchmark's baseline; --reference {one.record.opponent.label!r} "
            "shows it as a comparison with a row"
        )
    return "arena" if one.record.task.name.startswith("arena_hard") else "main"


def _one_judge(judged: Sequence[Judged], reference: str | None) -> None:
    first = judged[0]
    firsts: dict[Kind, Judged] = {}
    for one in judged:
        mine, theirs = one.record.judge, first.record.judge
        if (mine.kind, mine.model, mine.revision) != (theirs.kind, theirs.model, theirs.revision):
            raise LeaderboardError(
                f"two judges in one table: {theirs.kind} {theirs.words} ({first.title}) and {mine.kind} {mine.words} "
                f"({one.title}); verdicts of different judges are not comparable: one table each"
            )
        kind = _kind(one, reference)
        standard = firsts.setdefault(kind, one)
        if differences := comparable(standard.record, one.record):
            raise LeaderboardError(
                f"{mine.words} was asked in two ways, {standard.title} and {one.title}: {'; '.join(differences)}"
            )
        same = kind == "direct" or standard.record.opponent.name == one.record.opponent.name
        if not same or standard.record.task.name != one.record.task.name:
            raise LeaderboardError(
                f"one table takes one task and one baseline a column: {standard.title}, and {one.title}; --tasks names "
                "those to be shown"
            )


def _terms(one: Judged) -> tuple[object, ...]:
    """What must be equal for two judgings to be on the same terms."""
    record = one.record
    return tuple(record.pairs), record.opponent.outputs_sha, record.opponent.fingerprint


def _once(label: str, kind: Kind, judged: Sequence[Judged]) -> None:
    seeds = [one.record.candidate.seed for one in judged]
    if len(set(seeds)) < len(seeds):
        raise LeaderboardError(f"{label}: {judged[0].title} is there for seeds {seeds}; expected each seed once")
