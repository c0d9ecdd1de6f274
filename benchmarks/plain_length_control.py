"""Plain length control on simulated verdicts: what it makes of a judge that likes length, and how often it is right.

    python benchmarks/plain_length_control.py

Two games a pair by a judge of P(win) = σ(a·tanh(δ/sd δ) + c), a = −1.5: equal answers of equal lengths have a win rate
of σ(c). The candidate's answers are `shift` standard deviations longer than the opponent's. The table is that of
docs/judging.md; it takes some minutes.
"""

from __future__ import annotations

import numpy as np

from leaderboard.stats import crossed
from leaderboard.winrates import length_control
from leaderboard.winrates.length_control import AROUND, FEWEST, PLAIN, Rows

RUNS, DRAWS = 200, 200


def judged(rng: np.random.Generator, n: int, shift: float, constant: float = 0.0, slope: float = -1.5) -> Rows:
    """One judging of n pairs."""
    theirs = rng.normal(1000, 150, n).round()
    mine = (theirs + rng.normal(300 * shift, 300, n)).round()
    x = np.tanh((theirs - mine) / np.std(theirs - mine, ddof=1))
    p = 1 / (1 + np.exp(-(slope * x + constant)))
    return length_control.rows((rng.random((2, n)) < p).mean(0), mine, theirs, np.zeros(n), range(n))


def one_seed(n: int, shift: float) -> str:
    """A line of the table: means over runs, and how often the bootstrap's interval holds ½."""
    rng = np.random.default_rng([n, int(100 * shift)])
    raw, fitted, held = [], [], 0
    for run in range(RUNS):
        rows = judged(rng, n, shift)
        found = length_control.fit(rows, PLAIN)
        drawn = length_control.bootstrap(rows, PLAIN, str(run), found.strength, DRAWS)
        raw.append(rows.share.mean())
        fitted.append(found.win_rate)
        held += drawn.low <= 0.5 <= drawn.high
    numbers = [100 * value for value in (np.mean(raw), np.mean(fitted), np.std(fitted), held / RUNS)]
    return f"| {n} | {shift:g} | {' | '.join(f'{number:.1f}' for number in numbers)} |"


def three_seeds(n: int = 120, shift: float = 1.0) -> float:
    """How often the interval over three seeds and their pseudo-values holds ½."""
    rng, held = np.random.default_rng(n), 0
    for _ in range(RUNS):
        found = [judged(rng, n, shift) for _ in range(3)]
        values = [length_control.pseudo_values(rows, PLAIN, length_control.choose(rows, PLAIN)) for rows in found]
        estimate = crossed(np.array(values))
        held += estimate.low is not None and estimate.high is not None and estimate.low <= 0.5 <= estimate.high
    return held / RUNS


def main() -> None:
    """Print the table, and the coverage of three seeds."""
    print(f"truth 50 %, {RUNS} judgings a line; given from {FEWEST} pairs with {AROUND:.0%} on either side\n")
    print("| pairs | longer by, sd | win rate | LC | its spread | intervals that hold the truth, % |")
    print("|--:|--:|--:|--:|--:|--:|")
    for n in (10, 100, 400):
        for shift in (0.0, 1.0, 2.0):
            print(one_seed(n, shift), flush=True)
    print(f"\nthree seeds of 120 pairs, 1 sd: {three_seeds():.1%} of the intervals hold it")


if __name__ == "__main__":
    main()
