"""The win-rate tables that a results folder holds: one for each benchmark, task and judge, never two judges in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import mine
from ..records import LeaderboardError, read_json
from ..tables import Grid
from ..verdicts import FILE, Judged, read
from ..winrates.build import groups
from ..winrates.rows import Contest, contest
from ..winrates.side_file import SideFile
from ..winrates.table import of_contest

Sides = Callable[[Sequence[Judged]], SideFile | None]


@dataclass(frozen=True, eq=False)
class Judging:
    """One judge's verdicts on one task of one benchmark, as a table."""

    benchmark: str
    task: str
    slug: str  # names it in a link; unique within a results folder
    contest: Contest
    grid: Grid


@dataclass(frozen=True)
class Found:
    """What verdicts there are, and what keeps some of them from a table."""

    judgings: tuple[Judging, ...] = ()
    errors: tuple[str, ...] = ()


def find(results: Path, side: Sides = lambda _: None) -> Found:
    """All verdicts below `results` but those of submissions; nothing where there are none.

    `side` has AlpacaEval's file for length control. Raises RecordError for a folder of verdicts that cannot be read.
    """
    places: dict[tuple[Path, str], list[Judged]] = {}
    for path in mine.below(results, FILE):
        judged = read(path.parent)
        places.setdefault((_root(path.parent, results), judged.record.task.name), []).append(judged)
    found, errors = [], []
    for (root, task), there in places.items():
        for name, group in groups(there).items():
            try:
                rows = contest(group, _reference(group), side(group))
                found.append(Judging(_benchmark(root), task, f"{task}-{name}", rows, of_contest(rows)))
            except LeaderboardError as error:
                errors.append(str(error))
    return Found(tuple(_apart(found)), tuple(errors))


def _root(folder: Path, results: Path) -> Path:
    """The folder of the benchmark that the verdicts are of; else of all results."""
    above = (one for one in folder.parents if one == results or results in one.parents)
    return next((one for one in above if (one / "benchmark.json").exists()), results)


def _benchmark(root: Path) -> str:
    record = root / "benchmark.json"
    return str(read_json(record)["name"]) if record.exists() else root.resolve().name


def _reference(group: Sequence[Judged]) -> str | None:
    """The row that candidates met directly: who most opponents are that are no benchmark's baseline."""
    direct = Counter(one.record.opponent.label for one in group if not one.record.official)
    return min(direct, key=lambda label: (-direct[label], label)) if direct else None


def _apart(judgings: Sequence[Judging]) -> list[Judging]:
    """With slugs that are each there once."""
    slugs = Counter(one.slug for one in judgings)
    seen: Counter[str] = Counter()
    made = []
    for one in judgings:
        seen[one.slug] += 1
        slug = one.slug if slugs[one.slug] == 1 else f"{one.slug}-{seen[one.slug]}"
        made.append(Judging(one.benchmark, one.task, slug, one.contest, one.grid))
    return made
