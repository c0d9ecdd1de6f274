"""Arena-Hard's score: by hand, every published one, and intervals that count questions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.records import LeaderboardError
from leaderboard.winrates import arena, style

from .conftest import judged

BENCHMARK = "arena_published"
GAME = st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([1, 3]))


@pytest.fixture(scope="module")
def compared(benchmark_script, data_folder):
    return benchmark_script.compare(data_folder)


def test_every_published_score(compared):
    """34 published rows, of which 4 are the baseline's own 50.00."""
    assert len(compared) == 30
    for one in compared:
        assert round(100 * one.ours.score, 2) == one.published, one.model
        assert one.fitted == pytest.approx(one.ours.score, abs=1e-12)


def test_upstreams_interval_is_met_and_too_narrow(compared):
    for one in compared:
        # 100 draws each: an end of theirs and of ours are off by some .2 SE from the true percentile.
        assert 100 * one.upstream.low == pytest.approx(one.low, abs=1.0)
        assert 100 * one.upstream.high == pytest.approx(one.high, abs=1.0)
    ratios = [one.ours.se / one.upstream.se for one in compared]
    assert min(ratios) > 1.3 and 1.6 < np.mean(ratios) < 1.9


def test_a_much_better_answer_counts_three_times():
    # a: much better, better; b: a tie, invalid; c: identical: (3 + 1 + ½ + ½ + ½)/(3 + 3 + 1 + 2)
    one = judged({"a": (1.0, 0.0), "b": (0.5, "invalid"), "c": ("same",)}, weights={"a": 3}, task="arena_hard")
    found = arena.of_judged(one)
    assert (found.score * found.weight).sum() == pytest.approx(3 + 0.5 + 1) and found.weight.sum() == 9
    assert arena.score(found, "ours", "x").score == pytest.approx(4.5 / 9)
    # v2 drops both games of b.
    assert arena.score(arena.of_judged(one, "upstream-v2"), "upstream-v2", "x").score == pytest.approx(4 / 8)
    assert arena.score(found, "upstream-v0.1", "x").score == pytest.approx(4.5 / 9)


def test_policies_have_their_confidence():
    rng = np.random.default_rng(0)
    found = arena.battles(np.repeat(np.arange(200), 2), rng.integers(0, 2, 400))
    widths = {name: (s := arena.score(found, name, "x")).high - s.low for name in arena.POLICIES}
    assert arena.score(found, "upstream-v2", "x").confidence == 0.90
    assert widths["upstream-v2"] < widths["upstream-v0.1"]
    assert arena.score(found, "ours", "x") == arena.score(found, "ours", "x")
    assert arena.score(found, "ours", "x") != arena.score(found, "ours", "y")


def test_what_cannot_be_scored():
    with pytest.raises(LeaderboardError, match=r"expected one of ours, upstream-v0\.1, upstream-v2"):
        arena.of_name("upstream")
    with pytest.raises(LeaderboardError, match=r"arena_hard: gift-0 against baseline: no game has a verdict"):
        arena.of_judged(judged({"a": ("invalid", "failed")}, task="arena_hard"))
    for parts in (([], []), (["a"], [1.5]), (["a"], [1.0], [0.0])):
        with pytest.raises(ValueError, match=r"scores must lie|need one value"):
            arena.battles(*parts)


@given(st.lists(st.tuples(GAME, GAME), min_size=1, max_size=10))
def test_bradley_terry_on_a_star_is_the_weighted_mean_and_the_mirror_its_complement(questions):
    games = [(name, *one) for name, pair in enumerate(questions) for one in pair]
    names, scores, weights = (list(part) for part in zip(*games, strict=True))
    found = arena.battles(names, scores, weights)
    mean = arena.score(found, "ours", "x").score
    theta = style.bradley_terry(["m"] * len(games), scores, weights)[0]["m"]
    assert 0.5 * (1 + np.tanh(theta / 2)) == pytest.approx(mean, abs=1e-9)
    mirrored = arena.score(arena.battles(names, [1 - s for s in scores], weights), "ours", "x")
    assert mirrored.score == pytest.approx(1 - mean)
    # Linearised values: their mean is the score.
    ids, values = arena.question_values(found)
    assert len(ids) == len(questions) and values.mean() == pytest.approx(mean)


def test_linearised_values_have_the_errors_of_the_bootstrap(compared):
    rng = np.random.default_rng(0)
    names = np.repeat(np.arange(500), 2)
    found = arena.battles(names, rng.integers(0, 3, 1000) / 2, rng.choice([1, 3], 1000))
    _, values = arena.question_values(found)
    assert values.std(ddof=1) / 500**0.5 == pytest.approx(arena.score(found, "ours", "x").se, rel=0.06)


@pytest.mark.slow
def test_the_interval_covers_questions():
    """Two games of one mind, and thrice counted ones: 93 to 97 of 100 intervals hold the truth; upstream's 60 to 85."""
    rng, truth = np.random.default_rng(0), 0.6
    held = {"ours": 0, "upstream-v0.1": 0}
    runs = 300
    for run in range(runs):
        win = np.repeat(rng.random(200) < truth, 2).astype(float)
        found = arena.battles(np.repeat(np.arange(200), 2), win, np.full(400, 3.0))
        for name in held:
            one = arena.score(found, name, str(run))
            held[name] += one.low <= truth <= one.high
    assert 0.92 <= held["ours"] / runs <= 0.98 and held["upstream-v0.1"] / runs < 0.75, held
