"""How often the gate errs where the true loss is exactly its margin: the table of docs/gate.md.

    python benchmarks/gate_errors.py [--repetitions 8000]

A quarter of a minute on one core. Each number is the highest of eight distributions of the loss, from harmless to
spiteful.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from leaderboard.gate.bounds import bounds

Draw = Callable[[tuple[int, int]], np.ndarray]
SETTINGS = ((30, 0.06), (60, 0.06), (200, 0.03), (500, 0.03))


def main() -> None:
    """The table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=8000, help="of each distribution")
    repetitions = parser.parse_args().repetitions
    print("| %, at a loss of δ | Student's passes | the gate's passes | the gate's fails |\n| --- | --: | --: | --: |")
    for samples in (1, 4, 32):
        for count, delta in SETTINGS:
            passed, failed, plain = errors(samples, count, delta, repetitions)
            numbers = " | ".join(f"{100 * rate:.1f}" for rate in (plain, passed, failed))
            print(f"| {count} items × {samples}, δ = {100 * delta:g} pp | {numbers} |", flush=True)


def nulls(samples: int, delta: float, rng: np.random.Generator) -> Iterator[Draw]:
    """Distributions of an item's change with mean −δ, from harmless to spiteful; (R, N) each."""

    def sampled(shape, chance, kept):
        both = rng.binomial(samples, chance * kept), rng.binomial(samples, chance)
        return (both[0] - both[1]) / samples

    def everywhere(shape):
        return sampled(shape, rng.beta(2, 2, size=shape), 1 - 2 * delta)

    def some_items_lost(shape):
        return sampled(shape, rng.random(shape), rng.random(shape) >= 2 * delta)

    def always_right_some_lost(shape):
        return -(rng.random(shape) < delta).astype(float)

    def two_points(often, seldom):  # mean −δ
        chance = (often + delta) / (often - seldom)
        return lambda shape: np.where(rng.random(shape) < chance, seldom, often)

    yield from (everywhere, some_items_lost, always_right_some_lost)
    for often, seldom in ((1 / samples, -1.0), (0.1, -1.0), (0.25, -1.0), (0.0, -0.5), (-delta - 0.03, 1.0)):
        yield two_points(often, seldom)


def errors(samples: int, count: int, delta: float, repetitions: int) -> tuple[float, float, float]:
    """The highest rates of any null: passes, fails, and passes of Student's test alone."""
    rng, highest = np.random.default_rng(count + samples), np.zeros(3)
    for draw in nulls(samples, delta, rng):
        values = draw((repetitions, count))
        found = bounds(values, delta, 0.05)
        plain = values.mean(-1) - stats.t.ppf(0.95, count - 1) * values.std(-1, ddof=1) / math.sqrt(count)
        seen = [(found.low > -delta).mean(), (found.high < -delta).mean(), (plain > -delta).mean()]
        highest = np.maximum(highest, seen)
    passed, failed, plain = highest.tolist()
    return passed, failed, plain


if __name__ == "__main__":
    main()
