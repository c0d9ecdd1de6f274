"""From a recipe to cells: one algorithm, one task, one seed each, with everything checked before a model is loaded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from algorithms import Algorithm
from leaderboard.records import BenchmarkRecord, PlannedCell
from tasks.base import Task
from tasks.data import fingerprint

from . import models
from .errors import UserError
from .plugins import build, build_algorithm, build_task, source_hash
from .settings import AlgorithmChoice, Budget, Evaluation, Execution, Recipe, Sampling, Training


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
    evaluation: Evaluation
    execution: Execution
    budget: Budget
    seed: int
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        """Hash of the identity."""
        return content_hash(self.spec)

    @property
    def row(self) -> str:
        """Hash of the identity without the seed: the cells of one row of a table."""
        return content_hash({key: value for key, value in self.spec.items() if key != "seed"})


@dataclass(frozen=True)
class Benchmark:
    """All cells of a recipe, and the stage they start from."""

    name: str
    cells: tuple[Cell, ...]
    warm_start: Cell | None
    notes: tuple[str, ...]

    def record(self) -> BenchmarkRecord:
        """What was planned, for the results folder."""
        return BenchmarkRecord(
            schema=1,
            name=self.name,
            cells=[
                PlannedCell(id=c.id, row=c.row, algorithm=c.label, task=c.task.name, seed=c.seed) for c in self.cells
            ],
        )


def plan(recipe: Recipe, device: str) -> Benchmark:
    """Resolve and check a recipe. Raises UserError (or the task's TaskDataError) before any model is loaded.

    `device` ("cpu" or "cuda") decides what precision `auto` means, which is part of a cell's identity.
    """
    task = build_task(recipe.task.name, recipe.task.parameters, "task")
    precision = recipe.model.precision
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    start = models.find(recipe.model.name, recipe.model.revision)
    notes: list[str] = []
    check_examples(task, recipe)
    warm = _warm_start(recipe, task, start, precision)
    model_spec = {"name": models.fingerprint(start), "precision": precision}
    if warm is not None:
        model_spec["warm_start"] = warm.id
    cells: dict[str, Cell] = {}
    rows: dict[str, str] = {}
    for seed in recipe.seeds:
        for number, choice in enumerate(recipe.algorithms):
            where = f"algorithms.{number}"
            algorithm, label = build_algorithm(choice.name, choice.parameters, where)
            training = build(Training, {**asdict(recipe.training), **choice.training}, f"{where}.training")
            label = choice.label or _label(label, choice)
            notes += check_algorithm(algorithm, task, training, recipe.sampling, f"{where} ({label})")
            cell = _cell(recipe, label, algorithm, task, start, training, seed, model_spec)
            if rows.setdefault(label, cell.row) != cell.row:
                raise UserError(f"{where}: two different entries have the label {label!r}; give one a `label:`")
            if cell.id in cells:
                raise UserError(f"{where}: {label} is the same run as {cells[cell.id].label}; remove one of them")
            cells[cell.id] = cell
    check_prompts(models.load_codec(start), task, recipe)
    return Benchmark(recipe.name, tuple(cells.values()), warm, tuple(dict.fromkeys(notes)))


def check_algorithm(algorithm: Algorithm, task: Task, training: Training, sampling: Sampling, where: str) -> list[str]:
    """Refuse what cannot work together; return remarks on what will work differently than asked."""
    needs = algorithm.needs
    size = training.responses_per_prompt if needs.rollouts is None else needs.rollouts + needs.demonstrations
    if size < algorithm.min_group_size:
        raise UserError(
            f"{where}: a group of {size} response; {algorithm.name} compares the members of a group, so "
            f"training.responses_per_prompt must be at least {algorithm.min_group_size}"
        )
    if needs.rollouts is None and needs.demonstrations > training.responses_per_prompt:
        raise UserError(
            f"{where}: {needs.demonstrations} demonstrations a prompt do not fit into "
            f"training.responses_per_prompt = {training.responses_per_prompt}"
        )
    if algorithm.requires_clipping and training.max_grad_norm is None:
        raise UserError(
            f"{where}: training.max_grad_norm = null, but {algorithm.name} cannot train without gradient-norm "
            "clipping: at the first update of a rollout its gradient is of the order of 1e6; set it, e.g. to 1.0"
        )
    if needs.rollouts != 0 and sampling.temperature == 0:
        raise UserError(f"{where}: sampling.temperature = 0 draws the same response every time; it must be above 0")
    if needs.old and sampling.truncates:
        raise UserError(
            f"{where}: sampling.top_p = {sampling.top_p}, top_k = {sampling.top_k}, but {algorithm.name} weighs "
            "samples by probability ratios, which are wrong when the tail cannot be drawn; use top_p: 1, top_k: 0"
        )
    wanted = {source for source, n in (("expert", needs.experts), ("teacher", needs.teachers)) if n}
    missing = wanted - task.demonstration_sources
    if wanted and wanted == missing:
        raise UserError(
            f"{where}: {algorithm.name} needs {' and '.join(sorted(wanted))} demonstrations, and task {task.name} has "
            f"{', '.join(sorted(task.demonstration_sources)) or 'none'}"
        )
    return [
        f"{where}: task {task.name} has no {source} demonstrations; sampled responses fill their places"
        for source in sorted(missing)
    ]


def check_examples(task: Task, recipe: Recipe) -> None:
    """Load the data, and refuse a set too small for the recipe."""
    if len(task.train) < recipe.training.prompts_per_step:
        raise UserError(
            f"training.prompts_per_step = {recipe.training.prompts_per_step}, but task {task.name} has only "
            f"{len(task.train)} training examples"
        )
    wanted = recipe.evaluation.examples
    if not task.heldout or (wanted is not None and wanted > len(task.heldout)):
        raise UserError(f"evaluation.examples = {wanted}, but task {task.name} has {len(task.heldout)} held out")


def check_prompts(codec: Any, task: Task, recipe: Recipe) -> None:
    """Encode some prompts and demonstrations, so that an unfit tokenizer shows before the weights are read."""
    for example in (*task.train[:8], *task.heldout[:8]):
        codec.prompt(example)
        for source in sorted(task.demonstration_sources):
            for text in task.demonstrate(example, source, 1, 0):
                codec.demonstration(text)


def task_identity(task: Task) -> dict[str, Any]:
    """The task by what its data are, not by where they lie: the Hub and a folder with the same rows are one task."""
    parameters = {name: value for name, value in asdict(task).items() if name not in task.locations}  # type: ignore[call-overload]
    return {"name": task.name, "parameters": parameters, "data": fingerprint((*task.train, *task.heldout))[:16]}


def content_hash(content: Any) -> str:
    """A short, stable hash of JSON-able content."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _warm_start(recipe: Recipe, task: Task, start: models.Source, precision: str) -> Cell | None:
    warm = recipe.model.warm_start
    if warm is None:
        return None
    algorithm, label = build_algorithm("sft", warm.parameters, "model.warm_start")
    check_algorithm(algorithm, task, warm.training, recipe.sampling, "model.warm_start")
    evaluation = replace(recipe.evaluation, every=10**9)
    stage = replace(recipe, budget=warm.budget, evaluation=evaluation)
    model_spec = {"name": models.fingerprint(start), "precision": precision}
    return _cell(stage, label, algorithm, task, start, warm.training, warm.seed, model_spec)


def _cell(
    recipe: Recipe, label: str, algorithm: Algorithm, task: Task, start: models.Source, training: Training, seed: int,
    model_spec: dict[str, Any],
) -> Cell:  # fmt: skip
    spec = {
        "algorithm": {"name": algorithm.name, "parameters": asdict(algorithm), "source": source_hash(algorithm)},
        "task": task_identity(task),
        "model": model_spec,
        "training": asdict(training),
        "sampling": asdict(recipe.sampling),
        "evaluation": asdict(recipe.evaluation),
        "budget": asdict(recipe.budget),
        "seed": seed,
    }
    return Cell(
        label, algorithm, task, start, model_spec["precision"], training, recipe.sampling, recipe.evaluation,
        recipe.execution, recipe.budget, seed, json.loads(json.dumps(spec)),
    )  # fmt: skip


def _label(label: str, choice: AlgorithmChoice) -> str:
    """The preset's name and whatever the recipe changed about the algorithm itself."""
    changed = ", ".join(f"{name}={value}" for name, value in sorted(choice.parameters.items()))
    return f"{label}({changed})" if changed else label
