"""AMC 12 of 2023: the 40 problems of Qwen2.5-Math's evaluation, reworded so that the answer is an integer."""

from __future__ import annotations

from dataclasses import dataclass

from .data import Hub
from .math_problems import COMPETITION, MathProblems
from .registry import register
from .splits import NUMBER, Layout, Split, column, number_in


@register("amc23")
@dataclass(frozen=True)
class Amc23(MathProblems):
    """AMC 12 A and B of 2023, with integers as answers."""

    evaluation = Split(
        "test", 40, Hub("math-ai/amc23", "test", "80815d37005feb82cd7f8fbc6901d5d3eff43057", examples=40),
        (Layout(column("question"), number_in("answer"), {"question": str}, {"answer": NUMBER}),), "amc23_test",
    )  # fmt: skip
    protocols = COMPETITION
    answers = "number"
    licence = "the problems are © MAA"
