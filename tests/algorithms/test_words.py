"""Words of the vocabulary: a misspelt one is refused with what is allowed, and none falls through to another."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from algorithms import Needs, ops
from algorithms.card import KL, Card, Clip, Std
from algorithms.conformance.toy import ragged_batch


@pytest.mark.parametrize("word", ["responses", "tokens", "Token", "group", None, ["token"]])
def test_a_divisor_that_does_not_exist(word):
    batch, signals = ragged_batch(0)
    with pytest.raises(ValueError) as error:
        ops.aggregate(signals.logp, batch, word)
    assert f"aggregate: by = {word!r}; allowed: 'response', 'response-sum', 'token', " in str(error.value)
    assert "'max-tokens'" in str(error.value)


def test_the_words_that_exist_are_divisors_of_their_own():
    batch, signals = ragged_batch(0)
    values = {ops.aggregate(torch.ones_like(signals.logp), batch, by).item() for by in get_args(ops.TokenAggregation)}
    assert len(values) >= 4  # on a whole rollout of ones, all that average tokens give 1


def test_a_policy_that_does_not_exist():
    batch, signals = ragged_batch(0)
    for function in (lambda: ops.sequence_log_ratio(signals.logp, batch, "old"), lambda: Needs.against("old")):
        with pytest.raises(ValueError, match="reference = 'old'; allowed: 'rollout', 'initial'"):
            function()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Card(baseline="mean"), "Card.baseline = 'mean'; allowed: None (not stated), 'group mean', "),
        (lambda: Card(std="none"), "Card.std = 'none'; allowed: None (not stated), Std(...), 'nothing'"),
        (
            lambda: Card(aggregation="responses"),
            "Card.aggregation = 'responses'; allowed: None (not stated), 'response', ",
        ),
        (lambda: Card(clip=0.2), "Card.clip = 0.2; allowed: None (not stated), Clip(...), 'none'"),
        (lambda: Card(kl="k3"), "Card.kl = 'k3'; allowed: None (not stated), KL(...), 'none'"),
        (lambda: Card(reference="old"), "Card.reference = 'old'; allowed: 'none', 'rollout', 'initial'"),
        (lambda: Card(reference=None), "Card.reference = None; allowed: 'none', "),
        (lambda: Std("groups"), "Std.scope = 'groups'; allowed: 'group', 'batch', 'batch tokens'"),
        (lambda: Clip(0.8, 1.2, on="ratio"), "Clip.on = 'ratio'; allowed: 'token ratio', "),
        (lambda: KL(0.1, "k4", "loss"), "KL.estimator = 'k4'; allowed: 'k1', 'k2', 'k3', 'ρ·k3'"),
        (lambda: KL(0.1, "k3", "rewards"), "KL.place = 'rewards'; allowed: 'loss', 'reward'"),
    ],
)
def test_a_card_is_refused_where_it_is_made(make, said):
    with pytest.raises(ValueError) as error:
        make()
    assert said in str(error.value)
