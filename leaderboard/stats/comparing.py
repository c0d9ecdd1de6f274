"""Tests of one algorithm against another, many at once, and the ranks that follow. Resampling is seeded by content."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .quantiles import fair_coin_cdf
from .valid import finite

EXACT = 18  # differences up to which all 2^n sign patterns are looked at


def generator(content: str | bytes) -> np.random.Generator:
    """The random numbers of a table: seeded by the sha256 of its content, so that equal tables have equal numbers.

    Every resampler here draws from it, and none from numpy's global state.
    """
    data = content.encode() if isinstance(content, str) else content
    return np.random.default_rng(int.from_bytes(hashlib.sha256(data).digest()))


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values, in the same order: max over j ≤ i of min(1, (m − j + 1) p_(j)).

    They control the probability of any false star in the family, whatever the dependence. None and NaN (no test: one
    seed) stay None and out of the family's m. Source: S. Holm, Scandinavian Journal of Statistics 6 (1979).
    ValueError for a p outside [0, 1].
    """
    tests = [(value, k) for k, value in enumerate(p) if value is not None and not math.isnan(value)]
    if outside := [value for value, _ in tests if not 0 <= value <= 1]:
        raise ValueError(f"a p-value must lie in [0, 1] (or be None), not {outside[0]}")
    adjusted: list[float | None] = [None] * len(p)
    highest = 0.0
    for rank, (value, k) in enumerate(sorted(tests)):
        adjusted[k] = highest = max(highest, min(1.0, (len(tests) - rank) * value))
    return adjusted


def ranks(n: int, better: Iterable[tuple[int, int]]) -> list[int]:
    """1 + the number of algorithms significantly better, for each of n; ranks are shared where nothing separates.

    `better` holds (winner, loser), each in 0 … n − 1; ValueError where one is not, or beats itself.
    """
    winners: list[set[int]] = [set() for _ in range(n)]
    for winner, loser in better:
        if winner == loser or not (0 <= winner < n and 0 <= loser < n):
            raise ValueError(f"better must hold pairs of two different numbers in 0 … {n - 1}, not {(winner, loser)}")
        winners[loser].add(winner)
    return [1 + len(above) for above in winners]


def mcnemar(a_right_b_wrong: int, a_wrong_b_right: int) -> float:
    """Exact two-sided p of two runs on the same right-or-wrong items: min(1, 2 P(X ≤ smaller)), X ~ Binomial(sum, 1/2).

    Source: Q. McNemar, Psychometrika 12 (1947), its exact form. Of two runs, not of two algorithms. ValueError for a
    negative count.
    """
    few, many = sorted((a_right_b_wrong, a_wrong_b_right))
    if few < 0:
        raise ValueError(f"counts must not be negative, not {a_right_b_wrong} and {a_wrong_b_right}")
    return min(1.0, 2 * fair_coin_cdf(few, few + many)) if many else 1.0


def sign_flip(differences: ArrayLike, content: str | bytes, draws: int = 100_000) -> float:
    """Two-sided p of paired differences (n,) under independent symmetric signs: share of |Σ ±d| ≥ |Σ d|.

    Exact over all 2^n patterns up to n = 18 differences that are not 0 (those say nothing), else (1 + hits)/(1 + draws)
    of Monte Carlo draws seeded by `content`. Smallest possible: 2/2^n, so never below 0.05 under 6 seeds. Source:
    R. A. Fisher, "The Design of Experiments", 1935, section 21; the +1: Phipson and Smyth, Stat. Appl. Genet. Mol.
    Biol. 9 (2010). ValueError where there is no difference, one is not finite, or draws < 1.
    """
    found = finite(differences, "differences", "(n,)")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    moved = found[found != 0]
    # Sums that are equal on paper must count as equal in floating point.
    least = abs(moved.sum()) - 1e-9 * np.abs(moved).sum()
    if moved.size <= EXACT:
        sums = np.zeros(1)
        for value in moved:
            sums = np.concatenate([sums - value, sums + value])
        return float(np.mean(np.abs(sums) >= least))
    rng, hits, chunk = generator(content), 0, max(1, 1_000_000 // moved.size)
    for first in range(0, draws, chunk):
        flips = rng.integers(0, 2, size=(min(chunk, draws - first), moved.size), dtype=np.int8)
        hits += int((np.abs(2 * (flips @ moved) - moved.sum()) >= least).sum())
    return (1 + hits) / (1 + draws)
