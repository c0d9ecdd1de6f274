"""A dev split: settings are chosen on examples that are neither trained on meanwhile nor in the test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from .base import Example
from .wrapped import Wrapped


@dataclass(frozen=True)
class DevSplit(Wrapped):
    """`task` with a share of its training examples held out; its own held-out examples are never touched.

    Which ones is decided by a hash of their leak keys, so that a larger share only adds. Raises ValueError on a bad
    share.
    """

    share: float
    """Expected share of the leak keys that are held out, in (0, 1)."""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share = {self.share}; allowed: a number between 0 and 1, both excluded")

    @cached_property
    def train(self) -> Sequence[Example]:
        """The task's training examples that are left, in their order."""
        return tuple(example for example in self.task.train if not self._is_dev(example))

    @cached_property
    def heldout(self) -> Sequence[Example]:
        """The task's training examples that are held out, in their order."""
        return tuple(example for example in self.task.train if self._is_dev(example))

    def _is_dev(self, example: Example) -> bool:
        digest = sha256(f"dev|{self.task.leak_key(example)}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < self.share
