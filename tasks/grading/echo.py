r"""Is a boxed answer a formula of the question? Then it earns no reward for being equal to the right answer.

"What is 99^2+99+1 in standard form?" answered by `\boxed{99^2+99+1}` is equal to 9901, and no answer.
"""

from __future__ import annotations

import re

from .numeric import TEXT_COMMAND, normalise_number

# How a formula may be written otherwise without being another one.
_LOOK = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|big|Big|bigg|Bigg)(?![A-Za-z])|\\[,!;: ()\[\]]|[\s$~{}]"
)
_SYNONYMS = (
    (re.compile(r"\\[dtc](frac|binom)"), r"\\\1"),
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])|\*"), "·"),
    (re.compile(r"\\(le|ge|ne)q(?![A-Za-z])"), r"\\\1"),
)
_FRACTION = re.compile(r"([-+]?)\\[dtc]?frac\s*\{\s*([0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}")
_NAMED = re.compile(r"\A\s*[A-Za-z](?:\([A-Za-z]\))?\s*=(?!=)")
_WORK = re.compile(
    r"[-+*/^!·]|\\[a-z]*(?:frac|sqrt|binom|sum|prod|log|ln|sin|cos|tan|cot|sec|csc|mod|det|lfloor|lceil)"
)


def echoes(gold: str, answer: str, question: str) -> bool:
    r"""Whether `answer`, which equals `gold`, is a formula of the question that is written otherwise than `gold`.

    A letter and a word are none, nor is `gold` in other clothes (`3/4` for `\frac{3}{4}`, `x = 2a` for `2a`): what is
    asked for may stand in the question.
    """
    answer, gold = _NAMED.sub("", answer), _NAMED.sub("", gold)
    formula = _formula(answer)
    if not _WORK.search(formula.lstrip("-+")) or normalise_number(answer) is not None or formula == _formula(gold):
        return False
    return _occurs(formula, _formula(question))


def _formula(text: str) -> str:
    """Without white space, `$`, braces and whatever only changes the look; `3/4` for a fraction of two integers."""
    text = _FRACTION.sub(r"\1\2/\3 ", TEXT_COMMAND.sub(r"\1", text))
    for pattern, other in _SYNONYMS:
        text = pattern.sub(other, text)
    text = _LOOK.sub("", text).strip(".,;")
    while text.startswith("(") and text.endswith(")") and ")" not in text[1:-1]:
        text = text[1:-1]
    return text


def _occurs(formula: str, question: str) -> bool:
    """Not within a longer number: 1/2 does not occur in 11/20."""
    start = question.find(formula)
    while start >= 0:
        around = question[max(start - 1, 0) : start] + formula[0], formula[-1] + question[start + len(formula) :][:1]
        if not any(len(pair) == 2 and pair.isdigit() and pair.isascii() for pair in around):
            return True
        start = question.find(formula, start + 1)
    return False
