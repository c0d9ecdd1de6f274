"""An entry as text, the same in every export; marks and bold are each export's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..columns import Entry, Kind
from ..words import NOTHING, minus, percent, quantity

PLAIN: Mapping[Kind, Callable[[float], str]] = {
    "text": str,
    "share": percent,
    "points": lambda value: minus(f"{100 * value:+.1f}"),
    "quantity": quantity,
    "log_ratio": lambda value: f"{math.exp(value):.2f}",
    "number": lambda value: minus(f"{value:.3g}"),
    "seconds": lambda value: f"{value:.1f}",
    "count": lambda value: f"{value:.0f}",
}
HALF_WIDTHS: Mapping[Kind, Callable[[float], str]] = {
    "share": percent,
    "points": percent,
    "quantity": lambda value: quantity(float(f"{value:.2g}")),
    "number": lambda value: f"{value:.2g}",
}


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
    if kind in HALF_WIDTHS and symmetric:
        return f"{shown} ± {HALF_WIDTHS[kind]((entry.high - entry.low) / 2)}"
    return f"{shown} [{PLAIN[kind](entry.low)}, {PLAIN[kind](entry.high)}]"
