"""What all tasks without a verifier share: they are judged, never graded, and never trained on."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict

import pytest

import tasks
from harness.checks import check_examples
from harness.errors import UserError
from harness.plugins import build_task
from harness.settings import Evaluation, Training
from tasks import Grade
from tasks.alpaca_eval import AlpacaEval
from tasks.comparison import ComparisonTask
from tasks.overlap import with_evaluation_sets

NAMES = [name for name, cls in tasks.load().items() if issubclass(cls, ComparisonTask)]


@pytest.fixture
def small(tmp_path):
    rows = [
        {"instruction": text, "dataset": "mine", "output": "So.", "generator": "gpt4_1106_preview"}
        for text in ("What is 1 + 1?", "Why?")
    ]
    (tmp_path / "model_outputs.json").write_text(json.dumps(rows))
    return AlpacaEval(folder=str(tmp_path))


def test_the_tasks_are_known():
    assert NAMES == ["alpaca_eval", "arena_hard"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_graded_and_nothing_trained_on(name, data_folder):
    task = tasks.load()[name](folder=str(data_folder))
    assert task.verifier == "none" and task.demonstration_sources == frozenset() and task.train == ()
    for response in ("", task.heldout[0].answer, "\\boxed{1}"):
        grade = task.grade(task.heldout[0], response)
        assert grade == Grade(0.0, None, None) and grade.counted is None
    task.require_grader()
    with pytest.raises(UserError, match=f"task {name} has no training examples; it can be evaluated, not trained on"):
        check_examples(task, Training(), Evaluation(), "training")


def test_an_example_is_identified_by_what_it_is_compared_with(small):
    example = small.heldout[0]
    assert example.answer == "So." and small.leak_key(example) == example.id
    assert example.prompt == ({"role": "user", "content": "What is 1 + 1?"},)


def test_a_recorded_task_is_built_again(data_folder, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    parameters = {"version": "v2.0", "categories": ["hard_prompt"]}
    task = build_task("arena_hard", parameters, "test")
    recorded = json.loads(json.dumps({k: v for k, v in asdict(task).items() if k not in task.locations}))
    assert recorded == parameters and build_task("arena_hard", recorded, "test") == task
    assert pickle.loads(pickle.dumps(task)).heldout == task.heldout
    with pytest.raises(UserError, match=r"version: Input should be 'v0.1' or 'v2.0'; found 'v3'"):
        build_task("arena_hard", {"version": "v3"}, "test")


def test_questions_are_at_hand_without_a_network(small, data_folder, tmp_path, monkeypatch):
    assert small.questions_at_hand() == {e.id: small.instruction(e) for e in small.heldout}
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    for name in NAMES:
        cls = tasks.load()[name]
        assert list(cls().questions_at_hand()) == [example.id for example in cls().heldout]
    monkeypatch.setenv("GROUPBENCH_DATA", str(tmp_path))
    assert all(tasks.load()[name]().questions_at_hand() is None for name in NAMES)


def test_training_on_an_instruction_is_found(data_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    asked = {name: tasks.load()[name]().heldout[5] for name in NAMES}
    rows = [{"question": asked[name].prompt[0]["content"].upper() + " !", "answer": "#### 1"} for name in NAMES]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = with_evaluation_sets(tasks.load()["gsm8k"](folder=str(tmp_path))).overlaps
    assert {name: found[name].ids for name in NAMES} == {name: (asked[name].id,) for name in NAMES}
