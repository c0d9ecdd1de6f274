"""Pairs are read from every layout the right way round, and what is no pair is refused or counted."""

import json
import re

import pytest

from tasks.base import TaskDataError
from tasks.data import DATA_VARIABLE
from tasks.pairs import SETS, Pairs, load_pairs, prompt_key
from tasks.pairs.base import identified

USER = [{"role": "user", "content": "Q"}]


def said(text):
    return {"role": "assistant", "content": text}


def human(text):
    return {"from": "human", "value": text}


GOOD = {
    "texts": {"prompt": "Q", "chosen": "good", "rejected": "bad"},
    "prompt messages, answer messages": {"prompt": USER, "chosen": [said("good")], "rejected": [said("bad")]},
    "UltraFeedback": {"prompt": "Q", "chosen": [*USER, said("good")], "rejected": [*USER, said("bad")]},
    "Skywork": {"chosen": [*USER, said("good")], "rejected": [*USER, said("bad")]},
    "messages as JSON": {"chosen": json.dumps([*USER, said("good")]), "rejected": json.dumps([*USER, said("bad")])},
    "one message as JSON": {"prompt": "Q", "chosen": json.dumps(said("good")), "rejected": json.dumps(said("bad"))},
    "HH": {"chosen": "\n\nHuman: Q\n\nAssistant: good", "rejected": "\n\nHuman: Q\n\nAssistant: bad"},
    "ShareGPT": {
        "conversations": [human("Q")],
        "chosen": {"from": "gpt", "value": "good"},
        "rejected": {"from": "gpt", "value": "bad"},
    },
    "ShareGPT as JSON": {
        "conversations": json.dumps([human("Q")]),
        "chosen": json.dumps({"from": "gpt", "value": "good"}),
        "rejected": json.dumps({"from": "gpt", "value": "bad"}),
    },
    "LLMBar 1": {"input": "Q", "output_1": "good", "output_2": "bad", "label": 1},
    "LLMBar 2": {"input": "Q", "output_1": "bad", "output_2": "good", "label": 2},
    "instruction alone": {"instruction": "Q", "output_1": "bad", "output_2": "good", "label": 2},
    "instruction, empty input": {"instruction": "Q", "input": "", "output_1": "good", "output_2": "bad", "label": 1},
    "PandaLM": {
        "instruction": "Q", "input": None, "response1": "bad", "response2": "good",
        "annotator1": 2, "annotator2": 1, "annotator3": 2,
    },
    "JudgeBench": {"question": "Q", "response_A": "bad", "response_B": "good", "label": "B>A"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_shared_data(monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)


@pytest.fixture
def write(tmp_path):
    def written(*rows, name="pairs.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            import pyarrow
            from pyarrow import parquet

            parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(list(rows)))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return written


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("layout", GOOD)
def test_every_layout(layout, suffix, write):
    pairs = load_pairs(write(GOOD[layout], name=f"pairs{suffix}"))
    (pair,) = pairs.pairs
    assert (pair.prompt, pair.chosen, pair.rejected) == (({"role": "user", "content": "Q"},), "good", "bad")
    assert (pairs.rows, dict(pairs.dropped)) == (1, {})
    assert re.fullmatch(r"pair-[0-9a-f]{16}", pair.id)


def test_equal_pairs_have_equal_ids_whatever_the_layout(write):
    ids = {load_pairs(write(row)).pairs[0].id for row in GOOD.values()}
    assert len(ids) == 1
    other = load_pairs(write({**GOOD["texts"], "chosen": "bad", "rejected": "good"})).pairs[0]
    assert other.id not in ids and prompt_key(other) == prompt_key(load_pairs(write(GOOD["texts"])).pairs[0])


def test_what_conversations_share_is_the_prompt(write):
    before = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"
    (pair,) = load_pairs(write({"chosen": before + " x\n\nwith a gap", "rejected": before + " y"})).pairs
    assert [(m["role"], m["content"]) for m in pair.prompt] == [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert pair.chosen == "x\n\nwith a gap"
    assert pair.conversations()[1] == (*pair.prompt, {"role": "assistant", "content": "y"})


def test_instruction_and_input_are_both_the_prompt(write):
    (pair,) = load_pairs(write({**GOOD["instruction, empty input"], "input": "the text"})).pairs
    assert pair.prompt[0]["content"] == "Q\n\nthe text"


def test_texts_that_look_like_json_are_texts(write):
    texts = {"prompt": "Write a list.", "chosen": "[1, 2]", "rejected": '{"a": [}'}
    (pair,) = load_pairs(write(texts)).pairs
    assert (pair.chosen, pair.rejected) == ("[1, 2]", '{"a": [}')


def test_what_is_no_pair_is_left_out_and_counted(write):
    tie = {**GOOD["PandaLM"], "annotator1": 0, "annotator3": 1, "annotator2": 2}
    rows = [
        GOOD["PandaLM"], tie, {**GOOD["PandaLM"], "annotator1": 0, "annotator3": 0},
        {**GOOD["PandaLM"], "response1": "good "}, {**GOOD["PandaLM"], "response1": "\n"},
        {**GOOD["PandaLM"], "instruction": " "},
    ]  # fmt: skip
    pairs = load_pairs(write(*rows))
    assert len(pairs.pairs) == 1 and pairs.rows == 6
    assert dict(pairs.dropped) == {
        "ties": 2, "with identical answers": 1, "with an empty answer": 1, "with an empty prompt": 1
    }  # fmt: skip
    assert pairs.said().endswith(
        "1 pairs on 1 prompts; left out: 2 ties, 1 with identical answers, 1 with an empty answer, "
        "1 with an empty prompt"
    )
    with pytest.raises(TaskDataError, match=r"none of 1 rows holds a pair \(1 ties\)"):
        load_pairs(write(tie))


def test_conversations_that_part_early_share_no_prompt(write):
    rows = [
        GOOD["HH"],
        {
            "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
            "rejected": "\n\nHuman: a\n\nAssistant: e",
        },
        {"chosen": "\n\nHuman: a\n\nAssistant: d", "rejected": "\n\nHuman: b\n\nAssistant: d"},
    ]
    assert dict(load_pairs(write(*rows)).dropped) == {"without a common prompt": 2}


BAD = {
    "a label": ({**GOOD["LLMBar 1"], "label": 3}, "label is 3; expected 1 or 2"),
    "a label's type": ({**GOOD["LLMBar 1"], "label": "1"}, "label is str '1'; expected an integer"),
    "a vote": ({**GOOD["PandaLM"], "annotator2": 7}, r"annotator1 … annotator3 are \[2, 7, 2\]; expected 0 \(tie\)"),
    "a verdict": ({**GOOD["JudgeBench"], "label": "A"}, "label is 'A'; expected A>B or B>A"),
    "no prompt": ({"chosen": "good", "rejected": "bad"}, "chosen is 'good', and there is no column prompt; expected"),
    "a number": ({**GOOD["texts"], "chosen": 3}, "chosen is int 3; expected text or a list or dict"),
    "a list of texts": ({**GOOD["texts"], "chosen": ["a", "b"]}, r"chosen is \['a', 'b'\]; expected text, or messages"),
    "a role": (
        {**GOOD["Skywork"], "chosen": [*USER, {"role": "judge", "content": "x"}]},
        "chosen has a message of role 'judge' with content 'x'; expected text and one of the roles system, user",
    ),
    "no answer at the end": ({**GOOD["Skywork"], "rejected": [said("x"), *USER]}, "without a common prompt"),
    "the user's turn last": (
        {"chosen": [*USER, *USER], "rejected": [*USER, said("bad")]}, "chosen ends with a message of the role user"
    ),
    "two answers": (
        {"prompt": "Q", "chosen": [said("a"), said("b")], "rejected": [said("bad")]}, "chosen has 2 messages; expected"
    ),
    "several answers in a cell": (
        {"prompt": "Q", "chosen": '["a", "b"]', "rejected": '["c", "d"]'}, "every answer is such a list; expected one"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_names_file_row_and_column(case, write):
    row, message = BAD[case]
    path = write(row)
    with pytest.raises(TaskDataError, match=message) as caught:
        load_pairs(path)
    assert path in str(caught.value)


def test_the_row_is_named(write):
    with pytest.raises(TaskDataError, match=r"pairs\.jsonl, row 3: label is 0"):
        load_pairs(write(GOOD["LLMBar 1"], GOOD["LLMBar 2"], {**GOOD["LLMBar 1"], "label": 0}))


def test_files_that_cannot_be_read(write, tmp_path):
    with pytest.raises(TaskDataError, match="has no column prompt, rejected; found: chosen; expected: prompt, chosen"):
        load_pairs(write({"chosen": "x"}))
    with pytest.raises(TaskDataError, match="has no rows"):
        load_pairs(write())
    (tmp_path / "broken.jsonl").write_text('{"chosen": \n')
    with pytest.raises(TaskDataError, match=r"broken.jsonl cannot be read \(line 1: "):
        load_pairs(str(tmp_path / "broken.jsonl"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(TaskDataError, match="expected a readable parquet file"):
        load_pairs(str(tmp_path / "broken.parquet"))
    (tmp_path / "pairs.csv").write_text("chosen,rejected\n")
    with pytest.raises(TaskDataError, match=r"\.csv; allowed: \.parquet, \.jsonl, \.json"):
        load_pairs(str(tmp_path / "pairs.csv"))
    with pytest.raises(TaskDataError, match=r"no such file or folder; allowed: ultrafeedback, .*, an owner/name"):
        load_pairs(str(tmp_path / "missing.parquet"))


def test_a_folder_holds_one_file_or_one_splits_shards(write, tmp_path):
    first = write(GOOD["texts"], name="set/data/train-00000-of-00002.parquet")
    write({**GOOD["texts"], "prompt": "R"}, name="set/data/train-00001-of-00002.parquet")
    folder = str(tmp_path / "set")
    assert [pair.prompt[0]["content"] for pair in load_pairs(folder).pairs] == ["Q", "R"]
    write({**GOOD["texts"], "prompt": "S"}, name="set/data/test-00000-of-00001.parquet")
    with pytest.raises(TaskDataError, match=r"holds data/test-.*; expected one file, or one split's \(FOLDER@SPLIT\)"):
        load_pairs(folder)
    assert [pair.prompt[0]["content"] for pair in load_pairs(f"{folder}@test").pairs] == ["S"]
    assert len(load_pairs(f"{folder}@train").pairs) == 2 and len(load_pairs(first).pairs) == 1
    with pytest.raises(TaskDataError, match="holds no such file; expected the dev split's file"):
        load_pairs(f"{folder}@dev")


def test_a_part_of_a_set(write):
    rows = [{**GOOD["LLMBar 1"], "input": name, "subset": name} for name in ("A/x", "A/y", "B/x")]
    path = write(*rows)
    pairs = load_pairs(f"{path}#A/*")
    assert [(pair.prompt[0]["content"], pair.subset) for pair in pairs.pairs] == [("A/x", "A/x"), ("A/y", "A/y")]
    assert dict(pairs.dropped) == {"of another subset than A/*": 1}
    assert len(load_pairs(path).pairs) == 3
    with pytest.raises(TaskDataError, match="the subsets are A/x, A/y, B/x"):
        load_pairs(f"{path}#C/*")
    with pytest.raises(TaskDataError, match="has no column"):
        load_pairs(write(GOOD["texts"]) + "#A/*")


def test_the_hub(monkeypatch, write, tmp_path):
    asked = []

    class Dataset:
        column_names = ("prompt", "chosen", "rejected", "score")

        def select_columns(self, names):
            assert names == ["prompt", "chosen", "rejected"]
            return self

        def to_list(self):
            return [GOOD["texts"]]

    def load_dataset(identity, config, split, revision):
        asked.append((identity, config, split, revision))
        if identity == "no/where":
            raise ConnectionError("no route to host")
        return Dataset()

    import datasets

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert load_pairs("ultrafeedback").origin == "HuggingFaceH4/ultrafeedback_binarized (train_prefs)"
    load_pairs("ultrafeedback@test_prefs", "abc")
    load_pairs("some/set")
    assert asked == [
        (SETS["ultrafeedback"][0], None, "train_prefs", "main"),
        (SETS["ultrafeedback"][0], None, "test_prefs", "abc"),
        ("some/set", None, "train", "main"),
    ]
    with pytest.raises(TaskDataError, match=r"no/where .*no route to host\. Without a network, name a .* or a folder"):
        load_pairs("no/where")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    here = write(GOOD["texts"], name="set/train.jsonl")
    assert load_pairs("some/set").origin == here and len(asked) == 4


def pairs_on(prompts):
    rows = [(({"role": "user", "content": f"{p}"},), f"good {n}", "bad", "") for n, p in enumerate(prompts)]
    return Pairs(identified(rows), "made", len(rows))


def test_no_prompt_lies_on_both_sides_of_a_split():
    pairs = pairs_on([n % 37 for n in range(200)])
    train, held = pairs.split(0.2)
    assert len(train.pairs) + len(held.pairs) == 200 and 40 <= len(held.pairs) <= 46
    assert not {prompt_key(p) for p in train.pairs} & {prompt_key(p) for p in held.pairs}
    again = Pairs(pairs.pairs[::-1], "made", 200).split(0.2)[1]
    assert {p.id for p in again.pairs} == {p.id for p in held.pairs}
    assert pairs.split(0.0)[1].pairs == () and len(pairs.split(0.0)[0].pairs) == 200
    with pytest.raises(TaskDataError, match=r"5 pairs on 1 prompts cannot be split with heldout_share = 0\.1"):
        pairs_on([1] * 5).split(0.1)


def test_limits_fingerprints_and_what_was_seen():
    pairs = pairs_on(range(30))
    small, larger = pairs.limited(5), pairs.limited(10)
    assert {p.id for p in small.pairs} < {p.id for p in larger.pairs} and len(small.pairs) == 5
    assert len({pairs.fingerprint, small.fingerprint, larger.fingerprint}) == 3
    assert pairs.fingerprint == pairs_on(range(30)).fingerprint
    with pytest.raises(TaskDataError, match="limit = 31, but there are only 30"):
        pairs.limited(31)
    rest = pairs.without({prompt_key(p) for p in small.pairs}, "seen")
    assert len(rest.pairs) == 25 and dict(rest.dropped) == {"seen": 5}


def test_the_real_sets(data_folder):
    """Counts by hand with pandas; the two that name a better output, by text."""
    import pandas as pd

    folder = data_folder / "rlhf"
    counts = {
        "ultrafeedback_cleaned_1k.parquet": 1000, "hh_rlhf_harmless_base_test.parquet": 2303,
        "llamafactory_dpo_en_demo.parquet": 300, "llmbar_and_processed_human_pairs.parquet#Processed/*": 464,
        "pandalm_human_testset_v1.parquet": 842,
    }  # fmt: skip
    found = {name: load_pairs(str(folder / name)) for name in counts}
    assert {name: len(pairs.pairs) for name, pairs in found.items()} == counts
    table = pd.read_parquet(folder / "llmbar_and_processed_human_pairs.parquet")
    better = {(row.input, row[f"output_{row.label}"]) for _, row in table.iterrows()}
    assert all(
        (pair.prompt[0]["content"], pair.chosen) in better
        for pair in found["llmbar_and_processed_human_pairs.parquet#Processed/*"].pairs
    )
    hh = found["hh_rlhf_harmless_base_test.parquet"].pairs
    assert all(pair.prompt[-1]["role"] == "user" for pair in hh) and max(len(pair.prompt) for pair in hh) > 5
