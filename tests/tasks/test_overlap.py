"""Training questions that are asked in evaluation: against the counts that came with the data."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tasks
from tasks import overlap as module
from tasks.arithmetic import Arithmetic
from tasks.overlap import overlap, with_evaluation_sets
from tasks.splits import normal_form

ROOT = Path(__file__).parents[2]
FILES = {  # of the counts' table, and our tasks
    "gsm8k_main_test": "gsm8k", "math_test": "math", "math500_test": "math500", "aime24_test": "aime24",
    "aime25_test": "aime25", "aime26_test": "aime26", "amc23_test": "amc23", "olympiadbench_test": "olympiadbench",
    "minerva_math_test": "minerva", "college_math_test": "college_math", "gaokao2023en_test": "gaokao2023en",
    "svamp_test": "svamp",
}  # fmt: skip
TRAINING = {
    "gsm8k_main_train": "gsm8k", "math_train": "math", "dapo_math_14k_en": "dapo_math",
    "aime_1983_2023_train": "aime25",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _named(data_folder, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))


@pytest.mark.parametrize("row", TRAINING)
def test_counts_are_those_that_came_with_the_data(data_folder, row):
    with open(data_folder / "math" / "overlap_train_eval.csv", encoding="utf-8") as file:
        expected = {line[""]: line for line in csv.DictReader(file)}[row]
    report = with_evaluation_sets(tasks.load()[TRAINING[row]]())
    counts = {name: found.count for name, found in report.overlaps.items()}
    assert {file: counts.get(name, 0) for file, name in FILES.items()} == {file: int(expected[file]) for file in FILES}
    assert set(report.clean) >= {name for name in FILES.values() if name not in counts}
    assert set(report.unseen) == {"tabmwp"} and "arithmetic" not in report.clean
    assert not set(report.clean) & set(counts)


def test_dapos_aime_26_problem_is_the_first():
    found = with_evaluation_sets(tasks.load()["dapo_math"]()).overlaps["aime26"]
    assert found.ids == (tasks.load()["aime26"]().heldout[0].id,) and found.questions == 30


def test_all_sets_in_three_seconds():
    code = "import tasks, tasks.overlap as o; o.with_evaluation_sets(tasks.load()['dapo_math']())"
    began = time.process_time()
    with_evaluation_sets(tasks.load()["dapo_math"]())
    assert time.process_time() - began < 3
    done = subprocess.run(  # and no reader of the Hub, no verifier
        [sys.executable, "-c", f"{code}; import sys; print([m for m in ('datasets', 'sympy') if m in sys.modules])"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr


def test_equal_up_to_case_spaces_and_signs():
    assert normal_form("What is $x_1 + 2$?") == normal_form("what is x1+2") == "whatisx12"
    found = overlap(["What is 1+1?", "…"], {"a": "what is  1 + 1", "b": "What is 1+2?", "c": "?!", "d": "WHAT IS 11"})
    assert found.ids == ("a",) and found.questions == 4 and found.count == 1


def test_generated_tasks_have_no_part_in_it():
    assert with_evaluation_sets(Arithmetic(level=1)) == module.Report()
    assert Arithmetic(level=1).questions_at_hand() == {}


def test_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"question": "Q?", "answer": "#### 1"}\n')
    (folder / "test.jsonl").write_text('{"question": "q", "answer": "#### 1"}\n')
    monkeypatch.setenv("GROUPBENCH_DATA", str(tmp_path))
    report = with_evaluation_sets(tasks.load()["gsm8k"](folder=str(folder)))
    assert report.overlaps["gsm8k"].count == 1
    assert len(report.unseen) >= 15 and report.unseen["math500"] == "its held-out set is not in GROUPBENCH_DATA"
    monkeypatch.delenv("GROUPBENCH_DATA")
    assert set(with_evaluation_sets(tasks.load()["gsm8k"](folder=str(folder))).unseen) == set(report.unseen)


def test_an_unreadable_file_is_told_and_the_others_are_looked_at(tmp_path, monkeypatch):
    (tmp_path / "math").mkdir()
    (tmp_path / "math" / "amc23_test.parquet").write_text("no parquet")
    (tmp_path / "math" / "aime26_test.jsonl").write_text('{"problem": "Q?"}\n')
    monkeypatch.setenv("GROUPBENCH_DATA", str(tmp_path))
    (tmp_path / "train.jsonl").write_text('{"question": "Q?", "answer": "#### 1"}\n')
    (tmp_path / "test.jsonl").write_text('{"question": "P?", "answer": "#### 1"}\n')
    report = with_evaluation_sets(tasks.load()["gsm8k"](folder=str(tmp_path)))
    assert report.overlaps["aime26"].count == 1 and report.clean == ("gsm8k",)
    assert "amc23_test.parquet cannot be read" in report.unseen["amc23"]
