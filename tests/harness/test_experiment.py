"""A cell's folder: complete records, failures with their cause, and reruns that do only what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from harness import benchmark, experiment, models, pools, recipe, running
from leaderboard import reading, records
from tasks.arithmetic import Arithmetic

BASE = {
    "name": "b",
    "task": {"name": "arithmetic", "parameters": {"level": 1}},
    "model": "tiny",
    "algorithms": ["gft", "grpo@no-kl"],
    "budget": {"steps": 3},
    "training": {"prompts_per_step": 4, "responses_per_prompt": 6, "updates_per_rollout": 2, "learning_rate": 1e-3},
    "sampling": {"max_tokens": 4},
    "evaluation": {"every": 2, "examples": 10, "probe": 20, "samples": 3},
}


def cells(**changes):
    return benchmark.plan(recipe.parse({**BASE, **changes}, "recipe"), "cpu").cells


def run(cell, folder):
    told = []
    status = experiment.run_cell(cell, folder, cell.start, lambda _, progress: told.append(progress))
    return status, told


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_drift_of_a_verified_run_is_measured_where_it_is_asked_for(tmp_path):
    """And changes nothing else: the same weights, the same verdicts."""
    found = {}
    for drift in (False, True):
        cell = cells(evaluation={**BASE["evaluation"], "drift": drift})[1]
        status, _ = run(cell, tmp_path / str(drift))
        found[drift] = status["weights_end"], lines(tmp_path / str(drift) / "evals.jsonl")
    assert found[False][0] == found[True][0]
    for plain, drifted in zip(found[False][1], found[True][1], strict=True):
        looked = drifted["split"] == "heldout" and drifted["mode"] == "sampled"
        assert drifted.keys() - plain.keys() == ({"kl", "entropy"} if looked else set())
        assert drifted["accuracy"] == plain["accuracy"]
    kl = [record["kl"] for record in found[True][1] if "kl" in record]
    assert len(kl) == 3 and kl[0] == 0.0 and kl[-1] != 0.0
    assert all(record["entropy"] > 0 for record in found[True][1] if "entropy" in record)


def test_records_are_complete(tmp_path):
    (cell, _) = cells()
    status, told = run(cell, tmp_path)
    assert status["state"] == "done" and status["step"] == 3
    assert status["weights_start"] != status["weights_end"]
    assert records.read_json(tmp_path / "status.json") == status

    steps = lines(tmp_path / "steps.jsonl")
    assert [s["step"] for s in steps] == [1, 2, 3]
    assert all(set(s) == set(records.StepRecord.__annotations__) - {"stage"} for s in steps)
    assert all(set(s["counters"]) == set(records.Counters.__annotations__) for s in steps)
    assert [s["counters"]["prompts"] for s in steps] == [4, 8, 12]

    evals = lines(tmp_path / "evals.jsonl")
    assert [(e["step"], e["mode"], e["split"]) for e in evals] == [
        (step, mode, split) for step in (0, 2, 3) for mode in ("greedy", "sampled") for split in records.SPLITS
    ]
    of_a_reward = {"reward", "gold", "reward_cut", "kl", "entropy"}
    assert all(set(e) == set(records.EvalRecord.__annotations__) - of_a_reward for e in evals)
    items, read = lines(tmp_path / "items.jsonl"), []
    for e in evals:
        size = {"heldout": 10, "probe": 20}[e["split"]]
        of = [i for i in items if all(i[key] == e[key] for key in ("step", "mode", "split"))]
        assert len(of) == e["examples"] == size and all(len(i["correct"]) == e["samples"] for i in of)
        assert sum(sum(i["correct"]) for i in of) / (size * e["samples"]) == pytest.approx(e["accuracy"])
        found = [(i.id, i.correct, i.cluster) for i in reading.items(tmp_path, e)]
        assert found == [(i["id"], i["correct"], i.get("cluster")) for i in of]
        read += of
    assert read == items
    for split, examples in (("heldout", cell.task.heldout), ("probe", cell.task.train)):
        assert {i["id"] for i in items if i["split"] == split} <= {example.id for example in examples}
    keys = {example.id: cell.task.leak_key(example) for example in (*cell.task.heldout, *cell.task.train)}
    assert all(i.get("cluster", i["id"]) == keys[i["id"]] for i in items)
    assert 0 < sum("cluster" in i for i in items) < len(items)

    record = records.read_json(tmp_path / "cell.json")
    assert record["id"] == cell.id and record["spec"] == cell.spec
    assert record["provenance"]["versions"]["torch"] == torch.__version__
    assert lines(tmp_path / "samples.jsonl")
    (last,) = [e for e in evals if (e["step"], e["split"], e["mode"]) == (3, "heldout", "sampled")]
    assert [p.state for p in told][-1] == "done" and told[-1].sampled == last["accuracy"]

    again = models.load_model(models.find(str(tmp_path / "weights")))
    policy = experiment.Policy(again, torch.device("cpu"), "float32", 1.0)
    assert experiment.weights_hash(policy) == status["weights_end"]


def test_held_out_examples_are_the_same_for_every_seed(tmp_path):
    found = []
    for cell in cells(seeds=[0, 5], algorithms=["gft"]):
        run(cell, tmp_path / str(cell.seed))
        found.append({i["id"] for i in lines(tmp_path / str(cell.seed) / "items.jsonl")})
    assert found[0] == found[1]


def test_the_probe_is_looked_at_and_changes_nothing(tmp_path):
    """Not charged, and neither the training nor the held-out evaluation sees it."""
    evaluation, found = BASE["evaluation"], {}
    for probe in (0, 20, 500):
        (cell,) = cells(algorithms=["gft"], evaluation=evaluation | {"probe": probe})
        status, _ = run(cell, tmp_path / str(probe))
        evals = lines(tmp_path / str(probe) / "evals.jsonl")
        heldout = [e for e in lines(tmp_path / str(probe) / "items.jsonl") if e["split"] == "heldout"]
        spent = [{k: v for k, v in e["counters"].items() if k != "seconds"} for e in evals if e["split"] == "heldout"]
        found[probe] = status["weights_end"], heldout, spent
        assert {e["examples"] for e in evals if e["split"] == "probe"} == ({min(probe, 88)} if probe else set())
    assert found[0] == found[20] == found[500]


def test_two_runs_of_a_cell_are_bit_identical(tmp_path):
    cell = cells()[1]
    first, _ = run(cell, tmp_path / "a")
    second, _ = run(cell, tmp_path / "b")
    assert first["weights_end"] == second["weights_end"]

    def timeless(path):
        text = [{k: v for k, v in r.items() if k not in {"seconds", "counters"}} for r in lines(path)]
        return text

    for name in ("steps.jsonl", "evals.jsonl", "items.jsonl", "samples.jsonl"):
        assert timeless(tmp_path / "a" / name) == timeless(tmp_path / "b" / name)


def test_a_failure_is_recorded_with_its_cause_and_a_retry_starts_clean(tmp_path, monkeypatch):
    cell = cells()[1]
    grade, calls = Arithmetic.grade, []

    def dies(self, example, response):
        calls.append(1)
        if len(calls) > 100:
            raise RuntimeError("the grader died")
        return grade(self, example, response)

    monkeypatch.setattr(Arithmetic, "grade", dies)
    with pytest.raises(RuntimeError):
        run(cell, tmp_path)
    status = records.read_json(tmp_path / "status.json")
    assert status["state"] == "failed"
    where = f"({__file__}, line {dies.__code__.co_firstlineno + 3})"
    assert status["error"] == f"RuntimeError: the grader died {where}", "no file of ours, so a plug-in's"
    monkeypatch.setattr(Arithmetic, "grade", grade)
    run(cell, tmp_path)
    assert [s["step"] for s in lines(tmp_path / "steps.jsonl")] == [1, 2, 3]
    assert len(lines(tmp_path / "evals.jsonl")) == 12


@pytest.mark.parametrize("axis", ["optimizer_steps", "prompts", "generated_tokens", "trained_tokens", "flops"])
def test_a_budget_ends_the_run_at_its_limit(tmp_path, axis):
    (reference,) = cells(algorithms=["grpo@no-kl"], budget={"steps": 2})
    run(reference, tmp_path / "reference")
    spent = [s["counters"][axis] for s in lines(tmp_path / "reference" / "steps.jsonl")]
    (cell,) = cells(algorithms=["grpo@no-kl"], budget={axis: spent[0] + 1, "steps": 50})
    status, _ = run(cell, tmp_path / "cell")
    assert status["step"] == 2  # the first step stays one below the limit, the second reaches it


def recipe_file(tmp_path, **changes):
    path = tmp_path / "b.yaml"
    path.write_text(json.dumps({**BASE, **changes}))
    return path


def test_running_again_does_only_what_is_missing(tmp_path, monkeypatch, capsys):
    path, out = recipe_file(tmp_path), tmp_path / "out"
    assert running.run(path, ["algorithms=[gft]"], out, [], False) == 0
    before = {p: p.stat().st_mtime_ns for p in (out / "cells").rglob("*.jsonl")}
    ran = []
    real = pools.run_cell
    monkeypatch.setattr(pools, "run_cell", lambda cell, *rest: ran.append(cell.label) or real(cell, *rest))
    assert running.run(path, [], out, [], False) == 0
    assert ran == ["grpo@no-kl"]
    assert {p: p.stat().st_mtime_ns for p in before} == before
    planned = records.read_json(out / "benchmark.json")["cells"]
    assert sorted(c["algorithm"] for c in planned) == ["gft@released", "grpo@no-kl"]
    assert running.run(path, [], out, [], False) == 0 and ran == ["grpo@no-kl"]
    said = capsys.readouterr().out
    assert "2 cells, 0 to run" in said
    assert f"run {path} --plugin mine.py 'algorithms+=[mine]' --out {out} (see README)" in said


def test_one_failed_cell_does_not_stop_the_others(tmp_path, capsys):
    plugin = tmp_path / "sick.py"
    plugin.write_text(
        "import torch\nfrom algorithms import Algorithm, Loss, register\n"
        "@register('sick')\nclass Sick(Algorithm):\n    def loss(self, signals, batch):\n"
        "        if signals.logp.dtype == torch.float32:\n            raise RuntimeError('no loss today')\n"
        "        return Loss(-(batch.token_advantage * signals.logp).sum() / batch.totals.tokens)\n"
    )
    path, out = recipe_file(tmp_path, algorithms=["sick", "gft"]), tmp_path / "out"
    assert running.run(path, [], out, [plugin], False) == 1
    states = {records.read_json(p.parent / "cell.json")["algorithm"]: records.read_json(p)["state"]
              for p in out.rglob("status.json")}  # fmt: skip
    assert states == {"sick": "failed", "gft@released": "done"}
    said = capsys.readouterr().out
    assert "note: sick does not conform: equal rewards, float32; what was found: groupbench check sick --plugin" in said
    assert f"RuntimeError: no loss today ({plugin}, line 7)" in said and "traceback.txt" in said
    (trace,) = out.rglob("traceback.txt")
    assert "sick.py" in trace.read_text() and "line 7" in trace.read_text()
    table = (out / "leaderboard.md").read_text()
    assert "no loss today" in table and "sick does not conform: equal rewards, float32 (groupbench check)" in table


README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_algorithm_trains_beside_the_five(tmp_path, capsys):
    mine = re.search(r"```python\n(# mine.py\n.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "mine.py").write_text(mine[1])
    six = ["grpo@no-kl", "dapo", "gspo", "gift", "gft", "opo"]
    path, out = recipe_file(tmp_path, algorithms=six, budget={"steps": 1}), tmp_path / "out"
    assert running.run(path, [], out, [tmp_path / "mine.py"], False) == 0
    assert "next: " not in capsys.readouterr().out, "it is there"
    table = (out / "leaderboard.md").read_text()
    for label in ("opo", "grpo@no-kl", "dapo@verl", "gspo@paper", "gift@released", "gft@released"):
        assert label in table
    found = {record["algorithm"]: record for record in map(records.read_json, out.rglob("cell.json"))}
    assert found["opo"]["spec"]["algorithm"]["source"]
    assert found["opo"]["card"]["failing"] == {} and "failing" not in found["gft@released"]["card"]
    assert found["opo"]["card"]["data"]["objective"].startswith("On-policy RL with the optimal baseline")
    dapo = found["dapo@verl"]["card"]
    assert dapo["data"]["updates_per_rollout"] == 16 and "on verl" in dapo["data"]["source"]
    assert dapo["data"]["clip"] == {"low": 0.8, "high": 1.28, "on": "token ratio", "dual": 10.0}
    assert dapo["words"]["clip"].startswith("token ratio in [0.8, 1.28]; dual clip at 10")
    assert "dual clip at 10" in table and "### What each row computes" in table


def test_the_warm_start_is_run_once_and_shared(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_CACHE", str(tmp_path / "cache"))
    warm = {"parameters": {"experts": 0, "teachers": 1}, "budget": {"steps": 2},
            "training": {"prompts_per_step": 8, "responses_per_prompt": 1, "updates_per_rollout": 1}}  # fmt: skip
    path = recipe_file(tmp_path, model={"name": "tiny", "warm_start": warm}, budget={"steps": 1})
    assert running.run(path, [], tmp_path / "one", [], False) == 0
    (stage,) = (tmp_path / "cache" / "stages").iterdir()
    made = (stage / "status.json").stat().st_mtime_ns
    assert running.run(path, ["seeds=[9]"], tmp_path / "two", [], False) == 0
    assert (stage / "status.json").stat().st_mtime_ns == made
    end = records.read_json(stage / "status.json")["weights_end"]
    starts = {
        records.read_json(p)["weights_start"] for d in ("one", "two") for p in (tmp_path / d).rglob("status.json")
    }
    assert starts == {end}


def test_the_last_evaluation_alone_keeps_texts_of_held_out_items(small, tmp_path):
    cell = small.cell()
    small.run(cell, tmp_path)
    items = lines(tmp_path / "items.jsonl")
    last = max(item["step"] for item in items)
    kept = [item for item in items if "texts" in item]
    assert {(i["step"], i["split"], i["mode"]) for i in kept} == {
        (last, "heldout", "greedy"),
        (last, "heldout", "sampled"),
    }
    assert len(kept) == 2 * 10
    by_id = {example.id: example for example in cell.task.heldout}
    for item in kept:
        example = by_id[item["id"]]
        assert (item["prompt"], item["answer"]) == (example.text, example.answer)
        assert len(item["texts"]) == len(item["correct"]) == (1 if item["mode"] == "greedy" else 2)
        assert item["correct"] == [int(cell.task.grade(example, text).counted) for text in item["texts"]]
    assert not any(key in item for item in items if item not in kept for key in ("prompt", "answer", "texts"))


def test_samples_say_what_they_answer_once_a_group(small, tmp_path):
    cell = small.cell()
    small.run(cell, tmp_path)
    prompts, prompt = {example.id: example.text for example in cell.task.train}, None
    for sample in lines(tmp_path / "samples.jsonl"):
        prompt = sample.get("prompt", prompt)
        assert prompt == prompts[sample["id"]]
    assert sum("prompt" in sample for sample in lines(tmp_path / "samples.jsonl")) == 5 * 4
