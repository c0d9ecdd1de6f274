"""What is wrong with a submission: the file, the record, what was found and what was expected."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MANY = 200  # faults of one submission that are kept: a file of a million lines may be wrong in each
LARGEST = 2**63  # whole numbers from here on fit into no array, and further ones into no float
LONG = 240  # characters of what was found that are shown


@dataclass(frozen=True)
class Fault:
    """One thing that does not hold. `unsafe`: nothing of the submission may be read, not even to be shown apart."""

    file: str
    record: str  # `step 3`, `step 10, heldout, greedy`; empty: the file as a whole
    found: str
    expected: str
    unsafe: bool = False

    @property
    def words(self) -> str:
        """One line of printable characters, whatever the submission holds."""
        place = shown(self.file) + (f", {shown(self.record)}" if self.record else "")
        return f"{place}: {shown(self.found)}" + (f"; expected {shown(self.expected)}" if self.expected else "")


class Faults:
    """The faults of one submission, as they are found."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self.more = 0  # that are not kept
        self.unsafe = False

    def add(self, file: str, record: str, found: object, expected: object = "", unsafe: bool = False) -> None:
        """One more."""
        self.unsafe |= unsafe
        if len(self.found) < MANY:
            self.found.append(Fault(file, record, str(found), str(expected), unsafe))
        else:
            self.more += 1


def shown(text: str) -> str:
    """Printable, on one line, and not longer than a person reads: a submission's words may steer no terminal."""
    if len(text) > LONG:
        text = f"{text[:LONG]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def hostile(text: str) -> str | None:
    """The first character that no name or label may hold, by number: control, formatting, half a surrogate pair."""
    for c in text:
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            return f"U+{ord(c):04X}"
    return None


def huge(content: Any) -> str | None:
    """The place of the first whole number within JSON-able content that no counter has; None where there is none."""
    waiting = [("", content)]
    while waiting:  # without recursion: depth is the author's
        where, one = waiting.pop()
        if isinstance(one, int) and abs(one) >= LARGEST:
            return where or "a number"
        if isinstance(one, Mapping):
            waiting += [(f"{where}.{key}" if where else str(key), value) for key, value in one.items()]
        elif isinstance(one, Sequence) and not isinstance(one, str):
            waiting += [(where, value) for value in one]
    return None


def strings(content: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text within JSON-able content with its place, keys included. Without recursion: depth is the author's."""
    waiting = [(place, content)]
    while waiting:
        where, one = waiting.pop()
        if isinstance(one, str):
            yield where, one
        elif isinstance(one, Mapping):
            for key, value in one.items():
                yield where, str(key)
                waiting.append((f"{where}.{key}" if where else str(key), value))
        elif isinstance(one, Sequence):
            waiting += [(where, value) for value in one]
