import gc
import json

import pytest

from leaderboard import reading, records
from leaderboard.records import EvalRecord, RecordError

VERDICTS = [[1, 0], [0, 0], [1, 1]]


@pytest.fixture
def cell(results):
    items = {("heldout", "sampled", 0): VERDICTS, ("heldout", "sampled", 2): [[1, 1]] * 3}
    return results.cell("a", 0, items=items, clusters=["x", "x", "y"])


def test_items_of_one_evaluation_are_read_without_the_others(cell):
    first, last = reading.evaluations(cell)["heldout", "sampled"]
    assert [item["correct"] for item in reading.items(cell, first)] == VERDICTS
    assert [item["cluster"] for item in reading.items(cell, last)] == ["x", "x", "y"]
    text = (cell / "items.jsonl").read_bytes()
    start, stop = last["items"]
    (cell / "items.jsonl").write_bytes(b"#" * start + text[start:stop])  # nothing before them is looked at
    assert [item["correct"] for item in reading.items(cell, last)] == [[1, 1]] * 3


def test_an_evaluation_without_a_range_has_no_items(results):
    cell = results.cell("a", 0, [0.2, 0.4])
    assert reading.items(cell, reading.evaluations(cell)["heldout", "sampled"][0]) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"examples": 4}, r"3 items of \[\(0, 'heldout', 'sampled'\)\]; expected 4 of \(0, 'heldout', 'sampled'\)"),
        ({"mode": "greedy"}, r"expected 3 of \(0, 'heldout', 'greedy'\)"),
        ({"step": 2}, r"expected 3 of \(2, 'heldout', 'sampled'\)"),
        ({"items": [3, 90]}, "not readable as items"),
        ({"items": [10**9, 10**9 + 50]}, "0 items of"),
        ({"items": [0]}, "not readable as items"),
    ],
)
def test_items_that_are_not_this_evaluations_are_refused(cell, change, complaint):
    first = reading.evaluations(cell)["heldout", "sampled"][0] | change
    with pytest.raises(RecordError, match=rf"items\.jsonl, bytes \[.*{complaint}"):
        reading.items(cell, first)


def test_lost_items_are_named(cell):
    (cell / "items.jsonl").unlink()
    with pytest.raises(RecordError, match=r"items\.jsonl, bytes .*FileNotFoundError"):
        reading.items(cell, reading.evaluations(cell)["heldout", "sampled"][0])


def test_keys_that_this_version_does_not_know_are_left_out(cell):
    path = cell / "evals.jsonl"
    path.write_text("".join(json.dumps(r | {"of the future": 1}) + "\n" for r in records.read_lines(path)))
    assert set(reading.lines(path, EvalRecord)[0]) == set(EvalRecord.__annotations__)


def test_a_wrong_type_is_named_with_its_record(cell):
    path = cell / "evals.jsonl"
    first, second = records.read_lines(path)
    path.write_text(json.dumps(first) + "\n" + json.dumps(second | {"accuracy": "high"}) + "\n")
    with pytest.raises(RecordError, match=r"evals\.jsonl, record 2: Expected `float`, got `str` - at `\$\.accuracy`"):
        reading.lines(path, EvalRecord)


def test_a_torn_last_line_is_left_out_and_any_other_is_named(cell):
    path = cell / "evals.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"step": 4, "split')
    assert len(reading.lines(path, EvalRecord)) == 2
    path.write_text('{"step": 4, "split\n' + whole)
    with pytest.raises(RecordError, match=r"evals\.jsonl, record 1: not readable as JSON"):
        reading.lines(path, EvalRecord)
    assert reading.lines(path.with_name("none.jsonl"), EvalRecord) == []


def test_a_json_file_that_is_none_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"none\.json: no such file"):
        reading.one(tmp_path / "none.json", dict)
    with pytest.raises(RecordError, match="not readable"):
        reading.one(tmp_path, dict)
    (tmp_path / "bad.json").write_bytes(b"\xff{}")
    with pytest.raises(RecordError, match=r"bad\.json: not readable as JSON"):
        reading.one(tmp_path / "bad.json", dict)


def test_the_collector_goes_on_as_before_even_after_an_error():
    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            with pytest.raises(KeyError), reading.no_garbage():
                assert not gc.isenabled()
                raise KeyError
            assert gc.isenabled() is before
        finally:
            gc.enable()
