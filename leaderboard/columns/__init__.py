"""The columns that a table may have, by name."""

from . import conduct, convergence, final, identity, measure, rewards  # noqa: F401  each adds its own
from .base import COLUMNS, Column, Entry, Kind
from .final import FAMILIES, expanded, find

__all__ = ["COLUMNS", "FAMILIES", "Column", "Entry", "Kind", "expanded", "find"]
