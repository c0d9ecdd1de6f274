"""What is of another type than readers take it for is a fault, and keeps nobody's own runs from being shown."""

import shutil

import pytest

from leaderboard import loading
from leaderboard.build import build
from leaderboard.submissions import joining, verify
from leaderboard.submissions.joining import gather

from .conftest import Tampered

SPEC = [
    ("training", "learning_rate", "1e-3", r"Expected `float | null`, got `str` - at `$.training.learning_rate`"),
    ("training", "warmup_updates", "x", r"Expected `int | null`, got `str` - at `$.training.warmup_updates`"),
    ("evaluation", "probe", "x", "Expected `int`, got `str` - at `$.evaluation.probe`"),
    ("evaluation", "every", 0, "Expected `int` >= 1 - at `$.evaluation.every`"),
    ("sampling", "max_tokens", 10**400, "spec.sampling.max_tokens: a whole number of more than 63 bits; expected less"),
    ("training", "prompts_per_step", -(2**63), "spec.training.prompts_per_step: a whole number of more than 63 bits"),
    (None, "after", [{"row": []}], "Expected `str`, got `array` - at `$.after[0].row`"),
    ("budget", "flops", 10**400, "Number out of range - at `$.budget.flops`"),
    ("budget", "hours", 1, "Object contains unknown field `hours` - at `$.budget`"),
    (None, "training", None, "Expected `object`, got `null` - at `$.training`"),
    (None, "sampling", None, "Expected `object`, got `null` - at `$.sampling`"),
    (None, "reward", {"name": "gold", "parameters": [1]}, "got `array` - at `$.reward.parameters`"),
]
PROVENANCE = [
    ("overlaps", "x", "Expected `object`, got `str` - at `$.overlaps`"),
    ("overlaps", {"shared": {"gsm8k": 3}}, "Expected `array`, got `int` - at `$.overlaps.shared[...]`"),
    ("sessions", ["x"], "Expected `object`, got `str` - at `$.sessions[0]`"),
    ("sessions", [{"versions": ["x"]}], "got `array` - at `$.sessions[0].versions`"),
    ("versions", "x", "got `str` - at `$.versions`"),
    ("memory", {"phases": {"update": 3}}, "Expected `object`, got `int` - at `$.memory.phases[...]`"),
    ("plugins", 3, "got `int` - at `$.plugins`"),
    ("command", "rm", "got `str` - at `$.command`"),
    ("recipe", [], "got `array` - at `$.recipe`"),
]


def refused(one: Tampered, expected: str) -> None:
    report = one.sealed().verify()
    assert report.unsafe and any(expected in fault.words for fault in report.faults), report.faults


@pytest.mark.parametrize(("section", "key", "value", "expected"), SPEC)
def test_a_specification_of_other_types(tampered, section, key, value, expected):
    one = tampered()
    one.respecified(
        one.cells[0], lambda record: (record["spec"][section] if section else record["spec"]).update({key: value})
    )
    refused(one, expected)


@pytest.mark.parametrize(("key", "value", "expected"), PROVENANCE)
def test_a_provenance_of_other_types(tampered, key, value, expected):
    one = tampered()
    one.change(f"cells/{one.cells[0]}/cell.json", lambda record: record["provenance"].update({key: value}))
    refused(one, f"cells/{one.cells[0]}/cell.json, provenance: ")
    assert any(expected in fault for fault in one.faults())


def test_a_control_arm_that_is_none(tampered):
    """Tables read it from the provenance, which no hash holds."""
    one = tampered()
    one.change(f"cells/{one.cells[0]}/cell.json", lambda record: record["provenance"].update(control="a-a"))
    assert one.sealed().faults() == [
        f"cells/{one.cells[0]}/cell.json, provenance.control: 'a-a'; expected None, as in its specification"
    ]


@pytest.mark.parametrize("key", ["prompts", "trained_tokens"])
def test_a_counter_that_no_array_holds(tampered, key):
    one = tampered()

    def more(lines):
        for line in lines:
            if line["step"]:
                line["counters"][key] = 10**400

    for name in ("steps", "evals"):
        one.change(f"cells/{one.cells[0]}/{name}.jsonl.gz", more)
    refused(one, "steps.jsonl.gz: a whole number of more than 63 bits; expected less")


@pytest.mark.parametrize("change", [lambda range: [*range, 7], lambda range: range[:1], lambda range: []])
def test_a_range_of_other_than_two_numbers(tampered, change):
    one = tampered()
    name = f"cells/{one.cells[0]}/evals.jsonl.gz"
    one.change(name, lambda evals: evals[-1].update(items=change(evals[-1]["items"])))
    refused(one, f"{name}, step 3, probe, sampled: items = [")


@pytest.mark.parametrize("name", ["cells/{cell}/items.jsonl", "weights", "cells/x", "judged/a/b"])
def test_a_folder_that_no_submission_has(tampered, name):
    one = tampered()
    name = name.format(cell=one.cells[0])
    (one.folder / name).mkdir(parents=True)
    refused(one, f"{name}: a folder that a submission has not; expected those of the layout")


@pytest.mark.parametrize(
    ("line", "expected"),
    [({"step": "x"}, "Expected `int`, got `str`"), ([1], "Expected `object`, got `array`"),
     ({"step": 1, "id": "a", "text": "b", "reward": 1.0, "source": 3}, "Expected `str`, got `int`")],
)  # fmt: skip
def test_samples_that_are_none(tampered, line, expected):
    one = tampered()
    one.write(f"cells/{one.cells[0]}/samples.jsonl.gz", [line])
    one.manifest(texts=True)
    refused(one, f"samples.jsonl.gz, record 1: {expected}")


def test_samples(tampered):
    one = tampered()
    sample = {"step": 1, "id": "a", "text": "\x1b[31m", "reward": 1.0, "source": "policy", "prompt": "1+1="}
    one.write(f"cells/{one.cells[0]}/samples.jsonl.gz", [sample])
    one.manifest(texts=True)
    assert one.sealed().verify().verified


@pytest.mark.parametrize(("where", "name"), [(verify, "check"), (joining.loading, "submitted")])
def test_what_nobody_thought_of(sums, good, tmp_path, monkeypatch, where, name):
    """A defect of ours that a submission comes upon is a fault of that submission, and own runs are shown."""
    results = shutil.copytree(sums, tmp_path / "results", ignore=shutil.ignore_patterns("weights"))
    shutil.copytree(good["taste"], results / "submissions" / "taste")

    def broken(*_):
        raise ZeroDivisionError("by an array")

    monkeypatch.setattr(where, name, broken)
    archive = gather(results)
    assert len(archive.tables) == len(loading.load(results)) == 1 and not archive.apart
    (refused,) = archive.refused
    assert refused.name == "taste" and "ZeroDivisionError: by an array" in refused.faults[0]
    build(results, figures=False)
