r"""Multiple choice: a letter, or the text of an option, in a box (strict) or in words (lenient).

Strict is the last `\boxed{}` (or `#### number`) with the letter, as `C`, `(C)`, `C.`, `C: 12`, `\text{C}`, or with the
option's own text. Lenient reads, where nothing is boxed, the last "answer is (C)", else a last line that is a letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .extraction import MAX_ANSWER_CHARS, extract_answer, last_boxed, without_empty_boxes
from .numeric import TEXT_COMMAND, same_number
from .verify import Verdict

_LETTER = re.compile(r"[\s*$({\[]*([A-Z])[\s*$)}\].]*")
_LABELLED = re.compile(r"[\s*$({\[]*([A-Z])\s*[)}\].:]+\s*(.+)", re.DOTALL)
# Possessive (*+): what lies between is read in one way only, so that no repetition of it can be tried in many.
_ANSWER_IS = re.compile(
    r"(?i:\b(?:answer|choice|option)\b)"
    r"(?:[\s*_(\[$:=]|(?i:is|are|would be|must be|option|choice|the|correct|answer))*+"
    r"(?<![A-Za-z])([A-Z])(?![A-Za-z'’])"
)
TAIL_CHARS = 1000


def judge_choice(gold: str, options: Sequence[str], response: str) -> Verdict:
    """The verdict on a response to a question with `options` A, B, C, …, of which the one with letter `gold` is right.

    `extracted` is the letter chosen; the boxed text where that is no option. Never raises on any response. Raises
    ValueError where `gold` is no option's letter.
    """
    letters = [chr(ord("A") + position) for position in range(len(options))]
    if gold not in letters:
        raise ValueError(f"right answer {gold!r}; allowed: one of {', '.join(letters)}")
    response = without_empty_boxes(response)
    boxed = extract_answer(response)
    if boxed is not None:
        chosen = _option(boxed, letters, options)
        return Verdict(chosen == gold, chosen == gold, boxed if chosen is None else chosen)
    chosen = None if last_boxed(response) is not None else _in_words(response[-TAIL_CHARS:], letters)
    return Verdict(False, chosen == gold, chosen)


def _option(text: str, letters: list[str], options: Sequence[str]) -> str | None:
    """The letter of the option that `text` is. A letter is one, as the prompt asks, though an option may read "B"."""
    plain = _plain(text)
    match = _LETTER.fullmatch(plain.upper() if len(plain) <= 3 else plain)
    if match and match[1] in letters:
        return match[1]
    for letter, option in zip(letters, options, strict=True):
        if plain == _plain(option) or same_number(text, option):
            return letter
    match = _LABELLED.fullmatch(plain)
    return match[1] if match and match[1] in letters else None


def _plain(text: str) -> str:
    return " ".join(TEXT_COMMAND.sub(r" \1 ", text[: 2 * MAX_ANSWER_CHARS]).replace("$", " ").split()).rstrip(".")


def _in_words(text: str, letters: list[str]) -> str | None:
    found = [match[1] for match in _ANSWER_IS.finditer(text) if match[1] in letters]
    if found:
        return found[-1]
    lines = text.split()
    match = _LETTER.fullmatch(_plain(text.strip().rpartition("\n")[2])) if lines else None
    return match[1] if match and match[1] in letters else None
