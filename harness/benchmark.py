"""From a recipe to cells: one algorithm, one task, one seed each, with everything checked before a model is loaded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from algorithms import Algorithm
from leaderboard.records import SCHEMA, BenchmarkRecord, PlannedCell, content_hash, row_hash
from tasks.base import Source, Task, TaskError
from tasks.data import fingerprint
from tasks.dev import DevSplit
from tasks.rewards.rewarded import Rewarded
from tasks.wrapped import Wrapped, innermost

from . import contamination, models, reproduction, sinks
from .codec import Codec
from .entries import Entry, control_arm, entry_of
from .errors import UserError
from .plugins import build_algorithm, build_task, source_hash
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
    notes: list[str] = []
    entries = []
    for number, choice in enumerate(recipe.algorithms):
        entry = entry_of(choice, recipe.training, f"algorithms.{number}")
        entries.append(replace(entry, choice=choice if whole else None))
        for stage in entry.chain:
            where = f"{stage.where} ({stage.label})"
            notes += check_algorithm(stage.algorithm, task, stage.training, recipe.sampling, where)
            check_examples(task, stage.training, recipe.evaluation, f"{stage.where}.training")
    entries += [control_arm(arm, n, entries, recipe.algorithms) for n, arm in enumerate(recipe.controls)]
    task.require_grader()
    notes += contamination.remarks(task)
    if device == "cpu" and recipe.execution.offload == "on":
        notes.append("execution.offload = on: without effect on a CPU, where models lie in host memory anyway")
    if isinstance(task, Rewarded):
        notes += task.remarks(recipe.sampling.max_tokens)
    precision = recipe.model.precision
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    if precision == "bfloat16" and device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        notes.append(
            "model.precision = bfloat16: this processor has no instructions for it, and takes about twenty times as "
            "long as for float32 (model.precision=float32)"
        )
    start = models.find(recipe.model.name, recipe.model.revision)
    check_texts(start, task, recipe, [stage.algorithm for entry in entries for stage in entry.chain])
    model_spec = {"name": models.fingerprint(start), "precision": precision}
    shared = {"task": task_identity(task), "model": model_spec} | reward_identity(task)
    unrewarded = task.task if isinstance(task, Rewarded) else task
    warm = _warm_start(recipe, unrewarded, start, {key: shared[key] for key in ("task", "model")})
    if warm is not None:
        shared = {**shared, "model": {**model_spec, "warm_start": warm.id}}
    cells: dict[str, Cell] = {}
    labels: dict[str, str] = {}
    for seed in recipe.seeds:
        for entry in entries:
            cell = _cell(recipe, entry, task, start, seed, shared)
            if labels.setdefault(entry.label, cell.row) != cell.row:
                raise UserError(
                    f"{entry.where}: two different entries have the label {entry.label!r}; give one a `label:`"
                )
            if cell.id in cells:
                raise UserError(
                    f"{entry.where}: {entry.label} is the same run as {cells[cell.id].label}; remove one of them"
                )
            cells[cell.id] = cell
    rows, stages = _stages(cells)
    return Benchmark(
        recipe.name, rows, warm, tuple(dict.fromkeys(notes)), reward_stage=reward, stages=stages, budget=recipe.budget
    )


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
    absent = [
        f"task {task.name} has no {source} demonstrations; sampled responses fill their places"
        for source in sorted(missing)
    ]
    return [f"{where}: {remark}" for remark in (*absent, *algorithm.remarks(sampling.max_tokens))]


def check_examples(task: Task, training: Training, evaluation: Evaluation, where: str) -> None:
    """Load the data, and refuse a set too small for the recipe, or examples that cannot be told apart."""
    if not task.train:
        raise UserError(
            f"{where}: task {task.name} has no training examples; it can be evaluated, not trained on "
            "(`groupbench list tasks` shows which tasks have some)"
        )
    if len(task.train) < training.prompts_per_step:
        raise UserError(
            f"{where}: prompts_per_step = {training.prompts_per_step}, but task {task.name} has only "
            f"{len(task.train)} training examples"
        )
    ids = Counter(example.id for example in (*task.train, *task.heldout))
    if doubles := [name for name, count in ids.items() if count > 1]:
        raise UserError(f"task {task.name}: two examples have the id {doubles[0]!r}, and would be given the same draws")
    wanted = evaluation.examples
    if not task.heldout or (wanted is not None and wanted > len(task.heldout)):
        raise UserError(f"evaluation.examples = {wanted}, but task {task.name} has {len(task.heldout)} held out")


def check_texts(start: models.Source, task: Task, recipe: Recipe, algorithms: Sequence[Algorithm]) -> None:
    """Encode the longest prompts and demonstrations: they must suit the tokenizer, and fit into the model's context."""
    codec, limit = models.load_codec(start), models.context_limit(start)
    response = max(recipe.sampling.max_tokens, recipe.evaluation.max_tokens or 0)
    longest = longest_prompt(codec, task)
    asked: set[Source] = {"expert"} if any(a.needs.experts for a in algorithms) else set()
    if any(a.needs.teachers for a in algorithms):
        asked.add("teacher")
    sources = sorted(asked & task.demonstration_sources)
    texts = sorted((t for s in sources for e in task.train for t in task.demonstrate(e, s, 1, 0)), key=len)
    if sources and not texts:
        raise UserError(
            f"task {task.name}: its training data, as found, hold no {' and no '.join(sources)} demonstrations; "
            "set task.parameters.folder to data with solutions, or choose algorithms that need none"
        )
    shown = max((len(codec.demonstration(text)) for text in texts[-16:]), default=0)
    if limit is not None and longest + max(response, shown) > limit:
        raise UserError(
            f"the longest prompt has {longest} tokens, a response may have {response} (max_tokens) and the longest "
            f"demonstration has {shown}; together more than the {limit} that the model reads"
        )


def longest_prompt(codec: Codec, task: Task) -> int:
    """Tokens of the longest of those prompts that have the most characters: encoding all would take seconds."""
    by_length = sorted((*task.train, *task.heldout), key=lambda example: len(str(example.prompt)))
    return max(len(codec.prompt(example)) for example in by_length[-16:])


def task_identity(task: Task) -> dict[str, Any]:
    """The task by what its data are, not by where they lie: the Hub and a folder with the same rows are one task.

    What is trained on counts as well as what is asked: the hash covers demonstrations, and a third party's grader; ours
    by the number that it gives itself, from the second on.
    """
    whole, around, parameters = innermost(task), task, task_parameters(task)
    while isinstance(around, Wrapped):
        if isinstance(around, DevSplit):
            parameters["dev_share"] = around.share
        around = around.task
    shown = [task.demonstrate(e, s, 2, 0) for s in sorted(task.demonstration_sources) for e in task.train]
    data = [fingerprint((*task.train, *task.heldout)), content_hash(shown)]
    identity = {"name": task.name, "parameters": parameters, "data": content_hash(data), "source": source_hash(whole)}
    verifier = whole.verifier.partition(" ")[0]  # ours alone: versions of libraries are provenance here too
    return identity | ({} if verifier == "1" else {"verifier": verifier})


def task_parameters(task: Task) -> dict[str, Any]:
    """Those of the task itself that say what is asked, and not where it lies."""
    whole = innermost(task)
    return {name: value for name, value in asdict(whole).items() if name not in whole.locations}  # type: ignore[call-overload]


def reward_identity(task: Task) -> dict[str, Any]:
    """What rates responses in the verifier's place, where something does."""
    if not isinstance(task, Rewarded):
        return {}
    reward = task.reward
    return {"reward": reward.identity | ({} if (source := source_hash(reward)) is None else {"source": source})}


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


def stage_identity(algorithm: Algorithm, training: Training, budget: Budget) -> dict[str, Any]:
    """What is a stage's own."""
    named = {"name": algorithm.name, "parameters": asdict(algorithm), "source": source_hash(algorithm)}
    return {"algorithm": named, "training": asdict(training), "budget": asdict(budget)}


def protocol_identity(recipe: Recipe) -> dict[str, Any]:
    """How all cells of a recipe are sampled and looked at."""
    return {
        "sampling": asdict(recipe.sampling),
        "rollout": {"engine": recipe.rollout.engine},
        "evaluation": {k: v for k, v in asdict(recipe.evaluation).items() if k != "drift" or v},
    }


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
    )  # fmt: skip
