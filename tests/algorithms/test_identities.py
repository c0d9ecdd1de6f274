"""Identities that hold between the formulas, and what happens to degenerate groups."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from algorithms import Algorithm, Batch, ops


def on_policy(lab, seed=0):
    batch, signals = lab.ragged_batch(seed)
    return replace(batch, logp_old=signals.logp, logp_ref=signals.logp), signals


@pytest.mark.parametrize("name", ["grpo", "gspo", "gspo_token", "dapo", "gift"])
def test_gradient_at_ratio_one(lab, name):
    batch, signals = on_policy(lab)
    _, gradient = lab.loss_and_gradient(lab.build(name), batch, signals)
    advantage = Algorithm().advantages(batch)
    per_response = {
        "grpo": -advantage / (batch.responses * batch.lengths.clamp(min=1)),
        "dapo": -advantage / batch.tokens,
        "gift": -2 * advantage / (batch.responses * 1e-6),
    }
    expected = per_response.get(name, per_response["grpo"])[batch.response]
    assert gradient.tolist() == pytest.approx(expected.tolist(), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_gift_full_flow_is_one_minus_correlation(lab, seed):
    batch, signals = lab.ragged_batch(seed)
    batch = batch.take(torch.nonzero(batch.group == 0).flatten())
    n = batch.responses
    batch = replace(batch, totals=lab.totals_of(batch.lengths, batch.group), reward=torch.arange(n).double())
    signals = replace(signals, logp=signals.logp[: batch.tokens])
    value, _ = lab.loss_and_gradient(lab.build("gift@published", epsilon=1e-12), batch, signals)
    s = ops.sequence_sum(signals.logp - batch.logp_ref, batch)
    correlation = torch.corrcoef(torch.stack([s, batch.reward]))[0, 1].item()
    assert value == pytest.approx(2 * (n - 1) / n * (1 - correlation), abs=1e-5)


def test_dapo_loss_is_token_mean_grpo(lab):
    batch, signals = lab.ragged_batch(0)
    lengths = torch.full_like(batch.lengths, 2)
    logp = torch.linspace(-2, -0.1, 2 * batch.responses, dtype=torch.float64)
    totals = lab.totals_of(lengths, batch.group)
    same = Batch(lengths, batch.group, batch.groups, batch.reward, totals, logp_old=logp.flip(0))
    signals = replace(signals, logp=logp)
    dapo = lab.loss_and_gradient(lab.build("dapo", clip_high=0.2), same, signals)
    grpo = lab.loss_and_gradient(lab.build("grpo@no-kl"), same, signals)
    assert dapo[0] == pytest.approx(grpo[0], abs=1e-12)  # equal lengths: both means are the same
    assert dapo[1].tolist() == pytest.approx(grpo[1].tolist(), abs=1e-12)


def test_all_equal_rewards(lab):
    """0.1 eight times has a mean that is not 0.1: the z-score must be 0 all the same, in float32 too."""
    batch, _ = lab.ragged_batch(0, dtype=torch.float32)
    batch = replace(batch, reward=torch.full((batch.responses,), 0.1))
    assert ops.group_zscore(batch.reward, batch).abs().max() == 0
    assert ops.group_std(batch.reward, batch).abs().max() == 0


def test_statistics_stay_inside_their_group(lab):
    batch, _ = lab.ragged_batch(0)
    z = ops.group_zscore(batch.reward, batch)
    elsewhere = batch.group == 2
    changed = ops.group_zscore(torch.where(elsewhere, batch.reward * 3 + 1, batch.reward), batch)
    assert torch.equal(z[~elsewhere], changed[~elsewhere])


def test_std_has_a_gradient_at_zero(lab):
    batch, _ = lab.ragged_batch(0)
    x = torch.zeros(batch.responses, dtype=torch.float64, requires_grad=True)
    (ops.group_std(x, batch).sum() + 0 * x.sum()).backward()
    assert torch.isfinite(x.grad).all()


def test_gift_gradient_survives_the_zero_of_step_one(lab):
    """s = 0 everywhere: full flow must still push along the advantage, as the detached form does."""
    batch, signals = on_policy(lab)
    for name in ("gift@published", "gift@published-detached"):
        _, gradient = lab.loss_and_gradient(lab.build(name), batch, signals)
        advantage = Algorithm().advantages(batch)[batch.response]
        assert gradient.tolist() == pytest.approx((-2 * advantage / (batch.responses * 1e-6)).tolist(), rel=1e-6)


def test_dapo_selects_on_correctness_else_on_spread(lab):
    batch, _ = lab.ragged_batch(0)
    dapo = lab.build("dapo")
    correct = torch.zeros(batch.responses, dtype=torch.bool)
    correct[batch.group == 2] = True
    first_of_3 = torch.nonzero(batch.group == 3)[0]
    correct[first_of_3] = True
    kept = dapo.select(replace(batch, correct=correct))
    assert kept.tolist() == [False, False, False, True]  # a reward that varies does not rescue groups 0 and 2
    assert dapo.select(replace(batch, correct=None)).tolist() == [True, False, True, True]


def test_take_keeps_tokens_with_their_response(lab):
    batch, _ = lab.ragged_batch(0)
    batch = replace(batch, logp_sampler=batch.response.double())
    rows = torch.tensor([5, 0, 3])
    taken = batch.take(rows)
    assert taken.logp_sampler.tolist() == [float(r) for r in rows for _ in range(int(batch.lengths[r]))]
    assert taken.totals == batch.totals and taken.responses == 3
    assert taken.group.max() + 1 == taken.groups


def test_bad_hyper_parameters(lab):
    for name, bad in (
        ("dapo", {"overlong_cache": 0}), ("gift", {"epsilon": 0.0}), ("gft", {"tau": 1.5}),
        ("gft", {"experts": -1}), ("dcr", {"tau": -0.1}), ("sft", {"experts": 0}), ("grpo", {"beta": -0.04}),
        ("grpo", {"clip_low": -0.2}), ("grpo", {"std_epsilon": 0.0}), ("grpo", {"dual_clip": 0.5}),
        ("rloo", {"clip": 0.0}),
        ("cispo", {"weight_max": 0.5, "weight_min": 0.8}), ("gvpo", {"beta": 0.0}), ("dapo", {"overlong_factor": -1.0}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(bad))):
            lab.build(name, **bad)


@pytest.mark.parametrize("by", ["response", "response-sum", "token", "group-token", "rollout-token", "max-tokens"])
def test_shares_of_an_aggregation_add_up(lab, by):
    batch, signals = lab.ragged_batch(0)
    rows = torch.arange(batch.responses)
    shares = [
        ops.aggregate(signals.logp[batch.token_rows(part)], batch.take(part), by) for part in (rows[:5], rows[5:])
    ]
    assert sum(shares).item() == pytest.approx(ops.aggregate(signals.logp, batch, by).item())
