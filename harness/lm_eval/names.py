"""What may follow `lm-eval:`: tasks, groups and tags of the installed harness, those of a user's folder, our suites."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from . import library

# What the GIFT paper evaluates beside reasoning, in lm-eval's names; docs/lm-eval.md says why these variants.
RETENTION = {
    "TruthfulQA": "truthfulqa_mc2",
    "BBQ": "bbq",
    "ARC": "arc_challenge",
    "Winogender": "winogender_all",
    "GPQA": "leaderboard_gpqa",
    "MuSR": "leaderboard_musr",
    "MBPP": "mbpp",
}
SUITES: dict[str, Mapping[str, str]] = {"retention": RETENTION}
FLAG = "--allow-code-execution"


def load_index(include_path: Path | None) -> Any:
    """lm-eval's TaskManager over the installed tasks and a user's folder, whose tasks win.

    Raises UserError for a folder that does not exist, or a YAML file in it that is no task (lm-eval would skip it).
    """
    manager = _installed()
    if include_path is None:
        return manager
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._index import TaskIndex
    from lm_eval.tasks._yaml_loader import load_yaml

    if not include_path.is_dir():
        raise UserError(f"--include-path {include_path}: no such folder")
    for path in sorted(include_path.rglob("*.yaml")):
        try:
            TaskIndex.process_cfg(load_yaml(path, resolve_func=False), path, {})
        except Exception as error:
            raise UserError(f"--include-path: {path}: no lm-eval task ({' '.join(str(error).split())[:300]})") from None
    own = TaskManager(include_path=include_path.resolve(), include_defaults=False)
    installed, mine = dict(manager.task_index), dict(own.task_index)
    for name, entry in mine.items():
        if entry.yaml_path is None and name in installed:  # a tag gets members; lm-eval would drop the installed ones
            entry.tags |= installed[name].tags
    own.task_index.update(installed | mine)
    return own


@functools.cache
def _installed() -> Any:
    """Reading 14,000 YAML files takes about six seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager()


def expand(names: Sequence[str], allow_code: bool) -> tuple[tuple[str, ...], list[str]]:
    """The names with suites replaced by their members, each once, and notes on what was left out.

    A suite's member that executes code joins with `allow_code`.
    """
    found: list[str] = []
    notes = []
    for name in names:
        members = list(SUITES[name].items()) if name in SUITES else [(name, name)]
        for title, member in members:
            if name in SUITES and title == "MBPP" and not allow_code:
                notes.append(f"lm-eval:{name} without {title}: it executes code that the model wrote; {FLAG} adds it")
            else:
                found.append(member)
    return tuple(dict.fromkeys(found)), notes


def check(manager: Any, names: Sequence[str], allow_code: bool) -> None:
    """Raises UserError for a name that lm-eval does not know, or one that executes code without permission."""
    index = manager.task_index
    for name in names:
        if name not in index:
            near = difflib.get_close_matches(name, [*index, *SUITES], n=3)
            raise UserError(
                f"lm-eval:{name}: lm-eval {library.version()} has no task, group or tag of that name"
                f"{'; did you mean ' + ' or '.join(repr(n) for n in near) + '?' if near else ''}; allowed: what "
                f"`lm-eval ls tasks` lists, our {', '.join(SUITES)}, and tasks of your own, from YAML files in the "
                "folder that --include-path names"
            )
    if allow_code:
        return
    for name in names:
        if unsafe := [task for task, config in leaves(index, name) if config.get("unsafe_code")]:
            raise UserError(
                f"lm-eval:{name}: {', '.join(dict.fromkeys(unsafe))} executes code that the model wrote, here and "
                f"unprotected; in a container or a machine of its own, {FLAG} permits it"
            )


def leaves(index: Mapping[str, Any], spec: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tasks that a name, or an entry of a group's list, stands for: their names and configurations, unloaded."""
    if isinstance(spec, dict):
        inner = spec.get("task")
        if isinstance(inner, list):
            for each in inner:
                yield from leaves(index, each, above)
        elif inner in index:
            yield from ((name, {**config, **spec}) for name, config in leaves(index, inner, above))
        else:
            yield str(inner), spec
        return
    entry = index.get(spec)
    if entry is None or spec in above:
        return
    config = entry.cfg or {}
    if entry.kind.name == "TAG":
        children: Any = sorted(entry.tags)
    elif entry.kind.name == "GROUP":
        children = config.get("task") or []
    else:
        yield spec, config
        return
    for child in children if isinstance(children, list) else [children]:
        yield from leaves(index, child, (*above, spec))
