import pytest

from leaderboard.analysis import Analysis, View
from leaderboard.columns import COLUMNS
from leaderboard.loading import load


def entries(results, *names):
    """Entries of the columns by row label."""
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    return {row.label: [COLUMNS[name].entry(analysis, row) for name in names] for row in table.rows}


def test_spent_is_the_mean_over_seeds_at_the_end(results):
    results.cell("a", 0, [0.2, 0.4, 0.5])  # 4 steps
    results.cell("a", 1, [0.2, 0.4, 0.5, 0.6])  # 6 steps: a budget of seconds may end seeds at different steps
    axes = ("steps", "optimizer_steps", "prompts", "generated_tokens", "trained_tokens", "flops", "seconds")
    found = entries(results, *(f"spent_{axis}" for axis in axes))["a"]
    assert [entry.value for entry in found] == [5, 10, 40, 5000, 4500, 12.5e12, 7.5]
    assert found[0].by_seed == {0: 4, 1: 6}


def test_mismatch_is_the_mean_over_the_steps_that_measured_it(results):
    seen = {"mean": 0.25, "max": 1.0, "k3": 0.001, "tokens": 2048}
    results.cell("a", 0, [0.2, 0.4], steps={1: {"mismatch": seen}, 2: {"mismatch": None}})
    results.cell("older", 0, [0.2, 0.4])
    found = entries(results, "mismatch")
    assert found["a"][0].value == 0.25 and found["older"][0].value is None


def test_shares_and_norms_are_means_over_steps_then_seeds(results):
    first = {
        "truncated": 0.75,
        "no_answer": 0.625,
        "grad_norm": 3.0,
        "grad_norm_max": 11.0,
        "zero_variance_groups": 1.0,
        "metrics": {"clip_fraction": 0.5, "sigma_s": 9.0},
    }
    results.cell("a", 0, [0.2, 0.4], steps={1: first, 2: {"metrics": {"clip_fraction": 0.25}}})
    nothing = {"grad_norm": None, "grad_norm_max": None, "zero_variance_groups": None}
    results.cell("a", 1, [0.2, 0.4], steps={1: {"metrics": {"clip_fraction": 0.0}}, 2: nothing})
    results.cell("b", 0, [0.2, 0.4])
    names = ("truncated", "no_answer", "clip_fraction", "grad_norm", "grad_norm_max", "zero_variance_groups")
    found = entries(results, *names)
    # Seed 1 reports a clip fraction at one step, and has no gradient at another.
    assert [entry.value for entry in found["a"]] == [0.375, 0.25, 0.1875, 1.5, 11.0, 0.625]
    assert found["a"][2].by_seed == {0: 0.375, 1: 0.0}
    assert found["b"][2].value is None


def test_totals_are_over_all_seeds(results):
    first = {"updates_without_signal": 2, "groups_discarded": 5, "demonstration_tokens": 30}
    results.cell("a", 0, [0.2, 0.4], steps={1: first, 2: {"updates": 0}})
    results.cell("a", 1, [0.2, 0.4])
    names = ("steps_without_update", "updates_without_signal", "groups_discarded", "demonstration_tokens")
    found = entries(results, *names)["a"]
    assert [entry.text for entry in found] == ["1/4", "2/6", "11/35", None]
    assert found[1].value == pytest.approx(1 / 3) and found[1].by_seed == {0: 1.0, 1: 0.0}
    assert found[3].value == (30 + 10 + 10 + 10) / 2


def test_seconds_are_means_over_seeds(results):
    uneven = {"sampling": 3.0, "grading": 0.125, "update": 0.25}  # no scoring where no log-probs are needed
    results.cell("a", 0, [0.2, 0.4], steps={1: {"seconds": uneven}})
    results.cell("a", 1, [0.2, 0.4])
    found = entries(results, *(f"seconds_{phase}" for phase in ("sampling", "grading", "scoring", "update")))["a"]
    assert [entry.value for entry in found] == [6 / 2, 0.25, 0.375 / 2, 0.5]


def test_what_has_no_finished_seed_has_no_numbers(results):
    results.cell("a", 0, [0.2, 0.9], state="failed", error="x")
    found = entries(results, "truncated", "groups_discarded", "spent_steps", "seconds_update")["a"]
    assert all(entry.value is None and entry.text is None for entry in found)
