"""A file's rows, with the columns and types of cells that are needed: parquet, JSON lines, a JSON list."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from .base import TaskDataError

_TYPE_NAMES: dict[type, str] = {
    str: "text", int: "an integer", float: "a number", bool: "true or false", list: "a list", NoneType: "null"
}  # fmt: skip

Columns = Mapping[str, type | tuple[type, ...]]
"""Needed columns, and the Python types that their cells may have."""


class Rows(NamedTuple):
    """Rows of one split, each with exactly the keys of one of the sets of columns that were allowed."""

    rows: list[dict[str, Any]]
    origin: str  # the file, or the Hub's id and split
    alternative: int  # which set of columns
    from_hub: bool


def file_rows(path: Path, columns: Sequence[Columns]) -> Rows:
    """A file's rows, with the first of the sets of `columns` that it has. Raises TaskDataError."""
    read = {".parquet": _read_parquet, ".json": _read_json}.get(path.suffix, _read_jsonl)
    rows, alternative = read(path, columns)
    return Rows(checked(rows, f"{path}", columns[alternative]), f"{path}", alternative, False)


def checked(rows: list[Any], origin: str, columns: Columns) -> list[dict[str, Any]]:
    """The rows with the needed cells alone. Raises TaskDataError for a missing one, or one of another type."""
    if not rows:
        raise TaskDataError(f"{origin} has no rows; expected at least one, with the columns {_names(columns)}.")
    for number, row in enumerate(rows, start=1):
        _check_row(row, number, origin, columns)
    return [{column: row[column] for column in columns} for row in rows]


def one_line(error: Exception) -> str:
    """What it says, without a full stop."""
    return " ".join(str(error).split()).rstrip(".")


def _names(columns: Iterable[str]) -> str:
    return ", ".join(columns)


def _pick(found: Collection[str], columns: Sequence[Columns]) -> int | None:
    return next((n for n, alternative in enumerate(columns) if set(alternative) <= set(found)), None)


def _read_parquet(path: Path, columns: Sequence[Columns]) -> tuple[list[Any], int]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            alternative = columns_of(file.schema_arrow.names, str(path), columns)
            rows = file.read(columns=list(columns[alternative])).to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise TaskDataError(f"{path} cannot be read ({one_line(error)}); expected a readable parquet file.") from error
    return rows, alternative


def _read_jsonl(path: Path, columns: Sequence[Columns]) -> tuple[list[Any], int]:
    number = 0
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines would also cut at U+2028 within a text
        rows = []
        for number, line in enumerate(lines, start=1):  # noqa: B007, the error names the line
            if line.strip():
                rows.append(json.loads(line))
    except (OSError, ValueError, RecursionError) as error:
        reason = f"line {number}: {one_line(error)}" if number else one_line(error)
        raise TaskDataError(f"{path} cannot be read ({reason}); expected one JSON object a line, in UTF-8.") from error
    return rows, _layout(rows, path, columns)


def _read_json(path: Path, columns: Sequence[Columns]) -> tuple[list[Any], int]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise TaskDataError(f"{path} cannot be read ({one_line(error)}); expected a JSON list, in UTF-8.") from error
    if not isinstance(rows, list):
        raise TaskDataError(f"{path} holds {type(rows).__name__}; expected a JSON list of objects.")
    return rows, _layout(rows, path, columns)


def _layout(rows: Sequence[Any], path: Path, columns: Sequence[Columns]) -> int:
    first = rows[0] if rows else None
    return columns_of(first, f"{path}, row 1", columns) if isinstance(first, dict) else 0


def columns_of(found: Collection[str], origin: str, columns: Sequence[Columns]) -> int:
    """The number of the first set of columns that is `found`. Raises TaskDataError."""
    picked = _pick(found, columns)
    if picked is None:
        missing = [column for column in columns[0] if column not in found]
        raise TaskDataError(
            f"{origin} has no column {_names(missing)}; found: {_names(found) or 'none'}; "
            f"expected: {'; or '.join(map(_names, columns))}."
        )
    return picked


def _check_row(row: Any, number: int, origin: str, columns: Columns) -> None:
    where = f"{origin}, row {number}"
    if not isinstance(row, dict):
        raise TaskDataError(f"{where} is {type(row).__name__}; expected an object with the keys {_names(columns)}.")
    columns_of(row, where, [columns])
    for column, kind in columns.items():
        cell = row[column]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if isinstance(cell, kinds) and not (isinstance(cell, bool) and bool not in kinds):
            continue
        expected = " or ".join(_TYPE_NAMES.get(one, one.__name__) for one in kinds)
        shown = "null" if cell is None else f"{type(cell).__name__} {cell!r:.60}"
        raise TaskDataError(f"{where}: {column} is {shown}; expected {expected}.")
