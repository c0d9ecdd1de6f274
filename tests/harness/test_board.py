"""`groupbench leaderboard` over results that others handed something in to: every page is made, of what verifies."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from harness import board, execution
from harness.benchmark import plan
from harness.board import Options
from harness.recipe import parse
from leaderboard.submissions.packing import Asked, pack


@pytest.fixture(scope="module")
def ran(small, tmp_path_factory):
    """Results by seed, a finished cell each; and seed 1 as a submission with its texts, `theirs`."""
    folder = tmp_path_factory.mktemp("ran")
    for seed in (0, 1):
        results = folder / str(seed)
        benchmark = plan(parse({**small.RECIPE, "seeds": [seed]}, "recipe"), "cpu")
        execution.record_plan(results, benchmark)
        (cell,) = benchmark.cells
        small.run(cell, results / "cells" / cell.id)
    pack(folder / "1", folder, Asked("theirs", "A. Person", texts=True))
    return folder


def shown(results, out):
    """What the page of these results is drawn from."""
    assert board.run(results, Options(out)) == 0
    assert "theirs" in (out / "index.html").read_text(encoding="utf-8")
    return json.loads((out / "leaderboard.json").read_text())


def alter(submission):
    """Cut a packed file off."""
    path = next(submission.rglob("evals.jsonl.gz"))
    path.write_bytes(path.read_bytes()[:-9])


def test_a_verified_submission_has_its_row_its_texts_and_its_page(ran, tmp_path):
    results = shutil.copytree(ran / "0", tmp_path / "results")
    shutil.copytree(ran / "theirs", results / "submissions" / "theirs")
    data = shown(results, tmp_path / "out")
    (table,) = data["tables"]
    rows = {row["label"]: row["hash"] for row in table["rows"]}
    assert rows.keys() == {"gft@released", "gft@released (theirs)"} and not data["apart"]
    for label, row in rows.items():
        assert len(table["texts"]["rows"][row]) == 10
        (run,) = [run for run in data["runs"] if run["row"] == row]
        page = (tmp_path / "out" / run["page"]).read_text(encoding="utf-8")
        assert f"{label}<span" in page and re.search(r'"samples":\s*\[\{', page)


def test_submissions_and_no_run_of_one_s_own(ran, tmp_path):
    shutil.copytree(ran / "theirs", tmp_path / "submissions" / "theirs")
    (table,) = shown(tmp_path, tmp_path / "out")["tables"]
    assert [row["label"] for row in table["rows"]] == ["gft@released (theirs)"]


def test_only_a_submission_that_does_not_verify(ran, tmp_path):
    alter(shutil.copytree(ran / "theirs", tmp_path / "submissions" / "theirs"))
    data = shown(tmp_path, tmp_path / "out")
    assert data["tables"] == [] == data["runs"] and list((tmp_path / "out" / "runs").iterdir()) == []
    assert data["apart"][0]["rows"] and data["overview"] == ["No run, and no submission that verifies."]


@pytest.mark.parametrize("name", ["lab.json", "judged/task/run/judged.json"])
def test_nothing_of_what_others_handed_in_is_read_for_claims_or_win_rates(ran, name, tmp_path):
    results = shutil.copytree(ran / "0", tmp_path / "results")
    path = results / "submissions" / "theirs" / name
    path.parent.mkdir(parents=True)
    path.write_text("{ no JSON")
    assert len(shown(results, tmp_path / "out")["tables"]) == 1
