"""The papers' tables on the page: those that `groupbench reproduce` writes, where a study of ours is there."""

from dataclasses import replace

import pytest

from harness import board
from leaderboard import build
from leaderboard.claims.gather import beside
from leaderboard.loading import load
from leaderboard.page import papers
from leaderboard.page.data import Extras, payload
from leaderboard.papers.build import build as reproduced
from leaderboard.papers.reading import load as paper
from leaderboard.runs import Submission
from leaderboard.selection import Archive

from .conftest import several_tasks, studies


def no_side(_):
    return None


def found(results):
    judged = {one.benchmark: one.judged for one in beside([results.folder]).judged}
    return papers.find(Archive(load(results.folder)), judged, no_side)


def test_the_tables_are_those_that_reproduce_writes(results):
    studies(results)
    shaped = found(results)
    assert [(one.paper.name, one.scale) for one in shaped] == [("gft", "tiny"), ("gift", "tiny")]
    for one in shaped:
        theirs = {grid.name: grid for grid in reproduced(one.paper, one.scale, results.folder, no_side).grids}
        assert {grid.name for grid in one.grids} == theirs.keys()
        for grid in one.grids:
            assert replace(grid, lines=()) == replace(theirs[grid.name], lines=())
            assert [line.entries for line in grid.lines] == [line.entries for line in theirs[grid.name].lines]
    gold = next(grid for grid in shaped[1].grids if grid.name == "rlhf")
    at = [header.name for header in gold.headers].index("ours_5")
    rates = {line.label: line.entries[at].value for line in gold.lines}
    assert rates["GIFT"] == pytest.approx(0.6, abs=0.1) and rates["GRPO"] == pytest.approx(0.4, abs=0.1)
    assert [one.grids[0].name for one in shaped] == ["main-qwen2.5-math-1.5b", "rlhf"]  # what ran comes first


def test_what_the_page_says_of_them(results, tmp_path):
    studies(results)
    built = build.build(results.folder, tmp_path, figures=False)
    tables = payload(built, Extras(papers=found(results)))["papers"]
    table = next(one for one in tables if one["slug"] == "gft-tiny-main-qwen2.5-math-1.5b")
    assert (table["paper"], table["scale"], table["command"]) == (
        "GFT",
        "tiny",
        "groupbench reproduce gft --scale tiny",
    )
    for said in ("arXiv 2604.14258, table 1", "gft-tiny-main, a Llama of 0.3 M parameters", "only the order of rows"):
        assert said in table["summary"]
    assert any(said.startswith("Model tiny. Budget of each run: 4 steps.") for said in table["caption"])
    assert not [said for said in table["caption"] if said in table["summary"]]
    names = [column["heading"] for column in table["columns"]]
    rows = {row["label"]: dict(zip(names, row["entries"], strict=True)) for row in table["rows"]}
    assert rows["GFT"]["AMC23, published"]["text"] == "46.09" and "±" in rows["GFT"]["a, b ≤ 19, ours"]["text"]
    assert rows["DFT"]["a, b ≤ 19, ours"] == {"text": "not run"} and "CHORD †" in rows
    rlvr = next(one for one in tables if one["slug"] == "gift-tiny-rlvr")
    assert {row["entries"][-1]["text"] for row in rlvr["rows"]} == {"not published"}
    alone = next(one for one in tables if one["slug"] == "gft-tiny-main-qwen2.5-math-7b")
    assert alone["summary"].endswith("No study of ours at this scale fills it.")


def test_without_a_study_of_ours_there_is_none(results):
    several_tasks(results, seeds=1)
    assert found(results) == ()
    results.cell("GFT", 0, [0.1, 0.5], benchmark="gft-nothing")
    results.plan()
    assert found(results) == ()


def test_a_submission_is_no_study_of_ours(results):
    studies(results)
    tables = [
        replace(table, rows=tuple(replace(row, submission=Submission("theirs")) for row in table.rows))
        for table in load(results.folder)
    ]
    assert papers.find(Archive(tables), {}, no_side) == ()


def test_the_command_has_them(results, tmp_path):
    studies(results)
    board.page(build.build(results.folder, tmp_path, figures=False), results.folder, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "groupbench reproduce gift --scale tiny" in text and paper("gft").title in text
