"""The rollout protocol. An engine never sees text: prompts arrive as token ids and responses leave as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..settings import Sampling


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

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        """The completions of each request, in the order of its seeds. All prompts of a step come in one call."""
        ...
