"""AlpacaEval's win rates: by hand, and every published one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.winrates.alpaca import shares_of, win_rate

BENCHMARK = "alpaca_published"


def test_by_hand():
    # 1.5 and 0 are ties, −1 is no verdict; w = 1, .2, .5, .5: mean .55, sd² = (.45² + .35² + 2·.05²)/3 = .11
    found = win_rate(shares_of([2.0, 1.2, 1.5, 0.0, -1.0]))
    assert (found.wins, found.losses, found.ties, found.n) == (1, 1, 2, 4)
    assert found.win_rate == pytest.approx(0.55) and found.discrete == 0.5
    assert found.standard_error == pytest.approx((0.11 / 4) ** 0.5)


def test_what_has_no_win_rate():
    assert win_rate([1.0]).standard_error is None
    for shares in ([], [np.nan], [1.1], [-0.1, 0.5]):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            win_rate(shares)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_opponents_view_is_the_mirror(shares):
    # A share next to ½ may be exactly ½ after the subtraction from 1.
    shares = [round(share, 6) for share in shares]
    mine, theirs = win_rate(shares), win_rate([1 - share for share in shares])
    assert theirs.win_rate == pytest.approx(1 - mine.win_rate)
    assert theirs.discrete == pytest.approx(1 - mine.discrete)
    if mine.standard_error is not None:
        assert theirs.standard_error == pytest.approx(mine.standard_error, abs=1e-12)


def test_every_published_win_rate(benchmark_script, data_folder, side):
    models = benchmark_script.models(data_folder, side)
    assert len(models) == 42
    for model in models:
        found = win_rate(model.rows.share)
        assert round(100 * found.win_rate, 2) == round(100 * model.win_rate, 2), model.name
        assert found.discrete == pytest.approx(model.discrete, abs=1e-12), model.name
