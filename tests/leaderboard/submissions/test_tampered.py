"""Submissions that somebody altered: each fault is named, with file, record, what was found and what was expected.

Most are sealed after it: hashes and sizes of the manifest are those of the altered files, and its id is right.
"""

import json
import os
import re
import shutil

import pytest

from leaderboard import packed

from .conftest import Tampered

FIRST = "step 0, heldout, greedy"


def only(faults, *expected):
    """Exactly these faults, each by a pattern."""
    assert len(faults) == len(expected), faults
    for fault, pattern in zip(faults, expected, strict=True):
        assert re.search(pattern, fault), (fault, pattern)


def test_the_good_ones(good):
    for path in good.values():
        report = Tampered(path).verify()
        assert report.verified and not report.unsafe, report.faults
        assert len(report.cells) == len(report.manifest.rows) * len(report.manifest.rows[0].seeds)
    report = Tampered(good["taste"]).verify()
    assert report.manifest.verdicts and not any(name.endswith("weights") for name in os.listdir(path))


# --- what hashes find ---


def test_a_changed_byte(tampered):
    one = tampered()
    path = one.folder / "cells" / one.cells[0] / "status.json"
    path.write_text(path.read_text().replace('"error": null', '"error": none'.replace("none", "null") + " "))
    only(one.faults(), r"status\.json: \d+ bytes; expected \d+, as the manifest", r"status\.json: sha256 [0-9a-f]{64};",
         r"status\.json: unpacked = \d+; expected \d+")  # fmt: skip


def test_a_changed_manifest(tampered):
    one = tampered()
    text = (one.folder / "submission.json").read_text()
    (one.folder / "submission.json").write_text(text.replace("A. Person", "B. Person"))
    only(one.faults(), r"^submission\.json, id: [0-9a-f]{16}; expected [0-9a-f]{16}, the hash of all the rest")


def test_a_wrong_hash(tampered):
    one = tampered()
    files = json.loads((one.folder / "submission.json").read_text())["files"]
    files[0]["sha256"] = "0" * 64
    one.manifest(files=files)
    only(one.faults(), r"^benchmark\.json: sha256 [0-9a-f]{64}; expected 0{64}, as the manifest says")


def test_two_files_swapped(tampered):
    one = tampered()
    a, b = (one.folder / "cells" / cell / "items.jsonl.gz" for cell in one.cells[:2])
    swapped = a.read_bytes(), b.read_bytes()
    b.write_bytes(swapped[0]), a.write_bytes(swapped[1])
    found = one.faults()
    assert any(f"cells/{one.cells[0]}/items.jsonl.gz: sha256" in fault for fault in found)
    assert any(f"cells/{one.cells[1]}/items.jsonl.gz: sha256" in fault for fault in found)


# --- the same with hashes that fit ---


def test_a_changed_accuracy(tampered):
    one = tampered()
    one.change(f"cells/{one.cells[0]}/evals.jsonl.gz", lambda evals: evals[0].update(accuracy=0.75))
    true = 0.0
    only(
        one.sealed().faults(),
        rf"^cells/{one.cells[0]}/evals\.jsonl\.gz, {FIRST}: accuracy = 0\.75; expected {true}, from its 6 items$",
    )


def test_a_changed_verdict(tampered):
    one = tampered()
    one.items(one.cells[0], lambda items: items[2].update(correct=[1 - items[2]["correct"][0]]))
    only(one.sealed().faults(), rf"evals\.jsonl\.gz, {FIRST}: accuracy = 0\.0; expected 0\.1666\d+, from its 6 items")


def test_a_changed_last_accuracy_with_the_manifests(tampered):
    """Both the record and what the manifest says of it; the items still tell."""
    one = tampered()
    cell = one.cells[0]
    one.change(f"cells/{cell}/evals.jsonl.gz", lambda evals: evals[-1].update(accuracy=1.0))
    rows = json.loads((one.folder / "submission.json").read_text())["rows"]
    for row in rows:
        if cell in row["cells"]:
            row["scores"]["probe/sampled/accuracy"] = 0.5
    one.manifest(rows=rows)
    only(one.sealed().faults(), r"step 3, probe, sampled: accuracy = 1\.0; expected 0\.0, from its 4 items")


def test_what_the_manifest_says(tampered):
    one = tampered()
    built = json.loads((one.folder / "submission.json").read_text())
    built["rows"][0]["scores"]["heldout/sampled/accuracy"] = 0.9
    built["rows"][1]["seeds"] = [0, 1, 2]
    built["versions"]["torch"] = ["9.9"]
    one.manifest(**{key: built[key] for key in ("rows", "versions")})
    only(
        one.sealed().faults(),
        r"submission\.json, rows, gift@released: heldout/sampled/accuracy = 0\.9; expected 0\.0, from its items",
        r"submission\.json, rows, grpo@no-kl: seeds = \[0, 1, 2\]; expected \[0, 1\], as its cells say",
        r"submission\.json, versions: .*'9\.9'.*; expected .*as its cells say",
    )


def test_changed_tokens_and_rewards(tampered):
    one = tampered("taste")
    one.items(one.cells[0], lambda items: (items[0].update(tokens=[99]), items[1].update(reward=[50.0])))
    found = one.sealed().faults()
    assert any(re.search(rf"{FIRST}: response_tokens = .*; expected .*, from its 6 items", fault) for fault in found)
    assert any(re.search(rf"{FIRST}: reward = .*; expected .*, from its 6 items", fault) for fault in found)


def test_a_removed_item(tampered):
    one = tampered()
    one.items(one.cells[0], lambda items: items[1:])
    found = one.sealed().faults()
    where = f"cells/{one.cells[0]}/items.jsonl.gz"
    assert found[0] == f"{where}, {FIRST}: 5 items; expected 6, as cells/{one.cells[0]}/evals.jsonl.gz says"
    assert re.search(
        rf"^{where}, step 0, heldout, sampled: other items than the first evaluation of the split: .*;", found[1]
    )


def test_an_item_asked_twice(tampered):
    """The hard one left out, an easy one asked twice."""
    one = tampered()
    one.items(one.cells[0], lambda items: items[0].update(id=items[1]["id"]))
    found = one.sealed().faults()
    assert re.search(rf"items\.jsonl\.gz, {FIRST}: item '.*' more than once; expected each once", found[0]), found


def test_items_behind_the_last_evaluation(tampered):
    one = tampered()
    name = f"cells/{one.cells[0]}/items.jsonl.gz"
    one.change(name, lambda items: [*items, items[0]])
    only(one.sealed().faults(), r"items\.jsonl\.gz: \d+ bytes behind the last evaluation's items; expected none")


def test_a_range_that_skips_items(tampered):
    one = tampered()
    one.change(f"cells/{one.cells[0]}/evals.jsonl.gz", lambda evals: evals[1].update(items=[0, evals[1]["items"][1]]))
    assert re.search(r"evals\.jsonl\.gz, step 0, probe, greedy: items = \[0, \d+\]; expected \[\d+, …\)",
                     one.sealed().faults()[0])  # fmt: skip


def test_an_evaluation_left_out(tampered):
    one = tampered()
    one.change(f"cells/{one.cells[0]}/evals.jsonl.gz", lambda evals: [e for e in evals if e["step"] != 2])
    found = one.sealed().faults()
    assert re.search(r"evals\.jsonl\.gz, heldout, greedy: no evaluation at step 2; expected one at every 2", found[0])
    one.change(f"cells/{one.cells[0]}/evals.jsonl.gz", lambda evals: [e for e in evals if e["step"] != 0])
    assert any("no evaluation at step 0; expected one at the start" in fault for fault in one.sealed().faults())


def test_truncated_steps(tampered):
    one = tampered()
    cell = one.cells[0]
    one.change(f"cells/{cell}/steps.jsonl.gz", lambda steps: steps[:-1])
    found = one.sealed().faults()
    assert re.search(rf"^cells/{cell}/status\.json, step: 3; expected 2, the last of .*steps\.jsonl\.gz", found[0])
    assert re.search(r"step 2, the last: 66\.7% of the budget is spent; expected all of steps = 3", found[1])


def test_a_run_that_went_on(tampered):
    """More training than the budget of the table: the specification says how much there was."""
    one = tampered()
    cell = one.cells[0]

    def more(steps):
        further = json.loads(json.dumps(steps[-1]))
        further["step"] = 4
        for axis, value in further["counters"].items():
            further["counters"][axis] = 2 * value - steps[-2]["counters"][axis]
        return [*steps, further]

    one.change(f"cells/{cell}/steps.jsonl.gz", more)
    one.change(f"cells/{cell}/status.json", lambda status: status.update(step=4))
    found = one.sealed().faults()
    assert any("step 4: it goes on with 100.0% of the budget spent; expected an end at steps = 3" in f for f in found)


def test_steps_in_another_order(tampered):
    one = tampered()
    one.change(f"cells/{one.cells[0]}/steps.jsonl.gz", lambda steps: [steps[1], steps[0], steps[2]])
    assert "record 1: step 2; expected step 1: every step once, in order" in one.sealed().faults()[0]


def test_a_counter_that_goes_down(tampered):
    one = tampered()
    name = f"cells/{one.cells[0]}/steps.jsonl.gz"
    one.change(name, lambda steps: steps[1]["counters"].update(generated_tokens=1))
    found = one.sealed().faults()
    assert re.search(
        r"steps\.jsonl\.gz, step 2: counters\.generated_tokens = 1; expected \d+ or more, as before", found[0]
    )
    assert any("evals.jsonl.gz, step 2, heldout, greedy: counters.generated_tokens" in fault for fault in found)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"updates": 5}, r"step 2: 2 optimizer steps more; expected 5 updates"),
        ({"learning_rate": 9e-4}, r"step 2: learning_rate = 0\.0009; expected 0\.001, by its specification"),
        ({"truncated": 0.123}, r"step 2: truncated = 0\.123; expected a share of 16 responses"),
        ({"response_tokens": 2.7182818}, r"step 2: \d+ generated tokens at .*; expected a whole number of them"),
        ({"seconds": {"sampling": 0.0}}, r"step 2: [\d.e-]+ seconds more; expected 0\.0, the sum of its phases"),
    ],
)
def test_a_step_that_does_not_fit(tampered, change, fault):
    one = tampered()
    one.change(f"cells/{one.cells[0]}/steps.jsonl.gz", lambda steps: steps[1].update(change))
    only(one.sealed().faults(), fault)


def test_an_edited_specification(tampered):
    one = tampered()
    cell = one.cells[0]
    one.change(f"cells/{cell}/cell.json", lambda record: record["spec"]["training"].update(learning_rate=2e-3))
    found = one.sealed().faults()
    assert re.search(rf"^cells/{cell}/cell\.json, id: {cell}; expected [0-9a-f]{{16}}, the hash of its spec", found[0])
    assert re.search(r"cell\.json, row: [0-9a-f]{16}; expected [0-9a-f]{16}, the hash of its specification", found[1])
    assert any("learning_rate = 0.0006666666666666666; expected 0.0013333333333333333" in fault for fault in found)


def test_an_edited_specification_with_its_own_id(tampered):
    """Twice the budget claimed, under hashes that all fit: what was recorded does not."""
    one = tampered()
    new = one.respecified(one.cells[0], lambda record: record["spec"]["budget"].update(steps=6))
    found = one.sealed().faults()
    assert (
        f"cells/{new}/steps.jsonl.gz, step 3, the last: 50.0% of the budget is spent; expected all of steps = 6"
        in found
    )


def test_a_seed_twice(tampered):
    """One run called two."""
    one = tampered()
    a, b = one.cells[:2]  # seeds 0 and 1
    for name in ("steps.jsonl.gz", "evals.jsonl.gz", "items.jsonl.gz", "status.json"):
        shutil.copy(one.folder / "cells" / a / name, one.folder / "cells" / b / name)
    found = one.sealed().faults()
    assert any(re.search(r"every step took what it took in cells/.*, to the last digit; expected a run of its", f)
               for f in found), found  # fmt: skip


def test_a_planned_seed_twice(tampered):
    one = tampered()
    plan = one.read("benchmark.json")
    plan["cells"][1] |= {"seed": plan["cells"][0]["seed"], "row": plan["cells"][0]["row"]}
    one.write("benchmark.json", plan)
    assert any("planned 2 times; expected once: seeds are distinct" in fault for fault in one.sealed().faults())


def test_weights_of_another_start(tampered):
    one = tampered()
    one.change(f"cells/{one.cells[3]}/status.json", lambda status: status.update(weights_start="a" * 64))
    found = one.sealed().faults()
    assert any(
        re.search(r"status\.json, weights_start: .*…; expected .*…, as .*: they have one start", f) for f in found
    )


def test_a_missing_cell(tampered):
    one = tampered()
    gone = one.cells[1]
    shutil.rmtree(one.folder / "cells" / gone)
    found = one.sealed().faults()
    assert (
        f"benchmark.json, cell {gone}: gift@released, seed 1 is planned and has no folder; expected cells/{gone}"
        in found
    )
    assert not one.verify().unsafe  # it is shown, apart


def test_a_cell_that_failed_is_not_left_out(tampered):
    one = tampered()
    one.change(f"cells/{one.cells[0]}/status.json", lambda status: status.update(state="failed", error="nan"))
    only(one.sealed().faults(), r"status\.json, state: failed; expected done")


def test_a_row_in_the_table_of_a_smaller_budget(tampered):
    one = tampered()
    plan = one.read("benchmark.json")
    plan["cells"][0]["budget"] = {"steps": 1}
    one.write("benchmark.json", plan)
    only(one.sealed().faults(), r"budget = \{'steps': 1\}, which is not its own; expected none: a chain alone")


# --- verdicts ---


def test_altered_games(tampered):
    one = tampered("taste")
    folder = next(path.parent for path in sorted(one.folder.rglob("games.jsonl.gz")))
    name = folder.relative_to(one.folder).as_posix()

    def win(games):
        games[:] = [game | {"score": 1.0} for game in games]

    one.change(f"{name}/games.jsonl.gz", win)
    found = one.sealed().faults()
    assert any(re.search(r"games\.jsonl\.gz, pair .*: score 1\.0 of equal answers; expected 0\.5", f)
               or re.search(r"games\.jsonl\.gz, pair .*: score 1\.0 with the label B>A; expected more", f)
               for f in found), found  # fmt: skip
    assert any(re.search(rf"submission\.json, verdicts, {name}: share = [\d.]+; expected 1\.0, from its games", f)
               for f in found)  # fmt: skip


def test_a_game_left_out_and_a_strangers_verdicts(tampered):
    one = tampered("taste")
    folder = next(path.parent for path in sorted(one.folder.rglob("games.jsonl.gz")))
    name = folder.relative_to(one.folder).as_posix()
    one.change(f"{name}/games.jsonl.gz", lambda games: games[1:])
    one.change(f"{name}/judged.json", lambda record: record["candidate"].update(seed=7))
    found = one.sealed().faults()
    assert any(f"{name}/judged.json: in {name}; expected in judged/preference/" in fault for fault in found)
    assert any("judged.json, candidate: " in fault and "seed 7; expected one of the cells" in fault for fault in found)
    assert any(re.search(r"games\.jsonl\.gz, pair .*: 0 games; expected 1", fault) for fault in found)


def test_half_of_the_games_left_out(tampered):
    """Of a judge that is asked in both orders, the order that it lost; one that has no order plays one game."""
    one = tampered("taste")
    name = next(one.folder.rglob("judged.json")).parent.relative_to(one.folder).as_posix()
    assert one.read(f"{name}/judged.json")["orders"] == 2 and len(one.read(f"{name}/games.jsonl.gz")) == 6
    one.change(f"{name}/judged.json", lambda record: record["judge"].update(kind="openai"))
    odd = [game for game in one.read(f"{name}/games.jsonl.gz") if game["status"] != "same"]
    assert f"{name}/games.jsonl.gz, pair {odd[0]['id']}: 1 games; expected 2" in one.sealed().faults()


def test_a_number_of_games_that_is_none(tampered):
    one = tampered("taste")
    name = next(one.folder.rglob("judged.json")).parent.relative_to(one.folder).as_posix()
    one.change(f"{name}/judged.json", lambda record: record.update(orders=0))
    one.write(f"{name}/games.jsonl.gz", [])
    assert any("judged.json, orders: 0; expected 1 or 2 games a pair" in fault for fault in one.sealed().faults())


def test_pairs_left_out(tampered):
    """Of one candidate, the pairs that it lost."""
    one = tampered("taste")
    folders = [path.parent.relative_to(one.folder).as_posix() for path in sorted(one.folder.rglob("judged.json"))]
    officials = [name for name in folders if one.read(f"{name}/judged.json")["official"]]
    name = officials[-1]
    gone = one.read(f"{name}/judged.json")["pairs"][0]
    one.change(f"{name}/judged.json", lambda record: record["pairs"].remove(gone))
    for file in ("pairs", "games"):
        one.change(f"{name}/{file}.jsonl.gz", lambda lines: [line for line in lines if line["id"] != gone])
    found = one.sealed().faults()
    assert (
        f"{name}/judged.json, pairs: other pairs: {gone}; expected those of {officials[0]}: who is compared" in found[0]
    )


# --- what must not even be read ---


def test_an_extra_file(tampered):
    one = tampered()
    (one.folder / "cells" / one.cells[0] / "items.jsonl").write_text("{}\n")  # would be read before the packed one
    only(one.faults(), r"items\.jsonl: a file that the manifest does not list; expected none")
    assert one.verify().unsafe
    found = one.sealed().faults()  # listed, it is none that a submission has
    assert re.search(r"submission\.json, files: the path 'cells/.*/items\.jsonl'; expected one of the layout", found[0])


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "cells/../../x", "C:\\x", "cells/0123456789abcdef/weights.bin", ""]
)
def test_a_path_that_leads_elsewhere(tampered, path):
    one = tampered()
    (one.folder.parent / "secret").write_text("not theirs")
    files = json.loads((one.folder / "submission.json").read_text())["files"]
    one.manifest(files=[*files, {"path": path, "size": 10, "unpacked": 10, "sha256": "0" * 64}])
    report = one.verify()
    assert report.unsafe and "expected one of the layout, below this folder" in report.faults[0].words
    assert "\n" not in report.faults[0].words and "not theirs" not in str(report.faults)


@pytest.mark.parametrize("target", ["../secret", "benchmark.json"])
def test_a_symbolic_link(tampered, target):
    one = tampered()
    (one.folder.parent / "secret").write_text("{}")
    path = one.folder / "tuning.json"
    path.symlink_to(target)
    only(one.faults(), r"^tuning\.json: a symbolic link; expected a regular file$")
    assert one.verify().unsafe


def test_a_folder_that_is_a_link(tampered):
    one = tampered()
    moved = one.folder.rename(one.folder.parent / "elsewhere")
    one.folder.symlink_to(moved)
    only(one.faults(), r"a symbolic link; expected a folder")


def test_a_pipe(tampered):
    one = tampered()
    os.mkfifo(one.folder / "tuning.json")
    only(one.faults(), r"^tuning\.json: neither a file nor a folder; expected a regular file$")


def test_a_decompression_bomb(tampered):
    """A hundred megabytes in a hundred kilobytes: no more of it is made than was declared."""
    one = tampered()
    name = f"cells/{one.cells[0]}/items.jsonl.gz"
    (one.folder / name).write_bytes(packed.pack(bytes(100_000_000)))
    one.sealed()
    files = json.loads((one.folder / "submission.json").read_text())["files"]
    for file in files:
        if file["path"] == name:
            file["unpacked"] = 1000
    one.manifest(files=files)
    only(one.faults(), rf"^{name}: unpacks to more than 1000 bytes; expected at most these$")
    for file in files:
        if file["path"] == name:
            file["unpacked"] = 10**12
    one.manifest(files=files)
    found = one.faults()
    assert "expected at most 2147483648" in found[0] or "expected at most 268435456" in found[0]
    assert one.verify().unsafe


@pytest.mark.parametrize(
    ("label", "code"), [("gift\x1b[2J", "U+001B"), ("gi\u202eft", "U+202E"), ("gift\nbest", "U+000A")]
)
def test_a_hostile_label(tampered, label, code):
    one = tampered()
    plan = one.read("benchmark.json")
    plan["cells"][0]["algorithm"] = label
    one.write("benchmark.json", plan)
    found = one.sealed().faults()
    assert re.search(rf"^benchmark\.json, cells\.algorithm: .* holds {re.escape(code)}; expected no control", found[0])
    assert all(text.isprintable() for text in found) and one.verify().unsafe


def test_a_hostile_metric(tampered):
    one = tampered()
    name = f"cells/{one.cells[0]}/steps.jsonl.gz"
    one.change(name, lambda steps: steps[0]["metrics"].update({"\x1b[31m": 1.0}))
    only(one.sealed().faults(), rf"^{name}, step 1, metrics: '.*' holds U\+001B; expected no control")


def test_a_hostile_name(tampered):
    one = tampered()
    one.manifest(name="../sums")
    assert "submission.json, name: '../sums'; expected the folder's name" in one.faults()[0]
    one.manifest(name="other")
    assert "submission.json, name: 'other'; expected the folder's name" in one.faults()[0]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "unexpected end|truncated"), (b"[" * 200_000, "."), (b'{"schema": 1}', "missing required field"),
        (b"\xff\xfe", "."), (None, "no such file; expected one that lists the"),
    ],
)  # fmt: skip
def test_no_manifest_to_speak_of(tampered, content, fault):
    one = tampered()
    (one.folder / "submission.json").unlink()
    if content is not None:
        (one.folder / "submission.json").write_bytes(content)
    report = one.verify()
    assert report.unsafe and len(report.faults) == 1 and re.search(fault, report.faults[0].words), report.faults


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("steps.jsonl.gz", b'{"step": 1}\n', r"record 1: .*missing required field .*; expected StepRecord: "),
        ("evals.jsonl.gz", b"nonsense\n", r"record 1: not readable as JSON"),
        ("items.jsonl.gz", b"x" * 10_000 + b"\n", r"items\.jsonl\.gz, bytes 0 to \d+: .*; expected items"),
        ("steps.jsonl.gz", b'{"step": 1', r"a last record without its end; expected whole records"),
    ],
)
def test_records_that_are_none(tampered, name, content, fault):
    one = tampered()
    (one.folder / "cells" / one.cells[0] / name).write_bytes(packed.pack(content))
    assert any(re.search(fault, found) for found in one.sealed().faults())
    assert one.verify().unsafe


def test_two_members_in_one_file(tampered):
    one = tampered()
    name = f"cells/{one.cells[0]}/steps.jsonl.gz"
    path = one.folder / name
    files = json.loads((one.folder / "submission.json").read_text())["files"]
    path.write_bytes(path.read_bytes() + packed.pack(b"{}\n"))
    one.manifest(files=files)
    assert any("bytes behind the end of the gzip member; expected none" in fault for fault in one.faults())
