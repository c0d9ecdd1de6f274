"""Rollout engines behind one protocol: token ids in, token ids out."""

from .base import Completion, Engine, Request

__all__ = ["Completion", "Engine", "Request"]
