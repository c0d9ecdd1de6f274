"""From folders of verdicts to files: a win-rate table for each judge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .. import mine
from ..build import write
from ..export import markdown
from ..records import SUBMISSION, LeaderboardError, RecordError
from ..submissions.verify import verify_one
from ..tables import Grid
from ..verdicts import FILE, Judged, read
from .side_file import SideFile
from .table import table


@dataclass(frozen=True)
class Built:
    """A judge's table: the files, and what they show."""

    grid: Grid
    paths: list[Path]


def find(places: Sequence[Path], tasks: Sequence[str] = ()) -> list[Judged]:
    """All verdicts in or below the places (on `tasks`), in the order of their paths. RecordError for none.

    What others handed in is left out, unless its own folder is named: it is verified then, and refused with a fault.
    """
    folders = sorted({path.parent.resolve() for place in places for path in _below(place)})
    found = [read(folder) for folder in folders]
    found = [one for one in found if not tasks or one.record.task.name in tasks]
    if not found:
        on = f" on {', '.join(tasks)}" if tasks else ""
        raise RecordError(f"{', '.join(map(str, places))}: no {FILE}{on}; `groupbench judge` writes one")
    return found


def _below(place: Path) -> list[Path]:
    if (place / SUBMISSION).exists():
        report = verify_one(place)
        if not report.verified:
            raise RecordError(f"{place}: not verified: {report.faults[0].words}")
        return list(place.rglob(FILE))
    return mine.below(place, FILE)


def build(
    judged: Sequence[Judged], out: Path, reference: str | None, side: SideFile | None
) -> tuple[list[Built], list[LeaderboardError]]:
    """Write win-rates-<judge>.md, .csv, -tidy.csv and .tex for each judge, and way that it was asked, into `out`.

    Also what keeps a judge's verdicts from a table, where something does; the others are made.
    """
    built, errors = [], []
    for name, group in groups(judged).items():
        try:
            grid = table(group, reference, side)
        except LeaderboardError as error:
            errors.append(error)
            continue
        built.append(Built(grid, write(out, f"win-rates-{name}", markdown.grid(grid, "#") + "\n", [grid])))
    return built, errors


def tables(judged: Sequence[Judged], side: SideFile | None) -> dict[str, Grid]:
    """A win-rate table by kind of judge, of the first judge of each kind; what cannot be made is left out."""
    found: dict[str, Grid] = {}
    for group in groups(judged).values():
        kind = group[0].record.judge.kind
        if kind not in found:
            direct = next((one.record.opponent.label for one in group if not one.record.official), None)
            with suppress(LeaderboardError):
                found[kind] = table(group, direct, side)
    return found


def groups(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """By judge, named for a file; a judge that was asked about one task in two ways is parted by these."""
    by_judge: dict[tuple[str, ...], list[Judged]] = {}
    for one in judged:
        by_judge.setdefault((one.record.judge.kind, one.record.judge.model, one.record.judge.revision), []).append(one)
    found: dict[str, list[Judged]] = {}
    for judge, own in sorted(by_judge.items()):
        ways: dict[str, set[str]] = {}
        for one in own:
            ways.setdefault(one.record.task.name, set()).add(_way(one))
        apart = any(len(there) > 1 for there in ways.values())
        for one in own:
            found.setdefault(_name(judge, _way(one) if apart else ""), []).append(one)
    return found


def _way(one: Judged) -> str:
    record = one.record
    return f"{record.judge.identity} {record.parser} {record.orders} {record.cap_chars}"


def _name(judge: tuple[str, ...], way: str) -> str:
    kind, model, _ = judge
    digest = sha256(repr((judge, way)).encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return re.sub(r"[^A-Za-z0-9.]+", "-", f"{kind}-{Path(model).name[:60]}-{digest}").strip("-.").lower()
