"""Names of rewards. A third party adds one with `@register("name")` and the entry point `groupbench.rewards`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..plugging import import_all, registering
from .base import Reward

_BUILT_IN = (".gold", ".reward_model")
_REWARDS: dict[str, type[Reward]] = {}

RewardClass = TypeVar("RewardClass", bound=type[Reward])


def register(name: str) -> Callable[[RewardClass], RewardClass]:
    """Make a `Reward` class known as `name`. Raises ValueError when another class already has the name."""
    return registering(_REWARDS, "reward", name)  # type: ignore[return-value]


def load() -> dict[str, type[Reward]]:
    """All rewards by name: ours, and those of installed packages that declare the entry point."""
    import_all(_BUILT_IN, __package__, "groupbench.rewards")
    return dict(sorted(_REWARDS.items()))
