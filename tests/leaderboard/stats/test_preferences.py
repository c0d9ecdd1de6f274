"""A reward model's report: rates by hand, coefficients against other programs, a bias that is found out."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from leaderboard.stats.preferences import LN2, calibration, length_bias, preferences, share_right, temperature


def rng(seed=0):
    return np.random.default_rng(seed)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_accuracy_counts_ties_half_and_clusters_once():
    d = np.array([1.0, -1.0, 0.0, 2.0])
    assert share_right(d, [0, 1, 2, 3]).mean == 0.625
    right = np.tile([1.0, -1.0], 50)
    apart, together = share_right(right, np.arange(100)), share_right(right, np.repeat(np.arange(2), 50) + [0] * 100)
    assert apart.mean == together.mean == 0.5
    copied = share_right(np.repeat(right, 4), np.repeat(np.arange(100), 4))
    assert copied.high - copied.low == pytest.approx(apart.high - apart.low, rel=0.01)  # copies are no new data
    pretended = share_right(np.repeat(right, 4), np.arange(400))
    assert pretended.high - pretended.low < 0.6 * (apart.high - apart.low)


def test_the_log_loss_of_nothing_is_ln_2():
    report = preferences([0.0, 0.0, 0.0], [1, 2, 3], [3, 2, 1], ["a", "b", "c"])
    assert report.log_loss.mean == pytest.approx(LN2) and report.accuracy.mean == 0.5
    assert report.length.baseline.mean == 0.5 and report.length.longer.n == report.length.shorter.n == 1


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_is_the_one_that_was_put_in(true):
    """Differences d/T are calibrated, so d needs T."""
    said = rng(1).normal(0, 1.5, 20_000)
    chosen_first = rng(2).uniform(size=said.size) < sigmoid(said)
    d = np.where(chosen_first, said, -said) * true
    found = calibration(d, np.arange(d.size))
    assert found.temperature == pytest.approx(true, rel=0.05)
    other = minimize_scalar(lambda beta: np.logaddexp(0, -beta * d).mean(), bounds=(1e-3, 10), method="bounded")
    assert 1 / found.temperature == pytest.approx(other.x, abs=1e-4)
    assert found.calibrated_loss == pytest.approx(other.fun, abs=1e-7)
    assert (found.ece < 0.01) == (true == 1.0)


def test_temperatures_at_the_ends():
    assert temperature(np.array([1.0, 2.0])) == 0.0 and temperature(np.array([1.0, -2.0])) == math.inf
    assert calibration(np.array([1.0, 2.0]), [0, 1]).calibrated_loss == 0.0
    assert calibration(np.array([1.0, -2.0]), [0, 1]).calibrated_loss == pytest.approx(LN2)


def test_the_calibration_error_by_hand():
    """20 pairs of confidence 0.6, all wrong, and 20 of 0.9, 18 of them right."""
    low, high = math.log(0.6 / 0.4), math.log(0.9 / 0.1)
    d = np.array([-low] * 20 + [high] * 18 + [-high] * 2)
    found = calibration(d, np.arange(40))
    assert [(one.confidence, one.accuracy.mean) for one in found.bins] == [
        (pytest.approx(0.6), 0.0), (pytest.approx(0.9), 0.9)
    ]  # fmt: skip
    assert found.ece == pytest.approx(0.3)
    assert found.bins[1].accuracy.low < 0.9 < found.bins[1].accuracy.high


def labelled(seed, n=3000, by_length=0.0, by_worth=1.5, people=0.5):
    """Differences in length, and of a model that goes by length and by what the labels go by; the chosen first."""
    draw = rng(seed)
    delta, worth = draw.normal(0, 300, n), draw.normal(0, 1, n)
    first = draw.uniform(size=n) < sigmoid(2 * worth + people * delta / 300)
    sign = np.where(first, 1, -1)
    d = sign * (by_worth * worth + by_length * delta / 300 + draw.normal(0, 1, n))
    return d, sign * delta


def test_coefficients_are_those_of_another_program():
    from statsmodels.discrete.discrete_model import Logit

    d, delta = labelled(3, 400, by_length=0.7)
    found = length_bias(d, delta, np.arange(d.size))
    z = delta / math.sqrt(np.mean(delta**2))
    theirs = Logit((d > 0).astype(float), np.stack([z, np.ones_like(z)], 1)).fit(disp=0, cov_type="HC0")
    assert found.given_label.mean == pytest.approx(theirs.params[0], rel=2e-3)
    assert math.log(found.equal_length.mean / (1 - found.equal_length.mean)) == pytest.approx(
        theirs.params[1], rel=2e-3
    )
    half = (found.given_label.high - found.given_label.low) / 2
    assert half == pytest.approx(1.966 * theirs.bse[0], rel=0.01)
    alone = Logit((d > 0).astype(float), z[:, None]).fit(disp=0)
    assert found.model.mean == pytest.approx(alone.params[0], rel=2e-3)


def test_a_length_bias_is_found_out_and_the_lack_of_one_is_not_called_one():
    biased = length_bias(*labelled(4, by_length=1.5, people=0.0), np.arange(3000))
    assert biased.given_label.low > 0.5 and biased.model.low > 0.5
    assert biased.longer.low > biased.shorter.high
    assert biased.labels.low < 0 < biased.labels.high
    found = [length_bias(*labelled(seed, 1000, people=0.0), np.arange(1000)).given_label for seed in range(60)]
    alarms = sum(not one.low <= 0 <= one.high for one in found)
    assert alarms <= 8  # 3 expected


def test_a_model_of_length_alone_gains_nothing():
    _, delta = labelled(5, people=1.0)
    found = length_bias(delta / 100, delta, np.arange(delta.size))
    assert found.gain.mean == 0.0 and found.longer.mean == 1.0 and found.shorter.mean == 0.0
    assert found.labels.low > 0.3 and math.isfinite(found.given_label.mean)
    assert 0.4 < found.equal_length.mean < 0.6


def test_values_that_are_none():
    with pytest.raises(ValueError, match="differences must be finite"):
        preferences([1.0, math.nan], [1, 1], [1, 2], [0, 1])
    with pytest.raises(ValueError, match="no empty axis"):
        preferences([], [], [], [])


def test_one_pair_says_nothing_of_its_error():
    report = preferences([1.0], [3], [1], ["a"])
    assert (report.accuracy.low, report.accuracy.high) == (0.0, 1.0) and report.log_loss.low is None
