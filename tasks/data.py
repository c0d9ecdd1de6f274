"""Where a task's rows come from: a folder, or the Hugging Face Hub; and what identifies them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from .base import Example, TaskDataError

DATA_VARIABLE = "GROUPBENCH_DATA"  # a folder that holds the files of many tasks

_LISTED_FILES = 12
_TYPE_NAMES: dict[type, str] = {
    str: "text", int: "an integer", float: "a number", bool: "true or false", list: "a list", NoneType: "null"
}  # fmt: skip

Columns = Mapping[str, type | tuple[type, ...]]
"""Needed columns, and the Python types that their cells may have."""


@dataclass(frozen=True)
class Hub:
    """One split of a dataset on the Hugging Face Hub, and what pins it: a commit, or else its size and its content."""

    id: str
    split: str
    revision: str = "main"
    configs: tuple[str | None, ...] = (None,)  # read one after the other
    examples: int | None = None  # how many it must give; None: not known
    fingerprint: str | None = None  # `fingerprint` of these, where no commit is known

    @property
    def pin(self) -> str:
        """What fixes the content, in words."""
        if self.revision != "main":
            return f"commit {self.revision[:8]}"
        return f"content {self.fingerprint[:8]}" if self.fingerprint else "none"


class Rows(NamedTuple):
    """Rows of one split, each with exactly the keys of one of the sets of columns that were allowed."""

    rows: list[dict[str, Any]]
    origin: str  # the file, or the Hub's id and split
    alternative: int  # which set of columns
    from_hub: bool


def load_rows(
    *,
    hub: Hub,
    folder: str | None,
    file_patterns: Sequence[str],
    shared_file_patterns: Sequence[str],
    columns: Sequence[Columns],
) -> Rows:
    """One split's rows, in the order of the source.

    Looked for in `folder` (`~` and `$VARIABLES` are expanded) when it is given; else in the folder that the environment
    variable GROUPBENCH_DATA names, when it holds the file; else on the Hub. Patterns are globs of `.parquet` and
    `.jsonl` files relative to the folder, of which exactly one file must match: `shared_file_patterns` name the dataset
    and are tried everywhere, `file_patterns` (such as `train.jsonl`) only in a `folder` given for this dataset.
    `columns` are the sets of needed columns, with the types of their cells, of which the first that is there is taken.

    Raises TaskDataError, which names the place, what was found and what is expected, when there are no usable rows.
    """
    patterns = (*shared_file_patterns, *file_patterns)
    if folder is not None:
        path = _one_file(expand(folder), patterns, "folder", required=True)
    else:
        path = shared_file(shared_file_patterns)
    if path is not None:
        return file_rows(path, columns)
    rows: list[Any] = []
    alternative = 0
    for config in hub.configs:
        found, alternative = _read_hub(hub, config, columns, patterns)
        rows += found
    return Rows(_checked(rows, f"{hub.id} ({hub.split})", columns[alternative]), hub.id, alternative, True)


def shared_file(patterns: Sequence[str]) -> Path | None:
    """The one file that matches a pattern in the folder that GROUPBENCH_DATA names; None without the two.

    Raises TaskDataError for a variable that names no folder, and for two files that match.
    """
    shared = os.environ.get(DATA_VARIABLE)
    return _one_file(expand(shared), patterns, DATA_VARIABLE, required=False) if shared else None


def file_rows(path: Path, columns: Sequence[Columns]) -> Rows:
    """A file's rows, with the first of the sets of `columns` that it has. Raises TaskDataError."""
    rows, alternative = _read_parquet(path, columns) if path.suffix == ".parquet" else _read_jsonl(path, columns)
    return Rows(_checked(rows, f"{path}", columns[alternative]), f"{path}", alternative, False)


def expand(path: str) -> Path:
    """A path that a user wrote: with `~` and `$VARIABLES`."""
    return Path(os.path.expandvars(path)).expanduser()


def _checked(rows: list[Any], origin: str, columns: Columns) -> list[dict[str, Any]]:
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


def _pick(found: Collection[str], columns: Sequence[Columns]) -> int | None:
    return next((n for n, alternative in enumerate(columns) if set(alternative) <= set(found)), None)


def _read_parquet(path: Path, columns: Sequence[Columns]) -> tuple[list[Any], int]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            alternative = _columns_of(file.schema_arrow.names, str(path), columns)
            rows = file.read(columns=list(columns[alternative])).to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise TaskDataError(f"{path} cannot be read ({_one_line(error)}); expected a readable parquet file.") from error
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
        reason = f"line {number}: {_one_line(error)}" if number else _one_line(error)
        raise TaskDataError(f"{path} cannot be read ({reason}); expected one JSON object a line, in UTF-8.") from error
    first = rows[0] if rows else None
    return rows, _columns_of(first, f"{path}, row 1", columns) if isinstance(first, dict) else 0


def _read_hub(
    hub: Hub, config: str | None, columns: Sequence[Columns], patterns: Sequence[str]
) -> tuple[list[Any], int]:
    try:
        from datasets import load_dataset

        dataset = load_dataset(hub.id, config, split=hub.split, revision=hub.revision)
    except Exception as error:  # the Hub's client raises dozens of kinds; none of them says what to do
        shared = os.environ.get(DATA_VARIABLE)
        looked = f" {DATA_VARIABLE} = {shared!r} does not hold it either." if shared else ""
        raise TaskDataError(
            f"{hub.id} (config {config}, split {hub.split}, revision {hub.revision}) could not be loaded from the "
            f"Hugging Face Hub: {type(error).__name__}: {_one_line(error)}.{looked} "
            f"Without a network, set `folder` to a folder that holds {' or '.join(patterns)}."
        ) from error
    alternative = _columns_of(dataset.column_names, f"{hub.id} ({hub.split})", columns)
    return dataset.select_columns(list(columns[alternative])).to_list(), alternative


def _columns_of(found: Collection[str], origin: str, columns: Sequence[Columns]) -> int:
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
    _columns_of(row, where, [columns])
    for column, kind in columns.items():
        cell = row[column]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if isinstance(cell, kinds) and not (isinstance(cell, bool) and bool not in kinds):
            continue
        expected = " or ".join(_TYPE_NAMES.get(one, one.__name__) for one in kinds)
        shown = "null" if cell is None else f"{type(cell).__name__} {cell!r:.60}"
        raise TaskDataError(f"{where}: {column} is {shown}; expected {expected}.")
