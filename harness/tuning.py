"""Equal tuning: the same number of trials for every algorithm, each over its own space, scored on a dev split.

Trials are cells like any other, of a benchmark of their own below the results folder. They train on what the dev split
leaves, from a warm start that has not seen it either, and nobody looks at the held-out examples before the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from leaderboard import records
from leaderboard.declared import suggestion
from leaderboard.records import SearchRecord, TrialRecord, TuningRecord
from tasks.dev import DevSplit

from .benchmark import Benchmark, plan
from .entries import resolve
from .errors import UserError
from .plugins import build_task, known_algorithms
from .settings import AlgorithmChoice, Recipe, Training, Tune
from .space import Setting, dimensions, points

FOLDER = "tuning"  # of the trials, below the results folder
RECORD = "tuning.json"
METRIC = "final sampled {} on the dev split"  # accuracy, or reward where there is no verifier
ONLY_THE_ENDS = 10**9  # steps between two evaluations of a trial: no choice looks at what lies between
SHARED = "shared"  # the part of the space that every algorithm searches
_TRAINING = "training."


@dataclass(frozen=True)
class Trial:
    """One setting of one algorithm, as an entry of the trials' recipe."""

    setting: Setting
    choice: AlgorithmChoice


@dataclass(frozen=True)
class Search:
    """One algorithm's trials."""

    choice: AlgorithmChoice  # as in the recipe
    label: str  # its row, without the fields that are searched
    space: dict[str, Any]
    trials: tuple[Trial, ...]

    @property
    def tuned_label(self) -> str:
        """The row that runs with the chosen setting."""
        return f"{self.label}, tuned"


@dataclass(frozen=True)
class Tuning:
    """All searches of a recipe, and the benchmark that their trials make."""

    recipe: Recipe
    tune: Tune
    searches: tuple[Search, ...]
    dev: DevSplit
    benchmark: Benchmark


def prepare(recipe: Recipe, tune: Tune, device: str) -> Tuning:
    """Resolve and check every trial. Raises UserError, naming algorithm, trial and values, before anything runs."""
    if shared := sorted(set(tune.seeds) & set(recipe.seeds)):
        raise UserError(f"tune.seeds: {shared} are seeds of the comparison too; settings must be found on others")
    searches = _searches(recipe, tune)
    dev = DevSplit(build_task(recipe.task.name, recipe.task.parameters, "task"), tune.dev_share)
    for name, side in (("to train on", dev.train), ("in the dev split", dev.heldout)):
        if not side:
            raise UserError(f"tune.dev_share = {tune.dev_share} leaves no example {name}")
    size, examples = len(dev.heldout), recipe.evaluation.examples
    trials = replace(
        recipe, name=f"{recipe.name}, trials on a dev split", tune=None, controls=(), seeds=tune.seeds,
        algorithms=tuple(trial.choice for search in searches for trial in search.trials),
        budget=tune.budget or recipe.budget,
        evaluation=replace(
            recipe.evaluation, every=ONLY_THE_ENDS, examples=min(examples, size) if examples else None, probe=0
        ),
        execution=replace(recipe.execution, save_weights=False),
    )  # fmt: skip
    try:
        benchmark = plan(trials, device, dev)
    except UserError as error:
        raise UserError(f"tune, the trials: {error}") from None
    remarks = tuple(remark for search in searches for remark in _remarks(search))
    return Tuning(recipe, tune, searches, dev, replace(benchmark, trials=True, notes=remarks))


def decide(tuning: Tuning, results: Path, device: str) -> tuple[Benchmark, list[SearchRecord]]:
    """The comparison with the settings that the finished trials favour, and the record of how they were found.

    A trial's score is the mean over the tuning seeds of its last *sampled* accuracy (or reward): what tables are sorted
    by, what training optimises, and with several responses an example the less noisy of the two. No checkpoint is
    picked. A failed trial has no score; of equals the earlier one is taken. Raises UserError where all trials of an
    algorithm failed.
    """
    tried = [[_tried(trial, tuning.benchmark, results) for trial in search.trials] for search in tuning.searches]
    best = [_best(search, trials, results) for search, trials in zip(tuning.searches, tried, strict=True)]
    benchmark = plan(_decided(tuning, best), device)
    row_of = {cell.label: cell.row for cell in benchmark.cells}
    metric = METRIC.format("accuracy" if tuning.dev.graded else "reward")
    tune, budget = tuning.tune, asdict(tuning.tune.budget or tuning.recipe.budget)
    return benchmark, [
        SearchRecord(
            algorithm=search.tuned_label, row=row_of[search.tuned_label], space=search.space, trials=trials,
            chosen=chosen, metric=metric, seeds=list(tune.seeds), budget=budget, dev_share=tune.dev_share,
            dev_examples=len(tuning.dev.heldout),
        )
        for search, trials, chosen in zip(tuning.searches, tried, best, strict=True)
    ]  # fmt: skip


def write(results: Path, searches: list[SearchRecord]) -> None:
    """Write tuning.json; searches of an earlier plan stay while the cells that they were for do."""
    path = results / RECORD
    if path.exists():
        new = {search["row"] for search in searches}
        earlier = [search for search in records.read_json(path)["searches"] if search["row"] not in new]
        there = {records.read_json(cell)["row"] for cell in (results / "cells").glob("*/cell.json")}
        searches = searches + [search for search in earlier if search["row"] in there]
    records.write_json(path, TuningRecord(schema=records.SCHEMA, searches=searches))


def _searches(recipe: Recipe, tune: Tune) -> tuple[Search, ...]:
    for number, choice in enumerate(recipe.algorithms):
        if choice.stages is not None:
            raise UserError(
                f"algorithms.{number}: a chain of stages is not searched for settings; search for those of its "
                "algorithms in a recipe without it, and write what was found into its stages"
            )
    labels = [resolve(c, recipe.training, f"algorithms.{n}")[2] for n, c in enumerate(recipe.algorithms)]
    names = [choice.name for choice in recipe.algorithms]
    bases = {name.partition("@")[0] for name in names}
    for key in tune.space:
        known = key.partition("@")[0] in known_algorithms().keys() - bases  # an override may have left it out
        if key not in {SHARED, *names, *labels} and not known:
            raise UserError(f"tune.space: no algorithm {key!r} in this recipe{suggestion(key, [*names, SHARED])}")
    searches = []
    for choice, label in zip(recipe.algorithms, labels, strict=True):
        keys = [key for key in dict.fromkeys((choice.name, label)) if key in tune.space]
        if len(keys) > 1:
            raise UserError(f"tune.space: {keys[0]!r} and {keys[1]!r} are the same algorithm")
        where = f"tune.space.{keys[0] if keys else SHARED}"
        space = {**tune.space.get(SHARED, {}), **(tune.space[keys[0]] if keys else {})}
        if not space:
            raise UserError(
                f"tune.space: nothing is searched for {label}; every algorithm of a recipe is tuned or none"
            )
        searches.append(_search(choice, space, recipe.training, tune.trials, where))
    return tuple(searches)


def _search(choice: AlgorithmChoice, space: dict[str, Any], shared: Training, trials: int, where: str) -> Search:
    algorithm = resolve(choice, shared, where)[0]
    own = [field.name for field in fields(algorithm) if field.init]
    known = [*own, *(_TRAINING + field.name for field in fields(Training))]
    dims = dimensions(space, known, f"{where} ({choice.name})")
    settings = points(dims, trials, f"{where} ({choice.name})")
    searched = {field for dimension in dims for field in dimension.fields}
    label = resolve(_without(choice, searched), shared, where)[2]
    found = []
    for number, setting in enumerate(settings, start=1):
        words = ", ".join(f"{field.removeprefix(_TRAINING)}={value}" for field, value in setting.items())
        trial = replace(_with(choice, setting), label=f"{label}, trial {number} ({words})")
        resolve(trial, shared, f"{where}: {trial.label}")
        found.append(Trial(setting, trial))
    return Search(choice, label, space, tuple(found))


def _with(choice: AlgorithmChoice, setting: Mapping[str, Any]) -> AlgorithmChoice:
    training = {f.removeprefix(_TRAINING): value for f, value in setting.items() if f.startswith(_TRAINING)}
    parameters = {f: value for f, value in setting.items() if not f.startswith(_TRAINING)}
    return replace(choice, training={**choice.training, **training}, parameters={**choice.parameters, **parameters})


def _without(choice: AlgorithmChoice, searched: set[str]) -> AlgorithmChoice:
    """The entry's own values of searched fields are not what will run, so its label must not name them."""
    return replace(choice, parameters={f: value for f, value in choice.parameters.items() if f not in searched})


def _remarks(search: Search) -> list[str]:
    fixed = {*search.choice.parameters, *(_TRAINING + field for field in search.choice.training)}
    taken = ", ".join(sorted(fixed & search.trials[0].setting.keys()))
    return [f"{search.label}: the recipe's own {taken} gives way to the search"] if taken else []


def _tried(trial: Trial, benchmark: Benchmark, results: Path) -> TrialRecord:
    """What became of a trial: its score, or why there is none."""
    cells = [cell for cell in benchmark.cells if cell.label == trial.choice.label]
    finals, errors = [], []
    for cell in cells:
        folder = results / FOLDER / "cells" / cell.id
        there = (folder / "status.json").exists()  # not where a worker process died before it could begin
        status = records.read_json(folder / "status.json") if there else {"state": "missing", "error": None}
        evaluations = records.read_lines(folder / "evals.jsonl")
        scores = [records.headline(e) for e in evaluations if (e["split"], e["mode"]) == ("heldout", "sampled")]
        if status["state"] == "done":
            finals.append(float(scores[-1] or 0.0))
        else:
            errors.append(f"seed {cell.seed}: {status['error'] or status['state']}")
    return TrialRecord(
        setting=trial.setting, label=str(trial.choice.label), cells=[cell.id for cell in cells],
        score=None if errors else fmean(finals), error="; ".join(errors) or None,
    )  # fmt: skip


def _best(search: Search, trials: Sequence[TrialRecord], results: Path) -> int:
    scores = {number: score for number, trial in enumerate(trials) if (score := trial["score"]) is not None}
    if not scores:
        raise UserError(
            f"tune: all {len(trials)} trials of {search.label} failed, so it has no setting to be compared with; the "
            f"first: {trials[0]['error']}; all causes: groupbench leaderboard {results / FOLDER}"
        )
    return max(scores, key=lambda number: scores[number])  # the first of equals


def _decided(tuning: Tuning, best: Sequence[int]) -> Recipe:
    """The recipe with the chosen settings, under labels that say so."""
    searches = tuning.searches
    chosen = tuple(
        replace(_with(search.choice, search.trials[number].setting), label=search.tuned_label)
        for search, number in zip(searches, best, strict=True)
    )
    old = [resolve(search.choice, tuning.recipe.training, "algorithms")[2] for search in searches]
    new = {label: search.tuned_label for label, search in zip(old, searches, strict=True)}
    controls = tuple(replace(arm, of=new.get(arm.of or "", arm.of)) for arm in tuning.recipe.controls)
    return replace(tuning.recipe, algorithms=chosen, controls=controls, tune=None)
