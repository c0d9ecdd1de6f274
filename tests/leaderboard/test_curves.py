import math

import pytest

from leaderboard.curves import curve, start
from leaderboard.loading import load
from leaderboard.stats import over_seeds


@pytest.fixture
def table(results):
    for seed, shift in enumerate((0.0, 0.02, 0.04)):
        results.cell("gift@released", seed, [0.2, 0.3 + shift, 0.5 + shift])
    results.cell("grpo", 0, [0.3, 0.4])
    results.cell("dapo", 0, state=None)
    (table,) = load(results.plan())
    return table


def row(table, label):
    return next(row for row in table.rows if row.label == label)


def test_curve_is_the_mean_over_seeds_with_its_t_interval(table):
    found = curve(row(table, "gift@released"), "sampled")
    assert found.steps == (0, 2, 4) and found.x("steps") == [0, 2, 4]
    assert found.mean == pytest.approx([0.2, 0.32, 0.52])
    assert found.half[0] == pytest.approx(0.0, abs=1e-9)
    assert found.half[2] == pytest.approx(4.302653 * 0.02 / math.sqrt(3), rel=1e-6)
    assert found.half[2] == pytest.approx(over_seeds([0.5, 0.52, 0.54]).half_width(), rel=1e-12)


def test_one_seed_has_no_interval_and_none_has_no_point(table):
    assert curve(row(table, "grpo"), "sampled").half is None
    for nothing in (curve(row(table, "dapo"), "sampled"), curve(row(table, "grpo"), "greedy")):
        assert nothing.steps == () and nothing.mean.size == 0 and nothing.x("flops") == []


def test_the_start_is_over_all_runs(table):
    assert start(table.rows, "sampled") == pytest.approx((3 * 0.2 + 0.3) / 4)
    assert start(table.rows, "greedy") is None


@pytest.mark.parametrize(("axis", "end"), [("generated_tokens", 4000), ("flops", 1e13), ("seconds", 6.0)])
def test_other_axes(table, axis, end):
    assert curve(row(table, "gift@released"), "sampled").x(axis) == [0, end / 2, end]


def test_the_axis_value_is_the_mean_counter_of_the_seeds(results):
    results.cell("a", 0, [0.2, 0.4])
    cell = results.cell("a", 1, [0.2, 0.4])
    (cell / "evals.jsonl").write_text(
        (cell / "evals.jsonl").read_text().replace('"generated_tokens": 2000', '"generated_tokens": 5000')
    )
    assert curve(load(results.plan())[0].rows[0], "sampled").x("generated_tokens") == [0, 3500]


def test_a_curve_has_only_the_steps_that_all_seeds_have(results):
    results.cell("a", 0, [0.2, 0.4, 0.6])
    results.cell("a", 1, [0.2, 0.4])
    assert curve(load(results.plan())[0].rows[0], "sampled").steps == (0, 2)
