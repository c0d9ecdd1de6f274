"""Tables between markers of a Markdown file, a README's, replaced by what a program makes of the runs.

    <!-- groupbench:begin NAME -->
    <!-- groupbench:end NAME -->

Each marker stands on a line of its own; one within a fenced code block is text. All is checked before anything changes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..records import LeaderboardError

MARKER = re.compile(r" {0,3}<!-- groupbench:(begin|end) ([\w.-]+) -->\s*")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
EXAMPLE = "<!-- groupbench:begin NAME --> and <!-- groupbench:end NAME -->, each on a line of its own"


class InjectError(LeaderboardError):
    """A file that cannot be injected into; the message names file and line, what was found and what is allowed."""


@dataclass(frozen=True)
class Place:
    """Lines [first, last) between two markers, counted from 0."""

    name: str
    first: int
    last: int


def read(path: Path) -> str:
    """The file's text, line ends as they are. Raises InjectError."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InjectError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InjectError(f"{path}: not text in UTF-8 (byte {error.start})") from None


def places(text: str, known: Collection[str], where: Path) -> list[Place]:
    """The places of a text, each for one of the `known` tables. Raises InjectError; so does a text without any."""
    found: list[Place] = []
    opened: tuple[str, int] | None = None
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        here = f"{where}, line {number}"
        fenced = FENCE.match(line)
        if fenced and not fence:
            fence = fenced[1]
        elif fenced and fenced[1].startswith(fence) and not line[fenced.end() :].strip():
            fence = ""
        if fence or "<!-- groupbench:" not in line:
            continue
        marker = MARKER.fullmatch(line)
        if marker is None:
            raise InjectError(f"{here}: {line.strip()[:80]!r}; expected {EXAMPLE}")
        kind, name = marker[1], marker[2]
        if kind == "begin":
            if opened is not None:
                raise InjectError(f"{here}: {name} begins within {opened[0]}, which began in line {opened[1]}")
            if name not in known:
                raise InjectError(f"{here}: no table {name!r}; the program has {', '.join(sorted(known))}")
            opened = name, number
        else:
            if opened is None or opened[0] != name:
                inside = f"{opened[0]}, which began in line {opened[1]}" if opened else "nothing"
                raise InjectError(f"{here}: {name} ends within {inside}")
            found.append(Place(name, opened[1], number - 1))
            opened = None
    if opened is not None:
        raise InjectError(f"{where}, line {opened[1]}: {opened[0]} begins and does not end")
    if not found:
        raise InjectError(f"{where}: no place for a table; expected {EXAMPLE}")
    return found


def injected(text: str, tables: Mapping[str, str], where: Path) -> str:
    """The text with every place filled, under the line ends that it has. Raises InjectError."""
    end = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    lines = text.splitlines(keepends=True)
    for place in reversed(places(text, tables, where)):
        if not tables[place.name]:
            raise InjectError(f"{where}, line {place.first}: table {place.name} finds no run")
        body = "\n".join(["", tables[place.name].strip("\n"), "", ""])
        lines[place.first : place.last] = [body.replace("\n", end)]
    return "".join(lines)


def write(path: Path, text: str) -> None:
    """Replace the file, or what a link leads to, at once and with the rights that it had. Raises InjectError."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8"))
        shutil.copymode(path, temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InjectError(f"{path}: {error.strerror}") from None
