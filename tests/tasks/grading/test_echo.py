import time

import pytest

from tasks.grading import judge
from tasks.grading.echo import echoes

BENCHMARK = "echoes"


def verdict(gold, answer, question):
    found = judge([(gold, f"so \\boxed{{{answer}}}")], [question])[0]
    return found.strict, found.lenient


@pytest.mark.parametrize(
    ("gold", "answer", "question"),
    [
        ("9901", "99^2+99+1", "What is $99^2+99+1$ in standard form?"),
        ("9901", "$99^{2} + 99+1$", "What is $99^2+99+1$ in standard form?"),
        ("9901", "(99^2+99+1)", "What is $99^2+99+1$ in standard form?"),
        ("26000", "513^2-487^2", "Compute $513^2 - 487^2$."),
        ("26000", "x = 513^2-487^2", "Compute $x = 513^2 - 487^2$."),
        ("4495", r"\binom{31}{28}", r"Compute $\dbinom{31}{28}$."),
        ("0.15", r"\frac{3}{20}", r"Write $\dfrac{3}{20}$ as a decimal."),
        ("0.15", "3/20", r"Write $\dfrac{3}{20}$ as a decimal."),
        ("(x+1)(x+2)", "x^2 + 3x + 2", "Factor $x^2+3x+2$."),
        ("12", r"3 \times 4", r"What is $3\cdot 4$?"),
    ],
)
def test_a_formula_of_the_question_earns_no_reward(gold, answer, question):
    assert verdict(gold, answer, question) == (False, True)
    assert verdict(gold, answer, "Another question.") == (True, True)


@pytest.mark.parametrize(
    ("gold", "answer", "question"),
    [
        ("5", "5", "Is it 5 or 6?"),
        ("x=5", "5", "Is it 5 or 6?"),
        ("5", "x = 5", "Is $x = 5$?"),
        (r"\frac{3}{4}", "3/4", "Is it 3/4 or 4/5?"),
        (r"\frac{1}{2}", r"\frac12", r"Is it $\frac{1}{2}$?"),
        ("2a+b", "b+2a", "Is it $2a+b$?"),
        (r"0\lex^{2}\le1", r"0 \leq x^2 \leq 1", r"Prove $0 \le x^2\le 1$."),
        (r"\text{Evelyn}", "Evelyn", "Evelyn or Briana?"),
        ("2", "2/1", "What is 12/10 + 4/5?"),
        ("5", r"\boxed{5}", "Is it 5?"),
    ],
)
def test_what_is_no_echo(gold, answer, question):
    assert verdict(gold, answer, question) == (True, True)


def test_without_a_box_nothing_changes():
    assert judge([("6", "It is $2+4$")], ["What is $2+4$?"]) == judge([("6", "It is $2+4$")])
    with pytest.raises(ValueError):
        judge([("6", "6")], [])


@pytest.mark.parametrize("piece", ["(", "1+", "\\frac{", "$", "x = ", "{", "\\left(", " "])
def test_long_texts(piece):
    started = time.perf_counter()
    echoes("5", (piece * 200)[:200], piece * 20_000)
    assert time.perf_counter() - started < 2


@pytest.mark.slow
def test_few_echoes_earn_and_no_published_response_is_taken_for_one(benchmark_script, data_folder):
    earned = benchmark_script.earned(data_folder)
    assert len(earned["without"]) >= 30
    assert all(len(box) <= 16 for _, _, box in earned["with"]) and len(earned["with"]) <= 9
    for file in benchmark_script.PUBLISHED:
        assert not benchmark_script.published(data_folder, file)[2]
