"""The side file: γ goes with the instruction, and what a folder lacks is named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from leaderboard.records import RecordError
from leaderboard.winrates import side_file


def official(folder, data_folder, instructions=True):
    """The same under the Hub's names."""
    data = data_folder / "alpaca_eval"
    pd.read_csv(data / "df_gamed_reconstructed.csv.gz").to_csv(folder / "df_gamed.csv", index=False)
    shutil.copy(data / "instruction_difficulty_recovered.csv", folder / "instruction_difficulty.csv")
    if instructions:
        rows = pd.read_parquet(data / "questions_and_references.parquet").sort_values("index")
        texts = [{"instruction": text, "output": "x"} for text in rows["instruction"]]
        (folder / "alpaca_eval.json").write_text(json.dumps(texts))
    return folder


def test_both_layouts_say_the_same(side, data_folder, tmp_path):
    other = side_file.read(official(tmp_path, data_folder))
    assert other.index == side.index and len(side.index) == 805
    for name in ("difficulty", "gamed_length", "gamed_difficulty", "gamed_share"):
        np.testing.assert_array_equal(getattr(other, name), getattr(side, name))
    # The sufficient statistics that published weights imply (lc_gamed_sufficient_stats.json).
    said = json.loads((data_folder / "alpaca_eval" / "lc_gamed_sufficient_stats.json").read_text())
    assert side.gamed_share @ side.gamed_length == pytest.approx(said["S_len"], abs=1e-3)
    assert side.gamed_share @ side.gamed_difficulty == pytest.approx(said["S_diff"], abs=1e-3)


def test_difficulties_go_with_the_text(side, data_folder):
    rows = pd.read_parquet(data_folder / "alpaca_eval" / "questions_and_references.parquet")
    mixed = rows.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(side.difficulties(mixed["instruction"].tolist()), side.difficulty[mixed["index"]])


def test_instructions_that_cannot_be_joined_are_named(side, data_folder, tmp_path):
    with pytest.raises(RecordError, match="1 of 1 instructions have no difficulty there, the first is 'What is new"):
        side.difficulties(["What is new?"])
    rows = pd.read_parquet(data_folder / "alpaca_eval" / "questions_and_references.parquet")
    with pytest.raises(RecordError, match="stands twice among the rows"):
        side.difficulties([rows["instruction"][3]] * 2)
    without = side_file.read(official(tmp_path, data_folder, instructions=False))
    with pytest.raises(RecordError, match=r"no instructions to join rows by; expected alpaca_eval_gpt4_baseline"):
        without.difficulties(rows["instruction"].tolist())


def test_a_folder_that_lacks_something_is_named(data_folder, tmp_path):
    with pytest.raises(RecordError, match=r"no df_gamed.csv or df_gamed_reconstructed.csv.gz"):
        side_file.read(tmp_path)
    official(tmp_path, data_folder)
    gamed = pd.read_csv(tmp_path / "df_gamed.csv")
    for frame, words in (
        (gamed.drop(columns="preference"), "no column 'preference'"),
        (gamed.assign(preference=np.where(gamed["index"] == 5, np.nan, 0.5)), "2 of 1610 rows have a value"),
        (gamed[gamed["index"] != 5], r"its indices are not 0 … 803"),
        (gamed[gamed["index"] != 804], "other difficulties than in df_gamed.csv"),
    ):
        frame.to_csv(tmp_path / "df_gamed.csv", index=False)
        with pytest.raises(RecordError, match=words):
            side_file.read(tmp_path)
