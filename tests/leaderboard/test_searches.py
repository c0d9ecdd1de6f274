"""How settings were found, as a leaderboard shows it: from tuning.json alone, row by row."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from leaderboard import records
from leaderboard.build import build, terminal
from leaderboard.loading import load
from leaderboard.records import RecordError
from leaderboard.searches import found, space, unsearched

SPACE = {"training.learning_rate": {"low": "1e-5", "high": 1e-3}, "clip_low, clip_high": [[0.1, 0.2], [0.3, 0.4]]}


def trial(number, rate, score, error=None):
    setting = {"training.learning_rate": rate, "clip_low": 0.1, "clip_high": 0.2}
    return {"setting": setting, "label": f"gift, trial {number}", "cells": [], "score": score, "error": error}


def search(row, **changes):
    trials = [trial(1, 1e-4, 0.4), trial(2, 2e-4, 0.5), trial(3, 3e-4, 0.45), trial(4, 4e-4, None, "seed 9: a\ncause")]
    return {
        "algorithm": "gift, tuned", "row": row, "space": SPACE, "trials": trials, "chosen": 1,
        "metric": "final sampled accuracy on the dev split", "seeds": [8, 9], "budget": {"steps": 3}, "dev_share": 0.1,
        "dev_examples": 77,
    } | changes  # fmt: skip


@pytest.fixture
def write(results):
    """gift with a search, grpo without one, and the trials' own folder."""

    def make(**changes):
        gift = results.cell("gift, tuned", 0, [0.2, 0.5], training={"learning_rate": 2e-4, "weight_decay": 0.0})
        results.cell("grpo", 0, [0.2, 0.4], training={"learning_rate": 1e-4, "weight_decay": 0.0})
        results.cell("gift, trial 1", 8, [0.2, 0.3], benchmark="tuning")
        folder = results.plan()
        trials = records.read_json(folder / "tuning" / "benchmark.json")
        records.write_json(folder / "tuning" / "benchmark.json", trials | {"trials": True})
        row = records.read_json(gift / "cell.json")["row"]
        records.write_json(folder / "tuning.json", {"schema": 1, "searches": [search(row, **changes)]})
        return folder

    return make


def test_a_row_has_its_search(write):
    (table,) = load(write())
    (one,) = found(table)
    assert (one.label, one.trials, one.score, one.others) == ("gift, tuned", 4, 0.5, (0.45, 0.4))
    assert one.chosen == "learning_rate=0.0002, clip_low=0.1, clip_high=0.2" and one.edge == ()
    assert one.failed == ("gift, trial 4: seed 9: a cause",)
    assert unsearched(table) == ["grpo"]


def test_space_in_words():
    words = "learning_rate 1e-05 to 0.001 (log); clip_low, clip_high of [0.1, 0.2], [0.3, 0.4]"
    assert space(SPACE) == words
    assert space({"tau": {"low": 0, "high": 1, "scale": "linear"}}) == "tau 0 to 1 (linear)"


def test_a_choice_at_the_edge_of_a_range_is_told(write):
    (table,) = load(write(chosen=0))
    assert found(table)[0].edge == ("learning_rate",)


def test_trials_are_no_table_of_the_comparison_but_one_of_their_own(write):
    folder = write()
    assert [table.benchmark for table in load(folder)] == ["demo"]
    assert [row.label for table in load(folder / "tuning") for row in table.rows] == ["gift, trial 1"]


def test_trials_alone_are_no_comparison(write, results):
    folder = write()
    (folder / "benchmark.json").unlink()
    for cell in folder.glob("cells/*/*.json*"):
        cell.unlink()
    with pytest.raises(RecordError, match=r"there are trials of a search in .*tuning"):
        load(folder)


def test_every_export_shows_it(write):
    built = build(write())
    (text,) = built.markdown
    assert "### How the settings were found" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| gift, tuned | learning")]
    assert [cell.strip() for cell in line.strip("|").split("|")][3:] == ["4", "50.0", "45.0, 40.0", "–"]
    assert "dev split (77 examples" in text and "seeds 8, 9. Budget of each trial: 3 steps" in text
    assert "- gift, tuned, failed: gift, trial 4: seed 9: a cause" in text and "- grpo: no search is recorded" in text
    assert "the learning rate is not the same: gift, tuned 0.0002, grpo 0.0001" in text and "weight decay" not in text

    console = Console(width=120, record=True, file=io.StringIO())
    console.print(*terminal(built.archive))
    said = " ".join(console.export_text().split())
    assert f"best of 4 trials on a dev split, from {space(SPACE)}; 1 failed" in said
    with built.paths[1].open(newline="") as file:
        assert [row["tuning_trials"] for row in csv.DictReader(file)] == ["4", ""]


def test_a_control_arm_has_the_settings_of_its_row(write):
    folder = write()
    for path in folder.glob("cells/*/cell.json"):
        cell = records.read_json(path)
        if cell["algorithm"] == "grpo":
            records.write_json(path, cell | {"provenance": {"control": "a-a"}})
    (table,) = load(folder)
    assert unsearched(table) == []


def test_rows_alike_need_no_remark(results):
    for label in ("a", "b"):
        results.cell(label, 0, [0.2, 0.5], training={"learning_rate": 2e-4})
    assert "is not the same" not in build(results.plan()).markdown[0]


def test_a_broken_record_is_named(write):
    folder = write()
    records.write_json(folder / "tuning.json", {"schema": 1, "searches": [{"row": "x"}]})
    with pytest.raises(RecordError, match=r"tuning\.json: .*`algorithm` - at `\$\.searches\[0\]`"):
        load(folder)
