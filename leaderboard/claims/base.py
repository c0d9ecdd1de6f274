"""What a check of one claim found, at one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Verdict = Literal["supported", "refuted", "inconclusive", "not run"]
Scale = Literal["lab", "tiny", "small", "paper"]
Paper = Literal["gift", "gft"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
SCALES: tuple[Scale, ...] = get_args(Scale)
PAPERS: tuple[Paper, ...] = get_args(Paper)


@dataclass(frozen=True)
class Finding:
    """A claim, the comparison that decides it, and what records say; all texts are for people.

    A claim about several rows has one finding without a `part`, its verdict on the whole, and one a part.
    """

    claim: str  # its id, e.g. gift-converges-faster
    paper: str  # gift | gft
    text: str  # what is claimed, in our words
    source: str  # where it is claimed
    scale: Scale
    metric: str  # what is compared
    comparison: str  # of which rows, paired how
    verdict: Verdict
    why: str  # one sentence: what decided, or what is missing
    command: str  # that would run what it takes; empty where none would
    estimate: float | None = None  # above 0 is what is claimed; of the lab, what was measured
    low: float | None = None  # 95 % interval
    high: float | None = None
    unit: str = ""
    seeds: int = 0  # that the comparison stands on
    table: str | None = None  # slug of the table of runs
    part: str = ""  # which of a claim's several comparisons, e.g. `against GRPO`; empty: the claim itself
    note: str = ""  # what such runs can show of the claim, and what they cannot
    p_holm: float | None = None  # two-sided, after Holm over the claim's comparisons in this table
    departures: tuple[str, ...] = ()  # settings of the table's runs that are not its study's; `why` has the first
