"""Columns over several tasks, against the numbers that they are made of."""

from statistics import median

import pytest

from leaderboard.analysis import Analysis, View
from leaderboard.columns.across import ACROSS, Across
from leaderboard.loading import load
from leaderboard.stats import algoperf_scores, holm, iqm, macro_gain, over_seeds, probability_of_improvement

FINALS = {  # by label, task and seed
    "grpo": {"a": (0.50, 0.52, 0.51), "b": (0.40, 0.41, 0.43)},
    "better": {"a": (0.60, 0.63, 0.61), "b": (0.52, 0.50, 0.53)},
    "mixed": {"a": (0.55, 0.51, 0.54), "b": (0.39, 0.44, 0.40)},
}


def across(results, **view):
    return Across([Analysis(table, table.rows, View(**view), {}) for table in load(results.plan())])


def entry(found, label, name):
    return ACROSS[name].entry(found, label)


@pytest.fixture
def tasks(results):
    for label, by_task in FINALS.items():
        for task, finals in by_task.items():
            for seed, final in enumerate(finals):
                results.cell(label, seed, [0.2 + 0.01 * seed, final, final], task={"name": task})
    return results


def differences(label, what):
    return [
        over_seeds([what(seed, mine, theirs) for seed, (mine, theirs) in enumerate(zip(*pair, strict=True))])
        for pair in ((FINALS[label][task], FINALS["grpo"][task]) for task in "ab")
    ]


def test_gains_and_differences_are_means_over_tasks_with_holm_over_the_rows(tasks):
    tasks.cell("control", 0, [0.2, 0.9], task={"name": "a"}, provenance={"control": "a-a"})
    found = across(tasks)
    assert found.labels == ("grpo", "better", "mixed") and found.reference == "grpo"
    expected = {label: macro_gain(differences(label, lambda _, x, y: x - y)) for label in ("better", "mixed")}
    adjusted = holm([one.p for one in expected.values()])
    for (label, one), p in zip(expected.items(), adjusted, strict=True):
        shown = entry(found, label, "sampled_macro_delta")
        assert (shown.value, shown.low, shown.high) == pytest.approx((one.mean, one.low, one.high))
        assert (shown.p, shown.p_holm) == pytest.approx((one.p, p))
    assert entry(found, "better", "sampled_macro_delta").mark == "**"
    assert entry(found, "mixed", "sampled_macro_delta").mark == ""
    assert entry(found, "grpo", "sampled_macro_delta").text == "reference"
    gain = macro_gain(differences("better", lambda seed, x, _: x - 0.2 - 0.01 * seed))
    shown = entry(found, "better", "sampled_macro_gain")
    assert (shown.value, shown.low) == pytest.approx((gain.mean, gain.low))


def test_stars_are_given_after_holm(tasks):
    for n in range(4):  # comparisons that find nothing
        for task in "ab":
            for seed, final in enumerate(FINALS["grpo"][task]):
                final += 0.02 * (-1) ** (seed + n) - 0.003 * n * (seed == 1)
                tasks.cell(f"same{n}", seed, [0.2, final, final], task={"name": task})
    for task in "ab":
        for seed, final in enumerate(FINALS["grpo"][task]):
            final += 0.02 + 0.012 * (seed - 1) * (1 if task == "a" else -1)
            tasks.cell("slight", seed, [0.2, final, final], task={"name": task})
    shown = entry(across(tasks), "slight", "sampled_macro_delta")
    assert shown.p < 0.05 < shown.p_holm and shown.mark == ""


def test_a_row_that_is_missing_on_a_task_has_no_mean_over_tasks(tasks):
    for seed in range(3):
        tasks.cell("only-a", seed, [0.2, 0.9, 0.9], task={"name": "a"})
    found = across(tasks, target_accuracy=0.3)
    assert entry(found, "grpo", "algoperf").value is not None
    for name in ("sampled_macro_gain", "sampled_macro_delta", "sampled_improvement", "sampled_iqm", "algoperf"):
        assert entry(found, "only-a", name).value is None


def test_a_seed_that_adjusts_nothing_bears_a_dagger(tasks):
    """One seed on one task: the mean over tasks is not tested, and does not thin out the others' family."""
    before = entry(across(tasks), "better", "sampled_macro_delta").p_holm
    tasks.cell("lonely", 0, [0.2, 0.9], task={"name": "a"})
    for seed in range(3):
        tasks.cell("lonely", seed, [0.2, 0.9 - 0.01 * seed], task={"name": "b"})
    found = across(tasks)
    lonely = entry(found, "lonely", "sampled_macro_delta")
    assert (lonely.mark, lonely.p, lonely.p_holm) == ("†", None, None)
    assert entry(found, "better", "sampled_macro_delta").p_holm == before


def test_the_probability_is_that_of_the_row_on_the_seeds_of_all_tasks(tasks):
    tasks.cell("better", 7, [0.2, 0.01], task={"name": "a"})  # a seed of one task alone
    found = across(tasks)
    mine, theirs = ([[FINALS[label][task][seed] for task in "ab"] for seed in range(3)] for label in ("mixed", "grpo"))
    shown = entry(found, "mixed", "sampled_improvement")
    assert shown.value == pytest.approx(probability_of_improvement(mine, theirs)) != 0.5
    assert entry(found, "better", "sampled_improvement").value == 1


@pytest.mark.parametrize("runs", [1, 2, 9, 10])
def test_a_bootstrap_of_few_runs_has_no_interval(results, runs):
    for task in "ab":
        for seed in range(10):
            results.cell("grpo", seed, [0.2, 0.3 + 0.01 * seed], task={"name": task})
            if seed < runs:
                results.cell("dapo", seed, [0.2, 0.33 + 0.007 * seed], task={"name": task})
    shown = entry(across(results), "dapo", "sampled_improvement")
    assert 0 < shown.value < 1 and shown.mark == "†" * (runs == 1)
    if runs < 10:
        assert (shown.low, shown.high) == (None, None)
    else:
        assert shown.low < shown.value < shown.high


def test_the_middle_half_takes_twenty_runs(results):
    finals = {task: [0.3 + 0.0001 * seed**3 + 0.01 * (task == "b") for seed in range(10)] for task in "ab"}
    for task in "ab":
        for seed in range(10):
            results.cell("grpo", seed, [0.2, finals[task][seed]], task={"name": task})
            if seed < 9:
                results.cell("fewer", seed, [0.2, finals[task][seed]], task={"name": task})
    found = across(results)
    assert entry(found, "grpo", "sampled_iqm").value == pytest.approx(iqm([*zip(*finals.values(), strict=True)]))
    assert entry(found, "fewer", "sampled_iqm").value is None


def test_algoperf_takes_each_rows_median_way_and_tasks_with_a_target(results):
    """On task c the reference gains nothing: it has no target, and counts for nobody."""
    climbs = [[0.2] * late + [0.6] * (8 - late) for late in (1, 2, 5)]
    for seed in range(3):
        for task in "abc":
            flat = [0.2] * 8
            results.cell("grpo", seed, flat if task == "c" else climbs[seed], task={"name": task})
            fast, slow = [0.2] + [0.7 - 0.01 * seed] * 7, flat
            results.cell("fast", seed, slow if task == "b" else fast, task={"name": task})
    found = across(results)
    assert [analysis.target is None for analysis in found.analyses] == [False, False, True]
    times = [
        [median(one.times(next(row for row in one.rows if row.label == label)).values()) for one in found.analyses[:2]]
        for label in found.labels
    ]
    expected = dict(zip(found.labels, algoperf_scores(times), strict=True))
    assert {label: entry(found, label, "algoperf").value for label in found.labels} == pytest.approx(expected)
    assert expected["grpo"] != expected["fast"]


def test_where_tasks_have_other_references_there_is_none_over_all(results):
    for task, labels in (("a", "xy"), ("b", "yx")):
        for label in labels:
            for seed in range(3):
                results.cell(label, seed, [0.2, 0.4 + 0.01 * seed], task={"name": task})
    found = across(results)
    assert found.reference is None
    assert [entry(found, label, "sampled_macro_delta").value for label in "xy"] == [None, None]
    assert [entry(found, label, "sampled_improvement").value for label in "xy"] == [None, None]
    (said,) = ACROSS["sampled_macro_delta"].explain(found)
    assert "the reference of each" in said and "None" not in said


def test_rewards_have_means_over_tasks_and_none_with_accuracies(results):
    for task in "ab":
        for label, gain in (("grpo", 1.0), ("better", 3.0)):
            for seed in range(3):
                rewards = {
                    ("heldout", "sampled", step): [[step * gain + 0.1 * seed * step], [1 + step * gain]]
                    for step in (0, 2)
                }
                results.rewarded(label, seed, rewards, task={"name": task})
    found = across(results)
    gain = entry(found, "better", "sampled_macro_gain")
    assert found.measure == "reward" and gain.value == pytest.approx(6.1)
    assert ACROSS["sampled_macro_gain"].kind_in(found) == "reward_difference"
    assert ACROSS["sampled_macro_gain"].explain(found) == (
        "Mean gain: mean over tasks of final − start, in the reward's unit.",
    )
    assert entry(found, "better", "sampled_macro_delta").value == pytest.approx(4)
    for label in ("grpo", "better"):
        for seed in range(3):
            results.cell(label, seed, [0.2, 0.5 + 0.1 * (label == "better")], task={"name": "c"})
    mixed = across(results)
    assert mixed.measure is None and entry(mixed, "better", "sampled_improvement").value == 1
    for name in ("sampled_macro_gain", "sampled_macro_delta", "sampled_iqm"):
        assert entry(mixed, "better", name).value is None, name
    assert "others by their reward" in ACROSS["sampled_macro_gain"].explain(mixed)[0]
