"""Randomness without state: against published numbers, hard-coded values, and its own promises."""

import pytest
import torch

from harness.seeds import derive, draw_order, prompts_of_step, uniforms

MASK = 2**64 - 1


def splitmix64(seed: int, position: int) -> int:
    """Output `position` of the published generator, in Python's unbounded integers."""
    z = (seed + (position + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def as_float(output: int) -> float:
    return (output >> 11) * 2.0**-53


def test_uniforms_are_the_published_outputs_of_splitmix64() -> None:
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    found = [uniforms(torch.tensor([0]), position).item() for position in range(3)]
    assert found == [as_float(output) for output in published]


@pytest.mark.parametrize("position", [0, 1, 2, 31, 4095, 10**6, 2**31, 2**40, 2**63 - 1])
def test_uniforms_equal_the_reference_for_any_seed_and_position(position: int) -> None:
    seeds = [0, 1, -1, 42, 1234567, -1234567, 2**62 + 3, 2**63 - 1, -(2**63), -(2**62)]
    found = uniforms(torch.tensor(seeds), position)
    assert found.dtype == torch.float64
    assert found.tolist() == [as_float(splitmix64(seed, position)) for seed in seeds]


def test_uniforms_lie_in_the_half_open_unit_interval_and_look_uniform() -> None:
    found = torch.cat([uniforms(torch.arange(-10_000, 10_000), position) for position in range(5)])
    assert found.min() >= 0
    assert found.max() < 1
    counts = torch.histc(found.float(), 20, 0, 1)
    expected = len(found) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 50  # 19 degrees of freedom: p ~ 1e-4


def test_positions_of_one_seed_and_seeds_at_one_position_are_independent() -> None:
    streams = torch.stack([uniforms(torch.arange(5000), position) for position in range(4)])
    correlation = torch.corrcoef(streams) - torch.eye(4)
    assert correlation.abs().max() < 0.06  # 4 standard errors
    within = torch.corrcoef(torch.stack([streams[0, :-1], streams[0, 1:]]))[0, 1]
    assert within.abs() < 0.06


def test_derive_is_stable() -> None:
    assert derive("rollout", 0, 1, 0, "7+5", 3) == 4757932971444493614
    assert derive() == derive()


def test_derive_tells_types_order_and_joints_apart() -> None:
    paths = [
        (1,), ("1",), (True,), (1, 2), (12,), (2, 1), ("1", 2), (1, "2"), ("a", "b"), ("ab",), ("a", "", "b"),
        ("b", "a"), (), ("",), (-1,), (0,),
    ]  # fmt: skip
    seeds = [derive(*path) for path in paths]
    assert len(set(seeds)) == len(paths)


def test_derived_seeds_fit_a_signed_64_bit_tensor_and_fill_it() -> None:
    seeds = [derive("x", i) for i in range(2000)]
    assert min(seeds) >= 0
    assert 2**62 < max(seeds) < 2**63
    assert len({seed & 0xFFF for seed in seeds}) > 1400  # the low bits vary as well: 1582 expected


def test_response_seeds_are_distinct_and_run_seeds_disjoint() -> None:
    def seeds_of_run(run: int) -> set[int]:
        return {
            derive("rollout", run, step, refill, f"example-{prompt}", k)
            for step in range(1, 26) for refill in range(2) for prompt in range(125) for k in range(16)
        }  # fmt: skip

    first, second = seeds_of_run(0), seeds_of_run(1)
    assert len(first) == len(second) == 25 * 2 * 125 * 16
    assert not first & second


def test_draw_order_is_a_stable_permutation() -> None:
    assert draw_order(10, "epoch", 0, 0) == [9, 4, 8, 5, 0, 1, 7, 2, 6, 3]
    for size in (1, 2, 17, 1000):
        assert sorted(draw_order(size, "epoch", 3, 1)) == list(range(size))
    assert draw_order(1000, "epoch", 3, 1) != draw_order(1000, "epoch", 3, 2)
    assert draw_order(1000, "epoch", 3, 1) != draw_order(1000, "epoch", 4, 1)


def test_draw_order_puts_every_item_everywhere() -> None:
    size, trials = 8, 4000
    orders = torch.tensor([draw_order(size, "trial", i) for i in range(trials)])
    counts = torch.stack([(orders == item).sum(0) for item in range(size)])
    expected = trials / size
    assert ((counts - expected) ** 2 / expected).sum() < 96  # 49 degrees of freedom: p ~ 1e-4


def test_changing_a_drawn_order_does_not_change_the_next_one() -> None:
    draw_order(5, "shared")[0] = 99
    assert sorted(draw_order(5, "shared")) == list(range(5))


@pytest.mark.parametrize(("size", "count"), [(12, 4), (10, 4), (7, 3), (5, 5), (88, 16)])
def test_an_epoch_visits_no_prompt_twice_and_leaves_out_less_than_a_step(size: int, count: int) -> None:
    steps = size // count
    orders = set()
    left_out = set(range(size))
    for epoch in range(30):
        walked = []
        for step in range(epoch * steps + 1, (epoch + 1) * steps + 1):
            walked += prompts_of_step(size, 5, step, 0, count, set())
        assert len(walked) == len(set(walked)) == steps * count
        orders.add(tuple(walked))
        left_out -= set(walked)
    assert len(orders) > 25 or size < 6
    assert not left_out  # no prompt is left out for good


def test_prompts_are_a_pure_function_of_seed_step_and_round() -> None:
    calls = [(seed, step, refill) for seed in (0, 1) for step in (1, 2, 9) for refill in (0, 1, 2)]
    forward = {call: prompts_of_step(50, *call, 8, {3, 4}) for call in calls}
    for call in reversed(calls):
        assert prompts_of_step(50, *call, 8, {3, 4}) == forward[call]
    assert len({tuple(prompts) for prompts in forward.values()}) == len(calls)


def test_the_first_round_ignores_what_is_to_be_excluded() -> None:
    """Its order must not depend on anything that was trained before."""
    plain = prompts_of_step(20, 0, 2, 0, 6, set())
    assert prompts_of_step(20, 0, 2, 0, 6, set(range(20))) == plain


def test_a_refill_leaves_out_what_was_drawn_and_ends_when_nothing_is_left() -> None:
    drawn = set(range(0, 20, 2))
    refill = prompts_of_step(20, 0, 1, 1, 6, drawn)
    assert len(set(refill)) == 6
    assert not drawn & set(refill)
    rest = prompts_of_step(20, 0, 1, 1, 15, drawn)
    assert sorted(rest) == list(range(1, 20, 2))
    assert rest[:6] == refill
    assert prompts_of_step(20, 0, 1, 1, 6, set(range(20))) == []


def test_no_step_draws_a_prompt_twice() -> None:
    """Response seeds derive from (step, round, prompt, sample): a prompt drawn twice gives the same responses twice."""
    for step in range(1, 60):
        prompts = prompts_of_step(88, 0, step, 0, 16, set())
        assert len(set(prompts)) == 16, f"step {step}"
