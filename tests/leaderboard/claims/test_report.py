"""What people and programs are shown."""

from __future__ import annotations

import io
import json
import re
from dataclasses import fields

from rich.console import Console

from leaderboard.claims import CLAIMS, Finding, report


def a_finding(**changes):
    base = {
        "claim": "gift-x", "paper": "gift", "text": "A | b.", "source": "s", "scale": "tiny", "metric": "m",
        "comparison": "c", "verdict": "supported", "why": "w", "command": "groupbench reproduce gift --scale tiny",
        "estimate": 3.2, "low": 2.0, "high": 4.4, "unit": "points", "seeds": 3, "table": "t",
    }  # fmt: skip
    return Finding(**{**base, **changes})


def test_summary_counts_claims_and_no_parts():
    found = [
        a_finding(), a_finding(part="against GRPO"), a_finding(claim="gift-y", verdict="refuted", scale="lab"),
        a_finding(claim="gift-z", verdict="not run"),
    ]  # fmt: skip
    assert report.summary(found) == "lab: 1 refuted; tiny: 1 supported, 1 not run"


def test_numbers():
    assert report.number(a_finding()) == "+3.2 ± 1.2 points"
    assert report.number(a_finding(estimate=-0.5, low=None, high=None)) == "−0.5 points"
    assert report.number(a_finding(estimate=None)) == "–"
    assert report.number(a_finding(scale="lab", estimate=2.1e-12, low=None, high=None, unit="")) == "< 1e-9"


def test_several_tables_share_a_place_in_the_matrix():
    found = [a_finding(), a_finding(table="u", verdict="refuted"), a_finding(table="v", part="p")]
    assert report.matrix(found) == {"gift-x": {"tiny": "1 supported, 1 refuted"}}


def test_verdicts_of_other_settings_are_signed_and_counted():
    settings = ("budget.steps = 2, not 40", "model.name = a|b, not tiny", "c", "d")
    other = a_finding(departures=settings, table="u", verdict="refuted")
    assert report.matrix([a_finding(), other]) == {"gift-x": {"tiny": "1 supported, 1 refuted †"}}
    assert report.matrix([other]) == {"gift-x": {"tiny": "refuted †"}}
    told = "tiny: 1 supported, 1 refuted (1 of them of runs with other settings than their study's)"
    assert report.summary([a_finding(), other]) == told
    text = report.markdown([a_finding(), other])
    assert "†: of runs with other settings than their study's recipe has." in text
    assert "- u: not the study's settings: budget.steps = 2, not 40; model.name = a\\|b, not tiny; c; d" in text
    assert "†" not in report.markdown([a_finding()])
    assert json.loads(report.as_json([other]))["findings"][0]["departures"] == list(settings)
    out = io.StringIO()
    Console(file=out, width=140).print(report.terminal([other])[0])
    assert "refuted †" in out.getvalue() and report.DEPARTED in " ".join(out.getvalue().split())


def test_markdown_has_every_claim_and_escapes_what_others_wrote(studies, rise):
    for n, label in enumerate(["GRPO", "DAPO", "GSPO", "GIFT"]):
        studies.row("gift-tiny-rlvr", label, rise(0.8, 3 if label == "GIFT" else 8, n))
    studies.row("mine", "gift@<img src=x>|`*_", rise(0.9, 4), "gift")
    studies.row("mine", "grpo@no-kl", rise(0.9, 8, 3), "grpo")
    found = studies.said()
    text = report.markdown(found)
    assert all(f"### {claim.id}\n" in text and f"(#{claim.id})" in text for claim in CLAIMS)
    assert "against GRPO: GIFT against GRPO, paired by seed" in text and "groupbench reproduce gft --scale tiny" in text
    assert "<img" not in text.replace("\\<img", "")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table
    assert text == report.markdown(studies.said())


def test_json_has_every_field():
    found = json.loads(report.as_json([a_finding()]))
    assert found["schema"] == 1 and set(found["findings"][0]) == {field.name for field in fields(Finding)}


def test_terminal(studies, rise):
    for n, label in enumerate(["GRPO", "GIFT"]):
        studies.row("gift-tiny-rlvr", label, rise(0.8, 8 - 5 * n, n))
    out = io.StringIO()
    console = Console(file=out, width=140)
    for table in report.terminal(studies.said()):
        console.print(table)
    said = out.getvalue()
    assert "gift-converges-faster-steps" in said and "· against GRPO" in said and "supported" in said
    assert len(report.terminal([a_finding(verdict="not run", estimate=None)])) == 1
