"""What people and programs are told: the same each time, never too long, and not steered by what stands in it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from leaderboard.gate import decide, parse
from leaderboard.gate.report import CUT, as_data, cut, markdown, remarks, verdict_line

METRIC = {"task": "t", "metric": "accuracy"}


def config(*metrics, **keys):
    return parse({"metrics": list(metrics), **keys}, "it")


@pytest.fixture(scope="module")
def report(made):
    values = made.right(600, 0.7)
    items = made.scores(values)
    items[0].id = "<script>|x|\n# heading"
    base = made.evaluation(made.task("t", items), name="`base`|")
    worse = made.scores(made.worse(values, 60, 2))
    worse[0].id = items[0].id
    worse[0].content = items[0].content
    return decide(config(METRIC), base, made.evaluation(made.task("t", worse), name="cand"))


def test_markdown(report):
    text = markdown(report)
    assert text.startswith(
        "## Gate: REGRESSION: worse than the margin, or below a floor\n\n| metric | base | cand | Δ | interval |"
    )
    row = next(line for line in text.splitlines() if line.startswith("| t: accuracy"))
    assert "| 70.0 | 60.3 | −9.7 |" in row and row.endswith("| 3.0 | 600 × 1 | **regression** |")
    assert text.count("<details>") == text.count("</details>") == 2
    assert len([line for line in text.splitlines() if line.startswith("| q0")]) in (9, 10)
    assert "<script>" not in text and "\n# heading" not in text and "\\`base\\`\\|" in text
    assert markdown(report) == text


def test_a_summary_is_cut_at_a_line_and_says_so(report):
    for room in (400, 600, 900):
        text = markdown(report, room=room)
        assert len(text.encode()) <= room and text.endswith(CUT) and text.count("<details>") == text.count("</details>")
    long = cut("é" * 50 + "\n" + "é" * 2_000_000, 1000)
    assert long == "é" * 50 + CUT
    assert cut("short", 1000) == "short"


def test_json_holds_everything(report, made):
    data = json.loads(json.dumps(as_data(report), allow_nan=False))
    metric = data["metrics"][0]
    assert (data["exit"], data["code"], metric["verdict"], metric["items"]) == (1, 1, "regression", 600)
    assert metric["change"] == pytest.approx(-58 / 600) and metric["high"] < -0.03 and len(metric["regressed"]) == 10
    assert metric["answers"][metric["regressed"][0]["id"]] == ["42", "42"]
    assert data["candidate"]["name"] == "cand" and data["config"]["alpha"] == 0.05
    single = made.evaluation(made.task("t", made.scores(made.right(1, 1.0))))
    few = as_data(decide(config(METRIC), single, single))
    assert few["metrics"][0]["low"] is None and few["code"] == 4
    json.dumps(few, allow_nan=False)


def test_an_inconclusive_gate_says_what_would_decide(made):
    values = made.right(120, 0.6, 4)
    base = made.evaluation(made.task("t", made.scores(values)))
    report = decide(
        config(METRIC),
        base,
        made.evaluation(made.task("t", made.scores(made.worse(values, 9, 7)))),
    )
    assert report.code == 4 and verdict_line(report, True).endswith("(allowed)")
    assert "an unchanged checkpoint would pass in 8 of 10 gates on about" in remarks(report)[0]
    assert as_data(report, True)["exit"] == 0 and as_data(report, True)["code"] == 4
    nothing = decide(config({"task": "t", "metric": "accuracy", "required": False}), base, base)
    assert "no metric is required" in verdict_line(nothing)


def test_samples_that_would_decide(made):
    """Where the noise is the samples' own, more of them do; they are named, and enough."""
    rng = np.random.default_rng(0)

    def drawn(count):
        return made.evaluation(made.task("t", made.scores((rng.random((400, count)) < 0.5).astype(float))))

    base = drawn(64)
    report = next(found for _ in range(20) if (found := decide(config(METRIC), base, drawn(2))).code == 4)
    more = int(re.search(r"or with (\d+) samples an item \(2 now\)", remarks(report)[0])[1])
    assert 2 < more <= 10
    assert sum(decide(config(METRIC), base, drawn(more)).code == 0 for _ in range(20)) >= 12
