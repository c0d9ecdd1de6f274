"""The papers' claims as checks over records.

base.py has what a finding is, claim.py what a claim is made of, gift.py and gft.py the claims. quantities.py is what
may be compared; checks.py, forgetting.py, winning.py and exact.py say between which rows. deciding.py goes from
intervals to verdicts, findings.py takes every claim to every table, and report.py is for people.
"""

from .base import PAPERS, SCALES, VERDICTS, Finding, Paper, Scale, Verdict
from .claim import Verdicts
from .findings import CLAIMS, findings, scale_of

__all__ = [
    "CLAIMS", "PAPERS", "SCALES", "VERDICTS", "Finding", "Paper", "Scale", "Verdict", "Verdicts", "findings",
    "scale_of",
]  # fmt: skip
