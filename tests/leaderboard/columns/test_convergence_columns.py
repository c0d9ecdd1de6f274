import math

import pytest

from leaderboard.analysis import Analysis, View
from leaderboard.columns import COLUMNS
from leaderboard.loading import load
from leaderboard.stats import over_seeds, wilson

CURVES = {  # smoothed, at steps 0, 2, …, 10
    "grpo": [0.2, 0.3, 0.4, 0.5, 0.6, 0.6],
    "fast": [0.2, 0.6, 0.6, 0.6, 0.6, 0.6],
    "flat": [0.2, 0.2, 0.2, 0.2, 0.2, 0.2],
}


@pytest.fixture
def analysis(results):
    for label, curve in CURVES.items():
        for seed in range(3):
            results.cell(label, seed, [value + 0.01 * seed * (n > 0) for n, value in enumerate(curve)])
    results.cell("sometimes", 0, CURVES["fast"])
    results.cell("sometimes", 1, CURVES["flat"])
    results.cell("sometimes", 2, CURVES["flat"])
    (table,) = load(results.plan())
    return Analysis(table, table.rows, View(target_accuracy=0.5), {})


def entry(analysis, label, name):
    return COLUMNS[name].entry(analysis, next(row for row in analysis.rows if row.label == label))


def test_time_to_target_is_the_median_and_keeps_infinity(analysis):
    assert entry(analysis, "grpo", "time_to_target").value == pytest.approx(6 - 2 * 0.1)  # seed 1: 0.41, 0.51 at 4, 6
    assert entry(analysis, "flat", "time_to_target").value == math.inf
    assert entry(analysis, "sometimes", "time_to_target").value == math.inf
    assert [entry(analysis, label, "success").text for label in ("grpo", "sometimes", "flat")] == ["3/3", "1/3", "0/3"]
    some = entry(analysis, "sometimes", "success")
    assert (some.low, some.high) == wilson(1, 3) and some.by_seed == {0: 1, 1: 0, 2: 0}


def test_restricted_time_counts_the_horizon_for_what_lies_beyond(analysis):
    restricted = entry(analysis, "sometimes", "restricted_time")
    fast = entry(analysis, "fast", "time_to_target").by_seed[0]
    assert restricted.value == pytest.approx((fast + 10 + 10) / 3)
    assert restricted.by_seed == {0: pytest.approx(fast), 1: 10, 2: 10}
    assert entry(analysis, "flat", "restricted_time").value == 10


def test_speed_up_only_where_both_mostly_get_there(analysis):
    assert entry(analysis, "grpo", "speedup").text == "reference"
    ours, theirs = (entry(analysis, label, "time_to_target").by_seed for label in ("fast", "grpo"))
    logs = [math.log(theirs[seed] / ours[seed]) for seed in range(3)]
    assert entry(analysis, "fast", "speedup").value == pytest.approx(sum(logs) / 3)
    assert list(entry(analysis, "fast", "speedup").by_seed.values()) == pytest.approx(logs)
    assert entry(analysis, "sometimes", "speedup").value is None
    assert entry(analysis, "flat", "speedup").value is None


def test_the_time_is_a_median_and_the_speed_up_is_paired(results):
    """The mean of logarithms does not show a wrong pairing; its interval does."""
    climbs = ([0.2, 0.6, 0.6, 0.6, 0.6, 0.6], [0.2, 0.2, 0.6, 0.6, 0.6, 0.6], [0.2, 0.2, 0.2, 0.2, 0.6, 0.6])
    for seed in range(3):
        results.cell("grpo", seed, climbs[seed])
        results.cell("mine", seed, climbs[(seed + 1) % 3])
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(target_accuracy=0.45), {})
    found = entry(analysis, "mine", "time_to_target")
    assert found.value == sorted(found.by_seed.values())[1] < sum(found.by_seed.values()) / 3 - 0.1
    theirs = entry(analysis, "grpo", "time_to_target").by_seed
    paired = over_seeds([math.log(theirs[seed] / found.by_seed[seed]) for seed in range(3)])
    speedup = entry(analysis, "mine", "speedup")
    assert (speedup.low, speedup.high) == (pytest.approx(paired.low), pytest.approx(paired.high))


def test_area(analysis):
    assert entry(analysis, "flat", "nauc").value == pytest.approx(0.01 * 0.9 / 0.3)  # seeds at 0, 0.01 and 0.02
    assert entry(analysis, "fast", "nauc").value > entry(analysis, "grpo", "nauc").value


def test_without_a_target_there_is_nothing_to_reach(results):
    results.cell("grpo", 0, [0.2, 0.2, 0.2])
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    for name in ("time_to_target", "success", "restricted_time", "speedup", "nauc"):
        assert entry(analysis, "grpo", name).value is None
    (said, _) = COLUMNS["time_to_target"].explain(analysis)
    assert said == "No target: the reference's gain has no interval that excludes 0."


def test_a_reference_without_a_finished_seed_is_not_said_to_have_gained_nothing(results):
    results.cell("grpo", 0, [0.2, 0.9], state="failed", error="x")
    results.cell("gift", 0, [0.2, 0.9])
    (table,) = load(results.plan())
    (said, _) = COLUMNS["time_to_target"].explain(Analysis(table, table.rows, View(), {}))
    assert said == "No target: the reference has no finished seed with a start and an end."


def test_captions_state_target_and_horizon(analysis):
    (target, _) = COLUMNS["time_to_target"].explain(analysis)
    assert target.startswith("Target: 50.0 % of held-out sampled accuracy; reached where")
    assert "Horizon: 10 steps, as far as every run went." in COLUMNS["nauc"].explain(analysis)
