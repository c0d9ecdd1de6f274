"""RLHF as a recipe: rewards in training and records, a reward model's stage, win rates, kills, and what is refused."""

import json
import math
import shutil

import pandas
import pytest

from harness import benchmark, experiment, models, recipe, running, wheels
from harness.errors import UserError
from leaderboard import reading, records
from tasks.rewards.base import RewardError

RECIPE = {
    "name": "rlhf",
    "task": "preference",
    "model": "tiny",
    "reward": "gold",
    "algorithms": ["grpo@no-kl"],
    "budget": {"steps": 2},
    "training": {"prompts_per_step": 4, "responses_per_prompt": 4, "updates_per_rollout": 2, "learning_rate": 1e-3},
    "sampling": {"max_tokens": 6},
    "evaluation": {"every": 1, "examples": 8, "probe": 4, "samples": 2},
    "execution": {"threads": 1, "checkpoint_seconds": 0},
}
TRAINED = {"name": "reward_model", "train": {"base": "tiny", "pairs": "preference", "limit": 40, "learning_rate": 1e-3}}
FIVE = ["grpo@no-kl", "dapo", "gspo", "gift", {"name": "gft", "parameters": {"teachers": 1}}]


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    """Reward models of these tests lie in a cache of their own."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GROUPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


def write(folder, **changes):
    path = folder / "recipe.yaml"
    path.write_text(json.dumps({**RECIPE, **changes}))
    return path


def run_one(folder, **changes):
    (cell,) = benchmark.plan(recipe.parse({**RECIPE, **changes}, "recipe"), "cpu").cells
    experiment.run_cell(cell, folder, cell.start, lambda *_: None)
    return {p.stem: list(records.read_lines(p)) for p in folder.glob("*.jsonl")}


def test_records_of_a_run_on_a_reward(tmp_path):
    found = run_one(tmp_path)
    for record in found["evals"]:
        assert record["accuracy"] is None and "strict" not in record
        assert record["reward"] == record["gold"] and record["reward_cut"] == 0.0
        assert (
            ("kl" in record) == ("entropy" in record) == (record["split"] == "heldout" and record["mode"] == "sampled")
        )
        items = [i for i in found["items"] if all(i[k] == record[k] for k in ("step", "split", "mode"))]
        assert len(items) == record["examples"] and all(i["correct"] == [] for i in items)
        means = [sum(i["reward"]) / len(i["reward"]) for i in items]
        assert all(len(i["reward"]) == len(i["gold"]) == record["samples"] for i in items)
        assert record["reward"] == pytest.approx(sum(means) / len(means))
    drift = [(r["step"], r["kl"]) for r in found["evals"] if "kl" in r]
    assert [step for step, _ in drift] == [0, 1, 2] and drift[0][1] == 0.0 and drift[-1][1] != 0.0
    for step in found["steps"]:
        assert step["accuracy"] is None and step["updates"] == 2 and step["reward_cut"] == 0.0
        assert 0 <= step["no_answer"] < 1
    (evaluation,) = [r for r in found["evals"] if (r["step"], r["split"], r["mode"]) == (2, "probe", "greedy")]
    assert "kl" not in evaluation


@pytest.mark.parametrize("algorithm", FIVE, ids=lambda one: one if isinstance(one, str) else one["name"])
def test_all_five_train_on_a_reward(tmp_path, algorithm):
    found = run_one(tmp_path, algorithms=[algorithm], budget={"steps": 1})
    (step,) = found["steps"]
    status = records.read_json(tmp_path / "status.json")
    assert status["state"] == "done" and status["weights_start"] != status["weights_end"]
    assert math.isfinite(step["loss"]) and step["updates"] > 0
    if algorithm == "dapo":  # it selects on the spread of rewards
        assert step["zero_variance_groups"] == 0.0 and step["groups"] == 4
    if isinstance(algorithm, dict):
        assert step["responses"]["expert"] == 4 and step["responses"]["teacher"] == 4
        shown = [s for s in found["samples"] if s["source"] == "expert"]
        assert len({s["reward"] for s in shown}) == 1 and shown[0]["reward"] > 4  # rated like any response: gold's best


def test_a_killed_run_on_a_reward_goes_on_to_the_same_end(tmp_path):
    """Its start is kept for the drift: a resumed run must not take the resumed policy for it."""
    from harness.stop import Stop, Stopped

    (cell,) = benchmark.plan(recipe.parse({**RECIPE, "budget": {"steps": 3}}, "recipe"), "cpu").cells
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    expected = experiment.run_cell(cell, whole, cell.start, lambda *_: None)
    stop = Stop()

    def halt(_, progress):
        stop.number = 15 if progress.step == 2 else None

    with pytest.raises(Stopped):
        experiment.run_cell(cell, halted, cell.start, halt, stop)
    found = experiment.run_cell(cell, halted, cell.start, lambda *_: None)
    assert found["weights_end"] == expected["weights_end"]
    for name in ("evals.jsonl", "items.jsonl"):
        one, other = (list(records.read_lines(folder / name)) for folder in (whole, halted))
        for record in (*one, *other):
            record.pop("seconds", None)
            record.get("counters", {}).pop("seconds", None)
        assert one == other, name


def test_a_reward_that_is_no_number_ends_the_run_and_says_where(tmp_path, monkeypatch):
    from tasks.rewards.gold import Gold, Worth

    monkeypatch.setattr(Gold, "rate", lambda self, answered: [Worth(math.nan) for _ in answered])
    with pytest.raises(RewardError, match=r"reward gold: nan for a response of \d+ characters to example \d\d\d"):
        run_one(tmp_path)
    assert records.read_json(tmp_path / "status.json")["state"] == "failed"
    assert "expected a finite number" in records.read_json(tmp_path / "status.json")["error"]


def results(path, out, *overrides):
    return running.run(path, overrides, out, [], False)


def test_a_recipe_trains_its_reward_model_and_its_cells_and_judges_them(tmp_path, capsys):
    """Both seeds of two algorithms, a start, two judges: convergence and win-rate tables; the second time nothing."""
    path = write(tmp_path, reward=TRAINED, algorithms=["grpo@no-kl", "gspo"], seeds=[0, 1],
                 win_rates={"judges": ["gold", "reward"], "limit": 12})  # fmt: skip
    out = tmp_path / "out"
    assert results(path, out) == 0
    said = capsys.readouterr().out
    assert "reward model: tiny on preference" in said and "right about" in said
    tables = sorted(p.name for p in out.glob("win-rates-*.md"))
    assert [name.split("-")[2] for name in tables] == ["gold", "reward"], tables
    gold = (out / tables[0]).read_text()
    assert "gspo@paper" in gold and "vs grpo@no-kl" in gold and "against start" in gold
    assert said.rindex("Win rates, judged by") > said.rindex("leaderboard.md")  # it ends with them
    judged = sorted(out.glob("judged/preference/*/*/judged.json"))
    assert len(judged) == 2 * (4 + 2)  # judges × (cells against the start, gspo's against grpo's of the same seed)
    opponents = {json.loads(p.read_text())["opponent"]["name"] for p in judged}
    assert "start" in opponents and len(opponents) == 3
    (fitted,) = (wheels.cache_folder() / "rewards").glob("*/training.json")
    when = fitted.stat().st_mtime_ns
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.suffix in (".md", ".jsonl", ".csv")}
    assert results(path, out) == 0
    assert {p: p.read_bytes() for p in before} == before
    (made,) = (wheels.cache_folder() / "rewards").glob("*/training.json")
    assert made.stat().st_mtime_ns == fitted.stat().st_mtime_ns == when


def test_the_gold_judge_gives_what_the_closed_form_says(tmp_path):
    """Every verdict is σ of the difference in gold, and the mean of them the table's number."""
    from tasks.preference import Preference

    out = tmp_path / "out"
    assert results(write(tmp_path, win_rates={"judges": ["gold"]}), out) == 0
    (cell,) = (out / "cells").iterdir()
    sides = [next((place / "answers").iterdir()) for place in (cell, out / "start")]
    mine, theirs = (
        {i["id"]: i["responses"][0] for i in records.read_lines(side / "preference" / "items.jsonl")} for side in sides
    )
    task = Preference()
    share = {name: 1 / (1 + math.exp(task.gold("", theirs[name]) - task.gold("", mine[name]))) for name in mine}
    (folder,) = {p.parent for p in out.glob("judged/preference/*/*/games.jsonl")}
    games = {g["id"]: g["score"] for g in records.read_lines(folder / "games.jsonl")}
    assert games.keys() == share.keys()
    for name, score in games.items():
        assert score == pytest.approx(share[name], abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"win_rates": {"judges": []}}, "win_rates: Value error|judges = ()"),
        ({"win_rates": {"judges": ["golden"]}}, "--judge golden"),
        ({"win_rates": {"judges": ["reward"]}}, "has no `reward: {name: reward_model}` that could judge"),
        ({"win_rates": {"judges": ["gold"], "reference": "gspo"}}, "no algorithm 'gspo' in this recipe"),
        ({"win_rates": {"judges": ["gold"], "tasks": ["arithmetic"]}}, "arithmetic is graded by a verifier"),
        ({"win_rates": {"judges": ["gold"], "limit": 5000}}, "--limit = 5000"),
        ({"win_rates": {"judges": ["gold"]}, "execution": {"save_weights": False}}, "execution.save_weights"),
        ({"win_rates": {"judges": ["gold"], "options": {"openai": {}}}}, "options"),
        ({"reward": {"name": "reward_model", "train": {"base": "tiny", "pairs": "nowhere"}}}, "reward.train: pairs"),
        ({"reward": {"name": "reward_model", "train": {"base": "tiny", "pairs": "gsm8k"}}}, "the task gives no pairs"),
        ({"reward": {**TRAINED, "parameters": {"model": "x/y"}}}, "has both parameters.model and train"),
    ],
)  # fmt: skip
def test_what_is_refused_before_anything_is_trained(tmp_path, changes, said):
    with pytest.raises(UserError) as error:
        results(write(tmp_path, **changes), tmp_path / "out")
    assert any(part in str(error.value) for part in said.split("|")), error.value
    assert not (tmp_path / "out").exists()


def test_the_same_pairs_make_the_same_reward_model_and_others_another(tmp_path):
    def stage(**changes):
        content = {**RECIPE, "reward": {**TRAINED, "train": {**TRAINED["train"], **changes}}}
        return benchmark.plan(recipe.parse(content, "recipe"), "cpu")

    one, same = stage(), stage()
    assert one.reward_stage.id == same.reward_stage.id and one.cells[0].id == same.cells[0].id
    others = [stage(limit=41), stage(seed=1), stage(epochs=2), stage(parameters={"length_bias": 0.0})]
    assert len({one.reward_stage.id, *(other.reward_stage.id for other in others)}) == 5
    assert len({one.cells[0].id, *(other.cells[0].id for other in others)}) == 5
    own = {**RECIPE, "reward": TRAINED, "task": {"name": "preference", "parameters": {"length_bias": 0.0}}}
    biased = benchmark.plan(recipe.parse(own, "recipe"), "cpu")
    assert biased.reward_stage.id == others[-1].reward_stage.id  # the task's own parameters are those of its pairs


def test_trials_of_a_search_are_scored_by_the_reward(tmp_path):
    tune = {"trials": 2, "space": {"shared": {"training.learning_rate": [1e-6, 1e-2]}}, "dev_share": 0.2}
    out = tmp_path / "out"
    assert (
        results(
            write(tmp_path, tune=tune, budget={"steps": 3}, evaluation={"every": 3, "probe": 0, "examples": 20}), out
        )
        == 0
    )
    (search,) = json.loads((out / "tuning.json").read_text())["searches"]
    scores = [trial["score"] for trial in search["trials"]]
    for trial in search["trials"]:
        (cell,) = trial["cells"]
        last = [
            r for r in records.read_lines(out / "tuning" / "cells" / cell / "evals.jsonl") if r["mode"] == "sampled"
        ][-1]
        assert trial["score"] == last["reward"]
    assert search["chosen"] == scores.index(max(scores)) and "reward" in search["metric"]


def test_items_are_read_by_what_they_measure(tmp_path):
    run_one(tmp_path)
    last = [r for r in records.read_lines(tmp_path / "evals.jsonl") if r["split"] == "heldout"][-1]
    for measure in ("reward", "gold"):
        items = reading.items(tmp_path, last, measure)
        assert len(items) == last["examples"] == 8


@pytest.mark.slow(seconds=15)
def test_cells_in_several_processes(tmp_path):
    """A reward model goes over to workers by its name, not with its weights."""
    path = write(tmp_path, reward=TRAINED, seeds=[0, 1])
    assert running.run(path, [], tmp_path / "two", [], False, jobs=2) == 0
    assert running.run(path, [], tmp_path / "one", [], False, jobs=1) == 0
    ends = [
        {
            p.parent.name: json.loads(p.read_text())["weights_end"]
            for p in (tmp_path / name / "cells").glob("*/status.json")
        }
        for name in ("one", "two")
    ]
    assert ends[0] == ends[1] and len(ends[0]) == 2


def test_win_rates_after_cells_that_failed_or_were_asked_otherwise(tmp_path, monkeypatch, capsys):
    """Every cell failing is said and no more; another limit on answers asks anew, and old answers stay."""
    from tasks.rewards.gold import Gold, Worth

    path, out = write(tmp_path, win_rates={"judges": ["gold"], "limit": 10}), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Gold, "rate", lambda self, answered: [Worth(math.nan) for _ in answered])
        assert results(path, out) == 1
    assert "1 of 1 cells failed" in capsys.readouterr().out
    assert results(path, out) == 0
    assert results(path, out, "win_rates.max_tokens=3") == 0
    places = list(out.glob("cells/*/answers/*"))
    assert len(places) == 2 and len(list(out.glob("start/answers/*"))) == 2
    longest = [max(max(i["tokens"]) for i in records.read_lines(p / "preference" / "items.jsonl")) for p in places]
    assert min(longest) <= 3 < max(longest)


def test_win_rates_where_the_weights_of_a_finished_cell_are_gone(tmp_path, capsys):
    """What it answered before is judged as ever; what it was not asked is said before anything is run."""
    path = write(tmp_path, seeds=[0, 1], win_rates={"judges": ["gold"], "limit": 10})
    out = tmp_path / "out"
    assert results(path, out) == 0
    before = {p: p.read_bytes() for p in out.glob("win-rates-*")}
    place = next(p.parent for p in out.glob("cells/*/cell.json") if records.read_json(p)["seed"] == 1)
    shutil.rmtree(place / "weights")
    capsys.readouterr()
    assert results(path, out) == 0
    assert {p: p.read_bytes() for p in out.glob("win-rates-*")} == before and "are gone" not in capsys.readouterr().out
    assert results(path, out, "win_rates.max_tokens=3") == 0
    said = capsys.readouterr().out
    assert f"its weights are gone: its answers are not judged; to have it trained again, remove {place}" in said
    assert len(list(place.glob("answers/*"))) == 1
    (table,) = out.glob("win-rates-gold*[!y].csv")
    assert pandas.read_csv(table)["win_rates_seeds"].tolist() == [1]


def test_one_judge_that_cannot_go_on_stops_no_other(tmp_path, monkeypatch, capsys):
    from tasks.judges.base import JudgeError
    from tasks.judges.gold import GoldJudge

    def stop(self, games, sink):
        raise JudgeError("gold is out")

    monkeypatch.setattr(GoldJudge, "ask", stop)
    path = write(tmp_path, reward=TRAINED, win_rates={"judges": ["gold", "reward"], "limit": 10})
    assert results(path, tmp_path / "out") == 3
    assert "NOT JUDGED by gold: gold is out" in capsys.readouterr().out
    assert [p.name.split("-")[2] for p in (tmp_path / "out").glob("win-rates-*.md")] == ["reward"]


def test_a_tuned_rows_reference_is_still_what_the_recipe_calls_it(tmp_path):
    tune = {"trials": 2, "space": {"shared": {"training.learning_rate": [1e-4, 1e-3]}}, "dev_share": 0.2}
    path = write(tmp_path, tune=tune, budget={"steps": 1}, algorithms=["grpo@no-kl", "gspo"],
                 win_rates={"judges": ["gold"], "limit": 10, "reference": "grpo@no-kl"})  # fmt: skip
    assert results(path, tmp_path / "out") == 0
    (made,) = (tmp_path / "out").glob("win-rates-gold*[!y].csv")
    assert "grpo@no-kl, tuned" in made.read_text()


def test_equal_responses_get_equal_rewards_wherever_they_lie(reward_model, monkeypatch):
    """A group of one response many times has no spread, or dynamic sampling would keep it for its rounding."""
    from harness import local
    from harness.rewards.scorer import RewardScorer

    monkeypatch.setitem(local.AT_ONCE, "cpu", 64)
    scorer = RewardScorer(models.find(str(reward_model)), "float32", "cpu")
    chats = [({"role": "user", "content": "Q" * n}, {"role": "assistant", "content": "A"}) for n in (1, 9, 3)] * 5
    found = [one.reward for one in scorer.score(chats)]
    assert found[:3] * 5 == found and len(set(found)) == 3
