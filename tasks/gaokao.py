"""Gaokao 2023 in English: exam problems of 2023, from China's Gaokao to ACT and SAT (MARIO, Qwen2.5-Math).

Two rows hold their answer behind the question and none in its place; it is moved there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .data import Hub
from .golds import without_dollars
from .math_problems import MathProblems
from .registry import register
from .splits import Layout, Row, Split

_TRAILING_ANSWER = re.compile(r"answers?:\s*(\S.*)\Z", re.IGNORECASE)


def _question(row: Row) -> str:
    return _TRAILING_ANSWER.sub("", row["question"]).strip()


def _answer(row: Row) -> str:
    behind = _TRAILING_ANSWER.search(row["question"])
    return without_dollars(row["answer"] or (behind[1] if behind else ""))


@register("gaokao2023en")
@dataclass(frozen=True)
class Gaokao2023en(MathProblems):
    """Exam problems of 2023 in English; 47 of them ask for a letter."""

    evaluation = Split(
        "test", 385,
        Hub(
            "MARIO-Math-Reasoning/Gaokao2023-Math-En", "train", "6c7bdecd205ed623b5e6c92335deb4f13a7cdd9b", examples=385
        ),
        (Layout(_question, _answer, {"question": str}, {"answer": str}),), "gaokao2023en_test",
    )  # fmt: skip
    licence = "MIT"
