"""`groupbench claims` as a user meets it."""

from __future__ import annotations

import json
import shutil

import pytest

from harness import benchmark, board, experiment, recipe
from leaderboard import build, records

from .conftest import said

RECIPE = {
    "name": "mine", "task": {"name": "arithmetic", "parameters": {"level": 1}}, "model": "tiny",
    "algorithms": ["gift", "grpo@no-kl"], "seeds": [0, 1, 2], "budget": {"steps": 2}, "sampling": {"max_tokens": 4},
    "training": {"prompts_per_step": 4, "responses_per_prompt": 4, "updates_per_rollout": 2, "learning_rate": 1e-3},
    "evaluation": {"every": 1, "examples": 8, "probe": 5, "drift": True},
    "execution": {"threads": 1, "save_weights": False},
}  # fmt: skip


def claims(*arguments, cwd):
    return said("claims", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Real runs of two rows and three seeds."""
    folder = tmp_path_factory.mktemp("claims") / "results"
    planned = benchmark.plan(recipe.parse(RECIPE, "recipe"), "cpu")
    folder.mkdir()
    records.write_json(folder / "benchmark.json", planned.record())
    for cell in planned.cells:
        experiment.run_cell(cell, folder / "cells" / cell.id, cell.start, lambda *_: None)
    return folder


def test_on_real_runs(results, tmp_path):
    code, out, _ = claims(results, "--out", tmp_path / "a", "--json", tmp_path / "mine.json", cwd=tmp_path)
    assert code == 0 and "gift-converges-faster-steps" in out and "not run yet: groupbench reproduce gft" in out
    assert "lab: 5 not run; tiny: " in out.splitlines()[-1]
    assert (tmp_path / "a" / "claims.json").read_bytes() == (tmp_path / "mine.json").read_bytes()
    found = json.loads((tmp_path / "mine.json").read_text())["findings"]
    tiny = {one["claim"]: one for one in found if one["scale"] == "tiny" and one["part"] == "against GRPO"}
    assert tiny["gift-overfits-less"]["seeds"] == 3 and tiny["gift-overfits-less"]["estimate"] is not None
    assert "gift@released against grpo@no-kl" in tiny["gift-holds-its-peak"]["comparison"]
    claims(results, "--out", tmp_path / "b", cwd=tmp_path)
    for name in ("claims.md", "claims.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_shortened_study_does_not_pass_for_the_study(results, tmp_path):
    """The same runs under a study's name and labels, on which its claims and the papers' tables stand."""
    folder = shutil.copytree(results, tmp_path / "gift-tiny-rlvr")
    plan = json.loads((folder / "benchmark.json").read_text())
    labels = {"gift@released": "GIFT", "grpo@no-kl": "GRPO"}
    cells = [cell | {"algorithm": labels[cell["algorithm"]]} for cell in plan["cells"]]
    records.write_json(folder / "benchmark.json", plan | {"name": "gift-tiny-rlvr", "cells": cells})
    _, out, _ = claims(folder, "--paper", "gift", cwd=tmp_path)
    assert " of them of runs with other settings than their study's)" in out.splitlines()[-1]
    found = json.loads((folder / "claims.json").read_text())["findings"]
    (whole,) = [one for one in found if one["claim"] == "gift-holds-its-peak" and one["table"] and not one["part"]]
    assert {"budget.steps = 2, not 60", "task.parameters.level = 1, not 3"} <= set(whole["departures"])
    assert "; not the study's settings: " in whole["why"]
    assert "budget.steps = 2, not 60" in (folder / "claims.md").read_text()
    board.page(build.build(folder, tmp_path / "out", figures=False), folder, tmp_path / "out")
    shown = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    decided = [one for one in shown["findings"] if one["verdict"] != "not run"]
    assert decided and all(one["departures"] == whole["departures"] for one in decided)
    (table,) = [one for one in shown["papers"] if one["slug"] == "gift-tiny-rlvr"]
    assert "gift-tiny-rlvr: not the study's settings: " in table["summary"]


def test_one_paper_and_the_default_folder(results, tmp_path):
    (tmp_path / "results").symlink_to(results)
    code, _, _ = claims("--paper", "gft", cwd=tmp_path)
    found = json.loads((tmp_path / "results" / "claims.json").read_text())["findings"]
    assert code == 0 and {one["paper"] for one in found} == {"gft"}


def test_without_results_it_says_what_to_run(tmp_path):
    code, out, _ = claims(cwd=tmp_path)
    assert code == 0 and "groupbench lab gift@published" in out and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--paper", "grpo"], "--paper grpo; allowed: gift, gft"),
        (["none"], "none: no such folder"),
        (["."], "holds no run, no verdict of a judge and no lab.json"),
    ],
)
def test_mistakes_end_in_one_paragraph(tmp_path, arguments, said):
    code, _, err = claims(*arguments, cwd=tmp_path)
    assert code == 2 and said in err and err.startswith("groupbench: ") and "\n\n" not in err.strip()
