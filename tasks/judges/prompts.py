"""A judge's prompt: its texts, what they are filled with, and which parser reads the reply to it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ..base import Message
from .base import Game

_PLACE = re.compile(r"\{(instruction|first|second)\}")


@dataclass(frozen=True)
class JudgePrompt:
    """`system` (may be empty) and `user` with the places {instruction}, {first} and {second}."""

    name: str
    system: str
    user: str
    parser: str  # a name in `parsing.PARSERS`
    labels: tuple[str, str] | None = None  # the first and the second answer's name, where the reply is only that

    @property
    def sha(self) -> str:
        """The sha256 (hex) of the texts."""
        return hashlib.sha256(f"{self.system}\0{self.user}".encode()).hexdigest()

    def messages(self, game: Game) -> tuple[Message, ...]:
        """The chat for a game. Filled in one pass: an answer that contains `{second}` stays as it is."""
        texts = {"instruction": game.pair.instruction, "first": game.first, "second": game.second}
        user = Message(role="user", content=_PLACE.sub(lambda match: texts[match[1]], self.user))
        return (Message(role="system", content=self.system), user) if self.system else (user,)
