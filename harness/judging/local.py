"""Judges that run here: two labels' log-probabilities from a language model, and rewards from a reward model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from tasks.base import Message
from tasks.judges.base import JudgeError

from .. import models

AT_ONCE = {"cpu": 4096, "cuda": 65536}  # tokens of one forward pass, padding included


@dataclass(frozen=True)
class _Local:
    """A model found; its weights are read when the first question is due."""

    source: models.Source
    precision: Any  # float32 | bfloat16
    device: str

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
    def _tokenizer(self) -> Any:
        tokenizer = models.load_codec(self.source).tokenizer
        if not tokenizer.chat_template:
            raise JudgeError(f"judge {self.model!r}: its tokenizer has no chat template; choose an instruct model")
        return tokenizer

    @cached_property
    def _limit(self) -> int | None:
        return models.context_limit(self.source)

    def tokens(self, chat: Sequence[Message], reply: bool = True) -> list[int]:
        """A chat's token ids, up to where the `reply` begins. JudgeError where the model does not read as many."""
        turns = [dict(message) for message in chat]
        ids: list[int] = self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=reply, tokenize=True, return_dict=False
        )
        if self._limit is not None and len(ids) >= self._limit:
            raise JudgeError(
                f"judge {self.model!r}: a question of {len(ids)} tokens, and it reads {self._limit}; cut both "
                "answers with --cap-chars, or choose a judge with a longer context"
            )
        return ids

    def _batches(self, rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Numbers of rows of similar length, so many as fit, the longest first: what does not fit shows at once."""
        order = sorted(range(len(rows)), key=lambda n: -len(rows[n]))
        while order:
            size = max(1, AT_ONCE[self.device] // len(rows[order[0]]))
            yield order[:size]
            del order[:size]

    def _padded(self, rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """Left-padded ids, mask and positions (B, L): every row's last token is the last column."""
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        found = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        return {name: tensor.to(self.device) for name, tensor in found.items()}


@dataclass(frozen=True)
class LabelEngine(_Local):
    """A `tasks.judges.base.TextEngine`: one forward pass a chat, nothing is sampled."""

    @cached_property
    def _network(self) -> Any:
        return models.load_model(self.source, self.precision).to(self.device).eval()

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
        for batch in self._batches(rows):
            inputs = self._padded([rows[n] for n in batch])
            with torch.inference_mode():
                logits = self._network(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1].float()
            logprobs = logits.log_softmax(-1)[:, ids]
            if not logprobs.isfinite().all():
                raise JudgeError(f"judge {self.model!r}: log-probabilities that are no numbers; try another precision")
            found |= dict(zip(batch, logprobs.tolist(), strict=True))
        return [(found[n], len(rows[n])) for n in range(len(rows))]

    def _label(self, chat: Sequence[Message], label: str) -> int:
        """The token that a reply of nothing but `label` begins with: as the tokenizer cuts it behind the chat."""
        turns = [dict(message) for message in chat]
        text = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        before, after = (self._tokenizer(t, add_special_tokens=False).input_ids for t in (text, text + label))
        if len(after) != len(before) + 1 or after[:-1] != before:
            raise JudgeError(
                f"judge {self.model!r}: the label {label!r} is no single token behind a chat; choose a prompt with "
                "other labels, or another judge"
            )
        return int(after[-1])


@dataclass(frozen=True)
class RewardScorer(_Local):
    """A `tasks.judges.base.Scorer`: a classifier with one output, of the Skywork-Reward kind; the raw logit."""

    def check(self) -> None:
        """Raise JudgeError unless it is a reward model; reads no weights."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(self.source.location, revision=self.source.revision or "main")
        kinds = getattr(config, "architectures", None) or []
        if config.num_labels != 1 or not any(kind.endswith("ForSequenceClassification") for kind in kinds):
            raise JudgeError(
                f"judge {self.model!r}: no reward model: {', '.join(kinds) or 'no architecture'} with "
                f"{config.num_labels} outputs; expected …ForSequenceClassification with one"
            )

    @cached_property
    def _network(self) -> Any:
        from transformers import AutoModelForSequenceClassification

        self.check()
        network = AutoModelForSequenceClassification.from_pretrained(
            self.source.location, revision=self.source.revision, dtype=getattr(torch, self.precision)
        )
        network.config.pad_token_id = None  # one row at a time: which token pads is never asked
        return network.to(self.device).eval()

    def score(self, answered: Sequence[tuple[str, str]]) -> list[tuple[float, int]]:
        """See `Scorer`. One conversation at a time: a classifier finds its last token by the id of a padding token,
        which some models share with the end of a turn.
        """
        found = []
        for instruction, answer in answered:
            chat = (Message(role="user", content=instruction), Message(role="assistant", content=answer))
            ids = self.tokens(chat, reply=False)
            with torch.inference_mode():
                logit = self._network(torch.tensor([ids], device=self.device)).logits[0, 0]
            found.append((float(logit), len(ids)))
        return found
