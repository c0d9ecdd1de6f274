import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base import Grade
from tasks.grading import VERIFIER, Verdict, judge, require_verifier, same, verify

RIGHT, WRONG, UNMARKED = (True, True), (False, False), (False, True)


def verdict(gold, response):
    found = judge([(gold, response)])[0]
    assert not found.timed_out
    return found.strict, found.lenient


@pytest.mark.parametrize(
    ("gold", "response", "expected"),
    [
        ("18", r"\boxed{18}. This took 3 steps.", RIGHT),
        ("204", r"\boxed{205} … wait, \boxed{204}", RIGHT),
        ("205", r"\boxed{205} … wait, \boxed{204}", WRONG),
        ("18", "She makes $18.00 every day.", UNMARKED),
        ("18", "The answer is 18", UNMARKED),
        ("18", "so it is 18 dollars", UNMARKED),
        ("72", "sold 72 clips.\n### 72", UNMARKED),
        ("18", "9 * 2 = $18\nA: 18", UNMARKED),
        ("18", "so\n#### 18", RIGHT),
        ("18", "The answer is 18\n#### 19", WRONG),
        ("18", r"The answer is 18. \boxed{19}", WRONG),
        ("18", r"The answer is 18. \boxed{}", UNMARKED),
        ("18", r"\boxed{18}, which I was to put into \boxed{}.", RIGHT),
        ("18", r"I am to put it into \boxed{}. So the answer is 18.", UNMARKED),
        ("40_9", "The answer is $40_9$.", UNMARKED),
        ("40_9", "The answer is $40_7$.", WRONG),
        ("18", r"\boxed{17} \fbox{18}", RIGHT),
        ("18", r"It is \boxed{17}, no: \boxed{18", WRONG),
        ("18", "", WRONG),
        ("18", "I do not know", WRONG),
        ("(x+1)(x+2)", "Factor $x^2+3x+2$.", UNMARKED),  # an echo of the question; a reward needs a box
        ("(x+1)(x+2)", r"\boxed{x^2+3x+2}", RIGHT),  # and in a box it is an answer: "factor" is not understood
    ],
)
def test_where_the_answer_stands(gold, response, expected):
    assert verdict(gold, response) == expected


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("73", "073"),
        ("5", r"5\%"),
        ("50", "50%"),
        ("0.5", r"50\%"),
        (r"\frac{1}{3}", "0.333333"),
        ("1/2", "0.5"),
        (r"\frac{3}{4}", r"\frac34"),
        (r"\frac{3}{4}", r"\dfrac34"),
        (r"\frac34", r"\tfrac{3}{4}"),
        ("3/4", r"\frac3{4}"),
        (r"2\sqrt{3}", r"2\sqrt3"),
        (r"\frac{\sqrt{3}}{2}", r"\frac{\sqrt3}2"),
        ("1000", r"1{,}000"),
        ("1,000", r"1\,000"),
        ("7425", r"\$7,\!425"),
        ("540", r"540 \text{ meters}"),
        ("5", "x=5"),
        ("x=5", "5"),
        (r"\{1,2\}", "2, 1"),
        (r"x \in [1,2]", "[1,2]"),
        (r"1 \le x \le 2", "[1,2]"),
        (r"\text{Evelyn}", "Evelyn"),
        (r"\text{Evelyn}", r"\text{evelyn}"),
        ("100000", "10^{5}"),
        ("y=2x+3", "2x+3"),
        ("(3,4)", r"\left(3, 4\right)"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
        ("204", r"\boxed{204}"),
        ("1" + "+x^2" * 200, "1" + "+x^2" * 200),
        ("40_9", "40_{9}"),
        ("40_9", r"040_{\text{9}}"),
        ("40_9", "$(40)_9$"),
        ("43_5.", "43_5"),
        ("-12_3", "-12_{3}"),
        ("152A_{11}", "152A_{ 11 }"),
        ("1010_2", r"1\,010_2"),
        ("12_3,21_3", "12_3, 21_3"),
        ("40", "40_{10}"),
        ("40_{10}", "40"),
        ("5", r"5\ "),
        ("5", r"\ 5\ "),
        ("x+1", r"1+x\ "),
        ("5", r"\color{red}{5}"),
        ("5", r"{\color{red}5}"),
        (r"\frac{1}{2}", r"\textcolor{red}{\frac12}"),
        (r"\sqrt{5}", "√5"),
        (r"3\sqrt{15}", "3√(15)"),
        (r"\sqrt{5}", "√{5}"),
    ],
)
def test_equal(gold, answer):
    assert verdict(gold, f"so \\boxed{{{answer}}}.") == RIGHT


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\frac{1}{3}", "0.3333"),
        ("18", "1,8"),
        ("1,8", "18"),
        (r"\{1,2\}", "[1,2]"),
        ("[1,2]", r"1 \le x \le 2"),  # not symmetric: an interval is asked for
        ("(1,2)", "[1,2]"),
        ("(1,2)", "(2,1)"),
        ("x+1", "y+1"),
        ("5", "-5"),
        ("5", "5x"),
        ("0", "1/0"),
        (r"\frac{1}{2}", r"\frac{1}{}"),
        ("5", r"\frac{5}{"),
        ("-3", r"3 \text{ or } -3"),
        ("5", "5" + "0" * 250),
        ("40_9", "40_7"),
        ("40_9", "41_9"),
        ("-12_3", "12_3"),
        ("152A_{11}", "152B_{11}"),
        ("12_3,21_3", "12_3, 21_4"),
        (r"\sqrt{5}", "√3"),
        ("5", ""),
    ],
)
def test_different(gold, answer):
    assert verdict(gold, f"so \\boxed{{{answer}}}.") == WRONG


@pytest.mark.parametrize(("gold", "answer"), [("40_9", "40"), ("40", "40_9"), ("40_9", "40_{nine}")])
def test_a_base_on_one_side_only_is_a_matter_of_form(gold, answer):
    assert verdict(gold, f"\\boxed{{{answer}}}") == UNMARKED


def test_a_grade():
    found = judge([("18", "The answer is 18"), ("18", r"\boxed{18}")])
    assert found[0].grade() == Grade(0.0, False, "18", lenient=True)
    assert found[1].grade() == Grade(1.0, True, "18", lenient=True)
    assert found[1].grade().counted
    assert Verdict(False, False, "9^9", timed_out=True).grade() == Grade(0.0, False, "9^9", False, True)


@pytest.mark.parametrize("answers", [[str(n) for n in range(60)], ["2.5", "-2.5", "2.500001", "1,000", "$10", "007"]])
def test_what_is_decided_at_sight_is_what_math_verify_says(answers, monkeypatch):
    pairs = [(gold, f"\\boxed{{{answer}}}") for gold in answers[:6] for answer in answers]
    quick = judge(pairs)
    monkeypatch.setattr(verify, "_quick", lambda gold, answer: None)
    assert judge(pairs) == quick


def test_order_and_repeats():
    pairs = [(str(n % 7), f"\\boxed{{{n % 5}/1}}") for n in range(100)]
    assert [found.strict for found in judge(pairs)] == [n % 7 == n % 5 for n in range(100)]
    assert judge([]) == []


def test_replies_are_remembered(monkeypatch):
    pair = (r"\frac{17}{19}", r"\boxed{17/19}")
    first = judge([pair])
    monkeypatch.setattr(verify.pool, "shared", lambda: pytest.fail("asked again"))
    assert judge([pair, pair]) == first * 2


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(verify, "CACHED_REPLIES", 3)
    assert all(found.strict for found in judge([(f"{n}/7", rf"\boxed{{\frac{{{n}}}{{7}}}}") for n in range(8)]))
    assert len(verify._replies) == 3


@pytest.mark.parametrize(
    ("answers", "labels"),
    [
        ([], []),
        (["5", "5.0", "05", "6"], [0, 0, 0, 3]),
        (["1/2", "0.5", r"\frac12", "2", "x+1", "1+x"], [0, 0, 0, 3, 4, 4]),
        (["", "  ", "\x00", "\ud800", "\ud800"], [0, 0, 2, 3, 3]),
        (["1/3", "0.333333", "0.3333"], [0, 0, 2]),
        (["40_9", "40_7", "40", "40_{9}"], [0, 1, 2, 0]),
    ],
)
def test_same(answers, labels):
    assert same(answers) == labels


@pytest.mark.slow
def test_same_is_bounded_on_hostile_answers(monkeypatch):
    monkeypatch.setattr(verify, "MAX_DEATHS", 1)
    answers = ["5/1"] + [f"(10^8+{n})!" for n in range(30)] + ["5", "9^{9^9}+1", "(10^8+3)!"]
    started = time.perf_counter()
    assert same(answers) == [*range(33), 4]
    assert time.perf_counter() - started < 60  # one time-out; 30 of them are a minute of processor time


def test_numbers_are_fast():
    pairs = [(f"{n:,}", f"so it is \\boxed{{{n + n % 2}}}.") for n in range(10_000)]
    started = time.perf_counter()
    assert sum(found.strict for found in judge(pairs)) == 5_000
    assert time.perf_counter() - started < 5  # 0.1 s on an idle machine


def test_importing_is_light():
    code = "import sys, tasks.grading as g; print(g.VERIFIER, {'sympy', 'math_verify', 'subprocess'} & {*sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "sympy'" not in out and "math_verify'" not in out
    assert VERIFIER in out and "math-verify 0.9" in VERIFIER


def test_the_verifier_is_there():
    require_verifier()


PIECES = ["\\boxed{", "}", "{", "#### ", "\n", "\\", "\x00", "7", "$", "\\text{", "\ud800", "^", "\\frac", "1/3", "is "]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.text(max_size=20))
def test_no_text_raises(text, gold):
    for response in (text, f"\\boxed{{{text}}}"):
        found = judge([(gold, response), ("18", response)])
        assert all(found_.lenient or not found_.strict for found_ in found)
    assert len(same([text, gold, "1"])) == 3
