"""Pairs of answers, of which one was preferred."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Message


@dataclass(frozen=True)
class PreferencePair:
    """Two answers to one prompt."""

    id: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
