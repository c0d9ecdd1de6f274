"""Accuracies or rewards by seed and item: what every interval and test of a table stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from . import finals, reading
from .evaluations import Item
from .records import EvalRecord, Measure
from .runs import Cell, Mode, Row, Split
from .stats import Estimate, crossed, over_seeds

When = Literal["start", "final"]
Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Scores:
    """A row's finished seeds in one measure, accuracies in [0, 1] or rewards, or differences of such: (R, N).

    Seeds by items; an item's value is its mean over samples. Where items were not recorded there is one column, each
    seed's mean.
    """

    seeds: tuple[int, ...]
    values: Array
    items: tuple[str, ...] | None = None  # ids of the columns; None: not recorded; empty: not the same in all seeds
    clusters: tuple[str, ...] | None = None  # items of equal names give each other's answer away; None: all their own

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """Mean over items."""
        return dict(zip(self.seeds, self.values.mean(axis=1).tolist(), strict=True))

    @cached_property
    def estimate(self) -> Estimate:
        """The mean over seeds and items, with both as sources of error; over seeds where items are not known."""
        if not self.items:
            return over_seeds(self.values[:, 0])
        return crossed(self.values, clusters=[self.clusters])

    def comparable(self, other: Scores) -> bool:
        """Whether the two stand on the same items, as far as is known."""
        return self.items is None or other.items is None or self.items == other.items

    @property
    def negative(self) -> Scores:
        """All values with the other sign."""
        return replace(self, values=-self.values)

    def less(self, other: Scores) -> Scores | None:
        """The difference from `other`, paired by seed and item; None where they share no seed, or not the same items.

        Where one of the two has no items, both are taken as means.
        """
        seeds = [seed for seed in self.seeds if seed in other.by_seed]
        if not seeds or not self.comparable(other):
            return None
        mine, theirs = self._at(seeds), other._at(seeds)
        if not self.items or not other.items:
            means = mine.mean(axis=1, keepdims=True) - theirs.mean(axis=1, keepdims=True)
            return Scores(tuple(seeds), means, self.items if self.items == other.items else None)
        return Scores(tuple(seeds), mine - theirs, self.items, self.clusters or other.clusters)

    def _at(self, seeds: Sequence[int]) -> Array:
        return self.values[[self.seeds.index(seed) for seed in seeds]]


def sum_of(parts: Sequence[Scores]) -> Estimate | None:
    """The sum of the parts' means, over the seeds that all of them have: their items are independent of each other."""
    seeds = [seed for seed in parts[0].seeds if all(seed in part.by_seed for part in parts)]
    if not seeds:
        return None
    return crossed(*(part._at(seeds) for part in parts), clusters=[part.clusters for part in parts])


def mean_of(parts: Sequence[Scores]) -> Scores | None:
    """The mean of the parts, seed by seed and item by item; None where they share no seed, or not the same items."""
    first = parts[0]
    seeds = [seed for seed in first.seeds if all(seed in part.by_seed for part in parts)]
    if not seeds or any(part.items != first.items for part in parts):
        return None
    values = np.mean([part._at(seeds) for part in parts], axis=0)
    return Scores(tuple(seeds), values, first.items, first.clusters)


def read(row: Row, mode: Mode, split: Split, when: When, measure: Measure = "accuracy") -> Scores | None:
    """The scores of a row's finished seeds at the first or the last evaluation; None where none has the measure."""
    ends = [(cell, getattr(cell, when)(mode, split)) for cell in row.done]
    found = [(cell, record) for cell, record in ends if record is not None and record.get(measure) is not None]
    if not found:
        return None
    seeds = tuple(cell.seed for cell, _ in found)
    items = [_items(cell, record, measure) for cell, record in found]
    there = [one for one in items if one is not None]
    ids = {names for names, _, _ in there}
    if len(there) < len(items) or len(ids) > 1:
        return Scores(seeds, np.array([[record[measure]] for _, record in found]), () if len(ids) > 1 else None)
    clusters = next((labels for _, labels, _ in there if labels), None)  # of the seeds that recorded them
    return Scores(seeds, np.array([values for _, _, values in there]), ids.pop(), clusters)


def read_final(row: Row, task: str) -> Scores | None:
    """Accuracies on a final task of the row's finished seeds that were evaluated on it; None where none was."""
    cells = [cell for cell in row.done if cell.folder is not None and task not in row.otherwise]
    found = [(cell.seed, finals.items(cell.folder / finals.FOLDER, task)) for cell in cells if cell.folder is not None]
    return _of_finals([(seed, items) for seed, items in found if items])


def read_start(folder: Path | None, task: str) -> Scores | None:
    """Those of a start, evaluated once; None where it was not."""
    found = None if folder is None else finals.items(folder, task)
    return _of_finals([(0, found)] if found else [])


def _of_finals(cells: Sequence[tuple[int, Sequence[Item]]]) -> Scores | None:
    if not cells:
        return None
    seeds = tuple(seed for seed, _ in cells)
    means = [[sum(c or 0 for c in item.correct) / len(item.correct) for item in items] for _, items in cells]
    asked = {tuple((item.id, item.content) for item in items) for _, items in cells}
    if len(asked) > 1:
        return Scores(seeds, np.array([[sum(own) / len(own)] for own in means]), ())
    ids, clusters = (tuple(getattr(item, key) for item in cells[0][1]) for key in ("id", "unit"))
    return Scores(seeds, np.array(means), ids, None if clusters == ids else clusters)


def _items(
    cell: Cell, record: EvalRecord, measure: Measure
) -> tuple[tuple[str, ...], tuple[str, ...] | None, list[float]] | None:
    """Ids, clusters and values of an evaluation's items, by id; None where they were not recorded."""
    if cell.folder is None or not (found := reading.items(cell.folder, record, measure)):
        return None
    found.sort(key=lambda item: item.id)
    ids = tuple([item.id for item in found])
    clusters = tuple([item.cluster or item.id for item in found])
    values = [item.of(measure) for item in found]
    return ids, None if clusters == ids else clusters, [sum(each) / len(each) for each in values]
