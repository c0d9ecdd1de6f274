"""Evaluations on disk: blocks joined, torn and odd lines, baselines that are the same bytes each time."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaderboard import evaluations, records
from leaderboard.evaluations import Evaluation, TaskEvaluation
from leaderboard.records import RecordError


def block(name: str, first: int, correct: list[Any], **more: Any) -> dict[str, Any]:
    n = len(correct)
    return {
        "id": name, "content": "c", "first": first, "responses": ["r"] * n, "answers": ["1"] * n, "correct": correct,
        "strict": correct, "tokens": [1] * n, "truncated": [0] * n, "timed_out": [0] * n, **more,
    }  # fmt: skip


def test_blocks_of_an_item_are_joined_and_gaps_are_not_bridged(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    records.append(path, [block("a", 0, [1, 0]), block("b", 0, [1]), block("a", 2, [1]), block("b", 5, [1])])
    records.append(path, [block("a", 0, [0, 0]), block("c", 3, [1])])  # there already; and a beginning that is lost
    found = {item.id: item.correct for item in evaluations.read_items(path)}
    assert found == {"a": [1, 0, 1], "b": [1]}


def test_a_torn_end_is_left_out_and_any_other_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    records.append(path, [block("a", 0, [1]), block("b", 0, [1])])
    path.write_bytes(path.read_bytes()[:-9])
    assert [item.id for item in evaluations.read_items(path)] == ["a"]
    path.write_text("{}\n" + json.dumps(block("b", 0, [1])) + "\n")
    with pytest.raises(RecordError, match=r"items.jsonl, line 1: .*missing required field"):
        evaluations.read_items(path)
    path.write_text(json.dumps(block("b", 0, [1], tokens=[])) + "\n" + json.dumps(block("a", 0, [1])) + "\n")
    with pytest.raises(RecordError, match=r"line 1: lists of .0, 1. samples; expected equally many"):
        evaluations.read_items(path)
    assert evaluations.read_items(tmp_path / "none.jsonl") == []


def test_a_baseline_is_the_evaluation_in_one_file_and_the_same_bytes(tmp_path: Path) -> None:
    records.append(tmp_path / "items.jsonl", [block("a", 0, [1, None], cluster="x"), block("b", 0, [0, 1])])
    protocol: Any = {"task": "t", "examples": ["a", "b", "c"], "samples": 2}
    checkpoint: Any = {"name": "mine", "fingerprint": "f"}
    tasks = {"t": TaskEvaluation(protocol, evaluations.read_items(tmp_path / "items.jsonl"))}
    whole = Evaluation(checkpoint, tasks, "because")
    for name in ("base.json.gz", "base.json"):
        evaluations.write_baseline(tmp_path / name, whole)
        first = (tmp_path / name).read_bytes()
        found = evaluations.read(tmp_path / name)
        assert found.checkpoint == checkpoint and found.note == "because" and found.tasks["t"].missing == ["c"]
        assert found.tasks["t"].items == tasks["t"].items
        evaluations.write_baseline(tmp_path / name, found)
        assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not a baseline"), ('{"schema": 9, "checkpoint": {}, "tasks": {}}', "schema 9; this version reads 1")],
)
def test_what_is_no_baseline_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "base.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=said):
        evaluations.read(path)
    with pytest.raises(RecordError, match="no such evaluation folder or baseline file"):
        evaluations.read(tmp_path / "none.json")


def test_what_makes_two_protocols_incomparable() -> None:
    one: Any = {"task": "t", "parameters": {}, "temperature": 0.6, "top_p": 1.0, "max_tokens": 9, "verifier": "1"}
    assert evaluations.comparable(one, {**one, "samples": 8, "seed": 3, "examples": []}) == []
    assert evaluations.comparable(one, {**one, "verifier": "2"}) == ["verifier: '1' against '2'"]


def test_a_checkpoint_is_its_weights_not_its_name() -> None:
    one: Any = {"name": "a", "fingerprint": "f", "precision": "float32", "engine": "vllm"}
    assert evaluations.same_checkpoint(one, {**one, "name": "b"})
    assert evaluations.checkpoint_differences(one, {**one, "engine": "transformers"}) == [
        "engine: vllm against transformers"
    ]
