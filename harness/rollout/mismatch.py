"""How far a foreign engine's log-probabilities are from the trainer's, on the tokens that the engine drew.

An engine with kernels of its own never agrees to the bit, and a wrong one (stale weights, another temperature, a layer
that was not updated) still writes fluent text. So it is measured: before a run, which is refused above a bound, and at
every step, for the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms import Needs

from ..policy import Policy, Row
from ..rows import cut
from ..seeds import derive
from ..settings import Sampling
from .base import Completion, Engine, EngineError, Request

# Mean |Δ| above which an engine is refused. On SmolLM2-135M: 1e-5 in float32, 0.03 in bfloat16.
BOUNDS = {"float32": 1e-3, "bfloat16": 0.1}
WORST = 20  # a single token may be off by so many bounds; kernels of bfloat16 reach 10 times their mean
CHECKED_TOKENS = 128  # of the start-up check, at least
CHECKED_LENGTH = 32  # tokens of one response there: far enough to read keys and values that were decoded, not prefilled


@dataclass(frozen=True)
class Mismatch:
    """Over `tokens` sampled tokens, in nats, with d = trainer − sampler."""

    mean: float  # of |d|
    max: float  # of |d|
    k3: float  # mean of exp(d) − 1 − d: an unbiased estimate of KL(sampler ‖ trainer) (Schulman 2020)
    tokens: int


def compare(logp_trainer: Tensor, logp_sampler: Tensor) -> Mismatch | None:
    """(T,) and (T,). Tokens whose probability the sampler could not tell (NaN) are left out; None if that is all."""
    known = ~logp_sampler.isnan()
    difference = (logp_trainer.double() - logp_sampler.double())[known]
    if not len(difference):
        return None
    size = difference.abs()
    k3 = (torch.expm1(difference) - difference).mean()
    return Mismatch(size.mean().item(), size.max().item(), k3.item(), len(difference))


def measure(policy: Policy, drawn: Sequence[tuple[Row, Sequence[float]]], micro_batch_tokens: int) -> Mismatch | None:
    """Score what was drawn, each row with its sampler's log-probabilities (one a response token), by `policy`."""
    rows = [row for row, _ in drawn]
    if not rows:
        return None
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

    `prompts` are a few of the run's own. Tokens are drawn at the run's temperature, without top-p and top-k. Raises
    EngineError where the mean |Δ log-probability| is above `max_mismatch` (None: `BOUNDS` of the policy's precision),
    or a single one above `WORST` times that.
    """
    bound = BOUNDS["bfloat16" if policy.reduced else "float32"] if max_mismatch is None else max_mismatch
    plain = Sampling(min(sampling.max_tokens, CHECKED_LENGTH), policy.temperature)
    drawn: list[tuple[Row, Completion]] = []
    rounds = 0
    while sum(len(completion.tokens) for _, completion in drawn) < CHECKED_TOKENS:  # each has one token at least
        requests = [Request(p, tuple(derive("check", rounds, i, k) for k in range(4))) for i, p in enumerate(prompts)]
        for request, found in zip(requests, engine.generate(requests, plain), strict=True):
            drawn += [(Row(request.prompt, completion.tokens), completion) for completion in found]
        rounds += 1
    engine.release()
    seen = measure(policy, [(row, completion.logp) for row, completion in drawn], micro_batch_tokens)
    if seen is None:
        raise EngineError(f"{type(engine).__name__} reports no log-probabilities, so it cannot be checked")
    if not (seen.mean <= bound and seen.max <= WORST * bound):  # infinities and NaN are refused as well
        raise EngineError(
            f"{type(engine).__name__} does not draw from the policy: over {seen.tokens} tokens its "
            f"log-probabilities differ from the trainer's by {seen.mean:.2g} on average and "
            f"{seen.max:.2g} at worst; allowed are {bound:g} (rollout.max_mismatch) and {WORST * bound:g}"
        )
    return seen
