"""Numbers and names as words, the same in every export and every sentence below a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .records import Axis
from .runs import Table

NOTHING = "–"
AXIS_NAMES: Mapping[Axis, str] = {
    "steps": "steps",
    "optimizer_steps": "optimizer steps",
    "prompts": "prompts",
    "generated_tokens": "generated tokens",
    "trained_tokens": "trained tokens",
    "flops": "FLOPs",
    "seconds": "seconds",
}
_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def titles(tables: Sequence[Table]) -> list[str]:
    """One title a table: benchmark, task, model; with the table's slug where two would be the same."""
    plain = [f"{table.benchmark}: {table.task}, {table.model or 'model unknown'}" for table in tables]
    counts = Counter(plain)
    return [
        title if counts[title] == 1 else f"{title} ({table.slug})" for title, table in zip(plain, tables, strict=True)
    ]


def budget(spec: Mapping[str, Any] | None) -> str:
    """A budget in words: `50 steps or 2 M generated tokens, whichever comes first`."""
    if spec is None:
        return "unknown (no cell was started)"
    limits = [
        f"{quantity(limit)} {AXIS_NAMES.get(axis, axis)}"  # type: ignore[call-overload]
        for axis in (*AXIS_NAMES, *sorted(spec.keys() - AXIS_NAMES.keys()))
        if (limit := spec.get(axis)) is not None
    ]
    if not limits:
        return "none recorded"
    return limits[0] if len(limits) == 1 else f"{', '.join(limits[:-1])} or {limits[-1]}, whichever comes first"


def quantity(value: object) -> str:
    """Four digits and an SI prefix at most: `512`, `1.235 M`, `20 k`; three where it is small and no whole number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if math.isinf(value):
        return "∞"
    for factor, prefix in _PREFIXES:
        if abs(value) >= 0.9999 * factor and abs(value) >= 1e4:
            return f"{value / factor:.4g} {prefix}"
    return f"{value:.4g}" if value == int(value) else f"{value:.3g}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage without its sign."""
    return NOTHING if share is None else minus(f"{100 * share:.{digits}f}")


def minus(text: str) -> str:
    """A number with a minus sign instead of a hyphen."""
    return text.replace("-", "−")
