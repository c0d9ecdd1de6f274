"""Gold answers and solutions, out of what the public sets have in their place."""

from __future__ import annotations

import re

from .grading import last_boxed, same_number

_BARE_BOX = re.compile(r"\\f?boxed\s*([^\s\\{}$.,])|\\f?boxed\s*\{")
_DOLLAR = re.compile(r"(?<!\\)\$")


def gold_box(solution: str) -> str | None:
    r"""What the last box of a gold solution holds: `\boxed{9}`, `\fbox{9}` and `\boxed 9`; None without a box."""
    last = None
    for match in _BARE_BOX.finditer(solution):
        last = match
    if last is None:
        return None
    return last[1] if last[1] else last_boxed("\\boxed{" + solution[last.end() :])


def required_box(solution: str) -> str:
    """`gold_box`, which must be there. Raises ValueError."""
    boxed = gold_box(solution)
    if boxed is None:
        raise ValueError(rf"solution ends in {solution[-60:]!r}; expected a \boxed{{}} with the answer")
    return boxed


def without_dollars(text: str) -> str:
    r"""The text without the `$` around formulas; `\$`, the currency, stays."""
    return _DOLLAR.sub("", text).strip()


def ending_in_box(solution: str, answer: str) -> str:
    r"""The solution itself where its last box holds the answer; else with the answer added in one."""
    boxed = last_boxed(solution)
    if boxed is not None and (boxed == answer or same_number(boxed, answer)):
        return solution
    return f"{solution}\n\nThe final answer is $\\boxed{{{answer}}}$."
