from __future__ import annotations

import itertools

import numpy as np
import pytest

from leaderboard.gate.config import Metric
from leaderboard.gate.metrics import pair, score


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("right", range(6))
def test_of_samples_is_the_mean_over_all_choices(k, right):
    verdicts = [1.0] * right + [0.0] * (5 - right)
    choices = list(itertools.combinations(verdicts, k))
    assert score(f"pass@{k}", verdicts, verdicts, verdicts) == pytest.approx(np.mean([any(c) for c in choices]))
    assert score(f"pass^{k}", verdicts, verdicts, verdicts) == pytest.approx(np.mean([all(c) for c in choices]))


def test_the_others_are_means():
    correct, strict, tokens = [[1, 1, 0, 0]], [[1, 0, 0, 0]], [[4, 8, 12, 16]]
    for name, expected in (("accuracy", 0.5), ("strict_accuracy", 0.25), ("format_gap", 0.25), ("response_tokens", 10)):
        assert score(name, correct, strict, tokens) == [expected]
    with pytest.raises(ValueError, match="k = 8 of 4"):
        score("pass@8", correct, strict, tokens)
    with pytest.raises(ValueError, match="unknown"):
        score("precision", correct, strict, tokens)


def test_pairs_are_shared_items_in_the_order_of_their_ids(made):
    base = made.task(
        "t", [made.item(n, [1, 0], cluster=c) for n, c in (("c", "x"), ("a", None), ("b", "x"), ("z", "y"))]
    )
    cand = made.task("t", [made.item("b", [1, 1, 0]), made.item("a", [0, 0, 0]), made.item("c", [0, 1, 1])])
    found = pair(Metric("t", "accuracy"), cand, base, None)
    assert found.ids == ("a", "b", "c") and found.clusters == 2 and found.samples == (2, 3)
    assert found.cand.tolist() == pytest.approx([0, 2 / 3, 2 / 3]) and found.labels.tolist() == [0, 1, 1]
    assert found.span(1.0) == pytest.approx(2 * 2 / 3)
    assert pair(Metric("t", "accuracy"), cand, base, 2).cand.tolist() == [0, 1, 0.5]
    # A cluster may be named after its first item, which then names none: 2+3 and 3+2.
    named = made.task("t", [made.item("a", [1]), made.item("b", [1], cluster="a"), made.item("c", [0])])
    assert pair(Metric("t", "accuracy"), named, named, None).clusters == 2


def test_no_item_in_common(made):
    one, other = (made.task("t", [made.item(name, [1])]) for name in "ab")
    with pytest.raises(ValueError, match="no item in common"):
        pair(Metric("t", "accuracy"), one, other, None)
