"""From intervals to verdicts."""

from __future__ import annotations

import pytest

from leaderboard.claims.claim import Compared
from leaderboard.claims.deciding import decide, overall
from leaderboard.stats import over_seeds

BENCHMARK = "simulated_tables"


def compared(values, **more):
    return Compared(more.pop("part", ""), "a against b", over_seeds(values) if values else None, **more)


@pytest.mark.parametrize(
    ("values", "verdict", "said"),
    [
        ([1.0, 1.1, 0.9], "supported", "wholly above 0"),
        ([-1.0, -1.1, -0.9], "refuted", "wholly below 0"),
        ([1.0, -1.1, 0.9], "inconclusive", "holds 0"),
        ([1.0, 1.1], "inconclusive", "2 seeds: no verdict with fewer than 3"),
        ([1.0], "inconclusive", "1 seed: no verdict"),
        ([1.0, 1.0, 1.0], "inconclusive", "agree exactly"),
        ([0.0, 0.0, 0.0], "inconclusive", "agree exactly"),
    ],
)
def test_one_comparison(values, verdict, said):
    (found,) = decide([compared(values, remark="and more")])
    assert found.verdict == verdict and said in found.why and found.why.endswith("; and more")
    assert (found.p_holm is None) == (len(values) < 3 or len(set(values)) == 1)


def test_what_is_missing_is_not_run_and_what_cannot_be_measured_is_undecided():
    missing, unmeasured = decide([Compared("", "", None, "no row", missing=True), Compared("", "", None, "no target")])
    assert (missing.verdict, missing.why) == ("not run", "no row")
    assert (unmeasured.verdict, unmeasured.why) == ("inconclusive", "no target")


def test_holm_is_over_the_comparisons_of_a_claim_that_can_be_tested():
    clear, close = [1.0, 1.01, 0.99], [1.0, 1.9, 1.4]
    assert 0.02 < over_seeds(close).p < 0.05 < 3 * over_seeds(close).p
    (alone,) = decide([compared(close)])
    assert alone.verdict == "supported" and "Holm" not in alone.why
    untested = [compared([1.0, 2.0]), Compared("", "", None, "no row", missing=True), compared([1.0, 1.0, 1.0])]
    assert decide([compared(close), *untested])[0].verdict == "supported", "what is not tested costs nothing"
    first, second, third = decide([compared(close), compared(close), compared(clear)])
    assert third.verdict == "supported" and first.verdict == second.verdict == "inconclusive"
    assert "excludes 0, but not after the correction" in first.why and "over 3 comparisons" in first.why
    assert first.p_holm == pytest.approx(2 * over_seeds(close).p)


def whole(*verdicts):
    values = {"supported": [1.0, 1.01, 0.99], "refuted": [-1.0, -1.01, -0.99], "inconclusive": [1.0, -1.0, 0.1]}
    every = [compared(values.get(v), part=f"part {n}", missing=v == "not run") for n, v in enumerate(verdicts)]
    decisions = decide(every)
    assert [one.verdict for one in decisions] == list(verdicts)
    return overall(every, decisions)


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["supported"] * 3, "supported"),
        (["supported", "supported", "inconclusive"], "inconclusive"),
        (["supported", "supported", "not run"], "inconclusive"),
        (["supported", "supported", "refuted"], "refuted"),
        (["not run", "refuted"], "refuted"),
        (["not run", "not run"], "not run"),
        (["not run", "inconclusive"], "inconclusive"),
    ],
)
def test_a_claim_about_several_rows(verdicts, verdict):
    found = whole(*verdicts)
    assert found.verdict == verdict
    for number, each in enumerate(verdicts):
        assert each in found.why and f"part {number}" in found.why


@pytest.mark.parametrize("runs", [3, 5])
def test_equal_algorithms_get_a_verdict_in_at_most_one_of_twenty_tables(benchmark_script, runs):
    """Of 400 tables, more than 8 % lies one test in 200 beyond 5 %; the draws are the same each time."""
    worlds = [benchmark_script.World(seed_pp=pp, algorithm_item=0.0, samples=4) for pp in (1.0, 3.0)]
    rates = [benchmark_script.verdicts(world, 0.0, runs, 60, 400) for world in worlds]
    assert max(rate["any"] for rate in rates) <= 0.08, rates
    assert max(rate["supported"] for rate in rates) <= 0.03, "all three of them"


def test_a_planted_difference_is_found(benchmark_script):
    """So that the test above does not pass because there never is a verdict."""
    world = benchmark_script.World(seed_pp=1.0, samples=4)
    found = benchmark_script.verdicts(world, 0.1, 5, 200, 100)
    assert found["supported"] > 0.9 and found["refuted"] == 0
