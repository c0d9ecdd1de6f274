import csv

import pytest

from leaderboard.build import build, render
from leaderboard.records import RecordError


def fill(results):
    for seed, final in enumerate([0.50, 0.52, 0.54]):
        results.cell("gift@released", seed, [0.2, final], [0.25, 0.3])
    results.cell("grpo@paper", 0, [0.2, 0.4])
    results.cell("grpo@paper", 1, state=None)
    return results.plan()


def test_writes_markdown_csv_and_figure(results):
    folder = fill(results)
    built = build(folder)
    names = ["leaderboard.md", "leaderboard.csv", "convergence-arithmetic.svg", "convergence-arithmetic.png"]
    assert built.paths == [folder / name for name in names]
    text = (folder / "leaderboard.md").read_text()
    assert text.startswith("# Leaderboard\n\n## demo: arithmetic, tiny\n") and built.markdown[0] in text
    assert "](convergence-arithmetic.svg)" in text
    assert len(render(built.tables)) == 1
    with (folder / "leaderboard.csv").open(newline="") as file:
        gift, grpo = csv.DictReader(file)
    assert (gift["algorithm"], gift["seeds_done"], gift["seeds_planned"]) == ("gift@released", "3", "3")
    assert float(gift["heldout_sampled_final"]) == pytest.approx(0.52, abs=1e-15)
    assert float(gift["heldout_sampled_final_half_width"]) == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-6)
    assert (grpo["seeds_missing"], grpo["heldout_sampled_final_half_width"]) == ("1", "")


def test_same_records_same_bytes(results, tmp_path):
    folder = fill(results)
    first = {path.name: path.read_bytes() for path in build(folder, tmp_path / "one").paths}
    build(folder)  # its own files lie in the results folder now, and must not be read as records
    second = {path.name: path.read_bytes() for path in build(folder, tmp_path / "two").paths}
    assert first == second and len(first) == 4
    assert str(tmp_path).encode() not in b"".join(first.values())


def test_a_figure_for_each_table(results, tmp_path):
    results.cell("a", 0, [0.2, 0.4])
    results.cell("a", 0, [0.2, 0.4], task={"name": "gsm8k/main"})
    results.cell("a", 0, [0.2, 0.4], task={"name": "gsm8k/main"}, model={"name": "large"})
    built = build(results.plan(), tmp_path / "deep" / "out")
    assert len(built.paths) == 2 + 2 * 3 and all(path.is_file() for path in built.paths)
    assert built.paths[2].name == "convergence-arithmetic.svg"
    assert all(path.parent == tmp_path / "deep" / "out" for path in built.paths)
    assert all(path.name.startswith("convergence-gsm8k-main-") for path in built.paths[4:])


def test_axis(results, tmp_path):
    folder = fill(results)
    svg = build(folder, tmp_path, axis="generated_tokens").paths[2].read_text()
    assert "<!-- generated tokens (mean over seeds) -->" in svg
    with pytest.raises(RecordError, match="axis 'tokens': expected one of steps, optimizer_steps"):
        build(folder, tmp_path, axis="tokens")


def test_nothing_is_written_where_records_cannot_be_read(results, tmp_path):
    cell = results.cell("a", 0, [0.2, 0.4])
    (cell / "cell.json").write_text("{")
    with pytest.raises(RecordError, match=r"cell\.json"):
        build(results.plan(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
