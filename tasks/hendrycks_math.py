"""MATH: competition problems with worked solutions (Hendrycks et al. 2021, https://arxiv.org/abs/2103.03874).

MATH-500 is the part of its test set that OpenAI held out in PRM800K (https://arxiv.org/abs/2305.20050).
"""

from __future__ import annotations

from dataclasses import dataclass

from .data import Hub
from .golds import required_box
from .math_problems import OF_MANY_QUESTIONS, MathProblems
from .registry import register
from .splits import Layout, Split, column, plain

_SUBJECTS = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
    "precalculus",
)  # fmt: skip
# The gold answer is what the solution's last box holds, as it stands there.
_LAYOUT = Layout(
    column("problem"), lambda row: required_box(row["solution"]), {"problem": str}, {"solution": str},
    column("solution"),
)  # fmt: skip


def _split(name: str, size: int) -> Split:
    hub = Hub("EleutherAI/hendrycks_math", name, "21a5633873b6a120296cce3e2df9d5550074f4a3", _SUBJECTS, size)
    return Split(name, size, hub, (_LAYOUT,), f"math_{name}")


@register("math")
@dataclass(frozen=True)
class Math(MathProblems):
    """Competition problems of seven subjects and five levels."""

    training = _split("train", 7500)
    evaluation = _split("test", 5000)
    protocols = OF_MANY_QUESTIONS
    licence = "MIT; the problems come from AoPS"


@register("math500")
@dataclass(frozen=True)
class Math500(MathProblems):
    """Trains on MATH, holds out OpenAI's 500 of its test problems."""

    training = Math.training
    evaluation = Split(
        "test", 500,
        Hub("HuggingFaceH4/MATH-500", "test", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be", examples=500),
        (plain(solution="solution"),), "math500_test",
    )  # fmt: skip
    licence = "MIT; the problems come from AoPS"
