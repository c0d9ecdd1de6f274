"""Games to pairs: by hand, and what must hold for any verdicts."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.verdicts import Judged
from leaderboard.winrates.pairs import read_pairs

from .conftest import judged

GAME = st.one_of(st.sampled_from([0.0, 0.5, 1.0, "invalid", "failed"]), st.floats(0, 1).map(lambda x: round(x, 6)))
PAIR = st.one_of(st.lists(GAME, min_size=2, max_size=2), st.just(["same"]), st.just([]), st.lists(GAME, max_size=1))
VERDICTS = st.lists(PAIR, min_size=1, max_size=12).map(lambda p: {str(n): one for n, one in enumerate(p)})


def test_shares_and_rates_by_hand():
    found = read_pairs(
        judged(
            {
                "both": (1.0, 1.0),
                "tie": (1.0, 0.5),  # ¾
                "split": (1.0, 0.0),  # ½: the first answer won twice
                "half": ("invalid", 0.0),  # the readable game alone
                "same": ("same",),
                "none": ("failed", "invalid"),
            }
        )
    )
    assert found.share.tolist()[:5] == [1.0, 0.75, 0.5, 0.0, 0.5] and np.isnan(found.share[5])
    assert (found.n, found.wins, found.ties, found.losses) == (5, 2, 2, 1)
    assert found.discrete == pytest.approx((2 + 1) / 5)
    # Read in both orders: both, tie, split. The first answer's points: 1, 0; 1, ½; 1, 1.
    assert found.consistency == pytest.approx(1 / 3)
    assert found.first_rate == pytest.approx((0.5 + 0.75 + 1) / 3)
    assert found.tie_rate == pytest.approx(1 / 7)
    assert found.invalid_rate == pytest.approx(2 / 9) and found.failure_rate == pytest.approx(3 / 10)
    assert found.double_wins == 1 and found.games == 7
    # Lost: 1, ¾, ½, 0, ½, 0; won: 1, ¾, ½, ½, ½, 1.
    assert found.pessimistic == pytest.approx(2.75 / 6) and found.optimistic == pytest.approx(4.25 / 6)
    assert found.estimate.mean == pytest.approx(2.75 / 5) and found.estimate.items == 5


def test_probabilities_are_averaged_over_the_orders():
    found = read_pairs(judged({"a": (0.9, 0.6), "b": (0.4, 0.45)}))
    assert found.share.tolist() == pytest.approx([0.75, 0.425])
    assert found.consistency == 1.0


@given(st.floats(0, 1))
def test_a_judge_that_goes_by_the_place_alone_finds_ties(p):
    found = read_pairs(judged({"a": (p, 1 - p)}))
    assert (found.share[0], found.ties) == (0.5, 1)


def test_one_order_shows_no_preference_for_a_place():
    found = read_pairs(judged({"a": (1.0,), "b": (0.0,)}))
    assert found.consistency is None and found.first_rate is None and found.notices == ()
    assert found.failure_rate == 0.0


def test_a_pair_that_was_never_judged_counts_in_the_band():
    found = read_pairs(judged({"a": (1.0, 1.0)}, pairs=["a", "b"]))
    assert (found.pessimistic, found.optimistic, found.failure_rate) == (0.5, 1.0, 0.5)
    assert found.refused == "50.0 % of the games have no verdict; allowed up to 5 %"


def test_clusters_widen_the_interval():
    scores = {str(n): (1.0, 1.0) if n % 4 < 2 else (0.0, 0.0) for n in range(40)}
    apart = judged(scores)
    together = replace(
        apart, pairs=[msgspec.structs.replace(pair, cluster=str(int(pair.id) // 2)) for pair in apart.pairs]
    )
    assert read_pairs(together).estimate.items == 20
    assert read_pairs(together).estimate.se > 1.3 * read_pairs(apart).estimate.se


@pytest.mark.parametrize(
    ("unread", "kind", "refused"),
    [(2, None, False), (3, "warned", False), (5, "warned", False), (6, "warned", True)],
)
def test_the_limits_of_unreadable_replies(unread, kind, refused):
    scores = {str(n): ("invalid" if n < unread else float(n % 2),) for n in range(100)}
    found = read_pairs(judged(scores))
    assert {notice.kind for notice in found.notices} == ({"invalid", "failed"} if kind else set())
    assert (found.refused is not None) == refused == any(notice.refuse for notice in found.notices)


def test_failures_are_not_the_judges_fault_but_leave_holes():
    found = read_pairs(judged({str(n): ("failed" if n < 6 else 1.0,) for n in range(100)}))
    assert found.invalid_rate == 0.0
    assert found.refused == "6.0 % of the games have no verdict; allowed up to 5 %"
    assert read_pairs(judged({"a": ("failed", "failed")})).refused == "no game has a verdict"


def test_a_judge_that_prefers_a_place_is_named():
    always_first = read_pairs(judged({str(n): (1.0, 0.0) for n in range(10)}))
    assert [notice.words for notice in always_first.notices] == [
        "0.0 % of the pairs have the same winner in both orders; expected at least 75 %",
        "100.0 % of the points go to the answer shown first; expected within 10 points of 50 %",
    ]
    assert always_first.refused is None and always_first.estimate.mean == 0.5


def test_flags_are_counted_by_pair():
    assert read_pairs(judged({"a": (1.0,), "b": (0.0,)}, flags=["judge-markers", "empty"])).flags == {
        "empty": 2, "judge-markers": 2,
    }  # fmt: skip


def swapped(one: Judged) -> Judged:
    """The opponent's view of the same games."""
    games = [
        msgspec.structs.replace(
            game, candidate_first=not game.candidate_first, score=None if game.score is None else 1 - game.score
        )
        for game in one.games
    ]
    return replace(one, games=games)


@given(VERDICTS)
def test_the_opponents_view_is_the_mirror(scores):
    mine = read_pairs(judged(scores))
    theirs = read_pairs(swapped(judged(scores)))
    np.testing.assert_allclose(theirs.share, 1 - mine.share, atol=1e-12)
    assert (theirs.wins, theirs.ties, theirs.losses) == (mine.losses, mine.ties, mine.wins)
    assert theirs.pessimistic == pytest.approx(1 - mine.optimistic)
    for rate in ("invalid_rate", "failure_rate", "games"):
        assert getattr(theirs, rate) == getattr(mine, rate)
    if mine.first_rate is not None:
        assert theirs.first_rate == pytest.approx(mine.first_rate)


@given(VERDICTS)
def test_the_band_holds_the_mean_of_all_pairs(scores):
    found = read_pairs(judged(scores))
    filled = np.nan_to_num(found.share, nan=0.5)
    assert found.pessimistic - 1e-9 <= filled.mean() <= found.optimistic + 1e-9
    assert found.wins + found.ties + found.losses == found.n <= len(scores)
