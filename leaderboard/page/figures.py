"""Small line charts as inline SVG: exact points, few of them, described for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..words import number
from .markup import Markup, element

POINTS = 200  # of a line, at most
WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 312, 10, 146  # of the plot, in the same units
MARKED = 30  # points of a line up to which each has a dot

HUGE = 1e290  # what is as large is not drawn, and what is below 1 / HUGE is drawn as 0
ROUNDING = 1e-9  # of the larger end: ends that are no farther apart are one value

Array = NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Line:
    """One curve: finite values `y` (N,) at steps `x` (N,), rising."""

    name: str
    x: NDArray[np.int64]
    y: Array
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One small chart; `unit` is said beside its title."""

    title: str
    unit: str
    lines: tuple[Line, ...]

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


def line(
    name: str, steps: Sequence[int], values: Sequence[float | None], dashed: bool = False, factor: float = 1.0
) -> Line:
    """What was measured and is finite, thinned."""
    x, y = np.array(steps, dtype=np.int64), factor * np.array(values, dtype=np.float64)  # None is NaN
    known = np.abs(y) < HUGE
    x, y = x[known], np.where(np.abs(y[known]) < 1 / HUGE, 0.0, y[known])
    kept = thinned(y)
    return Line(name, x[kept], y[kept], dashed)


def thinned(values: Array, most: int = POINTS) -> NDArray[np.intp]:
    """Places of at most so many of them: both ends, and the least and the greatest of each stretch between."""
    count, stretches = len(values), (most - 2) // 2
    if count <= most:
        return np.arange(count)
    bounds = 1 + np.arange(stretches + 1) * (count - 2) // stretches
    parts = [(start, values[start:stop]) for start, stop in pairwise(bounds)]
    extremes = [start + part.argmin() for start, part in parts] + [start + part.argmax() for start, part in parts]
    return np.unique([0, *extremes, count - 1])


def figure(panel: Panel, name: str) -> Markup:
    """A figure with its legend; `name` is unique on the page. The script finds its numbers in `data`, by place."""
    legend = [
        element("span", [_swatch(n, one), one.name], {"class": f"key c{n % 7}"}) for n, one in enumerate(panel.lines)
    ]
    heading = element("div", [element("strong", panel.title), f" {panel.unit}"])
    caption = element("figcaption", [heading, element("div", legend, {"class": "legend"})])
    readout = element("output", "", {"class": "readout"})
    return element("figure", [caption, svg(panel, name), readout], {"class": "panel", "tabindex": 0})


def svg(panel: Panel, name: str) -> Markup:
    """The chart alone."""
    low, high = _ends([one.x for one in panel.lines])
    least, most = _ends([one.y for one in panel.lines])
    across, up = _within(low, high), _around(least, most)
    x, y = _scale(low, high, LEFT, RIGHT), _scale(up[0], up[-1], BOTTOM, TOP)
    body = [
        element("title", panel.heading, {"id": f"{name}-t"}), element("desc", described(panel), {"id": f"{name}-d"}),
    ]  # fmt: skip
    for value in up:
        at = y(value)
        body += [_straight("grid", (LEFT, at), (RIGHT, at)), _said(value, (LEFT - 6, at + 3.5), "end")]
    for value in across:
        body.append(_said(value, (x(value), BOTTOM + 15), "end" if x(value) > RIGHT - 12 else "middle"))
    body.append(_straight("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM)))
    for n, one in enumerate(panel.lines):
        body += _drawn(one, n, x, y)
    body.append(_straight("cursor", (LEFT, TOP), (LEFT, BOTTOM)))
    return element(
        "svg", body,
        {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria-labelledby": f"{name}-t {name}-d",
         "data-left": f"{x(low):.1f}", "data-right": f"{x(high):.1f}"},
    )  # fmt: skip


def described(panel: Panel) -> str:
    """The chart in a sentence a line."""
    said = []
    for one in panel.lines:
        (first, *_, last), (start, *_, end) = ([*map(number, (ends[0], ends[-1]))] for ends in (one.x, one.y))
        if len(one.x) == 1:
            said.append(f"{one.name}: {start} at step {first}.")
        else:
            said.append(f"{one.name}: from {start} at step {first} to {end} at step {last}.")
    return " ".join(said)


def data(panels: Sequence[Panel]) -> dict[str, Any]:
    """Their numbers for the script, to five digits of a line's largest; lines of equal steps share them."""
    axes: dict[tuple[int, ...], int] = {}

    def said(one: Line) -> dict[str, Any]:
        return {"name": one.name, "x": axes.setdefault(tuple(one.x.tolist()), len(axes)), "y": _rounded(one.y)}

    shown = [{"title": panel.heading, "lines": [said(one) for one in panel.lines]} for panel in panels]
    return {"curves": shown, "axes": [list(x) for x in axes]}


def _rounded(values: Array) -> list[float]:
    largest = float(np.abs(values).max())
    digits = 4 - math.floor(math.log10(largest)) if largest else 0
    found: list[float] = values.round(min(digits, 300)).tolist()
    return found


def _drawn(one: Line, number_of: int, x: Scale, y: Scale) -> list[Markup]:
    kind = f"line c{number_of % 7}" + " dashed" * one.dashed
    turns = _turns(one.y)
    drawn = [element("polyline", "", {"class": kind, "points": _places(x(one.x[turns]), y(one.y[turns]))})]
    if len(one.x) <= MARKED:
        for place in _places(x(one.x), y(one.y)).split():
            across, up = place.split(",")
            drawn.append(element("circle", "", {"class": f"dot c{number_of % 7}", "cx": across, "cy": up, "r": 2}))
    return drawn


def _places(x: Array, y: Array) -> str:
    both = np.stack([x, y], axis=1).ravel().tolist()
    return ("%.1f,%.1f " * len(x) % tuple(both)).rstrip()  # at once: a thousand pages have millions


def _turns(y: Array) -> NDArray[np.bool_]:
    """Those without which the line would not be the same: not the ones that it goes straight across through."""
    kept = np.ones(len(y), dtype=np.bool_)
    kept[1:-1] = (y[:-2] != y[1:-1]) | (y[1:-1] != y[2:])
    return kept


def _swatch(n: int, one: Line) -> Markup:
    drawn = _straight(f"line c{n % 7}" + " dashed" * one.dashed, (0, 5), (18, 5))
    return element("svg", drawn, {"viewBox": "0 0 18 10", "aria-hidden": "true"})


def _straight(kind: str, start: Point, stop: Point) -> Markup:
    (x1, y1), (x2, y2) = start, stop
    return element("line", "", {"class": kind, "x1": f"{x1:g}", "y1": f"{y1:.4g}", "x2": f"{x2:g}", "y2": f"{y2:.4g}"})


def _said(value: float, at: Point, anchor: str) -> Markup:
    return element("text", number(value), {"x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}", "text-anchor": anchor})


@dataclass(frozen=True)
class Scale:
    """From a value to a place: shift + factor × value."""

    factor: float
    shift: float

    def __call__(self, value: Any) -> Any:
        """The place, or the places."""
        return self.shift + self.factor * value


def _scale(low: float, high: float, start: float, stop: float) -> Scale:
    if low == high:
        low, high = low - 0.5, high + 0.5
    factor = (stop - start) / (high - low)
    return Scale(factor, start - factor * low)


def _ends(values: Sequence[NDArray[Any]]) -> tuple[float, float]:
    return min(float(one.min()) for one in values), max(float(one.max()) for one in values)


def _within(low: float, high: float) -> list[float]:
    """Round steps from `low` to `high`."""
    step = max(1.0, _step(high - low, (1, 2, 5, 10))) if high > low else 1.0
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _around(low: float, high: float) -> list[float]:
    """Round values, of which the first is not above `low` and the last not below `high`."""
    if high - low <= ROUNDING * max(abs(low), abs(high)):
        return sorted({0.0, low, 2 * low or 1.0})
    step = _step(high - low, (1, 2, 2.5, 5, 10))
    return [float(f"{n * step:.12g}") for n in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def _step(span: float, factors: Sequence[float]) -> float:
    """About a quarter of it, and round."""
    raw = span / 4
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in factors if factor * power >= raw * (1 - 1e-9))
