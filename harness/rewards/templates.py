"""What a conversation looks like to a reward model whose base has no chat template: one of its own, as plain as can be.

An encoder reads `[CLS] user [SEP] assistant [SEP]`, its own special tokens around the texts. A language model reads
`user: …`, `assistant: …`, a line each, and its end-of-text token, from which the reward is read. A tokenizer that lacks
the letters for that, `tiny`'s, reads the texts one behind the other. The template is saved with the tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ENCODER = "{{ cls_token }}{% for m in messages %} {{ m.content }} {{ sep_token }}{% endfor %}"
ROLES = (
    "{% for m in messages %}{% if not loop.first %}{{ '\n' }}{% endif %}{{ m.role }}: {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\nassistant: ' }}{% else %}{{ eos_token or '' }}{% endif %}"
)
PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"


def give_template(tokenizer: Any) -> bool:
    """Give a tokenizer without a chat template one of its own; False where it has one, which stays."""
    if tokenizer.chat_template:
        return False
    if tokenizer.cls_token and tokenizer.sep_token:
        tokenizer.chat_template = ENCODER
    else:
        tokenizer.chat_template = PLAIN if _unknown(tokenizer, "user: \nassistant: ") else ROLES
    return True


def give_padding(tokenizer: Any, rows: Sequence[Sequence[int]]) -> int:
    """The id of a padding token that no row holds, which the tokenizer has from now on, if it has one to give.

    Many models share padding with the end of a turn, and a classifier of the decoder kind takes for the last token the
    last one that is no padding: other programs than ours would read the wrong one.
    """
    held = {token for row in rows for token in row}
    special = [t for t in tokenizer.all_special_tokens if tokenizer.convert_tokens_to_ids(t) not in held]
    if tokenizer.pad_token_id is None or (tokenizer.pad_token_id in held and special):
        tokenizer.pad_token = special[0] if special else tokenizer.eos_token
    tokenizer.padding_side = "right"
    return int(tokenizer.pad_token_id)


def _unknown(tokenizer: Any, text: str) -> bool:
    unknown = tokenizer.unk_token_id
    return unknown is not None and unknown in tokenizer(text, add_special_tokens=False).input_ids
