r"""A teacher's responses, from a file: `.parquet` or `.jsonl`, with the columns of one of these layouts.

- question, response: one response a row; `responses` instead holds a list of them
- question, teacher_solution: as in public copies of GPT-3.5's solutions of GSM8K
- prompt, output: chat messages and a list of samples, as verl writes them
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from .base import TaskDataError
from .data import Columns, expand, file_rows
from .splits import LIST, Row, as_list, normal_form

_HASHES = re.compile(r"\n#{3,4}[ \t]*([^\n#]+?)\s*\Z")  # GSM8K's mark, and what GPT-3.5 makes of it


def _last_message(row: Row) -> str:
    return str(as_list(row["prompt"])[-1]["content"])


_LAYOUTS: tuple[tuple[Columns, Callable[[Row], str], Callable[[Row], Iterable[Any]]], ...] = (
    ({"question": str, "response": str}, lambda row: row["question"], lambda row: [row["response"]]),
    ({"question": str, "responses": LIST}, lambda row: row["question"], lambda row: as_list(row["responses"])),
    ({"question": str, "teacher_solution": str}, lambda row: row["question"], lambda row: [row["teacher_solution"]]),
    ({"prompt": LIST, "output": LIST}, _last_message, lambda row: as_list(row["output"])),
)


def read_teacher(file: str) -> dict[str, tuple[str, ...]]:
    """Responses in the file's order, by the normal form of the question. Raises TaskDataError."""
    path = expand(file)
    if path.suffix not in (".parquet", ".jsonl") or not path.is_file():
        raise TaskDataError(f"teacher_file = {file!r}; expected an existing .parquet or .jsonl file")
    rows = file_rows(path, [columns for columns, *_ in _LAYOUTS])
    _, question, responses = _LAYOUTS[rows.alternative]
    found: dict[str, list[str]] = {}
    for number, row in enumerate(rows.rows, start=1):
        try:
            found.setdefault(normal_form(question(row)), []).extend(map(in_box, map(str, responses(row))))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise TaskDataError(f"{path}, row {number}: {type(error).__name__}: {error}") from error
    return {form: tuple(texts) for form, texts in found.items()}


def in_box(response: str) -> str:
    r"""The response, with a last line `#### 72` written as `\boxed{72}`."""
    return _HASHES.sub(lambda match: f"\n\\boxed{{{match[1]}}}", response)
