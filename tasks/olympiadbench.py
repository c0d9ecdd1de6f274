"""OlympiadBench (He et al. 2024, https://arxiv.org/abs/2402.14008): olympiad problems in English, without images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .base import GFT_16, GREEDY, EvalProtocol
from .data import Hub
from .golds import without_dollars
from .math_problems import MathProblems
from .registry import register
from .splits import LIST, Layout, Row, Split, as_list, column


def _answer(row: Row) -> str:
    answers = as_list(row["final_answer"])
    return without_dollars(", ".join(map(str, answers)))


@register("olympiadbench")
@dataclass(frozen=True)
class OlympiadBench(MathProblems):
    """Olympiad problems with a final answer (OE_TO_maths_en_COMP)."""

    evaluation = Split(
        "test", 675,
        Hub(
            "Hothan/OlympiadBench", "train", "91184b52131e7fc9455fef848035173aea8cc01a", ("OE_TO_maths_en_COMP",), 674
        ),
        (Layout(column("question"), _answer, {"question": str}, {"final_answer": LIST}),), "olympiadbench_test",
    )  # fmt: skip
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {
        "avg@4": EvalProtocol(4, 0.6, 0.95, 8192, "mean of 4 samples, with room for long solutions"),
        "greedy": GREEDY,
        "gft": GFT_16,
    }
    licence = "Apache-2.0"
