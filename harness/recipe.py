"""The YAML a user writes, checked against `settings.Recipe`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from leaderboard.declared import MISSPELT, keys_at, suggestion

from .errors import UserError
from .plugins import explain
from .settings import Recipe


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply overrides: `key.sub=value`, or `key+=[...]` for more of a list (values are YAML).

    Raises UserError naming file and key.

    `extends: other.yaml`, relative to the file, is read first: mappings are merged, everything else is replaced.
    """
    content = _read(path, ())
    content.setdefault("name", path.stem)
    for override in overrides:
        _override(content, override)
    try:
        return parse(content, f"recipe {path}")
    except UserError as error:
        raise UserError(blamed(str(error), path, overrides)) from None


def blamed(complaint: str, path: Path, overrides: Sequence[str]) -> str:
    """A complaint of a recipe, lines of `recipe PATH: KEY …`, naming the override that brought the value."""
    content, written = _read(path, ()), dict[str, str]()
    for override in overrides:
        for place in _override(content, override):
            written = {key: one for key, one in written.items() if not _within(key, place)} | {place: override}
    file, lines = f"recipe {path}: ", []
    for line in complaint.split("\n"):
        said = line.removeprefix(file)
        brought = _at_fault(said, written) if line.startswith(file) else None
        lines.append(line if brought is None else f"override {brought!r}: {said}")
    return "\n".join(lines)


def _at_fault(said: str, written: Mapping[str, str]) -> str | None:
    """Of the overrides, by the place that each wrote to, the one that a complaint is about; None: the file's values."""
    unknown = re.match(r"unknown key '(\w+)'(?: in ([\w.]+))?", said)
    place = ".".join(filter(None, (unknown[2], unknown[1]))) if unknown else said.split(":")[0].split(" ")[0]
    for key, override in reversed([*written.items()]):
        value, last = override.partition("=")[2], key.rpartition(".")[2]
        named = (
            last.isdigit() or re.search(rf"\b{re.escape(last)}\b", said) or f"'{value}'" in said
        )  # of a section, or a list
        if _within(place, key) or (_within(key, place) and named):
            return override
    return None


def _within(key: str, place: str) -> bool:
    return key == place or key.startswith(f"{place}.")


def parse(content: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from parsed YAML; `where` stands in front of every complaint."""
    content = dict(content)
    for key in ("task", "model", "reward"):
        if isinstance(content.get(key), str):
            content[key] = {"name": content[key]}
    if isinstance(content.get("algorithms"), list):
        content["algorithms"] = [_entry(entry) for entry in content["algorithms"]]
    if isinstance(content.get("controls"), list):
        content["controls"] = [{"kind": c} if isinstance(c, str) else c for c in content["controls"]]
    if isinstance(content.get("final_tasks"), list):
        content["final_tasks"] = [{"name": t} if isinstance(t, str) else t for t in content["final_tasks"]]
    if isinstance(judged := content.get("win_rates"), dict) and isinstance(judged.get("tasks"), list):
        tasks = [{"name": t} if isinstance(t, str) else t for t in judged["tasks"]]
        content["win_rates"] = {**judged, "tasks": tasks}
    try:
        recipe = TypeAdapter(Recipe).validate_python(content)
    except ValidationError as error:
        raise UserError(_unknown_key(error, where) or explain(error, where)) from None
    for key in ("algorithms", "seeds"):
        if not getattr(recipe, key):
            raise UserError(f"{where}: {key} is empty; expected at least one")
    keys = [one.key for one in recipe.final_tasks]
    if double := next((key for key in keys if keys.count(key) > 1), None):
        raise UserError(f"{where}: final_tasks: {double!r} is there {keys.count(double)} times; give each a `label:`")
    if len(set(recipe.seeds)) < len(recipe.seeds):
        raise UserError(f"{where}: seeds {list(recipe.seeds)} repeat themselves; each one is a run of its own")
    return recipe


def files(path: Path) -> tuple[Path, ...]:
    """The recipe's file and all that it extends. Raises UserError where one of them cannot be read."""
    found: tuple[Path, ...] = ()
    while True:
        base = _parsed(path, found).get("extends")
        found = (*found, path)
        if base is None:
            return found
        path = path.parent / base


def _entry(found: Any) -> Any:
    """An algorithm's entry with its short forms written out; so are those of a chain's stages."""
    entry = {"name": found} if isinstance(found, str) else found
    if isinstance(entry, dict) and isinstance(entry.get("stages"), list):
        return {**entry, "stages": [_entry(stage) for stage in entry["stages"]]}
    return entry


def _read(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    """The content of a file on top of what it extends; `below` are the files that led here."""
    content, where = _parsed(path, below), _where(path, below)
    if "extends" not in content:
        return content
    base = path.parent / content.pop("extends")
    if base.resolve() in {p.resolve() for p in (*below, path)}:
        raise UserError(f"{where} extends {base}: a circle")
    inherited = _read(base, (*below, path))
    inherited.pop("name", None)  # or two recipes would share a results folder
    return _merge(inherited, content)


def _parsed(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    """The content of a file alone."""
    where = _where(path, below)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{where}: {error.strerror or error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{where}: found {type(content).__name__}, expected keys such as name, task, model")
    if not isinstance(content.get("extends", ""), str):
        raise UserError(f"{where}: extends = {content['extends']!r}; expected the path of one recipe")
    return content


def _where(path: Path, below: tuple[Path, ...]) -> str:
    return f"recipe {' extends '.join(map(str, (*below, path)))}"


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = {"name": base[key]} if isinstance(base.get(key), str) else base.get(key)  # `model: tiny`, as below
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _override(content: dict[str, Any], override: str) -> list[str]:
    """Apply it; returns the places that it wrote to, as dotted keys."""
    key, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"override {override!r}: expected key.sub=value, e.g. training.learning_rate=3e-5")
    more, key = key.endswith("+"), key.removesuffix("+")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"override {override!r}: {text!r} is not a YAML value") from None
    *path, last = key.split(".")
    target = content
    for part in path:
        if isinstance(target.get(part), str):  # `model: tiny` is short for `model: {name: tiny}`
            target[part] = {"name": target[part]}
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise UserError(f"override {override!r}: {part!r} holds no keys; set the whole of it: {part}=[...]")
    if more:
        here = target.get(last)
        if not isinstance(here, list) or not isinstance(value, list):
            raise UserError(f"override {override!r}: += adds a list to a list that the recipe has; found {here!r}")
        target[last] = here + value
        return [f"{key}.{n}" for n in range(len(here), len(target[last]))]
    target[last] = value
    return [key]


def _unknown_key(error: ValidationError, where: str) -> str | None:
    """A did-you-mean for the first unknown key, if there is one."""
    for problem in error.errors():
        if problem["type"] == MISSPELT:
            *path, key = problem["loc"]
            place = ".".join(map(str, path))
            return (
                f"{where}: unknown key {key!r}{f' in {place}' if place else ''}{suggestion(key, keys_at(Recipe, path))}"
            )
    return None
