import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from leaderboard.stats import (
    Estimate,
    Part,
    cluster_means,
    crossed,
    half_widths,
    minimum_detectable,
    of_shares,
    over_items,
    over_seeds,
    sample_size,
    variances,
    wilson,
)

RNG = np.random.default_rng(7)
numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=12)


def test_over_seeds_is_students():
    values = RNG.normal(0.3, 0.2, 5)
    found, oracle = over_seeds(values), DescrStatsW(values)
    assert (found.mean, found.se) == pytest.approx((oracle.mean, oracle.std_mean))
    assert (found.df, found.seeds, found.items) == (4, 5, None)
    assert (found.low, found.high) == pytest.approx(oracle.tconfint_mean())
    assert found.p == pytest.approx(oracle.ttest_mean()[1])
    assert found.half_width(0.8) == pytest.approx(np.ptp(oracle.tconfint_mean(alpha=0.2)) / 2)


def test_printed_quantiles():
    # Two-sided 95 %: 12.7062 for 1 degree of freedom, 4.3027 for 2, 2.7764 for 4.
    assert over_seeds([1, 3]).half_width() == pytest.approx(12.7062, rel=1e-5)
    assert over_seeds([0.5, 0.6, 0.7]).half_width() == pytest.approx(4.30265 * 0.1 / math.sqrt(3), rel=1e-5)
    assert over_seeds([1, 2, 3, 4, 5]).half_width() == pytest.approx(2.77645 * math.sqrt(0.5), rel=1e-5)


def test_paired_t_is_over_seeds_of_the_differences():
    a, b = RNG.normal(0.5, 0.1, 6), RNG.normal(0.4, 0.1, 6)
    assert over_seeds(a - b).p == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_over_items_is_millers_and_never_has_a_p_value():
    values = RNG.random(200)
    found = over_items(values)
    assert found.se == pytest.approx(values.std(ddof=1) / math.sqrt(200))
    assert (found.df, found.seeds, found.items, found.p) == (199, 1, 200, None)
    assert found.half_width() == pytest.approx(stats.t.ppf(0.975, 199) * found.se)


def test_clusters_are_statsmodels_clusters():
    values, labels = RNG.random(60), RNG.integers(0, 12, 60)
    values += 0.3 * labels
    oracle = sm.OLS(values, np.ones(60)).fit(
        cov_type="cluster", cov_kwds={"groups": labels, "use_correction": False, "df_correction": False}
    )
    clusters = len(set(labels))
    found = over_items(values, [f"q{label}" for label in labels])
    assert found.se == pytest.approx(oracle.bse[0] * math.sqrt(clusters / (clusters - 1)))
    assert found.mean == pytest.approx(values.mean()) and found.items == clusters and found.df == clusters - 1


def test_clusters_of_one_size_are_their_means():
    values = RNG.random((3, 12))
    found = cluster_means(values, np.repeat([2, 0, 1], 4))
    assert found == pytest.approx(values.reshape(3, 3, 4).mean(-1)[:, [1, 2, 0]])
    assert cluster_means(values, np.arange(12)) == pytest.approx(values)


def anova(values):
    """Mean squares by their definition, term by term."""
    runs, items = values.shape
    row, column, mean = values.mean(1, keepdims=True), values.mean(0, keepdims=True), values.mean()
    return (
        items * ((row - mean) ** 2).sum() / (runs - 1),
        runs * ((column - mean) ** 2).sum() / (items - 1),
        ((values - row - column + mean) ** 2).sum() / ((runs - 1) * (items - 1)),
    )


def test_crossed_by_its_definition():
    values = RNG.normal(size=(4, 30)) + RNG.normal(size=(4, 1)) + 2 * RNG.normal(size=(1, 30))
    seed, item, residual = anova(values)
    found = crossed(values)
    expected = seed / 120, (item - residual) / 120
    assert (found.seed_part, found.item_part) == (
        Part(pytest.approx(expected[0]), 3),
        Part(pytest.approx(expected[1]), 29),
    )
    assert found.se == pytest.approx(math.sqrt(sum(expected)))
    assert found.df == pytest.approx(sum(expected) ** 2 / (expected[0] ** 2 / 3 + expected[1] ** 2 / 29))
    half = math.sqrt(stats.t.ppf(0.975, 3) ** 2 * expected[0] + stats.t.ppf(0.975, 29) ** 2 * expected[1])
    assert found.half_width() == pytest.approx(half)
    assert (found.seeds, found.items) == (4, 30)
    # The three components of evaluation by Searle give the same variance.
    components = (seed - residual) / 30 / 4 + (item - residual) / 4 / 30 + residual / 120
    assert found.se**2 == pytest.approx(components)


def test_no_item_effect_is_students_t_over_seeds():
    """Where items add less than the interaction, the negative component is 0 and the interval is that of the means."""
    values = RNG.normal(size=(5, 1)) + RNG.normal(size=(5, 40))
    values -= values.mean(0) - values.mean()  # every item has the same mean
    found, plain = crossed(values), over_seeds(values.mean(1))
    assert found.item_part.variance == 0
    assert (found.half_width(), found.p) == pytest.approx((plain.half_width(), plain.p))


def test_no_seed_effect_is_students_t_over_items():
    row = RNG.normal(1, 1, 50)
    values = np.stack([row, row, row])
    found, plain = crossed(values), over_items(row)
    assert found.half_width() == pytest.approx(plain.half_width())
    assert found.p is None  # three equal seeds say nothing of a fourth


def test_one_seed_and_one_item():
    row = RNG.random(40)
    assert crossed(row[None]) == over_items(row)
    column = RNG.random(5)
    found, plain = crossed(column[:, None]), over_seeds(column)
    assert (found.mean, found.half_width(), found.p) == (plain.mean, plain.half_width(), plain.p)
    lone = crossed([[0.25]])
    assert (lone.mean, lone.se, lone.df, lone.half_width(), lone.low, lone.p, lone.mde()) == (0.25, *[None] * 6)


def test_two_blocks_are_a_sum():
    probe, heldout = RNG.random((3, 50)), RNG.random((3, 80))
    gap = crossed(probe, -heldout)
    assert gap.mean == pytest.approx(probe.mean() - heldout.mean())
    assert gap.seed_part.variance == pytest.approx((probe.mean(1) - heldout.mean(1)).var(ddof=1) / 3)
    one, two = crossed(probe).item_part, crossed(heldout).item_part
    assert gap.item_part.variance == pytest.approx(one.variance + two.variance)
    assert min(one.df, two.df) <= gap.item_part.df <= one.df + two.df
    assert gap.items == 130
    # Cut at random, a block is the mean of its halves, but for items that the halves do not share.
    halves = crossed(probe[:, :25] / 2, probe[:, 25:] / 2)
    assert halves.mean == pytest.approx(probe.mean())
    assert halves.seed_part.variance == pytest.approx(crossed(probe).seed_part.variance)


def test_blocks_with_clusters():
    values, labels = RNG.random((3, 40)), RNG.integers(0, 10, 40)
    other = RNG.random((3, 7))
    found = crossed(values, other, clusters=[labels, None])
    assert found == crossed(cluster_means(values, labels), other)
    assert found.mean == pytest.approx(values.mean() + other.mean())


@given(st.integers(0, 2**31), st.floats(0.1, 10), st.floats(-5, 5))
def test_invariances(seed, scale, constant):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3, 8)) + rng.normal(size=(3, 1))
    found = crossed(values)
    shuffled = crossed(values[rng.permutation(3)][:, rng.permutation(8)])
    assert (shuffled.mean, shuffled.half_width(), shuffled.p) == pytest.approx(
        (found.mean, found.half_width(), found.p)
    )
    scaled = crossed(scale * values)
    assert (scaled.mean, scaled.half_width(), scaled.p) == pytest.approx(
        (scale * found.mean, scale * found.half_width(), found.p)
    )
    moved = crossed(values + constant)
    assert (moved.mean, moved.half_width()) == pytest.approx((found.mean + constant, found.half_width()))


@given(st.integers(0, 2**31), st.floats(0.001, 0.999))
def test_p_is_the_interval_turned_round(seed, level):
    rng = np.random.default_rng(seed)
    found = crossed(rng.normal(0.3, 1, (3, 20)) + rng.normal(size=20))
    assert (found.p < level) == (found.half_width(1 - level) < abs(found.mean))
    assert found.half_width(1 - found.p) == pytest.approx(abs(found.mean))


def test_p_at_the_ends():
    exact = Estimate(0.0, 0.1, 2.0, 3, None)
    assert exact.p == pytest.approx(1)
    far = Estimate(5.0, 0.01, math.inf, 3, 10, Part(5e-5, 2), Part(5e-5, math.inf))
    t = stats.t.sf(5 / 0.01, 2) * 2
    assert 0 < far.p <= t
    assert Estimate(0.02, 0.01, math.inf, 9, None).p == pytest.approx(2 * stats.norm.sf(2))


@given(numbers)
def test_the_interval_lies_between_those_of_its_extreme_degrees_of_freedom(values):
    values = np.resize(values, (2, len(values))) + np.arange(len(values)) * [[0], [1]]
    found = crossed(values)
    if not found.degenerate:
        t = stats.t.ppf(0.975, [found.seed_part.df, found.item_part.df])
        assert t.min() * found.se * 0.999 <= found.half_width() <= t.max() * found.se * 1.001


def test_agreement_is_no_evidence():
    assert over_seeds([0.3 - 0.1, 0.4 - 0.2]).p is None  # 0.2 twice, one of them not exactly
    assert over_seeds([0.2, 0.2, 0.2]).half_width() == pytest.approx(0, abs=1e-15)
    assert crossed(np.ones((3, 10))).p is None
    # Every item the same within a run, as if copied: the items are one.
    assert crossed(np.repeat([[0.1], [0.2], [0.3]], 10, axis=1)).p is None
    # Seeds of one accuracy on other items: the seeds' means agree.
    assert crossed(np.eye(3)).p is None
    assert over_seeds([0.1, 0.2, 0.3]).p is not None


def test_mde_is_the_noncentral_t():
    for runs in (2, 3, 5, 10):
        found = Estimate(0.0, 1 / math.sqrt(runs), runs - 1, runs, None)
        oracle = TTestPower().solve_power(nobs=runs, alpha=0.05, power=0.8, alternative="two-sided")
        assert found.mde() == pytest.approx(oracle, rel=2e-3)
    normal = Estimate(0.0, 1.0, math.inf, 9, 100)
    assert normal.mde() == pytest.approx(1.959964 + 0.841621, rel=1e-4)
    assert normal.mde(alpha=0.01, power=0.5) == pytest.approx(2.575829, rel=1e-4)


def test_minimum_detectable_is_millers():
    assert round(100 * minimum_detectable(0.32, 1319), 1) == 2.5  # sd 0.32 on GSM8K: 2.5 pp
    effect = minimum_detectable(0.32, 1319, 0.01, 0.9)
    assert sample_size(0.32, effect * (1 + 1e-9), 0.01, 0.9) == 1319
    assert over_items(np.resize([0.32, -0.32], 1319)).mde() == pytest.approx(minimum_detectable(0.32, 1319), rel=5e-3)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (1, 30), (7, 8), (660, 1319)])
def test_wilson(k, n):
    assert wilson(k, n) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)
    assert wilson(k, n, 0.5) == pytest.approx(proportion_confint(k, n, alpha=0.5, method="wilson"), abs=1e-12)


def test_variances_take_many_at_once():
    values = RNG.normal(size=(6, 3, 20))
    mean, seed, item = variances(values)
    for k, one in enumerate(map(crossed, values)):
        assert (mean[k], seed[k], item[k]) == pytest.approx((one.mean, one.seed_part.variance, one.item_part.variance))
        assert half_widths([(seed, 2), (item, 19)])[k] == pytest.approx(one.half_width())


def test_pooled_degrees_of_freedom():
    assert Part.pooled([Part(1.0, 4), Part(1.0, 4)]) == Part(2.0, 8)
    assert Part.pooled([Part(1.0, 4), None, Part(0.0, 9)]) == Part(1.0, 4)
    assert Part.pooled([Part(0.0, 4), Part(0.0, 9)]) == Part(0.0, 4)
    assert Part.pooled([None]) is None


BAD = {
    "no empty axis": lambda: over_seeds([]),
    "1 of 2 values are not, the first is nan": lambda: over_seeds([0.5, math.nan]),
    r"\(N,\)": lambda: over_items([[1.0]]),
    r"shape \(R, N\)": lambda: crossed([1.0, 2.0]),
    "at least one block": lambda: crossed(),
    r"same R seeds, not \(2, 3\), \(3, 3\)": lambda: crossed(np.eye(3)[:2], np.eye(3)),
    "one label for each": lambda: over_items([1.0, 2.0], [1]),
    "one array .or None. a block: 2, not 1": lambda: crossed(np.eye(3), np.eye(3), clusters=[None]),
    "confidence must lie strictly between 0 and 1, not 95": lambda: over_seeds([1, 2]).half_width(95),
    "alpha": lambda: over_seeds([1, 2]).mde(alpha=0),
    "not 3 of 2": lambda: wilson(3, 2),
    "sd must be finite": lambda: minimum_detectable(-1, 5),
    "effect must be positive": lambda: sample_size(0.3, 0),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()


def test_importing_loads_no_scipy():
    code = "import leaderboard.stats, sys; print('scipy' in sys.modules, 'pandas' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == (
        "False False\n"
    )


@pytest.mark.parametrize("shift", [0.03, 1.0, 10.0, 1e4])
def test_p_is_the_level_whose_interval_just_touches_zero_however_small(shift):
    rng = np.random.default_rng(3)
    for runs, items, spread in itertools.product((2, 3, 5, 10), (2, 30, 300), (0.01, 1.0)):
        values = rng.normal(size=(runs, 1)) * spread + rng.normal(size=(1, items)) + rng.normal(size=(runs, items))
        found = crossed(values + shift)
        if 1e-14 < found.p < 1:  # closer to 1, a confidence of 1 - p is 1 in floating point
            assert found.half_width(1 - found.p) == pytest.approx(abs(found.mean), rel=1e-2 if found.p < 1e-9 else 1e-6)


# --- shares ---


def test_shares_of_single_answers_are_wilsons_with_t():
    """With SE² = p(1 − p)/(N − 1) the effective size is N − 1; for many items z and t agree."""
    values = np.repeat([1.0, 0.0], [37, 963])
    low, high = of_shares(values)
    expected = wilson(37, 1000)
    assert (low, high) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("size", [30, 300])
def test_shares_cover(rate, size):
    rng = np.random.default_rng(0)
    found = [of_shares(values) for values in (rng.random((1500, size)) < rate).astype(float)]
    assert np.mean([low <= rate <= high for low, high in found]) >= 0.93


def test_shares_without_spread_or_with_one_item_pretend_nothing():
    assert of_shares([0.5]) == (0.0, 1.0)
    assert of_shares([1.0, 0.0], ["same", "same"]) == (0.0, 1.0)
    low, high = of_shares([0.5] * 10)
    assert low < 0.25 and high > 0.75
    assert of_shares([0.0] * 10)[0] == 0.0 and of_shares([1.0] * 10)[1] == 1.0


def test_clusters_widen_shares():
    values = np.repeat(np.random.default_rng(1).random(20) < 0.3, 5).astype(float)
    one, other = of_shares(values), of_shares(values, np.repeat(np.arange(20), 5))
    assert other[1] - other[0] > 1.5 * (one[1] - one[0])
