import math

import pytest

from leaderboard import records
from leaderboard.runs import load
from leaderboard.tables import notes, seeds, summarise

T2 = 4.302653  # Student's 97.5 % quantile with 2 degrees of freedom


@pytest.fixture
def lines(results):
    """gift with three seeds, grpo with one of three, dapo planned only."""
    for seed, (start, final) in enumerate([(0.20, 0.50), (0.22, 0.60), (0.24, 0.70)]):
        results.cell("gift", seed, [start, 0.9, final], [0.25, 0.25, 0.25 + 0.1 * seed])
    results.cell("grpo", 0, [0.20, 0.30, 0.40])
    results.cell("grpo", 1, [0.20, 0.99], state="failed", error="out of\nmemory")
    results.cell("grpo", 2, [0.20, 0.99], state="running")
    for seed in range(3):
        results.cell("dapo", seed, state=None)
    (table,) = load(results.plan())
    return {line.row.label: line for line in summarise(table)}


def test_start_is_step_0_and_final_the_last_evaluation_not_the_best(lines):
    change = lines["gift"].accuracy["sampled"]
    assert change.start.mean == pytest.approx(0.22)
    assert change.start.half_width == pytest.approx(T2 * 0.02 / math.sqrt(3), rel=1e-6)
    assert change.final.mean == pytest.approx(0.60)
    assert change.final.half_width == pytest.approx(T2 * 0.1 / math.sqrt(3), rel=1e-6)
    assert change.final.n == 3


def test_delta_is_paired_by_seed(lines):
    delta = lines["gift"].accuracy["sampled"].delta  # 0.30, 0.38, 0.46: sd 0.08, and not that of an unpaired difference
    assert delta.mean == pytest.approx(0.38)
    assert delta.half_width == pytest.approx(T2 * 0.08 / math.sqrt(3), rel=1e-6)
    assert delta.above_zero
    greedy = lines["gift"].accuracy["greedy"].delta  # 0, 0.1, 0.2: the interval holds zero
    assert greedy.mean == pytest.approx(0.1)
    assert not greedy.above_zero


def test_only_finished_seeds_count(lines):
    change = lines["grpo"].accuracy["sampled"]
    assert (change.final.mean, change.final.half_width, change.final.n) == (0.40, None, 1)
    assert change.delta.mean == pytest.approx(0.2)
    assert not change.delta.above_zero
    assert lines["grpo"].accuracy["greedy"].final is None
    dapo = lines["dapo"]
    assert dapo.accuracy["sampled"].final is None and dapo.spent is None and dapo.conduct is None


def test_a_run_without_step_0_has_no_start(results):
    cell = results.cell("a", 0, [0.2, 0.4, 0.5])
    later = [record for record in records.read_lines(cell / "evals.jsonl") if record["step"]]
    (cell / "evals.jsonl").unlink()
    records.append(cell / "evals.jsonl", later)
    (line,) = summarise(load(results.plan())[0])
    change = line.accuracy["sampled"]
    assert (change.start, change.final.mean, change.delta) == (None, 0.5, None)


def test_seeds_say_what_is_missing(lines):
    assert {label: seeds(line.row) for label, line in lines.items()} == {
        "gift": "3/3",
        "grpo": "1/3 (1 failed, 1 running)",
        "dapo": "0/3 (missing)",
    }


def test_spent_is_the_mean_over_seeds_at_the_end(results):
    results.cell("a", 0, [0.2, 0.4, 0.5])  # 4 steps
    results.cell("a", 1, [0.2, 0.4, 0.5, 0.6])  # 6 steps: a budget of seconds may end seeds at different steps
    (line,) = summarise(load(results.plan())[0])
    assert line.spent == {
        "steps": 5,
        "optimizer_steps": 10,
        "prompts": 40,
        "generated_tokens": 5000,
        "trained_tokens": 4500,
        "flops": 12.5e12,
        "seconds": 7.5,
    }


def test_mismatch_is_the_mean_over_the_steps_that_measured_it(results):
    seen = {"mean": 0.25, "max": 1.0, "k3": 0.001, "tokens": 2048}
    results.cell("a", 0, [0.2, 0.4], steps={1: {"mismatch": seen}, 2: {"mismatch": None}})
    (line,) = summarise(load(results.plan())[0])
    assert line.conduct.mismatch == 0.25


def test_conduct(results):
    first = {
        "truncated": 0.75,
        "no_answer": 0.625,
        "grad_norm": 3.0,
        "grad_norm_max": 11.0,
        "zero_variance_groups": 1.0,
        "updates_without_signal": 2,
        "groups_discarded": 5,
        "demonstration_tokens": 30,
        "metrics": {"clip_fraction": 0.5, "sigma_s": 9.0},
        "seconds": {"sampling": 3.0, "grading": 0.125, "update": 0.25},  # no scoring where no log-probs are needed
    }
    results.cell("a", 0, [0.2, 0.4], steps={1: first, 2: {"metrics": {"clip_fraction": 0.25}}})
    results.cell("a", 1, [0.2, 0.4], steps={1: {"metrics": {"clip_fraction": 0.0}}})
    results.cell("b", 0, [0.2, 0.4])
    lines = {line.row.label: line.conduct for line in summarise(load(results.plan())[0])}
    a = lines["a"]
    assert a.truncated == (0.75 + 3 * 0.25) / 4
    assert a.no_answer == (0.625 + 3 * 0.125) / 4
    assert a.clip_fraction == 0.25  # of the three steps that report it
    assert a.grad_norm == (3 + 1 + 1 + 1) / 4
    assert a.grad_norm_max == 11.0
    assert a.zero_variance_groups == (1 + 3 * 0.5) / 4
    assert (a.updates_without_signal, a.updates) == (2, 8)
    assert (a.groups_discarded, a.groups) == (5 + 2 * 3, 6 * 4 + 5 + 2 * 3)
    assert a.demonstration_tokens == (30 + 10 + 10 + 10) / 2
    assert a.mismatch is None  # the records of older runs do not have it
    assert a.seconds == {"sampling": 6 / 2, "grading": 0.25, "scoring": 0.375 / 2, "update": 0.5}
    assert lines["b"].clip_fraction is None


def test_notes_name_what_is_wrong_with_single_cells(results):
    results.cell("fine", 0, [0.2, 0.4])
    results.cell("failing", 0, [0.2, 0.4], state="failed", error="out of\nmemory")
    idle = results.cell("idle", 1, [0.2, 0.4])
    records.write_json(idle / "status.json", records.read_json(idle / "status.json") | {"weights_end": "a"})
    torn = results.cell("torn", 0, [0.2, 0.4])
    lines = (torn / "evals.jsonl").read_text().splitlines(keepends=True)
    (torn / "evals.jsonl").write_text(lines[1][:20])
    late = results.cell("late", 0, [0.2, 0.4, 0.5])
    lines = (late / "evals.jsonl").read_text().splitlines(keepends=True)
    (late / "evals.jsonl").write_text(lines[1])
    (table,) = load(results.plan())
    assert notes(table) == [
        "failing, seed 0: failed after step 2: out of memory",
        "idle, seed 1: the weights did not change",
        "late, seed 0: no sampled evaluation at step 0",
        "late, seed 0: the last sampled evaluation is at step 2, the run ended at 4",
        "torn, seed 0: finished, but without an evaluation",
    ]


def test_notes_say_when_runs_were_not_evaluated_alike(results):
    results.cell("a", 0, [0.2, 0.4], [0.2, 0.4])
    cell = results.cell("a", 1, [0.2, 0.4], [0.2, 0.4])
    text = (cell / "evals.jsonl").read_text()
    (cell / "evals.jsonl").write_text(text.replace('"examples": 64, "samples": 4', '"examples": 32, "samples": 4'))
    (note,) = notes(load(results.plan())[0])
    assert note.endswith("(examples × samples): greedy 64 × 1, sampled 32 × 4, sampled 64 × 4")


def test_notes_say_when_seconds_are_not_comparable(results):
    for seed, device in enumerate(["cuda: H200", "cpu: x86_64", "cpu: x86_64"]):
        cell = results.cell("a", seed, [0.2, 0.4])
        content = records.read_json(cell / "cell.json")
        records.write_json(cell / "cell.json", content | {"provenance": {"device": device}})
    (note,) = notes(load(results.plan())[0])
    assert note == "seconds are not comparable, the runs had different devices: cpu: x86_64; cuda: H200"


def test_a_cell_resumed_under_other_conditions_is_noted(results):
    same, other = ({"commit": "a", "threads": n, "resumed_from": 5 * n} for n in (1, 2))
    for seed, second in ((0, {**same, "resumed_from": 3}), (1, other)):
        cell = results.cell("gift", seed, [0.2, 0.4])
        content = records.read_json(cell / "cell.json")
        records.write_json(cell / "cell.json", content | {"provenance": {"sessions": [same, second]}})
    (table,) = load(results.plan())
    assert [note for note in notes(table) if "resumed" in note] == [
        "gift, seed 1: resumed under another number of threads: its bits are not those of an undisturbed run"
    ]
