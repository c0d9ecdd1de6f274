"""Runs as tables of rows of cells: which may be compared, and which are seeds of one another.

A row holds cells that differ in nothing but the seed. A table holds rows that may be compared: one benchmark, one task,
one model, one budget, one reward, one way to evaluate. Whatever was planned and did not finish is there too, with its
state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from .records import EvalRecord, Measure, SearchRecord, Status, StepRecord

State = Literal["done", "failed", "stopped", "running", "missing"]  # a record's, or never started
Mode = Literal["sampled", "greedy"]
Split = Literal["heldout", "probe"]
MODES: tuple[Mode, ...] = get_args(Mode)
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Cell:
    """One seed of a row. Only a finished cell has steps and evaluations: the others count for nothing."""

    seed: int
    state: State
    status: Status | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()  # by step
    evals: Mapping[tuple[str, str], tuple[EvalRecord, ...]] = field(default_factory=dict)  # (split, mode) -> by step
    folder: Path | None = None  # where its item-level results lie

    def curve(self, mode: Mode, split: Split = "heldout") -> tuple[EvalRecord, ...]:
        """The evaluations of one split in one decoding mode, by step."""
        return self.evals.get((split, mode), ())

    def measured(self, mode: Mode, measure: Measure) -> list[tuple[EvalRecord, float]]:
        """The held-out evaluations that have this measure, by step, and its value in each."""
        return [(record, value) for record in self.curve(mode) if (value := record.get(measure)) is not None]

    def start(self, mode: Mode, split: Split = "heldout") -> EvalRecord | None:
        """The evaluation at step 0; None where there is none."""
        curve = self.curve(mode, split)
        return curve[0] if curve and curve[0]["step"] == 0 else None

    def final(self, mode: Mode, split: Split = "heldout") -> EvalRecord | None:
        """The last evaluation, whatever its score: no checkpoint is chosen by the number that it is judged by."""
        curve = self.curve(mode, split)
        return curve[-1] if curve else None


@dataclass(frozen=True)
class Stage:
    """One algorithm of a chain, and how long it is trained."""

    algorithm: str  # its plain name
    budget: Mapping[str, Any]
    training: Mapping[str, Any]


@dataclass(frozen=True)
class Submission:
    """Who handed a row in, and whether everything that can be computed again from its items was found to hold."""

    name: str  # of its folder: letters, digits, hyphens, underscores and dots
    by: str = ""  # who made it, as they call themselves
    note: str = ""
    id: str = ""  # hash of all that it holds; empty where it cannot be read
    dirty: bool = False  # run with code that no commit holds
    faults: tuple[str, ...] = ()  # what does not hold, a line each; printable
    left_out: tuple[int, ...] = ()  # seeds that the row's own plan had besides, as far as is said

    @property
    def verified(self) -> bool:
        """Whether nothing was found: only then may its rows stand in a table of others."""
        return not self.faults


@dataclass(frozen=True)
class Row:
    """Cells that differ in nothing but the seed, by seed."""

    hash: str
    label: str  # the entry's; with the start of a hash of its settings where two rows of a table have the same one
    cells: tuple[Cell, ...]
    algorithm: str = ""  # its plain name, e.g. grpo, or sft+grpo of a chain; empty where no cell was ever started
    named: str = ""  # its label in the records, where a table program shows it under another
    training: Mapping[str, Any] = field(default_factory=dict)  # the settings; empty where no cell was ever started
    protocol: Mapping[str, Any] = field(default_factory=dict)  # those of sampling and evaluation, by the two names
    search: SearchRecord | None = None  # how the settings were found; None where none was recorded
    card: Mapping[str, str] = field(default_factory=dict)  # what the algorithm computes, in words; empty where unknown
    stages: tuple[Stage, ...] = ()  # of a chain, its last one too; empty for any other row
    parameters: Mapping[str, Any] = field(default_factory=dict)  # the algorithm's, of a chain the last stage's
    submission: Submission | None = None  # None: a run of the user's own
    start: Path | None = None  # of a submission: what its runs started from, as `Table.start`, as it evaluated that
    otherwise: Mapping[str, str] = field(default_factory=dict)  # final tasks that rows beside it were asked in another
    # way, and in which: they are not shown of it
    failing: tuple[str, ...] = ()  # checks of conformance that its algorithm, a plug-in's, does not pass

    @property
    def control(self) -> bool:
        """Whether it is a control arm, which has the settings of the row that it repeats."""
        return any(cell.provenance.get("control") for cell in self.cells)

    @property
    def done(self) -> tuple[Cell, ...]:
        """The finished cells."""
        return tuple(cell for cell in self.cells if cell.state == "done")

    def count(self, state: State) -> int:
        """How many cells are in this state."""
        return sum(cell.state == state for cell in self.cells)


@dataclass(frozen=True)
class Table:
    """Rows that may be compared. `model` and `budget` are None where no cell of the table was ever started."""

    benchmark: str
    task: str
    model: str | None
    budget: Mapping[str, Any] | None
    slug: str  # names the table's files; unique within a results folder
    rows: tuple[Row, ...]  # as the recipe has them; what no plan names comes last, by label
    reward: str | None = None  # what rated responses, in words; None where the verifier did
    key: str = ""  # what must be equal for runs to be compared, as JSON; empty where nothing was started
    start: Path | None = None  # what all its runs started from, evaluated on final tasks; None where it was not
    earlier: tuple[Row, ...] = ()  # what `rows` were before a plug-in's file was edited: shown and counted nowhere

    @cached_property
    def measure(self) -> Measure:
        """What rows are ranked by: accuracy where there is a verifier, else the reward that they were trained on."""
        cells = (cell for row in self.rows for cell in row.done)
        measured = [record for cell in cells for curve in cell.evals.values() for record in curve]
        verified = any(record["accuracy"] is not None for record in measured)
        return "reward" if not verified and any("reward" in record for record in measured) else "accuracy"
