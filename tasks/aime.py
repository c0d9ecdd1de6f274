"""AIME: the American Invitational Mathematics Examination; every answer is an integer from 0 to 999.

The three years' tasks train on the years up to 2023: with solutions from DeepScaleR's file (975 problems), without from
the Hub's table (919 of them, and so without expert demonstrations).
"""

from __future__ import annotations

from dataclasses import dataclass

from .data import Hub
from .math_problems import COMPETITION, MathProblems
from .registry import register
from .splits import NUMBER, Layout, Split, column, number_in, plain

_TABLE = Layout(
    column("Question"), number_in("Answer"), {"Question": str, "Year": int}, {"Answer": NUMBER},
    keep=lambda row: row["Year"] < 2024,
)  # fmt: skip
TRAINING = Split(
    "train", 975,
    Hub("gneubig/aime-1983-2024", "train", "5d610df981dec508dd93d0a16333a029ac1739d8", examples=919),
    (plain(solution="solution"), _TABLE), "aime_1983_2023_train",
)  # fmt: skip
OF_2024 = Split(
    "test", 30,
    Hub("HuggingFaceH4/aime_2024", "train", "2fe88a2f1091d5048c0f36abc874fb997b3dd99a", examples=30),
    (plain(solution="solution"),), "aime24_test",
)  # fmt: skip
_NUMBERED = Layout(column("problem"), number_in("answer"), {"problem": str}, {"answer": NUMBER})


@dataclass(frozen=True)
class _Aime(MathProblems):
    training = TRAINING
    protocols = COMPETITION
    answers = "number"
    licence = "the problems are © MAA"


@register("aime24")
@dataclass(frozen=True)
class Aime24(_Aime):
    """AIME I and II of 2024."""

    evaluation = OF_2024


@register("aime25")
@dataclass(frozen=True)
class Aime25(_Aime):
    """AIME I and II of 2025."""

    evaluation = Split(
        "test", 30, Hub("math-ai/aime25", "test", "563bb8404243c5f09de6ec262f2db674fe5bce9b", examples=30),
        (plain("question"), _NUMBERED), "aime25_test",
    )  # fmt: skip


@register("aime26")
@dataclass(frozen=True)
class Aime26(_Aime):
    """AIME I and II of 2026."""

    evaluation = Split(
        "test", 30, Hub("MathArena/aime_2026", "train", "10b4e45b7a503075d4da8a0d57916a4f06ce6bd2", examples=30),
        (_NUMBERED,), "aime26_test",
    )  # fmt: skip
