"""Names of algorithms and their presets: `gift`, `gift@smooth`, a plug-in's own.

A third party adds an algorithm with `@register("mine")` in a module that the entry point `groupbench.algorithms` names,
or in a file handed to `--plugin`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .base import Algorithm
    from .card import Card

_BUILT_IN = (
    "cispo", "dapo", "dcr", "dft", "dr_grpo", "gft", "gift", "grpo", "gspo", "gvpo", "online_dpo", "reinforce_pp",
    "rloo", "sft", "una",
)  # fmt: skip
_ENTRIES: dict[str, Entry] = {}
A = TypeVar("A", bound="Algorithm")


@dataclass(frozen=True)
class Preset:
    """Hyper-parameters under a name of their own: what differs from the defaults, and whose they are."""

    values: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    updates_per_rollout: int | None = None  # of the source; None: it does not say


@dataclass(frozen=True)
class Entry:
    """A registered algorithm: its class, and its presets by name."""

    cls: type[Algorithm]
    presets: Mapping[str, Preset] = field(default_factory=dict)

    @property
    def default_preset(self) -> str | None:
        """The preset that the defaults are: the first one that changes none of them."""
        return next((name for name, preset in self.presets.items() if not preset.values), None)


def register(
    name: str, presets: Mapping[str, Preset | Mapping[str, Any]] | None = None
) -> Callable[[type[A]], type[A]]:
    """Make an `Algorithm` class known as `name`, and as `name@preset` for each preset (plain values will do).

    Raises ValueError when another class already has the name, so that a plug-in cannot silently replace a baseline.
    """
    if not isinstance(name, str):
        raise TypeError('register wants a name: @register("mine")')
    if "@" in name:
        raise ValueError(f"algorithm name {name!r} must not contain '@', which separates the preset")

    def add(cls: type[A]) -> type[A]:
        known = _ENTRIES.get(name)
        identity = (cls.__module__, cls.__qualname__)
        if known is not None and (known.cls.__module__, known.cls.__qualname__) != identity:
            raise ValueError(f"algorithm {name!r} is already registered, by {known.cls.__module__}")
        cls.name = name
        said = (presets or {}).items()
        _ENTRIES[name] = Entry(cls, {name: p if isinstance(p, Preset) else Preset(p) for name, p in said})
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


def create(name: str, **parameters: Any) -> Algorithm:
    """`name` or `name@preset`, with `parameters` in place of its own. Raises KeyError for a name that is not known."""
    base, _, preset = name.partition("@")
    entry = load()[base]
    values = entry.presets[preset].values if preset else {}
    return entry.cls(**{**values, **parameters})


def described(algorithm: Algorithm, preset: Preset | None = None) -> Card:
    """Its card, with source and updates a rollout of `preset`; by default of the one whose values it has.

    Where it has the values of several, the one that sets most counts.
    """
    card, entry = algorithm.card, _ENTRIES.get(algorithm.name)
    if entry is None or entry.cls is not type(algorithm):
        return card
    same = [p for p in entry.presets.values() if all(getattr(algorithm, k) == v for k, v in p.values.items())]
    preset = preset or max(same, key=lambda p: len(p.values), default=None)
    if preset is None:
        return card
    return replace(card, source=preset.source or card.source, updates_per_rollout=preset.updates_per_rollout)


def names(built_in: bool = False) -> list[str]:
    """Every algorithm, and every preset that differs from its defaults, e.g. `grpo`, `grpo@no-kl`; or ours alone."""
    return [
        full
        for name, entry in load().items()
        if not built_in or entry.cls.__module__.startswith(f"{__package__}.")
        for full in (name, *(f"{name}@{preset}" for preset, p in entry.presets.items() if p.values))
    ]
