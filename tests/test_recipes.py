"""The shipped recipes, end to end on real models and data. Slow: CI runs them, `make test` does not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from harness import commands
from leaderboard.build import build

ROOT = Path(__file__).parents[1]
FIVE = {"grpo@no-kl", "dapo@verl", "gspo@paper", "gift@released", "gft@released"}
pytestmark = [pytest.mark.slow(seconds=200), pytest.mark.timeout(1200)]


def run(name, out, *overrides):
    assert commands.run(ROOT / "recipes" / f"{name}.yaml", overrides, out, [], False) == 0
    cells = {}
    for path in out.rglob("cell.json"):
        read = {p.stem: [json.loads(line) for line in p.read_text().splitlines()] for p in path.parent.glob("*.jsonl")}
        cell = json.loads(path.read_text())
        cells[cell["algorithm"], cell["seed"]] = read | {
            "status": json.loads((path.parent / "status.json").read_text())
        }
    return cells


def test_quickstart(tmp_path, monkeypatch, capsys):
    """Five algorithms, three seeds: all learn, and the table says so, with ranks, intervals, tests and times.

    Built again from the same records, every file is the same to the byte.
    """
    monkeypatch.setenv("GROUPBENCH_CACHE", str(tmp_path / "cache"))
    cells = run("quickstart", tmp_path / "out")
    assert {label.split("(")[0] for label, _ in cells} == FIVE and len(cells) == 15
    import pandas

    table = pandas.read_csv(tmp_path / "out" / "leaderboard.csv")
    table = table.set_index(table["algorithm"].str.split("(").str[0])
    assert (table["seeds"] == "3/3").all() and (table["rank"] >= 1).all()
    for label in ("grpo@no-kl", "dapo@verl", "gspo@paper"):
        assert table.loc[label, "sampled_gain_low"] > 0
    others = table.drop("grpo@no-kl")
    for mode in ("sampled", "greedy"):
        shown = [f"{mode}_{name}" for name in ("final_low", "final_high", "gain", "overfit")]
        tested = [f"{mode}_delta_{name}" for name in ("low", "high", "p", "p_holm")]
        assert table[shown].notna().to_numpy().all() and others[tested].notna().to_numpy().all()
    assert table.loc["grpo@no-kl", "time_to_target"] < 60 and table["nauc"].notna().all()
    assert "convergence-arithmetic.svg" in capsys.readouterr().out
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*") if path.suffix != ".json"}
    again = build(tmp_path / "out", tmp_path / "again")
    assert {path.name: path.read_bytes() for path in again.paths} == first and len(first) == 6


def test_gsm8k_smoke(tmp_path, data_folder):
    """Five algorithms, a step each, on real GSM8K with a real model: complete records, honest about signal."""
    cells = run("gsm8k-smoke", tmp_path, f"task.parameters.folder={data_folder / 'math'}", "evaluation.examples=2",
                "evaluation.probe=2", "training.prompts_per_step=2", "training.responses_per_prompt=4",
                "sampling.max_tokens=24", "training.max_refills=1", "budget.steps=1", "evaluation.every=1")  # fmt: skip
    assert {label.split("(")[0] for label, _ in cells} == FIVE  # DAPO's names its overlong range too
    for (label, _), cell in cells.items():
        assert cell["status"]["state"] == "done"
        assert [s["step"] for s in cell["steps"]] == [1], label
        assert all(math.isfinite(s["loss"] or 0) and math.isfinite(s["grad_norm"] or 0) for s in cell["steps"])
        assert {(e["step"], e["mode"]) for e in cell["evals"]} == {
            (s, m) for s in (0, 1) for m in ("greedy", "sampled")
        }
        signal = sum(s["updates"] - s["updates_without_signal"] for s in cell["steps"])
        moved = cell["status"]["weights_start"] != cell["status"]["weights_end"]
        assert moved or not signal, label
    gft = cells["gft@released", 0]["steps"]
    assert all(s["responses"]["expert"] == s["groups"] and s["responses"]["policy"] == 3 * s["groups"] for s in gft)
    assert sum(s["updates"] - s["updates_without_signal"] for s in gft) > 0  # the expert alone is right: that is signal


def test_smollm2_arithmetic(tmp_path):
    """A real instruct model has rewards that vary on one-digit sums, and its weights move."""
    cells = run("smollm2-arithmetic", tmp_path, "budget.steps=1", "evaluation.samples=1", "evaluation.examples=4",
                "evaluation.probe=4")  # fmt: skip
    assert {label for label, _ in cells} == {"grpo@no-kl", "gift@released"}
    for cell in cells.values():
        assert cell["status"]["weights_start"] != cell["status"]["weights_end"]
        assert 0 < cell["steps"][0]["reward"] < 1
