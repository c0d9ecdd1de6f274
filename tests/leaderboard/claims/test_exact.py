"""Claims that the lab decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaderboard.claims import CLAIMS, findings
from leaderboard.claims.claim import Exact
from leaderboard.claims.gather import gather
from leaderboard.records import RecordError, write_json

EXACT = {claim.id: claim.check for claim in CLAIMS if isinstance(claim.check, Exact)}
DOCS = Path(__file__).parents[3] / "docs"


def lab_finding(claim, verdict, column=""):
    measured = None if verdict == "not applicable" else 0.25
    return {
        "question": "identity", "claim": claim, "source": "s", "measured": measured, "expected": 0.0, "tolerance": 0.5,
        "relation": "=", "verdict": verdict, "recorded": None, "meaning": "so it is", "column": column, "cell": "",
    }  # fmt: skip


def record(algorithm, *found):
    report = {"algorithm": algorithm, "summary": "", "unserved": None, "findings": list(found), "curves": []}
    return {"schema": 1, "reports": [report]}


def test_confirmed_numbers_support_or_refute(pick):
    stationary = lab_finding("π_ref·exp(-r), correlation -1, is stationary as well", "confirmed")
    found = findings(None, record("gift@published", stationary))
    assert pick(found, "gift-convex", "lab").verdict == "refuted" and pick(found, "gift-convex", "lab").estimate == 0.25
    moved = {**stationary, "verdict": "refuted"}
    assert pick(findings(None, record("gift@published", moved)), "gift-convex", "lab").verdict == "supported"


def test_a_claim_of_several_numbers(pick):
    numbers = [
        lab_finding("it comes to rest", "confirmed", "rests inside"),
        lab_finding("on the line", "refuted", "in the family"),
        lab_finding("and nothing else", "confirmed"), lab_finding("no K", "refuted", "K decided"),
    ]  # fmt: skip
    found = findings(None, record("gift@published", *numbers))
    assert pick(found, "gift-minimiser-family", "lab").verdict == "refuted"
    parts = pick(found, "gift-minimiser-family", "lab", parts=True)
    assert {part: one.verdict for part, one in parts.items()} == {
        "it comes to rest": "supported",
        "on the line": "refuted",
    }
    assert all(one.seeds == 0 and one.low is None and "so it is" in one.why for one in parts.values())
    numbers[1]["verdict"] = "confirmed"
    assert (
        pick(findings(None, record("gift@published", *numbers)), "gift-minimiser-family", "lab").verdict == "supported"
    )


def test_what_the_lab_did_not_say_is_not_run(pick):
    silent = lab_finding("on the line", "not applicable", "in the family")
    for lab in (None, record("gift@released", silent), record("gift@published", silent)):
        one = pick(findings(None, lab), "gift-minimiser-family", "lab")
        assert one.verdict == "not run" and one.command == "groupbench lab gift@published"


@pytest.mark.parametrize("claim", EXACT)
def test_the_lab_says_what_claims_stand_on(claim):
    """docs/lab.md is the lab's own page, so these sentences are its."""
    text = (DOCS / "lab.md").read_text().replace("\\|", "|")
    for start in EXACT[claim].decided_by:
        assert f"| {start}" in text, start


@pytest.mark.slow(seconds=40)
def test_the_real_lab(pick):
    from algorithms.lab import investigate
    from harness import lab, plugins

    reports = []
    for name in dict.fromkeys(check.algorithm for check in EXACT.values()):
        algorithm, label = plugins.build_algorithm(name, {}, "lab")
        reports.append(lab.report_of(label, investigate(algorithm, label)))
    found = findings(None, {"schema": 1, "reports": reports})
    verdicts = {claim: pick(found, claim, "lab").verdict for claim in EXACT}
    assert verdicts == {
        "gift-minimiser-family": "supported", "gift-minimiser-family-as-released": "refuted",
        "gift-beta-drops-out": "supported", "gift-convex": "refuted", "gft-limits-of-tau": "supported",
    }  # fmt: skip
    for claim, check in EXACT.items():
        parts = pick(found, claim, "lab", parts=True)
        assert len(parts) == (len(check.decided_by) if len(check.decided_by) > 1 else 0), claim


def test_records_on_disk(tmp_path, pick):
    old, new = (lab_finding("π_ref·exp(-r), correlation -1, is stationary", v) for v in ("refuted", "confirmed"))
    for name, one in (("a", old), ("b", new)):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "lab.json", record("gift@published", one))
    assert pick(findings(None, gather([tmp_path]).lab), "gift-convex", "lab").verdict == "refuted", "the later one"
    assert gather([tmp_path / "a"]).archive.tables == ()


@pytest.mark.parametrize("content", ["{", '{"schema": 7, "reports": []}', '{"reports": []}'])
def test_a_record_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "lab.json").write_text(content)
    with pytest.raises(RecordError, match=r"lab\.json"):
        gather([tmp_path])


def test_a_folder_without_anything(tmp_path):
    with pytest.raises(RecordError, match=r"holds no run, no verdict of a judge and no lab\.json"):
        gather([tmp_path])
    with pytest.raises(RecordError, match="no such folder"):
        gather([tmp_path / "none"])
    assert gather([]).archive.tables == ()
