"""Arena-Hard's published scores beside ours, from stored battles: the tables of docs/judging.md.

    python benchmarks/arena_published.py DATA_FOLDER

DATA_FOLDER holds `arena_hard/`: battles behind four published leaderboards, official answers, and old leaderboards with
style control. A few seconds.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from leaderboard.winrates import arena, style
from leaderboard.winrates.arena import Battles, Score
from leaderboard.winrates.style import Controlled, Formula

BASELINE = "gpt-4-0314"
SCORES = {"model_a": 0.0, "tie": 0.5, "model_b": 1.0}  # model_a is the baseline
STYLED = re.compile(r"^(\S+)\s*\| score:\s*([\d.]+)", re.MULTILINE)


@dataclass(frozen=True)
class Compared:
    """One published row; `low` and `high` are upstream's."""

    battle_set: str
    model: str
    published: float
    low: float
    high: float
    ours: Score
    upstream: Score  # by our reading of its interval
    fitted: float  # by Bradley-Terry


def battles_of(table: pd.DataFrame, battle_set: str, model: str) -> Battles:
    """The battles of a model; what was judged "much better" is there three times."""
    found = table[(table["battle_set"] == battle_set) & (table["model_b"] == model)]
    return arena.battles(found["uid"].to_numpy(), found["winner"].map(SCORES).to_numpy())


def compare(folder: Path) -> list[Compared]:
    """All published rows; the baseline, which has no battles, is ½ by definition and left out."""
    data = folder / "arena_hard"
    table = pd.read_parquet(data / "v0.1_battles.parquet")
    found = []
    for row in pd.read_csv(data / "v0.1_battle_leaderboards.csv").to_dict("records"):
        if row["model"] == BASELINE:
            continue
        own = battles_of(table, row["battle_set"], row["model"])
        theta, _ = style.bradley_terry([row["model"]] * len(own.score), own.score, own.weight)
        found.append(
            Compared(
                row["battle_set"], row["model"], row["score"], row["rating_q025"], row["rating_q975"],
                arena.score(own, "ours", row["model"]), arena.score(own, "upstream-v0.1", row["model"]),
                float(1 / (1 + np.exp(-theta[row["model"]]))),
            )
        )  # fmt: skip
    return found


def styled(folder: Path, battle_set: str) -> tuple[dict[Formula, Controlled], int]:
    """Style-controlled fits over the models of a set whose answers are at hand, and their number of battles."""
    data = folder / "arena_hard"
    table = pd.read_parquet(data / "v0.1_battles.parquet")
    files = ("v0.1_answers_official_models.parquet", "v0.1_answers_llama3_base_sft_dpo_ipo.parquet")
    seen = {
        (row["model"], row["uid"]): (row["token_len"], *_counts(row["answer"]))
        for row in pd.concat([pd.read_parquet(data / name) for name in files]).to_dict("records")
    }
    rows = [
        row for row in table[table["battle_set"] == battle_set].to_dict("records")
        if (row["model_b"], row["uid"]) in seen
    ]  # fmt: skip
    names, scores = [row["model_b"] for row in rows], [SCORES[row["winner"]] for row in rows]
    ours, theirs = (
        [seen[name, row["uid"]] for name, row in zip(who, rows, strict=True)] for who in (names, [BASELINE] * len(rows))
    )
    fits = {
        formula: style.controlled(names, scores, np.ones(len(rows)), style.differences(ours, theirs, formula), formula)
        for formula in get_args(Formula)
    }
    return fits, len(rows)


def _counts(answer: str) -> tuple[int, int, int]:
    found = style.features(answer)
    return found.headers, found.lists, found.bold


def published_style(folder: Path) -> dict[str, float]:
    """Style-controlled scores of the first table of the old leaderboards (judge gpt-4-1106-preview)."""
    first = (folder / "arena_hard" / "past_leaderboards.md").read_text(encoding="utf-8").split("```")[1]
    return {name: float(score) for name, score in STYLED.findall(first)}


def main() -> None:
    """Print the scores with both intervals, and what style control gives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found = compare(folder)
    print("| set | model | published | ours | upstream's 95 % | recomputed | over questions | SE, ratio |")
    print("|---|---|--:|--:|---|---|---|--:|")
    for one in found:
        print(f"| {one.battle_set} | {one.model} | {one.published:.2f} | {100 * one.ours.score:.2f} | "
              f"{one.low:.2f} to {one.high:.2f} | {_ends(one.upstream)} | {_ends(one.ours)} | "
              f"{one.ours.se / one.upstream.se:.2f} |")  # fmt: skip
    summary(found)
    lengths(folder)
    published = published_style(folder)
    for battle_set in ("official_2models", "danielwetzel_20240806"):
        fits, games = styled(folder, battle_set)
        print(f"\nStyle control over {battle_set}, {len(fits['ours'].win_rates)} models, {games} battles\n")
        print("| model | ours | upstream-v0.1 | upstream-v2 | published |\n|---|--:|--:|--:|--:|")
        for name in fits["ours"].win_rates:
            numbers = " | ".join(f"{100 * fit.win_rates[name]:.1f}" for fit in fits.values())
            print(f"| {name} | {numbers} | {published.get(name, '')} |")


def _ends(score: Score) -> str:
    return f"{100 * score.low:.2f} to {100 * score.high:.2f}"


def lengths(folder: Path) -> None:
    """How near counting words and marks comes to counting gpt-4o's tokens, in the feature that style control takes."""
    answers = pd.read_parquet(folder / "arena_hard" / "v0.1_answers_official_models.parquet")
    answers["counted"] = [style.tokens(answer) for answer in answers["answer"]]
    baseline = answers[answers["model"] == BASELINE].set_index("uid")
    theirs, ours = (
        (answers[column] - answers["uid"].map(baseline[column]))
        / (answers[column] + answers["uid"].map(baseline[column]) + 1)
        for column in ("token_len", "counted")
    )
    print(f"length feature of {len(answers)} answers, words and marks against tokens: r = {theirs.corr(ours):.3f}")


def summary(found: Sequence[Compared]) -> None:
    """The worst deviations."""
    worst = max(abs(round(100 * one.ours.score, 2) - one.published) for one in found)
    identity = max(abs(one.fitted - one.ours.score) for one in found)
    ends = max(abs(100 * mine - theirs) for one in found for mine, theirs in
               ((one.upstream.low, one.low), (one.upstream.high, one.high)))  # fmt: skip
    ratios = [one.ours.se / one.upstream.se for one in found]
    print(f"\n{len(found)} scores: off by at most {worst:.2f}; Bradley-Terry against the mean: {identity:.1g}")
    print(f"upstream's ends, 100 draws each: off by at most {ends:.2f}; SE over questions {min(ratios):.2f} to "
          f"{max(ratios):.2f} times upstream's, on average {np.mean(ratios):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
