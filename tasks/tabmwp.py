"""TabMWP: word problems over a table (Lu et al. 2023, https://arxiv.org/abs/2209.14610), asked as Qwen2.5-Math does."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType

from .data import Columns, Hub
from .math_problems import OF_MANY_QUESTIONS, MathProblems
from .registry import register
from .splits import Layout, Row, Split, column


def _question(row: Row) -> str:
    about = f'regarding "{row["table_title"]}" ' if row["table_title"] else ""
    among = f" Please select from the following options: {row['choices']}" if row["choices"] else ""
    return f"Read the following table {about}and answer a question:\n{row['table']}\n{row['question']}{among}".strip()


_ASKS: Columns = {"question": str, "table": str, "table_title": (str, NoneType), "choices": (list, NoneType)}


@register("tabmwp")
@dataclass(frozen=True)
class TabMwp(MathProblems):
    """Word problems over a table; numbers, and options in words."""

    evaluation = Split(
        "test", 7686, Hub("Arietem/tabmwp", "train"), (Layout(_question, column("answer"), _ASKS, {"answer": str}),),
        "tabmwp_test",
    )  # fmt: skip
    protocols = OF_MANY_QUESTIONS
    licence = "CC BY-NC-SA 4.0"
