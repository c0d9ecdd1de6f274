"""Small charts: few points, none of them made up."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from leaderboard.page.figures import POINTS, Panel, data, figure, line, svg, thinned


@pytest.mark.parametrize("count", [1, 2, 199, 200, 201, 202, 401, 5000])
def test_thinned_points_are_measured_ones_with_the_extremes(count):
    values = np.random.default_rng(count).normal(size=count)
    kept = thinned(values).tolist()
    assert len(kept) <= POINTS and kept == sorted(set(kept))
    assert {0, count - 1, int(values.argmin()), int(values.argmax())} <= set(kept)
    if count <= POINTS:
        assert kept == list(range(count))
    drawn = line("a", range(count), values.tolist())
    assert drawn.x.tolist() == kept and drawn.y.tolist() == values[kept].tolist()


def places(drawn):
    return [tuple(map(float, pair.split(","))) for pair in re.search(r'points="([^"]*)"', drawn)[1].split()]


def test_a_line_goes_through_its_points():
    drawn = svg(Panel("x", "", (line("a", [0, 1, 5, 7, 10], [1.0, None, math.nan, 1e308, 3.0]),)), "p")
    (left, low), (right, high) = places(drawn)
    assert left < right and low > high, "up is more"
    assert "from 1 at step 0 to 3 at step 10" in drawn and "<title" in drawn and "<desc" in drawn


def test_what_is_straight_is_drawn_by_its_ends():
    panel = Panel("x", "", (line("a", range(101), [0.0] * 100 + [1.0]),))
    assert len(places(svg(panel, "p"))) == 3
    shown = data([panel])
    assert len(shown["curves"][0]["lines"][0]["y"]) == 101, "the numbers are all there"


@pytest.mark.parametrize(
    "values",
    [
        [0.0],
        [0.0, 0.0],
        [5.0, 5.0],
        [-2.0],
        [1e-9, 2e-9],
        [1e12, 3e12],
        [-1.0, 1.0],
        [-9e289, 9e289],
        [5e-324, 1e-323],
        [1e16, 1e16 + 2],
    ],
)
def test_any_values_fit_into_the_plot(values):
    drawn = figure(Panel("x", "u", (line("a", range(len(values)), values),)), "p")
    for x, y in places(drawn):
        assert 0 <= x <= 320 and 0 <= y <= 170
    assert 2 <= len(re.findall('class="grid"', drawn)) <= 7


def test_numbers_keep_five_digits_and_steps_are_shared():
    lines = tuple(line(name, [1, 2], [123.456789, 0.000123456]) for name in "ab")
    shown = data([Panel("x", "", lines)])
    assert shown["axes"] == [[1, 2]] and [one["x"] for one in shown["curves"][0]["lines"]] == [0, 0]
    assert shown["curves"][0]["lines"][0]["y"] == [123.46, 0.0]


def test_names_are_text():
    drawn = figure(Panel("<b>", "&", (line("<i>", [0], [1.0]),)), "p")
    assert "<b>" not in drawn and "<i>" not in drawn and "&lt;b&gt;" in drawn
