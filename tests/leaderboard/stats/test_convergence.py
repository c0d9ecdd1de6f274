import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.stats import (
    algoperf_scores,
    nauc,
    over_seeds,
    peak_drop,
    reference_target,
    restricted_mean,
    roughness,
    smoothed,
    speedup,
    success,
    time_to_target,
    wilson,
)

INF = math.inf


def test_smoothed_by_hand():
    assert smoothed([0, 3, 0, 6]) == pytest.approx([0, 1, 3, 6])
    for short in ([0.4], [0.4, 0.1]):
        assert smoothed(short) == pytest.approx(short)


@given(st.integers(1, 30), st.floats(-2, 2), st.floats(-2, 2))
def test_a_straight_line_stays_one(n, slope, start):
    line = start + slope * np.arange(n)
    assert smoothed(line) == pytest.approx(line)


@given(st.integers(3, 30), st.floats(-2, 2), st.floats(-2, 2))
def test_a_straight_line_is_not_rough(n, slope, start):
    assert roughness(start + slope * np.arange(n)) == pytest.approx(0, abs=1e-9)


def test_roughness_by_hand():
    assert roughness([0, 3, 0, 6]) == pytest.approx(math.sqrt((2**2 + 3**2) / 2))
    with pytest.raises(ValueError, match="at least 3"):
        roughness([0.1, 0.2])


def test_smoothing_leaves_its_input_alone():
    y = np.array([0.0, 1.0, 0.0])
    smoothed(y)
    assert y.tolist() == [0, 1, 0]


def test_time_to_target_is_exact_on_a_line():
    x = np.array([0, 10, 20, 40, 80.0])
    assert time_to_target(x[[0, 1, 2]], [0, 0.1, 0.2], 0.05) == pytest.approx(5)
    assert time_to_target(np.arange(0, 101, 10), np.linspace(0, 1, 11), 0.55) == pytest.approx(55)


def test_one_evaluation_above_is_luck():
    x = np.arange(8) * 10
    #                 smoothed: 0, .3, .3, .3, .2, .5, .8, .9
    y = [0.0, 0.0, 0.9, 0.0, 0.0, 0.6, 0.9, 0.9]
    assert smoothed(y) == pytest.approx([0, 0.3, 0.3, 0.3, 0.2, 0.5, 0.8, 0.9])
    assert time_to_target(x, y, 0.6) == pytest.approx(50 + 10 * 0.1 / 0.3)
    assert time_to_target(x, y, 0.85) == INF  # at the last evaluation only
    # One smoothed evaluation above, then below again: not there yet.
    peak = [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    assert smoothed(peak)[1:4] == pytest.approx([0.5, 2 / 3, 0.5])
    assert time_to_target(x[:6], peak, 0.6) == INF
    assert time_to_target(x[:6], peak, 0.4) == pytest.approx(8)


def test_the_start_is_there_already():
    assert time_to_target([5, 10], [0.8, 0.9], 0.5) == 5
    assert time_to_target([5], [0.8], 0.5) == INF  # one evaluation sustains nothing
    assert time_to_target([0, 10, 20], [0.5, 0.5, 0.5], 0.5) == 0


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.floats(0, 1), st.floats(0.1, 100), st.floats(0, 50))
def test_time_follows_the_axis(y, target, scale, offset):
    x = np.arange(float(len(y)))
    time = time_to_target(x, y, target)
    assert time_to_target(scale * x + offset, y, target) == pytest.approx(scale * time + offset)
    assert time == INF or x[0] <= time <= x[-2]
    assert time_to_target(x, y, min(target, 0.5 * target)) <= time


def test_restricted_mean_and_success():
    times = [100, 250, INF]
    found = restricted_mean(times, 200)
    assert found == over_seeds([100, 200, 200])
    reached = success(times, 200)
    assert (reached.successes, reached.n) == (1, 3)
    assert (reached.low, reached.high) == wilson(1, 3)
    assert (success(times).successes, success(times).n) == (2, 3)


def test_speedup_is_a_paired_log_ratio():
    reference, times = np.array([200, 220, 260.0]), np.array([100, 120, 130.0])
    found = speedup(reference, times, 400)
    plain = over_seeds(np.log(reference / times))
    assert (found.mean, found.se, found.df, found.p) == pytest.approx((plain.mean, plain.se, 2, plain.p))
    assert math.exp(found.mean) == pytest.approx(np.prod(reference / times) ** (1 / 3))
    back = speedup(times, reference, 400)
    assert (back.mean, back.se) == pytest.approx((-found.mean, found.se))
    scaled = speedup(7 * reference, 7 * times, 2800)
    assert (scaled.mean, scaled.se) == pytest.approx((found.mean, found.se))


def test_speedup_with_failures():
    assert speedup([200, INF], [100, 100], 300).mean == pytest.approx((math.log(2) + math.log(3)) / 2)
    assert speedup([200, INF], [100, INF], 300).mean == pytest.approx(math.log(2) / 2)
    assert speedup([200, INF, INF], [100, 100, 100], 300) is None
    assert speedup([200, 100], [400, 400], 300) is None  # later than the horizon is not reached
    assert speedup([0, 100], [50, 50], 300) is None
    assert speedup([200], [100], 300).p is None


def test_nauc_by_hand():
    x = [0, 10, 20]
    assert nauc(x, [0.2, 0.6, 0.6], 0.4, 20) == pytest.approx(0.75)
    assert nauc(x, [0.2, 0.2, 0.2], 0.4, 20) == 0
    assert nauc(x, [0.2, 0.6, 0.2], 0.4, 15) == pytest.approx((5 + 3.75) / 15)
    assert nauc([10, 20, 30], [0.2, 0.6, 0.6], 0.4, 30) == pytest.approx(0.75)
    # A straight way to the target gives 1/2, however often it is looked at.
    for n in (3, 7, 50):
        assert nauc(np.linspace(0, 9, n), np.linspace(0.1, 0.5, n), 0.4, 9) == pytest.approx(0.5)


def test_peak_drop():
    assert peak_drop([0.1, 0.5, 0.6, 0.4, 0.2]) == pytest.approx(0.5 - 0.2)
    assert peak_drop([0.1, 0.2, 0.3]) == 0


@pytest.mark.parametrize("seed", range(5))
def test_algoperf_score_is_the_area_under_the_profile(seed):
    rng = np.random.default_rng(seed)
    times = rng.uniform(1, 6, (4, 3))
    times[rng.random((4, 3)) < 0.2] = INF
    times[:, 0] = INF if seed == 0 else times[:, 0]
    taus = 1 + 3 * (np.arange(60_000) + 0.5) / 60_000
    with np.errstate(invalid="ignore"):
        ratio = times / times.min(0)
    area = np.mean([[np.mean(row <= tau) for tau in taus[::30]] for row in np.nan_to_num(ratio, nan=INF)], axis=1)
    assert algoperf_scores(times) == pytest.approx(area, abs=1e-3)


def test_algoperf_score_by_hand():
    assert algoperf_scores([[1, 2], [2, 2], [4, INF]]) == pytest.approx([1, 5 / 6, 0])
    assert algoperf_scores([[INF], [INF]]) == pytest.approx([0, 0])
    assert algoperf_scores([[0.0], [5.0], [0.0]]) == pytest.approx([1, 0, 1])
    assert algoperf_scores([[3.0, 30.0]]) == pytest.approx([1])


def test_reference_target():
    assert reference_target([0.2, 0.3], [0.5, 0.9, 0.6]) == pytest.approx(0.25 + 0.9 * 0.35)
    assert reference_target([0.2], [0.6], fraction=1) == pytest.approx(0.6)


BAD = {
    "no empty axis": lambda: smoothed([]),
    "x must rise strictly, not from 2.0 to 1.0": lambda: time_to_target([0, 2, 1], [0, 0, 0], 0.5),
    r"x and y must have one shape, not \(2,\), \(3,\)": lambda: time_to_target([0, 1], [0, 0, 0], 0.5),
    "the target must be finite, not nan": lambda: time_to_target([0, 1], [0, 0], math.nan),
    "y must be finite; 1 of 2": lambda: time_to_target([0, 1], [0, math.nan], 0.5),
    "finite or .inf; 1 of 1": lambda: success([math.nan]),
    "times must not be negative, not -1": lambda: restricted_mean([-1, 2], 3),
    "horizon must be positive and finite, not inf": lambda: restricted_mean([1, 2], INF),
    "paired by seed": lambda: speedup([1, 2], [1, 2, 3], 5),
    "target_gain .* must be positive, not 0": lambda: nauc([0, 1], [0, 1], 0, 1),
    "above 0.0 up to 1.0, not 2": lambda: nauc([0, 1], [0, 1], 0.5, 2),
    r"\(A, M\)": lambda: algoperf_scores([1.0]),
    "finals": lambda: reference_target([0.2], []),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
