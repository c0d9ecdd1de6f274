"""The columns that a table may have, by name."""

from . import conduct, convergence, identity, measure, rewards  # noqa: F401  each adds its own
from .base import COLUMNS, Column, Entry, Kind

__all__ = ["COLUMNS", "Column", "Entry", "Kind"]
