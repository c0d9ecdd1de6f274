"""Where a study's runs are not its recipe's, told of real plans whose cells are taken to be done."""

import json
from dataclasses import replace

import pytest

from harness import benchmark, recipe
from harness.papers import departures, studies
from leaderboard import records
from leaderboard.papers.reading import PAPERS, load
from leaderboard.runs import Cell, Row, Submission, Table

TINY = [load(paper).study("tiny", short) for paper in PAPERS for short in load(paper).scale["tiny"].studies]


@pytest.fixture
def done(tmp_path):
    """The table of a study as it would be planned with these settings, all of its cells done."""

    def made(name, *overrides, change=lambda record: None):
        wanted = recipe.load(studies.folder() / f"{name}.yaml", ("seeds=[0]", *overrides))
        rows = []
        for cell in benchmark.plan(wanted, "cpu").cells:
            folder = tmp_path / cell.id
            folder.mkdir()
            record = json.loads(json.dumps({"spec": cell.spec, "provenance": {"recipe": cell.recipe}}))
            change(record)
            records.write_json(folder / "cell.json", record)
            rows.append(Row(cell.id, cell.label, (Cell(0, "done", folder=folder),)))
        return Table(name, "task", "tiny", {}, "slug", tuple(rows))

    return made


@pytest.mark.parametrize("name", TINY)
def test_a_study_as_it_is_departs_from_nothing(done, name):
    assert departures.of(done(name)) == ()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("budget.steps=2", "budget.steps = 2, not 60"),
        ("sampling.max_tokens=5", "sampling.max_tokens = 5, not 6"),
        ("task.parameters.level=2", "task.parameters.level = 2, not 3"),
        ("evaluation.examples=20", "evaluation.examples = 20, not None"),
        ("model.warm_start.budget.steps=4", "model.warm_start.budget.steps = 4, not 400"),
        ("algorithms=[{name: gift, label: GIFT, training: {learning_rate: 8.83e-05}}]",
         "algorithm.parameters.epsilon = 1e-06, not 0.00316"),
        ("algorithms=[{name: gift, label: Gift}]", "no row of the study"),
    ],
)  # fmt: skip
def test_another_setting_is_named(done, override, said):
    assert departures.of(done("gift-tiny-rlvr", override)) == (said,)


def test_rows_are_named_where_others_are_the_studys(done):
    table = done("gift-tiny-rlvr")
    other = done("gift-tiny-rlvr", "algorithms=[{name: gspo, label: GSPO, training: {learning_rate: 1.36e-04}}]").rows
    both = [row for row in table.rows if row.label != "GSPO"] + [replace(other[0], label="GSPO #012abc")]
    lows = [f"GSPO #012abc: algorithm.parameters.{key}" for key in ("clip_low", "clip_high")]
    found = departures.of(replace(table, rows=tuple(both)))
    assert [one.partition(" = ")[0] for one in found] == lows
    theirs = replace(both[-1], submission=Submission("theirs"))
    never = replace(both[-1], cells=(replace(both[-1].cells[0], state="failed"),))
    for row in (theirs, never):  # no claim stands on these
        assert departures.of(replace(table, rows=(*both[:-1], row))) == ()


def test_what_a_specification_does_not_name(done):
    """Final tasks, and the model by its name, wherever it lies; a task that was added later is in no cell's recipe."""

    def other(record):
        record["provenance"]["recipe"]["model"]["name"] = "/somewhere/else"
        record["provenance"]["recipe"]["final_tasks"][0]["samples"] = 1
        del record["provenance"]["recipe"]["final_tasks"][1]

    found = departures.of(done("gft-tiny-main", change=other))
    assert found == ("model.name = else, not tiny", "final_tasks.sums-19.samples = 1, not 8")


def test_of_other_tables_nothing_is_told(done):
    table = done("gift-tiny-rlvr", "budget.steps=2")
    assert departures.of(replace(table, benchmark="mine")) == ()
    assert departures.of(replace(table, benchmark="gift-tiny-rlvr-mine")) == (
        "groupbench has no study gift-tiny-rlvr-mine",
    )


def test_records_of_others_with_less_in_them(done):
    def bare(record):
        record["spec"] = {"task": {"name": "arithmetic"}, "model": {"name": "tiny"}, "budget": {"steps": 60}}
        record["provenance"] = {}

    found = departures.of(done("gift-tiny-rlvr", change=bare))
    assert "sampling = None, not None" not in found and any(one.startswith("sampling.max_tokens") for one in found)
