"""What a run says before it begins, and what it leaves on record of its plan and of earlier ones."""

from __future__ import annotations

import shutil
from dataclasses import replace

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
    ("here", "made", "count", "said"),
    [
        (HERE, [[HERE], [HERE]], 0, ""),
        (None, [[THERE], [f"{THERE}+"]], 0, ""),  # no clone to tell by
        (HERE, [[None], [HERE]], 0, ""),
        (HERE, [[THERE], [HERE]], 1, "were made by other code (commit 222222222222; now 111111111111) and stay"),
        (HERE, [[HERE, THERE], [THERE]], 2, "were made by other code (commit 222222222222; now"),
        (HERE, [[f"{HERE}+"], [HERE]], 1, "may have been made by other code (commit 111111111111 with changes; now 1"),
        (f"{HERE}+", [[HERE], [HERE]], 2, "may have been made by other code (commit 111111111111; now 111111111111 w"),
        (f"{HERE}+", [[f"{HERE}+"], [THERE]], 2, "(commits 111111111111 with changes, 222222222222; now"),
    ],
)
def test_results_of_other_code_are_told_of_once(tmp_path, planned, monkeypatch, capsys, here, made, count, said):
    """They are done, and stay so: code is no part of a cell."""
    monkeypatch.setattr(provenance, "commit", lambda: here)
    for cell, commits in zip(planned.cells, made, strict=False):
        finish(tmp_path, cell, *commits)
    missing = execution.announce(planned, tmp_path, listed=True)
    assert [cell.id for cell in missing] == [planned.cells[2].id]
    lines = capsys.readouterr().out.splitlines()
    notes = [line for line in lines if line.startswith("note: ")]
    assert len(notes) == (count > 0) and sum(line.endswith("by other code") for line in lines) == count
    for note in notes:
        assert note.startswith(f"note: {count} of 2 finished cells ") and said in note
        assert note.endswith(f"To run them again, remove their folders in {tmp_path / 'cells'}")


def version(plan, source, **changes):
    """The same plan by a plug-in whose file has this hash."""

    def edited(cell):
        algorithm = cell.spec["algorithm"] | {"source": source}
        return replace(cell, spec=cell.spec | {"algorithm": algorithm} | changes)

    return replace(plan, cells=tuple(map(edited, plan.cells)))


def listed(results, plan):
    """benchmark.json's cells after this plan, whose cells have all been run."""
    execution.record_plan(results, plan)
    for cell in plan.cells:
        if not (results / "cells" / cell.id).exists():
            finish(results, cell, HERE)
    return {cell["id"]: cell for cell in records.read_json(results / "benchmark.json")["cells"]}


def test_what_an_edited_plugin_replaced_is_marked_until_the_edit_is_undone(tmp_path, planned):
    one, two, three = (version(planned, source) for source in "123")
    assert not any("earlier" in cell for cell in listed(tmp_path, one).values())
    found = listed(tmp_path, two)
    assert [found[cell.id].get("earlier") for cell in one.cells] == [cell.row for cell in two.cells]
    assert not any("earlier" in found[cell.id] for cell in two.cells)
    found = listed(tmp_path, three)
    assert {cell["earlier"] for cell in found.values() if "earlier" in cell} == {three.cells[0].row}
    assert sum("earlier" in cell for cell in found.values()) == 6
    found = listed(tmp_path, replace(one, cells=one.cells[:1]))  # undone, and with fewer seeds
    assert not any("earlier" in found[cell.id] for cell in one.cells), "its other seeds are no earlier version of it"
    assert {found[cell.id]["earlier"] for cell in (*two.cells, *three.cells)} == {one.cells[0].row}


def test_another_recipe_leaves_the_marks_and_a_removed_row_takes_them_along(tmp_path, planned):
    one, two = version(planned, "1"), version(planned, "2")
    listed(tmp_path, one)
    listed(tmp_path, two)
    other = version(planned, None, budget={"steps": 9})
    found = listed(tmp_path, other)
    assert [found[cell.id].get("earlier") for cell in one.cells] == [cell.row for cell in two.cells]
    for cell in two.cells:
        shutil.rmtree(tmp_path / "cells" / cell.id)
    found = listed(tmp_path, other)
    assert found.keys() == {cell.id for cell in (*one.cells, *other.cells)}
    assert not any("earlier" in cell for cell in found.values())


@pytest.mark.parametrize(
    "changes", [{"budget": {"steps": 9}}, {"control": "a-a"}, {"after": [{"row": "r", "algorithm": {"name": "sft"}}]}]
)
def test_what_differs_in_more_than_code_is_a_row_of_its_own(tmp_path, planned, changes):
    listed(tmp_path, version(planned, "1", **changes))
    assert not any("earlier" in cell for cell in listed(tmp_path, version(planned, "2")).values())


def test_the_stages_of_a_chain_may_have_been_edited_too(tmp_path, planned):
    def after(source):
        return {"after": [{"row": f"row of {source}", "algorithm": {"name": "mine", "source": source}}]}

    listed(tmp_path, version(planned, None, **after("1")))
    found = listed(tmp_path, version(planned, None, **after("2")))
    assert sum("earlier" in cell for cell in found.values()) == 3


def test_cells_keep_the_name_of_the_recipe_that_planned_them(tmp_path, planned):
    first, second = replace(planned, name="first"), replace(version(planned, "2", task={"name": "t"}), name="second")
    assert not any("name" in cell for cell in listed(tmp_path, first).values())
    found = listed(tmp_path, second)
    assert records.read_json(tmp_path / "benchmark.json")["name"] == "second"
    assert [found[cell.id].get("name") for cell in (*first.cells, *second.cells)] == ["first"] * 3 + [None] * 3
    found = listed(tmp_path, replace(first, cells=first.cells[:2]))
    assert [found[cell.id].get("name") for cell in (*first.cells, *second.cells)] == [None] * 3 + ["second"] * 3
