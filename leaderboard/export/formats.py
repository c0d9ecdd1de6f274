"""An entry as text, the same in every export; marks and bold are each export's own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from ..columns import Entry, Kind
from ..words import NOTHING, minus, number, percent, quantity, scale


def _points(value: float) -> str:
    shown = f"{100 * value:+.1f}"
    return "0.0" if shown in ("+0.0", "-0.0") else minus(shown)


def _signed(text: str) -> str:
    """A number as printed, with a plus where it is above 0; what is 0 as printed has no sign."""
    if not re.search("[1-9∞]", text.partition(" ± ")[0]):
        return text.removeprefix("−")
    return text if text.startswith("−") else f"+{text}"


def _reward(value: float) -> str:
    """Three digits, and no rounding error of what is 0: rewards are about 1."""
    return number(round(value, 6) + 0.0)


def _change(value: float) -> str:
    return _signed(_reward(value))


PLAIN: Mapping[Kind, Callable[[float], str]] = {
    "text": str,
    "share": percent,
    "points": _points,
    "quantity": quantity,
    "log_ratio": lambda value: f"{math.exp(value):.2f}",
    "number": number,
    "reward": _reward,
    "reward_difference": _change,
    "change": _change,
    "seconds": lambda value: f"{value:.1f}",
    "count": lambda value: f"{value:.0f}",
}
SIGNED: tuple[Kind, ...] = ("reward_difference", "change")
MARGINS: tuple[Kind, ...] = ("share", "points", "quantity", "number", "reward", *SIGNED)


def text(kind: Kind, entry: Entry) -> str:
    """`61.3 ± 2.4`, `1.20 [1.05, 1.37]`, `12/48` or –, without mark."""
    if entry.text is not None:
        return entry.text
    if entry.value is None:
        return NOTHING
    shown = PLAIN[kind](entry.value)
    if entry.low is None or entry.high is None:
        return shown
    symmetric = math.isclose(entry.high - entry.value, entry.value - entry.low, rel_tol=1e-9, abs_tol=1e-12)
    if kind in MARGINS and symmetric:
        half = (entry.high - entry.low) / 2
        if kind in ("share", "points"):
            return f"{shown} ± {percent(half)}"
        margin = _margin(kind, entry.value, half)
        return _signed(margin) if kind in SIGNED else margin
    return f"{shown} [{PLAIN[kind](entry.low)}, {PLAIN[kind](entry.high)}]"


def mark(entry: Entry) -> str:
    """What follows the text: stars at once, daggers after a space."""
    return f" {entry.mark}" if entry.mark[:1] in ("†", "‡") else entry.mark


def _margin(kind: Kind, value: float, half: float) -> str:
    """Two digits of the margin, and the value as far as they reach: `33.5 ± 8.0`, `1.235 ± 0.020 M`."""
    factor, prefix = scale(max(abs(value), half))
    value, half = value / factor, half / factor
    if half == 0 or not math.isfinite(half):
        return f"{PLAIN[kind](value)} ± {PLAIN[kind](half)}{prefix}"
    digits = min(6, max(0, 1 - math.floor(math.log10(half))))
    value = round(value, digits) + 0.0  # no −0
    return minus(f"{value:.{digits}f} ± {half:.{digits}f}") + prefix
