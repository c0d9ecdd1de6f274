"""The rollout protocol. An engine never sees text: prompts arrive as token ids and responses leave as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import UserError
from ..settings import Sampling


class EngineError(UserError):
    """An engine that cannot be had, or that is not the policy it should draw from; the message says which and why."""


@dataclass(frozen=True)
class Request:
    """One prompt and how many responses it wants: one a seed."""

    prompt: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Completion:
    """One response. `tokens` ends with an end-of-text token unless `truncated`."""

    tokens: tuple[int, ...]
    logp: tuple[float, ...]  # of each token, under the distribution it was drawn from (tempered, before top-p/top-k)
    truncated: bool  # stopped by max_tokens


class Engine(Protocol):
    """Draws responses from the current policy."""

    foreign: bool  # other code computes its log-probabilities, from weights of its own: to be checked, not believed

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        """The completions of each request, in the order of its seeds. All prompts of a step come in one call."""
        ...

    def release(self) -> None:
        """A step's rollout is over: give back the memory that the update may want. The next `generate` takes it."""
        ...
