"""CSV read back by two readers: nothing rounded, nothing lost, and both files agree with the grid."""

import csv
import io
import math
from dataclasses import replace

import pandas as pd
import pytest

from leaderboard import programs
from leaderboard.columns import Entry
from leaderboard.export import delimited
from leaderboard.loading import load
from leaderboard.programs import Choice, Program, TableProgram
from leaderboard.selection import Archive
from leaderboard.tables import grids


def read(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def frame(text):
    return pd.read_csv(io.StringIO(text, newline=""))


def run(results, *tables):
    archive = Archive(load(results.plan()))
    return grids(archive, Program("mine", tables) if tables else programs.load("leaderboard"))


def test_hostile_labels_are_kept_to_the_character(grid):
    lines = read(delimited.wide([grid]))
    assert [line["algorithm"] for line in lines] == [line.label for line in grid.lines]
    assert [line["card_clip"] for line in lines] == [line.label[::-1] for line in grid.lines]
    assert {line["benchmark"] for line in lines} == {"demo | [x]"} and {line["model"] for line in lines} == {"mo#del"}
    tidy = read(delimited.tidy([grid]))
    assert {line["algorithm"] for line in tidy} == {line.label for line in grid.lines}


def test_wide_is_the_grid(grid):
    lines = read(delimited.wide([grid]))
    for line, entry in zip(lines, (line.entries[4] for line in grid.lines), strict=True):
        for name, value in (
            ("", entry.value), ("_low", entry.low), ("_high", entry.high), ("_df", entry.df), ("_p", entry.p),
            ("_p_holm", entry.p_holm),
        ):  # fmt: skip
            assert line[f"sampled_delta{name}"] == "" if value is None else float(line[f"sampled_delta{name}"]) == value
        assert line["sampled_delta_mark"] == entry.mark
        assert line["sampled_delta_note"] == ("" if entry.value is not None else entry.text)


def test_columns_of_numbers_hold_numbers(grid, results):
    """`reference` within a column of differences would make it one of words for every reader."""
    for seed in range(2):
        results.cell("grpo", seed, [0.2, 0.4 + 0.01 * seed])
        results.cell("gift", seed, [0.2, 0.5 + 0.03 * seed])
    results.cell("dapo", 0, state=None)
    for text in (delimited.wide([grid]), delimited.wide(run(results))):
        table = frame(text)
        words = {"benchmark", "task", "model", "algorithm", "row", "seeds", "card_clip", "axis", "reference"}
        for name in table.columns:
            if name not in words and not name.endswith(("_mark", "_note")):
                assert pd.api.types.is_numeric_dtype(table[name]), name
    assert frame(delimited.wide([grid]))["time_to_target"].map(math.isinf).sum() == len(grid.lines) // 2


def test_tidy_is_what_wide_is_the_mean_of(results):
    for seed, final in enumerate([0.5, 0.55, 0.63]):
        results.cell("grpo", seed, items={("heldout", "sampled", s): [[1, 0, s > 0]] * (seed + 3) for s in (0, 2)})
        results.cell("gift", seed, [0.2, final, final], steps={1: {"truncated": 0.1 * seed}})
    results.cell("gift", 3, [0.2, 0.9], state="failed")
    results.cell("grpo", 0, [0.2, 0.4], task={"name": "b"})
    found = run(results)
    wide, tidy = frame(delimited.wide(found)), frame(delimited.tidy(found))
    wide = wide[wide["row"].notna()].set_index(["task", "algorithm"])
    tidy = tidy[tidy["row"].notna()]
    checked = 0
    for (task, label, name), group in tidy.groupby(["task", "algorithm", "column"]):
        if name not in ("time_to_target", "grad_norm_max", "steps_without_update", "updates_without_signal",
                        "groups_discarded"):  # fmt: skip
            assert wide.loc[(task, label), name] == pytest.approx(group["value"].mean(), abs=1e-12), name
            checked += 1
    assert checked > 40
    finals = tidy.query("algorithm == 'gift' and column == 'sampled_final'").set_index("seed")["value"].to_dict()
    assert finals == {0: 0.5, 1: 0.55, 2: 0.63}
    assert (tidy.groupby(["table", "task", "row", "column", "seed"]).size() == 1).all()
    by_column = {(g.name, g.source.task, h.name.replace("speedup", "log_speedup"), line.hash): e
                 for g in found if g.source for line in g.lines
                 for h, e in zip(g.headers, line.entries, strict=True)}  # fmt: skip
    for record in tidy.to_dict("records"):
        entry = by_column[record["table"], record["task"], record["column"], record["row"]]
        assert entry.by_seed[record["seed"]] == record["value"]


def test_two_views_of_one_column_do_not_overwrite_each_other(results):
    for seed in range(2):
        results.cell("grpo", seed, [0.2, *[0.6] * 5])
    columns = (Choice("algorithm"), Choice("time_to_target"), Choice("sampled_final"))
    tables = [TableProgram(axis, columns, axis=axis, target_accuracy=0.5) for axis in ("steps", "generated_tokens")]
    (line,) = read(delimited.wide(run(results, *tables)))
    steps, tokens = (float(line[f"{axis}_time_to_target"]) for axis in ("steps", "generated_tokens"))
    assert tokens == pytest.approx(1000 * steps) and "time_to_target" not in line
    assert line["sampled_final"] and "steps_sampled_final" not in line  # the same in both: once
    assert (line["steps_axis"], line["generated_tokens_axis"]) == ("steps", "generated_tokens") and "axis" not in line
    assert (line["reference"], line["target"]) == ("grpo", "0.5")


def test_what_a_line_was_looked_at_with_and_a_ratio_that_is_a_logarithm(results):
    for seed in range(3):
        results.cell("grpo", seed, [0.2, 0.4, *[0.6 + 0.01 * seed] * 6])
        results.cell("gift", seed, [0.2, *[0.6 + 0.01 * seed] * 7])
        results.cell("grpo", seed, [0.2, 0.2], task={"name": "none"})
        results.cell("grpo", seed, [0.2, 0.4, 0.5], task={"name": "small"})
    found = run(results)
    lines = {(line["task"], line["algorithm"]): line for line in read(delimited.wide(found)) if line["row"]}
    shown = lines["arithmetic", "gift"]
    assert (shown["axis"], shown["reference"]) == ("steps", "grpo")
    assert float(shown["target"]) == pytest.approx(0.2 + 0.9 * 0.41)
    assert float(shown["log_speedup"]) > 0 and "speedup" not in shown
    assert lines["none", "grpo"]["target"] == ""
    assert {"log_speedup"} == {name for name in frame(delimited.tidy(found))["column"] if "speedup" in name}


def test_models_and_copies_have_lines_of_their_own(results):
    for model in ("small", "large"):
        for task in ("a", "b"):
            for benchmark in ("one", "two"):
                final = {"small": 0.3, "large": 0.6}[model] + {"one": 0, "two": 0.1}[benchmark]
                results.cell("grpo", 0, [0.2, final], task={"name": task}, model={"name": model}, benchmark=benchmark)
    text = delimited.wide(found := run(results))
    lines = read(text)
    assert len(lines) == 8 + 2  # a row in each benchmark, task and model; and across tasks for each model
    assert {(line["benchmark"], line["model"], line["sampled_final"]) for line in lines if line["row"]} == {
        ("one", "small", "0.3"), ("one", "large", "0.6"), ("two", "small", "0.4"), ("two", "large", "0.7"),
    }  # fmt: skip
    across = {line["model"]: line for line in lines if not line["row"]}
    assert float(across["small"]["across_sampled_macro_gain"]) == pytest.approx(0.15)
    assert float(across["large"]["across_sampled_macro_gain"]) == pytest.approx(0.45)
    assert "across_algorithm" not in across["small"]
    twin = [replace(grid, source=replace(grid.source, slug=f"{grid.source.slug}-2")) for grid in found if grid.source]
    assert len(read(delimited.wide([*found, *twin]))) == 8 + 2 + 8  # the same benchmark, read from two folders


def test_nothing_is_rounded(grid):
    line = grid.lines[0]
    values = (1 / 3, 5e-324, 1e300, 0.1 + 0.2, 2.0, -0.0)
    for value in values:
        entries = (*line.entries[:3], Entry(value), *line.entries[4:])
        ((found),) = read(delimited.wide([replace(grid, lines=(replace(line, entries=entries),))]))
        assert float(found["sampled_final"]) == value
