"""Tasks with their data, loaded before any model is; what goes wrong there is said in one paragraph."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import UserError, first_line
from .names import leaves

DOCS = "docs/lm-eval.md"


def load(manager: Any, names: Sequence[str], seed: int) -> list[Any]:
    """The tasks and groups, in order, as lm-eval's objects. Raises UserError for missing packages and data.

    Some tasks shuffle while they are loaded, with Python's global generator; it is seeded for each name, so that what
    else was asked for changes nothing.
    """
    found: list[Any] = []
    for name in names:
        random.seed(seed)
        try:
            loaded = manager.load([name])
        except Exception as error:
            raise UserError(explain(manager, name, error)) from error
        group = loaded["groups"].get(name)
        found += [group] if group is not None else list(loaded["tasks"].values())
    try:
        manager.load(found)
    except ValueError as error:
        raise UserError(f"lm-eval: {error}; ask for one of the two") from None
    return found


def explain(manager: Any, name: str, error: Exception) -> str:
    """Why a task could not be loaded, and what can be done about it."""
    chain = _chain(error)
    for each in chain:
        if isinstance(each, ImportError | AssertionError):
            return f"lm-eval:{name}: a Python package that it needs is missing: {first_line(each)}{_extra(each)}"
    said = f"{type(error).__name__}: {first_line(error)}"
    if any("code_eval" in str(each) for each in chain):
        return f"lm-eval:{name}: its metric code_eval, which lies on the Hub, cannot be loaded ({said})"
    configs = dict(leaves(manager.task_index, name))
    with_data = {task: config for task, config in configs.items() if config.get("dataset_path")}
    if not with_data or not any(_is_data(each) for each in chain):
        return f"lm-eval:{name}: lm-eval cannot load it ({said})"
    sets = list(dict.fromkeys(_data_set(config) for config in with_data.values()))
    more = f" and {len(sets) - 3} more" if len(sets) > 3 else ""
    text = f"lm-eval:{name}: its data set {', '.join(sets[:3])}{more} cannot be had here ({said})."
    if any("gated" in str(each).lower() for each in chain):
        text += " It is gated: accept its terms on the Hub, and log in or set HF_TOKEN."
    return f"{text} {_recipe(manager, *next(iter(with_data.items())))}"


def _recipe(manager: Any, task: str, config: dict[str, Any]) -> str:
    splits = [config[key] for key in ("training_split", "validation_split", "test_split") if config.get(key)]
    files = ", ".join(f"{split}: FILE.parquet" for split in dict.fromkeys(splits)) or "test: FILE.parquet"
    entry = manager.task_index.get(task)
    where = entry.yaml_path if entry else "THE INSTALLED YAML"
    return (
        f"From local files: put this into a folder as {task}.yaml and name the folder with --include-path ({DOCS}):\n"
        f"  include: {where}\n  task: {task}\n  dataset_path: parquet\n  dataset_name: null\n"
        f"  dataset_kwargs: {{data_files: {{{files}}}}}"
    )


def _data_set(config: dict[str, Any]) -> str:
    name = config.get("dataset_name")
    path = str(config["dataset_path"])
    if path in {"parquet", "json", "csv"}:
        files = (config.get("dataset_kwargs") or {}).get("data_files")
        return f"{path} {files}"
    return f"{path} ({name})" if name else path


def _is_data(error: BaseException) -> bool:
    """Whether it comes from looking for data: a file or connection error, or one of the libraries that load data."""
    library = type(error).__module__.split(".")[0]
    return isinstance(error, OSError) or library in {"datasets", "huggingface_hub", "requests", "httpx", "fsspec"}


def _extra(error: BaseException) -> str:
    """`; pip install ...` with the extra of lm-eval that brings the missing package."""
    name = getattr(error, "name", None)
    if not name:
        return ""
    for line in metadata.requires("lm_eval") or ():
        found = re.match(rf"{re.escape(name.split('.')[0])}\b.*extra == ['\"]([\w-]+)['\"]", line)
        if found:
            return f"; pip install 'lm-eval[{found[1]}]=={metadata.version('lm_eval')}'"
    return f"; pip install {name.split('.')[0]}"


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error and its causes, the first cause last."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def is_own(manager: Any, task: str, installed: Path) -> bool:
    """Whether a user's folder defines the task, and not the installed package."""
    entry = manager.task_index.get(task)
    return bool(entry and entry.yaml_path and not entry.yaml_path.resolve().is_relative_to(installed.resolve()))
