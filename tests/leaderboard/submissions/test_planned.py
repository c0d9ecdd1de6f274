"""Stages of chains: in no table, and so nothing but what a chain goes on from."""

import re

import pytest

from algorithms import registry


def test_stages_and_value_heads(good, tampered):
    """A value head is hashed with the weights: rows of one model have two starts, and a chain one of its own."""
    one = tampered("chains")
    report = one.verify()
    assert report.verified, report.faults
    by_label = {cell.record["algorithm"]: cell for cell in report.cells}
    assert sum(entry.get("stage", False) for entry in one.plan) == 1
    starts = {label: by_label[label].status["weights_start"] for label in by_label}
    assert starts["grpo@no-kl"] != starts["valued"] and starts["SFT+GRPO"] != starts["SFT+valued"]
    (stage,) = [entry["algorithm"] for entry in one.plan if entry.get("stage")]
    assert starts[stage] == starts["grpo@no-kl"]


def test_none_of_ours_has_a_value_head():
    """Else algorithms of one start would have to be told apart by more than whose they are: see `verify._foreign`."""
    assert not any(registry.create(name).needs.value for name in registry.names(built_in=True))


@pytest.mark.parametrize("label", ["SFT+GRPO", "grpo@no-kl"])
def test_another_start_is_still_seen(tampered, label):
    """Of algorithms that are ours."""
    one = tampered("chains")
    (cell,) = [entry["id"] for entry in one.plan if entry["algorithm"] == label]
    one.change(f"cells/{cell}/status.json", lambda status: status.update(weights_start="a" * 64))
    assert any(
        re.search("weights_start: .*…; expected .*(they have one start|ended)", f) for f in one.sealed().faults()
    )


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_row_that_is_no_stage(tampered, seeds):
    """A seed, or all, that a table would leave out."""
    one = tampered()

    def hide(plan):
        for entry in plan["cells"]:
            if entry["algorithm"] == "gift@released" and entry["seed"] in seeds:
                entry["stage"] = True

    one.change("benchmark.json", hide)
    found = one.sealed().faults()
    where = f"benchmark.json, cell {one.cells[0]}"
    assert found[0] == f"{where}: gift@released, seed 0 is a stage; expected the stage of a chain of its seed"
    some = [fault for fault in found if "a stage with some of its seeds; expected with all of them, or none" in fault]
    assert len(some) == (len(seeds) == 1) and len(found) == 2


def test_the_stage_of_another_seed(tampered):
    one = tampered("chains")
    (stage,) = [entry for entry in one.plan if entry.get("stage")]

    def other(record):
        record["spec"]["seed"] = 7

    one.respecified(stage["id"], other)
    assert any(
        "seed 7 is a stage; expected the stage of a chain of its seed" in fault for fault in one.sealed().faults()
    )


def test_a_budget_that_is_none(tampered):
    one = tampered()
    one.change("benchmark.json", lambda plan: plan["cells"][0].update(budget={"flops": "x"}))
    assert "benchmark.json, budget: Expected `float | null`, got `str`" in one.sealed().faults()[0]
    assert one.verify().unsafe


@pytest.mark.parametrize("key", ["name", "earlier"])
def test_what_only_a_folder_of_several_plans_has(tampered, key):
    """A name that is shown, and a mark that hides a row."""
    one = tampered()
    one.change("benchmark.json", lambda plan: plan["cells"][0].update({key: "x"}))
    (found,) = one.sealed().faults()
    assert found.endswith(f"an entry '{key}'; expected none: a submission has one plan")
