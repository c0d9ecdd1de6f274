"""`groupbench claims`: the papers' claims held to what lies on disk. Loads no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from leaderboard.claims import PAPERS, SCALES, Paper, findings, report
from leaderboard.claims.gather import gather
from leaderboard.declared import suggestion

from .console import console, say
from .errors import UserError
from .judging.side import of_verdicts
from .papers import departures

RESULTS = Path("results")  # where runs, the papers' and the lab's, go by default


def run(places: Sequence[Path], paper: str | None, json: Path | None, out: Path | None) -> int:
    """See `groupbench claims`. Returns the exit code, 0 whatever the verdicts are: a refuted claim is a result."""
    if paper is not None and paper not in PAPERS:
        raise UserError(f"--paper {paper}{suggestion(paper, PAPERS)}")
    papers: Sequence[Paper] = PAPERS if paper is None else (cast(Paper, paper),)
    found = gather(places or ([RESULTS] if RESULTS.is_dir() else []))
    side = of_verdicts([one for benchmark in found.judged for one in benchmark.judged])
    said = findings(found.archive, found.lab, found.judged, side, papers, departures.of)
    folder = out or (places[0] if places else RESULTS if RESULTS.is_dir() else None)
    files = {} if folder is None else {folder / "claims.md": report.markdown(said), folder / "claims.json": ""}
    files = {path: text or report.as_json(said) for path, text in files.items()}
    if json is not None:
        files[json] = report.as_json(said)
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "replace"))  # a label may hold half of a surrogate pair
    except OSError as error:
        raise UserError(f"claims: {error.filename}: {error.strerror}") from None
    for table in report.terminal(said):
        console.print(table)
    missing = [one for one in said if one.verdict == "not run" and one.command]
    missing.sort(key=lambda one: SCALES.index(one.scale))
    for command in dict.fromkeys(one.command for one in missing):
        say(f"not run yet: {command}")
    for path in files:
        say(f"wrote {path}")
    say(report.summary(said))
    return 0
