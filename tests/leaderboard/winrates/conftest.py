"""Verdicts made by hand, and AlpacaEval's side file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.judging.side import side_file
from leaderboard.verdicts import Cost, GameRecord, Judged, JudgeRecord, PairRecord, Player, Record, Style, Task
from leaderboard.winrates.side_file import SideFile
from tasks.alpaca_eval import AlpacaEval

JUDGE = JudgeRecord("openai", "judge-1", "r1", "labels", "sha", {"temperature": 0.0}, "a host")


def game(pair: str, first: bool, score: float | str | None, weight: int = 1) -> GameRecord:
    """`score` may be a status."""
    if isinstance(score, str):
        return GameRecord(pair, first, score, 0.5 if score == "same" else None)
    return GameRecord(pair, first, "read", score, weight)


def judged(
    scores: Mapping[str, Sequence[float | str]],
    *,
    candidate: str = "gift",
    seed: int | None = 0,
    opponent: Player | None = None,
    task: str = "alpaca_eval",
    judge: JudgeRecord = JUDGE,
    pairs: Sequence[str] | None = None,
    weights: Mapping[str, int] | None = None,
    parser: str = "labels",
    cost: Cost | None = None,
    **of_pair: Any,
) -> Judged:
    """Scores by pair, the game with the candidate first before the other; `of_pair` is the same of every pair."""
    names = list(pairs or scores)
    player = Player(f"{candidate}-{seed}", "f", candidate, None, seed, "sha")
    found = [
        game(name, number == 0, score, (weights or {}).get(name, 1))
        for name in names
        for number, score in enumerate(scores.get(name, ()))
    ]
    fields = {"chars": (100, 200)} | of_pair
    made = [PairRecord(name, f"content-{name}", **fields) for name in names]
    against = opponent or Player("baseline", None, None, None, None, "b")
    return Judged(Record(1, Task(task), player, against, judge, parser, names, cost or Cost()), made, found)


STYLE = (Style(1, 2, 3), Style(0, 1, 2))


@pytest.fixture(scope="session")
def side(data_folder: Path) -> SideFile:
    found = side_file(AlpacaEval(folder=str(data_folder / "alpaca_eval")))
    assert found is not None
    return found
