"""The measure itself, and the check that refuses an engine which is not the policy."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from algorithms import Needs
from harness.policy import Row
from harness.rollout import EngineError, mismatch
from harness.rollout.transformers import TransformersEngine
from harness.settings import Sampling

NAN = math.nan


def test_worked_by_hand():
    seen = mismatch.compare(torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-1.0, -2.5, -2.0]))
    assert (seen.mean, seen.median, seen.max, seen.tokens) == (0.5, 0.5, 1.0, 3)
    d = 0.0, 0.5, -1.0
    assert seen.k3 == pytest.approx(sum(math.exp(x) - 1 - x for x in d) / 3, abs=1e-15)


def test_k3_estimates_the_divergence_of_the_sampler_from_the_trainer():
    sampler, trainer = torch.tensor([0.7, 0.2, 0.1]).double().log(), torch.tensor([0.5, 0.3, 0.2]).double().log()
    drawn = torch.multinomial(sampler.exp(), 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    exact = (sampler.exp() * (sampler - trainer)).sum().item()
    assert mismatch.compare(trainer[drawn], sampler[drawn]).k3 == pytest.approx(exact, rel=0.02)


def test_measured_in_any_cut_and_on_whole_responses(build_model, cpu_policy):
    policy = cpu_policy(build_model())
    rows = [Row((5, 6), (7,)), Row((8,), (9, 10, 11)), Row((5,), (12, 13))]
    with torch.no_grad():
        logp = [policy.signals([row], Needs()).logp.tolist() for row in rows]
    logp[1][2] += 0.5
    drawn = list(zip(rows, logp, strict=True))
    for micro_batch_tokens in (1, 8, 1000):
        seen = mismatch.measure(policy, drawn, micro_batch_tokens)
        assert seen.tokens == 6
        assert (seen.mean, seen.max) == (pytest.approx(0.5 / 6, abs=1e-5), pytest.approx(0.5, abs=1e-5))
    assert mismatch.whole_responses(drawn, 4) == drawn[:2]
    assert mismatch.whole_responses(drawn, 3) == mismatch.whole_responses(drawn, 0) == drawn[:1]


class TestCheck:
    PROMPTS = [(5, 6, 7), (8, 9)]  # noqa: RUF012

    def check(self, policy, engine, bound=None, sampling=Sampling(8)):  # noqa: B008
        return mismatch.check(engine, policy, self.PROMPTS, sampling, bound, 1000)

    def test_our_own_engine_agrees(self, build_model, cpu_policy):
        policy = cpu_policy(build_model(), temperature=0.7)
        seen = self.check(policy, TransformersEngine(policy, [1], 1000), sampling=Sampling(8, 0.7, top_p=0.5))
        assert seen.mean < 1e-4 and seen.tokens >= mismatch.CHECKED_TOKENS

    @pytest.mark.parametrize("wrong", ["weights", "temperature", "no number"])
    def test_another_policys_engine_is_refused(self, build_model, cpu_policy, wrong):
        policy = cpu_policy(build_model())
        other = cpu_policy(build_model(seed=1 if wrong == "weights" else 0))
        engine = TransformersEngine(other, [1], 1000)
        if wrong == "temperature":
            draw = engine.generate
            engine.generate = lambda requests, sampling: draw(requests, replace(sampling, temperature=1.2))
        if wrong == "no number":
            draw = engine.generate
            engine.generate = lambda *asked: [
                [replace(c, logp=(NAN,) * len(c.logp)) for c in found] for found in draw(*asked)
            ]
        with pytest.raises(EngineError, match="log-probabilities"):
            self.check(policy, engine)

    def test_the_bound_is_the_recipes_or_the_precisions(self, build_model, cpu_policy):
        policy = cpu_policy(build_model(), precision="bfloat16")
        seen = self.check(policy, TransformersEngine(policy, [1], 1000))
        assert 1e-3 < seen.mean < mismatch.BOUNDS["bfloat16"]
        with pytest.raises(
            EngineError, match=r"after a push.*allowed here: a median of 0\.005 \(see rollout\.max_mism"
        ):
            self.check(policy, TransformersEngine(policy, [1], 1000), bound=1e-3)

    def test_a_few_tokens_far_off_are_rounding_in_a_strange_network_and_an_error_in_the_policy(
        self, build_model, cpu_policy
    ):
        policy = cpu_policy(build_model())
        engine = TransformersEngine(policy, [1], 1000)
        draw, version = engine.generate, [-1]

        def one_far_off(requests, sampling):
            found = draw(requests, sampling)
            if policy.version in version:
                first = found[0][0]
                found[0][0] = replace(first, logp=(first.logp[0] - 46.0, *first.logp[1:]))
            return found

        engine.generate = one_far_off
        assert self.check(policy, engine).max < 1e-3
        version[:] = [policy.version]
        with pytest.raises(EngineError, match="at the start"):
            self.check(policy, engine)
