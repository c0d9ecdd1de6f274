"""A reward model that runs here: a sequence classifier with one output, of the Skywork-Reward-V2 kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from tasks.base import Message
from tasks.engines import Scored
from tasks.rewards.base import RewardError

from .. import models
from ..local import Local, batches, padded


@dataclass(frozen=True)
class RewardScorer(Local):
    """A `tasks.engines.Scorer`: the raw logit of `AutoModelForSequenceClassification` with `num_labels=1`.

    Conversations are written by the model's own chat template and batched by length. What else lies in a batch changes
    rounding alone: the padding token is one that no row holds, since a classifier of the decoder kind takes for a
    conversation's last token the last one that is no padding, and many models share padding with the end of a turn.
    """

    role = "reward model"
    error = RewardError

    def check(self) -> None:
        """Raise RewardError unless it is a reward model with a chat template; reads no weights."""
        config = models.config(self.source)
        kinds = getattr(config, "architectures", None) or []
        if config.num_labels != 1 or not any(kind.endswith("ForSequenceClassification") for kind in kinds):
            raise RewardError(
                f"reward model {self.model!r}: no reward model: {', '.join(kinds) or 'no architecture'} with "
                f"{config.num_labels} outputs; expected …ForSequenceClassification with one, as those of "
                "`groupbench train-reward` or the Skywork-Reward-V2 family"
            )
        _ = self.tokenizer

    def configuration(self) -> Any:
        """The classifier's, for what its weights will take; reads none."""
        return models.config(self.source)

    def room(self, prompt: Sequence[Message]) -> int | None:
        """Tokens that are left for an answer behind `prompt`; None where the model names no limit.

        Raises RewardError where there are none.
        """
        if self.limit is None:
            return None
        if (used := len(self.encoded(prompt, reply=True))) >= self.limit:
            raise RewardError(
                f"reward model {self.model!r}: a prompt of {used} tokens, and it reads {self.limit}: {_begin(prompt)}; "
                "leave such prompts out (max_prompt_chars of the task), or choose a model with a longer context"
            )
        return self.limit - used

    @cached_property
    def network(self) -> Any:
        """The classifier, on the CPU; `score` brings it to the device, from where it may be moved away again."""
        self.check()
        return models.load_reward_model(self.source, self.precision).eval().requires_grad_(False)

    @property
    def loaded(self) -> Any | None:
        """The network, if it has been read."""
        return self.__dict__.get("network")

    def score(self, chats: Sequence[Sequence[Message]]) -> list[Scored]:
        """See `Scorer`; an answer whose end does not fit into the context is read as far as it does, and `cut`."""
        whole = [self._row(chat) for chat in chats]
        rows = whole if self.limit is None else [row[: self.limit] for row in whole]
        network = self.network.to(self.device)
        once = list(dict.fromkeys(map(tuple, rows)))  # equal conversations get equal bits, wherever they lie in a batch
        found: dict[tuple[int, ...], float] = {}
        for batch in batches(once, self.device):
            with torch.inference_mode():
                logits = logits_of(network, [once[n] for n in batch], self.device)
            found |= dict(zip((once[n] for n in batch), logits.tolist(), strict=True))
        return [
            Scored(found[tuple(row)], len(row), len(row) < len(all_)) for row, all_ in zip(rows, whole, strict=True)
        ]

    def _row(self, chat: Sequence[Message]) -> list[int]:
        ids = self.encoded(chat, reply=False)
        if self.limit is not None and len(ids) > self.limit:
            self.room(chat[:-1])  # raises where nothing of the answer would be read
        return ids


def logits_of(network: Any, rows: Sequence[Sequence[int]], device: str) -> torch.Tensor:
    """(B,) float32: a classifier's one output for each row of token ids, with a graph if enabled."""
    pad = _unused(rows)
    network.config.get_text_config().pad_token_id = pad
    logits: torch.Tensor = network(**padded(rows, device, left=False, pad=pad)).logits
    return logits[:, 0].float()


def _unused(rows: Sequence[Sequence[int]]) -> int:
    """The smallest token id that no row holds."""
    held = {token for row in rows for token in row}
    return next(n for n in range(len(held) + 1) if n not in held)


def _begin(prompt: Sequence[Message]) -> str:
    return repr(prompt[-1]["content"] if prompt else "")[:80]
