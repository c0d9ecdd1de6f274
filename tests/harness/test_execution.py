"""What a run says before it begins, and what it leaves on record of its plan and of earlier ones."""

from __future__ import annotations

import pytest

from harness import benchmark, execution, provenance, recipe
from leaderboard import records

HERE, THERE = "1" * 40, "2" * 40


@pytest.fixture(scope="module")
def planned(small):
    return benchmark.plan(recipe.parse({**small.RECIPE, "seeds": [0, 1, 2]}, "recipe"), "cpu")


def finish(results, cell, *commits):
    """The folder of a cell that sessions of these commits have done."""
    folder = results / "cells" / cell.id
    folder.mkdir(parents=True)
    known = {"sessions": [{"commit": commit} for commit in commits]}
    records.write_json(folder / "cell.json", {"spec": cell.spec, "provenance": known})
    records.write_json(folder / "status.json", {"state": "done"})


@pytest.mark.parametrize(
    ("here", "made", "said"),
    [
        (HERE, [[HERE], [HERE]], None),
        (None, [[THERE], [f"{THERE}+"]], None),  # no clone to tell by
        (HERE, [[None], [HERE]], None),
        (HERE, [[THERE], [HERE]], "1 of 2 finished cells were made by other code (commit 222222222222; now 111111111111)"),
        (HERE, [[HERE, THERE], [THERE]], "2 of 2 finished cells were made"),
        (HERE, [[f"{HERE}+"], [HERE]], "1 of 2 finished cells may have been made by other code (commit 111111111111 with"),
        (f"{HERE}+", [[HERE], [HERE]], "2 of 2 finished cells may have been"),
        (f"{HERE}+", [[f"{HERE}+"], [THERE]], "commits 111111111111 with changes, 222222222222; now 111111111111 with"),
    ],
)  # fmt: skip
def test_results_of_other_code_are_told_of_once(tmp_path, planned, monkeypatch, capsys, here, made, said):
    """They are done, and stay so: code is no part of a cell."""
    monkeypatch.setattr(provenance, "commit", lambda: here)
    for cell, commits in zip(planned.cells, made, strict=False):
        finish(tmp_path, cell, *commits)
    missing = execution.announce(planned, tmp_path, listed=True)
    assert [cell.id for cell in missing] == [planned.cells[2].id]
    out = capsys.readouterr().out
    assert out.count("note:") == out.count("To run them again, remove their folders in") == (said is not None)
    assert said is None or said in out
    marked = [line.partition("done, ")[2] for line in out.splitlines() if line.endswith("by other code")]
    assert len(marked) == (0 if said is None else int(said[0]) if said[0].isdigit() else 2)
    assert ("perhaps by other code" in marked) == bool(said and "were" not in said)
