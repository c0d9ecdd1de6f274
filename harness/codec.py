"""Between text and token ids: the only place where a prompt, a demonstration or a response is encoded or decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.base import Example, Message

from .errors import UserError, first_line


class CodecError(UserError):
    """A text that this tokenizer cannot carry; the message names both."""


class Codec:
    """A tokenizer with its chat template and its end-of-text tokens.

    Prompt and response are encoded apart, so that exactly what is sampled is what is trained on: no token ever spans
    the boundary.
    """

    def __init__(self, tokenizer: Any, end_ids: Sequence[int]) -> None:
        """`end_ids`: the tokens that end a response; the first is the one that demonstrations end with."""
        if not end_ids:
            raise CodecError("the model declares no end-of-text token, so that no response could ever end")
        self.tokenizer = tokenizer
        self.end_ids = tuple(dict.fromkeys(end_ids))

    def prompt(self, example: Example) -> tuple[int, ...]:
        """The prompt's token ids: plain text as it is, messages through the chat template."""
        if isinstance(example.prompt, str):
            ids = list(self.tokenizer(example.prompt).input_ids)
            if len(ids) > 1 and ids[-1] in self.end_ids:  # some tokenizers end every text
                ids.pop()
            self._check_known(ids, example.prompt)
            return tuple(ids)
        if not self.tokenizer.chat_template:
            raise CodecError(
                "the task's prompts are chat messages, but the model's tokenizer has no chat template; choose an "
                "instruct model, or a plain form of the task where it has one (arithmetic: form: plain)"
            )
        encoded = chat_ids(self.tokenizer, example.prompt, reply=True)
        self._check_known(encoded, str(example.prompt))
        return tuple(encoded)

    def demonstration(self, text: str) -> tuple[int, ...]:
        """A response text's token ids, ended as a sampled response would be."""
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        self._check_known(ids, text)
        return (*ids, self.end_ids[0])

    def text(self, response: Sequence[int]) -> str:
        """A response's text as a grader sees it: without special tokens."""
        return str(self.tokenizer.decode(list(response), skip_special_tokens=True))

    def _check_known(self, ids: Sequence[int], text: str) -> None:
        unknown = self.tokenizer.unk_token_id
        if not ids or (unknown is not None and unknown in ids):
            raise CodecError(
                f"the model's tokenizer has no tokens for some of {text[:80]!r}; `tiny` reads digits and + - * / = "
                "only, so give it plain arithmetic, and give other tasks a real model"
            )


def chat_ids(tokenizer: Any, chat: Sequence[Message], reply: bool) -> list[int]:
    """A chat's token ids by the tokenizer's own template, up to where the `reply` begins. Raises CodecError."""
    ids: list[int] = _templated(tokenizer, chat, reply, tokenize=True, return_dict=False)
    return ids


def chat_text(tokenizer: Any, chat: Sequence[Message], reply: bool) -> str:
    """The same as text."""
    return str(_templated(tokenizer, chat, reply, tokenize=False))


def _templated(tokenizer: Any, chat: Sequence[Message], reply: bool, **how: Any) -> Any:
    from jinja2 import TemplateError

    turns = [dict(message) for message in chat]
    try:
        return tokenizer.apply_chat_template(turns, add_generation_prompt=reply, **how)
    except TemplateError as error:
        raise CodecError(
            f"the chat template of the tokenizer {tokenizer.name_or_path} cannot be used for the roles "
            f"{', '.join(str(turn['role']) for turn in turns)}: {type(error).__name__}: {first_line(error)}"
        ) from None
