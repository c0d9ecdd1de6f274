"""Algorithms, tasks, rewards and judges by name: ours, installed packages', and those of files on the command line."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

import algorithms.registry
import tasks.registry
from algorithms import Algorithm
from leaderboard.declared import suggestion
from tasks.base import Task

from .errors import UserError

if TYPE_CHECKING:
    from tasks.judges.base import Judge
    from tasks.rewards.base import Reward

T = TypeVar("T")
MODULE = "groupbench_plugin_"  # what the module of a file is called, before the file's own name


def known_algorithms() -> dict[str, algorithms.registry.Entry]:
    """All registered algorithms. Raises UserError where an installed package's entry point fails."""
    try:
        return algorithms.registry.load()
    except Exception as error:
        raise UserError(f"entry points groupbench.algorithms: {type(error).__name__}: {error}") from error


def known_tasks() -> dict[str, type[Task]]:
    """All registered tasks. Raises UserError where an installed package's entry point fails."""
    try:
        return tasks.registry.load()
    except Exception as error:
        raise UserError(f"entry points groupbench.tasks: {type(error).__name__}: {error}") from error


def known_judges() -> dict[str, type[Judge]]:
    """All registered judges. Raises UserError where an installed package's entry point fails."""
    from tasks.judges import registry

    try:
        return registry.load()
    except Exception as error:
        raise UserError(f"entry points groupbench.judges: {type(error).__name__}: {error}") from error


def known_rewards() -> dict[str, type[Reward]]:
    """All registered rewards. Raises UserError where an installed package's entry point fails."""
    from tasks.rewards import registry

    try:
        return registry.load()
    except Exception as error:
        raise UserError(f"entry points groupbench.rewards: {type(error).__name__}: {error}") from error


def load_file(path: Path) -> None:
    """Run a plug-in file, whose `@register` lines take effect. Raises UserError naming file and line when it fails."""
    path = path.resolve()
    if not path.is_file():
        raise UserError(f"plug-in {path}: {'a folder, expected a Python file' if path.is_dir() else 'no such file'}")
    name = f"{MODULE}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"plug-in {path}: not a Python file (its name must end with .py)")
    known_algorithms()  # ours first: a plug-in that takes one of their names is the one to be told
    known_tasks()
    known_rewards()
    known_judges()
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        raise UserError(f"plug-in {path}{where}: it failed on import with {type(error).__name__}: {error}") from error


def build_algorithm(name: str, parameters: Mapping[str, Any], where: str) -> tuple[Algorithm, str]:
    """The algorithm `name` or `name@preset` with `parameters`, and its label, e.g. `gift@released`."""
    known = known_algorithms()
    base, _, preset = name.partition("@")
    if base not in known:
        raise UserError(f"{where}: unknown algorithm {name!r}{suggestion(base, known)}")
    entry = known[base]
    if preset and preset not in entry.presets:
        raise UserError(f"{where}: {base} has no preset {preset!r}{suggestion(preset, entry.presets)}")
    values = entry.presets[preset].values if preset else {}
    algorithm = build(entry.cls, {**values, **parameters}, f"{where}.parameters")
    if type(algorithm).loss is Algorithm.loss:
        raise UserError(f"{where}: algorithm {base} ({entry.cls.__module__}) defines no loss")
    preset = preset or entry.default_preset or ""  # a headline always names the preset
    return algorithm, f"{base}@{preset}" if preset else base


def with_presets(names: Sequence[str]) -> list[str]:
    """Each name without a preset stands for the algorithm and every preset of it that differs from its defaults.

    What is not known stays as it is, to be refused where it is built.
    """
    every = algorithms.registry.names()
    found = [
        full
        for name in names
        for full in ([f for f in every if f.partition("@")[0] == name] if "@" not in name else []) or [name]
    ]
    return list(dict.fromkeys(found))


def build_task(name: str, parameters: Mapping[str, Any], where: str) -> Task:
    """The task `name` with `parameters`."""
    known = known_tasks()
    if name not in known:
        raise UserError(f"{where}: unknown task {name!r}{suggestion(name, known)}")
    return build(known[name], parameters, f"{where}.parameters")


def parse_settings(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`TASK.PARAMETER=VALUE` (the value in YAML) → {TASK: {PARAMETER: VALUE}}. Raises UserError."""
    found: dict[str, dict[str, Any]] = {}
    for text in settings:
        place, equals, value = text.partition("=")
        task, dot, parameter = place.partition(".")
        if not (equals and dot and task and parameter):
            raise UserError(f"--set {text!r}: expected TASK.PARAMETER=VALUE, e.g. gsm8k.folder=~/gsm8k")
        try:
            found.setdefault(task, {})[parameter] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--set {text!r}: {value!r} is not a YAML value") from None
    return found


def build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """A dataclass from untrusted values. Raises UserError that names the key, what was found and what is allowed."""
    names = [f.name for f in fields(cls) if f.init]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise UserError(f"{where}: unknown key {key!r}{suggestion(key, names)}")
    try:
        return TypeAdapter(cls).validate_python(dict(values))
    except ValidationError as error:
        raise UserError(explain(error, where)) from None


def explain(error: ValidationError, where: str) -> str:
    """The first complaints of a validation, a line each: key, what is wrong, what was found."""
    lines = []
    for problem in error.errors()[:5]:
        key = ": ".join([where, *([".".join(map(str, problem["loc"]))] if problem["loc"] else [])])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "tuple_type":  # which it is once read
            message = "expected a list" + (f", e.g. [{problem['input']}]" if isinstance(problem["input"], int) else "")
        found = "" if problem["type"] in {"value_error", "missing"} else f"; found {problem['input']!r}"
        lines.append(f"{key}: {message}{found}")
    return "\n".join(lines)
