"""What a column is: a name for programs, a heading, and one entry a row; and the register of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, Protocol, TypeVar

from ..analysis import Analysis, Tested
from ..records import Measure
from ..runs import Row
from ..stats import AGREEMENT, Estimate

# How a number is printed. share: 0.613 as 61.3 %; points: a difference of shares, signed; reward: three digits;
# reward_difference: of two, signed; quantity: with SI prefix; log_ratio: exp of it, with its interval; number: three
# digits; change: the same, signed; seconds: one decimal; count: as it is.
Kind = Literal[
    "text", "share", "points", "reward", "reward_difference", "quantity", "log_ratio", "number", "change", "seconds",
    "count",
]  # fmt: skip
IN_REWARDS: Mapping[Kind, Kind] = {"share": "reward", "points": "reward_difference"}
Line = TypeVar("Line")


class OfMeasure(Protocol):
    """What a column stands in."""

    @property
    def measure(self) -> Measure | None:
        """What its rows are ranked by; None for several tasks that are not of one measure."""


Of = TypeVar("Of", bound=OfMeasure)


@dataclass(frozen=True)
class Entry:
    """One entry of a table: a number in the column's kind, nothing, or a text."""

    value: float | None = None
    low: float | None = None  # 95 % interval
    high: float | None = None
    df: float | None = None  # its degrees of freedom
    p: float | None = None  # two-sided, against no difference, before and
    p_holm: float | None = None  # after Holm over the column's family
    by_seed: Mapping[int, float] = field(default_factory=dict)
    text: str | None = None  # what people read instead of the number
    mark: str = ""  # * ** † ‡
    bold: bool = False  # not significantly worse than the best


NOTHING = Entry()


@dataclass(frozen=True)
class Column(Generic[Of, Line]):
    """A column that a program may name: of an analysis and its rows, or of several tasks and their rows' labels."""

    name: str
    kind: Kind
    heading: Callable[[Of], str]
    entry: Callable[[Of, Line], Entry]
    explain: Callable[[Of], tuple[str, ...]]  # sentences for below the table
    measured: bool = False  # in the unit of the table's measure: of rewards it is no share

    def kind_in(self, of: Of) -> Kind:
        """How its numbers are printed there."""
        return IN_REWARDS[self.kind] if self.measured and of.measure == "reward" else self.kind


COLUMNS: dict[str, Column[Analysis, Row]] = {}


def column(
    name: str,
    kind: Kind,
    heading: str | Callable[[Of], str],
    entry: Callable[[Of, Line], Entry],
    explain: tuple[str, ...] | Callable[[Of], tuple[str, ...]] = (),
    measured: bool = False,
) -> Column[Of, Line]:
    """A column whose heading and explanation may depend on the table that they stand in, or not."""
    return Column(
        name,
        kind,
        heading if callable(heading) else lambda _: heading,
        entry,
        explain if callable(explain) else lambda _: explain,
        measured,
    )


def add(
    name: str,
    kind: Kind,
    heading: str | Callable[[Analysis], str],
    entry: Callable[[Analysis, Row], Entry],
    explain: tuple[str, ...] | Callable[[Analysis], tuple[str, ...]] = (),
    measured: bool = False,
) -> None:
    """Register a column of one table of runs."""
    COLUMNS[name] = column(name, kind, heading, entry, explain, measured)


def estimated(estimate: Estimate | None, by_seed: Mapping[int, float] | None = None) -> Entry:
    """A mean with its 95 % interval, none where all that it stands on agrees exactly; † where it stands on one seed."""
    if estimate is None:
        return NOTHING
    entry = Entry(estimate.mean, by_seed=by_seed or {}, mark="†" * (estimate.seeds == 1))
    if not estimate.se or estimate.se < AGREEMENT:
        return entry
    return replace(entry, low=estimate.low, high=estimate.high, df=estimate.df)


def tested(found: Tested, by_seed: Mapping[int, float] | None = None) -> Entry:
    """An estimated difference with its interval, its p before and after Holm, and its mark."""
    return replace(estimated(found.estimate, by_seed), p=found.estimate.p, p_holm=found.adjusted, mark=found.mark)


def over_seeds(values: Mapping[int, float], combine: Callable[[Sequence[float]], float]) -> Entry:
    """One number a seed, and their mean, sum or largest."""
    return Entry(combine(list(values.values())), by_seed=values) if values else NOTHING
