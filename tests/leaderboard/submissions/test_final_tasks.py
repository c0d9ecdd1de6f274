"""Final tasks of submissions: packed, verified from their items, joined; what is altered is named."""

import json
import re
import shutil

import pytest

from leaderboard import evaluations, finals, packed, programs
from leaderboard.build import build, build_program
from leaderboard.records import RecordError
from leaderboard.submissions.joining import gather
from leaderboard.submissions.packing import Asked, SubmissionError, pack

from .conftest import ASKED, run

TASKS = ["arithmetic@greedy", "small"]
PROGRAM = """
[[table]]
name = "final"
columns = ["algorithm", "final:*", "final_start:small", "final_gain:small"]
"""


def items(folder):
    return [(item.id, item.content, item.cluster, item.correct, item.tokens) for item in finals.items(folder, "small")]


def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("weights"))


def test_they_are_packed_less_texts_and_votes(asked, good, tmp_path):
    theirs = pack(asked, tmp_path, Asked("told", texts=True)).path
    for folder, texts in ((good["asked"], False), (theirs, True)):
        places = sorted(path.parent for path in folder.rglob("evaluation.json"))
        assert [place.parts[-3] for place in places] == ["cells", "cells", "start"]
        for place in places:
            assert sorted(path.name for path in place.iterdir()) == [*TASKS[:1], "evaluation.json", *TASKS[1:]]
            mine = asked / place.relative_to(folder)
            record, own = evaluations.read_record(place), evaluations.read_record(mine)
            for key in TASKS:
                counted = {k: v for k, v in own["tasks"][key]["metrics"].items() if not k.startswith("maj@")}
                assert record["tasks"][key]["metrics"] == counted and "accuracy" in counted
            assert "maj@4" in own["tasks"]["small"]["metrics"] and items(place) == items(mine)
            lines = [json.loads(line) for line in packed.content(place / "small" / "items.jsonl").splitlines()]
            assert len(lines) == 6 and all(("prompt" in one, "responses" in one) == (texts, texts) for one in lines)
            answers = [answer for one in lines for answer in one["answers"]]
            assert len(answers) == 24 and any(answers) == texts and None in answers
    manifest = json.loads((good["asked"] / "submission.json").read_text())
    (row,), found = manifest["rows"], evaluations.read_record(theirs / "start" / places[-1].parts[-2] / "final")
    assert row["scores"].keys() > {f"final/{key}/accuracy" for key in TASKS} and found["checkpoint"]["name"] == "start"
    assert any(what.startswith("final tasks: majority votes") for what in manifest["scrubbed"])


def test_what_not_all_seeds_were_asked_is_left_out_and_said(asked, tmp_path):
    folder = copied(asked, tmp_path)
    first, second = sorted((folder / "cells").iterdir())
    record = json.loads((first / "final" / "evaluation.json").read_text())
    del record["tasks"]["small"]
    (first / "final" / "evaluation.json").write_text(json.dumps(record))
    report = pack(folder, tmp_path / "out", Asked("part"))
    assert "final tasks: small of gift@released, not asked of all of its seeds (1 time)" in report.manifest.scrubbed
    assert {path.parent.name for path in report.path.rglob("final/*/items.jsonl.gz")} == {"arithmetic@greedy"}
    shutil.rmtree(first / "final")
    none = pack(folder, tmp_path / "out", Asked("none"))
    assert none.verified and not list(none.path.rglob("final")) and not (none.path / "start").exists()
    alone = pack(second, tmp_path / "out", Asked("alone"))
    assert len(list(alone.path.rglob("final/*/items.jsonl.gz"))) == 4


def test_without_the_start_or_an_item_it_is_refused(asked, tmp_path):
    folder = copied(asked, tmp_path)
    path = next(folder.glob("cells/*/final/small/items.jsonl"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[1:]))
    with pytest.raises(RecordError, match=r"small/items\.jsonl: 1 of its 6 items are missing"):
        pack(folder, tmp_path / "out", Asked("x"))
    path.write_text("".join(lines))
    shutil.rmtree(folder / "start")
    with pytest.raises(
        SubmissionError, match=r"start/[0-9a-f]{16}/final/evaluation\.json: not evaluated on .*small; exp"
    ):
        pack(folder, tmp_path / "out", Asked("x"))
    assert not list((tmp_path / "out").rglob("*"))


def turn(items):
    items[2]["correct"][1] = 1 - items[2]["correct"][1]


def metrics(**changes):
    return lambda record: record["tasks"]["small"]["metrics"].update(changes)


def protocol(**changes):
    return lambda record: record["tasks"]["small"]["protocol"].update(changes)


# What is altered in a cell's final evaluation, in which file, and the fault; every hash is right.
ALTERED = [
    ("evaluation", metrics(accuracy=0.75),
     r"final/evaluation\.json, small: accuracy = 0\.75; expected 0\.0, from its 6 items"),
    ("evaluation", metrics(**{"pass@4": 1.0}), r"small: pass@4 = 1\.0; expected 0\.0"),
    ("evaluation", metrics(**{"maj@4": 1.0}),
     r"small: maj@4 = 1\.0; expected no such number"),
    ("evaluation", lambda r: r["tasks"]["small"]["metrics"].pop("strict"), r"small: strict = None; expected 0\.0"),
    ("evaluation", lambda r: r["tasks"].pop("small"),
     r"evaluation\.json, gift@released, seed \d: not evaluated on small"),
    ("evaluation", lambda r: r["tasks"].pop("small"),
     r"small/items\.jsonl\.gz: items of small; expected those of a task"),
    ("evaluation", lambda r: r["tasks"]["small"]["protocol"]["examples"].pop(), r"small: items = 6; expected 5"),
    ("evaluation", protocol(examples=[], samples=0), r"small: 0 different examples"),
    ("evaluation", protocol(temperature=0.1),
     r"small: asked otherwise: temperature: "),
    ("evaluation", protocol(data="x"), r"small: other data under the same names"),
    ("evaluation", protocol(seed=7), r"small: draws of seed 7; expected those of"),
    ("evaluation", protocol(verifier="none"), r"small: verifier = 'none'; expected"),
    ("evaluation", lambda r: r["tasks"]["small"].update(overlap=7), r"small: overlap = 7; expected 0 to 6"),
    ("evaluation", lambda r: r["tasks"]["small"].pop("protocol"),
     r"final/evaluation\.json: Object missing required field `protocol`"),
    ("evaluation", lambda r: r["checkpoint"].update(row="grpo"), r"checkpoint: row = 'grpo'; expected 'gift@released'"),
    ("evaluation", lambda r: r["checkpoint"].update(seed=9), r"checkpoint: seed = 9; expected \d, as in cells/"),
    ("evaluation", lambda r: r["checkpoint"].update(name="\x1b[2J"), r"checkpoint\.name: .* holds U\+001B"),
    ("evaluation", lambda r: r.update(schema=2), r"final/evaluation\.json, schema: 2; expected 1"),
    ("items", turn, r"evaluation\.json, small: accuracy = 0\.0; expected 0\.0416\d*, from its 6 items"),
    ("items", lambda lines: lines.pop(3),
     r"small/items\.jsonl\.gz: 5 items; \d\+\d; expected the 6 that cells/.* asked"),
    ("items", lambda lines: lines.reverse(), r"small/items\.jsonl\.gz: 6 items; in another order"),
    ("items", lambda lines: lines.append(lines[0]),
     r"small/items\.jsonl\.gz: 7 items; in another order, or more than once"),
    ("items", lambda lines: lines[0]["correct"].pop(), r"item 1\+5: 3 values of correct; expected 4, one a sample"),
    ("items", lambda lines: lines[0].update(correct=[2, 0, 0, 0]), r"item 1\+5: correct = \[2\.0, .*; expected 0 or 1"),
    ("items", lambda lines: lines[0].update(tokens=[5, 1, 1, 1]),
     r"tokens = \[5, 1, 1, 1\]; expected 0 to 4, the limit"),
    ("items", lambda lines: lines[0].update(first=1), r"item 1\+5: first = 1; expected 0"),
    ("items", lambda lines: lines[0].update(content="x"),
     r"item 1\+5: asked .*; expected .*, as others of this model"),
    ("items", lambda lines: lines[0].update(cluster="x"), r"item 1\+5: asked .* drawn with x\b"),
    ("items", lambda lines: lines[0].pop("tokens"), r"small/items\.jsonl\.gz: Object missing required field `tokens`"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "change", "fault"), ALTERED)
def test_an_altered_one(tampered, file, change, fault):
    one = tampered("asked")
    place = f"cells/{one.cells[0]}/final"
    name = f"{place}/evaluation.json" if file == "evaluation" else f"{place}/small/items.jsonl.gz"
    content = one.read(name)
    change(content)
    one.write(name, content)
    found = one.sealed().faults()
    assert any(re.search(fault, words) for words in found), found


@pytest.mark.parametrize(
    ("gone", "fault"),
    [
        ("cells/{}/final/small", r"^cells/.*/final/small/items\.jsonl\.gz: no such file; expected the items of small"),
        (
            "cells/{}/final",
            r"^cells/.*/evaluation\.json, gift@released, seed 0: not evaluated on .*, small; expected an",
        ),
        ("cells/{}/final/evaluation.json", r"^cells/.*/final/evaluation\.json: no such file"),
        ("start", r"^start/.*/final/evaluation\.json: not evaluated on arithmetic@greedy, small; expected"),
        ("start/*/final", r"^start/.*/final/evaluation\.json: not evaluated on arithmetic@greedy, small; expected"),
        ("start/*/final/small", r"^start/.*/small/items\.jsonl\.gz: no such file"),
        ("start/*/start.json", r"^start/.*/start\.json: no such file"),
    ],
)
def test_a_part_that_is_gone(tampered, gone, fault):
    one = tampered("asked")
    (path,) = one.folder.glob(gone.format(one.cells[0]))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert any("no such file; expected one, which the manifest lists" in words for words in one.faults())
    found = one.sealed().faults()
    assert any(re.search(fault, words) for words in found), found


def test_an_altered_start(tampered):
    """An easier start makes a gain: its model is the cells', and its numbers are those of its items."""
    one = tampered("asked")
    (place,) = (path.relative_to(one.folder).as_posix() for path in one.folder.glob("start/*"))
    one.change(f"{place}/start.json", lambda record: record["model"].update(name="other"))
    one.change(f"{place}/final/evaluation.json", lambda r: r["checkpoint"].update(seed=0))
    one.change(f"{place}/final/small/items.jsonl.gz", turn)
    found = one.sealed().faults()
    for fault in (
        r"start\.json, model: of the hash ",
        r"checkpoint: seed, which a run has",
        r"accuracy = 0\.0; expected 0",
    ):
        assert any(re.search(f"{place}/.*{fault}", words) for words in found), found


def test_a_start_of_nothing(tampered):
    one = tampered("asked")
    for cell in one.cells:
        shutil.rmtree(one.folder / "cells" / cell / "final")
    found = one.sealed().faults()
    assert any(re.search(r"start\.json: what no cell that was evaluated started from; expected none", f) for f in found)


def test_anothers_answers(tampered):
    """One seed's evaluation for another's: the draws and the weights are not its own."""
    one = tampered("asked")
    first, second = (one.folder / "cells" / cell / "final" for cell in one.cells)
    shutil.rmtree(second)
    shutil.copytree(first, second)
    record = one.read(f"cells/{one.cells[1]}/final/evaluation.json")
    record["checkpoint"]["seed"] = 1
    for result in record["tasks"].values():
        result["protocol"]["seed"] = 1
    one.write(f"cells/{one.cells[1]}/final/evaluation.json", record)
    found = one.sealed().faults()
    assert any(re.search(r"checkpoint: the weights of gift@released, seed 0; expected its own", f) for f in found), (
        found
    )


@pytest.fixture
def joined(asked, good, tmp_path):
    """Own seeds that were asked the same, and a submission beside them whose start is another's."""
    own = run({**ASKED, "seeds": [2]}, tmp_path / "results")
    shutil.copytree(good["asked"], own / "submissions" / "asked")
    return own


def shown(folder):
    (folder / "t.toml").write_text(PROGRAM)
    (grid,) = build_program(folder, programs.load(folder / "t.toml")).grids
    names = [header.name for header in grid.headers]
    return {line.label: dict(zip(names, line.entries, strict=True)) for line in grid.lines}


def test_a_joined_table_shows_them(joined, asked):
    own, theirs = (shown(joined)[label] for label in ("gift@released", "gift@released (asked)"))
    assert theirs.keys() == {
        "algorithm",
        "final:arithmetic@greedy",
        "final:small",
        "final_start:small",
        "final_gain:small",
    }
    truth = {
        json.loads((cell / "cell.json").read_text())["seed"]: evaluations.read_record(cell / "final")
        for cell in (asked / "cells").iterdir()
    }
    for key in TASKS:
        means = {seed: record["tasks"][key]["metrics"]["accuracy"] for seed, record in truth.items()}
        assert theirs[f"final:{key}"].by_seed == pytest.approx(means)
    start = evaluations.read_record(next((asked / "start").iterdir()) / "final")["tasks"]["small"]["metrics"][
        "accuracy"
    ]
    gain = theirs["final:small"].value - start
    assert theirs["final_gain:small"].value == pytest.approx(gain) and own["final_gain:small"].value is not None
    shutil.rmtree(joined / "start")  # of one's own: a submission's gain is over the start that came with it
    found = shown(joined)
    assert found["gift@released"]["final_gain:small"].value is None
    assert found["gift@released (asked)"]["final_gain:small"].value == pytest.approx(gain)


@pytest.mark.parametrize("asked_otherwise", ["temperature", "content"])
def test_what_was_asked_otherwise_is_not_shown_beside_it(joined, asked_otherwise):
    (cell,) = (joined / "cells").iterdir()
    record = json.loads((cell / "final" / "evaluation.json").read_text())
    if asked_otherwise == "temperature":
        record["tasks"]["small"]["protocol"]["temperature"] = 0.1
        said = "(temperature: 0.6 against 0.1)"
    else:
        path = cell / "final" / "small" / "items.jsonl"
        path.write_text(re.sub(r'"content": "\w+"', '"content": "x"', path.read_text()))
        said = "(another question or answer under the name 1+5)"
    (cell / "final" / "evaluation.json").write_text(json.dumps(record))
    found = shown(joined)["gift@released (asked)"]
    assert found["final:small"].value is None and found["final_gain:small"].value is None
    assert found["final:arithmetic@greedy"].value is not None
    archive = gather(joined)
    assert not archive.apart and [row.otherwise.keys() for row in archive.tables[0].rows] == [set(), {"small"}]
    build(joined, figures=False)
    text = (joined / "leaderboard.md").read_text()
    assert f"the final task small was asked otherwise than of rows beside it, and is not shown {said}" in text
