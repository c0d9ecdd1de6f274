"""The test keeps its word: at most α of the true losses of δ pass, and at most α of them fail."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from leaderboard.gate.advice import items_for_a_pass
from leaderboard.gate.bounds import bounds, items_needed, restricted_variance
from leaderboard.stats import over_items

BENCHMARK = "gate_errors"

changes = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.0, 0.25, 1.0]), min_size=5, max_size=60)


def discordant(count: int, lost: int, gained: int) -> np.ndarray:
    return np.repeat([-1.0, 1.0, 0.0], [lost, gained, count - lost - gained])


def test_it_is_students_where_every_item_differs():
    """With a spread above what the hypothesis asks for, only half an item is left of the difference."""
    values = np.random.default_rng(0).normal(0.001, 0.9, 400).clip(-1, 1)
    found, plain = bounds(values, 0.02, 0.05), over_items(values)
    half = plain.half_width(0.9)
    assert found.low == pytest.approx(plain.mean - 1 / 800 - half, rel=1e-9)
    assert found.high == pytest.approx(plain.mean + 1 / 800 + half, rel=1e-9)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (3, 0), (0, 4), (5, 9), (10, 10)])
def test_restricted_variance_is_tangos(lost, gained):
    """Against the trinomial likelihood, maximised by another's optimizer under p_gain − p_loss = −δ."""
    count, delta = 120, 0.1

    def minus_log_likelihood(gain: float) -> float:
        loss, rest = gain + delta, 1 - 2 * gain - delta
        terms = ((lost, loss), (gained, gain), (count - lost - gained, rest))
        return -sum(n * math.log(p) for n, p in terms if n)

    least = optimize.minimize_scalar(minus_log_likelihood, bounds=(1e-12, (1 - delta) / 2 - 1e-12), method="bounded",
                                     options={"xatol": 1e-12}).x  # fmt: skip
    expected = 2 * least + delta - delta**2
    assert restricted_variance(discordant(count, lost, gained), -delta) == pytest.approx(expected, rel=1e-4)


def test_agreement_is_no_proof():
    """30 items that agree prove no margin of 6 pp, 1,319 one of 2 pp; sd = 0 never gives an interval of no width."""
    few, many = bounds(np.zeros(30), 0.06, 0.05), bounds(np.zeros(1319), 0.02, 0.05)
    assert few.low < -0.06 and few.high > -0.06
    assert -0.02 < many.low < 0 < many.high
    assert bounds(np.zeros(30), 0.15, 0.05).low > -0.15
    for margin in (0.01, 0.02, 0.03, 0.06, 0.1, 0.2):
        least = items_for_a_pass(0.0, margin, 0.05)
        assert bounds(np.zeros(least), margin, 0.05).low > -margin >= bounds(np.zeros(least - 1), margin, 0.05).low
        assert (1 - margin) ** least < 0.05


def test_the_lattices_bound_is_below():
    """var d ≥ gδ − δ² for multiples of g: what the restricted likelihood gives is never less."""
    rng = np.random.default_rng(3)
    for samples in (1, 4, 32):
        for delta in (0.01, 0.02, 0.06):
            values = rng.integers(-1, 2, size=(200, 80)) * (rng.random((200, 80)) < 0.05) / samples
            found = restricted_variance(values, -delta)
            assert (found[values.mean(-1) > -delta] >= delta / samples - delta**2 - 1e-12).all()


def exact(count: int, delta: float, gain: float, alpha: float = 0.05) -> tuple[float, float]:
    """P(pass) and P(fail) for right-or-wrong answers of which gain + δ are lost and `gain` gained: no simulation."""
    seen = np.arange(count + 1)
    lost = seen[stats.binom.pmf(seen, count, gain + delta) > 1e-7]
    gained = seen[stats.binom.pmf(seen, count, gain) > 1e-7]
    cases = [(x, y) for x in lost for y in gained if x + y <= count]
    rest = 1 - 2 * gain - delta
    chances = stats.multinomial.pmf([[x, y, count - x - y] for x, y in cases], count, [gain + delta, gain, rest])
    passed = failed = 0.0
    for first in range(0, len(cases), 2000):
        part = np.array([discordant(count, x, y) for x, y in cases[first : first + 2000]])
        found, chance = bounds(part, delta, alpha), chances[first : first + 2000]
        passed += chance[found.low > -delta].sum()
        failed += chance[found.high < -delta].sum()
    return passed, failed


@pytest.mark.parametrize(("count", "delta"), [(10, 0.2), (30, 0.02), (30, 0.06), (30, 0.15), (73, 0.06), (200, 0.03)])
@pytest.mark.parametrize("gain", [0.0, 0.005, 0.02, 0.15])
def test_errors_of_single_answers_exactly(count, delta, gain):
    passed, failed = exact(count, delta, gain)
    assert max(passed, failed) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.005, 0.01, 0.02, 0.03])
@pytest.mark.parametrize("gain", [0.0, 0.001, 0.005, 0.02, 0.04])
def test_errors_of_single_answers_exactly_on_gsm8k(delta, gain):
    passed, failed = exact(1319, delta, gain)
    assert max(passed, failed) <= 0.0505  # 5.00 to rounding where very many items differ


@pytest.mark.parametrize(("samples", "count", "delta"), [(32, 30, 0.06), (4, 200, 0.03)])
def test_errors_of_several_samples(samples, count, delta, benchmark_script):
    passed, failed, plain = benchmark_script.errors(samples, count, delta, 1500)
    assert passed <= 0.05 + 0.012 and failed <= 0.05 + 0.012  # two standard errors of 1500 repetitions
    assert plain > 0.12  # which is why


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 4, 32])
@pytest.mark.parametrize(
    ("count", "delta"), [(30, 0.06), (30, 0.12), (60, 0.06), (200, 0.03), (500, 0.03), (1319, 0.02)]
)
def test_errors_of_several_samples_in_full(samples, count, delta, benchmark_script):
    passed, failed, _ = benchmark_script.errors(samples, count, delta, 8000)
    assert passed <= 0.05 + 0.006 and failed <= 0.05 + 0.006


@given(values=changes, margin=st.floats(0.01, 0.4), alpha=st.sampled_from([0.05, 0.025]))
def test_p_values_and_bounds_say_the_same(values, margin, alpha):
    found = bounds(np.array(values), margin, alpha)
    for p, distance in ((found.p_pass, found.low + margin), (found.p_fail, -margin - found.high)):
        if abs(distance) > 1e-9:
            assert (p < alpha) == (distance > 0)
    assert found.low < found.mean < found.high
    assert not (found.low > -margin and found.high < -margin)


@settings(max_examples=200)
@given(values=changes, margin=st.floats(0.02, 0.4), data=st.data())
def test_a_better_item_never_turns_a_pass_into_something_else(values, margin, data):
    values = values * data.draw(st.integers(1, 12))
    before = np.array(values)
    after = before.copy()
    place = data.draw(st.integers(0, len(values) - 1))
    after[place] = min(1.0, after[place] + data.draw(st.sampled_from([0.25, 0.5, 1.0])))
    first, second = bounds(before, margin, 0.05), bounds(after, margin, 0.05)
    assert not first.low > -margin or second.low > -margin
    assert not second.high < -margin or first.high < -margin


def test_one_item_says_nothing():
    found = bounds(np.array([0.0]), 0.1, 0.05)
    assert found.low == -math.inf and found.high == math.inf and found.p_pass == found.p_fail == 1


@pytest.mark.parametrize(
    ("margin", "alpha"), [(0, 0.05), (1, 0.05), (-0.1, 0.05), (0.1, 0), (0.1, 1), (math.nan, 0.05)]
)
def test_what_is_refused(margin, alpha):
    with pytest.raises(ValueError, match="must"):
        bounds(np.zeros(9), margin, alpha)


@pytest.mark.parametrize(
    ("discordance", "margin", "published"),
    [(0.10, 0.02, 1547), (0.10, 0.03, 688), (0.05, 0.02, 774), (0.05, 0.03, 344)],
)
def test_the_published_numbers_of_items(discordance, margin, published):
    """They were made with z = 1.645 + 0.842; all digits of z give one item less, or as many."""
    assert math.ceil((1.645 + 0.842) ** 2 * discordance / margin**2) == published
    assert items_needed(discordance, margin) in (published - 1, published)
    assert published <= items_for_a_pass(discordance, margin, 0.05) < 1.12 * published


def test_the_advice_keeps_its_word():
    """Eight of ten unchanged checkpoints pass on as many items as it asks for."""
    rng = np.random.default_rng(5)
    count = items_for_a_pass(0.10, 0.03, 0.05)
    values = rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.9, 0.05], size=(3000, count))
    assert (bounds(values, 0.03, 0.05).low > -0.03).mean() == pytest.approx(0.8, abs=0.025)
