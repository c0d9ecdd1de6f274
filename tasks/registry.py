"""Names of tasks. A third party adds one with `@register("name")` and the entry point `groupbench.tasks`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .base import Task
from .plugging import import_all, registering

_BUILT_IN = (
    ".aime", ".alpaca_eval", ".amc", ".arena_hard", ".arithmetic", ".college_math", ".dapo_math", ".gaokao", ".gsm8k",
    ".hendrycks_math", ".instructions", ".minerva", ".multiple_choice", ".olympiadbench", ".preference", ".tabmwp",
    ".word_problems",
)  # fmt: skip
_TASKS: dict[str, type[Task]] = {}

TaskClass = TypeVar("TaskClass", bound=type[Task])


def register(name: str) -> Callable[[TaskClass], TaskClass]:
    """Make a `Task` class known as `name`. Raises ValueError when another class already has the name."""
    return registering(_TASKS, "task", name)  # type: ignore[return-value]


def load() -> dict[str, type[Task]]:
    """All tasks by name: ours, and those of installed packages that declare the entry point."""
    import_all(_BUILT_IN, __package__, "groupbench.tasks")
    return dict(sorted(_TASKS.items()))
