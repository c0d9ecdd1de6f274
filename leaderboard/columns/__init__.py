"""The columns that a table may have, by name."""

from . import accuracy, conduct, convergence, identity  # noqa: F401  each adds its own
from .base import COLUMNS, Column, Entry, Kind

__all__ = ["COLUMNS", "Column", "Entry", "Kind"]
