"""Columns of what training on a reward does: gold, over-optimisation, and how far the policy went from its start."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..analysis import Analysis
from ..runs import MODES, Mode, Row
from ..stats import over_seeds
from .base import NOTHING, Entry, add, estimated
from .measure import GAIN, PEAK_DROP, at, delta, gain, interval, of, peak_drop, stars, versus

GOLD = "Gold: what a response is truly worth, in the unit of rewards that are fitted to preferences (nats)."
OVEROPTIMISATION = (
    "Over-optimisation gap: gain in reward, the proxy, minus gain in gold, paired by seed and item (Gao et al. 2023, "
    "arXiv 2210.10760)."
)
KL = (
    "KL: of the policy from its start in nats a response, estimated on the samples of the last held-out evaluation; "
    "mean and 95 % t-interval over seeds."
)
ENTROPY = (
    "Entropy: of the policy in nats a token, mean over the tokens sampled at the last held-out evaluation, and over "
    "seeds; its change: since the start."
)
LENGTH = (
    "Length drift: tokens of a sampled held-out response at the end minus at the start; mean and 95 % t-interval over "
    "seeds."
)


def _overoptimisation(analysis: Analysis, row: Row, *, mode: Mode) -> Entry:
    return of(analysis.overoptimisation(row, mode))


def _over_seeds(values: dict[int, float]) -> Entry:
    return estimated(over_seeds(list(values.values())), values) if values else NOTHING


def _end(_: Analysis, row: Row, *, key: str) -> Entry:
    """At the last sampled held-out evaluation."""
    ends: dict[int, Any] = {c.seed: end for c in row.done if (end := c.final("sampled")) is not None and key in end}
    return _over_seeds({seed: float(end[key]) for seed, end in ends.items()})


def _change(_: Analysis, row: Row, *, key: str) -> Entry:
    """The same, less that at step 0."""
    changes: dict[int, float] = {}
    for cell in row.done:
        start: Any = cell.start("sampled")
        end: Any = cell.final("sampled")
        if start is not None and key in start and key in end:
            changes[cell.seed] = float(end[key] - start[key])
    return _over_seeds(changes)


def _add_mode(mode: Mode) -> None:
    gold: dict[str, Any] = {"mode": mode, "measure": "gold"}
    said = partial(interval, words=(GOLD,), **gold)
    for when in ("start", "final"):
        add(f"{mode}_gold_{when}", "reward", f"{mode} gold: {when}", partial(at, when=when, **gold), said)
    said = partial(interval, words=(GOLD, GAIN), **gold)
    add(f"{mode}_gold_gain", "reward_difference", f"{mode} gold: gain", partial(gain, **gold), said)
    add(
        f"{mode}_gold_delta", "reward_difference", lambda a: f"{mode} gold: {versus(a)}", partial(delta, **gold),
        lambda a: (GOLD, *stars(a, "gold")),
    )  # fmt: skip
    words = (GOLD, PEAK_DROP)
    add(f"{mode}_gold_peak_drop", "reward", f"{mode} gold: below its peak", partial(peak_drop, **gold), words)
    said = partial(interval, words=(GOLD, OVEROPTIMISATION), **gold)
    add(
        f"{mode}_overoptimisation", "reward_difference", f"{mode}: over-optimisation gap",
        partial(_overoptimisation, mode=mode), said,
    )  # fmt: skip


for _mode in MODES:
    _add_mode(_mode)
add("kl", "number", "KL to the start", partial(_end, key="kl"), (KL,))
add("entropy", "number", "entropy", partial(_end, key="entropy"), (ENTROPY,))
add("entropy_change", "change", "entropy: change", partial(_change, key="entropy"), (ENTROPY,))
add("length_drift", "change", "length drift", partial(_change, key="response_tokens"), (LENGTH,))
