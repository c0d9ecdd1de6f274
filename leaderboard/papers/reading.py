"""A paper's file, checked before any run is read: its tables' published figures, and what fills our columns of them.

name, title, source, notes         of the paper; what must be said with every table
[scale.tiny|small|paper]           `about` our runs, their `studies`, `notes` that must be said with every table of
                                   theirs, and the lengths that the cost assumes
[scale.X.ours]                     by study: keys of its recipe that the paper does not publish, or that differ, which
                                   the recipe marks `# OURS`; parameters.X, training.X and budget.X are all rows',
                                   a row's own algorithms.LABEL.parameters.X, .training.X and .name
[[model]]                          parameters of a model that is not at hand; `active` ones a token, of a mixture
[[table]]                          name, title, source; columns, in %; `digits` as they are printed
[[table.block]]                    a model's rows; [] is "not published"; `later` rows stand in a later version
[[table.ours.SCALE]]               the study, the block beside it, and our columns: a leaderboard's column, the
                                   published one that it is `of`, and the `start` for the row of that name
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from .. import declared
from ..columns import find
from ..declared import STRICT, suggestion
from ..records import LeaderboardError

PAPERS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))
Scale = Literal["tiny", "small", "paper"]
SCALES: tuple[Scale, ...] = get_args(Scale)
JUDGED = "judged"  # `judged:KIND:COLUMN`: a column of the win-rate table of a kind of judge


class PaperError(LeaderboardError):
    """A paper's file that cannot be used; the message names the file, the key, what was found and what is allowed."""


@dataclass(frozen=True)
class ScaleOf:
    """What is run of a paper at one scale."""

    __pydantic_config__: ClassVar = STRICT
    about: str
    studies: tuple[str, ...]
    prompt_tokens: int  # the lengths are assumptions, of the cost alone
    response_tokens: int
    notes: tuple[str, ...] = ()
    ours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by study: keys of its recipe


@dataclass(frozen=True)
class ModelOf:
    """A model's size, for the cost of runs whose model is not at hand."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    parameters: float
    active: float | None = None  # that a token passes through; null: all


@dataclass(frozen=True)
class Block:
    """The published rows of one model, in the paper's order."""

    __pydantic_config__: ClassVar = STRICT
    model: str
    rows: Mapping[str, tuple[float, ...]]
    later: tuple[str, ...] = ()  # rows of a later version
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FillColumn:
    """A column of ours."""

    __pydantic_config__: ClassVar = STRICT
    column: str
    heading: str = ""
    of: str = ""  # the published column that it repeats
    start: str = ""  # the column that the row of the start shows


@dataclass(frozen=True)
class Fill:
    """What of our runs stands beside a block."""

    __pydantic_config__: ClassVar = STRICT
    study: str
    block: str
    columns: tuple[FillColumn, ...]
    rows: Mapping[str, str] = field(default_factory=dict)  # the paper's row -> LABEL, or STUDY:LABEL


@dataclass(frozen=True)
class PaperTable:
    """One table of a paper."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    title: str
    source: str
    columns: tuple[str, ...]
    block: tuple[Block, ...]
    digits: int = 2
    mean: bool = False  # whether a mean of the columns is shown, ours and theirs
    start: str = ""  # the row that is the start
    not_implemented: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ours: Mapping[Scale, tuple[Fill, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Paper:
    """A paper's file."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    title: str
    source: str
    scale: Mapping[Scale, ScaleOf]
    table: tuple[PaperTable, ...]
    model: tuple[ModelOf, ...] = ()
    notes: tuple[str, ...] = ()

    def study(self, scale: Scale, study: str) -> str:
        """The name of a study's recipe and folder."""
        return f"{self.name}-{scale}-{study}"

    def size(self, model: str) -> ModelOf | None:
        """What is known of a model's size; None for an unknown one."""
        return next((one for one in self.model if one.name == model), None)


@cache
def load(name: str) -> Paper:
    """A paper by its name. Raises PaperError for another one, and for a file that is not sound."""
    if name not in PAPERS:
        raise PaperError(f"unknown paper {name!r}{suggestion(name, PAPERS)}")
    return read(Path(__file__).with_name(f"{name}.toml"))


def read(path: Path) -> Paper:
    """A paper's file. Raises PaperError."""
    where = f"paper {path}"
    paper = declared.checked(Paper, declared.toml(path, where, PaperError), where, PaperError, "a table")
    names = [table.name for table in paper.table]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise PaperError(f"{where}: two tables have the name {double!r}; each needs its own")
    for scale, of in paper.scale.items():
        if unknown := sorted(set(of.ours) - set(of.studies)):
            raise PaperError(f"{where}: scale.{scale}.ours.{unknown[0]}{suggestion(unknown[0], of.studies)}")
    for table in paper.table:
        _check(paper, table, f"{where}: table {table.name}")
    return paper


def _check(paper: Paper, table: PaperTable, where: str) -> None:
    models = [block.model for block in table.block]
    if double := next((model for model in models if models.count(model) > 1), None):
        raise PaperError(f"{where}: two blocks have the model {double!r}")
    for block in table.block:
        for row, values in block.rows.items():
            if values and len(values) != len(table.columns):
                raise PaperError(
                    f"{where}: block {block.model}: row {row}: {len(values)} values; expected {len(table.columns)}, "
                    "one a column, or [] where nothing is published"
                )
        _known(block.later, block.rows, f"{where}: block {block.model}: later")
    every = {row: None for block in table.block for row in block.rows}
    _known((table.start,) if table.start else (), every, f"{where}: start")
    _known(table.not_implemented, every, f"{where}: not_implemented")
    for scale, fills in table.ours.items():
        for number, fill in enumerate(fills):
            place = f"{where}: ours.{scale}.{number}"
            _known((fill.study,), paper.scale[scale].studies if scale in paper.scale else (), f"{place}: study")
            _known((fill.block,), models, f"{place}: block")
            _known(fill.rows, table.block[models.index(fill.block)].rows, f"{place}: rows")
            for one in fill.columns:
                _known((one.of,) if one.of else (), table.columns, f"{place}: {one.column}: of")
                for name in filter(None, (one.column, one.start)):
                    if find(name) is None and not (name.startswith(f"{JUDGED}:") and name.count(":") == 2):
                        raise PaperError(f"{place}: unknown column {name!r}; docs/tables.md lists all that there are")


def _known(names: Any, allowed: Any, where: str) -> None:
    for name in names:
        if name not in allowed:
            raise PaperError(f"{where}: found {name!r}{suggestion(name, allowed)}")
