"""Several samples an item: pass@k, pass^k, G-pass@k and majority votes.

Of one item, n samples were drawn and c of them are right. What k samples would have done is a matter of drawing k of
the n without replacement, which is unbiased for k fresh ones; all of these raise ValueError where n < k, because a
mean over fewer samples than were asked for is a wrong number, not a rough one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from .valid import Array

VOTE_DRAWS = 2000


def pass_at_k(right: ArrayLike, n: int, k: int) -> Array:
    """1 − C(n−c, k)/C(n, k): the chance that one of k is right; `right` (…), a number or one an item.

    Chen et al., arXiv 2107.03374, section 2.1.
    """
    return 1 - _all_of(n - _counts(right, n, k), n, k)


def pass_hat_k(right: ArrayLike, n: int, k: int) -> Array:
    """C(c, k)/C(n, k): the chance that all k are right, pass^k; `right` (…), a number or one an item.

    Yao et al. (τ-bench), arXiv 2406.12045, section 2.
    """
    return _all_of(_counts(right, n, k), n, k)


def g_pass_at_k(right: int, n: int, k: int, share: float) -> float:
    """Σ_{j ≥ ⌈share·k⌉} C(c, j) C(n−c, k−j)/C(n, k): the chance that at least that share of k is right, G-Pass@k_τ.

    Liu et al., arXiv 2412.13147, equation 2. A share of 1 is pass^k; the least share above 0 is pass@k. ValueError
    for a share outside (0, 1].
    """
    _check(right, n, k)
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], not {share}")
    least = math.ceil(share * k - 1e-9)  # 0.7 * 10 is not 7 in floating point
    ways = sum(math.comb(right, j) * math.comb(n - right, k - j) for j in range(least, k + 1))
    return ways / math.comb(n, k)


def majority_at_k(labels: Sequence[int], right: Sequence[int], k: int, seed: int = 0) -> float:
    """maj@k: the chance that the most frequent answer of k is right; of several equally frequent ones, their mean.

    `labels` (n,): equal answers share a label; a negative one is no answer, and no vote. `right` (n,): 1 or 0. All n
    are counted where k = n; else 2,000 draws of k without replacement, a pure function of `seed`. Wang et al.,
    arXiv 2203.11171.
    """
    votes, good = np.asarray(labels), np.asarray(right, dtype=np.float64)
    if votes.shape != good.shape or votes.ndim != 1:
        raise ValueError(f"labels and right must be one number a sample each, not {votes.shape} and {good.shape}")
    n = len(votes)
    _check(int(good.sum()), n, k)
    names = np.unique(votes[votes >= 0])
    cast = (votes[:, None] == names).astype(np.float64)  # (n, answers)
    drawn = np.arange(n)[None] if k == n else _draws(n, k, seed)
    counts, verdicts = cast[drawn].sum(1), (cast * good[:, None])[drawn].sum(1)  # (draws, answers)
    winning = (counts == counts.max(1, keepdims=True, initial=0)) & (counts > 0)
    shares = np.divide(verdicts, counts, out=np.zeros_like(counts), where=winning)
    return float((shares.sum(1) / np.maximum(winning.sum(1), 1)).mean())


@lru_cache(maxsize=64)
def _draws(n: int, k: int, seed: int) -> np.ndarray:
    """(VOTE_DRAWS, k): k of n numbers, none twice in a row."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return np.argsort(generator.random((VOTE_DRAWS, n)), axis=1)[:, :k]


def _all_of(counts: np.ndarray, n: int, k: int) -> Array:
    """C(c, k)/C(n, k) for counts (…) in 0 … n."""
    return _table(n, k)[counts]


@lru_cache(maxsize=64)
def _table(n: int, k: int) -> Array:
    return np.array([math.comb(c, k) / math.comb(n, k) for c in range(n + 1)])


def _counts(right: ArrayLike, n: int, k: int) -> np.ndarray:
    found = np.asarray(right)
    if found.size:
        _check(found.min(), n, k)
        _check(found.max(), n, k)
    if np.any(found != np.floor(found)):
        raise ValueError("right must be whole numbers: how many of an item's samples are right")
    return found.astype(np.int64)


def _check(right: int, n: int, k: int) -> None:
    if not 0 <= right <= n:
        raise ValueError(f"right must lie in 0 … n, not {right} of {n}")
    if not 1 <= k <= n:
        raise ValueError(f"k must lie in 1 … n, the samples that there are: not k = {k} of {n}")
