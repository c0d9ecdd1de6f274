import math

import pytest

from leaderboard.stats import Interval, t_interval

# From a printed table of Student's t (two-sided 95 %): 12.7062 for 1 degree of freedom, 4.3027 for 2, 2.7764 for 4.


def test_three_values():
    interval = t_interval([0.5, 0.6, 0.7])  # sd 0.1 with n − 1
    assert interval.mean == pytest.approx(0.6)
    assert interval.half_width == pytest.approx(4.30265 * 0.1 / math.sqrt(3), rel=1e-5)
    assert interval.n == 3


def test_two_and_five_values():
    assert t_interval([1.0, 3.0]).half_width == pytest.approx(12.7062, rel=1e-5)  # sd √2, so sd/√2 = 1
    assert t_interval([1, 2, 3, 4, 5]).half_width == pytest.approx(2.77645 * math.sqrt(0.5), rel=1e-5)


def test_other_confidence():
    assert t_interval([1.0, 3.0], confidence=0.5).half_width == pytest.approx(1.0)  # Cauchy: the quartile is 1
    for confidence in (0.0, 1.0, 95):
        with pytest.raises(ValueError, match="confidence"):
            t_interval([1.0, 2.0], confidence)


def test_one_value_has_no_interval():
    assert t_interval([0.4]) == Interval(0.4, None, 1)
    assert not t_interval([0.4]).above_zero


def test_no_value_and_no_number_are_errors():
    with pytest.raises(ValueError, match="at least one value"):
        t_interval([])
    with pytest.raises(ValueError, match="finite"):
        t_interval([0.5, math.nan])


def test_above_zero():
    assert t_interval([0.10, 0.11, 0.12]).above_zero
    assert not t_interval([-0.10, -0.11, -0.12]).above_zero
    assert not t_interval([-0.1, 0.1, 0.3]).above_zero
    # Both differences are 0.2, one of them not exactly in binary: agreement is no evidence of a small spread.
    assert not t_interval([0.3 - 0.1, 0.4 - 0.2]).above_zero
