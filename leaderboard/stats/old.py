"""The interval of before: over training seeds only. Goes when its users have moved to `intervals`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from .intervals import AGREEMENT
from .quantiles import t_quantile


@dataclass(frozen=True)
class Interval:
    """mean ± half_width over n values, in the unit of the values; half_width is None where n = 1."""

    mean: float
    half_width: float | None
    n: int

    @property
    def above_zero(self) -> bool:
        """Whether the interval excludes zero upward. False for one value, and where all values agree exactly."""
        return self.half_width is not None and self.half_width > AGREEMENT and self.mean > self.half_width


def t_interval(values: Iterable[float], confidence: float = 0.95) -> Interval:
    """Student's t-interval of a mean: x̄ ± t_{n−1, (1+confidence)/2} · sd / √n, with sd of n − 1 degrees of freedom.

    For a paired comparison (final − start, A − B) pass the differences, one a seed.

    Source: Student, "The probable error of a mean", Biometrika 6 (1908). On reporting a few training runs
    with intervals: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021
    (arXiv 2108.13264).

    Raises ValueError where there is no value, where one is not finite, or where confidence is not in (0, 1).
    """
    values = [float(value) for value in values]
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie strictly between 0 and 1, not {confidence}")
    if not values:
        raise ValueError("an interval needs at least one value; there is none")
    if not all(map(math.isfinite, values)):
        raise ValueError(f"an interval needs finite values, not {values}")
    mean, n = statistics.fmean(values), len(values)
    if n == 1:
        return Interval(mean, None, 1)
    return Interval(mean, t_quantile(n - 1, (1 + confidence) / 2) * statistics.stdev(values) / math.sqrt(n), n)
