"""Group-based post-training algorithms as pure functions of log-probabilities. Imports torch, nothing else of ours."""

from .base import EXPERT, POLICY, TEACHER, Algorithm, Batch, Loss, Metric, Needs, Signals, Totals
from .registry import register

__all__ = [
    "EXPERT",
    "POLICY",
    "TEACHER",
    "Algorithm",
    "Batch",
    "Loss",
    "Metric",
    "Needs",
    "Signals",
    "Totals",
    "register",
]
