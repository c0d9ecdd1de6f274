"""A declared space of settings, and which of its points are tried.

    shared: {training.learning_rate: {low: 3.0e-5, high: 1.0e-3}}       a range, logarithmic unless `scale: linear`
    gspo:   {"clip_low, clip_high": [[3.0e-4, 4.0e-4], [0.03, 0.04]]}   a list; fields that move together

A field is `training.<field of the training section>` or one of the algorithm's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, ClassVar, Literal

from leaderboard.declared import suggestion

from .errors import UserError
from .plugins import build
from .seeds import draw_order
from .settings import STRICT

Setting = dict[str, Any]  # field -> value
DESIGNS = 200  # Latin hypercubes among which the most even one is taken


@dataclass(frozen=True)
class Range:
    """Numbers between `low` and `high`."""

    __pydantic_config__: ClassVar = STRICT
    low: float
    high: float
    scale: Literal["log", "linear"] = "log"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low}, high = {self.high}: low must be below high")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low = {self.low}: a logarithmic range lies above 0; use `scale: linear`")

    def at(self, share: float) -> float:
        """The number at `share` of the way, to three digits, so that people can read and repeat it."""
        if self.scale == "log":
            value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclass(frozen=True)
class Dimension:
    """Fields that move together, over a range (one field) or a list with a value for each field."""

    fields: tuple[str, ...]
    span: Range | tuple[tuple[Any, ...], ...]

    def at(self, share: float) -> Setting:
        """The values at `share` in [0, 1) of the way."""
        if isinstance(self.span, Range):
            return {self.fields[0]: self.span.at(share)}
        return self.listed()[math.floor(share * len(self.span))]

    def listed(self) -> list[Setting]:
        """All values of a list; a range has too many."""
        return [] if isinstance(self.span, Range) else [dict(zip(self.fields, v, strict=True)) for v in self.span]


def dimensions(declared: Mapping[str, Any], fields: Sequence[str], where: str) -> list[Dimension]:
    """The declared space, checked: known `fields`, each once, ranges that are ranges, lists without repetition."""
    found: list[Dimension] = []
    for key, value in declared.items():
        place, names = f"{where}: {key!r}", tuple(name.strip() for name in key.split(","))
        for name in names:
            if name not in fields:
                raise UserError(f"{where}: unknown field {name!r}{suggestion(name, fields)}")
            if name in {field for dimension in found for field in dimension.fields} or names.count(name) > 1:
                raise UserError(f"{place}: {name} is searched twice")
        if isinstance(value, Mapping) and len(names) == 1:
            found.append(Dimension(names, build(Range, {str(k): v for k, v in value.items()}, place)))
        elif isinstance(value, list) and value:
            found.append(Dimension(names, _listed(names, value, place)))
        else:
            alone = "a list, or a range {low: …, high: …}"
            allowed = alone if len(names) == 1 else "a list with a value for each field"
            raise UserError(f"{place}: found {value!r}; expected {allowed}")
    return found


def _listed(names: tuple[str, ...], values: list[Any], place: str) -> tuple[tuple[Any, ...], ...]:
    if len(names) > 1:
        for value in values:
            if not isinstance(value, list) or len(value) != len(names):
                raise UserError(f"{place}: found {value!r}; expected a list of {len(names)} values")
    rows = tuple(tuple(value) if len(names) > 1 else (value,) for value in values)
    if twice := [value for number, value in enumerate(values) if value in values[:number]]:
        raise UserError(f"{place}: {twice[0]!r} is listed twice")
    return rows


def points(space: Sequence[Dimension], trials: int, where: str) -> list[Setting]:
    """`trials` distinct settings. Raises UserError where the space has fewer."""
    design = latin_hypercube(trials, [", ".join(dimension.fields) for dimension in space])
    found: list[Setting] = []
    for point in design:
        _add(found, [dimension.at(share) for dimension, share in zip(space, point, strict=True)])
    for values in product(*(dimension.listed() for dimension in space)):  # only lists coincide in the design
        if len(found) == trials:
            break
        _add(found, values)
    if len(found) < trials:
        raise UserError(
            f"{where}: only {len(found)} distinct settings for tune.trials = {trials}; every algorithm gets the same "
            "number, so widen this space or lower tune.trials"
        )
    return found


def _add(found: list[Setting], values: Sequence[Setting]) -> None:
    setting = {field: value for part in values for field, value in part.items()}
    if setting not in found:
        found.append(setting)


def latin_hypercube(size: int, names: Sequence[str]) -> list[tuple[float, ...]]:
    """`size` points of the unit cube: each dimension's `size` equal strata hold one point each, at the centre.

    Latin hypercube sampling (McKay, Beckman & Conover 1979); of DESIGNS such sets the most even one by the criterion of
    Morris & Mitchell (1995), φ = Σ d^-10 over the distances of all pairs, so that no two dimensions move in step. The
    first dimension ascends. A pure function of size and names: spaces that begin alike try the same values there, in
    the same order.
    """

    def design(number: int) -> list[tuple[int, ...]]:
        orders = (draw_order(size, "latin hypercube", number, name) for name in names[1:])
        return list(zip(range(size), *orders, strict=True))

    def crowding(strata: list[tuple[int, ...]]) -> float:
        squares = (sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) for pair in combinations(strata, 2))
        return math.fsum(1 / square**5 for square in squares)

    best = min(map(design, range(DESIGNS)), key=crowding)  # the first of equals
    return [tuple((stratum + 0.5) / size for stratum in point) for point in best]
