"""Instructions to train on: whatever columns a set has, its prompts and responses are found."""

import json

import pytest

from tasks.base import TaskDataError
from tasks.instructions import Instructions

HUMAN = [{"from": "human", "value": "Q{n}"}, {"from": "gpt", "value": "A{n}"}, {"from": "human", "value": "more"}]
CHAT = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "Q{n}"},
    {"role": "assistant", "content": "A{n}"},
]
LAYOUTS = {
    "pairs": {"prompt": "Q{n}", "chosen": "A{n}", "rejected": "B{n}"},
    "binarized": {
        "prompt": "Q{n}",
        "chosen": CHAT[1:],
        "rejected": [CHAT[1], {"role": "assistant", "content": "B{n}"}],
    },
    "alpaca": {"instruction": "Q{n}", "input": "I", "output": "A{n}"},
    "dolly": {"instruction": "Q{n}", "context": "", "response": "A{n}"},
    "sharegpt": {"conversations": HUMAN},
    "json": {"conversations": json.dumps(HUMAN)},
    "messages": {"messages": CHAT},
    "prompts": {"prompt": "Q{n}"},
    "braces": {"prompt": "{{not json {n}"},
}


def write(path, row, count=40):
    rows = [json.loads(json.dumps(row).replace("{n}", str(n))) for n in range(count)]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return Instructions(file=str(path), heldout_share=0.3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    task = write(tmp_path / "set.jsonl", LAYOUTS[layout])
    examples = [*task.train, *task.heldout]
    assert len(examples) == 40 and task.train and task.heldout and len({e.id for e in examples}) == 40
    last = {e.prompt[-1]["content"] for e in examples}
    ends = {"alpaca": "\n\nI"}.get(layout, "")
    assert last == (
        {f"{{{{not json {n}" for n in range(40)} if layout == "braces" else {f"Q{n}{ends}" for n in range(40)}
    )
    first = examples[0]
    number = first.prompt[-1]["content"].removesuffix(ends)[1:]
    experts, teachers = (task.demonstrate(first, source, 3, 0) for source in ("expert", "teacher"))
    assert experts == (() if layout in ("prompts", "braces") else (f"A{number}",))
    assert teachers == ((f"B{number}",) if layout in ("pairs", "binarized") else ())
    if layout == "messages":
        assert first.prompt[0] == {"role": "system", "content": "S"}
        assert task.instruction(first) == f"System: S\n\nUser: Q{number}"


def test_long_and_repeated_prompts_are_left_out_and_a_limit_is_a_fixed_subset(tmp_path):
    path = tmp_path / "set.jsonl"
    rows = [{"instruction": f"Q{n % 30}" + "x" * (n % 7 == 0) * 50, "input": "", "output": f"A{n}"} for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = Instructions(file=str(path), max_prompt_chars=20, heldout_share=0.3)
    ids = [e.id for e in (*whole.train, *whole.heldout)]
    prompts = {e.prompt[0]["content"] for e in (*whole.train, *whole.heldout)}
    assert prompts == {f"Q{n % 30}" for n in range(60) if n % 7} and len(ids) == len(prompts)
    some = Instructions(file=str(path), max_prompt_chars=20, heldout_share=0.3, limit=10)
    assert len(some.train) + len(some.heldout) == 10
    assert {e.id for e in some.train} <= {e.id for e in whole.train} and {e.id for e in some.heldout} <= {
        e.id for e in whole.heldout
    }
    (repeated,) = [e for e in (*whole.train, *whole.heldout) if e.prompt[0]["content"] == "Q1"]
    assert whole.demonstrate(repeated, "expert", 5, 0) == ("A1",)  # its first row's


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"question": "Q"}', "has no column .*found: question; expected"),
        ('{"messages": [{"role": "assistant", "content": "A"}]}', "row 1: messages has no user's turn"),
        ('{"prompt": "  "}', "row 1: prompt is empty"),
        ('{"instruction": "' + "x" * 3000 + '", "output": "A"}', "no prompt of at most max_prompt_chars = 2000"),
    ],
)
def test_what_cannot_be_read(tmp_path, content, said):
    path = tmp_path / "set.jsonl"
    path.write_text(content + "\n")
    with pytest.raises(TaskDataError, match=said):
        _ = Instructions(file=str(path)).train


def test_bad_parameters(tmp_path):
    for parameters, said in (
        ({"data": "alpacca"}, "data = 'alpacca'; allowed: ultrafeedback"),
        ({"heldout_share": 0}, "heldout_share = 0; allowed"),
        ({"limit": 1}, "limit = 1; allowed: at least 2"),
        ({"max_prompt_chars": 0}, "max_prompt_chars = 0; allowed"),
    ):
        with pytest.raises(ValueError, match=said):
            Instructions(**parameters)
    with pytest.raises(TaskDataError, match=r"does not exist; expected a \.parquet"):
        _ = Instructions(file=str(tmp_path / "none.jsonl")).train


def test_no_verifier(tmp_path):
    task = write(tmp_path / "set.jsonl", LAYOUTS["alpaca"])
    grade = task.grade(task.train[0], "An answer.")
    assert (grade.correct, grade.extracted, grade.gold) == (None, "An answer.", None) and not task.graded
    assert task.grade(task.train[0], " \n").extracted is None


def test_real_sets(data_folder, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    ultra = Instructions(data="ultrafeedback-cleaned", limit=100)
    assert len(ultra.train) + len(ultra.heldout) == 100
    both = [ultra.demonstrate(e, "expert", 1, 0) + ultra.demonstrate(e, "teacher", 1, 0) for e in ultra.train]
    assert all(len(set(texts)) == 2 for texts in both)
    assert len(Instructions(data="dolly").train) > 2000
