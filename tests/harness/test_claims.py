"""`groupbench claims` as a user meets it."""

from __future__ import annotations

import json

import pytest

from harness import benchmark, experiment, recipe
from leaderboard import records

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
