"""No pattern of the grader takes long on any repetition: each is run on thousands of them.

The test of a pattern that is exponential: a text of a few dozen characters never ends.
"""

import itertools
import re
import time

import pytest

from tasks.grading import choice, extraction, numeric, verify, worker

ATOMS = [" ", "1", "12,", ",111", ".", "^", "^{2}", "**", "{", "}", "(", ")", "!", "-", "$", "\\", "\\text{", "\\frac"]
ATOMS += [
    "\\frac{",
    "\\sqrt",
    "####",
    "\\boxed",
    "\\boxed{",
    "A",
    "kg ",
    "e",
    "e1",
    "_",
    "1_2",
    "the answer is ",
    "log(",
]
ATOMS += ["the answer is ", "\n", "°", "\\,", "\\circ", "123456", "sqrt(", "*", "=", "÷"]
PATTERNS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": pattern
    for module in (choice, extraction, numeric, verify, worker)
    for name, pattern in vars(module).items()
    if isinstance(pattern, re.Pattern)
}
WHOLE = {"choice._LETTER", "choice._LABELLED", "numeric._NUMBER", "verify._PLAIN", "worker._HARMLESS_TEXT"}  # fullmatch


def use(name, text):
    """As the grader does."""
    if name in WHOLE:
        PATTERNS[name].fullmatch(text)
    else:
        PATTERNS[name].sub("", text)


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_is_exponential(name):
    for first, second in itertools.product(ATOMS, ATOMS):
        for text in (first + second * 30 + "\x00", (first + second) * 15 + "\x00"):
            started = time.perf_counter()
            use(name, text)
            assert time.perf_counter() - started < 1, text


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_is_worse_than_quadratic(name):
    """On the longest text that it sees, but for those of whole responses, for which that would be too slow too."""
    for atom in ATOMS:
        for start in ("", "1", "^", "12345", "\\boxed", "\\frac"):
            text = start + (atom * 2000)[:2000] + "\x00"
            started = time.perf_counter()
            use(name, text)
            assert time.perf_counter() - started < 1, (atom, start)


@pytest.mark.parametrize("atom", ATOMS)
def test_what_reads_whole_responses_is_linear(atom):
    text = atom * (100_000 // len(atom)) + "\x00"
    started = time.perf_counter()
    extraction.extract_answer(text)
    numeric.last_number(text)
    numeric.normalise_number(text)
    verify._tail(text)
    choice.judge_choice("A", ("1", "2"), text)
    assert time.perf_counter() - started < 2
