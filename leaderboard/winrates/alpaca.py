"""AlpacaEval's win rate, its published standard error, and the discrete win rate.

With w_i = preference_i − 1, the candidate's share in [0, 1] of instruction i:

    win rate = mean w        standard error = sd(w, ddof 1)/√n        discrete = (#(w > ½) + ½ #(w = ½))/n

Source: alpaca_eval 0.6.6, metrics/winrate.py and helpers.py. Instructions without a verdict are in neither numerator
nor n, so that n belongs beside every win rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class WinRate:
    """Shares in [0, 1]."""

    win_rate: float
    standard_error: float | None  # None for one instruction
    discrete: float
    wins: int
    losses: int
    ties: int
    n: int


def win_rate(shares: ArrayLike) -> WinRate:
    """Of the candidate's shares (N,), NaN where there is no verdict. ValueError where there is none, or one is not."""
    every = np.asarray(shares, dtype=np.float64)
    w = every[~np.isnan(every)]
    if not w.size or w.min() < 0 or w.max() > 1:
        raise ValueError("shares must lie in [0, 1] (or be NaN), and one at least must be there")
    wins, ties = int((w > 0.5).sum()), int((w == 0.5).sum())
    error = float(w.std(ddof=1) / np.sqrt(w.size)) if w.size > 1 else None
    return WinRate(float(w.mean()), error, (wins + ties / 2) / w.size, wins, w.size - wins - ties, ties, w.size)


def shares_of(preferences: ArrayLike) -> np.ndarray:
    """Shares from preferences as alpaca_eval stores them: 1 the baseline, 2 the candidate, 0 and 1.5 a tie, −1 none."""
    found = np.asarray(preferences, dtype=np.float64)
    found = np.where(found == 0, 1.5, found)
    return np.where((found >= 1) & (found <= 2), found - 1, np.nan)
