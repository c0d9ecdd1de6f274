"""Records without what is nobody's business: the machine's name, and folders of whoever ran them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

# A path of two parts or more: of Unix, of a home folder, of Windows, of a share; not that of a URL, nor a fraction.
PATH = re.compile(
    r"(?P<url>(?<![A-Za-z0-9+.-])(?!file:)[a-z][a-z0-9+.-]+://[\w.@%:\[\]-]*[\w\]](?:/[\w.@+%~=&-]*)*)"
    r"|(?<![\w./~])~?(?:/+(?! )[\w.@+ -]*[\w.@+-])+/?"
    r"|(?<![\w./~])[A-Za-z]:[\\/][^\s\"'<>|]*"
    r"|(?<![\w\\])\\{2,}[^\s\\/\"'<>|]+(?:[\\/]+[^\s\\/\"'<>|]+)+",
    re.IGNORECASE,
)
HOST = "host"
GONE = "scrubbed"


class Scrubber:
    """Scrubs records, and remembers what it did."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()

    def __call__(self, content: Any, place: str = "") -> Any:
        """The content with hosts gone, and of every absolute path its last part alone."""
        if isinstance(content, str):
            return self._text(content, place)
        if isinstance(content, Mapping):
            return {key: self._entry(key, value, place) for key, value in content.items()}
        return [self(value, place) for value in content] if isinstance(content, list) else content

    def _entry(self, key: str, value: Any, place: str) -> Any:
        where = f"{place}.{key}" if place else key
        if key == HOST and isinstance(value, str):
            self.done[f"{where}: the machine's name"] += 1
            return GONE
        return self(value, where)

    def _text(self, text: str, place: str) -> str:
        scrubbed = PATH.sub(_shortened, text)
        if scrubbed != text:
            self.done[f"{place}: folders of a path, all but its last part"] += 1
        return scrubbed

    @property
    def words(self) -> list[str]:
        """What was done, for people: `provenance.host: the machine's name (15 times)`."""
        return [f"{what} ({times} time{'s' * (times != 1)})" for what, times in sorted(self.done.items())]


def paths(content: Any, place: str = "") -> list[tuple[str, str]]:
    """Paths within content that must stay as it is, with their places."""
    if isinstance(content, str):
        return [(place, found[0]) for found in PATH.finditer(content) if _shortened(found) != found[0]]
    if isinstance(content, Mapping):
        return [one for key, value in content.items() for one in paths(value, f"{place}.{key}" if place else key)]
    return [one for value in content for one in paths(value, place)] if isinstance(content, list) else []


def _shortened(found: re.Match[str]) -> str:
    return found[0] if found["url"] else _last(found[0])


def _last(path: str) -> str:
    parts = [part for part in re.split(r"[/\\]", path) if part]
    if len(parts) < 2 or (len(parts) == 2 and path.startswith("/") and len(path) < 4):
        return path  # `/s`, `a/b`: no place of anybody's
    return f"…/{parts[-1]}"
