"""A chat server on loopback, pairs of answers, and a prompt for each kind of reply."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tasks.judges.games import Pair
from tasks.judges.prompts import OURS, JudgePrompt


@pytest.fixture(scope="session")
def chat() -> ModuleType:
    """The module `server`: `with chat.Server(answer) as server`."""
    spec = importlib.util.spec_from_file_location("judge_server", Path(__file__).with_name("server.py"))
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def verdict() -> JudgePrompt:
    """Our prompt that is answered in words."""
    return OURS["verdict-1"]


@pytest.fixture
def labels() -> JudgePrompt:
    """Our prompt that is answered by a label."""
    return OURS["labels-1"]


@pytest.fixture
def pairs() -> list[Pair]:
    """Thirty, all different."""
    return [Pair(f"p{n}", f"Say {n}.", f"It is {n}.", f"Number {n}!") for n in range(30)]
