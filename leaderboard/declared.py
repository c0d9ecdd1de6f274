"""What people declare in a file, TOML or YAML, read and held to the dataclasses that say what it may hold.

Every complaint names the file, the key, what was found and what is allowed.
"""

from __future__ import annotations

import difflib
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from .records import LeaderboardError

T = TypeVar("T")
STRICT: Any = {"extra": "forbid"}
MANY = 40  # names that a message does not list where they are listed elsewhere
MISSPELT = "unexpected_keyword_argument"  # pydantic's name for it


def toml(path: Path, where: str, error: type[LeaderboardError], hint: str = "") -> dict[str, Any]:
    """The content of a TOML file. Raises `error`; `hint` stands behind what the system says of the file."""
    try:
        return tomllib.loads(_text(path, where, error, hint))
    except tomllib.TOMLDecodeError as trouble:
        raise error(f"{where}: not valid TOML: {trouble}") from None


def yaml(path: Path, where: str, error: type[LeaderboardError]) -> Any:
    """The content of a YAML file. Raises `error`."""
    import yaml

    try:
        return yaml.safe_load(_text(path, where, error))
    except yaml.YAMLError as trouble:
        raise error(f"{where}: not valid YAML: {' '.join(str(trouble).split())}") from None


def checked(cls: type[T], content: Any, where: str, error: type[LeaderboardError], unit: str) -> T:
    """A dataclass of what a file holds, strict about types. Raises `error` with one complaint, a misspelt key first.

    `unit` is what the file's format calls an object: "a table", "keys".
    """
    from pydantic import TypeAdapter, ValidationError

    try:  # as JSON: lists are its tuples
        return TypeAdapter(cls).validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as failed:
        problem: Any = min(failed.errors(), key=lambda problem: problem["type"] != MISSPELT)
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == MISSPELT:
        *above, key = problem["loc"]
        raise error(f"{where}: unknown key {place!r}{suggestion(key, keys_at(cls, above))}")
    found = "" if problem["type"] == "missing" else f"; found {problem['input']!r}"
    raise error(f"{where}: {f'{place}: ' if place else ''}{problem['msg'].replace('an object', unit)}{found}")


def keys_at(cls: Any, path: Sequence[int | str]) -> list[str]:
    """The keys of the dataclass that lies at a place within `cls`: names of fields, keys of mappings, numbers."""
    current: Any = cls
    for part in path:
        if is_dataclass(current):
            current = typing.get_type_hints(current)[str(part)]
        else:
            inside = typing.get_args(current)
            current = inside[0] if inside[-1] is Ellipsis else inside[-1]  # of a tuple; of a mapping or a list
        if isinstance(current, types.UnionType):
            current = next(kind for kind in typing.get_args(current) if kind is not type(None))
    return [one.name for one in fields(current)]


def suggestion(found: object, allowed: Iterable[str], listed: str | None = None) -> str:
    """`; did you mean X? allowed: …`; of many names, which are `listed` elsewhere, only where."""
    allowed = list(allowed)
    near = difflib.get_close_matches(str(found), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    if listed is None or len(allowed) <= MANY:
        return f"{hint} allowed: {', '.join(allowed) or 'none'}"
    return hint if near else f"; {listed} lists all {len(allowed)} that there are"


def _text(path: Path, where: str, error: type[LeaderboardError], hint: str = "") -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # an editor may have put a mark in front
    except OSError as trouble:
        raise error(f"{where}: {trouble.strerror or trouble}{hint}") from None
    except UnicodeDecodeError as trouble:
        raise error(f"{where}: not text in UTF-8 (byte {trouble.start}: {trouble.reason})") from None
