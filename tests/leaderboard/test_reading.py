import gc
import json

import pytest

from leaderboard import reading, records
from leaderboard.records import EvalRecord, RecordError


def items(step, split="heldout", mode="sampled", count=3):
    return [
        {"step": step, "split": split, "mode": mode, "id": f"{n}", "correct": [n % 2], "tokens": [4]}
        for n in range(count)
    ]


def verdicts(item):
    return item["step"], item["split"], item["mode"], item["id"], item["correct"], item.get("cluster")


def seen(folder, evaluation):
    found = reading.items(folder, evaluation)
    return [(item.step, item.split, item.mode, item.id, item.correct, item.cluster) for item in found]


def evaluation(folder, found):
    """Append items, and return the part of their evaluation's record that `reading.items` looks at."""
    lie = list(records.append(folder / "items.jsonl", found))
    return {**{key: found[0][key] for key in ("step", "split", "mode")}, "examples": len(found), "items": lie}


def test_each_evaluation_reads_its_own_items(tmp_path):
    written = [items(0), items(0, "probe"), items(2, mode="greedy", count=5)]
    evaluations = [evaluation(tmp_path, found) for found in written]
    assert evaluations[0]["items"][0] == 0
    assert [e["items"][1] for e in evaluations[:2]] == [e["items"][0] for e in evaluations[1:]]
    assert [seen(tmp_path, e) for e in reversed(evaluations)] == [[verdicts(i) for i in w] for w in written[::-1]]


def test_only_the_range_is_read(tmp_path):
    first, second = evaluation(tmp_path, items(0)), evaluation(tmp_path, items(2))
    with (tmp_path / "items.jsonl").open("r+b") as file:
        file.write(b"?" * first["items"][1])
    assert seen(tmp_path, second) == [verdicts(item) for item in items(2)]


def test_an_earlier_versions_evaluation_has_none(tmp_path):
    old = evaluation(tmp_path, items(0))
    del old["items"]
    assert reading.items(tmp_path, old) == []


def test_the_range_begins_behind_a_torn_line_that_is_cut_off(tmp_path):
    path = tmp_path / "items.jsonl"
    evaluation(tmp_path, items(0))
    whole = path.stat().st_size
    with path.open("a") as file:
        file.write('{"step": 2, "spl')
    second = evaluation(tmp_path, items(2))
    assert second["items"] == [whole, path.stat().st_size]
    assert seen(tmp_path, second) == [verdicts(item) for item in items(2)]


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
        reading.items(tmp_path, found)
    assert str(tmp_path / "items.jsonl") in str(error.value)


def test_lost_items_are_named(tmp_path):
    found = evaluation(tmp_path, items(0))
    (tmp_path / "items.jsonl").unlink()
    with pytest.raises(RecordError, match=r"items.jsonl, bytes \[0, .*FileNotFoundError"):
        reading.items(tmp_path, found)


@pytest.fixture
def cell(results):
    return results.cell("a", 0, [0.2, 0.4])


def test_keys_that_this_version_does_not_know_are_left_out(cell):
    path = cell / "evals.jsonl"
    path.write_text("".join(json.dumps(r | {"of the future": 1}) + "\n" for r in records.read_lines(path)))
    first = reading.lines(path, EvalRecord)[0]
    assert "of the future" not in first and "accuracy" in first and first["counters"]["steps"] == 0
    assert "items" not in first and first.get("items", 7) == 7 and first.get("step") == 0


def test_a_wrong_type_is_named_with_its_record(cell):
    path = cell / "evals.jsonl"
    first, second = records.read_lines(path)
    path.write_text(json.dumps(first) + "\n" + json.dumps(second | {"accuracy": "high"}) + "\n")
    with pytest.raises(
        RecordError, match=r"evals\.jsonl, record 2: Expected `float \| null`, got `str` - at `\$\.accuracy`"
    ):
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


def test_an_item_without_verdicts_is_named_with_its_file(tmp_path):
    found = items(4)
    found[1]["correct"] = []
    with pytest.raises(RecordError, match=rf"items\.jsonl, bytes .*: item '{found[1]['id']}' has no verdict"):
        reading.items(tmp_path, evaluation(tmp_path, found))


def test_an_item_without_its_measure_is_named_with_its_file(tmp_path):
    found = [item | {"correct": [], "reward": [0.5, 1.5]} for item in items(4)]
    where = evaluation(tmp_path, found)
    assert [list(item.of("reward")) for item in reading.items(tmp_path, where, "reward")] == [[0.5, 1.5]] * 3
    with pytest.raises(RecordError, match=r"has no gold; expected one a sample"):
        reading.items(tmp_path, where, "gold")
    with pytest.raises(RecordError, match=r"has no verdict: correct = \[\]"):
        reading.items(tmp_path, where)
