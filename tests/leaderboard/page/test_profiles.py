"""Performance profiles on the page: against counts by hand, and why there is none."""

import json

import numpy as np
import pytest

from leaderboard.build import build
from leaderboard.page.data import Extras, payload
from leaderboard.page.index import write
from leaderboard.page.profiles import NO_MEASURE, NO_TASKS
from leaderboard.stats import stratified_bootstrap

from ..conftest import reward_runs
from .conftest import several_tasks


def made(results, tmp_path):
    return payload(build(results.plan(), tmp_path / "out", figures=False), Extras())


def site(results, out):
    """What was built, and the page's files."""
    built = build(results.folder, out, figures=False)
    return built, [path.read_bytes() for path in write(built, out, Extras())]


def profile(data):
    (table,) = data["across"]
    labels = {row["hash"]: row["label"] for row in table["rows"]}
    panels = table["profile"]["panels"]
    return table["profile"]["says"], [
        panel | {"rows": {labels[key]: row for key, row in panel["rows"].items()}} for panel in panels
    ]


def runs(results, finals):
    """Rows of seeds by task: {label: {task: finals}}."""
    for label, by_task in finals.items():
        for task, values in by_task.items():
            for seed, final in enumerate(values):
                results.cell(label, seed, [0.1, final], benchmark=task, task={"name": task})


def test_a_profile_by_hand(results, tmp_path):
    runs(results, {"grpo": {"a": (0.5, 0.25, 0.25), "b": (0.75, 0.5, 1.0)}, "gift": {"a": (0.5,), "b": (0.6, 0.7)}})
    says, (panel,) = profile(made(results, tmp_path))
    assert says == [] and (panel["name"], panel["kind"], panel["tasks"]) == ("sampled", "share", 2)
    # six runs: 0.25 twice, 0.5 twice, 0.75, 1; those above a score are counted without those at it
    assert panel["rows"] == {
        "grpo": {
            "tau": [0.25, 0.5, 0.75, 1.0],
            "share": [0.6667, 0.3333, 0.1667, 0.0],
            "low": None,
            "high": None,
            "final": pytest.approx(3.25 / 6),
            "seeds": 3,
        }
    }
    left, bare = panel["says"]
    assert left == "Not drawn, without 3 finished seeds that all 2 tasks have: gift."
    assert bare.startswith("No band: a bootstrap's takes 10 seeds a task")


def test_the_band_is_the_bootstraps_and_the_file_the_same_each_time(results, tmp_path):
    several_tasks(results)
    (built, first), (_, second) = (site(results, tmp_path / name) for name in ("one", "two"))
    assert first == second
    _, panels = profile(json.loads(first[1]))
    assert [panel["name"] for panel in panels] == ["sampled", "greedy"]
    bare = [label for label, row in panels[0]["rows"].items() if row["low"] is None]
    assert len(bare) == 1 and bare[0].startswith("gspo") and panels[0]["says"][-1].startswith(f"No band for {bare[0]}:")
    row = panels[0]["rows"]["gift(epsilon=0.003, tau=1)"]
    (across,) = [grid.across for grid in built.grids if grid.across]
    scores = across.finals("gift(epsilon=0.003, tau=1)", "sampled")
    at = len(row["tau"]) // 2
    drawn = stratified_bootstrap(lambda x: float((x > row["tau"][at]).mean()), scores, content="x", draws=4000)
    assert [row["low"][at], row["high"][at]] == pytest.approx(drawn, abs=1.01 / scores.size)
    assert row["low"][at] < row["share"][at] < row["high"][at]
    area = row["tau"][0] + np.diff(row["tau"]) @ row["share"][:-1]
    assert area == pytest.approx(row["final"], abs=1e-3)


def test_where_no_row_has_the_seeds_it_says_so(results, tmp_path):
    runs(results, {"grpo": {"a": (0.5, 0.4, 0.3), "b": (0.7, 0.6)}, "gift": {"a": (0.5,)}})
    _, (panel,) = profile(made(results, tmp_path))
    assert panel["rows"] == {} and panel["says"] == [
        "Nothing is drawn: no row has 3 finished seeds that all 2 tasks have."
    ]


def test_where_scores_are_of_different_things_it_says_so(results, tmp_path):
    for seed in range(3):
        results.cell("grpo", seed, [0.1, 0.5])
    reward_runs(results)
    assert profile(made(results, tmp_path)) == ([NO_MEASURE], [])


def test_where_there_is_one_task_the_method_says_so(results, tmp_path):
    runs(results, {"grpo": {"a": (0.5, 0.4, 0.3)}})
    data = made(results, tmp_path)
    assert data["across"] == []
    assert {"heading": "Performance profile", "says": [NO_TASKS]} in data["method"]
