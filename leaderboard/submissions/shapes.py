"""What a specification and its provenance must look like: tables and pages read them as they are, type unseen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from .. import reading
from ..records import RecordError
from .faults import Faults

Whole = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Count = Annotated[int, msgspec.Meta(ge=1, lt=2**62)]
Limit = Annotated[float, msgspec.Meta(gt=0, lt=1e300)]


class Named(msgspec.Struct):
    """An algorithm, a task or a reward."""

    name: str = ""
    parameters: dict[str, Any] | None = None
    source: str | None = None  # hash of a plug-in's file; None: ours


class Budget(msgspec.Struct, forbid_unknown_fields=True):
    """Limits, one an axis; see `records.Counters`."""

    steps: Limit | None = None
    optimizer_steps: Limit | None = None
    prompts: Limit | None = None
    generated_tokens: Limit | None = None
    trained_tokens: Limit | None = None
    flops: Limit | None = None
    seconds: Limit | None = None


class Training(msgspec.Struct):
    """What its steps are checked against."""

    learning_rate: Limit | None = None
    warmup_updates: Whole | None = None


class Evaluation(msgspec.Struct):
    """What its evaluations are checked against."""

    every: Count
    samples: Count
    examples: Whole | None = None
    probe: Whole = 0


class Stage(msgspec.Struct):
    """An earlier stage of a chain."""

    row: str
    algorithm: Named
    training: Training
    budget: Budget


class Spec(msgspec.Struct):
    """`spec` of a cell.json. What is missing is as in earlier versions; what is there is no null."""

    seed: int
    algorithm: Named
    task: Named
    model: dict[str, Any]
    training: Training
    evaluation: Evaluation
    budget: Budget
    sampling: dict[str, Any] = {}
    reward: Named | msgspec.UnsetType = msgspec.UNSET
    control: str | None = None
    after: list[Stage] = []


class Overlaps(msgspec.Struct):
    """Evaluation questions among the training prompts."""

    shared: dict[str, tuple[int, int]] = {}


class Memory(msgspec.Struct):
    """The plan of a session's memory."""

    phases: dict[str, dict[str, Any]] | None = None


class Session(msgspec.Struct):
    """One process of a run."""

    device: str | None = None
    threads: int | None = None
    versions: dict[str, str] | None = None
    python: str | None = None
    commit: str | None = None
    started: str | None = None
    resumed_from: int | None = None
    memory: Memory | None = None


class Provenance(Session):
    """`provenance` of a cell.json: the last session, and what is true of all."""

    model: str | None = None
    start: str | None = None
    description: str | None = None
    control: str | None = None
    recipe: dict[str, Any] | None = None
    command: list[str] | None = None
    plugins: list[str] | None = None
    overlaps: Overlaps = msgspec.field(default_factory=Overlaps)
    sessions: list[Session] = []


def fits(file: str, record: Mapping[str, Any], faults: Faults) -> bool:
    """Whether a cell.json's specification and provenance can be read at all; a fault where they cannot."""
    parts = (("spec", Spec), ("provenance", Provenance))
    return all(fit(file, key, record[key], schema, faults) for key, schema in parts)


def fit(file: str, key: str, content: Any, schema: Any, faults: Faults) -> bool:
    """Whether a part of a record has the types of its schema; a fault where not."""
    try:
        reading.convert(content, schema, file)
    except RecordError as error:
        found, _, expected = str(error).removeprefix(f"{file}: ").partition("; expected ")
        faults.add(file, key, found, expected, unsafe=True)
        return False
    return True
