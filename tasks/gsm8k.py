r"""GSM8K: grade-school word problems with a number as the answer (Cobbe et al. 2021, https://arxiv.org/abs/2110.14168).

A response may also end in `#### number`, which is the mark of the dataset's own solutions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from .data import Hub
from .grading import normalise_number
from .math_problems import MathProblems
from .registry import register
from .splits import Layout, Row, Split, column

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_ID = "openai/gsm8k"
# The head of the repository as of 2026-03; its parquet files are those of e53f048, which older evaluations pin.
_REVISION = "740312add88f781978c0658806c59bc2815b9866"


def boxed_solution(gold: str) -> str:
    r"""A gold solution without calculator annotations (`<<48/2=24>>`), its last `#### 72` written as `\boxed{72}`."""
    reasoning, _, answer = _CALCULATOR.sub("", gold).rpartition("####")
    return f"{reasoning}\\boxed{{{answer.strip()}}}"


def _answer(row: Row) -> str:
    _, mark, tail = row["answer"].rpartition("####")
    answer: str = tail.strip()
    if not mark or normalise_number(answer) is None:
        raise ValueError(f"answer ends in {row['answer'][-60:]!r}; expected a line '#### <number>'")
    return answer


_LAYOUT = Layout(
    column("question"), _answer, {"question": str}, {"answer": str}, lambda row: boxed_solution(row["answer"])
)


def _split(name: str, size: int) -> Split:
    return Split(
        name, size, Hub(_ID, name, _REVISION, ("main",), size), (_LAYOUT,), f"gsm8k_main_{name}",
        (f"main/{name}-*.parquet", f"{name}-*.parquet", f"{name}.jsonl"),
        (f"gsm8k/main/{name}-*.parquet", f"gsm8k/{name}.jsonl"),
    )  # fmt: skip


@register("gsm8k")
@dataclass(frozen=True)
class GSM8K(MathProblems):
    """Grade-school word problems."""

    hub_id: str = _ID
    """The Hub dataset, whose configuration "main" is read."""
    revision: str = _REVISION
    """The Hub dataset's commit, tag or branch."""

    training = _split("train", 7473)
    evaluation = _split("test", 1319)
    answers = "number"
    licence = "MIT"
    locations: ClassVar[frozenset[str]] = MathProblems.locations | {"hub_id", "revision"}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_text("hub_id", self.hub_id)
        self._check_text("revision", self.revision)

    def _hub(self, split: Split) -> Hub:
        if (self.hub_id, self.revision) == (_ID, _REVISION):
            return split.hub
        return replace(split.hub, id=self.hub_id, revision=self.revision, examples=None)
