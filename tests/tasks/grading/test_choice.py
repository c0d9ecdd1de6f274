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
        (r"The answer is C. \boxed{}", WRONG, None),
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
