"""SAT-Math (AGIEval, https://arxiv.org/abs/2304.06364) and the STEM part of MMLU (https://arxiv.org/abs/2009.03300).

Asked in words as any other problem, with the options listed and their letter as the answer; not scored by likelihood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .data import Hub
from .math_problems import OF_MANY_QUESTIONS, MathProblems
from .registry import register
from .splits import LIST, Layout, Row, Split, as_list, column

_LETTERS = "ABCD"
_STEM = (
    "abstract_algebra", "astronomy", "college_biology", "college_chemistry", "college_computer_science",
    "college_mathematics", "college_physics", "computer_security", "conceptual_physics", "electrical_engineering",
    "elementary_mathematics", "high_school_biology", "high_school_chemistry", "high_school_computer_science",
    "high_school_mathematics", "high_school_physics", "high_school_statistics", "machine_learning",
)  # fmt: skip
_OPTIONS = re.compile(r"A[).]\s*(.*?)\s+B[).]\s*(.*?)\s+C[).]\s*(.*?)\s+D[).]\s*(.*)", re.DOTALL)


def _options_in_text(row: Row) -> list[str]:
    match = _OPTIONS.fullmatch(row["options"].strip())
    if match is None:
        raise ValueError(f"options is {row['options']!r:.60}; expected A) ... B) ... C) ... D) ...")
    return list(match.groups())


def _letter(row: Row) -> str:
    letter: str = row["Answer"].strip()
    if letter not in tuple(_LETTERS):
        raise ValueError(f"Answer is {letter!r}; expected one of A, B, C, D")
    return letter


def _agieval_question(row: Row) -> str:
    text: str = row["query"].strip()
    return text.removeprefix("Q:").partition("Answer Choices:")[0].strip()


_SAT_FILE = Layout(
    column("question"), _letter, {"question": str, "options": str}, {"Answer": str}, options=_options_in_text
)
_SAT_HUB = Layout(
    _agieval_question, lambda row: _LETTERS[as_list(row["gold"])[0]], {"query": str, "choices": LIST}, {"gold": LIST},
    options=lambda row: [re.sub(r"^\([A-D]\)", "", str(option)) for option in as_list(row["choices"])],
)  # fmt: skip


def _mmlu(subject: str) -> Layout:
    return Layout(
        column("question"), lambda row: _LETTERS[row["answer"]], {"question": str, "choices": LIST, subject: str},
        {"answer": int}, options=lambda row: as_list(row["choices"]), keep=lambda row: row[subject] in _STEM,
    )  # fmt: skip


@register("sat_math")
@dataclass(frozen=True)
class SatMath(MathProblems):
    """SAT problems with four options: Qwen2.5-Math's 32; on the Hub, AGIEval's 220."""

    evaluation = Split(
        "test", 32,
        Hub("dmayhem93/agieval-sat-math", "test", "385ef339b8285867cf276eee44cbbd785d467879", examples=220),
        (_SAT_FILE, _SAT_HUB), "sat_math_test",
    )  # fmt: skip
    answers = "letter"
    licence = "MIT (AGIEval)"


@register("mmlu_stem")
@dataclass(frozen=True)
class MmluStem(MathProblems):
    """Eighteen subjects of mathematics, the sciences and engineering, with four options."""

    evaluation = Split(
        "test", 3018,
        Hub("cais/mmlu", "test", "c30699e8356da336a370243923dbaf21066bb9fe", ("all",), 3018),
        (_mmlu("type"), _mmlu("subject")), "mmlu_stem_test",
    )  # fmt: skip
    protocols = OF_MANY_QUESTIONS
    answers = "letter"
    licence = "MIT"
