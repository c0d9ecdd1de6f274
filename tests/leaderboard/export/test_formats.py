import pytest

from leaderboard.export import formats
from leaderboard.stats import Interval
from leaderboard.tables import Change


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (512, "512"),
        (9999, "9999"),
        (10_000, "10 k"),
        (1_234_567, "1.235 M"),
        (999_999, "1 M"),
        (2.5e15, "2.5 P"),
        (7.25, "7.25"),
        ("many", "many"),
    ],
)
def test_quantity(value, text):
    assert formats.quantity(value) == text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"steps": 50}, "50 steps"),
        (
            {"generated_tokens": 2e6, "steps": 50, "seconds": None},
            "50 steps or 2 M generated tokens, whichever comes first",
        ),
        (
            {"flops": 1e18, "steps": 50, "prompts": 800},
            "50 steps, 800 prompts or 1 E FLOPs, whichever comes first",
        ),
        ({}, "none recorded"),
        (None, "unknown (no cell was started)"),
        ({"epochs": 2}, "2 epochs"),
    ],
)
def test_budget(spec, text):
    assert formats.budget(spec) == text


def test_intervals():
    change = Change(Interval(0.25, 0.0123, 3), Interval(0.5, 0.0349, 3), Interval(-0.25, 0.04, 3))
    assert formats.start_to_final(change) == "25.0 ± 1.2 → 50.0 ± 3.5"
    assert formats.delta(change) == "−25.0 ± 4.0"
    single = Change(Interval(0.25, None, 1), Interval(0.5, None, 1), Interval(0.25, None, 1))
    assert formats.start_to_final(single) == "25.0 → 50.0 †"
    assert formats.delta(single) == "+25.0 †"
    nothing = Change(None, None, None)
    assert (formats.start_to_final(nothing), formats.delta(nothing)) == ("–", "–")
    assert formats.start_to_final(Change(None, Interval(0.5, None, 1), None)) == "– → 50.0 †"
    assert formats.percent(0.0123, digits=2) == "1.23" and formats.percent(None) == "–"
