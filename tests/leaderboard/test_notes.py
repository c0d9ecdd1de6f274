from leaderboard import records
from leaderboard.loading import load
from leaderboard.notes import notes


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


def test_notes_of_runs_without_a_verifier(results):
    curve = {("heldout", "sampled", step): [[1.0], [2.0]] for step in (0, 2)}
    idle = results.rewarded("idle", 0, curve)
    records.write_json(idle / "status.json", records.read_json(idle / "status.json") | {"weights_end": "a"})
    results.rewarded("late", 0, {key: value for key, value in curve.items() if key[2]})
    assert notes(load(results.plan())[0]) == [
        "idle, seed 0: the weights did not change",
        "late, seed 0: no sampled evaluation at step 0",
    ]


def test_notes_say_what_a_chain_is_made_of(results):
    before = {"row": "r", "algorithm": {"name": "sft"}, "budget": {"steps": 4}, "training": {"learning_rate": 1e-3}}
    results.cell("grpo", 0, [0.2, 0.4], training={"learning_rate": 1e-4})
    results.cell("both", 0, [0.2, 0.4], name="grpo", training={"learning_rate": 1e-4}, after=[before])
    assert notes(load(results.plan())[0]) == [
        "both is a chain: sft for 4 steps (learning rate 0.001), then grpo for 4 steps",
        "a chain's costs and its way to a target count from its first stage on, and its gain is over where that began",
    ]


def test_notes_say_which_plug_ins_do_not_conform(results):
    for label, failing in (("mine", {"direction": "up is down", "learns": "0.02"}), ("fine", {}), ("ours", None)):
        for seed in (0, 1):
            cell = results.cell(label, seed, [0.2, 0.4])
            content = records.read_json(cell / "cell.json")
            card = {"data": {}, "words": {}} | ({} if failing is None else {"failing": failing})
            records.write_json(cell / "cell.json", content | {"card": card})
    (table,) = load(results.plan())
    assert notes(table) == ["mine does not conform: direction, learns (groupbench check)"]
