"""How far a foreign engine's log-probabilities are from the trainer's, on the tokens that the engine drew.

An engine with kernels of its own never agrees to the bit, and a wrong one (stale weights, another temperature, a layer
that was not updated) still writes fluent text. So it is measured: before a run, which is refused above a bound, and at
every step, for the records.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from algorithms import Needs

from ..policy import Policy, Row
from ..rows import cut
from ..seeds import derive
from ..settings import Sampling
from .base import Engine, EngineError, Request

# Mean |Δ| above which an engine is refused. On SmolLM2-135M: 1e-5 in float32, 0.04 in bfloat16.
BOUNDS = {"float32": 1e-3, "bfloat16": 0.1}
WORST = 20  # a single token may be off by so many bounds; kernels of bfloat16 reach 10 times their mean
STRANGE = 5  # with layers in each other's place rounding grows: a median of 0.12 in bfloat16, of a stale matrix nats
CHECKED_TOKENS = 128  # of the start-up check, at least
CHECKED_LENGTH = 32  # tokens of one response there: far enough to read keys and values that were decoded, not prefilled


@dataclass(frozen=True)
class Mismatch:
    """Over `tokens` sampled tokens, in nats, with d = trainer − sampler."""

    mean: float  # of |d|
    median: float  # of |d|
    max: float  # of |d|
    k3: float  # mean of exp(d) − 1 − d: an unbiased estimate of KL(sampler ‖ trainer) (Schulman 2020)
    tokens: int


def compare(logp_trainer: Tensor, logp_sampler: Tensor) -> Mismatch:
    """(T,) and (T,), of the same tokens."""
    difference = logp_trainer.double() - logp_sampler.double()
    size = difference.abs()
    k3 = (torch.expm1(difference) - difference).mean()
    return Mismatch(size.mean().item(), size.median().item(), size.max().item(), k3.item(), len(difference))


def measure(policy: Policy, drawn: Sequence[tuple[Row, Sequence[float]]], micro_batch_tokens: int) -> Mismatch:
    """Score what was drawn, each row with its sampler's log-probabilities (one a response token), by `policy`."""
    rows = [row for row, _ in drawn]
    trainer: list[Tensor] = []
    sampler: list[float] = []
    with torch.no_grad():
        for part in cut(rows, [0] * len(rows), "response", micro_batch_tokens):
            trainer.append(policy.signals([rows[i] for i in part.tolist()], Needs()).logp.cpu())
            sampler += [logp for i in part.tolist() for logp in drawn[i][1]]
    return compare(torch.cat(trainer), torch.tensor(sampler, dtype=torch.float64))


def whole_responses(drawn: Sequence[tuple[Row, Sequence[float]]], tokens: int) -> list[tuple[Row, Sequence[float]]]:
    """The first responses that hold `tokens` tokens together; at least one, none cut off."""
    total = 0
    chosen: list[tuple[Row, Sequence[float]]] = []
    for row, logp in drawn:
        total += len(row.response)
        if chosen and total > tokens:
            break
        chosen.append((row, logp))
    return chosen


def check(
    engine: Engine, policy: Policy, prompts: Sequence[tuple[int, ...]], sampling: Sampling,
    max_mismatch: float | None, micro_batch_tokens: int,
) -> Mismatch:  # fmt: skip
    """Draw from the engine, score by the policy, and refuse an engine that is not this policy.

    Twice: with other weights throughout, which shows that a push renews every tensor, and with the policy's own.
    `prompts` are a few of the run's. Raises EngineError where the mean |Δ log-probability| is above `max_mismatch`
    (None: `BOUNDS` of the policy's precision), or a single one above `WORST` times that. With other weights the median
    counts, and may be `STRANGE` times as much: such a network is no model of anything, and rounding carries single
    tokens of it far away (46 nats were seen), where a stale matrix moves them all.
    """
    bound = BOUNDS["bfloat16" if policy.reduced else "float32"] if max_mismatch is None else max_mismatch
    with _other_weights(policy):
        seen = _drawn(engine, policy, prompts, sampling, micro_batch_tokens)
        if not (seen.median <= STRANGE * bound and math.isfinite(seen.mean)):
            raise _refused(engine, seen, "after a push of weights", f"a median of {STRANGE * bound:g}")
    seen = _drawn(engine, policy, prompts, sampling, micro_batch_tokens)
    if not (seen.mean <= bound and seen.max <= WORST * bound):  # infinities and NaN are refused as well
        raise _refused(engine, seen, "at the start", f"{bound:g} on average and {WORST * bound:g} at worst")
    engine.release()
    return seen


def _drawn(
    engine: Engine, policy: Policy, prompts: Sequence[tuple[int, ...]], sampling: Sampling, micro_batch_tokens: int
) -> Mismatch:
    """At least CHECKED_TOKENS tokens, drawn at the policy's temperature without top-p and top-k, and scored."""
    plain = Sampling(min(sampling.max_tokens, CHECKED_LENGTH), policy.temperature)
    drawn: list[tuple[Row, Sequence[float]]] = []
    rounds = 0
    while sum(len(logp) for _, logp in drawn) < CHECKED_TOKENS:  # each response has one token at least
        requests = [Request(p, tuple(derive("check", rounds, i, k) for k in range(4))) for i, p in enumerate(prompts)]
        for request, found in zip(requests, engine.generate(requests, plain), strict=True):
            drawn += [(Row(request.prompt, completion.tokens), completion.logp) for completion in found]
        rounds += 1
    return measure(policy, drawn, micro_batch_tokens)


def _refused(engine: Engine, seen: Mismatch, when: str, allowed: str) -> EngineError:
    return EngineError(
        f"{type(engine).__name__} does not draw from the policy ({when}): over {seen.tokens} tokens its log-"
        f"probabilities differ from the trainer's by {seen.mean:.2g} on average, {seen.median:.2g} in the median and "
        f"{seen.max:.2g} at worst; allowed here: {allowed} (see rollout.max_mismatch)"
    )


@contextmanager
def _other_weights(policy: Policy) -> Iterator[None]:
    """Each tensor takes the place of the next layer's, and one that has no such sibling is rolled by a row.

    Another function of the same scale, so that the engine's rounding is no worse than usual; and exact, so that undoing
    it restores every bit. It is no version of the policy's.
    """
    siblings: dict[str, list[Tensor]] = {}
    for name, parameter in policy.model.named_parameters():
        siblings.setdefault(re.sub(r"\d+", "#", name), []).append(parameter.data)
    version, policy.version = policy.version, -1
    _rotate(siblings.values(), 1)
    try:
        yield
    finally:
        _rotate(siblings.values(), -1)
        policy.version = version


def _rotate(groups: Iterable[list[Tensor]], by: int) -> None:
    for tensors in groups:
        if len(tensors) == 1:
            tensors[0].copy_(tensors[0].roll(by, 0))
            continue
        order = tensors if by > 0 else tensors[::-1]
        first = order[0].clone()
        for mine, following in pairwise(order):
            mine.copy_(following)
        order[-1].copy_(first)
