"""Which engine a recipe asks for: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..settings import Rollout
from . import vllm
from .base import Engine
from .transformers import TransformersEngine

if TYPE_CHECKING:
    from ..policy import Policy


def check_available(choice: Rollout) -> None:
    """Raises EngineError where the engine's package is missing or of an untried version; nothing is imported."""
    if choice.engine == "vllm":
        vllm.check_installed()


def versions(choice: Rollout) -> dict[str, str]:
    """The packages that an engine adds to a run's provenance, with their versions."""
    return dict([vllm.installed()]) if choice.engine == "vllm" else {}


def build(choice: Rollout, policy: Policy, end_ids: Sequence[int], decode_tokens: int) -> Engine:
    """The engine, started. `decode_tokens`: how many tokens its key-value cache holds."""
    if choice.engine == "vllm":
        return vllm.VLLMEngine(policy, end_ids, decode_tokens)
    return TransformersEngine(policy, end_ids, decode_tokens)
