"""A recipe's entries, resolved: the rows of a benchmark, some of which are chains of stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from algorithms import Algorithm
from leaderboard.declared import suggestion

from . import controls
from .errors import UserError
from .plugins import build, build_algorithm
from .settings import AlgorithmChoice, Budget, Control, ControlArm, StageChoice, Training

ARROW = " → "  # between the labels of a chain's stages


@dataclass(frozen=True)
class Entry:
    """One row of the benchmark: what differs from the others, and where the recipe says so."""

    where: str
    label: str
    algorithm: Algorithm
    training: Training
    control: Control | None = None
    budget: Budget | None = None  # of a chain's stage; None: the recipe's
    after: Entry | None = None  # the stage before it
    choice: AlgorithmChoice | None = None  # as the recipe has it; None where no recipe says the whole of it

    @property
    def chain(self) -> tuple[Entry, ...]:
        """The stages up to this one, the first stage first."""
        return (*(self.after.chain if self.after else ()), self)


def entry_of(choice: AlgorithmChoice, shared: Training, where: str) -> Entry:
    """An entry with all its stages. Raises UserError for names that are unknown and values that are refused."""
    if choice.stages is None:
        algorithm, training, label = resolve(choice, shared, where)
        return Entry(where, label, algorithm, training)
    entry: Entry | None = None
    for number, stage in enumerate(choice.stages):
        place = f"{where}.stages.{number}"
        algorithm, training, label = resolve(stage, shared, place)
        label = label if entry is None else f"{entry.label}{ARROW}{label}"
        entry = Entry(place, label, algorithm, training, budget=stage.budget, after=entry)
    assert entry is not None  # the settings allow no chain without stages
    return replace(entry, label=choice.label or entry.label)


def resolve(
    choice: AlgorithmChoice | StageChoice, shared: Training, where: str
) -> tuple[Algorithm, Training, str]:  # fmt: skip
    """An algorithm, its training section and its label. Raises UserError for values that are refused."""
    algorithm, label = build_algorithm(choice.name, choice.parameters, where)
    training = build(Training, {**asdict(shared), **choice.training}, f"{where}.training")
    return algorithm, training, choice.label or _label(label, choice)


def control_arm(arm: ControlArm, number: int, entries: Sequence[Entry], choices: Sequence[AlgorithmChoice]) -> Entry:
    """The entry that `arm` repeats, under a name and with a difference of its own."""
    where = f"controls.{number}"
    named = {choice.name: entry for choice, entry in zip(choices, entries, strict=True) if choice.name}
    names = {entry.label: entry for entry in entries} | named
    if arm.of is not None and arm.of not in names:
        raise UserError(f"{where}.of: no algorithm {arm.of!r} in this recipe{suggestion(arm.of, names)}")
    entry = entries[0] if arm.of is None else names[arm.of]
    return replace(_controlled(entry, arm.kind), where=where)


def _controlled(entry: Entry, kind: Control) -> Entry:
    """The same with draws or rewards of its own, in all stages; one that samples nothing has neither, and is shared."""
    after = entry.after
    if after is not None and any(stage.algorithm.needs.rollouts != 0 for stage in after.chain):
        after = _controlled(after, kind)
    return replace(entry, label=f"{entry.label}, {controls.LABELS[kind]}", control=kind, after=after)


def _label(label: str, choice: AlgorithmChoice | StageChoice) -> str:
    """The preset's name and whatever the recipe changed about the algorithm itself."""
    changed = ", ".join(f"{name}={value}" for name, value in sorted(choice.parameters.items()))
    return f"{label}({changed})" if changed else label
