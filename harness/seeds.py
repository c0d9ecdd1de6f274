"""Randomness without state: every draw is a hash of what it is for, so there is no sampler to save or restore."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # the constants of splitmix64, as signed 64-bit integers
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64


def derive(*parts: int | str) -> int:
    """A 63-bit seed from a path of names and numbers; different paths give unrelated seeds."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def uniforms(seeds: Tensor, position: int | Tensor) -> Tensor:
    """(M,) int64 seeds -> (M,) float64 in [0, 1): the number of each seed's stream at `position`, one for all or (M,).

    splitmix64 (Steele et al. 2014) used as a counter-based generator: a response's randomness depends on nothing but
    its own seed and the position, whatever else is in the batch.
    """
    step = (position + 1) * _GOLDEN
    x = seeds + (step if isinstance(step, Tensor) else _signed(step))
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return _shift(x ^ _shift(x, 31), 11).to(torch.float64) * 2.0**-53


def draw_order(size: int, *parts: int | str) -> list[int]:
    """A permutation of range(size), a pure function of its arguments on every machine and version."""
    return list(_draw_order(size, derive(*parts)))


@lru_cache(maxsize=8)
def _draw_order(size: int, seed: int) -> tuple[int, ...]:
    keys = uniforms(torch.full((size,), seed) ^ torch.arange(size) * _MIX_1, 0)
    return tuple(keys.argsort(stable=True).tolist())


def prompts_of_step(size: int, seed: int, step: int, refill_round: int, count: int, exclude: set[int]) -> list[int]:
    """Which of `size` training prompts a step draws: `count` of them, a pure function of (seed, step, round).

    Round 0 walks through shuffled epochs of whole steps: what is left of an epoch, fewer than `count`, is left out, so
    that no step draws a prompt twice (equal prompts of a step would get equal responses). A refill round draws from the
    whole set, leaving out what the step has drawn already (`exclude`); it returns fewer when nothing else is left.
    """
    if refill_round > 0:
        order = draw_order(size, "refill", seed, step, refill_round)
        return [index for index in order if index not in exclude][:count]
    epoch, place = divmod(step - 1, max(1, size // count))
    return draw_order(size, "epoch", seed, epoch)[place * count : (place + 1) * count]


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's own is arithmetic."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(x: int) -> int:
    """The low 64 bits of `x` as a signed integer, which is what torch can hold."""
    return (x + 2**63) % 2**64 - 2**63
