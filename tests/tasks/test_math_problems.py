"""The public math sets: their sizes, prompts and answers, from files and from the Hub; their demonstrations."""

from __future__ import annotations

import json
import pickle
import re
import sys
import types
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tasks
from tasks import TaskDataError
from tasks.base import GFT_16
from tasks.data import Hub, fingerprint
from tasks.dev import DevSplit
from tasks.grading import VERIFIER
from tasks.math_problems import MathProblems

NAMES = sorted(name for name, cls in tasks.load().items() if issubclass(cls, MathProblems))
AT_HAND = [name for name in NAMES if name != "tabmwp"]
PROMPT = "\nPlease reason step by step, and put {} within \\boxed{{}}."
# Whoever changes one of these changes what every recorded run was about.
CONTENT = {
    "aime24": ("c8ad4001512e", "4d87f76efa9a"),
    "aime25": ("c8ad4001512e", "d22bdbd9462c"),
    "aime26": ("c8ad4001512e", "1e4c758bb329"),
    "amc23": ("", "41f270cb27a7"),
    "college_math": ("", "8117189ff5c6"),
    "dapo_math": ("b520e4ce4ba0", "4d87f76efa9a"),
    "gaokao2023en": ("", "fc3c9698c3a7"),
    "gsm8k": ("e6de59471400", "463bf6d6f3e0"),
    "math": ("5049d6cb49db", "bda95a081d0d"),
    "math500": ("5049d6cb49db", "2852c669d3b3"),
    "mawps": ("", "ff0a4a58a3e1"),
    "minerva": ("", "9acc6576f909"),
    "mmlu_stem": ("", "f79ea4e06467"),
    "olympiadbench": ("", "4de09f7c9cd9"),
    "sat_math": ("", "434539600344"),
    "svamp": ("", "995424a9eb08"),
}


@pytest.fixture(scope="module")
def every(data_folder):
    return {name: tasks.load()[name](folder=str(data_folder)) for name in AT_HAND}


@pytest.mark.parametrize("name", AT_HAND)
def test_sizes_ids_and_contents_are_as_declared(every, name):
    task = every[name]
    assert len(task.heldout) == task.evaluation.size
    assert len(task.train) == (task.training.size if task.training else 0)
    both = (*task.train, *task.heldout)
    assert len({example.id for example in both}) == len(both)
    assert all(example.id.startswith("test-") for example in task.heldout)
    found = tuple(fingerprint(examples)[:12] if examples else "" for examples in (task.train, task.heldout))
    assert found == CONTENT[name]


@pytest.mark.parametrize("name", AT_HAND)
def test_every_prompt_is_one_message_of_question_and_instruction(every, name):
    task = every[name]
    wanted = "the letter of your answer" if task.answers == "letter" else "your final answer"
    for example in (*task.train[:200], *task.heldout):
        (message,) = example.prompt
        assert message["role"] == "user" and message["content"].endswith(PROMPT.format(wanted))
        question = task.question(example)
        assert question and message["content"].startswith(question)
        assert "Please reason" not in question and "Answer Choices" not in question


@pytest.mark.parametrize("name", NAMES)
def test_protocols(name):
    cls = tasks.load()[name]
    assert cls.protocols["gft"] == GFT_16 and cls.protocols["greedy"].samples == 1
    assert cls.verifier == VERIFIER
    first = next(iter(cls.protocols))
    assert (first == "greedy") == (cls.evaluation.size >= 1000 and name != "gsm8k")
    if name.startswith("aime"):
        protocol = cls.protocols["avg@32"]
        assert first == "avg@32"
        asked = (protocol.samples, protocol.temperature, protocol.top_p, protocol.max_tokens)
        assert asked == (32, 0.6, 0.95, 32768)
    if name in ("gsm8k", "math500"):
        assert (cls.protocols[first].samples, cls.protocols[first].temperature) == (4, 0.6)


def test_answers_are_read_as_their_sets_have_them(every):
    answers = {name: [example.answer for example in task.heldout] for name, task in every.items()}
    assert answers["aime24"][7] == "025" and answers["aime25"][4] == "336^\\circ" and answers["aime26"][0] == "277"
    assert answers["amc23"][0] == "27" and "-1" in answers["amc23"]  # floats in the file
    assert set(answers["sat_math"]) | set(answers["mmlu_stem"]) == set("ABCD")
    assert answers["svamp"][0] == "145" and "34.72" in answers["mawps"]
    assert "69,84" in answers["olympiadbench"] and not any("$" in answer for answer in answers["minerva"])
    assert any("\\$" in answer for answer in answers["college_math"])  # a price
    assert all(answer for name in AT_HAND for answer in answers[name])
    behind = [e for e in every["gaokao2023en"].heldout if e.answer == "\\frac{3}{10}" and "saddle" in str(e.prompt)]
    assert len(behind) == 1 and "answer" not in every["gaokao2023en"].question(behind[0])
    (empty, also) = [example for example in every["math"].train if not example.answer]  # \boxed{} in the source
    assert empty.id != also.id


def test_math_500_is_a_part_of_math(every):
    whole = {example.id: example.answer for example in every["math"].heldout}
    equal = [whole.get(example.id) == example.answer for example in every["math500"].heldout]
    assert sum(equal) >= 498  # the others differ in a space


def test_choices_are_listed_and_graded_by_their_letter(every):
    task = every["sat_math"]
    example = task.heldout[17]
    (message,) = example.prompt
    assert re.search(r"\nAnswer Choices: \(A\) .* \(B\) .* \(C\) .* \(D\) ", message["content"])
    right, wrong = example.answer, "B" if example.answer != "B" else "C"
    grades = task.grade_all([(example, f"\\boxed{{{letter}}}") for letter in (right, wrong)])
    assert [grade.reward for grade in grades] == [1.0, 0.0]
    assert task.grade(example, f"The answer is ({right}).").lenient is True
    assert task.same_answers(example, ["A", "B", "A"]) == [0, 1, 0]
    for alike in ("mmlu_stem", "sat_math"):
        assert all(len(task._heldout[1][e.id].options) == 4 for task in (every[alike],) for e in task.heldout)


def test_equal_answers_share_a_vote(every):
    task = every["math500"]
    assert task.same_answers(task.heldout[0], ["\\frac{1}{2}", "0.5", "2", "\\dfrac12"]) == [0, 0, 2, 0]


def test_experts_end_in_a_box_with_the_answer(every):
    for name in ("math", "aime24", "gsm8k"):
        task = every[name]
        assert task.demonstration_sources == {"expert"}
        pairs = [(e, task.demonstrate(e, "expert", 3, seed=1)[0]) for e in task.train[::25] if e.answer]
        assert all("\\boxed" in solution for _, solution in pairs)
        assert sum(grade.correct for grade in task.grade_all(pairs)) == len(pairs)
        assert task.demonstrate(task.train[0], "expert", 0, 0) == () == task.demonstrate(task.train[0], "teacher", 2, 0)
    assert every["dapo_math"].demonstration_sources == every["amc23"].demonstration_sources == frozenset()
    assert every["dapo_math"].demonstrate(every["dapo_math"].train[0], "expert", 1, 0) == ()


def test_dev_splits_keep_equal_questions_together(every):
    task = every["dapo_math"]
    keys = {task.leak_key(example) for example in task.train}
    assert len(keys) == 13386  # of 14,116
    assert {every["gsm8k"].leak_key(e) == e.id for e in (*every["gsm8k"].train, *every["gsm8k"].heldout)} == {True}
    dev = DevSplit(replace(task, train_examples=None), 0.1)
    assert not {task.leak_key(e) for e in dev.train} & {task.leak_key(e) for e in dev.heldout}


def test_tasks_without_training_data_have_none_and_take_no_setting_for_it(every):
    assert every["amc23"].train == ()
    with pytest.raises(ValueError, match=r"amc23: train_examples = 5; allowed: null, as it has no training data"):
        type(every["amc23"])(train_examples=5)
    with pytest.raises(ValueError, match=r"minerva: teacher_file = 'x'; allowed: null"):
        type(every["minerva"])(teacher_file="x")
    assert len(replace(every["math"], train_examples=100).train) == 100


def test_a_worker_process_can_be_handed_one(every):
    again = pickle.loads(pickle.dumps(every["sat_math"]))
    assert again == every["sat_math"] and again.heldout == every["sat_math"].heldout


# ------------------------------------------------------------------------------------------------------------ teachers


@pytest.mark.parametrize(
    ("name", "file", "answered", "share"),
    [
        ("gsm8k", "gsm8k_gpt35_solutions_1000.parquet", 622, 0.9),
        ("math", "math_train128_qwen3_8b_base_samples.parquet", 128, 0.3),
    ],
)
def test_real_teachers(data_folder, name, file, answered, share):
    task = tasks.load()[name](folder=str(data_folder), teacher_file=str(data_folder / "teacher" / file))
    assert task.demonstration_sources == {"expert", "teacher"}
    shown = [(example, task.demonstrate(example, "teacher", 99, 0)) for example in task.train]
    shown = [(example, texts) for example, texts in shown if texts]
    assert len(shown) == answered
    pairs = [(example, texts[0]) for example, texts in shown]
    right = sum(grade.correct for grade in task.grade_all(pairs))
    assert share < right / len(pairs) < 1
    assert all(task.demonstrate(example, "teacher", 2, 0) == () for example in task.heldout[:50])
    example, texts = max(shown, key=lambda item: len(item[1]))
    for seed in (0, 1):
        few = task.demonstrate(example, "teacher", 2, seed)
        assert few == task.demonstrate(example, "teacher", 99, seed)[:2]
        assert sorted(task.demonstrate(example, "teacher", 99, seed)) == sorted(texts)
    if len(texts) > 2:
        assert task.demonstrate(example, "teacher", 99, 0) != task.demonstrate(example, "teacher", 99, 1)


def test_teacher_files_of_ones_own(tmp_path):
    write(tmp_path / "math_train.jsonl", [{"problem": "1 + 1 =", "solution": "\\boxed{2}"}])
    task = tasks.load()["math"]
    for rows in (
        [{"question": "1+1=", "response": "two\n#### 2"}],
        [{"question": "1+1=", "responses": ["two\n### 2"]}],
        [{"prompt": json.dumps([{"role": "user", "content": "1 + 1="}]), "output": json.dumps(["two\n#### 2 \n"])}],
    ):
        write(tmp_path / "teacher.jsonl", rows)
        one = task(folder=str(tmp_path), teacher_file=str(tmp_path / "teacher.jsonl"))
        assert one.demonstrate(one.train[0], "teacher", 4, 0) == ("two\n\\boxed{2}",)
    write(tmp_path / "teacher.jsonl", [{"question": "2+2=", "response": "4"}])
    one = task(folder=str(tmp_path), teacher_file=str(tmp_path / "teacher.jsonl"))
    with pytest.raises(TaskDataError, match=r"math: teacher_file = .* answers none of its training questions"):
        one.demonstrate(one.train[0], "teacher", 1, 0)
    for name, said in (("none.jsonl", "expected an existing .parquet or .jsonl"), ("teacher.jsonl", "has no column")):
        write(tmp_path / "teacher.jsonl", [{"q": "2+2="}])
        one = task(folder=str(tmp_path), teacher_file=str(tmp_path / name))
        with pytest.raises(TaskDataError, match=said):
            one.demonstrate(one.train[0], "teacher", 1, 0)


# ------------------------------------------------------------------------------------------------------ bad files, Hub


def write(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "file", "row", "said"),
    [
        ("math", "math_test", {"problem": "?", "solution": "no box"}, "math test, row 1: solution ends in 'no box'"),
        ("math", "math_test", {"problem": "?"}, "has no column solution; found: problem; expected: problem, solution"),
        ("olympiadbench", "olympiadbench_test", {"question": "?", "final_answer": "[1"}, "olympiadbench test, row 1: "),
        ("olympiadbench", "olympiadbench_test", {"question": "?", "final_answer": "1"}, "row 1: 1 is no list"),
        ("sat_math", "sat_math_test", {"question": "?", "options": "A) 1", "Answer": "A"}, "expected A) ... B) ..."),
        (
            "sat_math", "sat_math_test", {"question": "?", "options": "A) 1 B) 2 C) 3 D) 4", "Answer": "E"},
            "Answer is 'E'; expected one of A, B, C, D",
        ),
        ("amc23", "amc23_test", {"question": "?", "answer": [1]}, "row 1: answer is list [1]; expected a number or an"),
        ("aime25", "aime25_test", {"problem": "?", "reply": 1}, "expected: question, answer; or problem, answer."),
        ("tabmwp", "tabmwp_test", {"question": "?", "answer": "1"}, "has no column table, table_title, choices"),
    ],
)  # fmt: skip
def test_bad_rows_are_told_by_file_row_and_column(tmp_path, name, file, row, said):
    for ending in ("jsonl", "parquet"):
        folder = tmp_path / ending
        folder.mkdir()
        write(folder / f"{file}.{ending}", [row])
        with pytest.raises(TaskDataError) as raised:
            _ = tasks.load()[name](folder=str(folder)).heldout
        assert said in str(raised.value) and f"{file}.{ending}" in str(raised.value)


class FakeDataset:
    def __init__(self, rows):
        self.rows, self.column_names = rows, list(rows[0])

    def select_columns(self, names):
        return FakeDataset([{name: row[name] for name in names} for row in self.rows])

    def to_list(self):
        return self.rows


SOLVED = {"problem": "Q?", "solution": "It is \\boxed{7}.", "level": "Level 1", "type": "Algebra"}
TABLE = {
    "question": "Q?", "table": "a | b", "table_title": None, "choices": ["7", "8"], "answer": "7", "unit": None,
}  # fmt: skip
# task: rows as its held-out set has them on the Hub, the question, the answer
ON_THE_HUB = {
    "aime24": ({"id": 1, "problem": "Q?", "solution": "s", "answer": "007"}, "Q?", "007"),
    "aime25": ({"problem": "Q?", "answer": "7", "id": "0"}, "Q?", "7"),
    "aime26": ({"problem_idx": 1, "problem": "Q?", "answer": 7}, "Q?", "7"),
    "amc23": ({"id": 0, "question": "Q?", "answer": "7", "url": ""}, "Q?", "7"),
    "college_math": ({"question": "Q?", "answer": "$7$", "license": ""}, "Q?", "7"),
    "dapo_math": ({"id": 1, "problem": "Q?", "solution": "s", "answer": "007"}, "Q?", "007"),
    "gaokao2023en": ({"question": "Q?", "answer": "$7$"}, "Q?", "7"),
    "gsm8k": ({"question": "Q?", "answer": "So\n#### 7"}, "Q?", "7"),
    "math": (SOLVED, "Q?", "7"),
    "math500": ({**SOLVED, "answer": "7", "unique_id": "x"}, "Q?", "7"),
    "mawps": ({"question": "Q?", "result": "7", "result_float": 7.0}, "Q?", "7"),
    "minerva": ({"question": "Q?", "answer": "7"}, "Q?", "7"),
    "mmlu_stem": ({"question": "Q?", "subject": "astronomy", "choices": list("wxyz"), "answer": 1}, "Q?", "B"),
    "olympiadbench": ({"id": 1, "question": "Q?", "final_answer": ["$7$"], "context": None}, "Q?", "7"),
    "sat_math": ({"query": "Q: Q? Answer Choices: (A)1", "choices": ["(A)1", "(B)2"], "gold": [1]}, "Q?", "B"),
    "svamp": ({"Body": "A fact", "Question": "Q?", "Answer": "7.0"}, "A fact. Q?", "7.0"),
    "tabmwp": (TABLE, None, "7"),
}


@pytest.fixture
def hub(monkeypatch):
    """Serves `rows` for every set, and remembers what was asked for."""
    served = types.SimpleNamespace(rows=[], calls=[])

    def load_dataset(*args, **kwargs):
        served.calls.append((*args, kwargs["split"], kwargs["revision"]))
        return FakeDataset(served.rows)

    monkeypatch.delenv("GROUPBENCH_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return served


@pytest.mark.parametrize("name", NAMES)
def test_every_set_loads_from_the_hub_by_its_columns_and_pin(hub, monkeypatch, name):
    monkeypatch.setattr(MathProblems, "_check_pin", lambda self, hub, examples: None)
    row, question, answer = ON_THE_HUB[name]
    hub.rows = [row]
    task = tasks.load()[name]()
    declared = task.evaluation.hub
    assert {example.answer for example in task.heldout} == {answer}
    assert hub.calls == [(declared.id, config, declared.split, declared.revision) for config in declared.configs]
    assert re.fullmatch(r"[0-9a-f]{40}", declared.revision) or declared.revision == "main"
    assert question is None or task.question(task.heldout[0]) == question


def test_training_sets_on_the_hub(hub, monkeypatch):
    monkeypatch.setattr(MathProblems, "_check_pin", lambda self, hub, examples: None)
    hub.rows = [{"Question": "Old?", "Answer": 7, "Year": 1983}, {"Question": "New?", "Answer": 8, "Year": 2024}]
    aime = tasks.load()["aime25"]()
    assert [example.answer for example in aime.train] == ["7"]  # not 2024, which is an evaluation set
    assert aime.demonstrate(aime.train[0], "expert", 1, 0) == ()  # that table has no solutions
    hub.rows = [{"prompt": "Q?", "solution": "7"}]
    dapo = tasks.load()["dapo_math"]()
    assert dapo.question(dapo.train[0]) == "Q?" and dapo.train[0].answer == "7"
    hub.rows = [SOLVED]
    assert len(tasks.load()["math"]().train) == 7  # one configuration a subject


def test_a_set_on_the_hub_that_is_not_the_declared_one_is_refused(hub):
    hub.rows = [{"question": "Q?", "answer": "7"}]
    with pytest.raises(TaskDataError, match=r"minerva: math-ai/minervamath .* gives examples = 1; expected 272: it is"):
        _ = tasks.load()["minerva"]().heldout
    hub.rows = [{"question": f"Q{n}?", "answer": "7"} for n in range(2818)]
    with pytest.raises(
        TaskDataError, match=r"college_math: .*revision main\) gives fingerprint = .*; expected 8117189f"
    ):
        _ = tasks.load()["college_math"]().heldout
    hub.rows = [{"question": "Q?", "answer": "#### 7"}]
    with pytest.raises(TaskDataError, match=r"gsm8k: openai/gsm8k .*expected 1319"):
        _ = tasks.load()["gsm8k"]().heldout
    assert len(tasks.load()["gsm8k"](hub_id="mine/gsm8k").heldout) == 1  # whoever names another set gets it


def test_pins_in_words():
    assert Hub("a/b", "test", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be").pin == "commit 6e4ed1a2"
    assert Hub("a/b", "test", fingerprint="8117189ff5").pin == "content 8117189f" and Hub("a/b", "test").pin == "none"
