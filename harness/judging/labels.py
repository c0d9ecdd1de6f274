"""A local language model as a judge: the log-probabilities of two labels, of which nothing is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from tasks.base import Message
from tasks.judges.base import JudgeError

from .. import models
from ..codec import chat_text
from ..local import Local, batches, padded


@dataclass(frozen=True)
class LabelEngine(Local):
    """A `tasks.engines.TextEngine`: one forward pass a chat, nothing is sampled."""

    role = "judge"
    error = JudgeError

    @cached_property
    def _network(self) -> Any:
        return models.load_model(self.source, self.precision).to(self.device).eval()

    def tokens(self, chat: Sequence[Message]) -> list[int]:
        """A chat's token ids, up to where the reply begins. JudgeError where the model does not read as many."""
        ids = self.encoded(chat, reply=True)
        if self.limit is not None and len(ids) >= self.limit:
            raise JudgeError(
                f"judge {self.model!r}: a question of {len(ids)} tokens, and it reads {self.limit}; cut both "
                "answers with --cap-chars, or choose a judge with a longer context"
            )
        return ids

    def check(self, chat: Sequence[Message], labels: Sequence[str]) -> list[int]:
        """The labels' tokens behind a chat; reads no weights. Raises JudgeError as `label_logprobs` does."""
        ids = [self._label(chat, label) for label in labels]
        if len(set(ids)) < len(ids):
            raise JudgeError(f"judge {self.model!r}: labels {' and '.join(labels)} are the same token")
        return ids

    def label_logprobs(
        self, chats: Sequence[Sequence[Message]], labels: Sequence[str]
    ) -> list[tuple[list[float], int]]:
        """See `TextEngine`."""
        rows = [self.tokens(chat) for chat in chats]
        ids = self.check(chats[0], labels)
        found: dict[int, list[float]] = {}
        for batch in batches(rows, self.device):
            inputs = padded([rows[n] for n in batch], self.device, left=True)
            with torch.inference_mode():
                logits = self._network(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1].float()
            logprobs = logits.log_softmax(-1)[:, ids]
            if not logprobs.isfinite().all():
                raise JudgeError(f"judge {self.model!r}: log-probabilities that are no numbers; try another precision")
            found |= dict(zip(batch, logprobs.tolist(), strict=True))
        return [(found[n], len(rows[n])) for n in range(len(rows))]

    def _label(self, chat: Sequence[Message], label: str) -> int:
        """The token that a reply of nothing but `label` begins with: as the tokenizer cuts it behind the chat."""
        text = chat_text(self.tokenizer, chat, reply=True)
        before, after = (self.tokenizer(t, add_special_tokens=False).input_ids for t in (text, text + label))
        if len(after) != len(before) + 1 or after[:-1] != before:
            raise JudgeError(
                f"judge {self.model!r}: the label {label!r} is no single token behind a chat; choose a prompt with "
                "other labels, or another judge"
            )
        return int(after[-1])
