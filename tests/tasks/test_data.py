import hashlib
import json
import os
import re
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.base import Example, TaskDataError
from tasks.data import Hub, content_ids, fingerprint, fixed_subset, load_rows
from tasks.files import file_rows

ROOT = Path(__file__).parents[2]

COLUMNS = {"question": str, "answer": str}
ROW = {"question": "How many?", "answer": "7", "extra": 1}
HUB = Hub("someone/sums", "train", "abc", ("main",))


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("GROUPBENCH_DATA", raising=False)


def load(folder, columns=COLUMNS):
    return load_rows(
        hub=HUB,
        folder=None if folder is None else str(folder),
        file_patterns=("train-*.parquet", "train.jsonl"),
        shared_file_patterns=("sums/train.jsonl",),
        columns=[columns],
    ).rows


def write_jsonl(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path.parent


def write_parquet(folder, columns, name="train-0.parquet"):
    pq.write_table(pa.table(columns), folder / name)
    return folder


def fake_hub(monkeypatch, result):
    calls = []

    def load_dataset(*args, **kwargs):
        calls.append((args, kwargs))
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return calls


class Dataset:
    def __init__(self, rows):
        self.rows = rows
        self.column_names = list(rows[0]) if rows else list(COLUMNS)

    def select_columns(self, names):
        return Dataset([{name: row[name] for name in names} for row in self.rows])

    def to_list(self):
        return self.rows


def error(*arguments, **keywords):
    with pytest.raises(TaskDataError) as raised:
        load(*arguments, **keywords)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_jsonl_and_parquet_give_the_same_rows_and_only_the_columns(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    write_jsonl(one / "train.jsonl", ROW, {"question": "U+2028: \u2028?", "answer": "8"})
    two.mkdir()
    write_parquet(two, {"answer": ["7", "8"], "extra": [1, 2], "question": ["How many?", "U+2028: \u2028?"]})
    expected = [{"question": "How many?", "answer": "7"}, {"question": "U+2028: \u2028?", "answer": "8"}]
    assert load(one) == load(two) == expected


def test_jsonl_may_have_a_byte_order_mark_blank_lines_and_windows_line_ends(tmp_path):
    line = json.dumps(ROW, ensure_ascii=False).encode()
    (tmp_path / "train.jsonl").write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n" + line + b"\r\n")
    assert len(load(tmp_path)) == 2
    (tmp_path / "train.jsonl").write_text(json.dumps({"question": "a\u2028b", "answer": "c"}, ensure_ascii=False))
    assert load(tmp_path) == [{"question": "a\u2028b", "answer": "c"}]


def test_the_named_folder_goes_before_the_variable_and_the_variable_before_the_hub(tmp_path, monkeypatch):
    calls = fake_hub(monkeypatch, Dataset([{"question": "hub", "answer": "1"}]))
    named = write_jsonl(tmp_path / "named" / "train.jsonl", {"question": "named", "answer": "1"})
    shared = write_jsonl(tmp_path / "shared" / "sums" / "train.jsonl", {"question": "shared", "answer": "1"}).parent
    monkeypatch.setenv("GROUPBENCH_DATA", str(shared))
    assert load(named)[0]["question"] == "named"
    assert load(None)[0]["question"] == "shared"
    assert not calls
    # a generic name in a folder of many datasets is not known to be this one's
    monkeypatch.setenv("GROUPBENCH_DATA", str(named))
    assert load(None)[0]["question"] == "hub"
    monkeypatch.setenv("GROUPBENCH_DATA", "")
    assert load(None)[0]["question"] == "hub"
    assert calls[0] == (("someone/sums", "main"), {"split": "train", "revision": "abc"}) and len(calls) == 2


def test_reading_a_folder_needs_no_datasets_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert load(write_parquet(tmp_path, {"question": ["q"], "answer": ["a"]}))


def test_missing_folder(tmp_path):
    message = error(tmp_path / "none")
    assert f"folder = '{tmp_path}/none' does not exist" in message
    assert "expected a folder that holds sums/train.jsonl or train-*.parquet or train.jsonl" in message


def test_unset_variable_in_the_folder_is_shown_as_it_is():
    assert "folder = '$NO_SUCH_VARIABLE/x' does not exist" in error("$NO_SUCH_VARIABLE/x")


def test_missing_shared_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(tmp_path / "none"))
    assert f"GROUPBENCH_DATA = '{tmp_path}/none' does not exist" in error(None)


def test_a_file_in_place_of_a_folder(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", ROW)
    assert "train.jsonl' is a file, not a folder; expected a folder" in error(tmp_path / "train.jsonl")


def test_a_folder_without_the_file_shows_what_it_holds(tmp_path):
    assert "holds no files; expected one file sums/train.jsonl or" in error(tmp_path)
    write_jsonl(tmp_path / "b" / "test.jsonl", ROW)
    write_jsonl(tmp_path / "a.txt", ROW)
    assert "holds a.txt, b/test.jsonl; expected one file" in error(tmp_path)
    for number in range(30):
        write_jsonl(tmp_path / f"c{number:02}.jsonl", ROW)
    message = error(tmp_path)
    assert "c10.jsonl, and more; expected" in message and "c11" not in message


def test_ambiguous_files(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", ROW)
    write_parquet(tmp_path, {"question": ["q"], "answer": ["a"]}, "train-00000-of-00001.parquet")
    message = error(tmp_path)
    assert "is ambiguous: train-00000-of-00001.parquet, train.jsonl all match; expected exactly one" in message


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a parquet file at all, but some text"])
def test_corrupt_parquet(tmp_path, content):
    (tmp_path / "train-0.parquet").write_bytes(content)
    message = error(tmp_path)
    assert f"{tmp_path}/train-0.parquet cannot be read (" in message and "expected a readable parquet file" in message


def test_parquet_with_damaged_pages(tmp_path):
    write_parquet(tmp_path, {"question": ["why " * 500] * 9, "answer": [str(n) for n in range(9)]})
    content = bytearray((tmp_path / "train-0.parquet").read_bytes())
    content[4:60] = b"\xff" * 56
    (tmp_path / "train-0.parquet").write_bytes(content)
    assert "train-0.parquet cannot be read (" in error(tmp_path)


def test_corrupt_jsonl(tmp_path):
    (tmp_path / "train.jsonl").write_text(json.dumps(ROW) + "\n{'question': 1}\n")
    message = error(tmp_path)
    assert "train.jsonl cannot be read (line 2: " in message and "expected one JSON object a line, in UTF-8" in message
    (tmp_path / "train.jsonl").write_bytes(b'{"question": "\xff"}')
    assert "train.jsonl cannot be read ('utf-8' codec" in error(tmp_path)
    (tmp_path / "train.jsonl").write_text("[" * 200_000)
    assert "train.jsonl cannot be read (line 1: " in error(tmp_path)


def test_missing_column(tmp_path):
    (tmp_path / "parquet").mkdir()
    message = error(write_parquet(tmp_path / "parquet", {"question": ["q"], "solution": ["a"]}))
    assert "train-0.parquet has no column answer; found: question, solution; expected: question, answer." in message
    message = error(write_jsonl(tmp_path / "jsonl" / "train.jsonl", ROW, {"question": "q"}))
    assert "train.jsonl, row 2 has no column answer; found: question; expected: question, answer." in message
    assert "row 1 has no column question, answer; found: none" in error(write_jsonl(tmp_path / "c" / "train.jsonl", {}))


def test_no_rows(tmp_path, monkeypatch):
    (tmp_path / "parquet").mkdir()
    strings = pa.array([], pa.string())
    message = error(write_parquet(tmp_path / "parquet", {"question": strings, "answer": strings}))
    assert "train-0.parquet has no rows; expected at least one, with the columns question, answer." in message
    assert "train.jsonl has no rows" in error(write_jsonl(tmp_path / "jsonl" / "train.jsonl"))
    fake_hub(monkeypatch, Dataset([]))
    assert "someone/sums (train) has no rows" in error(None)


@pytest.mark.parametrize(
    ("kind", "cell", "found"),
    [
        (str, None, "answer is null; expected text."),
        (str, 7, "answer is int 7; expected text."),
        (str, ["7"], "answer is list ['7']; expected text."),
        (int, "7", "answer is str '7'; expected an integer."),
        (int, True, "answer is bool True; expected an integer."),
        (float, "x" * 999, "answer is str 'xxx"),
    ],
)
def test_cells_of_a_wrong_type(tmp_path, kind, cell, found):
    right = {str: "7", int: 7, float: 7.0}[kind]
    rows = [{"question": "q", "answer": right}, {"question": "q", "answer": cell}]
    message = error(write_jsonl(tmp_path / "train.jsonl", *rows), columns={"question": str, "answer": kind})
    assert f"train.jsonl, row 2: {found}" in message and len(message) < len(str(tmp_path)) + 200
    if not isinstance(cell, list):
        (tmp_path / "parquet").mkdir()
        folder = write_parquet(tmp_path / "parquet", {"question": ["q"], "answer": [cell]})
        assert f"train-0.parquet, row 1: {found}" in error(folder, columns={"question": str, "answer": kind})


@pytest.mark.parametrize("row", [[1], "text", 3, None])
def test_a_row_that_is_no_object(tmp_path, row):
    assert f"row 1 is {type(row).__name__}; expected an object with" in error(
        write_jsonl(tmp_path / "train.jsonl", row)
    )


def test_the_hub_out_of_reach(tmp_path, monkeypatch):
    fake_hub(monkeypatch, ConnectionError("no route\nto host."))
    message = error(None)
    assert message.startswith("someone/sums (config main, split train, revision abc) could not be loaded from the Hug")
    assert "ConnectionError: no route to host. Without a network, set `folder` to a folder that holds sums/" in message
    monkeypatch.setenv("GROUPBENCH_DATA", str(tmp_path))
    assert f"to host. GROUPBENCH_DATA = '{tmp_path}' does not hold it either. Without" in error(None)


def test_the_real_hub_client_offline(tmp_path):
    code = (
        "from tasks.gsm8k import GSM8K\nfrom tasks import TaskDataError\n"
        "try: GSM8K().train\nexcept TaskDataError as error: print(error)"
    )
    offline = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True)
    assert "openai/gsm8k (config main, split train, revision " in done.stdout, done.stderr
    assert re.search(
        r"Without a network, set `folder` to a folder that holds math/gsm8k_main_train\.parquet", done.stdout
    )


def test_a_json_list_is_read_as_lines_are(tmp_path):
    path = tmp_path / "train.jsonl"
    listed = path.with_suffix(".json")
    for text, said in (
        (json.dumps([ROW, ROW]), None),
        ("\ufeff" + json.dumps([ROW]), None),
        (json.dumps(ROW), "train.json holds dict; expected a JSON list of objects."),
        ("[{]", "train.json cannot be read (Expecting property name"),
        ("[" * 200_000, "train.json cannot be read ("),
        ("[]", "train.json has no rows; expected at least one"),
        (json.dumps([{"question": "q"}]), "train.json, row 1 has no column answer; found: question"),
        (json.dumps([ROW, {**ROW, "answer": None}]), "train.json, row 2: answer is null; expected text."),
    ):
        listed.write_text(text, encoding="utf-8")
        if said is None:
            path.write_text("".join(f"{json.dumps(row)}\n" for row in json.loads(text.removeprefix("\ufeff"))))
            assert file_rows(listed, [COLUMNS]).rows == file_rows(path, [COLUMNS]).rows
        else:
            with pytest.raises(TaskDataError) as raised:
                file_rows(listed, [COLUMNS])
            assert said in str(raised.value)


ONE_FILE = Hub("someone/sums", "", "abc", file="data/sums.json")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A Hub of one repository, in a folder; what was downloaded of it."""
    calls = []

    def hf_hub_download(repository, file, *, repo_type, revision):
        calls.append((repository, file, repo_type, revision))
        path = tmp_path / "hub" / file
        if not path.exists():
            raise FileNotFoundError(f"404: {file}")
        return str(path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=hf_hub_download))
    return types.SimpleNamespace(folder=tmp_path / "hub", calls=calls)


def load_file(hub=ONE_FILE):
    return load_rows(hub=hub, folder=None, file_patterns=("sums.json",), shared_file_patterns=(), columns=[COLUMNS])


def test_one_file_of_a_repository_on_the_hub(repository):
    (repository.folder / "data").mkdir(parents=True)
    path = repository.folder / "data" / "sums.json"
    path.write_text(json.dumps([ROW]))
    rows = load_file()
    assert rows.rows == [{"question": "How many?", "answer": "7"}] and rows.from_hub
    assert rows.origin == "someone/sums (data/sums.json)"
    assert repository.calls == [("someone/sums", "data/sums.json", "dataset", "abc")]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_file(replace(ONE_FILE, sha256=digest)).rows == rows.rows
    path.write_text(json.dumps([{**ROW, "answer": "8"}]))
    with pytest.raises(TaskDataError, match=rf"\(data/sums.json\) at abc has the sha256 [0-9a-f]+; expected {digest} "):
        load_file(replace(ONE_FILE, sha256=digest))


def test_a_file_of_the_hub_out_of_reach(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(tmp_path))
    with pytest.raises(TaskDataError) as raised:
        load_file()
    message = str(raised.value)
    assert message.startswith(
        "someone/sums (data/sums.json, revision abc) could not be loaded from the Hugging Face Hub"
    )
    assert "FileNotFoundError: 404" in message and f"GROUPBENCH_DATA = '{tmp_path}' does not hold it either" in message
    assert message.endswith("Without a network, set `folder` to a folder that holds sums.json.")


def test_the_hubs_columns_are_checked(monkeypatch):
    fake_hub(monkeypatch, Dataset([{"problem": "p", "answer": "1"}]))
    assert "someone/sums (train) has no column question; found: problem, answer; expected: question" in error(None)


def examples(*ids):
    return [Example(id=name, prompt="p", answer="1") for name in ids]


def test_fingerprint_sees_ids_prompts_answers_and_order_and_is_stable():
    chat = ({"role": "user", "content": "p"},)
    variants = [
        [],
        [Example("a", "p", "1")],
        [Example("b", "p", "1")],
        [Example("a", "q", "1")],
        [Example("a", chat, "1")],
        [Example("a", "p", "2")],
        [Example("a", "p", "1"), Example("b", "p", "1")],
        [Example("b", "p", "1"), Example("a", "p", "1")],
        [Example("a", "p\ud800", "é")],
    ]
    assert len({fingerprint(variant) for variant in variants}) == len(variants)
    assert fingerprint([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    swapped = ({"content": "p", "role": "user"},)
    assert fingerprint([Example("a", chat, "1")]) == fingerprint(iter([Example("a", swapped, "1")]))


def test_content_ids_are_unique_and_survive_reordering():
    ids = content_ids("train", ["x", "y", "x", "x", "\ud800"])
    assert len(set(ids)) == 5 and ids[2] == f"{ids[0]}-2" and ids[3] == f"{ids[0]}-3"
    assert content_ids("train", ["y", "x"]) == [ids[1], ids[0]]
    assert ids[0] == "train-2d711642b726b044" and content_ids("test", ["x"]) == ["test-2d711642b726b044"]


def test_fixed_subsets():
    all_of_them = examples(*map(str, range(50)))
    assert fixed_subset(all_of_them, None, "size") == tuple(all_of_them) == fixed_subset(all_of_them, 50, "size")
    ten, twenty = fixed_subset(all_of_them, 10, "size"), fixed_subset(all_of_them, 20, "size")
    assert len(ten) == 10 and set(e.id for e in ten) < set(e.id for e in twenty)
    assert [e for e in twenty if e in ten] == list(ten)
    assert set(fixed_subset(all_of_them[::-1], 10, "size")) == set(ten)
    with pytest.raises(TaskDataError, match="size = 51, but there are only 50; allowed: 1 to 50, or null"):
        fixed_subset(all_of_them, 51, "size")
