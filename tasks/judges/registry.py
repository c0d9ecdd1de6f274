"""Names of judges. A third party adds one with `@register("name")` and the entry point `groupbench.judges`.

A judge is a frozen dataclass: its fields are its parameters. What the harness hands in goes to the fields `prompt`
(a `JudgePrompt`), `engine` (a `TextEngine`) and `scorer` (a `Scorer`), where a judge has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from ..engines import Scorer, TextEngine
from ..plugging import import_all, registering
from .base import Judge, JudgeError
from .prompts import JudgePrompt

_BUILT_IN = (".endpoint", ".engine", ".gold", ".mock", ".replay", ".reward_model")
_JUDGES: dict[str, type[Judge]] = {}

JudgeClass = TypeVar("JudgeClass", bound=type[Judge])


def register(name: str) -> Callable[[JudgeClass], JudgeClass]:
    """Make a `Judge` class known as `name`. Raises ValueError when another class already has the name."""
    return registering(_JUDGES, "judge", name)  # type: ignore[return-value]


def load() -> dict[str, type[Judge]]:
    """All judges by name: ours, and those of installed packages that declare the entry point."""
    import_all(_BUILT_IN, __package__, "groupbench.judges")
    return dict(sorted(_JUDGES.items()))


def build(
    name: str,
    options: Mapping[str, Any],
    *,
    prompt: JudgePrompt | None = None,
    engine: TextEngine | None = None,
    scorer: Scorer | None = None,
) -> Judge:
    """The judge `name` with `options`. Raises JudgeError that names what is unknown or missing, and what there is."""
    known = load()
    if name not in known:
        raise JudgeError(f"judge {name!r} is not known; there are {', '.join(known)}")
    cls: Any = known[name]
    parameters = {field.name: field for field in fields(cls) if field.init}
    given = {
        key: value for key, value in (("prompt", prompt), ("engine", engine), ("scorer", scorer)) if value is not None
    }
    values = {key: value for key, value in given.items() if key in parameters} | dict(options)
    if unknown := sorted(set(options) - set(parameters)):
        raise JudgeError(f"judge {name!r} has no option {unknown[0]!r}; it has {', '.join(parameters)}")
    required = [key for key, field in parameters.items() if field.default is field.default_factory is MISSING]
    if missing := [key for key in required if key not in values]:
        raise JudgeError(f"judge {name!r} needs {', '.join(missing)}")
    judge: Judge = cls(**values)
    return judge
