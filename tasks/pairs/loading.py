"""Pairs of a set by name: a file or a folder on this machine, or the Hugging Face Hub."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..base import Message, TaskDataError
from ..data import Hub, expand, hub_rows, shared_file
from ..files import Columns, Rows, checked, file_rows
from .base import Pairs, identified
from .layouts import LAYOUTS, BadCell, NoPair

SETS = {  # short names: the Hub's id, and the split that is for training
    "ultrafeedback": ("HuggingFaceH4/ultrafeedback_binarized", "train_prefs"),
    "ultrafeedback-cleaned": ("argilla/ultrafeedback-binarized-preferences-cleaned", "train"),
    "hh-rlhf": ("Anthropic/hh-rlhf", "train"),
    "skywork": ("Skywork/Skywork-Reward-Preference-80K-v0.2", "train"),
}
COPIES = {"ultrafeedback-cleaned": "rlhf/ultrafeedback_cleaned*.parquet"}  # below GROUPBENCH_DATA, of a part at least
SUFFIXES = (".parquet", ".jsonl", ".json")
PART = "subset"  # a column that says which part of the set a row belongs to
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})$")
_STYLES = '["'  # how a cell with the JSON text of several answers begins


def load_pairs(where: str, revision: str | None = None) -> Pairs:
    """The pairs of `where`, which is PLACE[@SPLIT][#SUBSET], in the order of the source.

    PLACE is a file (.parquet, .jsonl or .json), a folder that holds one, or the shards of one split; a short name of
    `SETS`; or an owner/name on the Hub, of which the folder that GROUPBENCH_DATA names may hold a copy as
    name/SPLIT.parquet (or as `COPIES` has it). SUBSET is a pattern such as `Processed/*`, for the column `subset`.

    Ties, identical answers, empty ones, and rows whose conversations share no prompt are left out and counted. Raises
    TaskDataError, which names file, row and column, what was found and what is allowed; and where no pair is left.
    """
    place, _, pattern = where.partition("#")
    part_column: Columns = {PART: str} if pattern else {}
    rows = _rows(place, revision, [{**layout.columns, **part_column} for layout in LAYOUTS])
    layout = LAYOUTS[rows.alternative]
    dropped: Counter[str] = Counter()
    found: list[tuple[tuple[Message, ...], str, str, str]] = []
    for number, row in enumerate(rows.rows, start=1):
        part = row[PART] if pattern else ""
        if pattern and not fnmatchcase(part, pattern):
            dropped[f"of another subset than {pattern}"] += 1
            continue
        try:
            prompt, chosen, rejected = layout.read(row)
            _check(prompt, chosen, rejected)
        except BadCell as error:
            raise TaskDataError(f"{rows.origin}, row {number}: {error}") from None
        except NoPair as reason:
            dropped[str(reason)] += 1
            continue
        found.append((prompt, chosen, rejected, part))
    origin = rows.origin + (f"#{pattern}" if pattern else "")
    if found and all(text.startswith(_STYLES) for _, *both, _ in found for text in both):
        raise TaskDataError(
            f"{origin}: chosen is {found[0][1]!r:.60}, and every answer is such a list; expected one answer a cell, so "
            "write a row for each pair"
        )
    if not found:
        seen = f"; the subsets are {', '.join(sorted({row[PART] for row in rows.rows}))}" if pattern else ""
        why = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise TaskDataError(f"{origin}: none of {len(rows.rows)} rows holds a pair ({why}){seen}")
    return Pairs(identified(found), origin, len(rows.rows), dict(dropped))


def _check(prompt: Sequence[Message], chosen: str, rejected: str) -> None:
    """Raises NoPair for what no model could learn from."""
    if not any(message["content"].strip() for message in prompt):
        raise NoPair("with an empty prompt")
    if not (chosen.strip() and rejected.strip()):
        raise NoPair("with an empty answer")
    if chosen.strip() == rejected.strip():
        raise NoPair("with identical answers")


def _rows(place: str, revision: str | None, columns: Sequence[Columns]) -> Rows:
    path = expand(place)
    if path.is_file():
        return _file(path, columns)
    base, _, split = place.partition("@")
    if (folder := expand(base)).is_dir():
        return _folder(folder, split, columns)
    identity, default = SETS.get(base, (base, "train"))
    if base not in SETS and (base.startswith(("/", ".", "~", "$")) or base.count("/") != 1 or path.suffix in SUFFIXES):
        raise TaskDataError(
            f"pairs {place!r}: no such file or folder; allowed: {', '.join(SETS)}, an owner/name on the Hub, a "
            f"{', '.join(SUFFIXES)} file, or a folder that holds one"
        )
    hub = Hub(identity, split or default, revision or "main")
    patterns = [f"{identity.partition('/')[2]}/{hub.split}{suffix}" for suffix in SUFFIXES]
    patterns += [COPIES[base]] if base in COPIES and not split else []
    if (copy := shared_file(patterns)) is not None:
        return _file(copy, columns)
    instead = f"Without a network, name a {', '.join(SUFFIXES)} file or a folder in place of {base}."
    rows, alternative = hub_rows(hub, None, columns, instead)
    return Rows(checked(rows, hub.place, columns[alternative]), hub.place, alternative, True)


def _file(path: Path, columns: Sequence[Columns]) -> Rows:
    if path.suffix not in SUFFIXES:
        raise TaskDataError(f"pairs {str(path)!r}: {path.suffix or 'no suffix'}; allowed: {', '.join(SUFFIXES)}")
    return file_rows(path, columns)


def _folder(folder: Path, split: str, columns: Sequence[Columns]) -> Rows:
    """The one file, or the shards of one split."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.name.startswith(split))
    names = {match[1] if (match := _SHARD.match(path.stem)) else path.stem for path in files}
    if len(names) != 1:
        listed = ", ".join(path.relative_to(folder).as_posix() for path in files[:12]) or "no such file"
        wanted = f"the {split} split's file" if split else "one file, or one split's (FOLDER@SPLIT)"
        raise TaskDataError(f"pairs {str(folder)!r} holds {listed}; expected {wanted}, of {', '.join(SUFFIXES)}")
    every = [_file(path, columns) for path in files]
    if len({rows.alternative for rows in every}) > 1:
        raise TaskDataError(f"pairs {str(folder)!r}: {', '.join(sorted(p.name for p in files))} have other columns")
    rows: list[dict[str, Any]] = [row for one in every for row in one.rows]
    return every[0]._replace(rows=rows, origin=f"{folder}" if len(every) > 1 else every[0].origin)
