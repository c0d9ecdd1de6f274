"""The win-rate table: one a judge, as a grid for every export.

Rank · algorithm · seeds · n · length-controlled · win rate [and if unread games were lost or won] · discrete · against
the reference · W/T/L · Arena-Hard · style-controlled · consistency · first rate · invalid · length · judge · cost. A
row whose verdicts are too incomplete shows `refused: …` in the place of its number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from ..analysis import OTHER_PROTOCOL, mark
from ..columns import Entry, Kind
from ..columns.base import NOTHING, estimated
from ..scores import Scores
from ..stats import AGREEMENT, holm
from ..tables import Grid, Header, Line
from ..verdicts import Judged
from ..words import minus
from . import arena, length_control, rows, style
from .against import head_to_head
from .remarks import caption
from .rows import KINDS, Contest, Row, contest
from .side_file import SideFile

Column = tuple[str, Kind, str, Callable[[Row], Entry]]  # name, kind, heading, entry
OPTIONAL = {
    "rank", "lc_win_rate", "win_rate", "band", "discrete", "vs_reference", "vs_reference_wtl", "arena_hard",
    "style_controlled", "consistency", "first_rate", "chars", "cost_usd", "gpu_hours",
}  # fmt: skip


def table(judged: Sequence[Judged], reference: str | None = None, side: SideFile | None = None) -> Grid:
    """The win-rate table of one judge's verdicts.

    `reference` is the label (algorithm or preset) that direct judgings are against; `side` is AlpacaEval's side file,
    without which nothing is length-controlled. Raises LeaderboardError for verdicts of two judges, naming both, and for
    whatever else `rows.contest` refuses.
    """
    return of_contest(contest(judged, reference, side))


def of_contest(found: Contest) -> Grid:
    """The same of rows that are made already."""
    columns = _columns(found)
    made = {row.label: {name: entry(row) for name, _, _, entry in columns} for row in found.rows}
    shown = [one for one in columns if one[0] not in OPTIONAL or any(_says(made[r.label][one[0]]) for r in found.rows)]
    order = sorted(found.rows, key=lambda row: (_place(found, row), row.label))
    lines = tuple(Line(row.label, "", tuple(made[row.label][name] for name, *_ in shown)) for row in order)
    judge = found.rows[0].every[0].record.judge
    return Grid(
        name="win_rates",
        title=f"Win rates, judged by {judge.words}",
        headers=tuple(Header(name, heading, kind) for name, kind, heading, _ in shown),
        lines=lines,
        caption=caption(found, {name for name, *_ in shown}, lines),
        model=judge.words,
        reference=found.reference or "",
    )


def _columns(found: Contest) -> list[Column]:
    against, styled = _against(found), _styled(found)
    judge = next(iter(found.rows)).every[0].record.judge

    def pooled(of: Callable[..., float | None]) -> Callable[[Row], Entry]:
        """Mean over the seeds of the row's leading kind."""

        def entry(row: Row) -> Entry:
            there = zip(row.of(row.leading), row.pairs[row.leading], strict=True)
            values = {one.record.candidate.seed or 0: value for one, p in there if (value := of(p)) is not None}
            return Entry(fmean(values.values()), by_seed=values) if values else NOTHING

        return entry

    return [
        ("rank", "count", "rank", lambda row: _number(found.ranking.rank.get(row.label))),
        ("algorithm", "text", "algorithm", lambda row: Entry(text=row.label)),
        ("seeds", "count", "seeds", lambda row: Entry(float(max(len(row.of(kind)) for kind in KINDS)))),
        ("n", "count", "n", pooled(lambda pairs: pairs.n)),
        ("lc_win_rate", "share", "LC", lambda row: _controlled(found, row)),
        ("win_rate", "share", "win rate", lambda row: _win_rate(found, row)),
        ("band", "text", "if unread", _band),
        ("discrete", "share", "discrete", lambda row: _discrete(row)),
        ("vs_reference", "share", f"vs {found.reference}", lambda row: against.get(row.label, _no_test(found, row))),
        ("vs_reference_wtl", "text", "W/T/L", lambda row: _wins(found, row)),
        ("arena_hard", "share", "Arena-Hard", lambda row: _arena(found, row)),
        ("style_controlled", "share", "style-controlled", lambda row: styled.get(row.label, NOTHING)),
        ("consistency", "share", "consistency", pooled(lambda pairs: pairs.consistency)),
        ("first_rate", "share", "first", pooled(lambda pairs: pairs.first_rate)),
        ("invalid_rate", "share", "invalid", pooled(lambda pairs: pairs.invalid_rate)),
        ("chars", "number", "characters", _chars),
        ("judge", "text", "judge", lambda _: Entry(text=judge.words)),
        ("cost_usd", "number", "cost, $", lambda row: _cost(row, "usd", 1.0)),
        ("gpu_hours", "number", "GPU-h", lambda row: _cost(row, "gpu_seconds", 3600.0)),
    ]


def _number(value: float | None) -> Entry:
    return NOTHING if value is None else Entry(float(value))


def _refused(row: Row, kind: rows.Kind) -> Entry | None:
    why = row.refused(kind)
    return Entry(text=why) if why else None


def _marked(found: Contest, row: Row, kind: rows.Kind, scores: Scores, entry: Entry) -> Entry:
    """‡ for other pairs than the reference's; bold for the best and what is not worse, where this is what is ranked."""
    if kind in row.other:
        entry = replace(entry, mark=OTHER_PROTOCOL)
    return replace(entry, bold=scores is found.metric(row) and row.label in found.ranking.best)


def _win_rate(found: Contest, row: Row) -> Entry:
    scores = found.shares(row, "main")
    if scores is None:
        return _refused(row, "main") or NOTHING
    return _marked(found, row, "main", scores, estimated(scores.estimate, scores.by_seed))


def _controlled(found: Contest, row: Row) -> Entry:
    scores = found.controlled(row)
    if scores is None:
        known = found.side or any(one.record.task.name != length_control.ALPACA for one in row.main)
        return (_refused(row, "main") if known else None) or NOTHING
    entry = estimated(scores.estimate, scores.by_seed)
    if len(row.main) == 1:
        own = found.control(row.main[0])
        assert own is not None
        drawn = length_control.bootstrap(*own, row.main[0].title, found.strength(row.main[0]))
        entry = _between(entry, drawn.low, drawn.high)
    return _marked(found, row, "main", scores, entry)


def _between(entry: Entry, low: float, high: float) -> Entry:
    """With a bootstrap's interval, if it has a width."""
    return replace(entry, low=low, high=high, df=None) if high - low > AGREEMENT else entry


def _band(row: Row) -> Entry:
    pairs = row.pairs[row.leading]
    low, high = fmean(p.pessimistic for p in pairs), fmean(p.optimistic for p in pairs)
    return Entry(text=minus(f"{100 * low:.1f} to {100 * high:.1f}")) if low < high else NOTHING


def _discrete(row: Row) -> Entry:
    values = [p.discrete for p in row.pairs["main"]]
    if not values or row.refused("main"):
        return NOTHING
    return Entry(fmean(value for value in values if value is not None))


def _wins(found: Contest, row: Row) -> Entry:
    """Of the direct judgings, where the table has any."""
    kind: rows.Kind = "direct" if any(other.direct for other in found.rows) else "main"
    pairs = row.pairs[kind]
    if not pairs or row.refused(kind):
        return NOTHING
    return Entry(text="/".join(str(sum(n)) for n in zip(*((p.wins, p.ties, p.losses) for p in pairs), strict=True)))


def _against(found: Contest) -> dict[str, Entry]:
    """Direct win rates, the test of each against ½ after Holm over them."""
    heads = {r.label: head_to_head(r.direct) for r in found.rows if r.direct and not r.refused("direct")}
    adjusted = holm([head.over_half.p for head in heads.values()])
    entries = {}
    for (label, head), p in zip(heads.items(), adjusted, strict=True):
        half = head.over_half
        entries[label] = Entry(
            head.win_rate, head.low if half.se else None, head.high if half.se else None, half.df, half.p, p,
            head.by_seed, mark=mark(half.seeds, p),
        )  # fmt: skip
    return entries


def _no_test(found: Contest, row: Row) -> Entry:
    if row.label == found.reference:
        return Entry(text="reference")
    return _refused(row, "direct") or NOTHING


def _arena(found: Contest, row: Row) -> Entry:
    scores = found.arena(row)
    if scores is None:
        return _refused(row, "arena") or NOTHING
    entry = estimated(scores.estimate, scores.by_seed)
    if len(row.arena) == 1:
        drawn = arena.score(arena.of_judged(row.arena[0]), "ours", row.arena[0].title)
        entry = _between(entry, drawn.low, drawn.high)
    return _marked(found, row, "arena", scores, entry)


def _styled(found: Contest) -> dict[str, Entry]:
    """Over all rows and seeds; empty where a pair has no tokens or style, words where the fit says nothing."""
    judged = [(row.label, one) for row in found.rows if not row.refused("arena") for one in row.arena]
    if not judged or any(pair.tokens is None or pair.style is None for _, one in judged for pair in one.pairs):
        return {}
    try:
        rates = style.of_many([one for _, one in judged]).win_rates
    except style.StyleError as error:
        return {label: Entry(text=f"none: {error}") for label, _ in judged}
    by_row: dict[str, list[float]] = {}
    for n, (label, _) in enumerate(judged):
        by_row.setdefault(label, []).append(rates[str(n)])
    return {label: Entry(fmean(values)) for label, values in by_row.items()}


def _chars(row: Row) -> Entry:
    return Entry(float(np.mean([pair.chars[0] for one in row.of(row.leading) for pair in one.pairs])))


def _cost(row: Row, name: str, unit: float) -> Entry:
    """The sum over the row's judgings; nothing where one is not known, or all are 0."""
    parts = [getattr(one.record.cost, name) for one in row.every]
    return Entry(sum(parts) / unit) if all(part is not None for part in parts) and any(parts) else NOTHING


def _place(found: Contest, row: Row) -> tuple[bool, float]:
    """Best first, by what is ranked, else by the direct win rate; without a number last."""
    scores = found.metric(row) or found.shares(row, "direct")
    return scores is None, 0.0 if scores is None else -float(scores.values.mean())


def _says(entry: Entry) -> bool:
    return entry.value is not None or (bool(entry.text) and entry.text != "reference")
