"""What a claim is made of: the rows that it is about, and a check that compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..analysis import Analysis, View, matches
from ..records import Axis, LabFinding
from ..runs import Row, Table
from ..selection import Archive
from ..stats import Estimate
from ..verdicts import Judged
from ..winrates.side_file import SideFile
from .base import Paper, Scale

STAGED = "+"  # between the stages of a chain, in its algorithm's name


@dataclass(frozen=True)
class Side:
    """A row: by its label in the papers' studies, by patterns, best first, in any other table."""

    label: str
    patterns: tuple[str, ...] = ()  # none: only a study has such a row

    def find(self, rows: Sequence[Row], study: bool) -> Row | None:
        """The first row that is meant, in the recipe's order: chosen without a look at results. Control arms are not.

        A chain of stages is meant by the pattern of one alone, `sft+grpo`: `gft` is not its first stage.
        """
        rows = [row for row in rows if not row.control and row.submission is None]  # claims are held to one's own runs
        if study:
            return next((row for row in rows if self.label in (row.label, row.named)), None)
        for pattern in (self.label, *self.patterns):
            for row in rows:
                if row.algorithm.count(STAGED) == pattern.count(STAGED) and matches(row, pattern):
                    return row
        return None


@dataclass(frozen=True)
class Runs:
    """One table of runs, as a check sees it."""

    archive: Archive
    table: Table
    study: bool  # whether it is the claim's own study, whose rows have the papers' labels

    def analysis(self, rows: Sequence[Row], axis: Axis = "steps", reference: Row | None = None) -> Analysis:
        """These rows by themselves; `reference` sets the target."""
        label = None if reference is None else reference.label
        once = {row.hash: row for row in rows}
        return self.archive.part(self.table, list(once.values()), View("sampled", axis, label))


@dataclass(frozen=True)
class Compared:
    """One comparison: `estimate` is signed so that above 0 is what is claimed."""

    part: str  # `against GRPO`; empty where the claim has but one comparison
    comparison: str
    estimate: Estimate | None = None
    remark: str = ""  # why there is no estimate; beside one, what there is to know
    missing: bool = False  # whether it was not run, rather than not decided


class Shown(Protocol):
    """How a check's numbers are told."""

    @property
    def metric(self) -> str:
        """What is compared, in words."""

    @property
    def unit(self) -> str:
        """Of the estimates, `scale` applied."""

    @property
    def scale(self) -> float:
        """What estimates are multiplied with to be shown."""


class Check(Shown, Protocol):
    """How a claim is held to runs."""

    def compare(self, runs: Runs) -> list[Compared]:
        """The comparisons that this table allows; none where it does not have the claim's row."""


@dataclass(frozen=True)
class Verdicts:
    """What judges said below one results folder."""

    benchmark: str  # its name
    judged: Sequence[Judged]
    root: Path | None = None  # the results folder, resolved


@dataclass(frozen=True)
class OfJudge:
    """One judge's verdicts on one task, of one benchmark."""

    title: str
    judged: Sequence[Judged]
    side: SideFile | None
    study: bool


class JudgedCheck(Shown, Protocol):
    """How a claim is held to verdicts."""

    def compare_judged(self, of: OfJudge) -> list[Compared]:
        """As a check's `compare`."""


@dataclass(frozen=True)
class Exact:
    """A claim that the lab decides: `algorithm` by these findings, whether a confirmed one speaks for it or against."""

    algorithm: str
    decided_by: Mapping[str, bool] = field(default_factory=dict)  # how a finding's column or claim begins -> speaks for

    def speaks(self, finding: LabFinding) -> bool | None:
        """Whether a confirmed finding speaks for the claim; None where it is about something else."""
        for start, speaks in self.decided_by.items():
            if finding["column"] == start or (not finding["column"] and finding["claim"].startswith(start)):
                return speaks
        return None


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper that records can bear out or not."""

    id: str
    text: str  # in our words
    source: str
    study: str  # whose rows decide it; empty: the lab
    check: Check | JudgedCheck | Exact
    note: str  # what small runs can and cannot show
    studied: tuple[Scale, ...] = ("tiny", "small", "paper")  # where `groupbench reproduce` runs what it takes

    @property
    def paper(self) -> Paper:
        """It begins the id."""
        return "gift" if self.id.startswith("gift-") else "gft"

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Where a command can decide it; other runs may decide it elsewhere as well."""
        return ("lab",) if isinstance(self.check, Exact) else self.studied

    def command(self, scale: Scale) -> str:
        """What would run it there; empty where nothing would."""
        if scale not in self.scales:
            return ""
        if isinstance(self.check, Exact):
            return f"groupbench lab {self.check.algorithm}"
        return f"groupbench reproduce {self.paper} --scale {scale}"
