"""A small task of one's own whose answers are compared."""

from pathlib import Path

import pytest

PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar

from tasks.base import EvalProtocol
from tasks.comparison import ComparisonTask, Entry, OfficialPrompt
from tasks.data import Hub
from tasks.registry import register


@register("six_questions")
@dataclass(frozen=True)
class SixQuestions(ComparisonTask):
    """Six instructions."""

    protocols: ClassVar = {"short": EvalProtocol(1, 1.0, max_tokens=6), "greedy": EvalProtocol(1, 0.0, max_tokens=6)}
    size: int = 6
    hub = Hub("", "")
    opponents = ("nobody",)

    def judge_prompt(self, example):
        return OfficialPrompt("none", "none", None)

    def _load(self):
        return [Entry(f"q{n}", f"Say {n}.", f"I say {n}.", "nobody", "even" if n % 2 == 0 else "odd")
                for n in range(self.size)]

    def _asked(self):
        return None
'''


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "six_questions.py"
    path.write_text(PLUGIN)
    return path
