"""From a results folder to files: which, with what in them, and the same bytes from the same records."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from leaderboard import programs
from leaderboard.build import build, build_program
from leaderboard.programs import Program, ProgramError, Where
from leaderboard.records import RecordError

from .conftest import reward_runs

ROOT = Path(__file__).parents[2]
TABLES = ("leaderboard.md", "leaderboard.csv", "leaderboard-tidy.csv", "leaderboard.tex")
MINE = """
[[table]]
name = "main"
title = "Accuracy | all"
columns = ["algorithm", {column = "sampled_final", heading = "acc"}, "time_to_target"]
target_accuracy = 0.45
[[table]]
name = "cost"
columns = ["algorithm", "spent_flops"]
"""


def fill(results, task="arithmetic"):
    for seed, final in enumerate([0.50, 0.52, 0.54]):
        results.cell("gift@released", seed, [0.2, *[final] * 5], [0.25, 0.3], task={"name": task})
        items = {("heldout", "sampled", step): [[n < 20 + step + seed] for n in range(50)] for step in (0, 10)}
        results.cell("dapo_é|x", seed, items=items, task={"name": task})
    results.cell("grpo@paper", 0, [0.2, 0.4], task={"name": task})
    results.cell("grpo@paper", 1, state=None, task={"name": task})
    return results.plan()


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.toml").write_text(MINE)
    return programs.load(tmp_path / "mine.toml")


def test_every_file(results):
    folder = fill(results)
    built = build(folder)
    names = [*TABLES, *(f"convergence-arithmetic.{kind}" for kind in ("svg", "png", "pdf"))]
    assert built.paths == [folder / name for name in names] and all(path.stat().st_size > 0 for path in built.paths)
    text = (folder / "leaderboard.md").read_text()
    assert text.startswith("# Leaderboard\n\n## demo: arithmetic, tiny\n") and built.markdown[0] in text
    assert text.count("docs/statistics.md") == 1
    assert text.index("### Accuracy on held-out items") < text.index("](convergence-arithmetic.svg)")
    with (folder / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        dapo, gift, grpo = csv.DictReader(file)  # as in the tables: the highest first
    assert (gift["algorithm"], gift["seeds"], dapo["algorithm"]) == ("gift@released", "3/3", "dapo_é|x")
    assert float(gift["sampled_final"]) == pytest.approx(0.52, abs=1e-15)
    # Finals 0.50, 0.52, 0.54 have sd 0.02, and t with 2 degrees of freedom is 4.302653.
    half = float(gift["sampled_final_high"]) - float(gift["sampled_final"])
    assert half == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-6)
    assert (grpo["seeds"], grpo["sampled_final_low"]) == ("1/2 (1 missing)", "")
    assert (folder / "leaderboard.tex").read_bytes().isascii()
    tidy = (folder / "leaderboard-tidy.csv").read_text(encoding="utf-8")
    assert "accuracy,demo,arithmetic,tiny,gift@released," in tidy


def test_without_figures(results, tmp_path):
    built = build(fill(results), tmp_path / "out", figures=False)
    assert [path.name for path in built.paths] == [*TABLES] == sorted(os.listdir(tmp_path / "out"), key=TABLES.index)
    assert "![" not in built.markdown[0]


def test_same_records_same_bytes(results, tmp_path):
    folder = fill(results)
    fill(results, "other")
    first = {path.name: path.read_bytes() for path in build(folder, tmp_path / "one").paths}
    build(folder)  # its own files lie in the results folder now, and must not be read as records
    second = {path.name: path.read_bytes() for path in build(folder, tmp_path / "two").paths}
    assert first == second and len(first) == 4 + 3 * 2
    assert str(tmp_path).encode() not in b"".join(first.values())


def test_same_bytes_in_every_process(results, tmp_path):
    """Sets and hashes have another order in each."""
    folder = fill(results)
    fill(results, "other")
    (tmp_path / "mine.toml").write_text(MINE)
    code = (
        "import sys; from pathlib import Path; from leaderboard import build, programs;"
        "results, out, mine = map(Path, sys.argv[1:]); build.build(results, out);"
        "build.build_program(results, programs.load(mine), out)"
    )
    found = []
    for seed in ("0", "1"):
        out = tmp_path / seed
        command = [sys.executable, "-c", code, folder, out, tmp_path / "mine.toml"]
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, timeout=120)
        found.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert found[0] == found[1] and len(found[0]) == 4 + 3 * 2 + 4


def test_a_figure_for_each_table(results, tmp_path):
    results.cell("a", 0, [0.2, 0.4])
    results.cell("a", 0, [0.2, 0.4], task={"name": "gsm8k/main"})
    results.cell("a", 0, [0.2, 0.4], task={"name": "gsm8k/main"}, model={"name": "large"})
    built = build(results.plan(), tmp_path / "deep" / "out")
    assert len(built.paths) == 4 + 3 * 3 and all(path.is_file() for path in built.paths)
    assert built.paths[4].name == "convergence-arithmetic.svg"
    assert all(path.parent == tmp_path / "deep" / "out" for path in built.paths)
    assert all(path.name.startswith("convergence-gsm8k-main-") for path in built.paths[7:])


def test_tables_across_tasks_come_last(results, tmp_path):
    fill(results)
    text = (build(fill(results, "other"), tmp_path, figures=False).paths[0]).read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## demo: arithmetic, tiny", "## demo: other, tiny", "## Across tasks, tiny"]


def test_axis(results, tmp_path, mine):
    folder = fill(results)
    built = build(folder, tmp_path, axis="generated_tokens")
    assert "<!-- generated tokens (mean over seeds) -->" in built.paths[4].read_text()
    assert "| generated tokens to target |" in built.markdown[0]
    assert "| FLOPs to target |" in build_program(folder, mine, tmp_path, axis="flops").markdown[0]
    for make in (lambda: build(folder, tmp_path, axis="tokens"), lambda: build_program(folder, mine, axis="tokens")):
        with pytest.raises(RecordError, match="axis 'tokens': expected one of steps, optimizer_steps"):
            make()


def test_a_programs_files(results, tmp_path, mine):
    built = build_program(fill(results), mine, tmp_path / "out")
    assert [path.name for path in built.paths] == ["mine.md", "mine.csv", "mine-tidy.csv", "mine.tex"]
    text = built.paths[0].read_text()
    assert text == "\n".join(built.markdown)
    assert text.startswith(
        "## Accuracy \\| all\n\ndemo: arithmetic, tiny. Budget of each run: 4 steps. Finished seeds a row: 1 to 3. "
        "Last evaluation: 64 held-out items"
    )
    assert text.count("Accuracy") == 1 and "\n## cost\n" in text  # no title: its name
    assert "| acc | steps to target |" in text
    with built.paths[1].open(newline="") as file:
        gift = next(line for line in csv.DictReader(file) if line["algorithm"] == "gift@released")
    assert {"sampled_final", "time_to_target", "spent_flops"} <= gift.keys() and "acc" not in gift


def test_notes_on_runs_stand_below_a_programs_tables_once(results, tmp_path, mine):
    results.cell("grpo@paper", 1, [0.2, 0.3], state="failed", error="out of memory")
    fill(results, "other")
    built = build_program(results.plan(), mine, tmp_path)
    text = built.paths[0].read_text()
    assert text.count("grpo@paper, seed 1: failed after step 2: out of memory") == 1
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "## Accuracy \\| all", "## cost", "### Notes on demo: arithmetic, tiny",
        "## Accuracy \\| all", "## cost", "### Notes on demo: other, tiny",
    ]  # fmt: skip


def test_a_table_that_finds_no_run_is_named(results, tmp_path, mine):
    elsewhere = replace(mine.tables[0], name="aime", where=Where(task="aime"))
    built = build_program(fill(results), Program("mine", (*mine.tables, elsewhere)), tmp_path)
    assert built.empty == ("aime",) and [grid.name for grid in built.grids] == ["main", "cost"]
    assert build(results.folder, tmp_path, figures=False).empty == ()


@pytest.mark.parametrize("make", [build, lambda results, out: build_program(results, programs.load("terminal"), out)])
@pytest.mark.parametrize("file", ["cell.json", "steps.jsonl", "evals.jsonl", "items.jsonl", "status.json"])
def test_nothing_is_written_where_records_cannot_be_read(results, tmp_path, make, file):
    cell = results.cell("a", 0, items={("heldout", "sampled", step): [[1, 0]] * 9 for step in (0, 2)})
    (cell / file).write_text("{\n{\n")
    with pytest.raises(RecordError, match=file.replace(".", r"\.")):
        make(results.plan(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_where_a_program_finds_nothing(results, tmp_path, mine):
    results.cell("a", 0, [0.2, 0.4])
    none = Program("none", tuple(table for table in programs.load("leaderboard").tables if table.across))
    with pytest.raises(ProgramError, match="program none: none of its tables finds a run"):
        build_program(results.plan(), none, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_leaderboard_of_rewards(results, tmp_path):
    reward_runs(results)
    reward_runs(results, gold=False, task="without")
    fill(results)
    built = build(results.plan(), tmp_path)
    text = (tmp_path / "leaderboard.md").read_text()
    verified, gold, without = (
        text[text.index(f"## demo: {task}") :] for task in ("arithmetic", "preference", "without")
    )
    verified, gold = verified.partition("\n## ")[0], gold.partition("\n## ")[0]
    assert "### Accuracy on held-out items" in verified and "eward" not in verified
    for section in (gold, without):
        assert "### Reward on held-out items" in section and "ccuracy" not in section.partition("### What the runs")[0]
        assert "| sampled reward: final |" in section and "Rewards in the reward's unit." in section
        assert "![Held-out reward over the run" in section
    assert "| sampled gold: gain | sampled: over-optimisation gap |" in gold and "Gao et al. 2023" in gold
    assert "gold" not in without and "| KL to the start |" in without
    gift = next(line for line in gold.splitlines() if line.startswith("| 1 | gift@released"))
    assert "%" not in gift and " | +4.91 ± " in gift and "\\*\\* |" in gift
    tex = (tmp_path / "leaderboard.tex").read_text()
    assert "\\multicolumn{4}{c}{sampled reward}" in tex and "Rewards in the reward's unit." in tex
    with (tmp_path / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        lines = {(line["task"], line["algorithm"]): line for line in csv.DictReader(file)}
    one = lines["preference", "gift@released"]
    assert one["measure"] == "reward" and float(one["sampled_gain"]) == pytest.approx(5, abs=0.5)
    assert float(one["sampled_overoptimisation"]) == pytest.approx(5.5, abs=0.5)
    assert lines["without", "grpo"]["sampled_gold_gain"] == "" == lines["arithmetic", "gift@released"]["kl"]
    tidy = (tmp_path / "leaderboard-tidy.csv").read_text(encoding="utf-8")
    assert ",sampled_final,reward,0," in tidy and ",sampled_final,share,0," in tidy
    assert ",sampled_delta,reward_difference,0," in tidy and ",length_drift,change,0," in tidy
    assert len(built.paths) == 4 + 3 * 3


def test_measure_is_a_column_only_where_it_must_be(results, tmp_path):
    build(fill(results), tmp_path, figures=False)
    assert ",measure," not in (tmp_path / "leaderboard.csv").read_text().splitlines()[0]


def test_a_program_may_ask_for_runs_of_one_measure(results, tmp_path):
    reward_runs(results)
    fill(results)
    text = '[[table]]\nname = "t"\ncolumns = ["algorithm", "sampled_final"]\nwhere = {measure = "%s"}\n'
    for measure, task in (("reward", "preference"), ("accuracy", "arithmetic")):
        (tmp_path / "t.toml").write_text(text % measure)
        (grid,) = build_program(results.plan(), programs.load(tmp_path / "t.toml"), tmp_path / measure).grids
        assert grid.source.task == task
    (tmp_path / "t.toml").write_text(text % "gold")
    with pytest.raises(
        ProgramError, match=r"where.measure: Input should be '\*', 'accuracy' or 'reward'; found 'gold'"
    ):
        programs.load(tmp_path / "t.toml")
