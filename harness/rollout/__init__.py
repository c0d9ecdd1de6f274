"""Rollout engines behind one protocol: token ids in, token ids out."""

from .base import Completion, Engine, EngineError, Request

__all__ = ["Completion", "Engine", "EngineError", "Request"]
