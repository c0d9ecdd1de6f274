"""The texts of a page: each one once, and cut where together they would be more than a page may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .shell import embedded

SHORTEST = 64  # characters that are left of a text, whatever there are


@dataclass
class Texts:
    """Numbered texts; data refer to them by number."""

    _numbers: dict[str, int] = field(default_factory=dict)

    def add(self, text: str | None) -> int | None:
        """Its number."""
        return None if text is None else self._numbers.setdefault(text, len(self._numbers))

    def data(self, room: int | None = None) -> dict[str, Any]:
        """`texts`, and by number how many characters of each were `cut`, so that they take at most `room` bytes."""
        texts = list(self._numbers)
        cap = None if room is None or not texts else _cap(texts, room)
        cut = {str(n): len(text) - cap for n, text in enumerate(texts) if cap is not None and len(text) > cap}
        return {"texts": [text[:cap] for text in texts], "cut": cut}


def _cap(texts: list[str], room: int) -> int:
    """The most characters of one text with which all of them fit."""
    low, high = SHORTEST, max(SHORTEST, max(map(len, texts))) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _bytes(texts, middle) <= room else (low, middle)
    return low


def _bytes(texts: list[str], cap: int) -> int:
    """What they take as `embedded` JSON, with the note of a cut each."""
    return sum(len(embedded(text[:cap])) + 1 + 16 * (len(text) > cap) for text in texts)
