"""Head to head: over items, over seeds and items, and exact tests of two checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from leaderboard.records import LeaderboardError
from leaderboard.stats import crossed, over_items, sign_flip
from leaderboard.verdicts import Player
from leaderboard.winrates import against

from .conftest import judged

GRPO = {seed: Player(f"grpo-{seed}", "g", "grpo", None, seed) for seed in range(5)}


def drawn(seed: int, n: int = 60, p: float = 0.6, opponent: Player | None = None, **changes):
    rng = np.random.default_rng(seed)
    scores = {f"{i:03d}": tuple(map(float, rng.random(2) < p)) for i in range(n)}
    return judged(scores, seed=seed, opponent=opponent or GRPO[seed], **changes)


def test_one_pair_of_checkpoints_by_hand():
    # 3 wins, a tie, a loss: mean .7, sd .4472; 2·P(X ≤ 1), X ~ B(4, ½) = 10/16.
    scores = {"a": (1.0, 1.0), "b": (1.0, 1.0), "c": (1.0, 0.5), "d": (1.0, 0.0), "e": (0.0, 0.25)}
    found = against.head_to_head([judged(scores)])
    shares = [1, 1, 0.75, 0.5, 0.125]
    assert (found.wins, found.ties, found.losses) == (3, 1, 1)
    assert found.win_rate == pytest.approx(np.mean(shares))
    assert found.over_half.se == pytest.approx(np.std(shares, ddof=1) / 5**0.5)
    assert found.low == pytest.approx(found.win_rate - found.over_half.half_width())
    assert found.over_half.p is None  # of one seed nothing is said about algorithms
    assert found.p_signs == pytest.approx(10 / 16)
    assert found.p_items == sign_flip(np.array(shares) - 0.5, "x")


def test_several_seeds_have_the_error_of_seeds_and_items():
    found = against.head_to_head([drawn(seed) for seed in (2, 0, 1)])
    matrix = np.array([against.shares(drawn(seed))[1] for seed in range(3)])
    assert found.over_half == crossed(matrix - 0.5)
    assert found.by_seed == {seed: pytest.approx(matrix[seed].mean()) for seed in range(3)}
    assert found.over_half.p is not None and found.over_half.items == 60


def test_swapping_the_two_gives_the_complement():
    mine = [drawn(seed) for seed in range(3)]
    theirs = [
        judged({p.id: tuple(1 - g.score for g in one.by_pair[p.id]) for p in one.pairs}, seed=n, opponent=GRPO[n])
        for n, one in enumerate(mine)
    ]
    found, mirrored = against.head_to_head(mine, "x"), against.head_to_head(theirs, "x")
    assert mirrored.win_rate == pytest.approx(1 - found.win_rate)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low))
    assert (mirrored.wins, mirrored.losses) == (found.losses, found.wins)
    for p in ("p_items", "p_signs"):
        assert getattr(mirrored, p) == pytest.approx(getattr(found, p), rel=0.1)
    assert mirrored.over_half.p == pytest.approx(found.over_half.p)


def test_pairs_without_a_verdict_in_every_seed_are_left_out():
    one = judged({"a": (1.0,), "b": (0.0,), "c": ("failed",)}, seed=0, opponent=GRPO[0])
    two = judged({"a": (1.0,), "b": ("invalid",), "c": (1.0,)}, seed=1, opponent=GRPO[1])
    found = against.by_seed([one, two])
    assert found.items == ("a",) and found.values.tolist() == [[1.0], [1.0]]
    with pytest.raises(LeaderboardError, match="no pair has a verdict in every seed"):
        against.by_seed([judged({"a": ("failed",)})])


def test_seeds_must_fit():
    with pytest.raises(LeaderboardError, match="seeds \\[0, 0\\]; expected at least one, and each once"):
        against.head_to_head([drawn(0), drawn(0)])
    with pytest.raises(LeaderboardError, match="gift-1 against grpo-0: seed 1 against seed 0"):
        against.head_to_head([drawn(0), drawn(1, opponent=GRPO[0])])
    assert against.head_to_head([drawn(1, opponent=GRPO[0])]).win_rate  # one pair of checkpoints may be any
    # A fixed opponent has no seed to pair with.
    assert against.head_to_head([drawn(n, opponent=Player("base")) for n in range(2)]).over_half.seeds == 2


def test_two_rows_against_one_baseline_are_paired_by_item():
    base = np.random.default_rng(9).random(200)
    better = {str(i): (float(min(1, x + 0.05)),) for i, x in enumerate(base)}
    worse = {str(i): (float(x),) for i, x in enumerate(base) if i}
    one, other = (against.by_seed([judged(scores, candidate=name)]) for name, scores in (("x", better), ("y", worse)))
    found = against.less(one, other)
    assert len(found.items) == 199 and found.values.mean() == pytest.approx(0.05, abs=0.003)
    assert found.estimate.se < 0.2 * one.estimate.se
    assert against.less(one, against.by_seed([judged({"z": (1.0,)})])) is None


def test_clusters_flip_together():
    scores = {str(n): (1.0,) if n < 8 else (0.0,) for n in range(10)}
    alone = against.head_to_head([judged(scores)])
    whole = against.head_to_head([judged(scores, cluster="all")])
    assert alone.p_items < 0.2 and whole.p_items == 1.0
    assert whole.over_half.se is None and over_items([1.0, 0.0]).se is not None


@pytest.mark.slow
def test_equal_algorithms_are_told_apart_in_five_of_a_hundred():
    rng, runs, found = np.random.default_rng(0), 400, 0
    for _ in range(runs):
        item, seed = rng.normal(0, 0.2, 80), rng.normal(0, 0.05, (3, 1))
        matrix = np.clip(0.5 + item + seed + rng.normal(0, 0.2, (3, 80)), 0, 1)
        rows = [
            judged({str(i): (x,) for i, x in enumerate(values)}, seed=n, opponent=GRPO[n])
            for n, values in enumerate(matrix)
        ]
        found += against.head_to_head(rows).over_half.p < 0.05
    assert found / runs < 0.08
