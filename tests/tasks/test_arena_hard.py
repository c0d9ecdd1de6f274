"""Arena-Hard: its questions and baselines, from the data folder, from upstream's files and from the Hub."""

from __future__ import annotations

import json
import sys
import types
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tasks import TaskDataError
from tasks.arena_hard import ArenaHard
from tasks.data import fingerprint

HARD = ("hard_prompt",)


@pytest.fixture(scope="module")
def folder(data_folder):
    return data_folder / "arena_hard"


@pytest.fixture(scope="module")
def first(data_folder):
    return ArenaHard(folder=str(data_folder))


@pytest.fixture(scope="module")
def second(data_folder):
    return ArenaHard(folder=str(data_folder), version="v2.0", categories=HARD)


def answers(path, model):
    table = pq.read_table(path)
    chosen = table.filter(pc.equal(table["model"], model)).to_pylist()
    return {row["uid"]: row["answer"] for row in chosen}


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_the_500_questions_of_v01(first, folder):
    rows = pq.read_table(folder / "v0.1_questions.parquet").to_pylist()
    stored = answers(folder / "v0.1_answers_official_models.parquet", "gpt-4-0314")
    assert len(first.heldout) == 500 == first.hub.examples and first.train == ()
    assert fingerprint(first.heldout).startswith("ee12628b036e")
    for example, row in zip(first.heldout, rows, strict=True):
        assert example.id == row["uid"] and example.answer == stored[row["uid"]]
        assert first.instruction(example) == row["prompt"]
        assert first.opponent(example) == "gpt-4-0314" and first.category(example) == "arena-hard-v0.1"
    assert first.opponents == ("gpt-4-0314",)


def test_questions_and_baseline_are_those_that_real_judges_were_shown(first, folder):
    shown = pq.read_table(folder / "v0.1_raw_judgments_partial.parquet", columns=["uid", "game", "user_prompt"])
    by_id = {example.id: example for example in first.heldout}
    for row in shown.to_pylist():
        example, side = by_id[row["uid"]], "AB"[row["game"]]
        assert f"<|User Prompt|>\n{first.instruction(example)}\n\n" in row["user_prompt"]
        assert f"<|The Start of Assistant {side}'s Answer|>\n{example.answer}\n<|The End" in row["user_prompt"]
    assert shown.num_rows == 1318


def test_the_500_hard_prompts_of_v2(second, folder):
    stored = answers(folder / "v2.0_baseline_o3-mini-2025-01-31.parquet", "o3-mini-2025-01-31")
    assert len(second.heldout) == 500 and second.hub.examples == 750
    assert fingerprint(second.heldout).startswith("972a82324e2f")
    assert all(example.answer == stored[example.id] for example in second.heldout)
    assert Counter(map(second.category, second.heldout)) == {"hard_prompt": 500}
    assert second.opponents == ("o3-mini-2025-01-31",)


def test_the_official_prompts(first, second, data_folder, tmp_path):
    prompt = first.judge_prompt(first.heldout[0])
    assert (prompt.name, prompt.judge) == ("arena-hard-v0.1/arena-hard-v0.1", "gpt-4-1106-preview")
    assert second.judge_prompt(second.heldout[0]).name == "arena-hard-v2.0/hard_prompt"
    settings = json.loads((prompt.place / "judge_settings.json").read_text())
    for task in (first, second):  # the baselines are upstream's
        assert {settings[task.category(example)]["baseline"] for example in task.heldout} == set(task.opponents)
    assert settings["creative_writing"]["baseline"] == ArenaHard(version="v2.0").opponents[1] == "gemini-2.0-flash-001"
    upstream_copy(tmp_path)
    one = ArenaHard(folder=str(tmp_path))
    assert one.judge_prompt(one.heldout[0]).place is None


def test_protocols_are_upstreams():
    default = next(iter(ArenaHard.protocols.values()))
    assert (default.samples, default.temperature, default.max_tokens) == (1, 0.0, 4096)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"version": "v1"}, "arena_hard: version = 'v1'; allowed: 'v0.1' or 'v2.0'"),
        ({"categories": HARD}, "categories = ['hard_prompt']; allowed in v0.1: some of arena-hard-v0.1, or null"),
        ({"version": "v2.0", "categories": ()}, "categories = []; allowed in v2.0: some of hard_prompt, creative_writ"),
    ],
)
def test_bad_parameters(parameters, said):
    with pytest.raises(ValueError) as raised:
        ArenaHard(**parameters)
    assert said in str(raised.value)


# --------------------------------------------------------------------------------------------------- upstream's files

QUESTIONS = [{"uid": name, "category": "arena-hard-v0.1", "cluster": "x", "prompt": f"{name}?"} for name in "abc"]


def answer(uid, text="Yes.", model="gpt-4-0314"):
    content = {"answer": text}
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": content}]
    return {"uid": uid, "ans_id": "x", "model": model, "messages": messages, "tstamp": 1.0}


def upstream_copy(folder, questions=QUESTIONS, answered="cab", row=answer):
    lines(folder / "data" / "arena-hard-v0.1" / "question.jsonl", questions)
    path = folder / "data" / "arena-hard-v0.1" / "model_answer" / "gpt-4-0314.jsonl"
    lines(path, [row(uid, f"To {uid}.") for uid in answered])
    return path


def old(uid, text):
    turns = [{"content": text, "token_len": 2}]
    return {"question_id": uid, "model_id": "gpt-4-0314", "choices": [{"index": 0, "turns": turns}], "tstamp": 1.0}


def plain(uid, text):
    return {**answer(uid), "messages": [{"role": "assistant", "content": text}]}


@pytest.mark.parametrize("row", [answer, old, plain])
def test_a_copy_of_upstreams_repository(tmp_path, row):
    upstream_copy(tmp_path, row=row)
    for place in (tmp_path, tmp_path / "data", tmp_path / "data" / "arena-hard-v0.1"):
        task = ArenaHard(folder=str(place))
        assert [(e.id, task.instruction(e), e.answer) for e in task.heldout] == [
            ("a", "a?", "To a."), ("b", "b?", "To b."), ("c", "c?", "To c."),
        ]  # fmt: skip


def test_a_copy_of_upstreams_repository_in_the_shared_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(tmp_path))
    upstream_copy(tmp_path / "arena_hard")
    assert [example.answer for example in ArenaHard().heldout] == ["To a.", "To b.", "To c."]
    assert list(ArenaHard().questions_at_hand()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        ({"answered": "ab"}, "gpt-4-0314 answers 2 of the 3 questions; without an answer is c: 'c?'"),
        ({"questions": [{**QUESTIONS[0], "category": "math"}]}, "has the category 'math'; v0.1 has arena-hard-v0.1"),
        (
            {"questions": [*QUESTIONS, {**QUESTIONS[0], "prompt": "d?"}]},
            "instruction 4 has the id of an earlier one, 'a'",
        ),
        ({"questions": [{**QUESTIONS[0], "uid": "c"}, *QUESTIONS]}, "instructions 1 and 2 are the same, 'a?'"),
        (
            {"row": lambda uid, text: {**answer(uid), "messages": []}},
            "row 1: messages holds no answer, []; expected te",
        ),
        ({"row": lambda uid, text: answer(uid, None)}, "row 1: messages holds no answer, [{'role'"),
        ({"row": lambda uid, text: answer(uid, model="gpt-4-0613")}, "gpt-4-0314 answers 0 of the 3 questions"),
        ({"row": lambda uid, text: {"uid": uid}}, "the answers of gpt-4-0314, the baseline of arena-hard-v0.1, are ne"),
    ],
)
def test_bad_files(tmp_path, copy, said):
    upstream_copy(tmp_path, **copy)
    with pytest.raises(TaskDataError) as raised:
        _ = ArenaHard(folder=str(tmp_path)).heldout
    assert str(raised.value).startswith("arena_hard: ") and said in str(raised.value)


# ------------------------------------------------------------------------------------------------------------- the Hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The repository's files that lie in a folder; what was asked for."""
    calls = []

    def hf_hub_download(repository, file, *, repo_type, revision):
        calls.append((repository, file, repo_type, revision))
        if not (tmp_path / file).exists():
            raise ConnectionError("no route")
        return str(tmp_path / file)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=hf_hub_download))
    return types.SimpleNamespace(folder=tmp_path, calls=calls)


def test_the_missing_baseline_of_v2_is_told_with_what_leaves_it_out(hub, data_folder, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    with pytest.raises(TaskDataError) as raised:
        _ = ArenaHard(version="v2.0").heldout
    said = str(raised.value)
    assert "the answers of gemini-2.0-flash-001, the baseline of creative_writing, are needed" in said
    assert "ConnectionError: no route" in said and "arena_hard/v2.0_baseline_gemini-2.0-flash-001.parquet" in said
    assert said.endswith("`categories: [hard_prompt]` asks the others alone.")
    assert ArenaHard(version="v2.0", categories=HARD).heldout


def test_v2_is_whole_once_the_hub_gives_its_second_baseline(hub, data_folder, folder, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    rows = pq.read_table(folder / "v2.0_questions.parquet").to_pylist()
    creative = [row["uid"] for row in rows if row["category"] == "creative_writing"]
    file = "data/arena-hard-v2.0/model_answer/gemini-2.0-flash-001.jsonl"
    lines(hub.folder / file, [answer(uid, "Once.", "gemini-2.0-flash-001") for uid in creative])
    whole = ArenaHard(version="v2.0")
    assert Counter(map(whole.opponent, whole.heldout)) == {"o3-mini-2025-01-31": 500, "gemini-2.0-flash-001": 250}
    assert [example.id for example in whole.heldout] == [row["uid"] for row in rows]
    assert {example.answer for example in whole.heldout if whole.category(example) == "creative_writing"} == {"Once."}
    revision = "15f3746e21432264ce9b453999bde4f3c946d2e6"
    assert hub.calls == [("lmarena-ai/arena-hard-auto", file, "dataset", revision)]


def test_the_hub_must_give_all_questions_at_the_revision(hub, monkeypatch):
    monkeypatch.delenv("GROUPBENCH_DATA", raising=False)
    upstream_copy(hub.folder)
    with pytest.raises(TaskDataError, match=r"arena_hard: lmarena-ai.* has 3 questions; expected 500"):
        _ = ArenaHard().heldout
    many = [{**QUESTIONS[0], "uid": f"{n:032}", "prompt": f"{n}?"} for n in range(500)]
    upstream_copy(hub.folder, questions=many, answered=[row["uid"] for row in many])
    assert len(ArenaHard().heldout) == 500
    lines(hub.folder / "data" / "arena-hard-v2.0" / "question.jsonl", many)
    with pytest.raises(TaskDataError, match=r"has the sha256 .* expected 6cfe75abb0e09cd3"):
        _ = ArenaHard(version="v2.0").heldout


def test_questions_at_hand_need_neither_answers_nor_a_network(hub, tmp_path, monkeypatch, folder):
    monkeypatch.setenv("GROUPBENCH_DATA", str(tmp_path))
    assert ArenaHard().questions_at_hand() is None
    (tmp_path / "arena_hard").mkdir()
    pq.write_table(pa.Table.from_pylist(QUESTIONS), tmp_path / "arena_hard" / "v0.1_questions.parquet")
    assert ArenaHard().questions_at_hand() == {"a": "a?", "b": "b?", "c": "c?"} and not hub.calls
    assert len(ArenaHard(folder=str(folder.parent)).questions_at_hand()) == 500
