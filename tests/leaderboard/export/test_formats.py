import math

import pytest

from leaderboard.columns import Entry
from leaderboard.export import formats


@pytest.mark.parametrize(
    ("kind", "entry", "text"),
    [
        ("share", Entry(0.613), "61.3"),
        ("share", Entry(0.613, 0.589, 0.637), "61.3 ± 2.4"),
        ("share", Entry(0.5, 0.25, 1.0), "50.0 [25.0, 100.0]"),
        ("share", Entry(0.25, text="12/48"), "12/48"),
        ("points", Entry(-0.25, -0.29, -0.21), "−25.0 ± 4.0"),
        ("points", Entry(0.1), "+10.0"),
        ("points", Entry(-0.0001), "0.0"),
        ("points", Entry(text="reference"), "reference"),
        ("quantity", Entry(1_234_567), "1.235 M"),
        ("quantity", Entry(math.inf), "∞"),
        ("quantity", Entry(33.473, 25.483, 41.463), "33.5 ± 8.0"),
        ("quantity", Entry(33_473, 25_483, 41_463), "33.5 ± 8.0 k"),
        ("quantity", Entry(50, 50, 50), "50 ± 0"),
        ("quantity", Entry(400, -19_600, 20_400), "0 ± 20 k"),
        ("quantity", Entry(-400, -20_400, 19_600), "0 ± 20 k"),
        ("number", Entry(0.7397, 0.6837, 0.7957), "0.740 ± 0.056"),
        ("number", Entry(-0.0234, -0.0924, 0.0456), "−0.023 ± 0.069"),
        ("number", Entry(1234.5), "1234"),  # a response's tokens, not 1.23e+03
        ("number", Entry(123_456), "123.5 k"),
        ("number", Entry(999.7), "999.7"),
        ("number", Entry(0.00123456), "0.00123"),
        ("number", Entry(math.inf), "∞"),
        ("reward", Entry(1.3441, 1.2241, 1.4641), "1.34 ± 0.12"),
        ("reward", Entry(-2.5), "−2.5"),
        ("reward", Entry(-9e-18), "0"),
        ("reward", Entry(1.0, 0.5, 3.0), "1 [0.5, 3]"),
        ("reward_difference", Entry(0.52, 0.42, 0.62), "+0.52 ± 0.10"),
        ("reward_difference", Entry(-0.52, -0.62, -0.42), "−0.52 ± 0.10"),
        ("reward_difference", Entry(0.0004, -0.0996, 0.1004), "0.00 ± 0.10"),
        ("reward_difference", Entry(-0.0004, -0.1004, 0.0996), "0.00 ± 0.10"),
        ("reward_difference", Entry(0.5, -0.1, 0.6), "+0.5 [−0.1, +0.6]"),
        ("reward_difference", Entry(3e-18), "0"),
        ("reward_difference", Entry(text="reference"), "reference"),
        ("change", Entry(100.0), "+100"),
        ("change", Entry(12_345.0), "+12.35 k"),
        ("change", Entry(-20_000.0, -21_000.0, -19_000.0), "−20.0 ± 1.0 k"),
        ("log_ratio", Entry(math.log(1.2), math.log(1.05), math.log(1.371)), "1.20 [1.05, 1.37]"),
        ("log_ratio", Entry(0.0, -0.5, 0.5), "1.00 [0.61, 1.65]"),
        ("seconds", Entry(6.25), "6.2"),
        ("count", Entry(3.0), "3"),
        ("text", Entry(text="a"), "a"),
        ("share", Entry(), "–"),
        ("text", Entry(), "–"),
    ],
)
def test_text(kind, entry, text):
    assert formats.text(kind, entry) == text


def test_marks():
    assert [formats.mark(Entry(mark=mark)) for mark in ("", "*", "**", "†", "‡")] == ["", "*", "**", " †", " ‡"]


@pytest.mark.parametrize("kind", ["quantity", "number", "reward", "reward_difference"])
@pytest.mark.parametrize("exponent", range(-3, 24))
def test_a_margin_is_shown_as_far_as_its_value(kind, exponent):
    """No exponents, and value and margin to the same place."""
    for value, half in ((9.9996, 0.99996), (1.0, 3.0), (5.0, 0.004)):
        value, half = value * 10.0**exponent, half * 10.0**exponent
        text = formats.text(kind, Entry(value, value - half, value + half))
        left, _, right = text.replace("−", "-").partition(" ± ")
        number, _, prefix = right.partition(" ")
        assert "e" not in text and len(left.partition(".")[2]) == len(number.partition(".")[2])
        scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24}[prefix]
        assert float(number) * scale == pytest.approx(half, rel=0.05)
        assert abs(float(left) * scale - value) <= 0.5 * 10 ** -len(left.partition(".")[2]) * scale * 1.001
