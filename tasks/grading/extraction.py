r"""The final answer of a response: the last `\boxed{}` (or `\fbox{}`), else the last `#### number`.

Only the last box counts. A verifier that joins several boxes reads `\boxed{205} ... wait, \boxed{204}` as 205204
(https://github.com/huggingface/Math-Verify does), and the first one is what a model has just corrected.
"""

from __future__ import annotations

import re

from .numeric import MAX_ANSWER_CHARS, normalise_number

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_EMPTY_BOX = re.compile(r"\\(?:boxed|fbox)\{ ?\}")
# More or fewer than four hashes is a Markdown heading; so is `#### Step 2`, which is why a number must follow.
_HASHES = re.compile(r"(?<!#)####(?!#)([^\n]*)")


def without_empty_boxes(text: str) -> str:
    r"""The text without `\boxed{}`: models repeat the instruction, and an empty box is nobody's answer."""
    return _EMPTY_BOX.sub(" ", text)


def stripped(text: str) -> str:
    r"""The text without white space at its ends; but a blank behind a backslash is a part of LaTeX's `\ `."""
    bare = text.strip()
    odd = (len(bare) - len(bare.rstrip("\\"))) % 2
    return bare + " " if odd and text[-1].isspace() else bare


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{}` or `\fbox{}`, stripped; None when there is none or its braces never close.

    Braces are balanced, escaped ones (`\{`, `\}`) not counted. An unclosed last box is a truncated answer: earlier
    boxes do not stand in for it.
    """
    start = None
    for match in _BOX.finditer(text):
        start = match.end()
    if start is None:
        return None
    depth, position = 1, start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return stripped(text[start:position])
        position += 1
    return None


def last_hashed(text: str) -> str | None:
    """The text after the last `####` whose line is one number, with a unit at most (GSM8K's mark), stripped."""
    found = None
    for match in _HASHES.finditer(text):
        line = match[1].strip()
        if normalise_number(line) is not None:
            found = line
    return found


def extract_answer(text: str, limit: int = MAX_ANSWER_CHARS) -> str | None:
    r"""The final answer as the response wrote it, or None (an extraction failure).

    Looks for the last `\boxed{}`, then for the last `####`. Empty boxes and contents of more than `limit`
    characters are no answers.
    """
    boxed = last_boxed(text)
    answer = last_hashed(text) if boxed is None else boxed
    return answer if answer and len(answer) <= limit else None
