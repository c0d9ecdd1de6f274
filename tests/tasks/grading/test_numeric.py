import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.grading import MAX_ANSWER_CHARS, last_number, normalise_number, same_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18", "18"),
        ("$18.00", "18"),
        (r"\$18.00", "18"),
        ("$18$", "18"),
        (r"\(18\)", "18"),
        (r"\[ 18 \]", "18"),
        ("073", "73"),
        ("-5", "-5"),
        ("+5", "5"),
        ("−5", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        (r"-\$5.50", "-5.5"),
        ("€ 5", "5"),
        ("1,000", "1000"),
        ("109,200,000", "109200000"),
        ("1,000.50", "1000.5"),
        (r"1{,}000", "1000"),
        (r"1\,000", "1000"),
        (r"1,\!000", "1000"),
        ("50%", "50"),
        (r"50\%", "50"),
        ("50 percent", "50"),
        ("5.", "5"),
        ("18.00.", "18"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("18 dollars", "18"),
        ("18 dollars per day.", "18"),
        ("18kg", "18"),
        ("60 km/h", "60"),
        ("25 m^2", "25"),
        ("90°", "90"),
        (r"90^\circ", "90"),
        (r"49^{\circ} \text{F}", "49"),
        (r"-3\ \degree C", "-3"),
        ("6th", "6"),
        (r"6^\text{th}", "6"),
        (r"6^{\text{th}}", "6"),
        (r"6^{th}", "6"),
        (r"18\text{ dollars}", "18"),
        (r"\$18 \text{ per day}", "18"),
        (r"18\,\text{kg}", "18"),
        (r"25 \text{ m}^2", "25"),
        (r"\text{18}", "18"),
        (r"\mathbf{18}", "18"),
        ("**18**", "18"),
        (" 18\n", "18"),
        ("9" * 200, "9" * 200),
    ],
)
def test_numbers(text, number):
    assert normalise_number(text) == Decimal(number)
    assert same_number(text, number) and same_number(number, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "$",
        "%",
        "-",
        ".",
        "dollars",
        "1,8",
        "1,00",
        "1000,000",
        "1,0000",
        "1$8",
        "1 8",
        "3 or 4",
        "2 hours 30 minutes",
        "10:30",
        "1/2",
        r"\frac{1}{2}",
        "5x",
        "x = 5",
        "18 + 2",
        "2^3",
        "--5",
        "- $-5",
        "3. Total",
        "1.2.3",
        "12e",
        "1e9999",
        "1e999999999",
        "1e-999999999",
        "NaN",
        "Infinity",
        "sNaN",
        "0x10",
        "1_000",
        "١٨",
        "１８",
        "½",
        "18\x00",
        "9" * 201,
    ],
)
def test_not_numbers(text):
    assert normalise_number(text) is None
    assert not same_number(text, text)


@pytest.mark.parametrize(
    ("left", "right"), [("18", "81"), ("0.333", "0.3333"), ("5", "-5"), ("50%", "0.5"), ("1,8", "18")]
)
def test_different(left, right):
    assert not same_number(left, right)


def test_zero_has_one_value():
    assert same_number("-0", "0.000") and same_number("0", "000")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7 + 5 = 12.", "12"),
        ("from -3 to -4", "-4"),
        ("10-12", "12"),
        ("(3)-4", "4"),
        ("costs $1,234.50!", "1,234.50"),
        ("1,23", "23"),
        ("12,3456", "3456"),
        ("v2 and x3", None),
        ("none", None),
        ("", None),
        ("7" * (MAX_ANSWER_CHARS + 1), None),
    ],
)
def test_last_number(text, number):
    assert last_number(text) == number


@pytest.mark.parametrize(
    "text", ["1e999999999", "9" * 10**6, "1," * 10**6, "1,111" * 10**5, "\\text{" * 10**5, "-" * 10**6, "$ " * 10**6]
)
def test_bombs_cost_nothing(text):
    started = time.perf_counter()
    assert normalise_number(text) is None
    last_number(text)
    assert time.perf_counter() - started < 2


@given(st.text() | st.text("0123456789,.-+$%\\{}text eE"))
def test_never_raises(text):
    number = normalise_number(text)
    assert number is None or number.is_finite()
    assert same_number(text, text) == (number is not None)
    found = last_number(text)
    assert found is None or found in text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=2))
def test_every_way_of_writing_a_number_is_that_number(number):
    plain = f"{number:f}"
    for written in (
        plain,
        f"{number:,f}",
        f"${plain}$",
        f"{plain}0",
        f"{plain} dollars",
        f"{plain}\\%",
        f"\\text{{{plain}}}",
    ):
        assert normalise_number(written) == number
