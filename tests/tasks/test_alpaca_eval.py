"""AlpacaEval: its 805 instructions from every place that they may lie in, and what length control takes."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import math
import os
import random
import re
import subprocess
import sys
import types
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import TaskDataError, alpaca_eval
from tasks.alpaca_eval import AlpacaEval
from tasks.data import fingerprint

ROOT = Path(__file__).parents[2]
GPT4, DAVINCI = "gpt4_1106_preview", "text_davinci_003"


@pytest.fixture(scope="module")
def folder(data_folder):
    return data_folder / "alpaca_eval"


@pytest.fixture(scope="module")
def rows(folder):
    """In the official order."""
    found = pq.read_table(folder / "questions_and_references.parquet").to_pylist()
    return sorted(found, key=lambda row: row["index"])


@pytest.fixture(scope="module")
def real(data_folder):
    return AlpacaEval(folder=str(data_folder))


def upstream(rows, reference=GPT4):
    """As upstream's files have them; version 1's baseline, of which we have no copy, with other answers."""
    return [
        {
            "dataset": row["dataset"], "instruction": row["instruction"], "generator": reference,
            "output": row["output_gpt4_1106_preview"] if reference == GPT4 else f"{row['index']}",
        }
        for row in rows
    ]  # fmt: skip


def hub_text(rows):
    """The Hub's file, which pandas wrote."""
    table = pd.DataFrame(upstream(rows))[["dataset", "instruction", "output", "generator"]]
    return table.to_json(orient="records", indent=2)


def shuffled(rows):
    return random.Random(7).sample(rows, len(rows))


def test_the_805_instructions_and_their_baselines(real, rows):
    assert len(real.heldout) == 805 == real.hub.examples and real.train == ()
    # Whoever changes this changes what every recorded item was about.
    assert fingerprint(real.heldout).startswith("a9a68821ae36")
    assert len({example.id for example in real.heldout}) == 805
    for example, row in zip(real.heldout, rows, strict=True):
        assert re.fullmatch(r"test-[0-9a-f]{16}", example.id)
        assert example.prompt == ({"role": "user", "content": row["instruction"]},)
        assert real.instruction(example) == real.question(example) == row["instruction"]
        assert example.answer == row["output_gpt4_1106_preview"] and real.opponent(example) == GPT4
        assert real.category(example) == row["dataset"]
    assert Counter(map(real.category, real.heldout))["koala"] == 156


def test_the_baseline_is_the_one_of_the_published_annotations(real, folder):
    table = pq.read_table(folder / "annotations_v2_slim_42.parquet", columns=["model", "index", "len_1"]).to_pylist()
    lengths = {row["index"]: row["len_1"] for row in table if row["model"] == "NullModel"}
    assert lengths == {n: len(example.answer) for n, example in enumerate(real.heldout)}


def test_our_table_holds_the_hubs_file_byte_by_byte(real, rows):
    assert hashlib.sha256(hub_text(rows).encode()).hexdigest() == real.hub.sha256


def test_the_other_column_of_the_table_is_not_version_1s_baseline(folder, rows, tmp_path, data_folder, monkeypatch):
    table = pq.read_table(folder / "annotations_v1_alpaca_eval_gpt4_slim.parquet").to_pylist()
    lengths = {row["index"]: row["len_1"] for row in table if row["model"] == "Yi-34B-Chat"}
    assert sum(lengths[row["index"]] == len(row["output_text_davinci_003"]) for row in rows) == 31
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setenv("GROUPBENCH_DATA", str(data_folder))
    for place in (None, str(data_folder)):
        with pytest.raises(TaskDataError, match=r"folder that holds|expected one file alpaca_eval/alpaca_eval.json or"):
            _ = AlpacaEval(folder=place, reference=DAVINCI).heldout


def test_version_1_asks_the_same_of_another_baseline(tmp_path, real, rows):
    (tmp_path / "alpaca_eval.json").write_text(json.dumps(upstream(rows, DAVINCI)))
    one = AlpacaEval(folder=str(tmp_path), reference=DAVINCI)
    assert [example.id for example in one.heldout] == [example.id for example in real.heldout]
    assert [example.answer for example in one.heldout] == [str(n) for n in range(805)]
    assert one.opponents == (DAVINCI,) and fingerprint(one.heldout) != fingerprint(real.heldout)
    assert one.length_control is None and one.difficulty(one.heldout[0]) is None


def test_the_official_prompts_lie_with_the_data_or_not_at_all(data_folder, real, tmp_path):
    two = real.judge_prompt(real.heldout[0])
    assert (two.name, two.judge) == ("alpaca_eval_clf", "gpt-4-1106-preview")
    assert "{output_1}" in two.place.read_text(encoding="utf-8")
    one = AlpacaEval(folder=str(data_folder), reference=DAVINCI)
    prompt = one.judge_prompt(real.heldout[0])
    assert prompt.name == "alpaca_eval" and prompt.place != two.place and prompt.place.is_file()
    assert AlpacaEval(folder=str(tmp_path)).judge_prompt(real.heldout[0]).place is None


def test_the_order_of_a_file_changes_nothing_or_is_told(tmp_path, real, rows, folder):
    pq.write_table(pa.Table.from_pylist(shuffled(rows)), tmp_path / "questions_and_references.parquet")
    (tmp_path / "df_gamed_reconstructed.csv.gz").symlink_to(folder / "df_gamed_reconstructed.csv.gz")
    by_index = AlpacaEval(folder=str(tmp_path))
    assert fingerprint(by_index.heldout) == fingerprint(real.heldout)
    assert by_index.length_control.difficulty == real.length_control.difficulty
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "model_outputs.json").write_text(json.dumps(upstream(shuffled(rows))))
    mixed = AlpacaEval(folder=str(tmp_path / "json"))
    assert {e.id: e for e in mixed.heldout} == {e.id: e for e in real.heldout} and mixed.heldout != real.heldout


def test_upstreams_copies_hold_the_same(tmp_path, real, rows):
    for file in ("model_outputs.json", f"{GPT4}/model_outputs.json", "alpaca_eval_gpt4_baseline.json"):
        place = tmp_path / file.replace("/", "_")
        (place / file).parent.mkdir(parents=True)
        (place / file).write_text(json.dumps(upstream(rows)))
        assert fingerprint(AlpacaEval(folder=str(place)).heldout) == fingerprint(real.heldout)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [{**rows[0], "generator": "claude"}, *rows[1:]], "row 1 is by 'claude'; expected 'gpt4_1106_pre"),
        (lambda rows: [{**rows[0], "output": None}, *rows[1:]], "row 1: output is null; expected text."),
        (lambda rows: [*rows, rows[4]], "instructions 5 and 806 are the same, '"),
        (
            lambda rows: [{"instruction": "?"}],
            "row 1 has no column dataset, output, generator; found: instruction",
        ),
    ],
)
def test_bad_files(tmp_path, rows, change, said):
    (tmp_path / "model_outputs.json").write_text(json.dumps(change(upstream(rows))))
    with pytest.raises(TaskDataError) as raised:
        _ = AlpacaEval(folder=str(tmp_path)).heldout
    assert said in str(raised.value)


def test_bad_parameters():
    with pytest.raises(
        ValueError, match="alpaca_eval: reference = 'gpt-4'; allowed: 'gpt4_1106_preview' or 'text_davi"
    ):
        AlpacaEval(reference="gpt-4")
    with pytest.raises(ValueError, match="alpaca_eval: folder = ' '; allowed: text that is not empty"):
        AlpacaEval(folder=" ")


# ------------------------------------------------------------------------------------------------------------- the Hub


@pytest.fixture
def hub(tmp_path, monkeypatch, rows, folder):
    """The repository's files: one to the byte, the others made up, and their hashes taken for the declared ones."""
    place = tmp_path / "hub"
    place.mkdir()
    (place / "alpaca_eval_gpt4_baseline.json").write_text(hub_text(rows))
    (place / "alpaca_eval.json").write_text(json.dumps(upstream(rows, DAVINCI)))
    (place / "df_gamed.csv").write_bytes(gzip.decompress((folder / "df_gamed_reconstructed.csv.gz").read_bytes()))
    calls = []

    def hf_hub_download(repository, file, *, repo_type, revision):
        calls.append((repository, file, repo_type, revision))
        return str(place / file)

    def pinned(declared):
        return replace(declared, sha256=hashlib.sha256((place / declared.file).read_bytes()).hexdigest())

    monkeypatch.delenv("GROUPBENCH_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=hf_hub_download))
    monkeypatch.setitem(alpaca_eval._BASELINES, DAVINCI, pinned(alpaca_eval._BASELINES[DAVINCI]))
    monkeypatch.setattr(alpaca_eval, "_GAMED", pinned(alpaca_eval._GAMED))
    return types.SimpleNamespace(place=place, calls=calls)


def test_the_hub_gives_the_same_at_its_revision(hub, real):
    task = AlpacaEval()
    assert fingerprint(task.heldout) == fingerprint(real.heldout)
    assert task.length_control.official and not real.length_control.official
    assert task.length_control.difficulty == real.length_control.difficulty
    assert [call[1] for call in hub.calls] == ["alpaca_eval_gpt4_baseline.json", "df_gamed.csv"]
    assert {(call[0], *call[2:]) for call in hub.calls} == {("tatsu-lab/alpaca_eval", "dataset", alpaca_eval._REVISION)}
    assert AlpacaEval(reference=DAVINCI).heldout[3].answer != task.heldout[3].answer


def test_another_file_on_the_hub_is_refused(hub):
    with (hub.place / "df_gamed.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(TaskDataError, match=r"tatsu-lab/alpaca_eval \(df_gamed.csv\) at 2edc6fad.* has the sha256 "):
        _ = AlpacaEval().length_control
    (hub.place / "alpaca_eval.json").write_text("[]")
    with pytest.raises(TaskDataError, match=r"alpaca_eval.json\) at .* has the sha256 "):
        _ = AlpacaEval(reference=DAVINCI).heldout


def test_the_real_client_out_of_reach(tmp_path):
    code = (
        "from tasks import TaskDataError\nfrom tasks.alpaca_eval import AlpacaEval\n"
        "try: AlpacaEval().heldout\nexcept TaskDataError as error: print(error)"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    offline.pop("GROUPBENCH_DATA", None)
    done = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True)
    revision = "2edc6fad8be6b14ea7230aabfd08188da6b8b814"
    start = f"tatsu-lab/alpaca_eval (alpaca_eval_gpt4_baseline.json, revision {revision}) could not be loaded from the"
    assert done.stdout.startswith(start) and "LocalEntryNotFoundError" in done.stdout, done.stderr
    assert "set `folder` to a folder that holds alpaca_eval/alpaca_eval_gpt4_baseline.json or " in done.stdout


def test_a_shared_folder_may_hold_the_hubs_files(hub, real, monkeypatch):
    monkeypatch.setenv("GROUPBENCH_DATA", str(hub.place.parent))
    hub.place.rename(hub.place.parent / "alpaca_eval")
    task = AlpacaEval()
    assert fingerprint(task.heldout) == fingerprint(real.heldout) and task.length_control.official and not hub.calls
    assert AlpacaEval().questions_at_hand() == real.questions_at_hand()
    assert AlpacaEval(reference=DAVINCI).heldout[3].answer != task.heldout[3].answer


def test_the_declared_hashes_are_those_of_the_specification():
    assert alpaca_eval._BASELINES[GPT4].sha256.startswith("83db546b872ddebe")
    assert alpaca_eval._GAMED.sha256.startswith("97aeec3f1c7de6de")
    assert AlpacaEval().hub.pin == "commit 2edc6fad"


# ------------------------------------------------------------------------------------------------------ length control


def test_difficulties_are_those_of_the_table_by_instruction(real, rows, folder):
    with (folder / "instruction_difficulty_recovered.csv").open() as file:
        table = {int(row["index"]): float(row["instruction_difficulty"]) for row in csv.DictReader(file)}
    by_instruction = {row["instruction"]: table[row["index"]] for row in rows}
    for example in shuffled(real.heldout):
        assert math.isclose(real.difficulty(example), by_instruction[real.instruction(example)], abs_tol=1e-8)
    assert abs(real.difficulty(real.heldout[0])) < 1e-8


def test_the_gamed_rows_have_the_published_sufficient_statistics(real, folder):
    published = json.loads((folder / "lc_gamed_sufficient_stats.json").read_text())
    gamed = real.length_control.gamed
    assert len(gamed) == published["n_rows"] == 1610
    assert math.isclose(sum(g.share * math.tanh(g.length_difference) for g in gamed), published["S_len"], abs_tol=1e-3)
    assert math.isclose(sum(g.share * g.difficulty for g in gamed), published["S_diff"], abs_tol=1e-4)
    verbose, concise = gamed[:805], gamed[805:]
    assert sum(g.length_difference for g in verbose) < 0 < sum(g.length_difference for g in concise)


def test_instructions_in_another_order_get_no_difficulty(tmp_path, rows, folder):
    (tmp_path / "df_gamed_reconstructed.csv.gz").symlink_to(folder / "df_gamed_reconstructed.csv.gz")
    outputs = tmp_path / "model_outputs.json"
    outputs.write_text(json.dumps(upstream(rows)))
    assert AlpacaEval(folder=str(tmp_path)).length_control.difficulty
    for other in (shuffled(upstream(rows)), upstream(rows)[:-1]):
        outputs.write_text(json.dumps(other))
        with pytest.raises(
            TaskDataError, match="length control is defined for the 805 official instructions in their "
        ):
            _ = AlpacaEval(folder=str(tmp_path)).length_control


HEADER = "preference,index,std_delta_len,instruction_difficulty,not_gamed_baseline,model\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "row 1 lacks a column; expected index, preference, std_delta_len, instruction_difficulty"),
        (HEADER + "0.5,805,1,1,False,x\n", "row 1: index is 805; expected 0 to 804"),
        (HEADER + "0.5,0,1,nan,False,x\n", "row 1: 'nan' is no finite number"),
        (HEADER + "0.5,0,1,1,False,x\n0.5,1\n", "row 2 lacks a column"),
        (HEADER + "0.5,0,1,1,False,x\n", "has the difficulty of 1 instructions; expected 805"),
        (HEADER + "".join(f"1.5,{n},1,1,False,x\n" for n in range(805)), "and preferences from 0 to 1"),
        (HEADER, "has the difficulty of 0 instructions"),
    ],
)
def test_bad_side_files(tmp_path, rows, text, said):
    (tmp_path / "model_outputs.json").write_text(json.dumps(upstream(rows)))
    (tmp_path / "df_gamed.csv").write_text(text)
    with pytest.raises(TaskDataError) as raised:
        _ = AlpacaEval(folder=str(tmp_path)).length_control
    assert said in str(raised.value) and "df_gamed.csv" in str(raised.value)


def test_rows_without_a_label_are_left_out(tmp_path, rows):
    (tmp_path / "model_outputs.json").write_text(json.dumps(upstream(rows)))
    text = "".join(f"{'' if n == 3 else 0.25},{n},{n},{n},False,x\n" for n in range(805))
    (tmp_path / "df_gamed.csv").write_text(HEADER + text)
    control = AlpacaEval(folder=str(tmp_path)).length_control
    assert len(control.gamed) == 804 and control.gamed[3] == (0.25, 4.0, 4.0) and not control.official
    assert list(control.difficulty.values()) == list(range(805))


def test_a_side_file_that_is_missing_or_damaged(tmp_path, rows):
    (tmp_path / "model_outputs.json").write_text(json.dumps(upstream(rows)))
    with pytest.raises(TaskDataError, match=r"holds model_outputs.json; expected one file alpaca_eval/df_gamed"):
        _ = AlpacaEval(folder=str(tmp_path)).length_control
    (tmp_path / "df_gamed_reconstructed.csv.gz").write_bytes(b"no archive")
    with pytest.raises(TaskDataError, match=r"df_gamed_reconstructed.csv.gz, row 0: Not a gzipped file"):
        _ = AlpacaEval(folder=str(tmp_path)).length_control
