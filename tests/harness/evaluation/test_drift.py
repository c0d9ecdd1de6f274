"""KL and entropy at a look: exact where they can be known exactly, and the estimate's mean where it cannot."""

import pytest
import torch

from harness import models
from harness.evaluation.drift import Drift
from harness.policy import Policy, Row


@pytest.fixture(scope="module")
def pair():
    """A tiny policy and its start, which differ."""
    start = Policy(models.load_model(models.find("tiny")), torch.device("cpu"), "float32", 0.7)
    policy = start.frozen_copy()
    with torch.no_grad():
        for number, parameter in enumerate(policy.model.parameters()):
            noise = torch.Generator().manual_seed(number)
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=noise))
    return policy, start


ROWS = [Row((3, 4), (5, 6, 1)), Row((7,), (8,)), Row((3, 4, 5), ()), Row((9, 3), (4, 5, 6, 7, 1))]


def logprobs(policy, row, temperature):
    ids = torch.tensor([[*row.prompt, *row.response]])
    with torch.inference_mode():
        logits = policy.model(ids).logits[0, len(row.prompt) - 1 : -1] / temperature
    return logits.log_softmax(-1)


@pytest.mark.parametrize("budget", [1, 20, 10000])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_each_response_by_hand(pair, budget, temperature):
    policy, start = pair
    found = Drift(policy, start, budget).measure(ROWS, temperature)
    for row, moved in zip(ROWS, found, strict=True):
        mine, theirs = (logprobs(one, row, temperature) for one in (policy, start))
        ids = torch.tensor(row.response, dtype=torch.int64)[:, None]
        assert moved.log_ratio == pytest.approx((mine - theirs).gather(1, ids).sum().item(), abs=2e-5)
        assert moved.entropy == pytest.approx(-(mine.exp() * mine).sum().item(), abs=2e-5)
    assert policy.temperature == start.temperature == 0.7  # a look does not change how it is trained


def test_at_the_start_nothing_has_moved(pair):
    _, start = pair
    assert [moved.log_ratio for moved in Drift(start, start.frozen_copy(), 100).measure(ROWS, 1.0)] == [0.0] * len(ROWS)


def test_the_mean_over_draws_is_the_kl(pair):
    """Over all one-token responses, weighed by their probability: the definition."""
    policy, start = pair
    rows = [Row((3, 4), (token,)) for token in range(policy.model.config.vocab_size)]
    found = Drift(policy, start, 10000).measure(rows, 1.0)
    mine, theirs = (logprobs(one, rows[0], 1.0)[0] for one in (policy, start))
    kl = sum(p * moved.log_ratio for p, moved in zip(mine.exp().tolist(), found, strict=True))
    assert kl == pytest.approx((mine.exp() * (mine - theirs)).sum().item(), abs=1e-5) and kl > 0.01
