"""Quantiles and tails of the normal, t, χ² and binomial distributions: scipy's, loaded at the first call (0.3 s)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def normal_quantile(probability: float) -> float:
    """The z with P(Z ≤ z) = probability."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(Z ≤ z), elementwise."""
    from scipy.special import ndtr

    return np.asarray(ndtr(z))


def t_quantile(df: float, probability: float) -> float:
    """Student's: t with P(T ≤ t) = probability; df > 0 need not be whole and may be infinite."""
    from scipy.special import stdtrit

    return normal_quantile(probability) if math.isinf(df) else float(stdtrit(df, probability))


def t_two_sided(df: float, t: float) -> float:
    """P(|T| ≥ |t|)."""
    from scipy.special import ndtr, stdtr

    return float(2 * (ndtr(-abs(t)) if math.isinf(df) else stdtr(df, -abs(t))))


def mean_square_quantiles(df: float, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of χ²_df / df: what an estimated variance is, relative to the true one. 1 for infinite df."""
    from scipy.special import gammaincinv

    return np.ones_like(probabilities) if math.isinf(df) else np.asarray(2 / df * gammaincinv(df / 2, probabilities))


def fair_coin_cdf(successes: int, n: int) -> float:
    """P(X ≤ successes) for X ~ Binomial(n, 1/2)."""
    from scipy.special import bdtr

    return float(bdtr(successes, n, 0.5))
