# ruff: noqa: E501
"""Golden vectors: value and derivative of every loss on numbers small enough for hand and for a second program.

One group of four responses comes from the project's specification, computed there with autograd in float64. The vectors
with several unequal groups are computed below by an independent plain-Python transcription of each paper's formula and
central differences, so that a statistic taken across groups, or a divisor of the wrong population, shows.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
import torch

ONE_GROUP = {
    ("grpo@no-kl", ()): (-0.006445, [[-0.119638, -0.080196], [0.075869, 0.072169, 0.107663], [0.0], [-0.054126, 0.0, -0.051487, 0.0]]),
    ("grpo", ()): (-0.005067, [[-0.118942, -0.081303], [0.076186, 0.072331, 0.108527], [-0.004191], [-0.054005, 0.000553, -0.051891, 0.000984]]),
    ("dapo", ()): (-0.169353, [[-0.095710, -0.064157], [0.091043, 0.086602, 0.129196], [0.0], [-0.086602, -0.105776, -0.082379, 0.0]]),
    ("gspo", ()): (0.055490, [[-0.097951] * 2, [0.083848] * 3, [0.0], [0.0] * 4]),
    ("gspo_token", ()): (0.055490, [[-0.097951] * 2, [0.083848] * 3, [0.0], [0.0] * 4]),
    ("gspo", (("clip_low", 0.2), ("clip_high", 0.2))): (-0.019573, [[-0.097951] * 2, [0.083848] * 3, [0.0], [-0.062105] * 4]),
    ("gspo_token", (("clip_low", 0.2), ("clip_high", 0.2))): (-0.019573, [[-0.097951] * 2, [0.083848] * 3, [0.0], [-0.062105] * 4]),
    ("gift@released", ()): (1.301749, [[-1.842748] * 2, [1.842748] * 3, [-0.122308], [0.122308] * 4]),
    ("gift@published-detached", ()): (1.026600, [[-1.484634] * 2, [1.604156] * 3, [-0.308187], [0.188665] * 4]),
    ("gift@published", ()): (1.026600, [[-1.116532] * 2, [1.154252] * 3, [0.550719], [-0.588440] * 4]),
    ("gift@smooth", ()): (0.682844, [[-0.482940] * 2, [0.502753] * 3, [0.185749], [-0.205562] * 4]),
    ("gft", (("tau", 0.5),)): (-0.006798, [[-0.086602, -0.023602], [0.086602, 0.086602, 0.017485], [0.031859], [-0.086602, -0.086602, -0.024812, -0.086602]]),
    ("gft", (("tau", 0.0),)): (-0.012990, [[-0.086602] * 2, [0.086602] * 3, [0.086602], [-0.086602] * 4]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "parameters"), ONE_GROUP, ids=lambda x: str(x))
def test_one_group(lab, golden, name, parameters):
    value, rows = ONE_GROUP[name, parameters]
    found, gradient = lab.loss_and_gradient(lab.build(name, **dict(parameters)), *golden)
    assert found == pytest.approx(value, abs=1e-6)
    assert gradient.tolist() == pytest.approx([x for row in rows for x in row], abs=1e-6)


def test_one_group_advantages(lab, golden):
    batch, _ = golden
    assert lab.build("grpo").advantages(batch).tolist() == pytest.approx([0.866024, -0.866024, -0.866024, 0.866024])


@pytest.mark.parametrize(
    ("tokens", "penalty"), [(16384, 0.0), (16385, -0.000244140625), (18432, -0.5), (20480, -1.0), (20481, -1.0)]
)
def test_overlong_penalty(lab, tokens, penalty):
    batch, _ = lab.ragged_batch(0)
    batch = replace(
        batch,
        lengths=torch.full_like(batch.lengths, tokens),
        tokens=tokens * batch.responses,
        logp_old=None,
        logp_ref=None,
    )
    for factor in (1.0, 0.5):
        shaped = lab.build("dapo", overlong_factor=factor).shape_rewards(batch) - batch.reward
        assert shaped.tolist() == pytest.approx([factor * penalty] * batch.responses, abs=1e-12)


# --- several unequal groups, in plain Python ---


def zscores(values: list[float], epsilon: float = 1e-6) -> list[float]:
    if len(set(values)) == 1:
        return [0.0] * len(values)
    mean, std = statistics.fmean(values), statistics.stdev(values)
    return [(v - mean) / (std + epsilon) for v in values]


class Plain:
    """A batch as lists: rows of floats, members by group."""

    def __init__(self, batch, logp):
        def rows(x):
            return [part.tolist() for part in x.split(batch.lengths.tolist())]

        self.new, self.old, self.ref = rows(logp), rows(batch.logp_old), rows(batch.logp_ref)
        self.groups = [[i for i, g in enumerate(batch.group.tolist()) if g == p] for p in range(batch.groups)]
        self.n, self.t = batch.responses, batch.tokens
        self.advantage = [0.0] * self.n
        for members in self.groups:
            for i, a in zip(members, zscores([batch.reward[i].item() for i in members]), strict=True):
                self.advantage[i] = a


def surrogate(log_ratio: float, a: float, low: float, high: float) -> float:
    ratio = math.exp(log_ratio)
    return min(ratio * a, min(max(ratio, 1 - low), 1 + high) * a)


def plain_grpo(b: Plain, beta: float) -> float:
    total = 0.0
    for new, old, ref, a in zip(b.new, b.old, b.ref, b.advantage, strict=True):
        tokens = [
            surrogate(x - o, a, 0.2, 0.2) - beta * (math.exp(r - x) - (r - x) - 1)
            for x, o, r in zip(new, old, ref, strict=True)
        ]
        total += statistics.fmean(tokens) if tokens else 0.0
    return -total / b.n


def plain_dapo(b: Plain) -> float:
    return -sum(
        surrogate(x - o, a, 0.2, 0.28)
        for new, old, a in zip(b.new, b.old, b.advantage, strict=True)
        for x, o in zip(new, old, strict=True)
    ) / b.t  # fmt: skip


def plain_gspo(b: Plain) -> float:
    total = 0.0
    for new, old, a in zip(b.new, b.old, b.advantage, strict=True):
        if new:
            total += surrogate((sum(new) - sum(old)) / len(new), a, 3e-4, 4e-4)
    return -total / b.n


def plain_gift(b: Plain, reference: str, smooth: bool) -> float:
    """Full flow only: a detached statistic has no finite difference."""
    total = 0.0
    for members in b.groups:
        s = [sum(b.new[i]) - sum(getattr(b, reference)[i]) for i in members]
        mean, std = statistics.fmean(s), statistics.stdev(s)
        scale = math.sqrt(std**2 + 1) if smooth else std + 1e-6
        total += sum((b.advantage[i] - (x - mean) / scale) ** 2 for i, x in zip(members, s, strict=True))
    return total / b.n


SEVERAL_GROUPS = {
    "grpo": lambda b: plain_grpo(b, 0.04),
    "grpo@no-kl": lambda b: plain_grpo(b, 0.0),
    "dapo": plain_dapo,
    "gspo": plain_gspo,
    "gift@published": lambda b: plain_gift(b, "ref", smooth=False),
    "gift@smooth": lambda b: plain_gift(b, "ref", smooth=True),
    "sft": lambda b: -sum(map(sum, b.new)) / b.t,
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", SEVERAL_GROUPS)
def test_several_unequal_groups(lab, name, seed):
    batch, signals = lab.ragged_batch(seed)
    plain = SEVERAL_GROUPS[name]
    value, gradient = lab.loss_and_gradient(lab.build(name), batch, signals)
    assert value == pytest.approx(plain(Plain(batch, signals.logp)), abs=1e-9)
    step = 1e-6
    for t in range(batch.tokens):
        shifted = []
        for sign in (1, -1):
            logp = signals.logp.clone()
            logp[t] += sign * step
            shifted.append(plain(Plain(batch, logp)))
        assert gradient[t].item() == pytest.approx((shifted[0] - shifted[1]) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_detached_forms_on_several_groups(lab, seed):
    """Where a statistic or coefficient is detached the gradient is checked against the closed form, token by token."""
    batch, signals = lab.ragged_batch(seed)
    b = Plain(batch, signals.logp)
    for name, reference in (("gift@released", "old"), ("gift@published-detached", "ref")):
        value, gradient = lab.loss_and_gradient(lab.build(name), batch, signals)
        assert value == pytest.approx(plain_gift(b, reference, smooth=False), abs=1e-9)
        expected = []
        for members in b.groups:
            s = [sum(b.new[i]) - sum(getattr(b, reference)[i]) for i in members]
            scale = statistics.stdev(s) + 1e-6
            for i, x in zip(members, s, strict=True):
                slope = -2 / (b.n * scale) * (b.advantage[i] - (x - statistics.fmean(s)) / scale)
                expected += [slope] * len(b.new[i])
        assert gradient.tolist() == pytest.approx(expected, abs=1e-9)
    for tau in (0.0, 0.1, 0.7, 1.0):
        value, gradient = lab.loss_and_gradient(lab.build("gft", tau=tau), batch, signals)
        probability = signals.logp_raw.exp().tolist()
        advantage = [a for a, row in zip(b.advantage, b.new, strict=True) for _ in row]
        weights = [a * (1 if q > tau else q) for a, q in zip(advantage, probability, strict=True)]
        assert gradient.tolist() == pytest.approx([-w / b.t for w in weights], abs=1e-12)
        weighted = sum(w * x for w, x in zip(weights, signals.logp.tolist(), strict=True))
        assert value == pytest.approx(-weighted / b.t)


@pytest.mark.parametrize("seed", range(3))
def test_gspo_token_equals_gspo(lab, seed):
    batch, signals = lab.ragged_batch(seed)
    value, gradient = lab.loss_and_gradient(lab.build("gspo"), batch, signals)
    token_value, token_gradient = lab.loss_and_gradient(lab.build("gspo_token"), batch, signals)
    assert token_value == pytest.approx(value, abs=1e-12)
    assert token_gradient.tolist() == pytest.approx(gradient.tolist(), abs=1e-12)
