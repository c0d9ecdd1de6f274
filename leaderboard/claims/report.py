"""Findings for people and for programs: a matrix of verdicts, all comparisons, JSON. Without a date or a machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..columns import Entry
from ..departures import SIGN
from ..departures import words as departing
from ..export import formats
from ..export.markdown import escape
from ..lab import number as measured
from ..words import NOTHING, one_line
from .base import SCALES, VERDICTS, Finding, Scale, Verdict

if TYPE_CHECKING:
    import rich.table

SCHEMA = 1
DEPARTED = f"{SIGN}: of runs with other settings than their study's recipe has"
TITLES = {"gift": "GIFT (arXiv 2510.23868)", "gft": "GFT (arXiv 2604.14258)"}
STYLES: dict[Verdict, str] = {"supported": "green", "refuted": "red", "inconclusive": "yellow", "not run": "dim"}
OPENING = """\
What the records say of the papers' claims. A verdict is made of differences that are signed so that **above 0 is what
is claimed**, each with a 95 % interval over training seeds (and items, where it is of accuracies), paired. *Supported*:
the interval lies wholly above 0; *refuted*: wholly below; else *inconclusive*, which is no evidence of equality. Holm's
correction is over the comparisons of one claim in one table, and not over claims or tables: among twenty claims without
anything behind them about one may have a verdict by chance. A claim about several rows is supported if every comparison
is, refuted if one is. Fewer than three seeds make no verdict. Tables, models and judges are never pooled. The lab's
claims are exact computations: seeds do not apply. More: docs/claims.md.
"""


def as_json(findings: Sequence[Finding]) -> str:
    """The records: every finding with all its fields, in order."""
    return json.dumps({"schema": SCHEMA, "findings": [asdict(one) for one in findings]}, indent=1) + "\n"


def summary(findings: Sequence[Finding]) -> str:
    """`lab: 4 supported, 1 refuted; tiny: …`: of claims, a table of runs each; how many are of other settings."""
    said = []
    for scale in SCALES:
        own = [one for one in findings if one.scale == scale and not one.part]
        counts = Counter(one.verdict for one in own)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        others = sum(bool(one.departures) for one in own)
        told += f" ({others} of them of runs with other settings than their study's)" * bool(others)
        said += [f"{scale}: {told}"] if told else []
    return "; ".join(said)


def markdown(findings: Sequence[Finding]) -> str:
    """The page: for each paper the matrix, then claim by claim what was compared and what would run the rest."""
    parts = ["# Claims", OPENING.rstrip(), escape(summary(findings)) + "."]
    for paper in dict.fromkeys(one.paper for one in findings):
        own = [one for one in findings if one.paper == paper]
        parts += [f"## {TITLES.get(paper, paper)}", _matrix(own), *_departures(own)]
        for claim in dict.fromkeys(one.claim for one in own):
            parts += _claim([one for one in own if one.claim == claim])
    return "\n\n".join(parts) + "\n"


def _matrix(findings: Sequence[Finding]) -> str:
    scales = [scale for scale in SCALES if any(one.scale == scale for one in findings)]
    lines = [f"| claim | {' | '.join(scales)} |", f"|{'---|' * (1 + len(scales))}"]
    for claim, cells in matrix(findings).items():
        lines.append(f"| [{claim}](#{claim}) | {' | '.join(cells.get(scale, NOTHING) for scale in scales)} |")
    return "\n".join(lines)


def _departures(findings: Sequence[Finding]) -> list[str]:
    """What the sign in the matrix stands for, table by table."""
    tables = {one.table: one.departures for one in findings if one.departures}
    said = [f"- {escape(f'{table}: {departing(found, None)}')}" for table, found in tables.items()]
    return ["\n".join([f"{DEPARTED}.", "", *said])] if said else []


def matrix(findings: Sequence[Finding]) -> dict[str, dict[Scale, str]]:
    """By claim and scale: the verdict, or `2 supported, 1 refuted` where several tables have one; signed where runs
    are not their study's.
    """
    found: dict[str, dict[Scale, str]] = {}
    for claim in dict.fromkeys(one.claim for one in findings):
        for scale in SCALES:
            own = [one for one in findings if (one.claim, one.scale, one.part) == (claim, scale, "")]
            verdicts, sign = Counter(one.verdict for one in own), f" {SIGN}" * any(one.departures for one in own)
            if sum(verdicts.values()) == 1:
                found.setdefault(claim, {})[scale] = f"{next(iter(verdicts))}{sign}"
            elif verdicts:
                told = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict])
                found.setdefault(claim, {})[scale] = f"{told}{sign}"
    return found


def _claim(findings: Sequence[Finding]) -> list[str]:
    first = findings[0]
    parts = [f"### {first.claim}", escape(first.text), f"*Source:* {escape(first.source)}."]
    parts.append(f"*Compared:* {escape(first.metric)}. *Mind:* {escape(first.note)}")
    run = [one for one in findings if one.verdict != "not run" or one.comparison]
    if run:
        head = ["scale", "table", "comparison", "verdict", "in favour", "seeds", "why"]
        lines = [f"| {' | '.join(head)} |", "|---|---|---|---|---:|---:|---|"]
        wholes = {(one.scale, one.table) for one in run if one.part}
        lines += [f"| {' | '.join(map(escape, _row(one, wholes)))} |" for one in run]
        parts.append("\n".join(lines))
    commands = dict.fromkeys(one.command for one in findings if one.verdict == "not run" and one.command)
    if commands:
        parts.append(f"Not run: {', '.join(f'`{command}`' for command in commands)}.")
    return parts


def _row(one: Finding, wholes: Set[tuple[Scale, str | None]]) -> list[str]:
    """`wholes`: where a claim is made of parts, which say for themselves what was compared."""
    what = f"{one.part}: {one.comparison}" if one.part else one.comparison
    if not one.part and (one.scale, one.table) in wholes:
        what = "all of these"
    return [one.scale, one.table or NOTHING, what, one.verdict, number(one), str(one.seeds or NOTHING), one.why]


def number(one: Finding) -> str:
    """`+3.2 ± 1.1 points`; of the lab what was measured."""
    if one.estimate is None:
        return NOTHING
    if one.scale == "lab":
        return measured(one.estimate)
    return f"{formats.text('change', Entry(one.estimate, one.low, one.high))} {one.unit}".rstrip()


def terminal(findings: Sequence[Finding]) -> list[rich.table.Table]:
    """The matrix, and what was run, for a `rich.console.Console`; the lab's single numbers are left to the Markdown."""
    run = [one for one in findings if one.verdict != "not run" and not (one.scale == "lab" and one.part)]
    return [_overview(findings), *([_compared(run)] if run else [])]


def _overview(findings: Sequence[Finding]) -> rich.table.Table:
    import rich.table
    from rich.text import Text

    below = Text(DEPARTED, "dim") if any(one.departures for one in findings) else None
    shown = rich.table.Table(
        title=Text("The papers' claims", "bold"), title_justify="left", caption=below, caption_justify="left"
    )
    scales = [scale for scale in SCALES if any(one.scale == scale for one in findings)]
    for name in ("claim", *scales):
        shown.add_column(name, overflow="fold")
    for claim, cells in matrix(findings).items():
        words = [cells.get(scale, NOTHING) for scale in scales]
        styles: list[str] = [style for word in words for style in [STYLES.get(word.removesuffix(f" {SIGN}"), "")]]  # type: ignore[call-overload]
        shown.add_row(claim, *(Text(word, style) for word, style in zip(words, styles, strict=True)))
    return shown


def _compared(findings: Sequence[Finding]) -> rich.table.Table:
    import rich.table
    from rich.text import Text

    below = "in favour: above 0 is what is claimed; ± half of a 95 % interval over seeds (and items)"
    shown = rich.table.Table(
        title=Text("What decides", "bold"), title_justify="left", caption=Text(below, "dim"), caption_justify="left"
    )
    for name in ("claim", "where", "verdict", "in favour", "seeds", "why"):
        shown.add_column(name, overflow="fold", justify="right" if name == "seeds" else "left")
    for one in findings:
        where = f"{one.scale}, {one.table}" if one.table else one.scale
        cells = [f"· {one.part}" if one.part else one.claim, "" if one.part else where, one.verdict, number(one)]
        texts = [Text(one_line(cell)) for cell in (*cells, str(one.seeds or NOTHING), one.why)]
        texts[2].stylize(STYLES[one.verdict])
        shown.add_row(*texts)
    return shown
