"""A table is a program: a TOML file that names rows, columns and filters, checked before any record is read.

    [[table]]
    name = "accuracy"
    title = "Accuracy"
    columns = ["rank", "algorithm", "seeds", {column = "sampled_final", heading = "GSM8K"}]
    optional = ["mismatch"]            # columns that are left out where nothing stands in them
    rows = ["gift*", {row = "grpo@no-kl", label = "GRPO"}]  # labels, algorithms' names, or patterns; without it: all
    where = {task = "gsm8k", model = "*", benchmark = "*", measure = "*", min_seeds = 1, controls = true,
             final_tasks = false}
    order = "sampled_final"            # highest first, "-time_to_target" lowest first; "rows": as they are above;
                                       # "algorithm": by label; without it: the metric's final accuracy, or reward
    metric = "sampled"                 # what rows are ranked by, and whose curve reaches the target
    axis = "steps"                     # on which the way to the target is measured
    reference = "grpo@no-kl"           # what the others are tested against; without it: the first GRPO
    target_gain = 0.9                  # the target: start + this share of the reference's median gain; or
    target_accuracy = 0.6              # an accuracy in [0, 1]; runs that are measured by their reward have no target
    family = "all"                     # the rows that ranks and Holm's corrections count; or "shown": those above

`across = true` makes one table of several tasks: `{column = "sampled_final", task = "gsm8k"}` is a column of the tasks
that the pattern matches, and `sampled_macro_gain`, `sampled_improvement`, `algoperf` and the like are over all of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from .. import declared
from ..analysis import Family, View
from ..columns import COLUMNS, find
from ..columns.across import ACROSS
from ..declared import STRICT, suggestion
from ..records import Axis, LeaderboardError
from ..runs import Mode

BUILT_IN = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
LISTED = "docs/tables.md"  # where all columns are


class ProgramError(LeaderboardError):
    """A program that cannot be run; the message names the file, the key, what was found and what is allowed."""


@dataclass(frozen=True)
class Where:
    """Which tables of runs and which rows: patterns with `*` and `?`."""

    __pydantic_config__: ClassVar = STRICT
    benchmark: str = "*"
    task: str = "*"
    model: str = "*"
    measure: Literal["*", "accuracy", "reward"] = "*"  # what rows are ranked by, which the runs decide
    min_seeds: int = 0  # finished ones
    controls: bool = True  # whether control arms are shown
    final_tasks: bool = False  # only runs that were evaluated on final tasks


@dataclass(frozen=True)
class Choice:
    """A column of a table, under a heading of its own, if any."""

    __pydantic_config__: ClassVar = STRICT
    column: str
    heading: str | None = None
    task: str | None = None  # pattern; only across tasks


@dataclass(frozen=True)
class RowChoice:
    """Rows by label, algorithm or pattern; with a label of its own, one of each table of runs."""

    __pydantic_config__: ClassVar = STRICT
    row: str
    label: str | None = None


@dataclass(frozen=True)
class TableProgram:
    """One table: see the module."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    columns: tuple[Choice, ...]
    title: str = ""
    optional: tuple[str, ...] = ()
    rows: tuple[RowChoice, ...] = ()
    where: Where = field(default_factory=Where)
    order: str = ""  # empty: the metric's final accuracy, or reward
    across: bool = False
    metric: Mode = View.metric
    axis: Axis = View.axis
    reference: str | None = View.reference
    target_gain: float = View.target_gain
    target_accuracy: float | None = View.target_accuracy
    family: Family = View.family

    @property
    def view(self) -> View:
        """How it looks at a table of runs."""
        return View(**{one.name: getattr(self, one.name) for one in fields(View)})


@dataclass(frozen=True)
class Program:
    """The tables of one file, in order; `name` is that of the files that are made of it."""

    name: str
    tables: tuple[TableProgram, ...]

    def on_axis(self, axis: Axis) -> Program:
        """The same tables, with the way to the target measured on this axis."""
        return replace(self, tables=tuple(replace(table, axis=axis) for table in self.tables))


def load(path: Path | str) -> Program:
    """Read and check a program; a built-in one by its name. Raises ProgramError."""
    path = BUILT_IN.get(str(path), Path(path))
    where = f"table program {path}"
    hint = f"; a TOML file, or one of {', '.join(BUILT_IN)}" if not path.suffix else ""
    content = declared.toml(path, where, ProgramError, hint)
    if unknown := content.keys() - {"table"}:
        raise ProgramError(f"{where}: unknown key {min(unknown)!r}{suggestion(min(unknown), ['table'])}")
    tables = content.get("table")
    if not isinstance(tables, list) or not tables:
        hint = ": write [[table]], in two brackets" if isinstance(tables, dict) else ""
        raise ProgramError(f"{where}: holds no [[table]]; expected at least one{hint}")
    found = tuple(_table(table, f"{where}: table {n}") for n, table in enumerate(tables, start=1))
    names = [table.name for table in found]
    for name in names:
        if names.count(name) > 1:
            raise ProgramError(f"{where}: {names.count(name)} tables have the name {name!r}; each needs its own")
    return Program(path.stem, found)


def _table(content: Any, where: str) -> TableProgram:
    if isinstance(content, Mapping):
        for key, of in (("columns", "column"), ("rows", "row")):
            if isinstance(content.get(key), list):
                content = {**content, key: [{of: one} if isinstance(one, str) else one for one in content[key]]}
        where = f"{where} ({content['name']})" if isinstance(content.get("name"), str) else where
        if {"target_gain", "target_accuracy"} <= content.keys():
            raise ProgramError(f"{where}: has both target_gain and target_accuracy; a table has one target")
    table = declared.checked(TableProgram, content, where, ProgramError, "a table")
    if not table.columns:  # else the optional ones would be none of it
        raise ProgramError(f"{where}: columns is empty; must be at least one column")
    _check_columns(table, where)
    for key, good, allowed in (
        ("name", re.fullmatch(r"[\w.-]+", table.name), "a word of letters, digits, hyphens, underscores and dots"),
        ("target_gain", 0 < table.target_gain <= 1, "above 0, at most 1"),
        ("target_accuracy", table.target_accuracy is None or 0 < table.target_accuracy <= 1, "above 0, at most 1"),
    ):
        if not good:
            raise ProgramError(f"{where}: {key} = {getattr(table, key)!r}; must be {allowed}")
    if table.where.min_seeds < 0:
        raise ProgramError(f"{where}: where.min_seeds = {table.where.min_seeds}; must be 0 or more")
    return table


def _check_columns(table: TableProgram, where: str) -> None:
    for choice in table.columns:
        of_one = not table.across or choice.task is not None
        of_several = choice.column in ACROSS
        if find(choice.column) is None if of_one else not of_several:
            hint = suggestion(choice.column, COLUMNS if of_one else ACROSS, LISTED)
            if of_several if of_one else find(choice.column):
                hint = f"; it stands in a table {'across tasks' if of_one else 'of one task: name its `task`'}"
            raise ProgramError(f"{where}: unknown column {choice.column!r}{hint}")
        if choice.task is not None and not table.across:
            raise ProgramError(f"{where}: column {choice.column!r} has a task; that is for a table with across = true")
    kinds = {name: column.kind for name, column in (ACROSS if table.across else COLUMNS).items()}
    orders = ["rows", "algorithm", *(f"{sign}{name}" for name in kinds for sign in ("", "-") if kinds[name] != "text")]
    of_final = not table.across and table.order.removeprefix("-") not in kinds and find(table.order.removeprefix("-"))
    if table.order and table.order not in orders and not of_final:
        words = "; it holds no numbers" if kinds.get(table.order.removeprefix("-")) == "text" else ""
        raise ProgramError(f"{where}: order = {table.order!r}{words or suggestion(table.order, orders, LISTED)}")
    names = [choice.column for choice in table.columns]
    for (name, _), times in Counter((choice.column, choice.task) for choice in table.columns).items():
        if times > 1:
            raise ProgramError(f"{where}: column {name!r} is there {times} times")
    for name in table.optional:
        if name not in names:
            raise ProgramError(f"{where}: optional column {name!r} is none of its columns{suggestion(name, names)}")
