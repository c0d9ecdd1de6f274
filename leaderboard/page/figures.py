"""Small line charts as inline SVG: exact points, few of them, described for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..words import number
from .markup import Markup, element

POINTS = 200  # of a line, at most
WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 312, 10, 146  # of the plot, in the same units
MARKED = 30  # points of a line up to which each has a dot

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One curve: finite points by x."""

    name: str
    points: tuple[Point, ...]
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


def line(name: str, points: Sequence[tuple[float, float | None]], dashed: bool = False, factor: float = 1.0) -> Line:
    """What was measured and is finite, thinned."""
    known = [(x, factor * y) for x, y in points if y is not None and math.isfinite(y)]
    return Line(name, tuple(thinned(known)), dashed)


def thinned(points: Sequence[Point], most: int = POINTS) -> Sequence[Point]:
    """At most so many of them, as they were measured: both ends, and the least and greatest of each stretch between."""
    if len(points) <= most:
        return points
    inner, stretches = points[1:-1], (most - 2) // 2
    kept = [points[0]]
    for n in range(stretches):
        part = inner[n * len(inner) // stretches : (n + 1) * len(inner) // stretches]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return [*kept, points[-1]]


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
    points = [point for one in panel.lines for point in one.points]
    across, up = _ticks(points, 0, 4, whole=True), _ticks(points, 1, 4)
    x = _scale(across, points, 0, LEFT, RIGHT)
    y = _scale(up, points, 1, BOTTOM, TOP)
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
    low, high = _ends(points, 0)
    return element(
        "svg", body,
        {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria-labelledby": f"{name}-t {name}-d",
         "data-left": f"{x(low):.1f}", "data-right": f"{x(high):.1f}"},
    )  # fmt: skip


def described(panel: Panel) -> str:
    """The chart in a sentence a line."""
    said = []
    for one in panel.lines:
        (first, start), (last, end) = one.points[0], one.points[-1]
        if len(one.points) == 1:
            said.append(f"{one.name}: {number(start)} at step {number(first)}.")
        else:
            said.append(
                f"{one.name}: from {number(start)} at step {number(first)} to {number(end)} at step {number(last)}."
            )
    return " ".join(said)


def data(panels: Sequence[Panel]) -> dict[str, Any]:
    """Their numbers for the script, to five digits of a line's largest; lines of equal steps share them."""
    axes: dict[tuple[float, ...], int] = {}

    def said(one: Line) -> dict[str, Any]:
        x, y = zip(*one.points, strict=True)
        return {"name": one.name, "x": axes.setdefault(x, len(axes)), "y": _rounded(y)}

    shown = [{"title": panel.heading, "lines": [said(one) for one in panel.lines]} for panel in panels]
    return {"curves": shown, "axes": [list(x) for x in axes]}


def _rounded(values: Sequence[float]) -> list[float]:
    largest = max(map(abs, values))
    digits = 4 - math.floor(math.log10(largest)) if largest else 0
    return [round(value, digits) for value in values]


def _drawn(one: Line, number_of: int, x: Scale, y: Scale) -> list[Markup]:
    kind = f"line c{number_of % 7}" + " dashed" * one.dashed
    drawn = [element("polyline", "", {"class": kind, "points": " ".join(_places(_turns(one.points), x, y))})]
    if len(one.points) <= MARKED:
        for place in _places(one.points, x, y):
            across, up = place.split(",")
            drawn.append(element("circle", "", {"class": f"dot c{number_of % 7}", "cx": across, "cy": up, "r": 2}))
    return drawn


def _places(points: Sequence[Point], x: Scale, y: Scale) -> list[str]:
    fx, sx, fy, sy = x.factor, x.shift, y.factor, y.shift
    flat = [part for a, b in points for part in (sx + fx * a, sy + fy * b)]
    return ("%.1f,%.1f " * len(points) % tuple(flat)).split()  # at once: a thousand pages have millions


def _turns(points: Sequence[Point]) -> Sequence[Point]:
    """Those without which the line would not be the same: not the ones that it goes straight across through."""
    values = [value for _, value in points]
    around = zip(points[1:-1], values, values[1:], values[2:], strict=False)
    return [points[0], *(p for p, before, here, after in around if not before == here == after), *points[1:][-1:]]


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

    def __call__(self, value: float) -> float:
        """The place."""
        return self.shift + self.factor * value


def _scale(ticks: Sequence[float], points: Sequence[Point], axis: int, start: float, stop: float) -> Scale:
    low, high = _ends(points, axis)
    if axis == 1:  # up and down, whole steps; across, what was run
        low, high = min(low, *ticks), max(high, *ticks)
    if low == high:
        low, high = low - 0.5, high + 0.5
    factor = (stop - start) / (high - low)
    return Scale(factor, start - factor * low)


def _ends(points: Sequence[Point], axis: int) -> tuple[float, float]:
    values = [point[axis] for point in points]
    return min(values), max(values)


def _ticks(points: Sequence[Point], axis: int, most: int, whole: bool = False) -> list[float]:
    """Round numbers that span the values (`whole`: that lie within them), about `most` of them."""
    low, high = _ends(points, axis)
    if low == high:
        return [low] if whole else sorted({0.0, low, 2 * low or 1.0})
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    if whole:
        step = max(1.0, math.ceil(step))
        first, last = math.ceil(low / step), math.floor(high / step)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]
