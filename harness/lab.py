"""`groupbench lab`: hand algorithms to the lab, its findings to the leaderboard's exports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from algorithms.lab import LABELS, Finding, Report, investigate
from leaderboard import lab as exports
from leaderboard.records import SCHEMA, LabCurve, LabFinding, LabRecord, LabReport

from . import plugins
from .console import console
from .cores import one_thread
from .errors import UserError


def run(names: Sequence[str], out: Path, plugin_files: Sequence[Path]) -> int:
    """See `groupbench lab`. Returns the exit code: 0, or 1 where a verdict is not the one on record."""
    for file in plugin_files:
        plugins.load_file(file)
    built = [plugins.build_algorithm(name, {}, "lab") for name in plugins.with_presets(names) or LABELS]
    reports = []
    with one_thread():
        for algorithm, label in built:
            with console.status(f"{label} ..."):
                try:
                    reports.append(report_of(label, investigate(algorithm, label)))
                except (ArithmeticError, ValueError) as error:  # what the interface and the lab refuse
                    raise UserError(f"lab: {label}: {error}") from error
            if len(names) == 1:
                console.print(exports.render(reports[-1]))
    if len(names) != 1:
        console.print(exports.side_by_side(reports))
    try:
        paths = exports.build(LabRecord(schema=SCHEMA, reports=reports), out, names)
    except OSError as error:
        raise UserError(f"lab: {error.filename}: {error.strerror}") from None
    for path in paths:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    surprises = exports.surprises(reports)
    for surprise in surprises:
        console.print(f"not as recorded: {surprise}", markup=False, highlight=False, soft_wrap=True)
    return 1 if surprises else 0


def report_of(label: str, report: Report) -> LabReport:
    """The record of what was found."""
    return LabReport(
        algorithm=label,
        summary=report.summary,
        unserved=report.unserved,
        findings=[_finding(one) for one in report.findings],
        curves=[LabCurve(panel=one.panel, name=one.name, x=list(one.x), y=list(one.y)) for one in report.curves],
    )


def _finding(one: Finding) -> LabFinding:
    return LabFinding(
        question=one.question, claim=one.claim, source=one.source, measured=one.measured, expected=one.expected,
        tolerance=one.tolerance, relation=one.relation, verdict=one.verdict, recorded=one.recorded, meaning=one.meaning,
        column=one.column, cell=one.cell,
    )  # fmt: skip
