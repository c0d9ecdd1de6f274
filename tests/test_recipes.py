"""The shipped recipes, end to end on real models and data. Slow: CI runs them, `make test` does not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from harness import board, running
from leaderboard.build import build

ROOT = Path(__file__).parents[1]
FIVE = {"grpo@no-kl", "dapo@verl", "gspo@paper", "gift@released", "gft@released"}
pytestmark = [pytest.mark.slow(seconds=200), pytest.mark.timeout(1200)]


def run(name, out, *overrides):
    assert running.run(ROOT / "recipes" / f"{name}.yaml", overrides, out, [], False) == 0
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
    first, again = tmp_path / "out", tmp_path / "again"
    board.page(build(first, again), first, again)
    names = {path.name for path in again.iterdir()}
    assert names == {path.name for path in first.glob("*.*")} - {"benchmark.json"} and "index.html" in names
    assert [name for name in names if (again / name).read_bytes() != (first / name).read_bytes()] == []


def test_gsm8k_smoke(tmp_path, data_folder, quick_precision):
    """Five algorithms, a step each, on real GSM8K with a real model: complete records, honest about signal."""
    small = [
        f"task.parameters.folder={data_folder / 'math'}", "evaluation.examples=2", "evaluation.probe=2",
        "evaluation.every=1", "training.prompts_per_step=2", "training.responses_per_prompt=4",
        "training.max_refills=1", "sampling.max_tokens=24", "budget.steps=1",
    ]  # fmt: skip
    cells = run("gsm8k-smoke", tmp_path, f"model.precision={quick_precision}", *small)
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


def test_smollm2_arithmetic(tmp_path, quick_precision):
    """A real instruct model has rewards that vary on one-digit sums, and its weights move."""
    small = [f"model.precision={quick_precision}", "budget.steps=1", "evaluation.samples=1", "evaluation.examples=4"]
    cells = run("smollm2-arithmetic", tmp_path, *small, "evaluation.probe=4")
    assert {label for label, _ in cells} == {"grpo@no-kl", "gift@released"}
    for cell in cells.values():
        assert cell["status"]["weights_start"] != cell["status"]["weights_end"]
        assert 0 < cell["steps"][0]["reward"] < 1


def table(folder, name="leaderboard"):
    """A table's wide CSV, by algorithm without its settings."""
    import pandas

    (path,) = folder.glob(f"{name}.csv")
    read = pandas.read_csv(path)
    return read.set_index(read["algorithm"].str.split("(").str[0])


def test_preference(tmp_path, monkeypatch, capsys):
    """The quickstart's second half: a reward model, five algorithms on it, and two judges that do not agree."""
    monkeypatch.setenv("GROUPBENCH_CACHE", str(tmp_path / "cache"))
    cells = run("preference", tmp_path / "out")
    assert {label.split("(")[0] for label, _ in cells} == FIVE and len(cells) == 15
    found = table(tmp_path / "out")
    assert (found["seeds"] == "3/3").all() and (found["measure"] == "reward").all()
    for label in ("grpo@no-kl", "dapo@verl", "gft@released"):
        assert found.loc[label, "sampled_gain_low"] > 0 and found.loc[label, "sampled_gold_gain_low"] > 0
    assert (found["kl"] > 0).all()
    for judge in ("gold", "reward"):
        rates = table(tmp_path / "out", f"win-rates-{judge}-*[!y]")
        assert set(rates.index) == FIVE and (rates["win_rates_seeds"] == 3).all()
    said = capsys.readouterr().out
    assert said.rindex("Win rates, judged by") > said.rindex("leaderboard.md")


def test_overoptimisation(tmp_path, monkeypatch):
    """Trained too long, the proxy rises and gold falls: below the start, and steadily since its best."""
    monkeypatch.setenv("GROUPBENCH_CACHE", str(tmp_path / "cache"))
    cells = run("overoptimisation", tmp_path / "out", "algorithms=[grpo@no-kl]", "win_rates=null")
    row = table(tmp_path / "out").loc["grpo@no-kl"]
    assert row["sampled_gain_low"] > 0 > row["sampled_gold_gain_high"]
    assert row["sampled_overoptimisation_low"] > 0 and row["length_drift"] > 8
    for cell in cells.values():
        curve = [e for e in cell["evals"] if (e["split"], e["mode"]) == ("heldout", "sampled")]
        best = max(curve, key=lambda e: e["gold"])
        assert 0 < best["step"] < 40 and best["gold"] > curve[0]["gold"] + 0.2
        assert curve[-1]["gold"] < best["gold"] - 1 and curve[-1]["reward"] > best["reward"] + 1


def test_rlhf_smoke(tmp_path, data_folder, monkeypatch):
    """Real instructions, a real model, a reward model of real pairs: two steps of all five, judged on AlpacaEval."""
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    cells = run("rlhf-smoke", tmp_path, "reward.train.limit=60", "sampling.max_tokens=8", "evaluation.examples=2",
                "win_rates.max_tokens=8", "training.responses_per_prompt=4", "training.max_refills=1")  # fmt: skip
    assert {label.split("(")[0] for label, _ in cells} == FIVE
    for (label, _), cell in cells.items():
        assert cell["status"]["state"] == "done" and [s["step"] for s in cell["steps"]] == [1, 2], label
        assert all(math.isfinite(e["reward"]) and e["accuracy"] is None for e in cell["evals"])
        assert [e["step"] for e in cell["evals"] if "kl" in e] == [0, 2]
        signal = sum(s["updates"] - s["updates_without_signal"] for s in cell["steps"])
        assert (cell["status"]["weights_start"] != cell["status"]["weights_end"]) == bool(signal), label
    gft = next(cell for (label, _), cell in cells.items() if label.startswith("gft"))["steps"]
    assert all(s["responses"]["expert"] == s["responses"]["teacher"] == s["groups"] for s in gft)
    judged = [json.loads(p.read_text()) for p in tmp_path.glob("judged/alpaca_eval@greedy/*/*/judged.json")]
    assert len(judged) == 5 + 4 and all(len(one["pairs"]) == 16 for one in judged)
    assert {one["opponent"]["name"] for one in judged if one["official"]} == {"gpt4_1106_preview"}
    assert list(tmp_path.glob("win-rates-reward-model-*.md"))
