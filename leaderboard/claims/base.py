"""What a check of one claim found, at one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["supported", "refuted", "inconclusive", "not run"]
Scale = Literal["lab", "tiny", "small", "paper"]


@dataclass(frozen=True)
class Finding:
    """A claim, the comparison that decides it, and what records say; all texts are for people."""

    claim: str  # its id, e.g. gift-converges-faster
    paper: str  # gift | gft
    text: str  # what is claimed, in our words
    source: str  # where it is claimed
    scale: Scale
    metric: str  # what is compared
    comparison: str  # of which rows, paired how
    verdict: Verdict
    why: str  # one sentence: what decided, or what is missing
    command: str  # that would run what it takes
    estimate: float | None = None
    low: float | None = None  # 95 % interval
    high: float | None = None
    unit: str = ""
    seeds: int = 0  # that the comparison stands on
    table: str | None = None  # slug of the table of runs
