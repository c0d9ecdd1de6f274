"""From comparisons to verdicts: an interval wholly on one side of 0, after Holm, on three seeds or more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ranking import ALPHA
from ..stats import holm
from .base import Verdict
from .claim import Compared

FEWEST = 3  # seeds a verdict takes


@dataclass(frozen=True)
class Decision:
    """A comparison's verdict, what decided it, and its p after Holm over the claim's comparisons."""

    verdict: Verdict
    why: str
    p_holm: float | None = None


def decide(compared: Sequence[Compared]) -> list[Decision]:
    """A verdict each. Holm's family: the comparisons of one claim in one table that have three seeds and a p-value."""
    tested = [
        one.estimate.p if one.estimate is not None and one.estimate.seeds >= FEWEST and not one.missing else None
        for one in compared
    ]
    adjusted = holm(tested)
    family = sum(p is not None for p in tested)
    return [_one(each, p, q, family) for each, p, q in zip(compared, tested, adjusted, strict=True)]


def _one(compared: Compared, p: float | None, adjusted: float | None, family: int) -> Decision:
    estimate = compared.estimate
    if compared.missing:
        return Decision("not run", compared.remark)
    if estimate is None:
        return Decision("inconclusive", compared.remark)
    beside = f"; {compared.remark}" if compared.remark else ""
    if estimate.seeds < FEWEST:
        seeds = f"{estimate.seeds} seed{'s' * (estimate.seeds != 1)}"
        return Decision("inconclusive", f"{seeds}: no verdict with fewer than {FEWEST}{beside}")
    if p is None or adjusted is None:
        return Decision("inconclusive", f"the seeds or items agree exactly, so that no error is known{beside}")
    corrected = f" (p = {adjusted:.2g} after Holm over {family} comparisons)" if family > 1 else f" (p = {p:.2g})"
    if adjusted < ALPHA:
        verdict: Verdict = "supported" if estimate.mean > 0 else "refuted"
        side = "above" if estimate.mean > 0 else "below"
        return Decision(verdict, f"the 95 % interval lies wholly {side} 0{corrected}{beside}", adjusted)
    holds = "holds 0" if p >= ALPHA else "excludes 0, but not after the correction"
    return Decision("inconclusive", f"the 95 % interval {holds}{corrected}{beside}", adjusted)


def overall(compared: Sequence[Compared], decisions: Sequence[Decision]) -> Decision:
    """The claim's: refuted where any comparison is, supported where all are, not run where none was."""
    verdicts = [decision.verdict for decision in decisions]
    if len(decisions) == 1:
        return decisions[0]
    found: Verdict = "inconclusive"
    if "refuted" in verdicts:
        found = "refuted"
    elif set(verdicts) in ({"supported"}, {"not run"}):
        found = verdicts[0]
    said = [
        f"{verdict} {', '.join(one.part for one, v in zip(compared, verdicts, strict=True) if v == verdict)}"
        for verdict in dict.fromkeys(verdicts)
    ]
    rule = {"refuted": "one is enough", "supported": "all of them"}.get(found, "all must be supported")
    return Decision(found, f"{'; '.join(said)} ({rule})")
