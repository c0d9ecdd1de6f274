"""Every task grades its own gold answers as right, and others as wrong; the exceptions are those of docs/tasks.md."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import tasks
from tasks.alpaca_eval import AlpacaEval
from tasks.arithmetic import Arithmetic
from tasks.base import Grade
from tasks.math_problems import MathProblems
from tasks.selftest import selftest

DOCS = Path(__file__).parents[2] / "docs" / "tasks.md"
NAMES = [name for name, cls in tasks.load().items() if issubclass(cls, MathProblems) and name != "tabmwp"]
SECONDS = {"college_math": 200, "math": 60}  # of the whole set
EXACT = {"aime24", "aime25", "aime26", "amc23", "dapo_math", "gsm8k", "math500"}


def exceptions():
    """The ids that docs/tasks.md lists as exceptions."""
    return set(re.findall(r"`(test-[0-9a-f]{16}(?:-\d+)?)`", DOCS.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_of_each_set(data_folder, name):
    task = tasks.load()[name](folder=str(data_folder))
    sample = task.heldout[:: -(-len(task.heldout) // (6 if name == "college_math" else 16))]  # its answers are long
    found = selftest(task, sample)
    assert set(found.refused) | set(found.credited) | {one for one, _ in found.confused} <= exceptions(), found
    assert found.examples == len(sample) >= 5 and "gold answers right" in str(found)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow(seconds=SECONDS.get(name, 0))) for name in NAMES]
)
def test_the_whole_of_each_set(data_folder, name):
    found = selftest(tasks.load()[name](folder=str(data_folder)))
    assert found.passed and not found.credited, found
    assert set(found.refused) | {one for one, _ in found.confused} <= exceptions(), found
    if name in EXACT:
        assert found.strict == found.lenient == found.examples


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["math", "aime24"])
def test_experts_are_right(data_folder, name):
    task = tasks.load()[name](folder=str(data_folder))
    pairs = [(example, task.demonstrate(example, "expert", 1, 0)[0]) for example in task.train]
    wrong = [e.id for (e, _), grade in zip(pairs, task.grade_all(pairs), strict=True) if not grade.correct]
    assert len(wrong) == {"math": 2, "aime24": 0}[name], wrong  # MATH has two empty boxes


def test_generated_tasks_are_tested_by_their_experts():
    for form in ("plain", "chat"):
        found = selftest(Arithmetic(level=1, form=form))
        assert found.passed and found.strict == found.examples and not found.wrong


def test_a_grader_that_credits_anything_does_not_pass():
    @dataclass(frozen=True)
    class Lax(Arithmetic):
        def grade(self, example, response):
            return Grade(1.0, True, response)

    found = selftest(Lax(level=1))
    assert not found.passed and len(found.credited) == found.examples
    assert set(found.wrong) == {"empty response or garbage right", "another example's answer right"}

    @dataclass(frozen=True)
    class Strict(Arithmetic):
        def grade(self, example, response):
            return Grade(0.0, False, None)

    found = selftest(Strict(level=1))
    assert not found.passed and found.strict == found.lenient == 0 and list(found.wrong) == ["gold answer refused"]


@pytest.mark.parametrize(
    ("name", "parameters", "answered"),
    [
        ("alpaca_eval", {}, "gpt4_1106_preview answers 805"),
        ("arena_hard", {}, "gpt-4-0314 answers 500"),
        ("arena_hard", {"version": "v2.0", "categories": ("hard_prompt",)}, "o3-mini-2025-01-31 answers 500"),
    ],
)
def test_open_tasks_have_an_answer_to_each_instruction(data_folder, name, parameters, answered):
    found = selftest(tasks.load()[name](folder=str(data_folder), **parameters))
    assert found.passed and answered in str(found) and "only a judge scores them" in str(found)
    assert not found.wrong


def test_open_tasks_that_are_graded_or_unanswered_do_not_pass(tmp_path):
    @dataclass(frozen=True)
    class Graded(AlpacaEval):
        def grade(self, example, response):
            return Grade(1.0, True, response)

    rows = [
        {"instruction": text, "dataset": "x", "output": output, "generator": "gpt4_1106_preview"}
        for text, output in (("Why?", "So."), (" ", "So."), ("How?", " "))
    ]
    (tmp_path / "model_outputs.json").write_text(json.dumps(rows))
    found = selftest(Graded(folder=str(tmp_path)))
    ids = [example.id for example in AlpacaEval(folder=str(tmp_path)).heldout]
    assert not found.passed and found.wrong == {
        "empty answer of the baseline": (ids[2],), "empty instruction": (ids[1],), "graded without a judge": tuple(ids)
    }  # fmt: skip
    for few in ([0], [1], [2]):
        asked = [e for e in AlpacaEval(folder=str(tmp_path)).heldout if ids.index(e.id) in few]
        assert selftest(AlpacaEval(folder=str(tmp_path)), asked).passed == (few == [0])
