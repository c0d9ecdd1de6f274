"""Chains of stages: what is shared, what a chain's records are, where it stands in tables, and what is refused."""

from __future__ import annotations

import json
import shutil

import pytest

from harness import benchmark, chains, experiment, memory, models, recipe, running
from harness.errors import UserError
from harness.evaluation.subject import find
from harness.jobs import Work, run_cells
from leaderboard import reading, records
from leaderboard.loading import load
from tasks.arithmetic import Arithmetic

SFT = {"name": "sft", "budget": {"steps": 2}}
GFT = {"name": "gft", "budget": {"steps": 3}, "training": {"warmup_updates": 4}}
GRPO = "grpo@no-kl"
BASE = {
    "name": "chains",
    "task": {"name": "arithmetic", "parameters": {"level": 1}},
    "model": "tiny",
    "algorithms": [
        "sft",
        GRPO,
        {"label": "SFT+GRPO", "stages": [SFT, GRPO]},
        {"label": "SFT+GFT", "stages": [SFT, GFT]},
        {"stages": [SFT, GFT, GRPO]},
    ],
    "budget": {"steps": 2},
    "training": {"prompts_per_step": 4, "responses_per_prompt": 6, "updates_per_rollout": 2, "learning_rate": 1e-3},
    "sampling": {"max_tokens": 4},
    "evaluation": {"every": 2, "examples": 10, "probe": 6, "samples": 2},
    "execution": {"threads": 1},
}
LONGEST = "sft → gft@released → grpo@no-kl"


def plan(**changes):
    return benchmark.plan(recipe.parse({**BASE, **changes}, "recipe"), "cpu")


def by_label(**changes):
    return {cell.label: cell for cell in plan(**changes).cells}


def write(folder, **changes):
    path = folder / "chains.yaml"
    path.write_text(json.dumps({**BASE, **changes}))
    return path


def lines(path):
    return list(records.read_lines(path))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of the recipe above, run to its end."""
    folder = tmp_path_factory.mktemp("whole")
    assert running.run(write(folder), [], folder / "out", [], False) == 0
    return folder / "out"


# --- planning ---


def test_chains_that_begin_alike_share_what_is_alike():
    """The first stage is the plain row with the same budget, and SFT+GFT is the second stage of the longest."""
    planned = plan(seeds=[0, 1])
    rows = by_label()
    longest = rows[LONGEST]
    assert [stage.label for stage in longest.chain] == ["sft", "sft → gft@released", LONGEST]
    assert longest.chain[0].id == rows["sft"].id == rows["SFT+GRPO"].after.id == rows["SFT+GFT"].after.id
    assert longest.after.id == rows["SFT+GFT"].id and planned.stages == ()
    assert longest.algorithms == "sft+gft+grpo" and rows["sft"].algorithms == "sft"
    apart = plan(algorithms=BASE["algorithms"][1:3] + BASE["algorithms"][4:], seeds=[0, 1])
    assert [(cell.label, cell.seed) for cell in apart.stages] == [
        ("sft", 0), ("sft → gft@released", 0), ("sft", 1), ("sft → gft@released", 1)
    ]  # fmt: skip


def test_a_chain_is_what_its_stages_are():
    cell = by_label()[LONGEST]
    cells = {c.seed: c for c in plan(seeds=[0, 1]).cells if c.label == LONGEST}
    assert cells[0].id == cell.id != cells[1].id and cells[0].row == cells[1].row
    assert [(one["algorithm"]["name"], one["budget"]["steps"]) for one in cell.spec["after"]] == [
        ("sft", 2), ("gft", 3)
    ]  # fmt: skip
    changed = [
        [{**SFT, "budget": {"steps": 9}}, GFT, GRPO],
        [{**SFT, "training": {"learning_rate": 1e-4}}, GFT, GRPO],
        [SFT, {**GFT, "parameters": {"tau": 0.5}}, GRPO],
        [SFT, GFT, {"name": GRPO, "budget": {"steps": 7}}],
        [SFT, GRPO],
        [GFT, SFT, GRPO],
    ]
    ends = [plan(algorithms=[{"stages": [*stages[:-1], stages[-1]]}]).cells[0] for stages in changed[:4]]
    ends += [plan(algorithms=[{"stages": stages}]).cells[0] for stages in changed[4:]]
    assert len({cell.id, *(end.id for end in ends)}) == 7
    named = [{**SFT, "label": "warm"}, GFT, GRPO]
    (other,) = plan(algorithms=[{"stages": named}]).cells
    assert other.id == cell.id and other.label == "warm → gft@released → grpo@no-kl"


def test_rows_keep_weights_for_the_stages_that_go_on_from_them():
    planned = plan(execution={"save_weights": False}, algorithms=BASE["algorithms"][:1] + BASE["algorithms"][4:])
    kept = {cell.label: cell.execution.save_weights for cell in (*planned.stages, *planned.cells)}
    assert kept == {"sft": True, "sft → gft@released": True, LONGEST: False}


def test_a_control_arm_has_draws_of_its_own_wherever_it_draws():
    chain = {"stages": [SFT, GFT, GRPO], "label": "chain"}
    cell, arm = plan(algorithms=[chain], controls=["a-a"]).cells
    assert arm.label == "chain, A/A" and [stage.control for stage in arm.chain] == [None, "a-a", "a-a"]
    assert arm.chain[0].id == cell.chain[0].id and arm.chain[1].id != cell.chain[1].id


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"label": "x"}, "algorithms.0: name is missing; expected the name of an algorithm, or stages"),
        ({"name": "sft", "stages": [SFT, GRPO]}, "algorithms.0: name = 'sft': an entry with stages has none"),
        ({"training": {"learning_rate": 1.0}, "stages": [SFT, GRPO]}, "algorithms.0: training = .* in a stage"),
        ({"stages": []}, "algorithms.0: stages: 0 found; a chain has two or more"),
        ({"stages": [SFT]}, "algorithms.0: stages: 1 found"),
        ({"stages": ["sft", GRPO]}, r"algorithms.0: stages.0.budget \(sft\) is missing"),
        ({"stages": [SFT, {"nmae": "grpo"}]}, "unknown key 'nmae' in algorithms.0.stages.1; did you mean 'name'"),
        ({"stages": [{**SFT, "budget": {"step": 2}}, GRPO]}, "unknown key 'step' in algorithms.0.stages.0.budget"),
        ({"stages": [{**SFT, "budget": {}}, GRPO]}, "algorithms.0.stages.0.budget: no limit is set"),
        ({"stages": [SFT, "grop"]}, "algorithms.0.stages.1: unknown algorithm 'grop'; did you mean 'grpo'"),
        ({"stages": [SFT, {"name": "gft", "parameters": {"tua": 1}}]}, r"algorithms.0.stages.1.parameters: .*'tua'"),
        ({"stages": [{**SFT, "training": {"prompts_per_step": 200}}, GRPO]}, "algorithms.0.stages.0.training: .*200"),
        ({"stages": [SFT, {"name": GRPO, "training": {"responses_per_prompt": 1}}]}, "algorithms.0.stages.1 .*group"),
    ],
)
def test_what_cannot_be_a_chain_is_refused_while_planning(entry, said):
    with pytest.raises(UserError, match=said):
        plan(algorithms=[entry])


def test_two_chains_that_are_the_same_are_refused():
    with pytest.raises(UserError, match=r"algorithms.1.stages.1: again is the same run as sft → grpo@no-kl"):
        plan(algorithms=[{"stages": [SFT, GRPO]}, {"stages": [SFT, GRPO], "label": "again"}])


def test_a_chain_is_not_tuned(tmp_path):
    path = write(tmp_path, tune={"trials": 2, "space": {"shared": {"training.learning_rate": [1e-4, 1e-3]}}})
    with pytest.raises(UserError, match=r"algorithms.2: a chain of stages is not searched"):
        running.run(path, [], tmp_path / "out", [], True)


def test_the_reference_of_win_rates_is_no_chain():
    from harness.judging.recipe import _reference
    from harness.settings import WinRates

    planned = plan(algorithms=[{"stages": [SFT, GRPO]}, GRPO])
    assert _reference(WinRates(judges=("gold",)), planned) == GRPO


def test_the_memory_of_a_chain_counts_both_of_its_starts():
    """The one that it drifts from, and its stage's, which the reference is."""
    chain = {"stages": [{"name": GRPO, "budget": {"steps": 1}}, "grpo"]}
    rewarded = {"task": "preference", "reward": "gold", "sampling": {"max_tokens": 6}}
    alone, after = plan(algorithms=["grpo", chain], **rewarded).cells
    codec = models.load_codec(alone.start)
    one, two = (memory.estimate(cell, codec, "cpu").resident[memory.START] for cell in (alone, after))
    assert two == 2 * one


# --- records ---


def folder_of(whole, label):
    return whole / "cells" / by_label()[label].id


def test_a_chains_records_are_one_run(whole):
    """It begins with the bytes of its stages; costs, steps and prompts go on; nothing is evaluated twice."""
    first, second, last = (whole / "cells" / stage.id for stage in by_label()[LONGEST].chain)
    for name in records.RECORD_FILES:
        assert (second / name).read_bytes().startswith((first / name).read_bytes())
        assert (last / name).read_bytes().startswith((second / name).read_bytes())
    steps, evals = lines(last / "steps.jsonl"), lines(last / "evals.jsonl")
    assert [step["step"] for step in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert [step.get("stage", 1) for step in steps] == [1, 1, 2, 2, 2, 3, 3]
    looked = [e["step"] for e in evals if (e["split"], e["mode"]) == ("heldout", "sampled")]
    assert looked == [0, 2, 4, 5, 6, 7]
    for axis in records.AXES:
        spent = [step["counters"][axis] for step in steps]
        assert spent == sorted(spent) and spent[-1] > spent[4] > spent[1]
    assert [step["counters"]["prompts"] for step in steps] == [4, 8, 12, 16, 20, 24, 28]
    assert steps[1]["counters"]["generated_tokens"] == 0 < steps[2]["counters"]["generated_tokens"]
    drawn = [{s["id"] for s in lines(last / "samples.jsonl") if s["step"] == n} for n in (1, 3, 6)]
    assert not drawn[0] & drawn[1] and not drawn[1] & drawn[2]  # a shuffled epoch goes on


def test_items_lie_where_their_evaluations_say(whole):
    last = folder_of(whole, LONGEST)
    for record in lines(last / "evals.jsonl"):
        items = reading.items(last, record)
        means = [sum(item.correct) / len(item.correct) for item in items]
        assert sum(means) / len(means) == pytest.approx(record["accuracy"])


def test_each_stage_begins_anew_from_the_weights_of_the_one_before(whole):
    first, second, last = (whole / "cells" / stage.id for stage in by_label()[LONGEST].chain)
    states = [records.read_json(folder / "status.json") for folder in (first, second, last)]
    assert [status["step"] for status in states] == [2, 5, 7]
    assert states[0]["weights_end"] == states[1]["weights_start"] != states[1]["weights_end"]
    assert states[1]["weights_end"] == states[2]["weights_start"] != states[2]["weights_end"]
    assert 0 < states[0]["seconds"] < states[1]["seconds"] < states[2]["seconds"]
    rates = [step["learning_rate"] for step in lines(last / "steps.jsonl")]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 1e-3, 1e-3, 1e-3, 1e-3])  # two of four updates of its warm-up


def test_the_cell_says_what_the_chain_was(whole):
    cell = by_label()[LONGEST]
    record = records.read_json(whole / "cells" / cell.id / "cell.json")
    assert record["provenance"]["stages"] == [
        {"id": cell.chain[0].id, "steps": 2}, {"id": cell.chain[1].id, "steps": 5}
    ]  # fmt: skip
    assert [session["resumed_from"] for session in record["provenance"]["sessions"]] == [0, 2, 5]
    words = record["card"]["words"]
    assert words["objective"].startswith("1 sft: ") and "; 2 gft: " in words["objective"]
    assert "; 3 grpo: " in words["objective"]
    assert record["card"]["data"]["objective"] in words["objective"]


def test_a_chains_folder_is_a_checkpoint_like_any(whole):
    subject = find(str(folder_of(whole, "SFT+GRPO")))
    assert subject.name == "SFT+GRPO on arithmetic, seed 0" and subject.trained_task[0] == "arithmetic"


def test_the_table_has_chains_beside_single_stages(whole):
    """In the one table of the recipe's budget, although SFT+GFT's last stage has another."""
    (table,) = load(whole)
    assert [row.label for row in table.rows] == ["sft", GRPO, "SFT+GRPO", "SFT+GFT", LONGEST]
    assert table.budget["steps"] == 2
    rows = {row.label: row for row in table.rows}
    assert rows["SFT+GFT"].algorithm == "sft+gft" and rows["sft"].stages == ()
    assert [(one.algorithm, one.budget["steps"]) for one in rows[LONGEST].stages] == [
        ("sft", 2), ("gft", 3), ("grpo", 2)
    ]  # fmt: skip
    page = (whole / "leaderboard.md").read_text()
    assert "Budget of each run, of a chain for its last stage unless noted: 2 steps." in page
    assert "SFT+GFT is a chain: sft for 2 steps (warmup updates 0), then gft for 3 steps" in page


def test_the_plan_is_listed_before_anything_runs(tmp_path, capsys):
    rows = BASE["algorithms"][1:3] + BASE["algorithms"][4:]
    assert running.run(write(tmp_path, algorithms=rows), [], tmp_path / "out", [], True) == 0
    said = capsys.readouterr().out
    assert "chains: 3 cells and 2 earlier stages, 5 to run" in said
    assert "  sft  seed 0 (an earlier stage): missing" in said and f"  {LONGEST}  seed 0: missing" in said
    assert "memory of " in said and not (tmp_path / "out").exists()


# --- running again ---


def test_a_stage_is_no_row_until_the_recipe_has_it_as_one(whole, tmp_path, capsys):
    """And it is not run for it: only its label is new."""
    out, rows = tmp_path / "out", BASE["algorithms"]
    assert running.run(write(tmp_path, algorithms=[rows[2]]), [], out, [], False) == 0
    assert [row.label for row in load(out)[0].rows] == ["SFT+GRPO"]
    assert len(list((out / "cells").iterdir())) == 2
    path = write(tmp_path, algorithms=[{"name": "sft", "label": "SFT"}, rows[2]])
    capsys.readouterr()
    assert running.run(path, [], out, [], False) == 0
    assert "2 cells, 0 to run" in capsys.readouterr().out
    assert [row.label for row in load(out)[0].rows] == ["SFT", "SFT+GRPO"]
    assert running.run(write(tmp_path, algorithms=[rows[2]]), [], out, [], False) == 0
    assert sorted(row.label for row in load(out)[0].rows) == ["SFT", "SFT+GRPO"]  # a row that ran stays one


def test_a_stage_whose_weights_are_gone_is_made_again_where_it_is_needed(whole, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    cell = by_label()[LONGEST]
    ends = {
        stage.id: records.read_json(out / "cells" / stage.id / "status.json")["weights_end"] for stage in cell.chain
    }
    for stage in cell.chain[:-1]:
        shutil.rmtree(out / "cells" / stage.id / "weights")
    assert running.run(write(tmp_path), [], out, [], False) == 0
    assert "5 cells, 0 to run" in capsys.readouterr().out  # nobody needs them
    shutil.rmtree(out / "cells" / cell.id)
    assert running.run(write(tmp_path), [], out, [], True) == 0
    assert capsys.readouterr().out.count("but its weights are gone: to run again") == 2
    assert running.run(write(tmp_path), [], out, [], False) == 0
    assert "5 cells, 3 to run" in capsys.readouterr().out
    for stage in cell.chain:
        assert records.read_json(out / "cells" / stage.id / "status.json")["weights_end"] == ends[stage.id]


def test_weights_that_are_not_the_stages_own_are_refused(whole, tmp_path):
    out = tmp_path / "cells"
    shutil.copytree(whole / "cells", out)
    chain = by_label()["SFT+GRPO"]
    shutil.rmtree(out / chain.after.id / "weights")
    shutil.copytree(out / by_label()[GRPO].id / "weights", out / chain.after.id / "weights")
    with pytest.raises(UserError, match="not the weights with which that stage ended"):
        experiment.run_cell(
            chain, tmp_path / "cell", chain.start, lambda *_: None, before=chains.Before(out / chain.after.id)
        )


def test_what_goes_on_from_a_failed_stage_is_not_run(tmp_path, monkeypatch, capsys):
    real, out = Arithmetic.grade, tmp_path / "out"

    def dies(self, example, response):
        raise RuntimeError("the grader died")

    broken = [{"name": GRPO, "budget": {"steps": 1}}, {**GFT, "budget": {"steps": 1}}, "gspo"]
    path = write(tmp_path, algorithms=["sft", {"stages": broken, "label": "three"}], evaluation={"examples": 4})
    monkeypatch.setattr(Arithmetic, "grade", dies)
    assert running.run(path, [], out, [], False) == 1
    said = capsys.readouterr().out
    assert "three seed 0: failed after 0 steps, 0 s; not run: the stage before it failed" in said
    assert "4 of 4 cells failed" in said and len(list((out / "cells").iterdir())) == 2
    monkeypatch.setattr(Arithmetic, "grade", real)
    assert running.run(path, [], out, [], False) == 0


@pytest.mark.slow(seconds=15)
def test_two_jobs_give_the_bits_of_one(whole, tmp_path):
    """Each stage in whatever process is free, once the one before it is done."""
    cells = [cell for label, cell in by_label().items() if label.startswith("SFT+")]
    every = {stage.id: stage for cell in cells for stage in cell.chain}
    works = [Work(one, tmp_path / one.id, one.start, chains.before(one, tmp_path)) for one in every.values()]
    assert run_cells(works[::-1], lambda *_: None, print, 2) == 0
    for name in every:
        ends = [records.read_json(folder / name / "status.json") for folder in (whole / "cells", tmp_path)]
        assert ends[0]["weights_end"] == ends[1]["weights_end"] and ends[1]["state"] == "done"


# --- on a reward ---


def test_drift_is_from_where_the_chain_began(tmp_path):
    """A second stage that learns nothing stays where the first one went, and its own reference sees no distance."""
    still = {"name": "grpo", "training": {"learning_rate": 1e-30, "weight_decay": 0.0}}
    rewarded = {"task": "preference", "reward": "gold", "sampling": {"max_tokens": 6}, "budget": {"steps": 1}}
    rewarded["win_rates"] = {"judges": ["gold"], "limit": 4}  # of the chain against where it began
    chain = {"stages": [{"name": GRPO, "budget": {"steps": 2}}, still], "label": "chain"}
    assert running.run(write(tmp_path, algorithms=[chain], **rewarded), [], tmp_path / "out", [], False) == 0
    (cell,) = plan(algorithms=[chain], **rewarded).cells
    drift = {e["step"]: e["kl"] for e in lines(tmp_path / "out/cells" / cell.id / "evals.jsonl") if "kl" in e}
    assert drift[0] == 0.0 != drift[2] and drift[3] == pytest.approx(drift[2], rel=1e-6)
    *_, last = lines(tmp_path / "out/cells" / cell.id / "steps.jsonl")
    assert last["stage"] == 2 and last["metrics"]["kl_reference"] == pytest.approx(0.0, abs=1e-9)
    (judged,) = [records.read_json(path) for path in (tmp_path / "out").rglob("judged.json")]
    assert judged["candidate"]["algorithm"] == "grpo+grpo" and judged["opponent"]["fingerprint"] == "tiny"


def test_a_budget_of_any_axis_is_the_stages_own(tmp_path):
    """The second stage may spend as much again, whatever the first has spent."""
    budget = {"trained_tokens": 60}
    chain = {"stages": [{"name": "sft", "budget": budget}, {"name": GRPO, "budget": budget}], "label": "chain"}
    assert running.run(write(tmp_path, algorithms=[chain], budget=budget), [], tmp_path / "out", [], False) == 0
    (cell,) = plan(algorithms=[chain], budget=budget).cells
    steps = lines(tmp_path / "out/cells" / cell.id / "steps.jsonl")
    spent = {stage: [s["counters"]["trained_tokens"] for s in steps if s.get("stage", 1) == stage] for stage in (1, 2)}
    assert len(spent[1]) > 1 and spent[1][-2] < 60 <= spent[1][-1]
    second = [tokens - spent[1][-1] for tokens in spent[2]]
    assert second[-1] >= 60 and all(tokens < 60 for tokens in second[:-1])
