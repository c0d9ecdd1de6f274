"""SVAMP and MAWPS: elementary word problems with a number as the answer.

Patel et al. 2021 (https://arxiv.org/abs/2103.07191), Koncel-Kedziorski et al. 2016 (https://aclanthology.org/N16-1136).
"""

from __future__ import annotations

from dataclasses import dataclass

from .data import Hub
from .math_problems import OF_MANY_QUESTIONS, MathProblems
from .registry import register
from .splits import NUMBER, Layout, Row, Split, column, number_in


def _svamp_question(row: Row) -> str:
    body = row["Body"].strip()
    return f"{body if body.endswith('.') else body + '.'} {row['Question'].strip()}"


@register("svamp")
@dataclass(frozen=True)
class Svamp(MathProblems):
    """Elementary word problems, varied so that the wording matters."""

    evaluation = Split(
        "test", 1000,
        Hub("ChilleD/SVAMP", "train+test", "5e0bf1e5e7c0e9c4bc39180d224f41f3f801b7ef", examples=1000),
        (Layout(_svamp_question, number_in("Answer"), {"Body": str, "Question": str}, {"Answer": NUMBER}),),
        "svamp_test",
    )  # fmt: skip
    protocols = OF_MANY_QUESTIONS
    answers = "number"
    licence = "MIT"


@register("mawps")
@dataclass(frozen=True)
class Mawps(MathProblems):
    """Elementary word problems; the Hub's test split is another selection than Qwen2.5-Math's 2,065."""

    evaluation = Split(
        "test", 2065, Hub("MU-NLPC/Calc-mawps", "test", "38c10053efeafd20ab6ff4e08c3ec17de26c19b7"),
        (
            Layout(column("input"), number_in("target"), {"input": str}, {"target": NUMBER}),
            Layout(column("question"), number_in("result_float"), {"question": str}, {"result_float": NUMBER}),
        ),
        "mawps_test",
    )  # fmt: skip
    protocols = OF_MANY_QUESTIONS
    answers = "number"
    licence = "MIT"
