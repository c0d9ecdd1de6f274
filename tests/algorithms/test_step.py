"""The gradient does not depend on how the step was cut, nor on the order of its rows, for any algorithm."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from algorithms import Algorithm, Loss, Signals
from algorithms.step import accumulate_gradient


class Model:
    """A parameter that all tokens share in part, so that a wrong weight of any token changes the gradient."""

    def __init__(self, batch, signals, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.features = torch.randn(batch.tokens, 16, generator=generator, dtype=torch.float64)
        self.weight = torch.zeros(16, dtype=torch.float64, requires_grad=True)
        self.signals, self.batch, self.calls = signals, batch, []

    def __call__(self, rows):
        index = self.batch.token_rows(rows)
        drift = self.features[index] @ self.weight
        self.calls.append((rows.tolist(), torch.is_grad_enabled()))
        taken = {name: value.detach()[index] + drift for name, value in self.signals.named().items()}
        return Signals(**taken)

    def gradient(self, algorithm, batch, cut):
        self.weight.grad = None
        loss = accumulate_gradient(algorithm, batch, self, cut)
        return loss, self.weight.grad.clone()


def cut_into(order, size):
    return list(torch.as_tensor(order).split(size))


def prepared(algorithm, batch):
    shaped = replace(batch, reward=algorithm.shape_rewards(batch))
    return shaped.with_advantages(algorithm.advantages(shaped))


@pytest.mark.parametrize("seed", range(3))
def test_any_cut_gives_the_same_gradient(lab, algorithm_name, seed):
    algorithm = lab.build(algorithm_name)
    batch, signals = lab.ragged_batch(seed)
    batch = prepared(algorithm, batch)
    model = Model(batch, signals)
    n = batch.responses
    whole, expected = model.gradient(algorithm, batch, cut_into(range(n), n))
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    # Sizes 1 and 2 split every group, so a group-coupled loss takes its two-pass way; whole groups take the direct one.
    whole_groups = [torch.nonzero(batch.group == p).flatten() for p in range(batch.groups)]
    for cut in (
        cut_into(range(n), 1),
        cut_into(range(n), 2),
        cut_into(shuffled, 3),
        cut_into(shuffled, n),
        whole_groups,
    ):
        loss, gradient = model.gradient(algorithm, batch, cut)
        assert (gradient - expected).norm() <= 1e-9 * expected.norm()
        assert loss.value.item() == pytest.approx(whole.value.item(), rel=1e-9)
        for name, metric in loss.metrics.items():
            assert float(metric.numerator) == pytest.approx(float(whole.metrics[name].numerator), abs=1e-9)
            assert int(metric.count) == int(whole.metrics[name].count)


def test_row_order_changes_nothing(lab, algorithm_name):
    algorithm = lab.build(algorithm_name)
    batch, signals = lab.ragged_batch(7)
    model = Model(batch, signals)
    _, expected = model.gradient(algorithm, prepared(algorithm, batch), [torch.arange(batch.responses)])
    order = torch.randperm(batch.responses, generator=torch.Generator().manual_seed(7))
    tokens = batch.token_rows(order)
    moved = Model(batch.take(order), Signals(**{name: value[tokens] for name, value in signals.named().items()}))
    moved.features = model.features[tokens]
    _, gradient = moved.gradient(algorithm, prepared(algorithm, batch.take(order)), [torch.arange(batch.responses)])
    assert (gradient - expected).norm() <= 1e-9 * expected.norm()


def test_two_passes_only_where_a_unit_is_split(lab):
    batch, signals = lab.ragged_batch(1)
    algorithm = lab.build("gift@published")
    batch = prepared(algorithm, batch)
    model = Model(batch, signals)
    groups = [torch.nonzero(batch.group == p).flatten() for p in range(batch.groups)]
    model.gradient(algorithm, batch, groups)
    assert all(graph for _, graph in model.calls) and len(model.calls) == batch.groups
    model.calls.clear()
    split = [groups[0][:1], groups[0][1:], *groups[1:]]
    model.gradient(algorithm, batch, split)
    without_graph = [rows for rows, graph in model.calls if not graph]
    assert without_graph == [split[0].tolist(), split[1].tolist()]  # the split group alone is gone over twice
    model.calls.clear()
    grpo = lab.build("grpo")
    model.gradient(grpo, prepared(grpo, batch), split)
    assert all(graph for _, graph in model.calls)


def test_first_update_needs_no_old_scores(lab, algorithm_name):
    """Without logp_old the policy stands in for itself: the gradient of ratio 1, equal under every cut."""
    algorithm = lab.build(algorithm_name)
    batch, signals = lab.ragged_batch(2)
    explicit = prepared(algorithm, replace(batch, logp_old=signals.logp.detach()))
    model = Model(batch, signals)
    _, expected = model.gradient(algorithm, explicit, [torch.arange(batch.responses)])
    absent = replace(explicit, logp_old=None)
    for size in (1, batch.responses):
        _, gradient = model.gradient(algorithm, absent, cut_into(range(batch.responses), size))
        assert (gradient - expected).norm() <= 1e-9 * expected.norm()


def test_wrong_divisor_is_caught(lab):
    """The test above is worth something: a loss divided by its own part's size fails it."""

    class Wrong(type(lab.build("dapo"))):
        def loss(self, signals, batch):
            right = super().loss(signals, batch)
            return Loss(right.value * batch.totals.tokens / batch.tokens)

    batch, signals = lab.ragged_batch(0)
    batch = prepared(Wrong(), batch)
    model = Model(batch, signals)
    _, whole = model.gradient(Wrong(), batch, cut_into(range(batch.responses), batch.responses))
    _, parts = model.gradient(Wrong(), batch, cut_into(range(batch.responses), 3))
    assert (whole - parts).norm() > 1e-2 * whole.norm()


def test_cut_must_be_a_partition(lab):
    batch, signals = lab.ragged_batch(0)
    algorithm = lab.build("sft")
    model = Model(batch, signals)
    for cut in ([torch.arange(batch.responses - 1)], [torch.arange(batch.responses), torch.tensor([0])], []):
        with pytest.raises(ValueError, match="exactly once"):
            accumulate_gradient(algorithm, prepared(algorithm, batch), model, cut)


def test_missing_signal_and_wrong_shape_are_named(lab):
    batch, signals = lab.ragged_batch(0)
    gft = lab.build("gft")
    rows = [torch.arange(batch.responses)]
    with pytest.raises(ValueError, match="gft needs the signal logp_raw"):
        accumulate_gradient(gft, prepared(gft, batch), lambda _: Signals(logp=signals.logp), rows)
    with pytest.raises(ValueError, match="signal logp has shape"):
        accumulate_gradient(gft, prepared(gft, batch), lambda _: Signals(logp=signals.logp[1:]), rows)

    class Vector(Algorithm):
        def loss(self, signals, batch):
            return Loss(signals.logp)

    with pytest.raises(ValueError, match="expected a scalar"):
        accumulate_gradient(Vector(), batch, Model(batch, signals), rows)
