import json
import re
import shutil
import subprocess
import sys

import pytest

from leaderboard import records
from leaderboard.loading import load, load_all
from leaderboard.notes import notes


def labels(table):
    return [row.label for row in table.rows]


def test_records_import_without_pandas_or_matplotlib():
    code = (
        "import leaderboard, leaderboard.records, leaderboard.tables, leaderboard.plot, leaderboard.build, sys; "
        "print([m for m in ('pandas', 'matplotlib', 'torch') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_cells_of_one_row_are_seeds_of_one_another(results):
    for seed in (2, 0, 1):
        results.cell("gift@released", seed, [0.2, 0.4])
    results.cell("grpo@paper", 0, [0.2, 0.3])
    (table,) = load(results.plan())
    assert (table.benchmark, table.task, table.model, table.budget) == ("demo", "arithmetic", "tiny", {"steps": 4})
    by_label = {row.label: row for row in table.rows}
    assert [cell.seed for cell in by_label["gift@released"].cells] == [0, 1, 2]
    assert [cell.seed for cell in by_label["grpo@paper"].cells] == [0]


def test_states(results):
    results.cell("a", 0, [0.2, 0.4])
    results.cell("a", 1, [0.2, 0.4], state="failed", error="out of memory")
    results.cell("a", 2, [0.2, 0.4], state="running")
    results.cell("a", 3, state=None)
    (results.cell("a", 4, [0.2, 0.4]) / "status.json").unlink()  # killed before its first status
    ((row,),) = (table.rows for table in load(results.plan()))
    assert [cell.state for cell in row.cells] == ["done", "failed", "running", "missing", "running"]
    assert [cell.seed for cell in row.done] == [0]
    assert row.cells[1].evals == {} and row.cells[2].steps == ()


def test_one_algorithm_in_two_specifications_is_two_rows(results):
    for seed in (0, 1):
        results.cell("mine", seed, [0.2, 0.4], algorithm_source="a")
        results.cell("mine", seed, [0.2, 0.9], algorithm_source="b")
    results.cell("grpo", 0, [0.2, 0.3])
    (table,) = load(results.plan())
    mine = [row for row in table.rows if row.label.startswith("mine #")]
    assert sorted(labels(table)) == sorted(["grpo", *(row.label for row in mine)])
    assert [len(row.cells) for row in mine] == [2, 2]
    assert mine[0].hash != mine[1].hash and mine[0].label != mine[1].label


def test_two_specifications_of_one_label_are_told_apart_alike_on_every_task(results):
    for task in ("one", "two"):
        for source in "ab":
            results.cell(
                "mine", 0, [0.2, 0.4], algorithm_source=source, task={"name": task}, budget={"steps": len(task)}
            )
    one, two = load(results.plan())
    assert labels(one) == labels(two) and len(set(labels(one))) == 2


def test_a_label_that_one_task_must_tell_apart_is_the_same_where_another_need_not(results):
    """Else a table across tasks would not know its rows again, nor the reference."""
    for task, sources in (("one", "ab"), ("two", "a")):
        for source in sources:
            results.cell("mine", 0, [0.2, 0.4], algorithm_source=source, task={"name": task})
    one, two = load(results.plan())
    assert set(labels(two)) < set(labels(one)) and len(labels(one)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"name": "large"}},
        {"budget": {"steps": 8}},
        {"task": {"name": "arithmetic", "digits": 3}},
        {"evaluation": {"max_tokens": 8}},
    ],
)
def test_what_cannot_be_compared_is_in_tables_of_its_own(results, change):
    results.cell("a", 0, [0.2, 0.4])
    results.cell("a", 1, [0.2, 0.4], **change)
    tables = load(results.plan())
    assert [labels(table) for table in tables] == [["a"], ["a"]]
    assert len({table.slug for table in tables}) == 2


def test_the_model_has_the_name_that_a_person_gave_it(results):
    cell = results.cell("a", 0, [0.2, 0.4], model={"name": "sha256:1234"})
    results.cell("a", 0, [0.2, 0.4], model={"name": "sha256:1234", "warm_start": "5678"}, task={"name": "z"})
    content = records.read_json(cell / "cell.json")
    records.write_json(cell / "cell.json", content | {"provenance": {"model": "./start"}})
    assert [table.model for table in load(results.plan())] == ["./start", "sha256:1234, warm-started"]


def test_benchmarks_are_not_pooled(results):
    results.cell("a", 0, [0.2, 0.4], benchmark="one")
    results.cell("a", 1, [0.2, 0.4], benchmark="two")
    tables = load(results.plan())
    assert [(table.benchmark, len(table.rows[0].cells)) for table in tables] == [("one", 1), ("two", 1)]
    assert len({table.slug for table in tables}) == 2


def test_cells_without_a_benchmark_file(results):
    cell = results.cell("a", 0, [0.2, 0.4])
    (table,) = load(results.folder)
    assert table.benchmark == "results"
    (table,) = load(cell)
    assert labels(table) == ["a"]


def test_a_cell_never_started_stands_where_it_belongs(results):
    results.cell("a", 0, [0.2, 0.4])
    results.cell("a", 1, state=None)
    results.cell("b", 0, state=None)  # no cell of its row has run
    (table,) = load(results.plan())
    assert {row.label: [cell.state for cell in row.cells] for row in table.rows} == {
        "a": ["done", "missing"],
        "b": ["missing"],
    }


def test_a_cell_never_started_goes_to_no_table_by_guess(results):
    results.cell("a", 0, [0.2, 0.4])
    results.cell("a", 0, [0.2, 0.4], budget={"steps": 8})
    results.cell("b", 0, state=None)  # in which of the two budgets?
    results.cell("a", 1, state=None, budget={"steps": 8})  # its row tells
    unknown, *known = load(results.plan())
    assert (labels(unknown), unknown.model) == (["b"], None)
    assert {table.budget["steps"]: [cell.state for cell in table.rows[0].cells] for table in known} == {
        4: ["done"],
        8: ["done", "missing"],
    }


def test_nothing_started(results):
    results.cell("a", 0, state=None)
    (table,) = load(results.plan())
    assert (labels(table), table.model, table.budget) == (["a"], None, None)


def test_later_records_supersede(results):
    cell = results.cell("a", 0, [0.2, 0.3, 0.4], [0.5, 0.6, 0.7])
    evaluations = list(records.read_lines(cell / "evals.jsonl"))
    again = next(record for record in evaluations if (record["mode"], record["step"]) == ("sampled", 2))
    records.append(cell / "evals.jsonl", [again | {"accuracy": 0.35}])
    steps = list(records.read_lines(cell / "steps.jsonl"))
    records.append(cell / "steps.jsonl", [steps[2] | {"grad_norm": 7.0}])
    (done,) = load(results.plan())[0].rows[0].done
    assert [(record["step"], record["accuracy"]) for record in done.curve("sampled")] == [(0, 0.2), (2, 0.35), (4, 0.4)]
    assert [record["accuracy"] for record in done.curve("greedy")] == [0.5, 0.6, 0.7]
    assert [(step["step"], step["grad_norm"]) for step in done.steps] == [(1, 1.0), (2, 1.0), (3, 7.0), (4, 1.0)]


def test_evaluations_stand_by_step_whatever_their_order_on_disk(results):
    path = results.cell("a", 0, [0.2, 0.3, 0.5]) / "evals.jsonl"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    ((row,),) = (table.rows for table in load(results.plan()))
    (cell,) = row.cells
    assert [record["step"] for record in cell.curve("sampled")] == [0, 2, 4]
    assert (cell.start("sampled")["accuracy"], cell.final("sampled")["accuracy"]) == (0.2, 0.5)


def test_a_control_arm_is_one_before_it_has_finished(results):
    """Else it would be ranked, and be the reference, until it has."""
    results.cell("a-a", 0, [0.2], state="running", provenance={"control": "a-a"})
    ((row,),) = (table.rows for table in load(results.plan()))
    assert row.control


def test_torn_last_line_is_left_out(results):
    cell = results.cell("a", 0, [0.2, 0.3, 0.4])
    with (cell / "evals.jsonl").open("a") as file:
        file.write('{"step": 6, "split": "held')
    (done,) = load(results.plan())[0].rows[0].done
    assert [record["accuracy"] for record in done.curve("sampled")] == [0.2, 0.3, 0.4]


def test_other_splits_are_not_heldout(results):
    cell = results.cell("a", 0, [0.2, 0.3])
    (last,) = list(records.read_lines(cell / "evals.jsonl"))[1:]
    records.append(cell / "evals.jsonl", [last | {"split": "train", "accuracy": 0.9}])
    (done,) = load(results.plan())[0].rows[0].done
    assert [record["accuracy"] for record in done.curve("sampled")] == [0.2, 0.3]


@pytest.mark.parametrize("name", ["cell.json", "status.json", "steps.jsonl", "evals.jsonl"])
def test_corrupt_file_is_named(results, name):
    cell = results.cell("a", 0, [0.2, 0.4])
    results.plan()
    (cell / name).write_text('{"step": 1,\n' + (cell / name).read_text())
    with pytest.raises(records.RecordError, match=name.replace(".", r"\.")):
        load(results.folder)


@pytest.mark.parametrize("name", ["cell.json", "status.json", "steps.jsonl", "evals.jsonl", "../../benchmark.json"])
@pytest.mark.parametrize("content", ["{}", "[1]"])
def test_incomplete_record_is_named(results, name, content):
    cell = results.cell("a", 0, [0.2, 0.4])
    results.plan()
    (cell / name).resolve().write_text(content + "\n")
    with pytest.raises(records.RecordError, match=name.split("/")[-1].replace(".", r"\.")):
        load(results.folder)


def test_absent_key_is_named_with_its_record(results):
    cell = results.cell("a", 0, [0.2, 0.4])
    evaluations = list(records.read_lines(cell / "evals.jsonl"))
    del evaluations[1]["counters"]["flops"]
    (cell / "evals.jsonl").write_text("".join(json.dumps(record) + "\n" for record in evaluations))
    with pytest.raises(
        records.RecordError,
        match=r"evals\.jsonl, record 2: .*`flops` - at `\$\.counters`; expected EvalRecord: strict, timed_out, ",
    ):
        load(results.folder)


def test_schema_and_state_are_checked(results):
    cell = results.cell("a", 0, [0.2, 0.4])
    status = records.read_json(cell / "status.json")
    records.write_json(cell / "status.json", status | {"state": "finished"})
    with pytest.raises(
        records.RecordError, match=r"status\.json: state 'finished'; expected done, failed, stopped, running"
    ):
        load(results.folder)
    records.write_json(cell / "cell.json", records.read_json(cell / "cell.json") | {"schema": 99})
    with pytest.raises(records.RecordError, match=r"cell\.json: schema 99"):
        load(results.folder)


def test_a_copied_cell_does_not_count_twice(results):
    cell = results.cell("a", 0, [0.2, 0.4])
    shutil.copytree(cell, cell.with_name("copy"))
    with pytest.raises(records.RecordError, match="the same row and seed 0"):
        load(results.plan())


def test_no_results(tmp_path, results):
    with pytest.raises(records.RecordError, match="holds no run"):
        load(tmp_path)
    with pytest.raises(records.RecordError, match="no such folder"):
        load(tmp_path / "none")
    results.planned[results.folder] = []
    with pytest.raises(records.RecordError, match="no cell is planned"):
        load(results.plan())


def test_several_folders_are_told_apart_and_none_counts_twice(tmp_path, results):
    for name in ("one", "two"):
        for seed in range(2):
            results.cell("a", seed, sampled=[0.1, 0.2], benchmark=name)
    folder = results.plan()
    places = [folder / "two", folder / "one"]
    tables = load_all(places)
    assert [table.benchmark for table in tables] == ["one", "two"] and len({table.slug for table in tables}) == 2
    assert tables == load_all([*places, folder / "one"]) == load_all([folder]) == load_all([folder, folder / "two"])
    assert load_all([folder]) == load(folder) and load_all([]) == []


def test_a_table_is_measured_by_its_verifier_else_by_its_reward(results):
    reward = {("heldout", "sampled", step): [[1.0], [2.0]] for step in (0, 2)}
    results.rewarded("a", 0, reward, task={"name": "judged"})
    results.cell("a", 1, state=None, task={"name": "judged"})
    results.cell("a", 0, [0.2, 0.4], task={"name": "verified"})
    results.cell("a", 0, state="failed", error="x", task={"name": "broken"})
    found = {table.task: table.measure for table in load(results.plan())}
    assert found == {"judged": "reward", "verified": "accuracy", "broken": "accuracy"}


def test_runs_on_two_rewards_are_two_tables(results):
    reward = {("heldout", "sampled", step): [[1.0], [2.0]] for step in (0, 2)}
    for name in ("one", "other"):
        for label in ("a", "b"):
            results.rewarded(label, 0, reward, reward={"name": name})
    tables = load(results.plan())
    assert [len(table.rows) for table in tables] == [2, 2]
    assert [row.label for table in tables for row in table.rows] == ["a", "b", "a", "b"]


def chain(results, label, seed, steps, **more):
    """A cell that goes on from four steps of sft."""
    before = {"row": "r", "algorithm": {"name": "sft"}, "budget": {"steps": 4}, "training": {"learning_rate": 1e-3}}
    training = {"learning_rate": 1e-4}
    return results.cell(
        label, seed, [0.2, 0.4], name="grpo", budget={"steps": steps}, training=training, after=[before], **more
    )


def test_a_chain_stands_where_its_plan_says_and_its_earlier_stages_nowhere(results):
    for seed in range(2):
        results.cell("sft", seed, [0.2, 0.3], budget={"steps": 9})  # of its own budget: it would make a second table
        chain(results, "SFT+GRPO", seed, 7)
        results.cell("grpo", seed, [0.2, 0.3])
    for plan in results.planned[results.folder / "."]:
        plan |= {"sft": {"stage": True}, "SFT+GRPO": {"budget": {"steps": 4}}, "grpo": {}}[plan["algorithm"]]
    (table,) = load(results.plan())
    assert labels(table) == ["SFT+GRPO", "grpo"] and table.budget == {"steps": 4}
    row = table.rows[0]
    assert row.algorithm == "sft+grpo" and [len(one.cells) for one in table.rows] == [2, 2]
    assert [(stage.algorithm, stage.budget["steps"]) for stage in row.stages] == [("sft", 4), ("grpo", 7)]
    (results.folder / "benchmark.json").unlink()
    assert sorted(table.budget["steps"] for table in load(results.folder)) == [4, 7, 9]


def test_a_stage_that_has_not_run_is_not_missing_from_any_table(results):
    results.cell("sft", 0, state=None)
    results.cell("grpo", 0, [0.2, 0.3])
    results.planned[results.folder / "."][0]["stage"] = True
    assert [labels(table) for table in load(results.plan())] == [["grpo"]]


def edited(results):
    """A folder in which `mine` was run, edited, and run again; the plan has the new row's mark on the old one."""
    for seed in range(2):
        results.cell("grpo", seed, [0.2, 0.3])
        results.cell("mine", seed, [0.2, 0.9], algorithm={"name": "mine", "source": "old"})
        results.cell("mine", seed, [0.2, 0.4], algorithm={"name": "mine", "source": "new"})
    plans = results.planned[results.folder / "."]
    old, new = plans[1], plans[2]
    for plan in plans:
        plan |= {"earlier": new["row"]} if plan["row"] == old["row"] else {}
    return plans


def test_what_an_edited_plugin_replaced_stands_in_no_table_and_is_noted(results):
    plans = edited(results)
    old = [plan["id"] for plan in plans if "earlier" in plan]
    (table,) = load(results.plan())
    assert labels(table) == ["grpo", "mine"] and table.rows[1].cells[0].curve("sampled")[-1]["accuracy"] == 0.4
    (row,) = table.earlier
    assert re.fullmatch(r"mine \(earlier code #[0-9a-f]{6}\)", row.label) and len(row.cells) == 2
    (note,) = [note for note in notes(table) if "earlier code" in note]
    assert note.startswith("left out of tables, ranks and tests: 1 row that a plug-in's file made before it was edited")
    assert row.label in note and note.endswith(f"remove {', '.join(sorted(f'cells/{name}' for name in old))}")
    for name in old:
        shutil.rmtree(results.folder / "cells" / name)
    (table,) = load(results.folder)
    assert (table.earlier, labels(table)) == ((), ["grpo", "mine"]), "nor is it missing"


def test_a_row_whose_successor_is_in_no_plan_is_a_row(results):
    plans = edited(results)
    plans[:] = [plan for plan in plans if plan["row"] != plans[1]["earlier"]]
    for folder in (results.folder / "cells").iterdir():
        if folder.name not in {plan["id"] for plan in plans}:
            shutil.rmtree(folder)
    (table,) = load(results.plan())
    assert labels(table) == ["grpo", "mine"] and not table.earlier


def test_a_table_is_called_by_the_recipe_that_planned_its_cells(results):
    """Two recipes with one folder; `demo` was run last."""
    results.cell("grpo", 0, [0.2, 0.3])
    results.cell("sft", 0, [0.2, 0.3])
    for label in ("grpo", "gift"):
        results.cell(label, 0, [0.2, 0.3], task={"name": "preference"})
    plans = results.planned[results.folder / "."]
    assert [table.benchmark for table in load(results.plan())] == ["demo", "demo"]
    for plan in plans[:3]:
        plan["name"] = "first"
    assert {t.task: t.benchmark for t in load(results.plan())} == {"arithmetic": "first", "preference": "demo"}


def test_a_row_has_the_label_of_the_plan(results):
    """A cell may have run as a stage, under the label of one, before the recipe had it as a row."""
    results.cell("sft", 0, [0.2, 0.3])
    results.planned[results.folder / "."][0]["algorithm"] = "SFT (cold start)"
    assert labels(load(results.plan())[0]) == ["SFT (cold start)"]


def test_the_reference_is_no_chain_that_ends_with_grpo(results):
    from leaderboard.analysis import Analysis, View

    chain(results, "SFT+GRPO", 0, 4)
    results.cell("grpo@no-kl", 0, [0.2, 0.3], name="grpo")
    (table,) = load(results.plan())
    assert Analysis(table, table.rows, View(), {}).reference.label == "grpo@no-kl"
