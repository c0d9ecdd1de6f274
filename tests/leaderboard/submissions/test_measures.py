"""What is measured once is measured always: a number that is left out must not leave its seed out."""

import pytest

from leaderboard import packed

from .conftest import Tampered


def without(one: Tampered, cell: str, wanted, key: str) -> None:
    """Take a measure out of evaluations, and of their items, as if it had never been there."""
    gone = {"accuracy": ("accuracy", "correct")}.get(key, (key, key))
    kinds = set()

    def evals(records):
        for record in filter(wanted, records):
            kinds.add((record["step"], record["split"], record["mode"]))
            if key == "accuracy":
                record["accuracy"] = None
            else:
                record.pop(key)

    def items(records):
        for record in records:
            if (record["step"], record["split"], record["mode"]) in kinds:
                if key == "accuracy":
                    record["correct"] = []
                else:
                    record.pop(gone[1])

    one.change(f"cells/{cell}/evals.jsonl.gz", evals)
    one.items(cell, items)


def test_a_last_accuracy_left_out(tampered):
    """The seed that came to less would be in no mean."""
    one = tampered()
    without(one, one.cells[0], lambda e: (e["step"], e["split"]) == (3, "heldout"), "accuracy")
    found = one.consistent().faults()
    where = f"cells/{one.cells[0]}/evals.jsonl.gz, step 3, heldout"
    assert f"{where}, sampled: measured: nothing; expected accuracy, as the first evaluation of the split" in found
    assert f"{where}, sampled: measured: nothing; expected accuracy besides" in found


@pytest.mark.parametrize("key", ["reward", "gold"])
def test_a_last_reward_left_out(tampered, key):
    one = tampered("taste")
    without(one, one.cells[0], lambda e: e["step"] == 2, key)
    left = {"reward": "gold", "gold": "reward"}[key]
    expected = f"step 2, heldout, sampled: measured: {left}; expected reward, gold, as the first evaluation"
    assert any(expected in fault for fault in one.consistent().faults())


def test_a_cell_without(tampered):
    """In all of its evaluations: the other cells of its task tell."""
    one = tampered("taste")
    without(one, one.cells[0], lambda e: True, "gold")
    (fault, *_) = one.consistent().faults()
    assert "heldout: measured: reward, gold; expected reward, as gift@released, seed 0: they have one task" in fault


@pytest.mark.parametrize(("name", "key"), [("sums", "accuracy"), ("taste", "reward")])
def test_a_submission_without(tampered, name, key):
    """In all of its cells: a table of others would be ranked by what these have not."""
    one = tampered(name)
    for cell in one.cells:
        without(one, cell, lambda e: True, key)
    assert any(fault.endswith(f"expected {key} besides") for fault in one.consistent().faults())


def test_the_probe_left_out(tampered):
    """What shows overfitting."""
    one = tampered()
    for cell in one.cells:
        one.change(f"cells/{cell}/evals.jsonl.gz", lambda evals: [e for e in evals if e["split"] != "probe"])
        one.items(cell, lambda items: [item for item in items if item["split"] != "probe"])
    found = one.consistent().faults()
    assert len(found) == 2 * len(one.cells)
    assert found[0].endswith("evals.jsonl.gz, probe, greedy: no evaluation at step 0; expected one at the start")


def test_an_evaluation_of_nothing(tampered):
    """Of no items anything can be said."""
    one = tampered()
    for cell in one.cells:
        content = packed.unpack((one.folder / f"cells/{cell}/items.jsonl.gz").read_bytes(), "items")
        evals, items = one.read(f"cells/{cell}/evals.jsonl.gz"), b""
        for record in evals:
            own = content[slice(*record["items"])]
            if record["split"] == "probe":
                own, record["examples"], record["accuracy"] = b"\n", 0, 0.9
            record["items"], items = [len(items), len(items) + len(own)], items + own
        one.write(f"cells/{cell}/evals.jsonl.gz", evals)
        (one.folder / f"cells/{cell}/items.jsonl.gz").write_bytes(packed.pack(items))
    assert "step 0, probe, greedy: no items; expected one at least" in one.consistent().faults()[0]
