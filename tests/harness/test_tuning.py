"""Equal tuning, end to end on cells of a second, and every mistake named before anything runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from algorithms import Algorithm, Loss, register
from harness import benchmark, board, identity, models, running, tuning
from harness import recipe as recipes
from harness.board import Options
from harness.errors import UserError
from leaderboard import records

WARM = {"training": {"prompts_per_step": 16}, "budget": {"steps": 2}}
SPACE = {
    "shared": {"training.learning_rate": {"low": 1e-4, "high": 1e-2}},
    "gspo": {"clip_low, clip_high": [[3e-4, 4e-4], [0.03, 0.04]]},
}
BASE = {
    "task": {"name": "arithmetic", "parameters": {"level": 1}},
    "model": {"name": "tiny", "warm_start": WARM},
    "algorithms": ["grpo@no-kl", "gspo"],
    "seeds": [0, 1],
    "budget": {"steps": 2},
    "training": {"prompts_per_step": 4, "responses_per_prompt": 4, "updates_per_rollout": 2},
    "sampling": {"max_tokens": 4},
    "evaluation": {"examples": 12, "samples": 2},
    "execution": {"threads": 1},
    "tune": {"trials": 2, "budget": {"steps": 1}, "dev_share": 0.1, "space": SPACE},
}


@register("fragile")
@dataclass(frozen=True)
class Fragile(Algorithm):
    """Fails where its setting says so."""

    weight: float = 1.0

    def __post_init__(self):
        if self.weight > 100:
            raise ValueError(f"weight = {self.weight} must be at most 100")

    def loss(self, signals, batch):
        if self.weight < 0 and signals.logp.dtype == torch.float32:  # as models give them, and not a check
            raise RuntimeError("a negative weight")
        return Loss(-self.weight * (batch.token_advantage * signals.logp).sum() / batch.totals.tokens)


def write(folder, **changes):
    path = folder / "mine.yaml"
    path.write_text(json.dumps({**BASE, **changes}))
    return path


def prepare(**changes):
    recipe = recipes.parse({"name": "mine", **BASE, **changes}, "recipe")
    return tuning.prepare(recipe, recipe.tune, "cpu")


def tune(**changes):
    return {"tune": {**BASE["tune"], **changes}}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`groupbench run` into tmp_path/out; returns exit code and what was said."""
    monkeypatch.setenv("GROUPBENCH_CACHE", str(tmp_path / "cache"))

    def go(dry_run=False, **changes):
        code = running.run(write(tmp_path, **changes), [], tmp_path / "out", [], dry_run)
        return code, capsys.readouterr().out

    return go


def searches(folder: Path):
    return {search["algorithm"]: search for search in records.read_json(folder / "tuning.json")["searches"]}


# --- the plan ---


def test_every_algorithm_gets_the_same_trials_and_learning_rates():
    one, other = prepare(**tune(trials=4)).searches
    assert len(one.trials) == len(other.trials) == 4
    rates = [[trial.setting["training.learning_rate"] for trial in search.trials] for search in (one, other)]
    assert rates[0] == rates[1]
    assert {trial.setting["clip_low"] for trial in other.trials} == {3e-4, 0.03}
    assert one.trials[0].choice.label == "grpo@no-kl, trial 1 (learning_rate=0.000178)"


def test_trials_never_see_the_held_out_examples_nor_does_their_warm_start():
    trials = prepare().benchmark
    task = benchmark.build_task("arithmetic", {"level": 1}, "task")
    test, dev = {e.id for e in task.heldout}, {e.id for e in trials.cells[0].task.heldout}
    assert dev and not dev & test
    for cell in (*trials.cells, trials.warm_start):
        assert not {example.id for example in cell.task.train} & (dev | test)
    plain = recipes.parse({"name": "mine", **BASE, "tune": None}, "recipe")
    assert trials.warm_start.id != benchmark.plan(plain, "cpu").warm_start.id


def test_the_dev_split_is_part_of_the_identity():
    task = benchmark.build_task("arithmetic", {"level": 1}, "task")
    whole, tenth, fifth = [
        identity.task_identity(t) for t in (task, tuning.DevSplit(task, 0.1), tuning.DevSplit(task, 0.2))
    ]
    assert tenth["name"] == "arithmetic" and tenth["parameters"] == whole["parameters"] | {"dev_share": 0.1}
    assert len({identity["data"] for identity in (whole, tenth, fifth)}) == 3


def test_a_dev_split_of_a_third_partys_task_has_its_source():
    class Theirs(type(benchmark.build_task("arithmetic", {}, "task"))):
        pass

    theirs = Theirs(level=1)
    source = identity.task_identity(theirs)["source"]
    assert source and identity.task_identity(tuning.DevSplit(theirs, 0.1))["source"] == source


def test_evaluation_takes_what_the_dev_split_has():
    few = prepare(evaluation={"examples": 12}, **tune(dev_share=0.07)).benchmark.cells[0]
    assert few.evaluation.examples == len(few.task.heldout) < 12
    assert prepare(evaluation={"examples": 2}).benchmark.cells[0].evaluation.examples == 2
    assert {cell.evaluation.probe for cell in prepare(evaluation={"probe": 30}).benchmark.cells} == {0}


def test_what_the_entry_sets_itself_gives_way_and_its_label_does_not_lie():
    entry = {"name": "gspo", "parameters": {"clip_low": 0.5}, "training": {"learning_rate": 1.0, "weight_decay": 0.1}}
    found = prepare(algorithms=[entry])
    (search,) = found.searches
    assert search.tuned_label == "gspo@paper, tuned"
    assert found.benchmark.notes == (
        "gspo@paper: the recipe's own clip_low, training.learning_rate gives way to the search",
    )
    for cell in found.benchmark.cells:
        assert cell.algorithm.clip_low != 0.5 and cell.training.weight_decay == 0.1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (tune(seeds=[1000, 1]), r"tune.seeds: \[1\] are seeds of the comparison too"),
        (tune(seeds=[]), "seeds = .*one or more"),
        (tune(trials=0), "trials = 0: must be at least 1"),
        (tune(dev_share=1.5), "dev_share = 1.5: must be between 0 and 1"),
        (tune(dev_share=1e-9), "dev_share = 1e-09 leaves no example in the dev split"),
        (tune(space={**SPACE, "gpso": {}}), "tune.space: no algorithm 'gpso' in this recipe; did you mean 'gspo'"),
        (tune(space={**SPACE, "grpo": {}}), "no algorithm 'grpo' in this recipe;.*allowed: grpo@no-kl"),
        (tune(space={"gspo": SPACE["gspo"]}), "nothing is searched for grpo@no-kl"),
        (tune(space={**SPACE, "gspo@paper": {}}), "'gspo' and 'gspo@paper' are the same algorithm"),
        (tune(space={"shared": {"tau": [0.1, 0.2]}}), r"tune.space.shared \(grpo@no-kl\): unknown field 'tau'"),
        (tune(space={"shared": {"training.lr": [1, 2]}}), "unknown field 'training.lr'"),
        (tune(trials=3, space={"shared": {"training.learning_rate": [1e-4, 1e-3]}}), "only 2 distinct settings"),
        (
            tune(space={"shared": {"training.learning_rate": [1e-4, -1]}}),
            r"tune.space.shared: grpo@no-kl, trial 2 \(learning_rate=-1\).training: learning_rate = -1.0",
        ),
        (
            {"algorithms": ["fragile"], **tune(space={"fragile": {"weight": [1, 1000]}})},
            r"tune.space.fragile: fragile, trial 2 \(weight=1000\).parameters: weight = 1000.0 must be at most 100",
        ),
        (tune(trails=3), "unknown key 'trails' in tune; did you mean 'trials'"),
        (tune(budget={"stepz": 3}), "unknown key 'stepz' in tune.budget"),
        (tune(space={"shared": 3}), "tune.space.shared"),
    ],
)
def test_mistakes_are_named(changes, said, monkeypatch):
    monkeypatch.setattr(models, "load_model", None)
    with pytest.raises(UserError, match=said):
        prepare(**changes)


def test_an_override_may_leave_an_algorithm_out():
    assert len(prepare(algorithms=["grpo@no-kl"]).searches) == 1


def test_the_quickstarts_settings_are_trials_of_the_recipe_that_found_them():
    folder = Path(__file__).parents[2] / "recipes"
    search = recipes.load(folder / "quickstart-tuning.yaml")
    searches = tuning.prepare(search, search.tune, "cpu").searches
    cells = {
        cell.algorithm.name: cell for cell in benchmark.plan(recipes.load(folder / "quickstart.yaml"), "cpu").cells
    }
    assert {s.choice.name.split("@")[0] for s in searches} == set(cells)
    for found in searches:
        cell = cells[found.choice.name.split("@")[0]]
        runs = {f"training.{name}": value for name, value in vars(cell.training).items()} | vars(cell.algorithm)
        assert any(setting.items() <= runs.items() for setting in (trial.setting for trial in found.trials)), cell.label


# --- the run ---


def test_a_search_and_the_comparison_it_is_for(run, tmp_path):
    out = tmp_path / "out"
    code, said = run(dry_run=True)
    assert code == 0 and said.count(": missing") == 4 and said.count("after the trials") == 4 and not out.exists()

    code, said = run(controls=[{"kind": "a-a", "of": "gspo@paper"}])
    assert code == 0 and "best of 2 trials on a dev split, from learning_rate 0.0001 to 0.01 (log)" in " ".join(
        said.split()
    )
    found = searches(out)
    assert set(found) == {"grpo@no-kl, tuned", "gspo@paper, tuned"}
    cells = {cell["id"]: cell for cell in map(records.read_json, out.glob("cells/*/cell.json"))}
    assert {cell["algorithm"] for cell in cells.values()} == {*found, "gspo@paper, tuned, A/A"}
    for label, search in found.items():
        scores = []
        for trial in search["trials"]:
            (cell,) = trial["cells"]
            folder = out / "tuning" / "cells" / cell
            last = [e for e in records.read_lines(folder / "evals.jsonl") if e["mode"] == "sampled"][-1]
            assert trial["score"] == last["accuracy"] and last["step"] == 1 and trial["error"] is None
            scores.append(last["accuracy"])
        assert scores[search["chosen"]] == max(scores) and search["chosen"] == scores.index(max(scores))
        setting = search["trials"][search["chosen"]]["setting"]
        rows = [cell for cell in cells.values() if cell["row"] == search["row"]]
        assert {cell["seed"] for cell in rows} == {0, 1} and {cell["algorithm"] for cell in rows} == {label}
        for cell in rows:
            assert cell["spec"]["training"]["learning_rate"] == setting["training.learning_rate"]
            assert cell["spec"]["budget"]["steps"] == 2
        assert (search["seeds"], search["dev_share"], search["budget"]["steps"]) == ([1000], 0.1, 1)

    text = (out / "leaderboard.md").read_text()
    assert "### How the settings were found" in text and text.count("\n## ") == 1  # the trials are no table of it
    assert "no search is recorded" not in text
    assert "trial 2" in "".join(cell["algorithm"] for cell in records.read_json(out / "tuning/benchmark.json")["cells"])
    board.run(out / "tuning", Options(tmp_path / "trials", "steps"))
    assert "gspo@paper, trial 1" in (tmp_path / "trials" / "leaderboard.md").read_text()

    before = (out / "tuning.json").read_bytes(), text
    code, said = run(controls=[{"kind": "a-a", "of": "gspo@paper"}])  # again: nothing left to do, nothing else found
    assert code == 0 and said.count(" 0 to run") == 2
    assert ((out / "tuning.json").read_bytes(), (out / "leaderboard.md").read_text()) == before
    code, said = run(dry_run=True)
    assert code == 0 and "after the trials" not in said and "gspo@paper, tuned  seed 1: done" in said

    (out / "leaderboard.md").unlink()  # from records alone
    shutil.rmtree(out / "tuning")
    board.run(out, Options(axis="steps"))
    assert (out / "leaderboard.md").read_text() == text

    code, _ = run(algorithms=["grpo@no-kl"])  # a narrower plan does not lose how the other rows were found
    assert code == 0 and searches(out).keys() == found.keys()


def test_a_failed_trial_has_no_score_and_the_others_go_on(run, tmp_path):
    space = {"fragile": {"weight": [-1.0, 1.0]}, "grpo@no-kl": SPACE["shared"]}
    code, said = run(algorithms=["fragile", "grpo@no-kl"], **tune(space=space))
    assert code == 0 and "1 trials failed and have no score" in said
    search = searches(tmp_path / "out")["fragile, tuned"]
    assert [trial["score"] is None for trial in search["trials"]] == [True, False] and search["chosen"] == 1
    assert search["trials"][0]["error"].startswith(f"seed 1000: RuntimeError: a negative weight ({__file__}, line ")
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "fragile, trial 1 (weight=-1.0): seed 1000: RuntimeError: a negative weight" in text


def test_an_algorithm_whose_trials_all_fail_is_an_error(run):
    with pytest.raises(UserError, match=r"all 2 trials of fragile failed.*a negative weight.*leaderboard .*tuning"):
        run(algorithms=["fragile"], **tune(space={"fragile": {"weight": [-1.0, -2.0]}}))


def test_a_trial_is_scored_on_held_out_examples_alone(tmp_path):
    found = prepare()
    trial, (cell, *_) = found.searches[0].trials[0], found.benchmark.cells
    folder = tmp_path / "tuning" / "cells" / cell.id
    folder.mkdir(parents=True)
    records.write_json(folder / "status.json", {"state": "done", "error": None})
    splits = [("heldout", 0.5), ("probe", 0.9)]
    records.append(folder / "evals.jsonl", [{"split": s, "mode": "sampled", "accuracy": a} for s, a in splits])
    assert tuning._tried(trial, found.benchmark, tmp_path)["score"] == 0.5


def test_of_equals_the_earlier_trial_is_taken():
    found = prepare()
    trial = {"score": 0.5, "error": None}
    scores = [[0.5, 0.5, 0.1], [None, 0.5, 0.5], [0.1, 0.2, 0.3]]
    chosen = [tuning._best(found.searches[0], [{**trial, "score": s} for s in row], Path()) for row in scores]
    assert chosen == [0, 1, 2]
