"""All claims held to all records: by scale and table of runs, never two tables or two judges together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

from ..columns.base import estimated
from ..departures import Departures, untold, words
from ..records import LabRecord
from ..runs import Table
from ..selection import Archive
from ..winrates.side_file import SideFile
from . import exact, gft, gift
from .base import PAPERS, SCALES, Finding, Paper, Scale
from .claim import Check, Claim, Compared, Exact, Runs, Verdicts
from .deciding import Decision, decide, overall
from .winning import WinRate, by_judge

CLAIMS: tuple[Claim, ...] = (*gift.CLAIMS, *gft.CLAIMS)
STUDY = re.compile(r"(?P<paper>gift|gft)-(?P<scale>tiny|small|paper)-(?P<study>.+)")
# The papers' own models, by how the last part of their names begins.
MODELS = (
    "qwen2.5-math-1.5b", "qwen2.5-math-7b", "deepseekmath-7b", "deepseek-math-7b", "llama-3.2-3b", "llama-3.1-8b",
    "qwen3-30b-a3b",
)  # fmt: skip


def findings(
    archive: Archive | None, lab: LabRecord | None = None, judged: Sequence[Verdicts] = (),
    side: SideFile | None = None, papers: Sequence[Paper] = PAPERS, departures: Departures = untold,
) -> list[Finding]:  # fmt: skip
    """Every claim of `papers` at every scale where it can be decided; `not run`, with the command, where nothing is.

    `lab`: what the lab found; `judged`: verdicts by benchmark; `side`: AlpacaEval's side file, without which its win
    rates are not length-controlled; `departures`: settings of a study's runs that are not its recipe's, which stand
    beside verdicts on them. In the order of papers, claims, scales and tables. The same records, the same
    findings.
    """
    found: list[Finding] = []
    for claim in (one for paper in papers for one in CLAIMS if one.paper == paper):
        if isinstance(claim.check, Exact):
            found += exact.findings(claim, claim.check, lab)
            continue
        if isinstance(claim.check, WinRate):
            groups = list(_judged(claim, claim.check, archive, judged, side))
        else:
            groups = list(_runs(claim, cast(Check, claim.check), archive))
        for scale in SCALES:
            at = [(table, compared) for there, table, compared in groups if there == scale]
            if scale not in claim.scales:  # no command could run there what is missing
                at = [(table, compared) for table, compared in at if not all(one.missing for one in compared)]
            for table, compared in at:
                others = () if table is None else tuple(departures(table))
                found += [_with(others, one) for one in _of_table(claim, scale, table, compared)]
            if not at and scale in claim.scales:
                found.append(_finding(claim, scale, None, "", Decision("not run", "no runs at this scale")))
    return found


def scale_of(benchmark: str, model: str | None) -> Scale:
    """Of a study by its name; else tiny for the model `tiny`, paper for a model of the papers, small for any other."""
    if match := STUDY.fullmatch(benchmark):
        return cast(Scale, match["scale"])
    name = (model or "").split("/")[-1].lower()
    return "tiny" if name.startswith("tiny") else "paper" if name.startswith(MODELS) else "small"


def _own(claim: Claim, benchmark: str) -> bool | None:
    """Whether this is the claim's own study; None for another study, whose rows are about something else."""
    match = STUDY.fullmatch(benchmark)
    if match is None:
        return False
    of = match["study"] == claim.study or match["study"].startswith(f"{claim.study}-")  # main-7b: with another model
    return True if of and match["paper"] == claim.paper else None


Group = tuple[Scale, Table | None, list[Compared]]


def _runs(claim: Claim, check: Check, archive: Archive | None) -> Iterator[Group]:
    """What each table of verified runs has to say of a claim, as far as it has anything."""
    for table in archive.tables if archive is not None else ():
        own = _own(claim, table.benchmark)
        if own is None or table.measure != "accuracy" or not (own or any(row.done for row in table.rows)):
            continue
        assert archive is not None
        compared = check.compare(Runs(archive, table, own))
        if own and not compared:
            labels = ", ".join(row.label for row in table.rows)
            absent = f"{table.benchmark} does not have what this takes; its rows are {labels}"
            compared = [Compared("", "", None, absent, missing=True)]
        if compared:
            yield scale_of(table.benchmark, table.model), table, compared


def _judged(
    claim: Claim, check: WinRate, archive: Archive | None, judged: Sequence[Verdicts], side: SideFile | None
) -> Iterator[Group]:
    """The same of each judge's verdicts."""
    for verdicts in judged:
        own = _own(claim, verdicts.benchmark)
        if own is None:
            continue
        table = _judged_table(archive, verdicts)
        scale = scale_of(verdicts.benchmark, None if table is None else table.model)
        for of in by_judge(verdicts, side, own):
            if compared := check.compare_judged(of):
                yield scale, table, compared


def _judged_table(archive: Archive | None, verdicts: Verdicts) -> Table | None:
    """The benchmark's table of runs: that in the verdicts' own folder, where several have its name."""
    named = [table for table in (archive.tables if archive else ()) if table.benchmark == verdicts.benchmark]
    folders = [(table, cell.folder) for table in named for row in table.rows for cell in row.cells]
    own = (table for table, at in folders if at is not None and verdicts.root in at.resolve().parents)
    return next(own, named[-1] if named else None)


def _of_table(claim: Claim, scale: Scale, table: Table | None, compared: list[Compared]) -> list[Finding]:
    """The claim's verdict in one table, and each of its comparisons where there are several."""
    decisions = decide(compared)
    if len(compared) == 1:
        return [_finding(claim, scale, table, compared[0].comparison, decisions[0], compared[0])]
    parts = [
        _finding(claim, scale, table, one.comparison, decision, one, one.part)
        for one, decision in zip(compared, decisions, strict=True)
    ]
    seeds = min((one.seeds for one in parts if one.seeds), default=0)
    comparison = "; ".join(dict.fromkeys(one.comparison for one in compared))
    return [_finding(claim, scale, table, comparison, overall(compared, decisions), seeds=seeds), *parts]


def _with(departures: tuple[str, ...], found: Finding) -> Finding:
    """A verdict of runs that are not the study's says so."""
    if not departures or found.verdict == "not run":
        return found
    return replace(found, departures=departures, why=f"{found.why}; {words(departures)}")


def _finding(
    claim: Claim, scale: Scale, table: Table | None, comparison: str, decision: Decision,
    compared: Compared | None = None, part: str = "", seeds: int = 0,
) -> Finding:  # fmt: skip
    check = claim.check
    assert not isinstance(check, Exact)
    estimate = None if compared is None else compared.estimate
    entry = estimated(estimate)  # without an interval where seeds agree exactly
    mean, low, high = (None if v is None else check.scale * v for v in (entry.value, entry.low, entry.high))
    return Finding(
        claim=claim.id, paper=claim.paper, text=claim.text, source=claim.source, scale=scale, metric=check.metric,
        comparison=comparison, verdict=decision.verdict, why=decision.why, command=claim.command(scale),
        estimate=mean, low=low, high=high, unit=check.unit, seeds=seeds if estimate is None else estimate.seeds,
        table=None if table is None else table.slug, part=part, note=claim.note, p_holm=decision.p_holm,
    )  # fmt: skip
