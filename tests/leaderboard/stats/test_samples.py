"""pass@k and its kin against enumeration of every choice of k, and majority votes against the same."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from leaderboard.stats import g_pass_at_k, majority_at_k, pass_at_k, pass_hat_k

counts = st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(1, n)))


def choices(right: int, n: int, k: int) -> list[int]:
    """How many are right in each choice of k of n."""
    return [sum(chosen) for chosen in combinations([1] * right + [0] * (n - right), k)]


@given(counts)
def test_all_three_are_shares_of_the_choices_of_k(case: tuple[int, int, int]) -> None:
    right, n, k = case
    found = choices(right, n, k)
    assert pass_at_k(right, n, k) == pytest.approx(sum(c >= 1 for c in found) / len(found))
    assert pass_hat_k(right, n, k) == pytest.approx(sum(c == k for c in found) / len(found))
    for share in (0.25, 0.5, 0.75, 1.0):
        expected = sum(c >= math.ceil(share * k) for c in found) / len(found)
        assert g_pass_at_k(right, n, k, share) == pytest.approx(expected)
        assert g_pass_at_k(right, n, k, share) == pytest.approx(hypergeom.sf(math.ceil(share * k) - 1, n, right, k))


@given(counts)
def test_the_product_form_of_the_codex_paper(case: tuple[int, int, int]) -> None:
    right, n, k = case
    product = 1.0 if n - right < k else 1 - math.prod(1 - k / j for j in range(n - right + 1, n + 1))
    assert pass_at_k(right, n, k) == pytest.approx(product)


def test_published_example() -> None:
    assert pass_at_k(1, 4, 2) == pytest.approx(0.5)
    assert pass_at_k(32, 200, 1) == pytest.approx(0.16)


@pytest.mark.parametrize("measure", [pass_at_k, pass_hat_k])
def test_many_items_at_once(measure):
    right = np.arange(33).reshape(3, 11)
    found = measure(right, 32, 4)
    assert found.shape == (3, 11) and found.ravel().tolist() == [measure(c, 32, 4) for c in range(33)]
    assert measure(1500, 2048, 1024).shape == () and measure([], 4, 2).size == 0
    with pytest.raises(ValueError, match="whole numbers"):
        measure([1, 1.5], 4, 2)
    with pytest.raises(ValueError, match="not 5 of 4"):
        measure([1, 5], 4, 2)


@pytest.mark.parametrize("measure", [pass_at_k, pass_hat_k])
@pytest.mark.parametrize(("right", "n", "k"), [(1, 3, 4), (0, 0, 1), (1, 3, 0), (4, 3, 1), (-1, 3, 1)])
def test_fewer_samples_than_k_are_an_error_not_a_number(measure, right: int, n: int, k: int) -> None:
    with pytest.raises(ValueError, match=r"must lie in"):
        measure(right, n, k)


@pytest.mark.parametrize(("n", "k"), [(3, 4), (0, 1), (3, 0)])
def test_nor_is_there_a_vote_of_more_than_there_are(n: int, k: int) -> None:
    with pytest.raises(ValueError, match=r"must lie in"):
        majority_at_k([0] * n, [0] * n, k)


def vote(labels: tuple[int, ...], right: dict[int, int]) -> float:
    cast = Counter(label for label in labels if label >= 0)
    if not cast:
        return 0.0
    best = [label for label, count in cast.items() if count == max(cast.values())]
    return sum(right[label] for label in best) / len(best)


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=9), st.integers(0, 3))
def test_a_vote_of_all_is_counted_and_ties_share(labels: list[int], gold: int) -> None:
    right = [int(label == gold) for label in labels]
    verdicts = {label: int(label == gold) for label in range(4)}
    assert majority_at_k(labels, right, len(labels)) == pytest.approx(vote(tuple(labels), verdicts))


def test_a_vote_of_some_is_near_the_mean_over_all_choices_and_always_the_same() -> None:
    labels, gold = [0, 0, 1, 1, 2, -1, 0, 3], 0
    right = [int(label == gold) for label in labels]
    verdicts = {label: int(label == gold) for label in range(4)}
    for k in (1, 2, 3, 5):
        exact = [vote(tuple(chosen), verdicts) for chosen in combinations(labels, k)]
        found = majority_at_k(labels, right, k)
        assert found == pytest.approx(sum(exact) / len(exact), abs=0.04)
        assert found == majority_at_k(labels, right, k)
    assert majority_at_k([-1, -1], [0, 0], 2) == 0


def test_verdicts_that_differ_within_an_answer_count_by_their_share() -> None:
    """Equality is not transitive for a verifier: the class's verdict is its members' mean."""
    assert majority_at_k([0, 0, 1], [1, 0, 0], 3) == 0.5
