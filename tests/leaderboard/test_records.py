"""Record files, and what is read from a place within one."""

from __future__ import annotations

import json

from leaderboard import records


def test_lines_from_a_place_on(tmp_path):
    path = tmp_path / "steps.jsonl"
    records.append(path, [{"step": 1}])
    (start, stop) = records.append(path, [{"step": 2}, {"step": 3}])
    assert [r["step"] for r in records.read_lines(path, start)] == [2, 3]
    assert list(records.read_lines(path, stop)) == [] == list(records.read_lines(tmp_path / "none.jsonl", 5))
    with path.open("a") as file:
        file.write(json.dumps({"step": 4})[:-1])
    assert list(records.read_lines(path, stop)) == []
