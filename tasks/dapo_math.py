"""DAPO-Math-17k: the training prompts of DAPO (Yu et al. 2025, https://arxiv.org/abs/2503.14476), integers as answers.

Its English part without repeated rows. It holds 976 problems of MATH's test set and more of others: see `overlap`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .aime import OF_2024
from .data import Hub
from .math_problems import COMPETITION, MathProblems
from .registry import register
from .splits import Layout, Row, Split, plain

_BEFORE = (
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "$Answer (without quotes) where $Answer is the answer to the problem.\n\n"
)
_AFTER = '\n\nRemember to put your answer on its own line after "Answer:".'


def _question(row: Row) -> str:
    text: str = row["prompt"].strip()
    return text.removeprefix(_BEFORE).removesuffix(_AFTER).strip()


_ON_THE_HUB = Layout(_question, lambda row: row["solution"].strip(), {"prompt": str}, {"solution": str})


@register("dapo_math")
@dataclass(frozen=True)
class DapoMath(MathProblems):
    """Trains on DAPO's English prompts, holds out AIME 2024, as DAPO does."""

    training = Split(
        "train", 14116,
        Hub("open-r1/DAPO-Math-17k-Processed", "train", "31dd309567e3da778038cc87d868b6097a3ccf68", ("en",), 14116),
        (plain(), _ON_THE_HUB), "dapo_math_14k_en",
    )  # fmt: skip
    evaluation = OF_2024
    protocols = COMPETITION
    answers = "number"
    licence = "Apache-2.0"
