"""Minerva's OCW set: problems of MIT's undergraduate courses (Lewkowycz et al. 2022, https://arxiv.org/abs/2206.14858).

Not what lm-eval calls `minerva_math`, which is MATH under Minerva's prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

from .data import Hub
from .golds import required_box, without_dollars
from .math_problems import MathProblems
from .registry import register
from .splits import Layout, Split, column, plain

_SOLVED = Layout(
    column("problem"), lambda row: without_dollars(required_box(row["solution"])), {"problem": str}, {"solution": str},
    column("solution"),
)  # fmt: skip


@register("minerva")
@dataclass(frozen=True)
class Minerva(MathProblems):
    """Physics, chemistry, astronomy, economics: numbers without their units, and formulas."""

    evaluation = Split(
        "test", 272, Hub("math-ai/minervamath", "test", "ee46ddc498933b1977577953250ca5c66be64f96", examples=272),
        (_SOLVED, plain("question")), "minerva_math_test",
    )  # fmt: skip
    licence = "CC BY-NC-SA 4.0 (MIT OCW)"
