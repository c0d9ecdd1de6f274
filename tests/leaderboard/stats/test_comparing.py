import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_oracle
from statsmodels.stats.multitest import multipletests

from leaderboard.stats import generator, holm, mcnemar, ranks, sign_flip

RNG = np.random.default_rng(11)


@settings(max_examples=20)  # statsmodels takes its time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@given(st.lists(st.floats(0, 1) | st.none() | st.just(math.nan), max_size=8))
def test_no_test_is_no_member_of_the_family(p):
    found = holm(p)
    kept = [value for value in p if value is not None and not math.isnan(value)]
    assert [value for value in found if value is not None] == holm(kept)
    assert [k for k, value in enumerate(found) if value is None] == [
        k for k, value in enumerate(p) if value is None or math.isnan(value)
    ]


def test_holm_by_hand():
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06], nan_ok=False)
    assert holm([]) == []
    with pytest.raises(ValueError, match=r"\[0, 1\].* not 1.5"):
        holm([0.2, 1.5])


def test_ranks():
    assert ranks(4, []) == [1, 1, 1, 1]
    assert ranks(4, [(0, 2), (0, 3), (1, 3), (0, 3)]) == [1, 1, 2, 3]  # a pair named twice counts once
    assert ranks(0, []) == []
    for pair in ((0, 0), (0, 3), (-1, 1)):
        with pytest.raises(ValueError, match=r"0 … 2"):
            ranks(3, [pair])


@given(st.permutations(range(5)))
def test_ranks_follow_the_names(order):
    better = [(0, 1), (0, 2), (3, 2)]
    renamed = ranks(5, [(order[a], order[b]) for a, b in better])
    assert [renamed[order[k]] for k in range(5)] == ranks(5, better)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (12, 3), (3, 12), (40, 61)])
def test_mcnemar(b, c):
    assert mcnemar(b, c) == pytest.approx(mcnemar_oracle([[9, b], [c, 4]], exact=True).pvalue)
    if b + c:
        assert mcnemar(b, c) == pytest.approx(stats.binomtest(b, b + c).pvalue)


def test_mcnemar_takes_no_negative_counts():
    with pytest.raises(ValueError, match="-1 and 3"):
        mcnemar(-1, 3)


def test_sign_flip_by_enumeration():
    d = RNG.normal(0.5, 1, 9)
    sums = [abs(np.dot(signs, d)) for signs in itertools.product((-1, 1), repeat=9)]
    assert sign_flip(d, "any") == np.mean(np.array(sums) >= abs(d.sum()) - 1e-12)
    oracle = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(d, "any") == pytest.approx(oracle.pvalue)


def test_sign_flip_never_reaches_five_percent_below_six_seeds():
    assert [sign_flip(np.ones(n), "") for n in (3, 5, 6)] == [2 / 8, 2 / 32, 2 / 64]
    assert 2 / 32 > 0.05 > 2 / 64


def test_sign_flip_of_right_or_wrong_is_mcnemar():
    d = np.repeat([1, -1, 0], [9, 3, 30])
    assert sign_flip(d, "") == pytest.approx(mcnemar(9, 3))
    many = np.repeat([1, -1, 0], [40, 22, 500])
    assert sign_flip(many, "", 20_000) == pytest.approx(mcnemar(40, 22), abs=0.004)


def test_sign_flip_counts_ties_and_nothing():
    assert sign_flip([0.1 + 0.2, -0.3], "") == 1.0  # a sum of 0, but for rounding
    assert sign_flip([0.0, 0.0], "") == 1.0
    assert sign_flip([0.1, 0.2, 0.3] * 2, "") == 2 / 64


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_sums_equal_on_paper_are_ties(tenths):
    assert sign_flip([0.1 * value for value in tenths], "") == sign_flip(tenths, "")


def test_monte_carlo_agrees_and_is_never_zero(monkeypatch):
    d = RNG.normal(0.4, 1, 15)
    exact = sign_flip(d, "")
    monkeypatch.setattr("leaderboard.stats.comparing.EXACT", 3)
    assert sign_flip(d, "x", 40_000) == pytest.approx(exact, abs=4 * math.sqrt(exact / 40_000))
    assert sign_flip(np.ones(200), "x", 999) == 1 / 1000


def test_the_same_content_gives_the_same_numbers():
    d, found = RNG.normal(0.1, 1, 40), []
    for seed in (0, 1):
        np.random.seed(seed)
        found.append((sign_flip(d, "table", 2000), sign_flip(d, b"table", 2000), *generator("table").random(3)))
    assert found[0] == found[1] and found[0][0] == found[0][1]
    assert sign_flip(d, "another table", 2000) != found[0][0]
    # sha256 and PCG64 as they stand: a change of either would change every table
    assert generator("groupbench").integers(1_000_000) == 978206


@pytest.mark.parametrize("differences", [[], [1.0, math.nan], [[1.0]]])
def test_sign_flip_takes_finite_numbers(differences):
    with pytest.raises(ValueError, match="differences must"):
        sign_flip(differences, "")


def test_sign_flip_needs_a_draw():
    with pytest.raises(ValueError, match="not 0"):
        sign_flip([1.0], "", 0)
