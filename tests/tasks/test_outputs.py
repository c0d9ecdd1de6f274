"""Outputs files: written and read back, whatever the answers are; and every way in which one can be wrong."""

from __future__ import annotations

import json
import random

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import TaskDataError
from tasks.alpaca_eval import AlpacaEval
from tasks.arena_hard import ArenaHard
from tasks.outputs import read_outputs, write_outputs

ASKED = ["What is U+2028: \u2028?", "Why?", "How?"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A task of three instructions."""
    folder = tmp_path_factory.mktemp("small")
    rows = [
        {"instruction": text, "dataset": "mine", "output": "So.", "generator": "gpt4_1106_preview"} for text in ASKED
    ]
    (folder / "model_outputs.json").write_text(json.dumps(rows))
    return AlpacaEval(folder=str(folder))


@pytest.fixture(scope="module")
def alpaca(data_folder):
    return AlpacaEval(folder=str(data_folder))


@pytest.fixture(scope="module")
def arena(data_folder):
    return ArenaHard(folder=str(data_folder))


def rows_of(task, generator="mine"):
    """AlpacaEval's rows, one for each instruction."""
    return [
        {"instruction": task.instruction(example), "output": f"Answer {number}.", "generator": generator}
        for number, example in enumerate(task.heldout)
    ]


def write(path, rows):
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters()), min_size=3, max_size=3), generator=st.text(st.characters()),
    ending=st.sampled_from(["json", "jsonl"]), seed=st.randoms(use_true_random=False),
)  # fmt: skip
def test_what_is_written_is_read_back_in_any_order(small, tmp_path, texts, generator, ending, seed):
    path = tmp_path / f"outputs.{ending}"
    answers = dict(zip((example.id for example in small.heldout), texts, strict=True))
    write_outputs(small, answers, generator, path)
    found = read_outputs(small, path)
    assert (found.answers, found.generator) == (answers, generator) and list(found.answers) == list(answers)
    content = path.read_text()
    rows = json.loads(content) if ending == "json" else [json.loads(line) for line in content.splitlines()]
    seed.shuffle(rows)
    path.write_text(json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows)))
    assert read_outputs(small, path).answers == answers


def test_surrogates_survive(small, tmp_path):
    answers = {example.id: "\ud800 \x00 \u2028" for example in small.heldout}
    for name in ("o.json", "o.jsonl"):
        write_outputs(small, answers, "x", tmp_path / name)
        assert read_outputs(small, tmp_path / name).answers == answers


def test_alpaca_evals_file_is_in_its_order_and_layout(alpaca, tmp_path):
    answers = {example.id: example.answer for example in reversed(alpaca.heldout)}
    write_outputs(alpaca, answers, "gpt4_1106_preview", tmp_path / "model_outputs.json")
    rows = json.loads((tmp_path / "model_outputs.json").read_text())
    assert len(rows) == 805 and list(rows[0]) == ["dataset", "instruction", "output", "generator"]
    assert [row["instruction"] for row in rows] == [alpaca.instruction(example) for example in alpaca.heldout]
    again = AlpacaEval(folder=str(tmp_path))  # the layout is that of the baseline's own file
    assert again.heldout == alpaca.heldout


def test_published_outputs_of_real_models(alpaca, arena, data_folder, tmp_path):
    table = pq.read_table(data_folder / "alpaca_eval" / "annotations_v2_25models.parquet").to_pylist()
    published = [row for row in table if row["generator_2"] == "claude-2.1"]
    asked = [alpaca.instruction(example) for example in alpaca.heldout]
    rows = [
        {"instruction": asked[row["index"]], "output": row["output_2"], "generator": "claude-2.1"} for row in published
    ]
    random.Random(3).shuffle(rows)
    found = read_outputs(alpaca, write(tmp_path / "claude.json", rows))
    assert [found.answers[e.id] for e in alpaca.heldout] == [
        row["output_2"] for row in sorted(published, key=lambda row: row["index"])
    ]
    table = pq.read_table(data_folder / "arena_hard" / "v0.1_answers_llama3_base_sft_dpo_ipo.parquet").to_pylist()
    model = table[0]["model"]
    chosen = [row for row in table if row["model"] == model]
    lines = "".join(json.dumps({k: row[k] for k in ("uid", "model", "answer")}) + "\n" for row in chosen)
    (tmp_path / "llama.jsonl").write_text(lines)
    found = read_outputs(arena, tmp_path / "llama.jsonl")
    assert found.generator == model and found.answers == {row["uid"]: row["answer"] for row in chosen}
    with pytest.raises(TaskDataError, match=r"row 1 is by '.*', row 501 by '.*'; expected one model"):
        read_outputs(arena, data_folder / "arena_hard" / "v0.1_answers_llama3_base_sft_dpo_ipo.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda rows: rows[:-1],
            "answers 804 of the 805 instructions of alpaca_eval; expected all. Without an answer i",
        ),
        (
            lambda rows: [*rows, {**rows[7], "output": "Else."}],
            "rows 8 and 806 answer the same instruction differently",
        ),
        (lambda rows: [*rows, rows[7]], "rows 8 and 806 answer the same instruction alike, "),
        (
            lambda rows: [*rows[:3], {**rows[3], "instruction": "Eh?"}],
            "row 4: 'Eh?' is no instruction of alpaca_eval (1 s",
        ),
        (
            lambda rows: [{**row, "instruction": "?" + row["instruction"]} for row in rows],
            "(805 such rows); expected its",
        ),
        (lambda rows: [*rows[:3], {**rows[3], "output": None}, *rows[4:]], "row 4: output is null; expected text."),
        (
            lambda rows: [*rows[:3], {**rows[3], "output": ["a"]}, *rows[4:]],
            "row 4: output is list ['a']; expected text",
        ),
        (
            lambda rows: [*rows[:3], {**rows[3], "generator": "b"}],
            "row 1 is by 'mine', row 4 by 'b'; expected one model",
        ),
        (
            lambda rows: [{"instruction": "?", "output": "!"}],
            "row 1 has no column generator; found: instruction, output",
        ),
        (lambda rows: [], "has no rows; expected at least one"),
        (lambda rows: {"rows": rows}, "holds dict; expected a JSON list of objects"),
        (
            lambda rows: [*rows[:5], "text"],
            "row 6 is str; expected an object with the keys instruction, generator, out",
        ),
    ],
)
def test_wrong_files_are_told_by_row(alpaca, tmp_path, change, said):
    path = write(tmp_path / "outputs.json", change(rows_of(alpaca)))
    with pytest.raises(TaskDataError) as raised:
        read_outputs(alpaca, path)
    message = str(raised.value)
    assert said in message and message.startswith(str(path)) and "\n" not in message


def test_unreadable_files(alpaca, tmp_path):
    for path, said in (
        (tmp_path / "none.json", "none.json is no file; expected a model's answers to the instructions of alpaca_eval"),
        (tmp_path, "is no file; expected"),
    ):
        with pytest.raises(TaskDataError, match=said):
            read_outputs(alpaca, path)
    (tmp_path / "cut.json").write_text(json.dumps(rows_of(alpaca))[:-9])
    with pytest.raises(TaskDataError, match=r"cut.json cannot be read \(.*; expected a JSON list, in UTF-8"):
        read_outputs(alpaca, tmp_path / "cut.json")


def test_ids_of_another_task_are_unknown(arena, small, tmp_path):
    write_outputs(small, {example.id: "!" for example in small.heldout}, "x", tmp_path / "o.jsonl")
    with pytest.raises(
        TaskDataError, match=r"o.jsonl, row 1: 'test-[0-9a-f]+' is no instruction of arena_hard \(3 such"
    ):
        read_outputs(arena, tmp_path / "o.jsonl")


def test_the_file_is_identified(alpaca, tmp_path):
    one = read_outputs(alpaca, write(tmp_path / "one.json", rows_of(alpaca)))
    two = read_outputs(alpaca, write(tmp_path / "two.json", rows_of(alpaca)[::-1]))
    assert one.answers == two.answers and one.sha256 != two.sha256 and one.path.name == "one.json"


def test_what_cannot_be_written(small, tmp_path):
    answers = {example.id: "!" for example in small.heldout}
    with pytest.raises(ValueError, match=r"o.csv: allowed are .json \(AlpacaEval\) and .jsonl"):
        write_outputs(small, answers, "x", tmp_path / "o.csv")
    for differing in ({**answers, "test-0": "!"}, dict(list(answers.items())[1:])):
        with pytest.raises(ValueError, match="1 ids are asked or answered alone, the first is test-"):
            write_outputs(small, differing, "x", tmp_path / "o.json")
    assert not list(tmp_path.iterdir())
