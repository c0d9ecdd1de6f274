"""Names of algorithms and their presets: `gift`, `gift@smooth`, a plug-in's own.

A third party adds an algorithm with `@register("mine")` in a module that the entry point `groupbench.algorithms` names,
or in a file handed to `--plugin`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .base import Algorithm

_BUILT_IN = ("dapo", "gft", "gift", "grpo", "gspo", "sft")
_ENTRIES: dict[str, Entry] = {}
A = TypeVar("A", bound="Algorithm")


@dataclass(frozen=True)
class Entry:
    """A registered algorithm: its class, and per preset the hyper-parameters that differ from the defaults."""

    cls: type[Algorithm]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def register(name: str, presets: Mapping[str, Mapping[str, Any]] | None = None) -> Callable[[type[A]], type[A]]:
    """Make an `Algorithm` class known as `name`, and as `name@preset` for each preset.

    Raises ValueError when another class already has the name, so that a plug-in cannot silently replace a baseline.
    """
    if "@" in name:
        raise ValueError(f"algorithm name {name!r} must not contain '@', which separates the preset")

    def add(cls: type[A]) -> type[A]:
        known = _ENTRIES.get(name)
        identity = (cls.__module__, cls.__qualname__)
        if known is not None and (known.cls.__module__, known.cls.__qualname__) != identity:
            raise ValueError(f"algorithm {name!r} is already registered, by {known.cls.__module__}")
        cls.name = name
        _ENTRIES[name] = Entry(cls, dict(presets or {}))
        return cls

    return add


def load() -> dict[str, Entry]:
    """All algorithms by name: ours, and those of installed packages that declare the entry point."""
    for module in _BUILT_IN:
        import_module(f".{module}", __package__)
    for entry_point in entry_points(group="groupbench.algorithms"):
        try:
            entry_point.load()
        except Exception as error:
            raise ImportError(f"{entry_point.value} (name {entry_point.name!r}) failed: {error}") from error
    return dict(sorted(_ENTRIES.items()))
