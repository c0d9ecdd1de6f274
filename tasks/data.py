"""Where a task's rows come from: a folder, or the Hugging Face Hub; and what identifies them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from .base import Example, TaskDataError
from .files import Columns, Rows, checked, columns_of, file_rows, one_line

DATA_VARIABLE = "GROUPBENCH_DATA"  # a folder that holds the files of many tasks

_LISTED_FILES = 12


@dataclass(frozen=True)
class Hub:
    """One split of a dataset on the Hugging Face Hub, and what pins it: a commit, or else its size and its content."""

    id: str
    split: str
    revision: str = "main"
    configs: tuple[str | None, ...] = (None,)  # read one after the other
    examples: int | None = None  # how many it must give; None: not known
    fingerprint: str | None = None  # `fingerprint` of these, where no commit is known
    file: str | None = None  # the one to read, of a repository that `load_dataset` cannot read; it has no split
    sha256: str | None = None  # of that file's bytes

    @property
    def place(self) -> str:
        """Where the rows are, in words."""
        return f"{self.id} ({self.file or self.split})"

    @property
    def pin(self) -> str:
        """What fixes the content, in words."""
        if self.revision != "main":
            return f"commit {self.revision[:8]}"
        return f"content {self.fingerprint[:8]}" if self.fingerprint else "none"


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
    variable GROUPBENCH_DATA names, when it holds the file; else on the Hub. Patterns are globs of `.parquet`, `.jsonl`
    and `.json` (a list) files relative to the folder, of which exactly one must match: `shared_file_patterns` name the
    dataset and are tried everywhere, `file_patterns` (such as `train.jsonl`) only in a `folder` given for this dataset.
    `columns` are the sets of needed columns, with the types of their cells, of which the first that is there is taken.

    Raises TaskDataError, which names the place, what was found and what is expected, when there are no usable rows.
    """
    patterns = (*shared_file_patterns, *file_patterns)
    path = local_file(folder, file_patterns, shared_file_patterns)
    if path is not None:
        return file_rows(path, columns)
    if hub.file is not None:
        return file_rows(hub_file(hub, patterns), columns)._replace(origin=hub.place, from_hub=True)
    rows: list[Any] = []
    alternative = 0
    for config in hub.configs:
        found, alternative = hub_rows(hub, config, columns, _in_a_folder(patterns))
        rows += found
    return Rows(checked(rows, hub.place, columns[alternative]), hub.id, alternative, True)


def local_file(
    folder: str | None, file_patterns: Sequence[str], shared_file_patterns: Sequence[str], required: bool = True
) -> Path | None:
    """The one file in `folder`, where that is given, else in GROUPBENCH_DATA, as in `load_rows`; None: not there.

    Raises TaskDataError for a folder that has to hold the file (`required`) and does not, and for two that match.
    """
    if folder is not None:
        return _one_file(expand(folder), (*shared_file_patterns, *file_patterns), "folder", required)
    return shared_file(shared_file_patterns)


def shared_file(patterns: Sequence[str]) -> Path | None:
    """The one file that matches a pattern in the folder that GROUPBENCH_DATA names; None without the two.

    Raises TaskDataError for a variable that names no folder, and for two files that match.
    """
    shared = os.environ.get(DATA_VARIABLE)
    return _one_file(expand(shared), patterns, DATA_VARIABLE, required=False) if shared else None


def expand(path: str) -> Path:
    """A path that a user wrote: with `~` and `$VARIABLES`."""
    return Path(os.path.expandvars(path)).expanduser()


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


class Identified(Protocol):
    """What has a stable id."""

    @property
    def id(self) -> str:
        """Unique within its set."""


Item = TypeVar("Item", bound=Identified)


def fixed_subset(examples: Sequence[Item], size: int | None, field: str) -> tuple[Item, ...]:
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


def hub_rows(hub: Hub, config: str | None, columns: Sequence[Columns], instead: str) -> tuple[list[Any], int]:
    """A config's rows, not checked yet, and which set of columns they have. Raises TaskDataError.

    `instead` says what helps where there is no network.
    """
    try:
        from datasets import load_dataset

        dataset = load_dataset(hub.id, config, split=hub.split, revision=hub.revision)
    except Exception as error:  # the Hub's client raises dozens of kinds; none of them says what to do
        raise _out_of_reach(hub, f"config {config}, split {hub.split}", error, instead) from error
    alternative = columns_of(dataset.column_names, hub.place, columns)
    return dataset.select_columns(list(columns[alternative])).to_list(), alternative


def hub_file(hub: Hub, patterns: Sequence[str]) -> Path:
    """The Hub's file `hub.file`, downloaded or cached. `patterns` say what a folder would have to hold instead.

    Raises TaskDataError when it cannot be had, or is not the declared one.
    """
    assert hub.file is not None
    try:
        from huggingface_hub import hf_hub_download

        path = Path(hf_hub_download(hub.id, hub.file, repo_type="dataset", revision=hub.revision))
    except Exception as error:
        raise _out_of_reach(hub, hub.file, error, _in_a_folder(patterns)) from error
    if hub.sha256 is not None and (found := file_sha256(path)) != hub.sha256:
        raise TaskDataError(f"{hub.place} at {hub.revision} has the sha256 {found}; expected {hub.sha256} ({path}).")
    return path


def file_sha256(path: Path) -> str:
    """The sha256 (hex) of a file's bytes."""
    return sha256(path.read_bytes()).hexdigest()


def _in_a_folder(patterns: Sequence[str]) -> str:
    return f"Without a network, set `folder` to a folder that holds {' or '.join(patterns)}."


def _out_of_reach(hub: Hub, what: str, error: Exception, instead: str) -> TaskDataError:
    shared = os.environ.get(DATA_VARIABLE)
    looked = f" {DATA_VARIABLE} = {shared!r} does not hold it either." if shared else ""
    return TaskDataError(
        f"{hub.id} ({what}, revision {hub.revision}) could not be loaded from the "
        f"Hugging Face Hub: {type(error).__name__}: {one_line(error)}.{looked} {instead}"
    )
