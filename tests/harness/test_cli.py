"""The console script as a user meets it: exit codes, one-paragraph errors, files written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import said

ROOT = Path(__file__).parents[2]
BASE = {
    "task": {"name": "arithmetic", "parameters": {"level": 1}}, "model": "tiny", "algorithms": ["gft"],
    "budget": {"steps": 1}, "training": {"prompts_per_step": 4, "learning_rate": 1e-3}, "sampling": {"max_tokens": 4},
    "evaluation": {"examples": 5},
}  # fmt: skip


def groupbench(*arguments, cwd):
    script = Path(sys.executable).with_name("groupbench")
    wide = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, env=wide)


def inside(*arguments, cwd):
    """The same in this process, which has paid for its imports: for commands that register nothing."""
    return subprocess.CompletedProcess(arguments, *said(*arguments, cwd=cwd))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A finished run, for tests that only read it."""
    folder = tmp_path_factory.mktemp("read")
    (folder / "mine.yaml").write_text(json.dumps(BASE))
    assert groupbench("run", "mine.yaml", cwd=folder).returncode == 0
    return folder / "results"


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(BASE))
    return path


def test_run_and_leaderboard(recipe, tmp_path):
    done = groupbench("run", recipe, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = tmp_path / "results" / "mine"
    assert "gft@released" in done.stdout and "convergence-arithmetic.svg" in done.stdout and "next:" in done.stdout
    for name in ("benchmark.json", "leaderboard.md", "leaderboard.csv", "convergence-arithmetic.png", "index.html"):
        assert (results / name).stat().st_size > 0
    before = (results / "leaderboard.md").read_bytes()
    again = groupbench("leaderboard", results, "--out", tmp_path / "site", cwd=tmp_path)
    assert again.returncode == 0 and (tmp_path / "site" / "leaderboard.md").read_bytes() == before


def test_dry_run_checks_and_writes_nothing(recipe, tmp_path):
    done = inside("run", recipe, "--dry-run", "seeds=[0, 1]", cwd=tmp_path)
    assert done.returncode == 0 and "2 cells, 2 to run" in done.stdout and done.stdout.count("missing") == 2
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "none.yaml"], "recipe none.yaml: No such file"),
        (
            ["run", "mine.yaml", "algorithms=[gripo]"],
            "override 'algorithms=[gripo]': algorithms.0: unknown algorithm 'gripo'",
        ),
        (["run", "mine.yaml", "training.lerning_rate=1"], "did you mean 'learning_rate'"),
        (["run", "mine.yaml", "--plugin", "none.py"], "none.py: no such file"),
        (["run", "mine.yaml", "execution.device=cuda"], "no usable GPU"),
        (["leaderboard", "nowhere"], "nowhere: no such folder"),
        (["leaderboard", "."], "holds no run"),
        (["list", "tsks"], "allowed: algorithms, tasks, rewards, judges, models"),
        (["fetch", "smollm3"], "unknown model 'smollm3'; did you mean 'smollm2-135m'"),
    ],
)
def test_mistakes_end_in_one_paragraph(recipe, tmp_path, arguments, said):
    done = inside(*arguments, cwd=tmp_path)
    if "cuda" in str(arguments) and done.returncode == 0:
        pytest.skip("this machine has a GPU")
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.startswith("groupbench: ")
    assert "Traceback" not in done.stderr and "\n\n" not in done.stderr.strip()
    assert not (tmp_path / "results").exists()


def test_an_axis_that_does_not_exist(results, tmp_path):
    done = inside("leaderboard", results, "--axis", "hours", cwd=tmp_path)
    assert done.returncode == 2 and "generated_tokens" in done.stderr


def test_tables_of_a_program(results, tmp_path):
    program = tmp_path / "main.toml"
    program.write_text('[[table]]\nname = "t"\ntitle = "Mine"\ncolumns = ["algorithm", "time_to_target"]\n')
    out = tmp_path / "site"
    done = inside("leaderboard", results, "--tables", program, "--axis", "flops", "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {"main.md", "main.csv", "main-tidy.csv", "main.tex"}
    text = (out / "main.md").read_text()
    assert text.startswith("## Mine") and "| algorithm | FLOPs to target |" in text
    assert text.strip() in done.stdout and f"wrote {out / 'main.tex'}" in done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "mine.toml: No such file or directory"),
        ("", "holds no [[table]]"),
        ('[[table]]\nname = "t"\ncolumns = ["sampled_finl"]', "did you mean 'sampled_final'?"),
        ('[[table]]\nname = "t"\ncolumns = ["rank"]\nwhere = {task = "aime"}', "there are benchmark mine, task arithm"),
        ('[[table]]\nname = "t"\ncolumns = ["rank"]\nrows = ["gift*"]', "nothing is called 'gift*'; there are gft@rel"),
    ],
)
def test_a_bad_program_ends_in_one_paragraph(results, tmp_path, program, said):
    if program is not None:
        (tmp_path / "mine.toml").write_text(program)
    done = inside("leaderboard", results, "--tables", "mine.toml", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr and done.stderr.startswith("groupbench: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_list(tmp_path):
    algorithms = inside("list", "algorithms", cwd=tmp_path).stdout
    assert "published-detached" in algorithms and "clipped token ratio × group" in algorithms
    assert "0.04 × k3, in the loss" in inside("list", "algorithms", "grpo@paper", cwd=tmp_path).stdout
    assert "arithmetic" in inside("list", "tasks", cwd=tmp_path).stdout
    assert "smollm2-135m" in inside("list", "models", cwd=tmp_path).stdout


def test_check_exits_with_the_verdict(tmp_path):
    done = groupbench("check", "sft", cwd=tmp_path)
    assert done.returncode == 0 and "1 of 1 conform" in done.stdout
    (tmp_path / "wrong.py").write_text(
        "from dataclasses import dataclass\nfrom algorithms import Loss, register\nfrom algorithms.sft import SFT\n"
        "@register('wrong')\n@dataclass(frozen=True)\nclass Wrong(SFT):\n    def loss(self, signals, batch):\n"
        "        return Loss(-signals.logp.mean())\n"
    )
    done = groupbench("check", "wrong", "--plugin", "wrong.py", cwd=tmp_path)
    assert done.returncode == 1 and "FAILED micro-batches" in done.stdout


def test_a_results_folder_that_cannot_be_written(recipe, tmp_path):
    (tmp_path / "results").write_text("a file stands here")
    done = groupbench("run", recipe, cwd=tmp_path)
    assert done.returncode == 2 and "results folder results/mine" in done.stderr


def test_a_plugin_cannot_take_the_place_of_a_baseline(recipe, tmp_path):
    """A copied file that still bears the baseline's name must neither be trained in its stead nor ignored."""
    (tmp_path / "copy.py").write_text(
        (ROOT / "algorithms" / "grpo.py").read_text().replace("from .", "from algorithms.")
    )
    done = groupbench("run", recipe, "--plugin", "copy.py", cwd=tmp_path)
    assert done.returncode == 2 and "'grpo' is already registered" in done.stderr and "copy.py" in done.stderr
