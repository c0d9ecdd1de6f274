"""Where runs of a paper's study have other settings than its recipe: the harness knows, and hands it over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .runs import Table

# Of a table that is a paper's study, `budget.steps = 2, not 40` each; nothing of any other table.
Departures = Callable[[Table], Sequence[str]]
SIGN = "†"
SHOWN = 3


def untold(_: Table) -> Sequence[str]:
    """Where nobody knows the recipes."""
    return ()


def words(found: Sequence[str], most: int | None = SHOWN) -> str:
    """`not the study's settings: budget.steps = 2, not 40; …, and 4 more`."""
    shown = found if most is None else found[:most]
    more = f"; and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return f"not the study's settings: {'; '.join(shown)}{more}"
