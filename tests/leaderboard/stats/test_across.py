import math

import numpy as np
import pytest
from scipy import stats

from leaderboard.stats import (
    Estimate,
    crossed,
    iqm,
    macro_gain,
    optimality_gap,
    over_items,
    over_seeds,
    performance_profile,
    probability_of_improvement,
    profile_band,
    stratified_bootstrap,
)

RNG = np.random.default_rng(3)


def test_macro_gain_of_one_task_is_the_task():
    task = crossed(RNG.random((3, 20)))
    found = macro_gain([task])
    assert (found.mean, found.se, found.df, found.p) == pytest.approx((task.mean, task.se, task.df, task.p))
    assert found == task


def test_macro_gain_adds_independent_errors():
    tasks = [crossed(RNG.normal(size=(5, n)) + RNG.normal(size=n)) for n in (30, 60, 90)]
    found = macro_gain(tasks)
    assert found.mean == pytest.approx(np.mean([task.mean for task in tasks]))
    assert found.se == pytest.approx(math.sqrt(sum(task.se**2 for task in tasks)) / 3)
    seeds = np.array([task.seed_part.variance for task in tasks]) / 9
    assert found.seed_part.variance == pytest.approx(seeds.sum())
    assert found.seed_part.df == pytest.approx(seeds.sum() ** 2 / (seeds**2 / 4).sum())
    assert (found.seeds, found.items) == (5, 180)
    again = macro_gain(tasks[::-1])
    assert (again.mean, again.half_width()) == pytest.approx((found.mean, found.half_width()))


def test_macro_gain_of_seeds_alone_is_welchs_t():
    a, b = RNG.normal(0.4, 0.1, 4), RNG.normal(0.2, 0.3, 6)
    found, oracle = macro_gain([over_seeds(2 * a), over_seeds(-2 * b)]), stats.ttest_ind(a, b, equal_var=False)
    assert (found.df, found.p) == pytest.approx((oracle.df, oracle.pvalue))
    assert found.seeds == 4 and found.items is None


def test_macro_gain_knows_what_it_does_not_know():
    good, single = over_seeds([0.1, 0.2, 0.3]), over_items(RNG.random(20))
    assert macro_gain([good, single]).p is None and macro_gain([good, single]).seeds == 1
    assert macro_gain([good, over_seeds([0.1])]).se is None
    assert macro_gain([good, over_seeds([0.1])]).half_width() is None
    still, copied = over_seeds([0.0, 0.0, 0.0]), over_seeds([0.2, 0.2, 0.2])
    assert macro_gain([good, still]).p is not None  # a task that never moves cannot make a star
    assert macro_gain([good, copied]).p is None
    assert macro_gain([still, still]).p is None
    with pytest.raises(ValueError, match="at least one task"):
        macro_gain([])


def test_macro_gain_takes_an_estimate_made_by_hand():
    found = macro_gain([Estimate(0.1, 0.02, 4.0, 5, None), Estimate(0.3, 0.02, 4.0, 5, None)])
    assert found.se == pytest.approx(0.02 / math.sqrt(2))
    assert found.df == pytest.approx(8)


def test_probability_of_improvement_is_mann_whitneys():
    x, y = RNG.integers(0, 5, (6, 3)), RNG.integers(0, 5, (4, 3))  # with ties
    oracle = np.mean([stats.mannwhitneyu(x[:, m], y[:, m]).statistic / 24 for m in range(3)])
    assert probability_of_improvement(x, y) == pytest.approx(oracle)
    assert probability_of_improvement(y, x) == pytest.approx(1 - oracle)
    assert probability_of_improvement(x, x) == pytest.approx(0.5)
    assert probability_of_improvement(x + 9, y) == 1
    with pytest.raises(ValueError, match=r"same M tasks, not \(6, 3\) and \(4, 2\)"):
        probability_of_improvement(x, y[:, :2])


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (3, 5), (10, 2), (7, 7)])
def test_iqm_is_scipys_trimmed_mean(shape):
    scores = RNG.random(shape)
    assert iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))


def test_optimality_gap_and_profile():
    scores = np.array([[0.2, 1.4], [0.6, 0.6]])
    assert optimality_gap(scores) == pytest.approx(1 - (0.2 + 1 + 0.6 + 0.6) / 4)
    assert optimality_gap(scores, gamma=0.5) == pytest.approx(0.5 - (0.2 + 3 * 0.5) / 4)
    assert performance_profile(scores, [0, 0.2, 0.5, 0.6, 2]).tolist() == [1, 0.75, 0.75, 0.25, 0]


def test_the_band_of_a_profile_by_hand():
    half = [[0.2, 0.2], [0.6, 0.6]]  # at τ = 0.4 resampled counts above are Binomial(4, ½): 1, 4, 6, 4, 1 of 16
    for confidence, ends in {0.95: (0, 1), 0.88: (0, 1), 0.8: (0.25, 0.75), 0.3: (0.5, 0.5)}.items():
        low, high = profile_band(half, [0.4], confidence)
        assert (low.tolist(), high.tolist()) == ([ends[0]], [ends[1]]), confidence
    # A task of which every run is above adds no spread: ½ + Binomial(2, ½)/4.
    assert [end.tolist() for end in profile_band([[0.9, 0.2], [0.9, 0.6]], [0.0, 0.2, 0.9])] == [
        [1.0, 0.5, 0.0],
        [1.0, 1.0, 0.0],
    ]


@pytest.mark.parametrize("shape", [(4, 2), (10, 5)])
def test_the_band_of_a_profile_is_that_of_the_bootstrap(shape):
    scores = np.round(RNG.normal(size=shape) + np.linspace(0, 2, shape[1]), 1)  # with ties
    taus = np.quantile(scores, [0.1, 0.3, 0.5, 0.7, 0.9])
    found = np.array(profile_band(scores, taus))
    # To the bootstrap's own error: the ends lie where its law is cut a little to either side of 2.5 %.
    wide, narrow = (np.array(profile_band(scores, taus, confidence)) for confidence in (0.965, 0.935))
    assert ((wide[0] <= found[0]) & (found[0] <= narrow[0]) & (narrow[1] <= found[1]) & (found[1] <= wide[1])).all()
    for n, tau in enumerate(taus):
        low, high = stratified_bootstrap(
            lambda drawn, tau=tau: float((drawn > tau).mean()), scores, content=str(shape), draws=4000
        )
        assert wide[0, n] - 1e-9 <= low <= narrow[0, n] + 1e-9 and narrow[1, n] - 1e-9 <= high <= wide[1, n] + 1e-9


def test_the_band_holds_the_profile_and_turns_over_with_it():
    scores = np.round(RNG.random((5, 4)), 1)
    taus = np.linspace(0, 1, 23)
    (low, high), share = profile_band(scores, taus), performance_profile(scores, taus)
    assert (low <= share).all() and (share <= high).all() and (low < high).any()
    under = profile_band(-scores, -np.nextafter(taus, 2))  # −s > −τ: s < τ, here s ≤ τ
    assert np.allclose(1 - np.array(under)[::-1], [low, high])


def test_bootstrap_resamples_runs_within_their_task():
    # Runs of a task are equal: whatever is resampled, only a mixture of tasks would move the mean.
    scores = np.tile([0.1, 0.5, 0.9], (4, 1))
    assert stratified_bootstrap(np.mean, scores, content="", draws=50) == pytest.approx((0.5, 0.5))
    # Tasks are resampled independently: runs that sum to a constant in every row do not in a draw.
    low, high = stratified_bootstrap(np.mean, [[0.0, 1.0], [1.0, 0.0]], content="", draws=400)
    assert low == pytest.approx(0) and high == pytest.approx(1)


def test_bootstrap_takes_several_matrices():
    x, y = RNG.normal(1, 1, (8, 2)), RNG.normal(0, 1, (5, 2))
    low, high = stratified_bootstrap(probability_of_improvement, x, y, content="x", draws=500)
    assert 0 <= low < probability_of_improvement(x, y) < high <= 1


def test_bootstrap_of_a_mean_has_its_normal_width():
    x = RNG.normal(size=(200, 2))
    low, high = stratified_bootstrap(np.mean, x, content="x", draws=4000)
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt((x.var(0) / 200).sum()) / 2, rel=0.05)


def test_bootstrap_is_seeded_by_content():
    x, found = RNG.random((4, 3)), []
    for seed in (0, 1):
        np.random.seed(seed)
        found.append(stratified_bootstrap(iqm, x, content="table", draws=200))
    assert found[0] == found[1]
    assert stratified_bootstrap(iqm, x, content="another", draws=200) != found[0]


BAD = {
    r"scores must have the shape \(R, M\)": lambda: iqm([]),
    r"scores must be finite; 1 of 2": lambda: optimality_gap([[0.1, math.nan]]),
    r"taus must have the shape \(T,\)": lambda: performance_profile([[0.1]], []),
    r"taus must be finite": lambda: profile_band([[0.1]], [math.inf]),
    "not 0 and 5": lambda: stratified_bootstrap(np.mean, content="", draws=5),
    "not 1 and 0": lambda: stratified_bootstrap(np.mean, [[1.0]], content="", draws=0),
    "confidence must lie": lambda: stratified_bootstrap(np.mean, [[1.0]], content="", confidence=1.0),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
