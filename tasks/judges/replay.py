"""Verdicts that were given elsewhere, or before: tables without a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from . import recorded
from .base import Identity, Judge, JudgeError, Sink
from .games import Failure, Game, Parser, Reading, Reply
from .parsing import PARSERS, V2_LABELS
from .prompts import JudgePrompt
from .registry import register


@register("replay")
@dataclass(frozen=True)
class ReplayJudge(Judge):
    """The replies in `path`; see `recorded` for what that may be. Nothing is guessed: a game that is not there fails.

    A reply is found by the texts that it was about, where the record has them, else by the pair's id and the order.
    Arena-Hard's judgments keep their prompts' texts: with `prompt` they are found by these, without it a reply counts
    only if both answers stand in what the judge was shown.
    """

    deterministic = True

    path: Path
    prompt: JudgePrompt | None = None
    policy: str | None = None  # a parser's name; None: the prompt's, or the format's own
    candidate: str | None = None  # whose answers, in a file with those of several models

    def __post_init__(self) -> None:
        if self.policy is not None and self.policy not in PARSERS:
            raise JudgeError(f"judge 'replay': policy {self.policy!r}; allowed: {', '.join(PARSERS)}")

    @cached_property
    def recorded(self) -> recorded.Recorded:
        """What the file holds. Raises JudgeError."""
        return recorded.load(Path(self.path), self.prompt, self.candidate)

    @property
    def identity(self) -> Identity:
        """Of the judge that once replied."""
        name = self.prompt.name if self.prompt is not None else ""
        return Identity("replay", self.recorded.model, "", name, self.recorded.prompt_sha)

    @property
    def parser_name(self) -> str:
        """The policy, the prompt's, or the format's own. Raises JudgeError where none of them says it."""
        named = self.policy or (self.prompt.parser if self.prompt is not None else None) or self.recorded.policy
        if named is None:
            raise JudgeError(f"{self.path}: it does not say how its replies are read; name the prompt or the policy")
        return named

    @property
    def parser(self) -> Parser:
        """The named one; of what was recorded as read, the record."""
        return partial(_read, PARSERS[self.parser_name])

    @property
    def free(self) -> bool:
        """It is."""
        return True

    def require(self) -> None:
        """The file, and a way to read its replies."""
        self.parser(Reply(""))

    def ask(self, games: Sequence[Game], sink: Sink) -> None:
        """Look up all games; of an unreadable reply, the one to the second question, where it was asked."""
        for game in games:
            reply = self.recorded.find(game, self.prompt)
            if reply is not None and self.parser(reply).first is None:
                reply = self.recorded.find(replace(game, sample=1), self.prompt) or reply
            sink(game, reply if reply is not None else Failure(f"{self.path}: no reply to these texts in this order"))


def _read(policy: Parser, reply: Reply) -> Reading:
    if reply.share is None:
        return policy(reply)
    reading = PARSERS["share"](reply)
    label = reply.text or reading.label
    return replace(reading, label=label, weight=V2_LABELS.get(label or "", (0.0, 1))[1])
