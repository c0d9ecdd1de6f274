"""Models as tasks, rewards and judges see them: the harness hands them in, and nothing here loads one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from .base import Message


class LocalModel(Protocol):
    """What the harness hands in: a model on this machine."""

    @property
    def model(self) -> str:
        """As the user named it."""

    @property
    def revision(self) -> str:
        """Of the weights."""

    @property
    def backend(self) -> str:
        """What computes it, and in which precision."""


class TextEngine(LocalModel, Protocol):
    """A local language model."""

    def label_logprobs(
        self, chats: Sequence[Sequence[Message]], labels: Sequence[str]
    ) -> list[tuple[list[float], int]]:
        """Log-probability of each label as the reply's first token, and the chat's tokens; in order.

        Raises TaskError where a label is no single token of this model's tokenizer, or two labels share one.
        """


class Scored(NamedTuple):
    """A reward model's word on one conversation."""

    reward: float  # the raw logit
    tokens: int  # that it has read
    cut: bool = False  # whether the end of the answer did not fit into the model's context, and was not read


class Scorer(LocalModel, Protocol):
    """A local reward model."""

    def room(self, prompt: Sequence[Message]) -> int | None:
        """Tokens that are left for an answer behind `prompt`; None: any number. Raises TaskError where none are."""

    def score(self, chats: Sequence[Sequence[Message]]) -> list[Scored]:
        """The reward of the last message of each conversation, which is the assistant's; in order.

        Raises TaskError where what stands before the answer leaves no room for it in the model's context.
        """
