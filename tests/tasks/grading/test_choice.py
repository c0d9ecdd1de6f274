import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.grading import judge_choice

OPTIONS = ("12", r"$\frac{1}{2}$", "the red house", "$18.00", "none of these")
RIGHT, WRONG, UNMARKED = (True, True), (False, False), (False, True)


@pytest.mark.parametrize(
    ("response", "expected", "extracted"),
    [
        (r"\boxed{C}", RIGHT, "C"),
        (r"\boxed{c}", RIGHT, "C"),
        (r"\boxed{(C)}", RIGHT, "C"),
        (r"\boxed{C.}", RIGHT, "C"),
        (r"\boxed{\text{C}}", RIGHT, "C"),
        (r"\boxed{\textbf{(C)}\ the red house}", RIGHT, "C"),
        (r"\boxed{C: anything}", RIGHT, "C"),
        (r"\boxed{the red house}", RIGHT, "C"),
        (r"\boxed{\text{the red house}}", RIGHT, "C"),
        (r"\boxed{D}", WRONG, "D"),
        (r"\boxed{18}", WRONG, "D"),
        (r"\boxed{\frac{1}{2}}", WRONG, "B"),
        (r"\boxed{the blue house}", WRONG, "the blue house"),
        (r"\boxed{F}", WRONG, "F"),
        (r"The answer is C. \boxed{D}", WRONG, "D"),
        (r"The answer is C. \boxed{}", UNMARKED, "C"),
        ("The answer is C.", UNMARKED, "C"),
        ("The answer is (C).", UNMARKED, "C"),
        ("The correct answer is: **C**", UNMARKED, "C"),
        ("Answer: C", UNMARKED, "C"),
        ("the answer is option C because", UNMARKED, "C"),
        ("Not A.\n(C)", UNMARKED, "C"),
        ("C", UNMARKED, "C"),
        ("The answer is B, no, the answer is C", UNMARKED, "C"),
        ("The answer is C, no, the answer is B", WRONG, "B"),
        ("The answer is Canada", WRONG, None),
        ("The answer is a house", WRONG, None),
        ("A house", WRONG, None),
        ("", WRONG, None),
    ],
)
def test_choices(response, expected, extracted):
    found = judge_choice("C", OPTIONS, response)
    assert (found.strict, found.lenient) == expected
    assert found.extracted == extracted


def test_an_option_that_is_a_letter_is_that_option():
    assert judge_choice("A", ("C", "D"), r"\boxed{C}").strict


def test_a_right_answer_that_is_no_option():
    with pytest.raises(ValueError, match=r"right answer 'F'; allowed: one of A, B, C, D, E"):
        judge_choice("F", OPTIONS, "")


@given(st.text() | st.text("ABCDE()*: .\\boxed{}answer is\n$"))
def test_never_raises(text):
    for response in (text, f"\\boxed{{{text}}}"):
        found = judge_choice("C", OPTIONS, response)
        assert found.lenient or not found.strict


PIECES = [" is", "Answer: ", "the answer is ", " : ", "answer", "option choice ", " ", "*", "$ ", "(", "A ", "the "]
PIECES += ["would be ", "\\text{", "\\text ", "\n", "C) ", "\\boxed{C", "."]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("size", [40, 1_000, 100_000])
def test_repetitions_take_linear_time(piece, size):
    started = time.perf_counter()
    for start in ("", "The answer", "The answer is "):
        for end in ("", "!", "C"):
            text = start + piece * (size // len(piece)) + end
            judge_choice("C", OPTIONS, text)
            judge_choice("C", OPTIONS, f"\\boxed{{{text[:200]}}}")
    assert time.perf_counter() - started < 2  # a hundredth of that on an idle machine


def test_words_between_the_answer_and_its_letter():
    for words in ("is", " is : the correct option : ** (", " would be\n", " must be answer option: ["):
        assert judge_choice("C", OPTIONS, f"So the answer {words} C) as shown").lenient
    assert not judge_choice("C", OPTIONS, "So the answers are C) as shown").lenient
