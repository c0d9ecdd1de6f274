"""AlpacaEval's published win rates beside ours, from GPT-4's stored preferences: the table of docs/judging.md.

    python benchmarks/alpaca_published.py DATA_FOLDER [--official] [--draws 1000]

DATA_FOLDER holds `alpaca_eval/`: preferences of 42 models, the published leaderboard, and length control's side file.
Rows are joined to difficulties by the text of their instruction. --official adds alpaca_eval's own function (10 s).
A minute on one core. Files of two models miss rows, and the published numbers of these joined what is left by position:
their table shows both joins.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from harness.judging.side import side_file
from leaderboard.winrates import alpaca, alpaca_package, length_control
from leaderboard.winrates.alpaca import WinRate
from leaderboard.winrates.length_control import Fit, Interval, Rows
from leaderboard.winrates.side_file import SideFile
from tasks.alpaca_eval import AlpacaEval

BASELINE = "gpt4_1106_preview"
REPRODUCED = 0.0005  # deviation up to which the official function is said to reproduce a published number


@dataclass(frozen=True)
class Model:
    """One model's preferences, joined, and what was published of it (shares in [0, 1])."""

    name: str
    rows: Rows
    by_position: Rows | None  # joined as the published number was, where the file misses rows
    win_rate: float
    discrete: float
    length_controlled: float
    lc_standard_error: float  # NaN where none was published


@dataclass(frozen=True)
class Compared:
    """Ours beside the published."""

    model: Model
    raw: WinRate
    fit: Fit
    interval: Interval | None
    official: float | None  # length-controlled, by alpaca_eval itself

    @property
    def off(self) -> float:
        """Our length-controlled win rate less the published one."""
        return self.fit.win_rate - self.model.length_controlled

    @property
    def reproduced(self) -> bool:
        """Whether the official function comes out at the published number with this side file."""
        return self.official is not None and abs(self.official - self.model.length_controlled) <= REPRODUCED


def models(folder: Path, side: SideFile) -> list[Model]:
    """All models of the stored preferences, by name."""
    data = folder / "alpaca_eval"
    lengths = [len(example.answer) for example in AlpacaEval(folder=str(data)).heldout]
    published = pd.read_csv(data / "leaderboard_v2_weighted_alpaca_eval_gpt4_turbo.csv", index_col=0)
    found = []
    for name, table in pd.read_parquet(data / "annotations_v2_slim_42.parquet").groupby("model"):
        places = aligned(table["len_1"].tolist(), lengths)
        joined = _rows(table, side, places)
        whole = len(places) == len(lengths)
        said = published.loc[str(name)]
        found.append(
            Model(
                str(name),
                joined,
                None if whole else _rows(table, side, list(range(len(places)))),
                said["win_rate"] / 100,
                said["discrete_win_rate"] / 100,
                said["length_controlled_winrate"] / 100,
                said["lc_standard_error"] / 100,
            )
        )
    return found


def aligned(lengths: Sequence[int], every: Sequence[int]) -> list[int]:
    """Which of every instruction each row is of, by the length of the baseline's answer; rows may be missing."""
    places, start = [], 0
    for length in lengths:
        start = every.index(length, start) + 1
        places.append(start - 1)
    return places


def _rows(table: pd.DataFrame, side: SideFile, index: Sequence[int]) -> Rows:
    shares = alpaca.shares_of(table["preference"])
    return length_control.rows(shares, table["len_2"], table["len_1"], side.difficulty[list(index)], index)


def compare(model: Model, side: SideFile, official: bool = False, draws: int = 0) -> Compared:
    """Recompute one model; no interval without `draws`."""
    fit = length_control.fit(model.rows, side)
    interval = length_control.bootstrap(model.rows, side, model.name, fit.strength, draws) if draws else None
    theirs = None
    if official and model.name != BASELINE:
        theirs = alpaca_package.by_position(model.by_position or model.rows, side).length_controlled
    return Compared(model, alpaca.win_rate(model.rows.share), fit, interval, theirs)


def shuffled(model: Model, side: SideFile, seed: int) -> Fit:
    """The same from rows in another order."""
    order, rows = np.random.default_rng(seed).permutation(len(model.rows.share)), model.rows
    zeros = np.zeros(len(order))
    parts = (rows.share, zeros, rows.delta, rows.difficulty, rows.index)
    return length_control.fit(length_control.rows(*(part[order] for part in parts)), side)


def main() -> None:
    """Print the table, the worst deviations, and what shuffling changes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--official", action="store_true")
    parser.add_argument("--draws", type=int, default=length_control.DRAWS)
    arguments = parser.parse_args()
    side = side_file(AlpacaEval(folder=str(arguments.folder / "alpaca_eval")))
    assert side is not None
    found = [compare(m, side, arguments.official, arguments.draws) for m in models(arguments.folder, side)]
    print("| model | n | win rate | published | LC | 95 % | published | ours − published | official − published | SE | "
          "published SE |")  # fmt: skip
    print("|---|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|")
    for one in sorted(found, key=lambda one: -one.fit.win_rate):
        print(line(one))
    for one in found:
        if one.model.by_position is not None:
            positional = compare(replace(one.model, rows=one.model.by_position), side)
            print(f"\n{one.model.name}: {one.raw.n} rows, LC {100 * one.fit.win_rate:.2f} joined by instruction, "
                  f"{100 * positional.fit.win_rate:.2f} by position, published "
                  f"{100 * one.model.length_controlled:.2f}")  # fmt: skip
    summary(found)
    complete = [one for one in found if one.model.by_position is None and one.model.name != BASELINE]
    free = max(abs(length_control.fit(one.model.rows, side, 1e9).win_rate - one.model.length_controlled)
               for one in complete)  # fmt: skip
    better = max(min(abs(length_control.fit(one.model.rows, side, strength).win_rate - one.model.length_controlled)
                     for strength in length_control.GRID[:2]) for one in complete)  # fmt: skip
    print(f"without the penalty: off by at most {100 * free:.3f} pp; with the nearer of the two smallest C: "
          f"{100 * better:.3f}")  # fmt: skip
    changed = max(abs(shuffled(one.model, side, n).win_rate - one.fit.win_rate) for n, one in enumerate(found))
    print(f"rows shuffled: largest change of LC {changed:g}")


def line(one: Compared) -> str:
    """A model's row."""
    published, spread = one.model, one.interval
    numbers = [
        f"{100 * one.raw.win_rate:.2f}",
        f"{100 * published.win_rate:.2f}",
        f"{100 * one.fit.win_rate:.2f}",
        "" if spread is None else f"{100 * spread.low:.1f} to {100 * spread.high:.1f}",
        f"{100 * published.length_controlled:.2f}",
        f"{100 * one.off:+.3f}",
        "" if one.official is None else f"{100 * (one.official - published.length_controlled):+.3f}",
        "" if spread is None else f"{100 * spread.se:.2f}",
        "" if math.isnan(published.lc_standard_error) else f"{100 * published.lc_standard_error:.2f}",
    ]
    return f"| {published.name} | {one.raw.n} | {' | '.join(numbers)} |"


def summary(found: Sequence[Compared]) -> None:
    """The worst deviations."""
    raw = max(abs(one.raw.win_rate - one.model.win_rate) for one in found)
    discrete = max(abs(one.raw.discrete - one.model.discrete) for one in found)
    complete = [one for one in found if one.model.by_position is None]
    worst = max(complete, key=lambda one: abs(one.off))
    print(f"\n{len(found)} models: win rate off by at most {100 * raw:.1g} pp, discrete by {100 * discrete:.1g} pp")
    print(f"LC of {len(complete)} with all rows: {sum(abs(one.off) <= REPRODUCED for one in complete)} within 0.05 pp, "
          f"worst {100 * abs(worst.off):.3f} ({worst.model.name})")  # fmt: skip
    if reproduced := [one for one in complete if one.reproduced]:
        worst = max(reproduced, key=lambda one: abs(one.off))
        gap = max(abs(one.fit.win_rate - one.official) for one in complete if one.official is not None)
        print(f"LC of {len(reproduced)} that the official function reproduces: off by at most "
              f"{100 * abs(worst.off):.3f} pp ({worst.model.name})")  # fmt: skip
        print(f"ours against the official function, all of these models: at most {100 * gap:.3f} pp")


if __name__ == "__main__":
    main()
