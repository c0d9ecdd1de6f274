r"""GSM8K: grade-school word problems with a number as the answer (Cobbe et al. 2021, https://arxiv.org/abs/2110.14168).

The prompt's instruction is the one that Qwen2.5-Math documents (https://github.com/QwenLM/Qwen2.5-Math). A response is
graded by its last `\boxed{}`, else by its last `#### number`, which is the mark of the dataset's own solutions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from .base import Example, Grade, Message, Source, Task, TaskDataError
from .data import content_ids, fixed_subset, load_rows
from .grading import extract_answer, normalise_number, same_number
from .registry import register

_INSTRUCTION = r"Please reason step by step, and put your final answer within \boxed{}."
_CALCULATOR = re.compile(r"<<[^<>]*>>")
# The head of the repository as of 2026-03; its parquet files are those of e53f048, which older evaluations pin.
_REVISION = "740312add88f781978c0658806c59bc2815b9866"


@register("gsm8k")
@dataclass(frozen=True)
class GSM8K(Task):
    """Trains on the 7,473 training questions, holds out the 1,319 test questions; experts are the gold solutions."""

    folder: str | None = None
    """A folder with the files, instead of the Hub; `~` and `$VARIABLES` are expanded."""
    hub_id: str = "openai/gsm8k"
    """The Hub dataset, whose configuration "main" is read."""
    revision: str = _REVISION
    """The Hub dataset's commit, tag or branch."""
    train_examples: int | None = None
    """Train on a fixed subset of this many questions; None: all."""

    demonstration_sources: ClassVar[frozenset[Source]] = frozenset({"expert"})
    locations: ClassVar[frozenset[str]] = frozenset({"folder", "hub_id", "revision"})

    def __post_init__(self) -> None:
        size = self.train_examples
        if size is not None and (type(size) is not int or size < 1):
            raise ValueError(f"gsm8k: train_examples = {size!r}; allowed: an integer of at least 1, or null for all")
        for field in ("folder", "hub_id", "revision"):
            value = getattr(self, field)
            if not (isinstance(value, str) and value.strip()) and not (field == "folder" and value is None):
                raise ValueError(f"gsm8k: {field} = {value!r}; allowed: text that is not empty")

    @cached_property
    def train(self) -> tuple[Example, ...]:
        """The training split, in the dataset's order. Raises TaskDataError."""
        return fixed_subset(self._train[0], self.train_examples, "gsm8k: train_examples")

    @cached_property
    def heldout(self) -> tuple[Example, ...]:
        """The test split, in the dataset's order. Raises TaskDataError."""
        return tuple(self._test[0])

    @cached_property
    def _train(self) -> tuple[list[Example], dict[str, str]]:
        return self._load("train")

    @cached_property
    def _test(self) -> tuple[list[Example], dict[str, str]]:
        return self._load("test")

    def _load(self, split: str) -> tuple[list[Example], dict[str, str]]:
        """The split's examples, and their gold solutions by example id."""
        hub_files = f"main/{split}-*.parquet"
        rows = load_rows(
            hub_id=self.hub_id,
            hub_config="main",
            revision=self.revision,
            split=split,
            folder=self.folder,
            file_patterns=(f"gsm8k_main_{split}.parquet", hub_files, f"{split}-*.parquet", f"{split}.jsonl"),
            shared_file_patterns=(f"math/gsm8k_main_{split}.parquet", f"gsm8k/{hub_files}", f"gsm8k/{split}.jsonl"),
            columns={"question": str, "answer": str},
        )
        examples, solutions = [], {}
        ids = content_ids(split, (row["question"].strip() for row in rows))
        for number, (identity, row) in enumerate(zip(ids, rows, strict=True), start=1):
            _, mark, tail = row["answer"].rpartition("####")
            answer = tail.strip()
            if not mark or normalise_number(answer) is None:
                found = row["answer"][-60:]
                raise TaskDataError(
                    f"gsm8k {split}, row {number}: answer ends in {found!r}; expected a line '#### <number>'."
                )
            message: Message = {"role": "user", "content": f"{row['question'].strip()}\n{_INSTRUCTION}"}
            examples.append(Example(id=identity, prompt=(message,), answer=answer))
            solutions[identity] = boxed_solution(row["answer"])
        return examples, solutions

    def grade(self, example: Example, response: str) -> Grade:
        """Reward 1.0 when the final answer equals the gold number, else 0.0; `extracted` is the answer as written."""
        extracted = extract_answer(response)
        correct = extracted is not None and same_number(extracted, example.answer)
        return Grade(reward=float(correct), correct=correct, extracted=extracted)

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """The gold solution, of which there is one a question, in the form that the prompt asks for."""
        if source != "expert" or count < 1:
            return ()
        solutions = (self._train if example.id.startswith("train-") else self._test)[1]
        return (solutions[example.id],)


def boxed_solution(gold: str) -> str:
    r"""A gold solution without calculator annotations (`<<48/2=24>>`), its last `#### 72` written as `\boxed{72}`."""
    reasoning, _, answer = _CALCULATOR.sub("", gold).rpartition("####")
    return f"{reasoning}\\boxed{{{answer.strip()}}}"
