"""A judge that runs here: the log-probabilities of the two labels as the first token of a local model's reply."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..base import Message
from ..engines import TextEngine
from .base import Decode, Identity, Judge, JudgeError, Sink
from .games import Game, Pair, Reply
from .prompts import JudgePrompt
from .registry import register

PART = 64  # games that are lost if the process dies; the engine makes its own batches of them


@register("engine")
@dataclass(frozen=True)
class EngineJudge(Judge):
    """Both labels are read from one forward pass: nothing is sampled, and nothing gained by asking twice."""

    deterministic = True

    engine: TextEngine
    prompt: JudgePrompt

    def __post_init__(self) -> None:
        if self.prompt.labels is None:
            raise JudgeError(
                f"judge 'engine': prompt {self.prompt.name!r} has no two labels to read; "
                "choose one that is answered by a label, such as labels-1"
            )

    @property
    def labels(self) -> tuple[str, str]:
        """The first and the second answer's."""
        assert self.prompt.labels is not None
        return self.prompt.labels

    @property
    def identity(self) -> Identity:
        """Of the model that the engine holds."""
        engine, decode = self.engine, Decode(max_tokens=1, logprobs=2)
        return Identity(
            "engine", engine.model, engine.revision, self.prompt.name, self.prompt.sha, decode, engine.backend
        )

    @property
    def parser_name(self) -> str:
        """The prompt's."""
        return self.prompt.parser

    @property
    def free(self) -> bool:
        """It is."""
        return True

    def messages(self, game: Game) -> tuple[Message, ...]:
        """The prompt, filled."""
        return self.prompt.messages(game)

    def require(self) -> None:
        """One short question: the engine says if a label is no single token."""
        self.engine.label_logprobs([self.messages(Game(Pair("", "Hello", "Hi", "Hey"), True))], self.labels)

    def ask(self, games: Sequence[Game], sink: Sink) -> None:
        """Ask in order."""
        for start in range(0, len(games), PART):
            part, began = games[start : start + PART], time.monotonic()
            found = self.engine.label_logprobs([self.messages(game) for game in part], self.labels)
            seconds = (time.monotonic() - began) / len(part)
            for game, (logprobs, tokens) in zip(part, found, strict=True):
                likely = self.labels[logprobs.index(max(logprobs))]
                known = dict(zip(self.labels, logprobs, strict=True))
                sink(game, Reply(likely, known, prompt_tokens=tokens, seconds=seconds))
