"""Verified submissions in the table of equal runs; all others apart, whatever they hold."""

import csv
import json
import shutil

import pytest

from leaderboard import programs
from leaderboard.build import build, build_program, terminal
from leaderboard.loading import load
from leaderboard.records import RecordError
from leaderboard.submissions.joining import gather, grid
from leaderboard.submissions.packing import Asked, pack
from leaderboard.winrates.build import find

from .conftest import Tampered

PROGRAM = '[[table]]\nname = "main"\ncolumns = ["rank", "algorithm", "sampled_final"]\n'


@pytest.fixture
def results(sums, other_seeds, tmp_path):
    """Own runs, and two submissions of the same row with seeds of their own: one good, one with an altered score."""
    folder = shutil.copytree(sums, tmp_path / "results", ignore=shutil.ignore_patterns("weights"))
    pack(other_seeds, folder / "submissions", Asked("honest", "A. Person", "elsewhere"))
    return folder


def alter(results, name="honest"):
    one = Tampered(results / "submissions" / name)

    def better(evals):
        last = next(e for e in reversed(evals) if (e["split"], e["mode"]) == ("heldout", "sampled"))
        last["accuracy"] = 1.0

    one.change(f"cells/{one.cells[0]}/evals.jsonl.gz", better)
    return one.sealed()


def labels(archive):
    return [row.label for table in archive.tables for row in table.rows]


def test_a_verified_one_joins_the_table_of_its_key(results):
    archive = gather(results)
    (table,) = archive.tables
    assert labels(archive) == ["grpo@no-kl", "gift@released", "gift@released (honest)"]
    own, handed_in = table.rows[1], table.rows[2]
    assert own.submission is None and own.hash != handed_in.hash
    assert (handed_in.submission.name, handed_in.submission.by, handed_in.submission.verified) == (
        "honest",
        "A. Person",
        True,
    )
    assert [len(cell.steps) for cell in handed_in.cells] == [3, 3] and [cell.seed for cell in handed_in.cells] == [2, 3]
    assert not archive.apart and not archive.refused and grid(archive) is None
    built = build(results, figures=False)
    text = (results / "leaderboard.md").read_text()
    assert r"gift@released (honest)" in text and "submitted by A. Person, " in text and "Not verified" not in text
    assert sorted(line.label for line in built.grids[0].lines) == sorted(labels(archive))
    assert labels(gather(results)) == [row.label for row in load(results)[0].rows] + ["gift@released (honest)"]


def test_a_seed_that_was_left_out_is_said(results, other_seeds):
    cell = next(path for path in sorted((other_seeds / "cells").iterdir()))
    shutil.rmtree(results / "submissions")
    pack(cell, results / "submissions", Asked("one"))
    (row,) = [row for row in gather(results).tables[0].rows if row.submission]
    assert sorted([*row.submission.left_out, row.cells[0].seed]) == [2, 3]
    build(results, figures=False)
    said = f"submitted without the seed {row.submission.left_out[0]} of its own plan"
    assert said in (results / "leaderboard.md").read_text()


def test_an_unverified_one_stands_apart(results):
    alter(results)
    archive = gather(results)
    assert labels(archive) == ["grpo@no-kl", "gift@released"]
    (apart,) = archive.apart
    assert [row.label for row in apart.rows] == ["gift@released (honest)"] and not apart.rows[0].submission.verified
    assert apart.key == archive.tables[0].key
    shown = grid(archive)
    (line,) = shown.lines
    texts = [entry.text for entry in line.entries]
    assert texts[0] == "gift@released (honest)" and "50.0" in texts
    assert "accuracy = 1.0; expected 0.0, from its 6 items" in shown.caption[1]
    build(results)
    text = (results / "leaderboard.md").read_text()
    head, _, below = text.partition("## Not verified: self-reported")
    assert "(honest)" not in head and "(honest)" in below
    for name in ("leaderboard.csv", "leaderboard-tidy.csv", "leaderboard.tex"):
        assert "honest" not in (results / name).read_text()
    assert b"honest" not in (results / "convergence-arithmetic.svg").read_bytes()
    *tables, last = terminal(archive)
    assert last.grid == shown and not any("honest" in str(one.grid) for one in tables)
    (results / "main.toml").write_text(PROGRAM)
    assert "honest" not in "".join(build_program(results, programs.load(results / "main.toml")).markdown)


def test_one_that_cannot_be_read_is_named_and_no_more(results):
    one = alter(results)
    plan = one.read("benchmark.json")
    plan["cells"][0]["algorithm"] = "gift\x1b]0;owned\x07"
    one.write("benchmark.json", plan)
    one.sealed()
    (results / "submissions" / "link").symlink_to(results / "cells")
    archive = gather(results)
    assert not archive.apart and [one.name for one in archive.refused] == ["honest", "link"]
    text = " ".join(grid(archive).caption)
    assert text.isprintable() and "a symbolic link" in text and "A. Person" not in str(archive.refused)
    build(results, figures=False)


@pytest.mark.parametrize("where", ["submissions/stripped", "elsewhere/submissions/stripped"])
def test_without_its_manifest_it_is_nobodys_run(results, where):
    """Own runs are what no submission is: a file that was deleted must not make it one."""
    target = results / where
    shutil.copytree(results / "submissions" / "honest", target)
    (target / "submission.json").unlink()
    shutil.rmtree(results / "submissions" / "honest")
    archive = gather(results)
    assert labels(archive) == ["grpo@no-kl", "gift@released"] == [row.label for row in load(results)[0].rows]
    assert [one.name for one in archive.refused] == (["stripped"] if where.startswith("sub") else [])


def test_own_runs_that_were_handed_in_count_once(results, good):
    shutil.copytree(good["sums"], results / "submissions" / "sums")
    archive = gather(results)
    assert labels(archive) == ["grpo@no-kl", "gift@released", "gift@released (honest)"]
    (apart,) = archive.apart
    assert all("expected cells that no own run holds" in row.submission.faults[0] for row in apart.rows)


def test_a_folder_of_submissions_alone(results, tmp_path):
    folder = shutil.copytree(results / "submissions", tmp_path / "repository" / "submissions")
    for place in (folder, folder.parent, folder / "honest"):
        (table,) = gather(place).tables
        assert [row.label for row in table.rows] == ["gift@released (honest)"]
    with pytest.raises(RecordError, match="no cell is planned in it and none has run"):
        load(folder)
    alone = tmp_path / "own"
    shutil.copytree(results / "cells", alone / "cells")
    shutil.copy(results / "benchmark.json", alone)
    assert len(labels(gather(alone))) == 2 and len(labels(gather(alone, folder))) == 3
    with pytest.raises(RecordError, match=r"--submissions .*: no such folder"):
        gather(alone, tmp_path / "none")
    alter(tmp_path / "repository")
    built = build(folder, tmp_path / "out", figures=False)
    assert built.archive.tables == () and "Not verified" in (tmp_path / "out" / "leaderboard.md").read_text()
    with (tmp_path / "out" / "leaderboard.csv").open() as file:
        assert list(csv.DictReader(file)) == []


def test_a_label_that_is_taken_already(results, sums):
    """A submission cannot be mistaken for a row of the user's own."""
    one = Tampered(results / "submissions" / "honest")
    for cell in one.cells:
        one.change(f"cells/{cell}/cell.json", lambda record: record.update(algorithm="x"))
    own = Tampered(results)
    for cell in (results / "cells").iterdir():
        own.change(
            f"cells/{cell.name}/cell.json",
            lambda r: r.update(algorithm=r["algorithm"].replace("gift@released", "x (honest)")),
        )
    planned = own.read("benchmark.json")
    for entry in planned["cells"]:
        entry["algorithm"] = entry["algorithm"].replace("gift@released", "x (honest)")
    own.write("benchmark.json", planned)
    plan = one.read("benchmark.json")
    for entry in plan["cells"]:
        entry["algorithm"] = "x"
    one.write("benchmark.json", plan)
    rows = json.loads((one.folder / "submission.json").read_text())["rows"]
    one.manifest(rows=[row | {"label": "x"} for row in rows])
    one.sealed()
    found = labels(gather(results))
    assert len(set(found)) == 3 and "x (honest)" in found and any(name.startswith("x (honest) #") for name in found)


def test_one_that_is_ranked_by_something_else_stands_apart(taste, good, tmp_path):
    """Rewards under own accuracies, or accuracies under own rewards: either would be a table of empty places."""
    folder = shutil.copytree(taste, tmp_path / "results", ignore=shutil.ignore_patterns("weights"))
    own = Tampered(folder)
    for entry in own.plan:  # own runs with other seeds, and graded
        cell = own.respecified(entry["id"], lambda record: record["spec"].update(seed=5))
        for name, key, value in (("evals", "accuracy", 0.5), ("items", "correct", [1])):
            lines = [json.loads(line) for line in (folder / "cells" / cell / f"{name}.jsonl").read_text().splitlines()]
            text = "".join(json.dumps(line | {key: value}) + "\n" for line in lines)
            (folder / "cells" / cell / f"{name}.jsonl").write_text(text)
    shutil.copytree(good["taste"], folder / "submissions" / "taste")
    archive = gather(folder)
    (table,) = archive.tables
    assert table.measure == "accuracy" and not any(row.submission for row in table.rows)
    (apart,) = archive.apart
    assert apart.key == table.key and apart.measure == "reward"
    (fault,) = apart.rows[0].submission.faults
    assert fault == "., the table of preference: ranked by reward; expected accuracy, as others there"


def test_verdicts_of_others_join_no_win_rates(taste, good, tmp_path):
    folder = shutil.copytree(taste, tmp_path / "results", ignore=shutil.ignore_patterns("weights"))
    mine = len(find([folder]))
    shutil.copytree(good["taste"], folder / "submissions" / "taste")
    assert len(find([folder])) == mine
    assert len(find([folder / "submissions" / "taste"])) == mine  # asked for by name, and verified
    one = Tampered(folder / "submissions" / "taste")
    one.change(next(one.folder.rglob("games.jsonl.gz")).relative_to(one.folder).as_posix(),
               lambda games: [game | {"score": 1.0} for game in games])  # fmt: skip
    with pytest.raises(RecordError, match="not verified: judged/"):
        find([one.sealed().folder])
