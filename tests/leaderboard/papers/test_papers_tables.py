"""A paper's table: our numbers beside the published ones, what is not run, and the bytes of its files."""

import pytest

from leaderboard.papers.build import build
from leaderboard.papers.reading import load

MODEL = "Qwen2.5-Math-1.5B"


def no_side(_):
    return None


def study(results, name, columns, labels):
    """Three seeds of each row, with verdicts on the final tasks; the start is half right."""
    for number, label in enumerate(labels):
        for seed in range(3):
            folder = results.cell(label, seed, [0.1, 0.5], benchmark=name)
            for task in columns:
                results.final(folder, task, [[1, 0], [int(seed > 0), 1], [number % 2, 1], [0, seed % 2]])
    for task in columns:
        results.final(results.folder / name, task, [[1], [0], [1], [0]])


def made(results, scale, paper="gft", **more):
    results.plan()
    built = build(load(paper), scale, results.folder, no_side, **more)
    return built, {grid.name: grid for grid in built.grids}


def column(grid, heading):
    (place,) = [n for n, header in enumerate(grid.headers) if header.heading == heading]
    return {line.label: line.entries[place] for line in grid.lines}


def test_at_another_scale_nothing_is_subtracted(results):
    study(results, "gft-tiny-main", ("sums-19", "sums-49", "sums-99"), ("SFT", "GRPO", "GFT"))
    _, grids = made(results, "tiny")
    grid = grids["main-qwen2.5-math-1.5b"]
    assert not [header.name for header in grid.headers if header.name.startswith("difference")]
    ours, theirs, mean = (column(grid, name) for name in ("a, b ≤ 19, ours", "AMC23, published", "mean, ours"))
    assert ours["Base"].value == 0.5 and ours["Base"].mark == "" and theirs["Base"].text == "30.16"
    assert theirs["SFT"].value == 0.3125 and theirs["SFT"].text == "31.25"
    assert ours["GFT"].low < ours["GFT"].value < ours["GFT"].high and mean["GFT"].value == ours["GFT"].value
    assert ours["DFT"].text == "not run" and mean["DFT"].text == "not run"
    assert ours["LUFFY"].text == mean["CHORD"].text == "not implemented here"
    assert column(grid, "seeds")["GFT"].text == "3" and column(grid, "seeds")["DFT"].text == "0"
    assert [line.entries[0].text for line in grid.lines][8] == "CHORD †"
    said = " ".join(grid.caption)
    assert "nothing is subtracted" in said and "arXiv 2604.14258, table 1" in said and "gft-tiny-main" in said


def test_at_the_papers_scale_the_difference_has_our_interval(results):
    study(results, "gft-paper-main", ("amc23", "math500"), ("SFT", "GRPO", "GFT"))
    _, grids = made(results, "paper")
    grid = grids["main-qwen2.5-math-1.5b"]
    ours, theirs = column(grid, "AMC23, ours"), column(grid, "AMC23, published")
    less = column(grid, "AMC23, ours − published")
    for row in ("Base", "SFT", "GFT"):
        assert less[row].value == pytest.approx(ours[row].value - theirs[row].value)
    assert less["GFT"].high - less["GFT"].low == pytest.approx(ours["GFT"].high - ours["GFT"].low)
    assert less["DFT"].value is None and column(grid, "mean, ours")["GFT"].text == "not run"  # not all six
    assert "for the paper states none" in " ".join(grid.caption)


def test_rows_of_another_study_and_the_fourth_mix(results):
    study(results, "gft-tiny-main", ("sums-19", "sums-49", "sums-99"), ("SFT",))
    study(results, "gft-tiny-ablation", ("sums-19", "sums-49", "sums-99"), ("w/o GAL", "GFT", "GFT 2:6"))
    _, grids = made(results, "tiny")
    ablation, mix = column(grids["ablation"], "a, b ≤ 19, ours"), column(grids["mix"], "a, b ≤ 19, ours")
    assert ablation["w/o GAL+DCR"].value is not None and ablation["w/o DCR"].text == "not run"
    assert mix["4:4"] == ablation["GFT"] and mix["2:6"].value is not None and mix["8:0"].text == "not run"
    assert column(grids["tau"], "MATH, published")["GFT"].text == "not published"
    said = " ".join(grids["mix"].caption)
    assert "8:0 is GFT 8:0; 6:2 is GFT 6:2" in said
    assert "w/o GAL+DCR is main: SFT" in " ".join(grids["ablation"].caption)


def test_runs_with_other_settings_than_the_recipe_are_said_to_be_so(results):
    """In the caption of all tables that they stand in, and on the page, which shows `conditions`."""
    study(results, "gft-tiny-main", ("sums-19", "sums-49", "sums-99"), ("SFT",))
    study(results, "gft-tiny-ablation", ("sums-19", "sums-49", "sums-99"), ("GFT",))
    others = {"gft-tiny-main": [f"a.{n} = 1, not 2" for n in range(5)]}
    _, grids = made(results, "tiny", departures=lambda table: others.get(table.benchmark, ()))
    said = f"gft-tiny-main: not the study's settings: {'; '.join(others['gft-tiny-main'])}."
    for name in ("main-qwen2.5-math-1.5b", "ablation"):  # in which SFT is the main study's
        assert said in grids[name].caption and said in grids[name].conditions
    for name in ("mix", "tau"):
        assert "study's settings" not in " ".join((*grids[name].caption, grids[name].conditions))


def test_a_paper_without_a_published_number(results):
    for label in ("GRPO", "GIFT"):
        for seed in range(3):
            results.cell(label, seed, [0.1, 0.3 + 0.01 * seed, 0.5 + 0.02 * seed], benchmark="gift-tiny-rlvr")
    _, grids = made(results, "tiny", "gift")
    grid = grids["rlvr"]
    assert column(grid, "accuracy, ours")["GIFT"].value == pytest.approx(0.52)
    assert {entry.text for entry in column(grid, "GSM8K, published").values()} == {"not published"}
    assert column(grid, "accuracy, ours")["DAPO"].text == "not run"
    assert (
        column(grid, "KL, ours")["GIFT"].text is None and column(grid, "KL, ours")["GIFT"].value is None
    )  # run, and not recorded
    assert column(grids["aggregator"], "BBQ")["unlabelled"].text == "71.06"
    assert "ε of rows GIFT is ours, 0.00316" in " ".join(grid.caption)
    assert "ε of rows" not in " ".join(grids["aggregator"].caption)


@pytest.mark.parametrize("paper", ["gft", "gift"])
@pytest.mark.parametrize("scale", ["tiny", "small", "paper"])
def test_with_no_run_at_all_the_published_numbers_stand(results, paper, scale):
    results.folder.mkdir()
    built = build(load(paper), scale, results.folder, no_side)
    assert {path.name for path in built.paths} == {
        f"{paper}-{scale}{end}" for end in (".md", ".csv", "-tidy.csv", ".tex")
    }
    names = [grid.name for grid in built.grids]
    assert len(set(names)) == len(names)
    text = built.paths[0].read_text()
    for table in load(paper).table:
        for block in table.block:
            for values in block.rows.values():
                assert all(f" {value:.{table.digits}f} " in text for value in values)


def test_the_same_records_give_the_same_bytes(results, tmp_path):
    study(results, "gft-tiny-main", ("sums-19", "sums-49", "sums-99"), ("SFT", "GRPO", "GFT"))
    built, _ = made(results, "tiny")
    first = [path.read_bytes() for path in built.paths]
    again, _ = made(results, "tiny")
    assert [path.read_bytes() for path in again.paths] == first
    text = built.paths[0].read_text()
    row = next(line for line in text.splitlines() if line.startswith("| SFT |"))
    assert row.endswith("| 31.25 | 36.45 | 48.86 | 60.66 | 23.99 | 79.34 | 46.76 |") and row.count("±") == 4
    assert built.paths[3].read_text().isascii()
    csv = built.paths[1].read_text()
    assert "main-qwen2.5-math-1.5b_published_of_1" in csv and "main-qwen2.5-math-1.5b_ours_1_low" in csv
