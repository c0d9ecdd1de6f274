"""From a recipe to cells: one algorithm, one task, one seed each, with everything checked before a model is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from algorithms import Algorithm
from leaderboard.records import SCHEMA, BenchmarkRecord, PlannedCell, content_hash, row_hash
from tasks.base import Task, TaskError
from tasks.rewards.rewarded import Rewarded

from . import conforming, contamination, models, reproduction, sinks
from .checks import check_algorithm, check_examples, check_texts
from .entries import Entry, control_arm, entry_of
from .errors import UserError
from .identity import protocol_identity, reward_identity, stage_identity, task_identity
from .plugins import build_algorithm, build_task
from .rewards import stage as rewards
from .rewards.building import rewarded
from .rewards.stage import Stage
from .rollout import engines
from .settings import Budget, Control, Evaluation, Execution, Recipe, Rollout, Sampling, Training


@dataclass(frozen=True)
class Cell:
    """One run, fully resolved. `spec` is its identity: what could change the result, and nothing else."""

    label: str
    algorithm: Algorithm
    task: Task
    start: models.Source
    precision: Any
    training: Training
    sampling: Sampling
    rollout: Rollout
    evaluation: Evaluation
    execution: Execution
    budget: Budget
    seed: int
    spec: dict[str, Any]
    control: Control | None = None
    after: Cell | None = None  # the stage of a chain that it goes on from; None: it begins at `start`
    recipe: dict[str, Any] | None = None  # that has this cell alone; None of a stage before others, and of a trial
    command: tuple[str, ...] | None = None  # that runs it, out of a recipe that others have; None: there is none
    plugins: tuple[str, ...] = ()  # words for it, `--plugin FILE`
    failing: dict[str, str] | None = None  # checks that its algorithm does not pass; None: ours, which is not asked

    @property
    def id(self) -> str:
        """Hash of the identity."""
        return content_hash(self.spec)

    @property
    def row(self) -> str:
        """Hash of the identity without the seed: the cells of one row of a table."""
        return row_hash(self.spec)

    @property
    def chain(self) -> tuple[Cell, ...]:
        """The stages up to this one, the first stage first; of a cell that is no chain's, itself."""
        return (*(self.after.chain if self.after else ()), self)

    @property
    def algorithms(self) -> str:
        """The algorithm's plain name, or those of the stages: `sft+grpo`."""
        return "+".join(stage.algorithm.name for stage in self.chain)


@dataclass(frozen=True)
class Benchmark:
    """All cells of a recipe, and the stage they start from."""

    name: str
    cells: tuple[Cell, ...]
    warm_start: Cell | None
    notes: tuple[str, ...]
    trials: bool = False  # of a search for settings: shown apart from what they were searched for
    reward_stage: Stage | None = None  # the reward model that all cells are rated by, where the recipe has it fitted
    stages: tuple[Cell, ...] = ()  # of chains, what is no row of its own; earlier stages first
    budget: Budget | None = None  # the recipe's: rows whose last stage has its own stand in the table of this one

    def asked_by(self, asked: reproduction.Asked) -> Benchmark:
        """The same, each cell with the command that would run it."""

        def known(cell: Cell) -> Cell:
            words = asked.command(cell.recipe) if cell.recipe is not None else None
            return replace(cell, command=tuple(words) if words else None, plugins=tuple(asked.plugin_words))

        return replace(self, cells=tuple(map(known, self.cells)))

    def record(self) -> BenchmarkRecord:
        """What was planned, for the results folder."""
        planned = [_planned(cell) for cell in self.cells]
        for cell, plan in zip(self.cells, planned, strict=True):
            if self.budget is not None and self.budget != cell.budget:
                plan["budget"] = asdict(self.budget)
        stages = [PlannedCell(**_planned(cell), stage=True) for cell in self.stages]
        return BenchmarkRecord(schema=SCHEMA, name=self.name, trials=self.trials, cells=planned + stages)


def _planned(cell: Cell) -> PlannedCell:
    return PlannedCell(id=cell.id, row=cell.row, algorithm=cell.label, task=cell.task.name, seed=cell.seed)


def plan(recipe: Recipe, device: str, task: Task | None = None) -> Benchmark:
    """Resolve and check a recipe. Raises UserError (or the task's TaskError) before any model is loaded.

    `device` ("cpu" or "cuda") decides what precision `auto` means, which is part of a cell's identity. `task` stands
    in for the recipe's, which trials do not see whole.
    """
    engines.check_available(recipe.rollout)
    sinks.check_installed(recipe.execution.sinks)
    whole = task is None
    task = task or build_task(recipe.task.name, recipe.task.parameters, "task")
    reward = _reward_stage(recipe, task, device)
    task = rewarded(task, recipe.reward, reward, device)
    entries, notes = _entries(recipe, task, whole)
    task.require_grader()
    precision = _precision(recipe, device)
    notes += [*contamination.remarks(task), *_remarks(recipe, task, precision, device)]
    start = models.find(recipe.model.name, recipe.model.revision)
    check_texts(start, task, recipe, [stage.algorithm for entry in entries for stage in entry.chain])
    model_spec = {"name": models.fingerprint(start), "precision": precision}
    shared = {"task": task_identity(task), "model": model_spec} | reward_identity(task)
    unrewarded = task.task if isinstance(task, Rewarded) else task
    warm = _warm_start(recipe, unrewarded, start, {key: shared[key] for key in ("task", "model")})
    if warm is not None:
        shared = {**shared, "model": {**model_spec, "warm_start": warm.id}}
    made = [(entry, _cell(recipe, entry, task, start, seed, shared)) for seed in recipe.seeds for entry in entries]
    rows, stages = _stages(_distinct(made))
    return Benchmark(
        recipe.name, rows, warm, tuple(dict.fromkeys(notes)), reward_stage=reward, stages=stages, budget=recipe.budget
    )


def _entries(recipe: Recipe, task: Task, whole: bool) -> tuple[list[Entry], list[str]]:
    """The rows that the recipe asks for, control arms last, each held to what it can be trained on; and remarks."""
    entries, notes = list[Entry](), list[str]()
    for number, choice in enumerate(recipe.algorithms):
        entry = entry_of(choice, recipe.training, f"algorithms.{number}")
        entries.append(replace(entry, choice=choice if whole else None))
        for stage in entry.chain:
            where = f"{stage.where} ({stage.label})"
            notes += conforming.hold(stage.algorithm, stage.training, stage.label, where)
            notes += check_algorithm(stage.algorithm, task, stage.training, recipe.sampling, where)
            check_examples(task, stage.training, recipe.evaluation, f"{stage.where}.training")
    controls = [control_arm(arm, n, entries, recipe.algorithms) for n, arm in enumerate(recipe.controls)]
    return entries + controls, notes


def _precision(recipe: Recipe, device: str) -> str:
    if recipe.model.precision == "auto":
        return "bfloat16" if device == "cuda" else "float32"
    return recipe.model.precision


def _remarks(recipe: Recipe, task: Task, precision: str, device: str) -> list[str]:
    """What works otherwise here than one may think."""
    notes = [*task.remarks(recipe.sampling.max_tokens)] if isinstance(task, Rewarded) else []
    if device == "cpu" and recipe.execution.offload == "on":
        notes.append("execution.offload = on: without effect on a CPU, where models lie in host memory anyway")
    if precision == "bfloat16" and device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        notes.append(
            "model.precision = bfloat16: this processor has no instructions for it, and takes about twenty times as "
            "long as for float32 (model.precision=float32)"
        )
    return notes


def _distinct(made: Sequence[tuple[Entry, Cell]]) -> dict[str, Cell]:
    """By id. Raises UserError for two rows of one label, and for one run twice."""
    cells: dict[str, Cell] = {}
    labels: dict[str, str] = {}
    for entry, cell in made:
        if labels.setdefault(entry.label, cell.row) != cell.row:
            raise UserError(f"{entry.where}: two different entries have the label {entry.label!r}; give one a `label:`")
        if cell.id in cells:
            raise UserError(
                f"{entry.where}: {entry.label} is the same run as {cells[cell.id].label}; remove one of them"
            )
        cells[cell.id] = cell
    return cells


def _stages(cells: Mapping[str, Cell]) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    """The rows' cells, with weights kept of those that others go on from; and the stages that are no rows."""
    stages: dict[str, Cell] = {}
    for cell in cells.values():
        stages |= {stage.id: stage for stage in cell.chain[:-1] if stage.id not in stages}
    rows = tuple(
        replace(cell, execution=replace(cell.execution, save_weights=True)) if cell.id in stages else cell
        for cell in cells.values()
    )
    return rows, tuple(stage for stage in stages.values() if stage.id not in cells)


def _reward_stage(recipe: Recipe, task: Task, device: str) -> Stage | None:
    training = recipe.reward.train if recipe.reward else None
    if training is None:
        return None
    try:
        return rewards.plan(training, task, recipe.task.parameters, device, recipe.execution.threads)
    except (UserError, TaskError) as error:
        raise UserError(f"reward.train: {error}") from error


def _warm_start(recipe: Recipe, task: Task, start: models.Source, shared: dict[str, Any]) -> Cell | None:
    warm = recipe.model.warm_start
    if warm is None:
        return None
    where = "model.warm_start"
    algorithm, label = build_algorithm("sft", warm.parameters, where)
    check_algorithm(algorithm, task, warm.training, recipe.sampling, where)
    check_examples(task, warm.training, recipe.evaluation, f"{where}.training")
    stage = replace(
        recipe, budget=warm.budget, evaluation=replace(recipe.evaluation, every=10**9, probe=0, drift=False),
        execution=replace(recipe.execution, save_weights=True, sinks=()), rollout=Rollout(),
    )  # fmt: skip
    cell = _cell(stage, Entry(where, label, algorithm, warm.training), task, start, warm.seed, shared)
    # It samples nothing, and how it is looked at does not change its weights.
    return replace(cell, spec={k: v for k, v in cell.spec.items() if k not in {"sampling", "rollout", "evaluation"}})


def _cell(recipe: Recipe, entry: Entry, task: Task, start: models.Source, seed: int, shared: dict[str, Any]) -> Cell:
    """One seed of an entry, and behind it the cells of the stages before."""
    algorithm, budget, before, after = entry.algorithm, entry.budget or recipe.budget, None, list[dict[str, Any]]()
    if entry.after is not None:
        kept = replace(recipe, execution=replace(recipe.execution, save_weights=True))
        before = _cell(kept, entry.after, task, start, seed, shared)
        # The row: it stands for all of the stage, and is the same for every seed, as a row must be.
        own = {key: before.spec[key] for key in ("algorithm", "training", "budget")}
        after = [*before.spec.get("after", ()), {"row": before.row, **own}]
    spec = {
        **shared,
        **stage_identity(algorithm, entry.training, budget),
        **protocol_identity(recipe),
        "seed": seed,
        **({"control": entry.control} if entry.control else {}),
        **({"after": after} if after else {}),
    }
    precision, choice = shared["model"]["precision"], entry.choice
    return Cell(
        entry.label, algorithm, task, start, precision, entry.training, recipe.sampling, recipe.rollout,
        recipe.evaluation, recipe.execution, budget, seed, json.loads(json.dumps(spec)), entry.control, before,
        None if choice is None else reproduction.recipe_of(recipe, choice, entry.control, seed, precision),
        failing=conforming.failing(algorithm),
    )  # fmt: skip
