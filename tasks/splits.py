"""Splits of public sets of math problems, declared as data: where their rows lie, and which columns make a problem."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .base import TaskDataError
from .data import Columns, Hub, Rows, content_ids, file_rows, load_rows, shared_file

Row = Mapping[str, Any]

NUMBER = (float, int, str)  # what a column of numeric answers may hold
LIST = (list, str)  # a list, or its JSON

_NOT_A_LETTER_OR_DIGIT = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Problem:
    """One problem as its source has it; a choice has `options`, and a letter as its answer."""

    question: str
    answer: str
    solution: str | None = None
    options: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The question, with its options."""
        if not self.options:
            return self.question
        listed = " ".join(f"({letter}) {option}" for letter, option in zip("ABCDEFGHIJ", self.options, strict=False))
        return f"{self.question}\nAnswer Choices: {listed}"


def column(name: str) -> Callable[[Row], str]:
    """The text in one column, stripped."""
    return lambda row: row[name].strip()


def number_in(name: str) -> Callable[[Row], str]:
    """The number in one column: 27.0 is written 27."""

    def read(row: Row) -> str:
        cell = row[name]
        return cell.strip() if isinstance(cell, str) else f"{cell:.12g}"

    return read


def as_list(cell: Any) -> list[Any]:
    """A list, or the list that a JSON text holds. Raises ValueError."""
    found = json.loads(cell) if isinstance(cell, str) else cell
    if not isinstance(found, list):
        raise ValueError(f"{found!r:.60} is no list")
    return found


@dataclass(frozen=True)
class Layout:
    """Which columns hold the question, which the rest, and how they are read.

    The functions get rows with both sets of columns, `question`, `options` and `keep` with those of the question alone.
    They raise ValueError, KeyError or IndexError on a row that cannot be read.
    """

    question: Callable[[Row], str]
    answer: Callable[[Row], str]
    asks: Columns
    tells: Columns
    solution: Callable[[Row], str] | None = None
    options: Callable[[Row], Sequence[str]] | None = None
    keep: Callable[[Row], bool] = lambda row: True  # rows of other splits are left out

    def problem(self, row: Row) -> Problem:
        """The row as a problem."""
        solution = None if self.solution is None else self.solution(row)
        return Problem(self.question(row), self.answer(row), solution, self._options(row))

    def asked(self, row: Row) -> Problem:
        """The row's question without an answer."""
        return Problem(self.question(row), "", None, self._options(row))

    def _options(self, row: Row) -> tuple[str, ...]:
        return () if self.options is None else tuple(str(option).strip() for option in self.options(row))


def plain(question: str = "problem", answer: str = "answer", solution: str | None = None) -> Layout:
    """A layout of one text column for each part."""
    tells = {answer: str} | ({solution: str} if solution else {})
    return Layout(column(question), column(answer), {question: str}, tells, column(solution) if solution else None)


@dataclass(frozen=True)
class Split:
    """One split: in files named `file`, and on the Hub."""

    name: str  # begins its examples' ids
    size: int  # examples in the file
    hub: Hub
    layouts: tuple[Layout, ...]  # of rows, wherever they lie: the first of which all columns are there
    file: str | None = None  # its name without the ending; None: only on the Hub
    file_patterns: tuple[str, ...] = field(default=())  # further ones, in a folder given for the task
    shared_file_patterns: tuple[str, ...] = field(default=())  # further ones that name the dataset

    def load(self, task: str, folder: str | None, hub: Hub | None = None) -> tuple[dict[str, Problem], bool]:
        """Its problems by id, and whether they are the Hub's. Raises TaskDataError."""
        rows = load_rows(
            hub=hub or self.hub,
            folder=folder,
            file_patterns=(*self._in_folder(), *self.file_patterns),
            shared_file_patterns=self._shared(),
            columns=[{**layout.asks, **layout.tells} for layout in self.layouts],
        )
        return self._read(task, rows, Layout.problem), rows.from_hub

    def questions_at_hand(self, task: str) -> dict[str, Problem] | None:
        """Its problems without their answers, from the file in GROUPBENCH_DATA; None where there is none."""
        path = shared_file(self._shared())
        if path is None:
            return None
        rows = file_rows(path, [layout.asks for layout in self.layouts])
        return self._read(task, rows, Layout.asked)

    def _shared(self) -> tuple[str, ...]:
        own = (f"math/{self.file}.parquet", f"math/{self.file}.jsonl") if self.file else ()
        return (*own, *self.shared_file_patterns)

    def _in_folder(self) -> tuple[str, ...]:
        return (f"{self.file}.parquet", f"{self.file}.jsonl") if self.file else ()

    def _read(self, task: str, rows: Rows, read: Callable[[Layout, Row], Problem]) -> dict[str, Problem]:
        layout = self.layouts[rows.alternative]
        problems = []
        for number, row in enumerate(rows.rows, start=1):
            try:
                if layout.keep(row):
                    problems.append(read(layout, row))
            except (ValueError, KeyError, IndexError) as error:
                raise TaskDataError(f"{task} {self.name}, row {number}: {error} ({rows.origin}).") from error
        ids = content_ids(self.name, (problem.text for problem in problems))
        return dict(zip(ids, problems, strict=True))


def normal_form(question: str) -> str:
    """Its letters and digits, in lower case: by what two questions are the same."""
    return _NOT_A_LETTER_OR_DIGIT.sub("", question).lower()
