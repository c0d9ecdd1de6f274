"""Models that run here and are not trained: found, then read when the first question is due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from tasks.base import Message, TaskError

from . import models
from .codec import chat_ids

AT_ONCE = {"cpu": 4096, "cuda": 65536}  # tokens of one forward pass, padding included


@dataclass(frozen=True)
class Local:
    """A model found, a `tasks.engines.LocalModel`; its weights are read when the first question is due."""

    source: models.Source
    precision: Any  # float32 | bfloat16
    device: str

    role: ClassVar[str] = "model"  # what it is to people
    error: ClassVar[type[TaskError]] = TaskError  # what it raises

    @property
    def model(self) -> str:
        """As the user named it."""
        return self.source.name

    @cached_property
    def revision(self) -> str:
        """What the weights are, wherever they lie."""
        return models.fingerprint(self.source)

    @property
    def backend(self) -> str:
        """What computes it."""
        return f"transformers, {self.precision}"

    @cached_property
    def tokenizer(self) -> Any:
        """Raises the model's error where it has no chat template: what a conversation looks like cannot be guessed."""
        tokenizer = models.load_tokenizer(self.source)
        if not tokenizer.chat_template:
            raise self.error(
                f"{self.role} {self.model!r}: its tokenizer has no chat template; choose an instruct model"
            )
        return tokenizer

    @cached_property
    def limit(self) -> int | None:
        """Tokens that it reads; None where it does not say."""
        return models.context_limit(self.source)

    def encoded(self, chat: Sequence[Message], reply: bool) -> list[int]:
        """A chat's token ids, up to where the `reply` begins."""
        return chat_ids(self.tokenizer, chat, reply)


def batches(rows: Sequence[Sequence[int]], device: str) -> Iterator[list[int]]:
    """Numbers of rows of similar length, so many as fit, the longest first: what does not fit shows at once."""
    order = sorted(range(len(rows)), key=lambda n: -len(rows[n]))
    while order:
        size = max(1, AT_ONCE[device] // max(1, len(rows[order[0]])))
        yield order[:size]
        del order[:size]


def padded(rows: Sequence[Sequence[int]], device: str, *, left: bool, pad: int = 0) -> dict[str, torch.Tensor]:
    """Ids and mask (B, L). Left-padded, every row's last token is the last column, and there are positions as well."""
    width = max(map(len, rows))

    def laid(row: Sequence[int], filler: Sequence[int]) -> list[int]:
        return [*filler, *row] if left else [*row, *filler]

    ids = torch.tensor([laid(row, [pad] * (width - len(row))) for row in rows])
    mask = torch.tensor([laid([1] * len(row), [0] * (width - len(row))) for row in rows])
    found = {"input_ids": ids, "attention_mask": mask}
    if left:
        found["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    return {name: tensor.to(device) for name, tensor in found.items()}
