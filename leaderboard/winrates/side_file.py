"""What length control knows besides the verdicts; `tasks.alpaca_eval` reads it from AlpacaEval's side file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..stats.valid import Array

WEIGHT = 0.1  # of a gamed row: λ/2, λ = 0.2, two of them (alpaca_eval 0.6.6, metrics/glm_winrate.py)


@dataclass(frozen=True, eq=False)
class SideFile:
    """How hard each instruction is, and two baselines that were made longer and shorter on purpose.

    M gamed rows, K instructions.
    """

    difficulty: Array  # (K,) γ, in the official order of the instructions
    gamed_length: Array  # (M,) tanh of the standardised difference of lengths
    gamed_difficulty: Array  # (M,)
    gamed_share: Array  # (M,) the judge's preference for the gamed answers, in [0, 1]
    path: Path | None = None  # of the gamed rows, which alpaca_eval's own function reads for itself
