import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base import Example, Grade, TaskDataError
from tasks.data import fingerprint
from tasks.gsm8k import GSM8K, boxed_solution

GOLD = "Natalia sold 48/2 = <<48/2=24>>24 clips.\nShe sold 48+24 = <<48+24=72>>72 clips.\n#### 72"
EIGHTEEN = Example(id="test-x", prompt=({"role": "user", "content": "?"},), answer="18")


@pytest.fixture(scope="module")
def real(data_folder):
    return GSM8K(folder=str(data_folder))


@pytest.fixture(scope="module")
def gold(data_folder):
    splits = {"train": [], "test": []}
    for split in splits:
        splits[split] = pq.read_table(data_folder / "math" / f"gsm8k_main_{split}.parquet").to_pylist()
    return splits


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def rows(*answers):
    return [{"question": f"Question {number}?", "answer": answer} for number, answer in enumerate(answers)]


def test_real_splits_are_whole_disjoint_and_unchanged(real):
    assert len(real.train) == 7473 and len(real.heldout) == 1319
    both = (*real.train, *real.heldout)
    assert len({example.id for example in both}) == len({example.prompt[0]["content"] for example in both}) == 8792
    assert fingerprint(real.train) == "e6de59471400ec76c2dbde9488bcb1cdfb106e8e47b74d0b4fe187046a9e8a23"
    assert fingerprint(real.heldout) == "463bf6d6f3e09c8bf14c57200d218303b132156a79eb6a26ecf726fda966cbfc"


def test_the_prompt_is_one_user_message_with_question_and_instruction(real, gold):
    (message,) = real.train[0].prompt
    assert message["role"] == "user" and message["content"].startswith(gold["train"][0]["question"])
    assert message["content"].endswith(r"within \boxed{}.")


def test_every_gold_solution_is_graded_right_raw_and_cleaned(real, gold):
    for examples, source in ((real.train, gold["train"]), (real.heldout, gold["test"])):
        pairs, expected = [], []
        for example, row in zip(examples, source, strict=True):
            (expert,) = real.demonstrate(example, "expert", 1, seed=0)
            assert "<<" not in expert and "####" not in expert
            assert expert == boxed_solution(row["answer"])
            pairs += [(example, row["answer"]), (example, expert)]
            expected += 2 * [Grade(1.0, True, row["answer"].split("#### ")[1], lenient=True)]
        assert real.grade_all(pairs) == expected


def test_another_questions_solution_is_graded_wrong_where_its_answer_differs(real):
    pairs, equal = [], []
    for examples in (real.train, real.heldout):
        for example, other in zip(examples, (*examples[1:], examples[0]), strict=True):
            equal.append(int(example.answer.replace(",", "")) == int(other.answer.replace(",", "")))
            pairs.append((example, real.demonstrate(other, "expert", 1, seed=0)[0]))
    assert [grade.correct for grade in real.grade_all(pairs)] == equal and equal.count(False) > 8000


def test_cleaning_a_gold_solution():
    assert boxed_solution(GOLD) == "Natalia sold 48/2 = 24 clips.\nShe sold 48+24 = 72 clips.\n\\boxed{72}"


@pytest.mark.parametrize(
    ("response", "extracted", "strict", "lenient"),
    [
        (r"She makes \boxed{18}.", "18", True, True),
        (r"\boxed{$18.00}", "$18.00", True, True),
        (r"\boxed{\$18}", r"\$18", True, True),
        (r"\boxed{18 dollars}", "18 dollars", True, True),
        (r"\boxed{18\text{ dollars}}", r"18\text{ dollars}", True, True),
        (r"\boxed{018}", "018", True, True),
        (r"\boxed{20} … wait, \boxed{18}", "18", True, True),
        (r"\boxed{18} … wait, \boxed{20}", "20", False, False),
        (r"\boxed{1} \boxed{8}", "8", False, False),
        (r"\boxed{18}. This took 3 steps.", "18", True, True),
        (r"\boxed{1,8}", "1,8", False, False),
        (r"\boxed{-18}", "-18", False, False),
        (r"\boxed{17, 18}", "17, 18", False, False),
        (r"\boxed{18", None, False, False),
        (r"\boxed{}", None, False, False),
        ("#### 18", "18", True, True),
        ("#### 18\n\\boxed{20}", "20", False, False),
        ("She makes $18.00 every day.", "18.00", False, True),
        ("18", "18", False, True),
        ("", None, False, False),
        (r"\boxed{1e999999999}", "1e999999999", False, False),
        ("\\boxed{" + "1" * 5000 + "}", None, False, False),
    ],
)
def test_grading(response, extracted, strict, lenient):
    assert GSM8K().grade(EIGHTEEN, response) == Grade(float(strict), strict, extracted, lenient)


@settings(max_examples=25, deadline=None)
@given(st.text())
def test_grading_never_raises(text):
    for response in (text, f"\\boxed{{{text}}}", f"#### {text}"):
        grade = GSM8K().grade(EIGHTEEN, response)
        assert grade.reward == float(grade.correct)


@pytest.mark.parametrize(
    "pattern",
    [
        "math/gsm8k_main_{}.parquet",
        "gsm8k_main_{}.parquet",
        "main/{}-00000-of-00001.parquet",
        "gsm8k/main/{}-00000-of-00001.parquet",
        "{}-00000-of-00001.parquet",
        "{}.jsonl",
        "gsm8k/{}.jsonl",
    ],
)
def test_every_layout_of_a_folder(tmp_path, monkeypatch, pattern):
    monkeypatch.delenv("GROUPBENCH_DATA", raising=False)
    write(tmp_path / pattern.format("train"), rows(GOLD, "#### -1,080"))
    write(tmp_path / pattern.format("test"), rows("No more.\n#### 5"))
    (tmp_path / "socratic").mkdir()
    write(tmp_path / "socratic" / "train-00000-of-00001.parquet", rows("#### 1"))
    monkeypatch.setenv("PLACE", str(tmp_path))
    task = GSM8K(folder="$PLACE")
    assert [example.answer for example in task.train] == ["72", "-1,080"]
    assert [example.answer for example in task.heldout] == ["5"]
    assert task.demonstrate(task.train[0], "expert", 9, seed=1) == (boxed_solution(GOLD),)
    assert task.demonstrate(task.train[0], "expert", 0, seed=1) == ()
    assert task.demonstrate(task.train[0], "teacher", 1, seed=1) == ()


def test_tilde_is_expanded(tmp_path, monkeypatch):
    write(tmp_path / "gsm" / "train.jsonl", rows("#### 1"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(GSM8K(folder="~/gsm").train) == 1


def test_a_repeated_question_gets_an_id_of_its_own(tmp_path):
    write(tmp_path / "train.jsonl", [{"question": "Same?", "answer": f"#### {n}"} for n in (1, 2, 3)])
    task = GSM8K(folder=str(tmp_path))
    assert len({example.id for example in task.train}) == 3
    assert [task.demonstrate(e, "expert", 1, 0) for e in task.train] == [(f"\\boxed{{{n}}}",) for n in (1, 2, 3)]


def test_subsets_are_fixed_nested_and_in_order(real, data_folder):
    few = GSM8K(folder=str(data_folder), train_examples=100)
    more = GSM8K(folder=str(data_folder), train_examples=500)
    assert len(few.train) == 100 and len(more.train) == 500
    assert set(map(id_of, few.train)) < set(map(id_of, more.train))
    position = {example.id: number for number, example in enumerate(real.train)}
    places = [position[example.id] for example in few.train]
    assert places == sorted(places) and places[-1] > 5000
    assert few.train == GSM8K(folder=str(data_folder), train_examples=100).train


def id_of(example):
    return example.id


def test_a_subset_cannot_be_larger_than_the_split(tmp_path):
    write(tmp_path / "train.jsonl", rows("#### 1", "#### 2"))
    with pytest.raises(
        TaskDataError, match=r"gsm8k: train_examples = 3, but there are only 2; allowed: 1 to 2, or null"
    ):
        _ = GSM8K(folder=str(tmp_path), train_examples=3).train


@pytest.mark.parametrize("answer", ["72", "#### ", "#### unknown", "#### 1/2", ""])
def test_a_gold_answer_without_a_number_is_an_error_by_row(tmp_path, answer):
    write(tmp_path / "train.jsonl", rows("#### 1", answer))
    with pytest.raises(
        TaskDataError, match=re.escape(f"gsm8k train, row 2: answer ends in {answer!r}; expected a line")
    ):
        _ = GSM8K(folder=str(tmp_path)).train


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("train_examples", 0, "an integer of at least 1, or null for all"),
        ("train_examples", True, "an integer of at least 1"),
        ("train_examples", -3, "an integer of at least 1"),
        ("train_examples", 2.0, "an integer of at least 1"),
        ("folder", "", "text that is not empty"),
        ("folder", 3, "text that is not empty"),
        ("hub_id", None, "text that is not empty"),
        ("revision", " ", "text that is not empty"),
    ],
)
def test_bad_parameters_fail_before_anything_is_read(field, value, allowed):
    with pytest.raises(ValueError, match=re.escape(f"gsm8k: {field} = {value!r}; allowed: {allowed}")):
        GSM8K(**{field: value})
