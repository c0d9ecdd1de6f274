"""Where a task's rows come from: a folder, or the Hugging Face Hub; and what identifies them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from .base import Example, TaskDataError

DATA_VARIABLE = "GROUPBENCH_DATA"  # a folder that holds the files of many tasks

_LISTED_FILES = 12
_TYPE_NAMES = {str: "text", int: "an integer", float: "a number", bool: "true or false", list: "a list"}


def load_rows(
    *,
    hub_id: str,
    hub_config: str | None,
    revision: str,
    split: str,
    folder: str | None,
    file_patterns: Sequence[str],
    shared_file_patterns: Sequence[str],
    columns: Mapping[str, type],
) -> list[dict[str, Any]]:
    """One split's rows, each with exactly the keys of `columns`, in the order of the source.

    Looked for in `folder` (`~` and `$VARIABLES` are expanded) when it is given; else in the folder that the environment
    variable GROUPBENCH_DATA names, when it holds the file; else on the Hub. Patterns are globs of `.parquet` and
    `.jsonl` files relative to the folder, of which exactly one file must match: `shared_file_patterns` name the dataset
    and are tried everywhere, `file_patterns` (such as `train.jsonl`) only in a `folder` given for this dataset.
    `columns` maps each needed column to the Python type of its cells.

    Raises TaskDataError, which names the place, what was found and what is expected, when there are no usable rows.
    """
    shared = os.environ.get(DATA_VARIABLE)
    patterns = (*shared_file_patterns, *file_patterns)
    path = None
    if folder is not None:
        path = _one_file(_expand(folder), patterns, "folder", required=True)
    elif shared:
        path = _one_file(_expand(shared), shared_file_patterns, DATA_VARIABLE, required=False)
    if path is not None:
        rows, origin = _read_file(path, columns), f"{path}"
    else:
        rows, origin = _read_hub(hub_id, hub_config, revision, split, columns, patterns), f"{hub_id} ({split})"
    if not rows:
        raise TaskDataError(f"{origin} has no rows; expected at least one, with the columns {_names(columns)}.")
    for number, row in enumerate(rows, start=1):
        _check_row(row, number, origin, columns)
    return [{column: row[column] for column in columns} for row in rows]


def fingerprint(examples: Iterable[Example]) -> str:
    """The sha256 (hex) of the examples' ids, prompts and answers, in order: what a run's data were."""
    digest = sha256()
    for example in examples:
        line = json.dumps([example.id, example.prompt, example.answer], ensure_ascii=True, sort_keys=True)
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def content_ids(prefix: str, texts: Iterable[str]) -> list[str]:
    """An id for each text: `prefix`, the text's hash and, from its second occurrence on, a number.

    Ids so made survive a reordered or a shortened dataset, and stay unique where a dataset repeats a question.
    """
    seen: Counter[str] = Counter()
    ids = []
    for text in texts:
        name = f"{prefix}-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return ids


def fixed_subset(examples: Sequence[Example], size: int | None, field: str) -> tuple[Example, ...]:
    """`size` examples chosen by a hash of their ids, in their old order; all when `size` is None.

    Always the same ones, and a smaller subset lies within a larger. Raises TaskDataError, naming `field`, when there
    are fewer than `size`.
    """
    if size is None:
        return tuple(examples)
    if size > len(examples):
        raise TaskDataError(
            f"{field} = {size}, but there are only {len(examples)}; allowed: 1 to {len(examples)}, or null."
        )
    ranked = sorted(examples, key=lambda example: sha256(f"subset|{example.id}".encode()).digest())
    chosen = {example.id for example in ranked[:size]}
    return tuple(example for example in examples if example.id in chosen)


def _expand(folder: str) -> Path:
    return Path(os.path.expandvars(folder)).expanduser()


def _one_file(folder: Path, patterns: Sequence[str], setting: str, required: bool) -> Path | None:
    """The one file in `folder` that matches a pattern; None when none does and it is not `required`."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise TaskDataError(
            f"{setting} = {str(folder)!r} {what}; expected a folder that holds {' or '.join(patterns)}."
        )
    matches = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    if len(matches) > 1:
        found = ", ".join(path.relative_to(folder).as_posix() for path in matches)
        raise TaskDataError(
            f"{setting} = {str(folder)!r} is ambiguous: {found} all match; expected exactly one of them."
        )
    if not matches and required:
        expected = " or ".join(patterns)
        raise TaskDataError(f"{setting} = {str(folder)!r} holds {_listing(folder)}; expected one file {expected}.")
    return matches[0] if matches else None


def _listing(folder: Path) -> str:
    """The first few files under a folder, in words. Lazy, for the folder may be somebody's home."""

    def files() -> Iterator[str]:
        for place, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                yield (Path(place) / name).relative_to(folder).as_posix()

    found = list(islice(files(), _LISTED_FILES + 1))
    more = ", and more" if len(found) > _LISTED_FILES else ""
    return (", ".join(found[:_LISTED_FILES]) + more) if found else "no files"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _names(columns: Iterable[str]) -> str:
    return ", ".join(columns)


def _read_file(path: Path, columns: Mapping[str, type]) -> list[dict[str, Any]]:
    return _read_parquet(path, columns) if path.suffix == ".parquet" else _read_jsonl(path)


def _read_parquet(path: Path, columns: Mapping[str, type]) -> list[dict[str, Any]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            _check_columns(file.schema_arrow.names, str(path), columns)
            rows: list[dict[str, Any]] = file.read(columns=list(columns)).to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise TaskDataError(f"{path} cannot be read ({_one_line(error)}); expected a readable parquet file.") from error
    return rows


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    number = 0
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines would also cut at U+2028 within a text
        rows = []
        for number, line in enumerate(lines, start=1):  # noqa: B007, the error names the line
            if line.strip():
                rows.append(json.loads(line))
    except (OSError, ValueError, RecursionError) as error:
        reason = f"line {number}: {_one_line(error)}" if number else _one_line(error)
        raise TaskDataError(f"{path} cannot be read ({reason}); expected one JSON object a line, in UTF-8.") from error
    return rows


def _read_hub(
    hub_id: str,
    hub_config: str | None,
    revision: str,
    split: str,
    columns: Mapping[str, type],
    patterns: Sequence[str],
) -> list[dict[str, Any]]:
    try:
        from datasets import load_dataset

        dataset = load_dataset(hub_id, hub_config, split=split, revision=revision)
    except Exception as error:  # the Hub's client raises dozens of kinds; none of them says what to do
        shared = os.environ.get(DATA_VARIABLE)
        looked = f" {DATA_VARIABLE} = {shared!r} does not hold it either." if shared else ""
        raise TaskDataError(
            f"{hub_id} (config {hub_config}, split {split}, revision {revision}) could not be loaded from the Hugging "
            f"Face Hub: {type(error).__name__}: {_one_line(error)}.{looked} "
            f"Without a network, set `folder` to a folder that holds {' or '.join(patterns)}."
        ) from error
    origin = f"{hub_id} ({split})"
    _check_columns(dataset.column_names, origin, columns)
    rows: list[dict[str, Any]] = dataset.select_columns(list(columns)).to_list()
    return rows


def _check_columns(found: Collection[str], origin: str, columns: Mapping[str, type]) -> None:
    missing = [column for column in columns if column not in found]
    if missing:
        raise TaskDataError(
            f"{origin} has no column {_names(missing)}; found: {_names(found) or 'none'}; expected: {_names(columns)}."
        )


def _check_row(row: Any, number: int, origin: str, columns: Mapping[str, type]) -> None:
    where = f"{origin}, row {number}"
    if not isinstance(row, dict):
        raise TaskDataError(f"{where} is {type(row).__name__}; expected an object with the keys {_names(columns)}.")
    _check_columns(row, where, columns)
    for column, kind in columns.items():
        cell = row[column]
        if cell is None:
            raise TaskDataError(f"{where}: {column} is null; expected {_TYPE_NAMES.get(kind, kind.__name__)}.")
        if not isinstance(cell, kind) or (isinstance(cell, bool) and kind is not bool):
            shown = f"{type(cell).__name__} {cell!r:.60}"
            raise TaskDataError(f"{where}: {column} is {shown}; expected {_TYPE_NAMES.get(kind, kind.__name__)}.")
