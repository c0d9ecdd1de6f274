"""What would decide an inconclusive metric: more items, or more samples of them."""

from __future__ import annotations

import math

import numpy as np

from ..stats.quantiles import normal_quantile, t_quantile
from .bounds import items_needed
from .decide import Result

POWER = 0.8


def advice(result: Result) -> str:
    """One sentence for an inconclusive result; empty for another."""
    pairs = result.pairs
    if result.verdict != "inconclusive" or pairs is None or pairs.clusters < 2:
        return ""
    variance = float(np.var(pairs.changes(result.metric.sign), ddof=1))
    needed = items_for_a_pass(variance, result.margin, result.level, result.span)
    what = "items" if pairs.clusters == len(pairs.ids) else "clusters"
    if needed <= pairs.clusters:
        return f"{pairs.clusters:,} {what} pass an unchanged checkpoint in 8 of 10 gates: bad luck, or worse"
    said = f"an unchanged checkpoint would pass in 8 of 10 gates on about {needed:,} {what} ({pairs.clusters:,} now)"
    samples = samples_needed(result, variance)
    return f"{said}, or with {samples:,} samples an item ({pairs.samples[1]} now)" if samples else said


def items_for_a_pass(variance: float, margin: float, alpha: float, span: float = 1.0) -> int:
    """The fewest items on which no change passes in 8 of 10 gates, the test's own floor and half item included.

    s/2C + t √(max(V, δ(s − δ))/C) + z_{.8} √(V/C) ≤ δ; for a large V that is `items_needed`, and for V = 0, items
    that all agree, (1 − δ/s)^C is then below α.
    """
    floor, z = max(variance, margin * (span - margin)), normal_quantile(POWER)

    def enough(count: int) -> bool:
        t = t_quantile(count - 1, 1 - alpha)
        return span / (2 * count) + (t * math.sqrt(floor) + z * math.sqrt(variance)) / math.sqrt(count) <= margin

    low = high = items_needed(variance, margin, alpha, POWER)
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def samples_needed(result: Result, variance: float) -> int | None:
    """Candidate samples an item that would do with the same items; None where no number does, or one is no mean.

    var d = (what items differ in) + noise/K; solved for K at (z_{1−α} + z_power)² var d = C δ².
    """
    pairs = result.pairs
    if (
        pairs is None
        or not pairs.noise
        or pairs.clusters < items_for_a_pass(0.0, result.margin, result.level, result.span)
    ):
        return None
    z = normal_quantile(1 - result.level) + normal_quantile(POWER)
    room = pairs.clusters * (result.margin / z) ** 2 - max(0.0, variance - pairs.noise / pairs.samples[1])
    return math.ceil(pairs.noise / room) if room > 0 else None
