# ruff: noqa: E501
"""Golden vectors: every preset against an independent transcription of its source's formula into plain Python.

Lists, `math` and `statistics` only: none of the package's operations. Where a loss is differentiable as it stands, its
gradient is a central difference; where something is detached, it is written down by hand. The transcription is compared
with the algorithms on ragged random batches (several unequal groups, so that a statistic taken across groups shows; a
mini-batch of a larger rollout, so that a divisor of the wrong population shows), and with the table that ships. One
group of four also has the vectors of the project's specification, computed there with autograd in float64.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from algorithms.conformance.golden import GOLDEN, golden_batch
from algorithms.registry import names

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
    assert lab.build("rloo").advantages(batch).tolist() == pytest.approx([2 / 3, -2 / 3, -2 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("tokens", "penalty"), [(16384, 0.0), (16385, -0.000244140625), (18432, -0.5), (20480, -1.0), (20481, -1.0)]
)
def test_overlong_penalty(lab, tokens, penalty):
    batch, _ = lab.ragged_batch(0)
    absent = dict.fromkeys(("logp_old", "logp_ref", "logp_sampler", "value_old"))
    batch = replace(batch, lengths=torch.full_like(batch.lengths, tokens), tokens=tokens * batch.responses, **absent)
    for factor in (1.0, 0.5, 0.0):
        shaped = lab.build("dapo", overlong_factor=factor).shape_rewards(batch) - batch.reward
        assert shaped.tolist() == pytest.approx([factor * penalty] * batch.responses, abs=1e-12)


# --- the formulas, in plain Python ---


class Plain:
    """A batch as lists: rows of floats, members by group, and the divisors of the step."""

    def __init__(self, batch, logp):
        def rows(x):
            return [part.tolist() for part in x.split(batch.lengths.tolist())]

        self.new, self.old, self.ref = rows(logp), rows(batch.logp_old), rows(batch.logp_ref)
        self.groups = [[i for i, g in enumerate(batch.group.tolist()) if g == p] for p in range(batch.groups)]
        self.group_of = batch.group.tolist()
        self.reward, self.totals = batch.reward.tolist(), batch.totals

    def within_groups(self, function, values=None):
        """`function` of the values of each group, one value a member."""
        values, out = self.reward if values is None else values, [0.0] * len(self.reward)
        for members in self.groups:
            for i, x in zip(members, function([values[i] for i in members]), strict=True):
                out[i] = x
        return out

    def log_ratio(self, i, against):
        return sum(self.new[i]) - sum(getattr(self, against)[i])

    def weight(self, i, by):
        """What a token of response i is multiplied by when the loss is aggregated."""
        t = self.totals
        group = [len(self.new[j]) for j in self.groups[self.group_of[i]]]
        return {
            "response": 1 / (t.responses * max(1, len(self.new[i]))),
            "response-sum": 1 / t.responses,
            "token": 1 / t.tokens,
            "group-token": 1 / (t.groups * max(1, sum(group))),
            "rollout-token": 1 / (t.rollout_tokens * t.responses / t.rollout_responses),
            "max-tokens": 1 / (t.responses * t.max_tokens),
        }[by]


def zscores(epsilon=1e-6):
    def of(values):
        if len(set(values)) == 1:
            return [0.0] * len(values)
        mean, std = statistics.fmean(values), statistics.stdev(values)
        return [(v - mean) / (std + epsilon) for v in values]

    return of


def centred(values):
    return [v - statistics.fmean(values) for v in values]


def leave_one_out(values):
    return [v - (sum(values) - v) / (len(values) - 1) for v in values]


def surrogate(log_ratio, a, low, high, dual=None):
    ratio = math.exp(log_ratio)
    value = min(ratio * a, min(max(ratio, 1 - low), 1 + high) * a)
    return max(value, dual * a) if dual and a < 0 else value


def clipped_tokens(by, advantages=None, low=0.2, high=0.2, dual=None, beta=0.0):
    def loss(b):
        advantage = b.within_groups(advantages or zscores())
        total = 0.0
        for i, a in enumerate(advantage):
            for x, o, r in zip(b.new[i], b.old[i], b.ref[i], strict=True):
                k3 = math.exp(r - x) - (r - x) - 1
                total += b.weight(i, by) * (surrogate(x - o, a, low, high, dual) - beta * k3)
        return -total

    return loss


def gspo(low, high, epsilon=1e-6):
    def loss(b):
        a = b.within_groups(zscores(epsilon))
        terms = (surrogate(b.log_ratio(i, "old") / len(y), a[i], low, high) for i, y in enumerate(b.new) if y)
        return -sum(terms) / b.totals.responses

    return loss


def reinforce_pp(subtract, dual=None):
    def loss(b):
        reward = b.within_groups(centred) if subtract else b.reward
        tokens = [r for r, y in zip(reward, b.new, strict=True) for _ in y]
        mean, std = statistics.fmean(tokens), math.sqrt(statistics.variance(tokens) + 1e-8)
        total = 0.0
        for i, r in enumerate(reward):
            for x, o in zip(b.new[i], b.old[i], strict=True):
                total += surrogate(x - o, (r - mean) / std, 0.2, 0.2, dual) / b.totals.tokens
        return -total

    return loss


def rloo_trl(b):
    reward = [r - 0.05 * (sum(o) - sum(f)) for r, o, f in zip(b.reward, b.old, b.ref, strict=True)]
    a = b.within_groups(leave_one_out, reward)
    return -sum(surrogate(b.log_ratio(i, "old"), a[i], 0.2, 0.2) for i in range(len(a))) / b.totals.responses


def gift(reference, smooth=False):
    def loss(b):
        a, total = b.within_groups(zscores()), 0.0
        for members in b.groups:
            s = [b.log_ratio(i, reference) for i in members]
            mean, std = statistics.fmean(s), statistics.stdev(s)
            scale = math.sqrt(std**2 + 1) if smooth else std + 1e-6
            total += sum((a[i] - (x - mean) / scale) ** 2 for i, x in zip(members, s, strict=True))
        return total / b.totals.responses

    return loss


def gvpo(reference):
    def loss(b):
        total = 0.0
        for members in b.groups:
            s = centred([0.1 * b.log_ratio(i, reference) for i in members])
            r = centred([b.reward[i] for i in members])
            total += 0.5 * sum((x - y) ** 2 for x, y in zip(s, r, strict=True)) / (len(members) - 1)
        return total / b.totals.groups

    return loss


def online_dpo(b):
    total = 0.0
    for members in b.groups:
        pairs = [(w, v) for w in members for v in members if b.reward[w] > b.reward[v]]
        for w, v in pairs:
            margin = 0.1 * (b.log_ratio(w, "ref") - b.log_ratio(v, "ref"))
            total += math.log1p(math.exp(-margin)) / len(pairs)
    return total / b.totals.groups


def una(reference, squash):
    def loss(b):
        f = (lambda x: 1 / (1 + math.exp(-x))) if squash else (lambda x: x)
        pairs = ((0.05 * b.log_ratio(i, reference), r) for i, r in enumerate(b.reward))
        return sum((f(s) - f(r)) ** 2 for s, r in pairs) / b.totals.responses

    return loss


DIFFERENTIABLE: dict[str, Callable[[Plain], float]] = {
    "dapo": clipped_tokens("token", high=0.28, dual=10.0),
    "dapo@paper": clipped_tokens("group-token", high=0.28),
    "dapo@trl": clipped_tokens("rollout-token", zscores(1e-4)),
    "dr_grpo": clipped_tokens("max-tokens", centred),
    "dr_grpo@verl": clipped_tokens("max-tokens", centred, dual=3.0),
    "gift@published": gift("ref"),
    "gift@smooth": gift("ref", smooth=True),
    "grpo": clipped_tokens("response", beta=0.04),
    "grpo@no-kl": clipped_tokens("response"),
    "grpo@trl": clipped_tokens("response", zscores(1e-4)),
    "grpo@verl": clipped_tokens("token", dual=3.0),
    "gspo": gspo(3e-4, 4e-4),
    "gspo@trl": gspo(0.2, 0.2, 1e-4),
    "gspo@verl": gspo(0.2, 0.2),
    "gvpo": gvpo("old"),
    "gvpo@initial": gvpo("ref"),
    "online_dpo": online_dpo,
    "reinforce++": reinforce_pp(False),
    "reinforce++@baseline": reinforce_pp(True),
    "reinforce++@verl": reinforce_pp(False, 3.0),
    "reinforce++@verl-baseline": reinforce_pp(True, 3.0),
    "rloo": lambda b: -sum(a * sum(y) for a, y in zip(b.within_groups(leave_one_out), b.new, strict=True)) / b.totals.responses,
    "rloo@trl": rloo_trl,
    "sft": lambda b: -sum(map(sum, b.new)) / b.totals.tokens,
    "una": una("old", squash=True),
    "una@paper": una("ref", squash=False),
}  # fmt: skip


# --- what is detached: each token's weight on log π, by hand ---


def weighted(weight):
    """A loss -Σ w·log π with w held fixed."""

    def both(b):
        w = [[weight(b, i, x, o) for x, o in zip(b.new[i], b.old[i], strict=True)] for i in range(len(b.new))]
        value = -sum(wt * x for ws, xs in zip(w, b.new, strict=True) for wt, x in zip(ws, xs, strict=True))
        return value, [-wt for ws in w for wt in ws]

    return both


def cispo(by, low=0.0, high=5.0, epsilon=1e-6):
    def weight(b, i, x, o):
        return b.within_groups(zscores(epsilon))[i] * min(max(math.exp(x - o), low), high) * b.weight(i, by)

    return weighted(weight)


def gft(tau):
    def weight(b, i, x, _):
        p = math.exp(x)
        return b.within_groups(zscores())[i] * (1 if p > tau else p) / b.totals.tokens

    return weighted(weight)


def gift_detached(reference):
    def both(b):
        a, gradient = b.within_groups(zscores()), [[] for _ in b.new]
        for members in b.groups:
            s = {i: b.log_ratio(i, reference) for i in members}
            scale = statistics.stdev(s.values()) + 1e-6
            for i in members:
                p = (s[i] - statistics.fmean(s.values())) / scale
                gradient[i] = [-2 / (b.totals.responses * scale) * (a[i] - p)] * len(b.new[i])
        return gift(reference)(b), [x for row in gradient for x in row]

    return both


def gspo_token(b):
    """The token form has the gradient of the response form; its value is the same."""
    return DIFFERENTIABLE["gspo"](b), difference(DIFFERENTIABLE["gspo"], b)


DETACHED = {
    "cispo": cispo("token"),
    "cispo@trl": cispo("rollout-token", epsilon=1e-4),
    "cispo@verl": cispo("token", 0.8, 1.2),
    "dcr": weighted(lambda b, i, x, o: (1 if math.exp(x) > 0.1 else math.exp(x)) / b.totals.tokens),
    "dcr@paper": weighted(lambda b, i, x, o: (1 if math.exp(x) > 0.7 else math.exp(x)) / b.totals.tokens),
    "dft": weighted(lambda b, i, x, o: math.exp(x) / b.totals.tokens),
    "gft": gft(0.1),
    "gft@paper": gft(0.7),
    "gft@no-mix": gft(0.1),
    "gift": gift_detached("old"),
    "gift@published-detached": gift_detached("ref"),
    "gspo_token": gspo_token,
}


def difference(loss, b, step=1e-6):
    gradient = []
    for row in b.new:
        for t, x in enumerate(row):
            sides = []
            for sign in (1, -1):
                row[t] = x + sign * step
                sides.append(loss(b))
            row[t] = x
            gradient.append((sides[0] - sides[1]) / (2 * step))
    return gradient


def transcribed(name, batch, signals):
    """Loss and gradient of the plain formula."""
    b = Plain(batch, signals.logp)
    if name in DETACHED:
        return DETACHED[name](b)
    return DIFFERENTIABLE[name](b), difference(DIFFERENTIABLE[name], b)


def test_every_preset_is_transcribed():
    assert {*DIFFERENTIABLE, *DETACHED} == set(names(built_in=True)) == set(GOLDEN)


@pytest.mark.parametrize("seed", range(5))
def test_several_unequal_groups(lab, algorithm_name, seed):
    batch, signals = lab.ragged_batch(seed)
    rollout = {f"rollout_{what}": 3 * getattr(batch.totals, what) + 5 for what in ("tokens", "responses", "groups")}
    batch = replace(batch, totals=replace(batch.totals, **rollout))
    signals = replace(signals, logp_raw=signals.logp)
    value, gradient = lab.loss_and_gradient(lab.build(algorithm_name), batch, signals)
    expected, slopes = transcribed(algorithm_name, batch, signals)
    assert value == pytest.approx(expected, abs=1e-9)
    assert gradient.tolist() == pytest.approx(slopes, abs=1e-6 * max(1, gradient.abs().max().item()))


def test_the_table_that_ships(algorithm_name):
    value, gradient = GOLDEN[algorithm_name]
    expected, slopes = transcribed(algorithm_name, *golden_batch())
    assert value == pytest.approx(expected, abs=1e-7)
    assert gradient == pytest.approx(slopes, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_gft_reads_undivided_probabilities(lab, seed):
    batch, signals = lab.ragged_batch(seed)
    b = Plain(batch, signals.logp)
    advantage = b.within_groups(zscores())
    for tau in (0.0, 0.1, 0.7, 1.0):
        _, gradient = lab.loss_and_gradient(lab.build("gft", tau=tau), batch, signals)
        tokens = [a for a, row in zip(advantage, b.new, strict=True) for _ in row]
        pairs = zip(tokens, signals.logp_raw.exp().tolist(), strict=True)
        expected = [-a * (1 if q > tau else q) / b.totals.tokens for a, q in pairs]
        assert gradient.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_kl_to_go_of_reinforce_pp(lab, seed):
    """Equation 8: each token is charged with what its response has still to pay."""
    batch, _ = lab.ragged_batch(seed)
    b = Plain(batch, batch.logp_old)
    raw = [
        r - 0.1 * sum(o - f for o, f in list(zip(old, ref, strict=True))[t:])
        for r, old, ref in zip(b.reward, b.old, b.ref, strict=True)
        for t in range(len(old))
    ]
    mean, std = statistics.fmean(raw), math.sqrt(statistics.variance(raw) + 1e-8)
    found = lab.build("reinforce++", beta=0.1).advantages(batch)
    assert found.tolist() == pytest.approx([(x - mean) / std for x in raw], abs=1e-9)
