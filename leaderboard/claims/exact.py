"""Claims that the lab decides: exact computations, to which seeds and intervals do not apply."""

from __future__ import annotations

from ..lab import expectation, number
from ..records import LabFinding, LabRecord
from .base import Finding, Verdict
from .claim import Claim, Exact

METRIC = "numbers of exact expectations on small tabular policies; no seeds, no intervals"


def findings(claim: Claim, check: Exact, lab: LabRecord | None) -> list[Finding]:
    """The claim's verdict, and each number that it stands on; one `not run` where the lab said nothing of it."""
    reports = [] if lab is None else [one for one in lab["reports"] if one["algorithm"] == check.algorithm]
    found = [(one, speaks) for r in reports for one in r["findings"] if (speaks := check.speaks(one)) is not None]
    said = [(one, _verdict(one, speaks)) for one, speaks in found if one["verdict"] != "not applicable"]
    if not said:
        return [_finding(claim, check, "not run", f"no record of the lab on {check.algorithm}")]
    refuting = [one for one, verdict in said if verdict == "refuted"]
    for_it = [one for one, verdict in said if verdict == "supported"]
    decided: Verdict = "refuted" if refuting else "supported"
    speaking = refuting or for_it
    against = "speak against it" if refuting else "speak for it"
    why = f"{len(speaking)} of {len(said)} numbers {against}: {'; '.join(one['meaning'] for one in speaking)}"
    parts = [_part(claim, check, one, verdict) for one, verdict in said] if len(said) > 1 else []
    only = said[0][0]["measured"] if len(said) == 1 else None
    return [_finding(claim, check, decided, why, estimate=only), *parts]


def _verdict(finding: LabFinding, speaks: bool) -> Verdict:
    return "supported" if (finding["verdict"] == "confirmed") == speaks else "refuted"


def _part(claim: Claim, check: Exact, one: LabFinding, verdict: Verdict) -> Finding:
    why = f"measured {number(one['measured'])}, expected {expectation(one)}: {one['meaning']}"
    return _finding(claim, check, verdict, why, part=one["claim"], estimate=one["measured"])


def _finding(
    claim: Claim, check: Exact, verdict: Verdict, why: str, part: str = "", estimate: float | None = None
) -> Finding:
    return Finding(
        claim=claim.id, paper=claim.paper, text=claim.text, source=claim.source, scale="lab", metric=METRIC,
        comparison=check.algorithm, verdict=verdict, why=why, command=claim.command("lab"), estimate=estimate,
        part=part, note=claim.note,
    )  # fmt: skip
