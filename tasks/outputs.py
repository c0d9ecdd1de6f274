"""Outputs files: a model's answer to every instruction of a comparison task, in the formats that are exchanged.

AlpacaEval's is a JSON list of `instruction`, `output` and `generator` (its results/<model>/model_outputs.json);
Arena-Hard-Auto's are JSON lines of `uid`, `model` and `messages`, of which the last is the answer (model_answer/<model>
.jsonl@196f6b8), and in older files `question_id`, `model_id` and `choices`. Rows are joined by instruction or id, never
by their order. Parquet files with these columns are read too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .base import TaskDataError
from .data import file_sha256
from .files import Columns, file_rows
from .open_ended import OpenEnded


class AnswerRow(NamedTuple):
    """One answer in a file."""

    number: int  # of the row, from 1
    key: str  # the instruction, or its id
    by_id: bool
    generator: str
    text: str


@dataclass(frozen=True)
class Outputs:
    """One model's answers to all of a task."""

    generator: str
    answers: Mapping[str, str]  # by example id, in the task's order
    path: Path
    sha256: str  # of the file


class _Layout(NamedTuple):
    columns: Columns
    key: str
    generator: str
    text: Callable[[Mapping[str, Any]], Any]  # may raise KeyError, IndexError or TypeError


def _last_message(row: Mapping[str, Any]) -> Any:
    content = row["messages"][-1]["content"]
    return content if isinstance(content, str) else content["answer"]


_LAYOUTS = (
    _Layout(
        {"instruction": str, "generator": str, "output": str}, "instruction", "generator", lambda row: row["output"]
    ),
    _Layout({"uid": str, "model": str, "messages": list}, "uid", "model", _last_message),
    _Layout({"uid": str, "model": str, "answer": str}, "uid", "model", lambda row: row["answer"]),
    _Layout(
        {"question_id": str, "model_id": str, "choices": list}, "question_id", "model_id",
        lambda row: row["choices"][0]["turns"][-1]["content"],
    ),
)  # fmt: skip


def answer_rows(path: Path) -> list[AnswerRow]:
    """The answers in a file, in its order, whosever they are. Raises TaskDataError, which names the row."""
    rows = file_rows(path, [layout.columns for layout in _LAYOUTS])
    layout = _LAYOUTS[rows.alternative]
    found = []
    for number, row in enumerate(rows.rows, start=1):
        try:
            text = layout.text(row)
        except (KeyError, IndexError, TypeError):
            text = None
        if not isinstance(text, str):
            inside = list(layout.columns)[-1]
            raise TaskDataError(
                f"{path}, row {number}: {inside} holds no answer, {row[inside]!r:.80}; expected text at its end"
            )
        found.append(AnswerRow(number, row[layout.key], layout.key != "instruction", row[layout.generator], text))
    return found


def read_outputs(task: OpenEnded, path: str | Path) -> Outputs:
    """One model's answers to every example of `task`, joined by instruction or id.

    Raises TaskDataError for an unreadable file, a null, answers of two models, an unknown instruction, one that is
    answered twice, and one that is not answered.
    """
    path = Path(path)
    if not path.is_file():
        raise TaskDataError(f"{path} is no file; expected a model's answers to the instructions of {task.name}")
    rows = answer_rows(path)
    ids = {example.id: example.id for example in task.heldout}
    ids_of = {task.instruction(example): example.id for example in task.heldout}
    first: dict[str, AnswerRow] = {}
    for row in rows:
        if row.generator != rows[0].generator:
            raise TaskDataError(
                f"{path}: row 1 is by {rows[0].generator!r}, row {row.number} by {row.generator!r}; expected one model"
            )
        identity = (ids if row.by_id else ids_of).get(row.key)
        if identity is None:
            unknown = sum((ids if other.by_id else ids_of).get(other.key) is None for other in rows)
            raise TaskDataError(
                f"{path}, row {row.number}: {row.key!r:.100} is no instruction of {task.name} ({unknown} such rows); "
                f"expected its {len(ids)}, to the letter"
            )
        if (before := first.setdefault(identity, row)) is not row:
            how = "alike" if before.text == row.text else "differently"
            raise TaskDataError(
                f"{path}: rows {before.number} and {row.number} answer the same instruction {how}, {row.key!r:.100}; "
                "expected one answer to each"
            )
    if missing := [example for example in task.heldout if example.id not in first]:
        raise TaskDataError(
            f"{path} answers {len(first)} of the {len(ids)} instructions of {task.name}; expected all. Without an "
            f"answer is {missing[0].id}: {task.instruction(missing[0])!r:.100}"
        )
    return Outputs(rows[0].generator, {name: first[name].text for name in ids}, path, file_sha256(path))


def write_outputs(task: OpenEnded, answers: Mapping[str, str], generator: str, path: str | Path) -> None:
    """Write answers (by example id) to `path`, in the task's order, which AlpacaEval's own length control relies on.

    `.json`: AlpacaEval's list; `.jsonl`: Arena-Hard-Auto's lines, without the token and markdown counts that its
    utils/add_markdown_info.py adds. Raises ValueError for another ending, and for answers that are not those of `task`.
    """
    path = Path(path)
    if path.suffix not in (".json", ".jsonl"):
        raise ValueError(f"{path}: allowed are .json (AlpacaEval) and .jsonl (Arena-Hard)")
    if differing := {example.id for example in task.heldout} ^ set(answers):
        raise ValueError(f"{path}: {len(differing)} ids are asked or answered alone, the first is {min(differing)}")
    rows: Sequence[dict[str, Any]]
    if path.suffix == ".json":
        rows = [
            {
                **({} if (category := task.category(example)) is None else {"dataset": category}),
                "instruction": task.instruction(example), "output": answers[example.id], "generator": generator,
            }
            for example in task.heldout
        ]  # fmt: skip
        text = json.dumps(rows, indent=2) + "\n"
    else:
        rows = [
            {
                "uid": example.id, "model": generator,
                "messages": [
                    {"role": "user", "content": task.instruction(example)},
                    {"role": "assistant", "content": {"answer": answers[example.id]}},
                ],
            }
            for example in task.heldout
        ]  # fmt: skip
        text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
