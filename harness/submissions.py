"""`groupbench submit` and `groupbench verify`: as light as the records are, with no model and no torch."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UserError

if TYPE_CHECKING:
    from leaderboard.submissions.verify import Report

FAULTS = 20  # of a submission that are printed; --json has all


def submit(run: Path, out: Path, name: str | None, by: str, note: str, rows: Sequence[str], texts: bool) -> int:
    """See `groupbench submit`. Returns the exit code."""
    from leaderboard.submissions.packing import Asked, pack

    try:
        report = pack(run, out, Asked(name, by, note, rows, texts))
    except OSError as error:
        raise UserError(f"submit: {error.filename}: {error.strerror}") from None
    manifest = report.manifest
    assert manifest is not None
    for row in manifest.rows:
        left = f"; left out: seeds {', '.join(map(str, row.left_out))}" if row.left_out else ""
        print(f"{row.label}: seeds {', '.join(map(str, row.seeds))}{left}")
    print(f"{len(manifest.verdicts)} comparisons by a judge" if manifest.verdicts else "no comparisons by a judge")
    for what in manifest.scrubbed or ["nothing"]:
        print(f"scrubbed: {what}")
    for commit in manifest.commits:
        if commit.endswith("+"):
            print(f"note: run with changes that no commit holds, on top of {commit[:12]}; this is shown with the rows")
    if not manifest.texts:
        print("note: without prompts and responses (--texts): scores can be computed again, answers not graded again")
    files = len(manifest.files) + 1
    print(f"verified: {report.evaluations} evaluations from {report.items} items")
    print(f"wrote {report.path} ({files} files, {size(manifest.size)}, id {manifest.id})")
    return 0


def verify(paths: Sequence[Path], out: Path | None) -> int:
    """See `groupbench verify`. Returns the exit code: 0 or 1."""
    from leaderboard.submissions.verify import verify as verify_all

    reports = verify_all(paths)
    verified = all(report.verified for report in reports)
    if out is not None:
        text = json.dumps(
            {"schema": 1, "verified": verified, "submissions": [as_json(one) for one in reports]}, indent=1
        )
        if str(out) == "-":
            print(text)
            return 0 if verified else 1
        try:
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"--json {out}: {error.strerror}") from None
    _print(reports)
    return 0 if verified else 1


def as_json(report: Report) -> dict[str, Any]:
    """A report as data."""
    manifest = report.manifest
    return {
        "path": str(report.path),
        "name": report.name,
        "id": manifest.id if manifest else None,
        "by": manifest.by if manifest else None,
        "verified": report.verified,
        "dirty": manifest.dirty if manifest else None,
        "cells": len(report.cells),
        "evaluations": report.evaluations,
        "items": report.items,
        "bytes": manifest.size if manifest else None,
        "faults": [
            {"file": one.file, "record": one.record, "found": one.found, "expected": one.expected}
            for one in report.faults
        ],
        "more_faults": report.more,
    }


def size(count: int) -> str:
    """`1.3 MB`."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _print(reports: Sequence[Report]) -> None:
    """A table, then every fault on a line of its own."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from leaderboard.submissions.faults import shown

    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)
    table = Table(padding=(0, 0, 0, 0))
    for heading in ("submission", "by"):
        table.add_column(heading, overflow="fold")
    for heading in ("rows", "cells", "evals", "items", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("code", "verdict"):
        table.add_column(heading, no_wrap=True)
    for report in reports:
        said = report.manifest
        count = len(report.faults) + report.more
        words = [
            shown(report.name), shown(said.by) if said else "", str(len(said.rows)) if said else "–",
            str(len(report.cells)), str(report.evaluations), str(report.items), size(said.size) if said else "–",
            "changed" if said and said.dirty else "committed" if said else "–",
            "verified" if report.verified else f"{count} fault{'s' * (count != 1)}",
        ]  # fmt: skip
        table.add_row(*map(Text, words))
    console.print(table)
    for report in reports:
        for fault in report.faults[:FAULTS]:
            print(f"{shown(str(report.path))}/{fault.words}")
        if (more := len(report.faults) + report.more - FAULTS) > 0:
            print(f"{shown(str(report.path))}: {more} more")
