"""A loss that couples a group of 64 takes no more memory than one that couples nothing, at the same micro-batch."""

import sys

import pytest

BENCHMARK = "memory"
NAMES = ["gift@released", "gift@published", "gift@published-detached", "gift@smooth"]

pytestmark = [
    pytest.mark.slow(seconds=60),
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory from /proc"),
]


@pytest.fixture(scope="module")
def memory(benchmark_script):
    return benchmark_script


def test_gift_on_a_group_of_64_needs_no_more_memory_than_grpo(memory):
    size = memory.Size(group=64, max_tokens=32, rows=4, layers=2)
    found = memory.compare(NAMES, size, repeats=1)
    grpo = found.pop("grpo").peak
    whole = found.pop(f"{NAMES[-1]}, a group in one part").peak
    assert set(found) == set(NAMES)
    assert max(result.peak for result in found.values()) <= 1.05 * grpo
    # The measurement sees memory: 64 responses at once, sixteen times as many as a part holds, show.
    assert whole > 4 * grpo
