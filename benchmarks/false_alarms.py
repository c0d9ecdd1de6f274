"""How often a comparison of real runs finds a difference: an algorithm against itself, and against another.

    groupbench run recipes/calibration.yaml --jobs 2
    python benchmarks/false_alarms.py results/calibration [--shuffles 200]

The runs of a row are dealt into groups of 3, 5 and 10 seeds, many times over, and each group is tested as a table would
test it: final accuracy paired by seed and item, p < .05, one comparison. Between an algorithm and its A/A arm every
finding is false. The groups of different deals overlap: the figures are as good as the seeds are many, and the error
that is shown is of one deal, in which no seed stands twice.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from leaderboard.analysis import Analysis, View
from leaderboard.loading import load
from leaderboard.runs import MODES, Row
from leaderboard.stats import cluster_means, crossed

SEEDS = (3, 5, 10)


def found(differences: np.ndarray, seeds: int, shuffles: int) -> tuple[float, float, int]:
    """Of groups of so many rows of (R, N): share with p < .05, share that holds the mean of all; groups a deal."""
    rng = np.random.default_rng(seeds)
    groups = len(differences) // seeds
    estimates = [
        crossed(differences[group])
        for _ in range(shuffles)
        for group in rng.permutation(len(differences))[: groups * seeds].reshape(groups, seeds)
    ]
    truth = float(differences.mean())
    stars = np.mean([estimate.p is not None and estimate.p < 0.05 for estimate in estimates])
    held = np.mean([abs(estimate.mean - truth) <= (estimate.half_width() or 0.0) for estimate in estimates])
    return float(stars), float(held), groups


def main() -> None:
    """Print a table for each row beside the reference, and the control arm."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--shuffles", type=int, default=200)
    asked = parser.parse_args()
    (table,) = load(asked.results)
    analysis = Analysis(table, table.rows, View(), {})
    assert analysis.reference is not None
    print(
        "| against " + analysis.reference.label + " | decoding | runs | difference, pp | seeds | found, % | held, % |"
    )
    print("| :-- | :-- | --: | --: | --: | --: | --: |")
    for row in table.rows:
        for mode in MODES if row.hash != analysis.reference.hash else ():
            _report(analysis, row, mode, asked.shuffles)


def _report(analysis: Analysis, row: Row, mode: str, shuffles: int) -> None:
    mine, theirs = (analysis.scores(one, mode) for one in (row, analysis.reference))  # type: ignore[arg-type]
    less = mine.less(theirs) if mine is not None and theirs is not None else None
    if less is None:
        return
    values = less.values if less.clusters is None else cluster_means(less.values, less.clusters)
    whole = less.estimate
    for seeds in SEEDS:
        if len(values) < 2 * seeds:
            continue
        stars, held, groups = found(values, seeds, shuffles)
        error = 100 * math.sqrt(stars * (1 - stars) / groups)
        mean = f"{100 * whole.mean:+.2f} ± {100 * (whole.half_width() or 0):.2f}"
        print(f"| {row.label} | {mode} | {len(values)} | {mean} | {seeds} | {100 * stars:.1f} ± {error:.1f} |"
              f" {100 * held:.1f} |")  # fmt: skip


if __name__ == "__main__":
    main()
