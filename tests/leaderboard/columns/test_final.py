"""Columns of final tasks: what they show, against what, and which runs have them."""

import pytest

from leaderboard.build import build
from leaderboard.columns import expanded, find
from leaderboard.loading import load as load_runs
from leaderboard.programs import Choice, ProgramError, TableProgram, Where, load
from leaderboard.records import RecordError
from leaderboard.selection import Archive
from leaderboard.tables import grids

VERDICTS = {"grpo": [[1, 0], [0, 0], [1, 1], [0, 1]], "gft": [[1, 1], [1, 0], [1, 1], [1, 1]]}


@pytest.fixture
def runs(results):
    """Two rows of three seeds on two final tasks, and their start on one; each seed another item wrong."""
    for label, verdicts in VERDICTS.items():
        for seed in range(3):
            folder = results.cell(label, seed, [0.1, 0.5], [0.1, 0.5])
            turned = [list(one) for one in verdicts]
            turned[seed][0] = 0
            results.final(folder, "easy", turned)
            if label == "gft":
                results.final(folder, "hard", [[0], [1], [seed % 2]])
    results.final(results.folder, "easy", [[0, 0], [0, 0], [1, 1], [0, 1]])
    return results


def shown(results, *columns, **where):
    archive = Archive(load_runs(results.plan()))
    from leaderboard.programs import Program

    table = TableProgram("t", tuple(Choice(c) for c in columns), where=Where(**where))
    (grid,) = grids(archive, Program("p", (table,)))
    return grid, {
        line.label: dict(zip((h.name for h in grid.headers), line.entries, strict=True)) for line in grid.lines
    }


def test_accuracy_start_gain_and_difference(runs):
    _, found = shown(runs, "final:easy", "final_start:easy", "final_gain:easy", "final_delta:easy", "final:hard")
    by_seed = found["gft"]["final:easy"].by_seed
    assert by_seed == {0: pytest.approx(0.75), 1: pytest.approx(0.75), 2: pytest.approx(0.75)}
    assert found["grpo"]["final_start:easy"].value == found["gft"]["final_start:easy"].value == pytest.approx(0.375)
    assert found["gft"]["final_start:easy"].mark == "" and found["gft"]["final_start:easy"].low is not None
    gain = found["gft"]["final_gain:easy"]
    assert gain.value == pytest.approx(0.375) and set(gain.by_seed) == {0, 1, 2} and gain.low < gain.value < gain.high
    assert found["grpo"]["final_delta:easy"].text == "reference"
    delta = found["gft"]["final_delta:easy"]
    expected = found["gft"]["final:easy"].value - found["grpo"]["final:easy"].value
    assert delta.value == pytest.approx(expected) and delta.low is not None
    assert found["grpo"]["final:hard"].value is None and found["gft"]["final:hard"].value == pytest.approx(4 / 9)


def test_a_pattern_stands_for_all_and_the_leaderboard_shows_them(runs, tmp_path):
    grid, _ = shown(runs, "algorithm", "final:*")
    assert [header.name for header in grid.headers] == ["algorithm", "final:easy", "final:hard"]
    assert [header.heading for header in grid.headers] == ["algorithm", "easy", "hard"]
    assert expanded("sampled_final", None) == ["sampled_final"]
    built = build(runs.folder, tmp_path / "out", figures=False)
    (final,) = [grid for grid in built.grids if grid.name == "final"]
    assert [header.heading for header in final.headers][2:] == ["easy", "hard", "easy: vs grpo", "hard: vs grpo"]
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "### Final tasks" in text and "final:easy_low" in (tmp_path / "out" / "leaderboard.csv").read_text()


def test_runs_without_final_tasks_have_no_such_table(results, tmp_path):
    results.cell("grpo", 0, [0.1, 0.5])
    built = build(results.plan(), tmp_path, figures=False)
    assert "final" not in {grid.name for grid in built.grids}
    assert load_runs(results.folder)[0].start is None


def test_seeds_that_were_asked_other_items_are_means(results):
    for seed, verdicts in enumerate(([[1], [0]], [[1], [0], [1]])):
        results.final(results.cell("grpo", seed, [0.1, 0.5]), "easy", verdicts)
    _, found = shown(results, "final:easy")
    assert found["grpo"]["final:easy"].by_seed == {0: pytest.approx(0.5), 1: pytest.approx(2 / 3)}


def test_lost_items_are_named(results):
    folder = results.cell("grpo", 0, [0.1, 0.5])
    results.final(folder, "easy", [[1], [0]])
    path = folder / "final" / "easy" / "items.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(RecordError, match=r"items\.jsonl: 1 of its 2 items are missing, e\.g\. 'q1'"):
        shown(results, "final:easy")


def test_the_start_is_another_models(runs):
    """A start is found by what its cells say of their model, not by where it lies."""
    runs.cell("grpo", 0, [0.1, 0.5], model={"name": "other"})
    tables = {table.model: table for table in load_runs(runs.plan())}
    assert tables["tiny"].start is not None and tables["other"].start is None


def test_programs_know_them(tmp_path):
    path = tmp_path / "p.toml"
    good = '[[table]]\nname = "t"\ncolumns = ["algorithm", "final:gsm8k"]\norder = "-final:gsm8k"\n'
    path.write_text(good)
    assert load(path).tables[0].columns[1].column == "final:gsm8k"
    for bad in ("final:", "finl:gsm8k"):
        path.write_text(good.replace("final:gsm8k", bad))
        with pytest.raises(ProgramError, match="unknown column"):
            load(path)
    assert find("final:x").kind == "share" and find("final_gain:x").kind == "points" and find("nothing") is None
