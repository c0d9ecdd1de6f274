"""What a run has spent, and how much of its budget that is."""

from dataclasses import fields
from typing import get_args

import pytest

from harness.budget import Spent
from harness.settings import Budget
from leaderboard.records import Axis, Counters

SPENT = Spent(
    steps=1, optimizer_steps=2, prompts=30, generated_tokens=400, trained_tokens=5000, flops=6e12, seconds=7.5
)
AXES = get_args(Axis)


def test_every_axis_is_counted_recorded_and_can_be_limited() -> None:
    assert tuple(f.name for f in fields(Spent)) == AXES
    assert {f.name for f in fields(Budget)} == set(AXES) == set(Counters.__annotations__)
    assert Spent().counters() == dict.fromkeys(AXES, 0)


def test_counters_are_a_copy_of_what_was_spent() -> None:
    spent = Spent(steps=3, flops=1e9)
    recorded = spent.counters()
    spent.steps += 1
    assert recorded["steps"] == 3
    assert SPENT.counters() == {
        "steps": 1, "optimizer_steps": 2, "prompts": 30, "generated_tokens": 400, "trained_tokens": 5000,
        "flops": 6e12, "seconds": 7.5,
    }  # fmt: skip


@pytest.mark.parametrize("axis", AXES)
def test_a_limit_reads_its_own_axis(axis: str) -> None:
    used = getattr(SPENT, axis)
    assert SPENT.share(Budget(**{axis: used * 4})) == 0.25
    assert SPENT.share(Budget(**{axis: used})) == 1
    assert SPENT.share(Budget(**{axis: used * 2})) < 1
    assert Spent().share(Budget(**{axis: used})) == 0


def test_the_tightest_axis_counts() -> None:
    assert SPENT.share(Budget(steps=10, prompts=40)) == 0.75
    assert SPENT.share(Budget(prompts=40, steps=10)) == 0.75
    assert SPENT.share(Budget(steps=1, prompts=3000, seconds=75)) == 1
    assert SPENT.share(Budget(prompts=3000, seconds=75)) == 0.1


def test_what_goes_over_is_more_than_one() -> None:
    assert SPENT.share(Budget(generated_tokens=100)) == 4
