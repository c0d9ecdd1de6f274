"""`groupbench submit`, `verify` and `leaderboard --inject` as a user meets them: what is said, exit codes, files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import execution
from harness.benchmark import plan
from harness.recipe import parse

from .conftest import said

ROOT = Path(__file__).parents[2]
PROGRAM = """
[[table]]
name = "main"
columns = ["algorithm", {column = "sampled_final", heading = "accuracy"}]
[[table]]
name = "cost"
columns = ["algorithm", "spent_generated_tokens"]
"""
README = "# Mine\n\n<!-- groupbench:begin main -->\n<!-- groupbench:end main -->\n\nEnd.\n"


@pytest.fixture(scope="module")
def run(small, tmp_path_factory):
    """A results folder with one finished cell."""
    results = tmp_path_factory.mktemp("run") / "small"
    benchmark = plan(parse(dict(small.RECIPE), "recipe"), "cpu")
    execution.record_plan(results, benchmark)
    (cell,) = benchmark.cells
    small.run(cell, results / "cells" / cell.id)
    return results


@pytest.fixture
def submission(run, tmp_path):
    assert said("submit", run, "--out", tmp_path / "submissions", "--name", "mine", "--by", "A. Person")[0] == 0
    return tmp_path / "submissions" / "mine"


def test_submit_says_what_it_packed(run, tmp_path):
    code, out, _ = said("submit", run, "--out", tmp_path, "--name", "mine")
    assert code == 0 and (tmp_path / "mine" / "submission.json").exists()
    assert "gft@released: seeds 0\n" in out and "scrubbed: provenance.host: the machine's name (1 time)" in out
    assert re.search(r"verified: \d+ evaluations from \d+ items", out) and "answers not graded again" in out
    assert re.search(r"wrote .*mine \(7 files, [\d.]+ kB, id [0-9a-f]{16}\)", out)
    code, _, err = said("submit", run, "--out", tmp_path, "--name", "mine")
    assert code == 2 and "is there already; remove it, or give another --name" in err


def test_a_changed_tree_is_said(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    path = next(copy.rglob("cell.json"))
    path.write_text(re.sub(r'"commit": [^,]*', '"commit": "' + "a" * 40 + '+"', path.read_text()))
    code, out, _ = said("submit", copy, "--out", tmp_path, "--name", "mine")
    assert code == 0 and "note: run with changes that no commit holds, on top of aaaaaaaaaaaa;" in out
    assert "changed" in said("verify", tmp_path / "mine")[1]


def test_verify_exit_codes_and_words(submission, tmp_path):
    code, out, _ = said("verify", submission.parent, "--json", tmp_path / "report.json")
    assert code == 0 and "A. Person" in out and "verified" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verified"] and [one["name"] for one in report["submissions"]] == ["mine"]
    path = next(submission.rglob("status.json"))
    path.write_text(path.read_text().replace("done", "fail"))
    code, out, _ = said("verify", submission)
    assert code == 1 and "faults" in out
    assert re.search(r"mine/cells/[0-9a-f]{16}/status\.json: sha256 [0-9a-f]{64}; expected [0-9a-f]{64}, as the", out)
    code, out, _ = said("verify", submission, "--json", "-")
    report = json.loads(out)["submissions"][0]
    assert (
        code == 1 and not report["verified"] and report["faults"][0].keys() == {"file", "record", "found", "expected"}
    )
    code, _, err = said("verify", tmp_path / "none")
    assert code == 2 and "no such folder; a submission is one" in err


def test_verify_needs_neither_torch_nor_pandas(submission):
    """As CI for a repository of submissions has it: quick, and with a few small packages."""
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'pandas', 'scipy', 'matplotlib'): sys.modules[name] = None\n"
        "from harness.cli import main\n"
        f"sys.argv = ['groupbench', 'verify', {str(submission)!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "verified" in done.stdout, done.stderr


def test_the_leaderboard_shows_them(run, submission, tmp_path):
    results = shutil.copytree(run, tmp_path / "results")
    code, out, _ = said("leaderboard", results, "--submissions", submission.parent)
    assert code == 0 and "Not verified: self-reported" in out and "gft@released (mine)" in out
    assert "an own run as well; expected cells that no own run holds" in " ".join(out.split())
    assert "Not verified" in (results / "leaderboard.md").read_text()


def test_tables_are_injected(run, tmp_path):
    (tmp_path / "mine.toml").write_text(PROGRAM)
    readme = tmp_path / "README.md"
    readme.write_text(README)
    command = ["leaderboard", run, "--tables", tmp_path / "mine.toml", "--out", tmp_path / "out", "--inject", readme]
    code, out, _ = said(*command, "--check")
    assert code == 1 and "would change" in out and readme.read_text() == README and not (tmp_path / "out").exists()
    code, out, _ = said(*command)
    text = readme.read_text()
    assert code == 0 and f"wrote {readme}" in out
    assert "begin main -->\n\n| algorithm | accuracy |\n| :-- | --: |\n| gft@released | " in text
    assert text.endswith("<!-- groupbench:end main -->\n\nEnd.\n") and "##" not in text.removeprefix("# Mine")
    code, out, _ = said(*command, "--check")
    assert code == 0 and "up to date" in out
    before = readme.stat().st_mtime_ns
    assert said(*command)[0] == 0 and readme.stat().st_mtime_ns == before


def test_injection_is_refused_before_anything_is_written(run, tmp_path):
    (tmp_path / "mine.toml").write_text(PROGRAM)
    readme = tmp_path / "README.md"
    readme.write_text(README + "<!-- groupbench:begin mian -->\n")
    code, _, err = said(
        "leaderboard", run, "--tables", tmp_path / "mine.toml", "--out", tmp_path / "out", "--inject", readme
    )
    assert code == 2 and "README.md, line 7: no table 'mian'; the program has cost, main" in err
    assert not (tmp_path / "out").exists()
    code, _, err = said("leaderboard", run, "--inject", readme)
    assert code == 2 and "needs --tables PROGRAM.toml" in err
    code, _, err = said("leaderboard", run, "--check")
    assert code == 2 and "--check: needs --inject FILE" in err
