r"""Numbers as people and models write them: `$18.00`, `1,000`, `50\%`, `18\text{ dollars}`, `073`.

Compared exactly, as decimals, without a tolerance. Fractions, powers and expressions are not read.
"""

from __future__ import annotations

import re
from decimal import Decimal

MAX_ANSWER_CHARS = 200  # no final number is longer; bounds the work a response can cause

_UNSIGNED = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
# Exponents of more than three digits are left out: 1e999999999 must cost nothing.
_EXPONENT = r"(?:[eE][-+]?[0-9]{1,3})?"
# Words after a number are dropped unread. One letter right behind it is a variable (5x), not a unit.
_UNITS = r"(?:(?:\s+(?=[A-Za-z°])|(?=[A-Za-z]{2})|(?=°))(?:[A-Za-z°²³/'’. -]|\^\{?[23]\}?)*)?"
_NUMBER = re.compile(rf"([-+]?)\s*[€£]?\s*([-+]?)({_UNSIGNED}{_EXPONENT})\s*%?{_UNITS}\.?")
_ANYWHERE = re.compile(rf"(?:(?<![0-9A-Za-z).,])[-−])?(?<![0-9A-Za-z.]){_UNSIGNED}")

TEXT_COMMAND = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_LATEX_THOUSANDS = re.compile(r"(?<=[0-9])(?:,?\\[,!;: ]|\{,\})(?=[0-9]{3}(?![0-9]))")
_LATEX_SPACE = re.compile(r"\\[,!;: ]|~")
_DEGREES = re.compile(r"\^?\{?\\(?:circ|degree)\}?")
_ORDINAL = re.compile(r"\^\{?\s*(st|nd|rd|th)\b\}?")
_NOT_WRITTEN = re.compile(r"[\s$]|\\[,!;: ]|~|\{,\}")
_BASED = re.compile(r"(?<![0-9A-Za-z.])([0-9][0-9A-F]*(?:\.[0-9A-F]+)?)\)?_\{?([0-9]+)\}?")
_NOTHING_ELSE = ("", "(", "-", "-(")
_MATH_DELIMITERS = re.compile(r"\\[()\[\]]|\\?\$")


def normalise_number(text: str) -> Decimal | None:
    r"""The number that `text` is, or None when it is not exactly one number.

    Dropped: `$`, `\$`, `€`, `£`, thousands separators that stand in the right places (`1,8` is no number), `%` (so that
    `50%` is 50), LaTeX spacing and `\text{}`, a trailing period, and words behind the number (`18 dollars`). Text of
    more than `MAX_ANSWER_CHARS` characters is no number. Never raises.
    """
    if len(text) > MAX_ANSWER_CHARS:
        return None
    text = TEXT_COMMAND.sub(r" \1", text.replace("−", "-"))
    text = _ORDINAL.sub(r"\1", _DEGREES.sub("°", text))
    text = _LATEX_THOUSANDS.sub(",", text)
    text = _LATEX_SPACE.sub(" ", text).replace("\\%", "%")
    text = _MATH_DELIMITERS.sub(" ", text).strip(" \t\r\n*_`")
    match = _NUMBER.fullmatch(text)
    if match is None or (match[1] and match[2]):
        return None
    return Decimal(match[1] + match[2] + match[3].replace(",", ""))


def same_number(left: str, right: str) -> bool:
    """Whether both texts are numbers, and equal as decimals. Never raises."""
    number = normalise_number(left)
    return number is not None and number == normalise_number(right)


def numbers_in_bases(text: str) -> tuple[tuple[str, str], ...]:
    """The (digits, base) of all numbers in the text with a subscript, such as 40_9 or 0.11_{2}, but for base ten."""
    found = ((match[1].lstrip("0"), match[2].lstrip("0")) for match in _BASED.finditer(_compact(text)))
    return tuple((digits, base) for digits, base in found if base != "10")


def number_in_base(text: str) -> tuple[str, str, str] | None:
    """The (sign, digits, base) where the text is one number with a subscript and nothing else."""
    text = _compact(text).rstrip(".")
    match = _BASED.search(text)
    if match is None or match.end() != len(text) or text[: match.start()] not in _NOTHING_ELSE:
        return None
    return text[: match.start()].rstrip("("), match[1].lstrip("0"), match[2].lstrip("0")


def _compact(text: str) -> str:
    return _NOT_WRITTEN.sub("", TEXT_COMMAND.sub(r"\1", text))


def last_number(text: str) -> str | None:
    """The last number in running text, as written there; None when there is none or it has over `MAX_ANSWER_CHARS`.

    A minus sign behind a digit, a letter or a bracket is a subtraction, not a sign.
    """
    found = None
    for match in _ANYWHERE.finditer(text):
        found = match[0]
    return found if found is None or len(found) <= MAX_ANSWER_CHARS else None
