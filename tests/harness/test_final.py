"""Final tasks of a recipe: every finished cell and the start, whatever is killed, and mistakes before training."""

import json

import pytest

from harness import recipe, running
from harness.errors import UserError
from leaderboard import loading
from leaderboard.analysis import Analysis, View

RECIPE = {
    "name": "final",
    "task": {"name": "arithmetic", "parameters": {"level": 1}},
    "model": "tiny",
    "algorithms": [{"name": "gft", "label": "GFT"}],
    "seeds": [0, 1],
    "budget": {"steps": 1},
    "training": {"prompts_per_step": 4, "responses_per_prompt": 6, "updates_per_rollout": 2, "learning_rate": 1e-3},
    "sampling": {"max_tokens": 4},
    "evaluation": {"every": 2, "examples": 4, "probe": 0, "samples": 1},
    "execution": {"threads": 1},
    "final_tasks": [
        {"name": "arithmetic", "label": "small", "parameters": {"level": 1}, "limit": 6, "max_tokens": 4},
        {"name": "arithmetic@greedy", "parameters": {"level": 2}, "limit": 8, "max_tokens": 4},
    ],
}


def run(folder, *overrides, **changes):
    path = folder / "final.yaml"
    path.write_text(json.dumps({**RECIPE, **changes}))
    return running.run(path, overrides, folder / "out", [], False)


def contents(folder):
    """What was answered, by place; how long it took is not."""
    found = sorted(folder.glob("out/**/final/**/*.json*"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.name != "sessions.jsonl"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    assert run(folder) == 0
    return folder


def test_every_cell_and_the_start(done, capsys):
    (table,) = loading.load(done / "out")
    analysis = Analysis(table, table.rows, View(), {})
    assert analysis.final_tasks == ["arithmetic@greedy", "small"]
    (row,) = table.rows
    small = analysis.final(row, "small")
    assert small.seeds == (0, 1) and small.values.shape == (2, 6) and small.clusters is not None
    assert (
        analysis.final_start("small").values.shape == (1, 6) and analysis.final_start("arithmetic@greedy") is not None
    )
    protocols = [json.loads(path.read_text())["protocol"] for path in (done / "out").glob("cells/*/final/small/proto*")]
    assert sorted(p["seed"] for p in protocols) == [0, 1]
    assert all(p["samples"] == 4 and p["max_tokens"] == 4 and p["task"] == "arithmetic" for p in protocols)


def test_run_again_nothing_is_asked(done, capsys):
    before = contents(done)
    assert len(before) == 3 * (1 + 2 * 2) and run(done) == 0
    assert contents(done) == before
    assert "final tasks: GFT" not in capsys.readouterr().out


def test_an_interrupted_evaluation_ends_with_the_same_bytes(done, tmp_path, capsys):
    import shutil

    shutil.copytree(done / "out", tmp_path / "out")
    (torn,) = sorted(tmp_path.glob("out/cells/*/final/small/items.jsonl"))[:1]
    lines = torn.read_bytes().splitlines(keepends=True)
    torn.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    (torn.parents[1] / "evaluation.json").unlink()
    shutil.rmtree(tmp_path / "out" / "start")
    assert run(tmp_path) == 0
    joined = {name: b"" if name.endswith("items.jsonl") else found for name, found in contents(tmp_path).items()}
    assert joined == {n: b"" if n.endswith("items.jsonl") else f for n, f in contents(done).items()}
    assert capsys.readouterr().out.count("final tasks: ") == 2  # the start, and the torn cell


def test_another_task_is_added_to_cells_that_are_done(done, tmp_path):
    import shutil

    shutil.copytree(done / "out", tmp_path / "out")
    tasks = [*RECIPE["final_tasks"], {"name": "arithmetic", "label": "more", "limit": 4, "max_tokens": 4}]
    assert run(tmp_path, final_tasks=tasks) == 0
    (table,) = loading.load(tmp_path / "out")
    assert Analysis(table, table.rows, View(), {}).final_tasks == ["arithmetic@greedy", "more", "small"]
    after = contents(tmp_path)
    assert all(after[name] == found for name, found in contents(done).items() if not name.endswith("evaluation.json"))


def test_cells_whose_weights_are_gone_are_named_before_training_and_hold_up_nothing(done, tmp_path, capsys):
    import shutil

    shutil.copytree(done / "out", tmp_path / "out")
    lost = sorted(tmp_path.glob("out/cells/*"))
    for cell in lost:
        shutil.rmtree(cell / "weights")
    assert run(tmp_path) == 0 and "weights are gone" not in capsys.readouterr().out  # nothing is to be asked
    changes = {
        "algorithms": [*RECIPE["algorithms"], {"name": "grpo@no-kl", "label": "GRPO"}],
        "final_tasks": [*RECIPE["final_tasks"], {"name": "arithmetic", "label": "more", "limit": 4, "max_tokens": 4}],
    }
    assert run(tmp_path, **changes) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "GFT, seed 0 is done, and its weights are gone: not asked more; to have it trained again, remove" in said
    assert said.index("seed 1 is done, and its weights are gone") < said.index("final: 4 cells, 2 to run")
    (table,) = loading.load(tmp_path / "out")
    analysis = Analysis(table, table.rows, View(), {})
    gft, grpo = (next(row for row in table.rows if row.label == label) for label in ("GFT", "GRPO"))
    assert analysis.final(gft, "more") is None and analysis.final(gft, "small").seeds == (0, 1)
    assert analysis.final(grpo, "more").seeds == analysis.final(grpo, "small").seeds == (0, 1)
    text = next(t for t in (p.read_text() for p in tmp_path.glob("out/*.md")) if "more" in t)
    assert any(line.startswith("| GFT |") and " – |" in line for line in text.splitlines())


def test_a_stage_whose_weights_are_gone_is_asked_where_it_is_made_again(tmp_path, capsys):
    import shutil

    tasks = RECIPE["final_tasks"][:1]
    assert run(tmp_path, seeds=[0], final_tasks=tasks) == 0
    (cell,) = tmp_path.glob("out/cells/*")
    shutil.rmtree(cell / "weights")
    chain = {"label": "GFT+GRPO", "stages": [{"name": "gft", "budget": {"steps": 1}}, "grpo@no-kl"]}
    assert run(tmp_path, seeds=[0], algorithms=[*RECIPE["algorithms"], chain]) == 0
    assert "weights are gone: not asked" not in " ".join(capsys.readouterr().out.split())
    (table,) = loading.load(tmp_path / "out")
    analysis = Analysis(table, table.rows, View(), {})
    assert all(analysis.final(row, "arithmetic@greedy") is not None for row in table.rows) and len(table.rows) == 2


def test_asked_otherwise_is_refused_before_training(done):
    tasks = [{**RECIPE["final_tasks"][0], "temperature": 0.3}, RECIPE["final_tasks"][1]]
    with pytest.raises(UserError, match=r"final/small was asked otherwise \(temperature: 0\.3 against 0\.6\); remove"):
        run(done, final_tasks=tasks)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"final_tasks": ["arithmetik"]}, r"final_tasks\.0 \(arithmetik\): .*unknown task 'arithmetik'; did you mean"),
        ({"final_tasks": ["arithmetic@gtf"]}, r"no protocol 'gtf'; did you mean 'gft'"),
        (
            {"final_tasks": ["preference"]},
            "it has no verifier that could grade it; what is judged belongs to win_rates",
        ),
        ({"final_tasks": [{"name": "arithmetic", "limit": 9999}]}, "--limit = 9999"),
        ({"final_tasks": ["arithmetic", "arithmetic"]}, "'arithmetic' is there 2 times; give each a `label:`"),
        ({"final_tasks": [{"name": "arithmetic", "label": "a/b"}]}, "label = 'a/b': must be a word"),
        ({"final_tasks": [{"name": "arithmetic", "samples": 0}]}, "samples = 0: must be at least 1, or null"),
        (
            {"final_tasks": [{"name": "arithmetic", "limt": 3}]},
            "unknown key 'limt' in final_tasks.0; did you mean 'limit'",
        ),
        ({"execution": {"save_weights": False}}, "final_tasks: the cells are evaluated after training"),
    ],
)
def test_mistakes_are_named_before_training(tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        run(tmp_path, **changes)
    assert not (tmp_path / "out" / "cells").exists()


def test_they_are_no_part_of_a_cells_identity():
    from harness.benchmark import plan

    with_tasks = plan(recipe.parse(RECIPE, "recipe"), "cpu").cells
    without = plan(recipe.parse({**RECIPE, "final_tasks": []}, "recipe"), "cpu").cells
    assert [cell.id for cell in with_tasks] == [cell.id for cell in without]


def test_a_cell_that_begins_anew_forgets_its_answers(tmp_path):
    assert run(tmp_path, seeds=[0]) == 0
    (status,) = tmp_path.glob("out/cells/*/status.json")
    before = contents(tmp_path)
    status.write_text(json.dumps({**json.loads(status.read_text()), "state": "failed"}))
    for path in status.parent.glob("final/*/items.jsonl"):
        path.write_text("")
    assert run(tmp_path, seeds=[0]) == 0 and contents(tmp_path) == before


def test_drift_is_measured_with_a_verifier_where_asked_for(tmp_path):
    from harness.benchmark import plan

    asked = {**RECIPE, "final_tasks": [], "seeds": [0], "evaluation": {**RECIPE["evaluation"], "drift": True}}
    plain = {**asked, "evaluation": RECIPE["evaluation"]}
    (one,), (other,) = (plan(recipe.parse(r, "recipe"), "cpu").cells for r in (asked, plain))
    assert one.id != other.id and "drift" not in other.spec["evaluation"] and one.spec["evaluation"]["drift"]
    assert run(tmp_path, **{k: asked[k] for k in ("final_tasks", "seeds", "evaluation")}) == 0
    (path,) = tmp_path.glob("out/cells/*/evals.jsonl")
    found = [json.loads(line) for line in path.read_text().splitlines()]
    kl = [record["kl"] for record in found if (record["split"], record["mode"]) == ("heldout", "sampled")]
    assert kl[0] == 0.0 and kl[-1] > 0 and all("entropy" in r for r in found if "kl" in r)
