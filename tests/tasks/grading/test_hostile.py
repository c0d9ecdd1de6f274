import pytest

BENCHMARK = "grading"


def test_a_few_hundred_answers_some_hostile(benchmark_script):
    """One odd text of each kind among ordinary answers; what needs seconds to give up is left to the slow test."""
    quick = [item for item in benchmark_script.hostile(0) if item.response.isascii() and "^" not in item.response]
    quick = [item for item in quick if not any(mark in item.response for mark in ("!", "binom"))]
    mixed = quick + benchmark_script.items(200, 0, 1)
    outcome = benchmark_script.grade(mixed)
    assert not outcome.surprises
    assert len(quick) >= 12


@pytest.mark.slow(seconds=30)
def test_ten_thousand_answers_some_hostile(benchmark_script):
    hostile = 40  # of 29 kinds
    outcome = benchmark_script.grade(benchmark_script.items(10_000, hostile / 10_000, 0))
    assert not outcome.surprises
    assert outcome.timed_out < hostile  # the hostile ones; never an ordinary one
    assert outcome.slowest < 60
