"""Submissions beside the user's own runs: verified ones in the table that they may be compared in, others apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import finals, loading
from ..columns import Entry
from ..columns.identity import seeds
from ..records import RecordError
from ..runs import MODES, Row, Submission, Table
from ..selection import Archive
from ..stats import over_seeds
from ..tables import Grid, Header, Line
from ..words import NOTHING, score
from .faults import Fault, shown
from .manifest import FILE, FOLDER
from .verify import Report, places, verify_all, with_faults

TITLE = "Not verified: self-reported"
CAPTION = (
    "Last held-out accuracies in %, or rewards, as the submissions have them: compared with nothing above, without "
    "rank, and in no other file. groupbench verify names every fault."
)


def gather(results: Path, folder: Path | None = None) -> Archive:
    """The user's own runs with verified submissions among them, and the others apart.

    Submissions are looked for in `results`/submissions, or are `results` itself, and in `folder`. All are verified
    here, whatever was said of them before. Raises RecordError where there is neither a run nor a submission.
    """
    reports = verify_all(_found(results, folder))
    if not reports:
        return Archive(loading.load(results))
    there = any(next(results.rglob(name), None) for name in ("cell.json", "benchmark.json"))
    tables = loading.own(results)[0] if there else []
    mine = {cell.folder.name for t in tables for row in t.rows for cell in row.cells if cell.folder}
    apart: list[Table] = []
    refused: list[Submission] = []
    for report in _not_mine(reports, mine):
        report, submission, own = _read(report)
        if submission.verified and (odd := _other_measures(tables, own)):
            report, submission, own = _read(with_faults(report, odd))
        if report.unsafe:
            refused.append(submission)
        elif submission.verified:
            tables = _joined(tables, own)
        else:
            apart += own
    return Archive(loading.arranged(tables), loading.arranged(apart), refused)


def grid(archive: Archive) -> Grid | None:
    """What is not verified, for people, by name and not by any number; None where there is nothing."""
    lines = [_line(table, row) for table in archive.apart for row in table.rows]
    for one in archive.refused:
        lines.append(
            Line(f"({one.name})", "", (Entry(text=f"({one.name})"), *[Entry(text=NOTHING)] * (2 + len(MODES))))
        )
    if not lines:
        return None
    headers = tuple(Header(name, name, "text") for name in ("algorithm", "runs", "seeds", *MODES))
    whose = {row.submission.name: row.submission for table in archive.apart for row in table.rows if row.submission}
    whose |= {one.name: one for one in archive.refused}
    why = tuple(f"({name}): {_why(one)}." for name, one in sorted(whose.items()))
    return Grid("unverified", TITLE, headers, tuple(sorted(lines, key=lambda line: line.label)), (CAPTION, *why))


def _found(results: Path, folder: Path | None) -> list[Path]:
    found: list[Path] = []
    if (results / FILE).exists() or (results.is_dir() and results.resolve().name == FOLDER):
        found += places(results)
    if (results / FOLDER).is_dir():
        found += places(results / FOLDER)
    if folder is not None:
        if not folder.is_dir():
            raise RecordError(f"--submissions {folder}: no such folder")
        found += places(folder)
    return list({os.path.abspath(path): path for path in found}.values())


def _not_mine(reports: Sequence[Report], mine: set[str]) -> list[Report]:
    """A run of the user's own that was handed in as well counts once."""
    expected = "cells that no own run holds: it counts once"
    return [
        with_faults(
            report, [Fault(c.folder, c.words, "an own run as well", expected) for c in report.cells if c.id in mine]
        )
        for report in reports
    ]


def _submission(report: Report) -> Submission:
    faults = tuple(fault.words for fault in report.faults)
    said = report.manifest
    if said is None or report.unsafe:  # not a word of it is repeated
        return Submission(shown(report.name), faults=faults)
    return Submission(report.name, said.by, said.note, said.id, said.dirty, faults)


def _read(report: Report) -> tuple[Report, Submission, list[Table]]:
    """Its tables, none where it is not safe to read, or turns out not to be."""
    submission = _submission(report)
    try:
        return (
            report,
            submission,
            [] if report.unsafe else loading.submitted(report.path, submission, _left_out(report)),
        )
    except Exception as error:  # nobody's submission may keep the user's own runs from being shown
        report = with_faults(report, [Fault(".", "", f"{type(error).__name__}: {error}", "")], unsafe=True)
        return report, _submission(report), []


def _other_measures(tables: Sequence[Table], own: Sequence[Table]) -> list[Fault]:
    """Where it would join a table that is ranked by something else: either's rows would have no number there."""
    return [
        Fault(".", f"the table of {table.task}", f"ranked by {table.measure}", f"{other.measure}, as others there")
        for table in own
        for other in tables
        if (other.task, other.key) == (table.task, table.key) and other.measure != table.measure and _measured(other)
    ]


def _measured(table: Table) -> bool:
    """Whether anything is: a table of runs that are not finished is ranked by nothing yet."""
    return any(curve for row in table.rows for cell in row.done for curve in cell.evals.values())


def _left_out(report: Report) -> dict[str, list[int]]:
    return {row.row: row.left_out for row in report.manifest.rows} if report.manifest else {}


def _joined(tables: list[Table], own: Sequence[Table]) -> list[Table]:
    """The rows of `own` in every table of equal key; in one of their own where there is none."""
    tables = list(tables)
    for table in own:
        places = [n for n, other in enumerate(tables) if (other.task, other.key) == (table.task, table.key)]
        for n in places:
            there = tables[n].rows
            taken = {row.label for row in there}
            rows = [replace(row, label=_free(row, taken), otherwise=finals.otherwise(row, there)) for row in table.rows]
            tables[n] = replace(tables[n], rows=(*there, *rows))
        if not places:
            tables.append(table)
    return tables


def _free(row: Row, taken: set[str]) -> str:
    """The row's label, or with a part of its hash where somebody has it already."""
    return row.label if row.label not in taken else f"{row.label} #{row.hash[:6]}"


def _line(table: Table, row: Row) -> Line:
    ends = []
    for mode in MODES:
        values = [
            value for cell in row.done if (found := cell.measured(mode, table.measure)) for value in [found[-1][1]]
        ]
        ends.append(score(over_seeds(values).mean, table.measure) if values else NOTHING)
    ran = f"{table.task}, {table.model or 'model unknown'}"
    words = [row.label, ran, seeds(row), *ends]
    return Line(row.label, row.hash, tuple(Entry(text=text) for text in words))


def _why(submission: Submission) -> str:
    more = len(submission.faults) - 1
    return submission.faults[0] + (f" (and {more} more)" if more else "")
