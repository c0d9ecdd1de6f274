"""Names of tasks. A third party adds one with `@register("name")` and the entry point `groupbench.tasks`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeVar

from .base import Task

_BUILT_IN = (
    ".aime", ".alpaca_eval", ".amc", ".arena_hard", ".arithmetic", ".college_math", ".dapo_math", ".gaokao", ".gsm8k",
    ".hendrycks_math", ".minerva", ".multiple_choice", ".olympiadbench", ".tabmwp", ".word_problems",
)  # fmt: skip
_TASKS: dict[str, type[Task]] = {}

TaskClass = TypeVar("TaskClass", bound=type[Task])


def register(name: str) -> Callable[[TaskClass], TaskClass]:
    """Make a `Task` class known as `name`. Raises ValueError when another class already has the name."""

    def add(cls: TaskClass) -> TaskClass:
        known = _TASKS.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"task {name!r} is already registered by {known.__module__}.{known.__qualname__}")
        cls.name = name
        _TASKS[name] = cls
        return cls

    return add


def load() -> dict[str, type[Task]]:
    """All tasks by name: ours, and those of installed packages that declare the entry point."""
    for module in _BUILT_IN:
        import_module(module, __package__)
    for entry in entry_points(group="groupbench.tasks"):
        try:
            entry.load()
        except Exception as error:
            raise ImportError(f"{entry.value} (name {entry.name!r}) failed: {error}") from error
    return dict(sorted(_TASKS.items()))
