"""Record files: where items lie, and what is read from a place within a file."""

from __future__ import annotations

import json

import pytest

from leaderboard import records
from leaderboard.records import RecordError


def items(step, split="heldout", mode="sampled", count=3):
    return [
        {"step": step, "split": split, "mode": mode, "id": f"{n}", "correct": [n % 2], "tokens": [4]}
        for n in range(count)
    ]


def evaluation(folder, found):
    """Append items, and return the part of their evaluation's record that `read_items` looks at."""
    lie = list(records.append(folder / "items.jsonl", found))
    return {**{key: found[0][key] for key in ("step", "split", "mode")}, "examples": len(found), "items": lie}


def test_each_evaluation_reads_its_own_items(tmp_path):
    written = [items(0), items(0, "probe"), items(2, mode="greedy", count=5)]
    evaluations = [evaluation(tmp_path, found) for found in written]
    assert evaluations[0]["items"][0] == 0
    assert [e["items"][1] for e in evaluations[:2]] == [e["items"][0] for e in evaluations[1:]]
    assert [records.read_items(tmp_path, e) for e in reversed(evaluations)] == written[::-1]


def test_only_the_range_is_read(tmp_path):
    first, second = evaluation(tmp_path, items(0)), evaluation(tmp_path, items(2))
    with (tmp_path / "items.jsonl").open("r+b") as file:
        file.write(b"?" * first["items"][1])
    assert records.read_items(tmp_path, second) == items(2)


def test_an_earlier_versions_evaluation_has_none(tmp_path):
    old = evaluation(tmp_path, items(0))
    del old["items"]
    assert records.read_items(tmp_path, old) == []


def test_the_range_begins_behind_a_torn_line_that_is_cut_off(tmp_path):
    path = tmp_path / "items.jsonl"
    evaluation(tmp_path, items(0))
    whole = path.stat().st_size
    with path.open("a") as file:
        file.write('{"step": 2, "spl')
    second = evaluation(tmp_path, items(2))
    assert second["items"] == [whole, path.stat().st_size] and records.read_items(tmp_path, second) == items(2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "probe"}, r"3 items of \[\(4, 'heldout', 'sampled'\)\]; expected 3 of \(4, 'probe', 'sampled'\)"),
        ({"step": 2}, r"expected 3 of \(2,"),
        ({"mode": "greedy"}, "expected 3 of"),
        ({"examples": 4}, "3 items of"),
        ({"items": [0, 250]}, r"bytes \[0, 250\]"),
        ({"items": [1, 400]}, "not readable"),
        ({"items": [10**6, 10**6 + 400]}, r"0 items of \[\]"),
        ({"items": [-1, 400]}, "not readable"),
        ({"items": 7}, "bytes 7"),
        ({"items": ["a", "b"]}, "not readable"),
    ],
)
def test_a_range_that_holds_something_else_is_named(change, said, tmp_path):
    evaluation(tmp_path, items(2))
    found = evaluation(tmp_path, items(4)) | change
    with pytest.raises(RecordError, match=said) as error:
        records.read_items(tmp_path, found)
    assert str(tmp_path / "items.jsonl") in str(error.value)


def test_lost_items_are_named(tmp_path):
    found = evaluation(tmp_path, items(0))
    (tmp_path / "items.jsonl").unlink()
    with pytest.raises(RecordError, match=r"items.jsonl, bytes \[0, .*FileNotFoundError"):
        records.read_items(tmp_path, found)


def test_lines_from_a_place_on(tmp_path):
    path = tmp_path / "steps.jsonl"
    records.append(path, [{"step": 1}])
    (start, stop) = records.append(path, [{"step": 2}, {"step": 3}])
    assert [r["step"] for r in records.read_lines(path, start)] == [2, 3]
    assert list(records.read_lines(path, stop)) == [] == list(records.read_lines(tmp_path / "none.jsonl", 5))
    with path.open("a") as file:
        file.write(json.dumps({"step": 4})[:-1])
    assert list(records.read_lines(path, stop)) == []
