"""What registries of plug-ins have in common: one class a name, ours by module, others' by entry point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

C = TypeVar("C", bound=type[Any])


def registering(known: dict[str, C], kind: str, name: str) -> Callable[[C], C]:
    """What puts a class into `known` as `name`, and its name into it. ValueError where another class has the name."""

    def add(cls: C) -> C:
        there = known.get(name)
        if there is not None and (there.__module__, there.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"{kind} {name!r} is already registered by {there.__module__}.{there.__qualname__}")
        cls.name = name
        known[name] = cls
        return cls

    return add


def import_all(modules: Sequence[str], package: str, group: str) -> None:
    """Run the `@register` lines of our modules and of installed packages. ImportError that names the entry point."""
    for module in modules:
        import_module(module, package)
    for entry in entry_points(group=group):
        try:
            entry.load()
        except Exception as error:
            raise ImportError(f"{entry.value} (name {entry.name!r}) failed: {error}") from error
