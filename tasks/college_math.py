"""CollegeMath: exercises of open college textbooks (Tang et al. 2024, https://arxiv.org/abs/2403.02884)."""

from __future__ import annotations

from dataclasses import dataclass

from .data import Hub
from .golds import without_dollars
from .math_problems import OF_MANY_QUESTIONS, MathProblems
from .registry import register
from .splits import Layout, Split, column

_LAYOUT = Layout(column("question"), lambda row: without_dollars(row["answer"]), {"question": str}, {"answer": str})
_CONTENT = "8117189ff5c62d036da93342d56d2fb41bdedeaf8347ff177b3dd6568d7f25b0"  # of Qwen2.5-Math's file


@register("college_math")
@dataclass(frozen=True)
class CollegeMath(MathProblems):
    """Textbook exercises, from algebra to differential equations; some answers are sentences."""

    evaluation = Split(
        "test", 2818, Hub("di-zhang-fdu/College_Math_Test", "test", examples=2818, fingerprint=_CONTENT), (_LAYOUT,),
        "college_math_test",
    )  # fmt: skip
    protocols = OF_MANY_QUESTIONS
    licence = "CC BY and similar, by row"
