"""What is packed, what is left out, and what is refused."""

import json
import os
import shutil
from pathlib import Path

import pytest

from leaderboard import packed, reading, records
from leaderboard.records import RecordError
from leaderboard.submissions.packing import Asked, SubmissionError, pack
from leaderboard.submissions.scrub import Scrubber, paths
from leaderboard.submissions.verify import verify

PRIVATE = "/" + "home/countess/models/llama"


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def altered(run, tmp_path, name, change):
    """A copy of a run of which one file, of its first cell or of itself, is changed."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("weights"))
    path = copy / name if "/" in name or name == "benchmark.json" else next((copy / "cells").iterdir()) / name
    record = json.loads(path.read_text())
    change(record)
    records.write_json(path, record)
    return copy


def test_what_is_packed(good, sums, taste):
    made = files(good["sums"])
    ids = [path.name for path in (sums / "cells").iterdir()]
    of = ["cell.json", "status.json", *(f"{name}.jsonl.gz" for name in ("steps", "evals", "items"))]
    assert sorted(made) == sorted(["submission.json", "benchmark.json", *(f"cells/{i}/{n}" for i in ids for n in of)])
    manifest = json.loads(made["submission.json"])
    assert (manifest["name"], manifest["by"], manifest["note"]) == ("sums", "A. Person", "two cores")
    assert [(row["label"], row["seeds"]) for row in manifest["rows"]] == [
        ("gift@released", [0, 1]),
        ("grpo@no-kl", [0, 1]),
    ]
    assert manifest["scrubbed"] == [
        "provenance.host: the machine's name (4 times)", "provenance.sessions.host: the machine's name (4 times)"
    ]  # fmt: skip
    for name, content in made.items():
        if name.endswith("items.jsonl.gz"):
            stored = (sums / name.removesuffix(".gz")).read_bytes()
            assert len(packed.unpack(content, name).splitlines()) == len(stored.splitlines())
    assert sum(name.startswith("judged/") for name in files(good["taste"])) == 3 * len(list(taste.rglob("judged.json")))


def test_the_same_bytes_each_time(good, sums, tmp_path):
    again = pack(sums, tmp_path, Asked("sums", "A. Person", "two cores")).path
    assert files(again) == files(good["sums"])
    assert all(content[3:10] == bytes(5) + b"\2\xff" for name, content in files(again).items() if name.endswith(".gz"))


def test_packed_records_are_read_like_the_run(good, sums):
    for cell in (sums / "cells").iterdir():
        theirs = good["sums"] / "cells" / cell.name
        mine, own = reading.evaluations(cell), reading.evaluations(theirs)
        assert mine.keys() == own.keys() and len(reading.steps(theirs)) == len(reading.steps(cell)) == 3
        for key in mine:
            for one, other in zip(mine[key], own[key], strict=True):
                ids = [
                    [(item.id, item.correct) for item in reading.items(*of)] for of in ((cell, one), (theirs, other))
                ]
                assert ids[0] == ids[1] and len(ids[0]) == one["examples"]


def test_texts_only_when_asked_for(sums, tmp_path):
    """Items with texts, as a run's last evaluation keeps them: their ranges move when the texts go."""
    run = shutil.copytree(sums, tmp_path / "run", ignore=shutil.ignore_patterns("weights"))
    for cell in (run / "cells").iterdir():
        items, evals = [], []
        for record in records.read_lines(cell / "evals.jsonl"):
            own = [
                json.loads(line) for line in (cell / "items.jsonl").read_bytes()[slice(*record["items"])].splitlines()
            ]
            for item in own:
                item |= {"prompt": "3+4=", "answer": "7", "texts": ["</script>"] * len(item["tokens"])}
            start = sum(len(json.dumps(item)) + 1 for item in items)
            items += own
            evals.append(record | {"items": [start, sum(len(json.dumps(item)) + 1 for item in items)]})
        for name, lines in (("items.jsonl", items), ("evals.jsonl", evals)):
            (cell / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    without, with_texts = (pack(run, tmp_path / str(texts), Asked("s", texts=texts)).path for texts in (False, True))
    for name, content in files(without).items():
        assert b"</script>" not in (packed.unpack(content, name) if name.endswith(".gz") else content)
    kept = [name for name in files(with_texts) if name.endswith("samples.jsonl.gz")]
    assert len(kept) == 4 and not any("samples" in name for name in files(without))
    item = next(path for path in with_texts.rglob("items.jsonl.gz"))
    assert b"</script>" in packed.unpack(item.read_bytes(), "items")


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (
            "ranges",
            r"evals\.jsonl, step 0, heldout, greedy: no items, .*of 12 of its 12 eval.*Scores could not be computed",
        ),
        ("items", r"items\.jsonl: no such file; a cell is submitted with steps\.jsonl, evals\.jsonl, items\.jsonl"),
        ("evals", r"evals\.jsonl: no such file"),
    ],
)
def test_a_run_whose_scores_nobody_could_compute_again_is_refused(sums, tmp_path, lost, words, texts):
    """As those of earlier versions, whose evaluations have no range of items; with items that hold texts."""
    run = shutil.copytree(sums, tmp_path / "run", ignore=shutil.ignore_patterns("weights"))
    for cell in (run / "cells").iterdir():
        evals = [{k: v for k, v in one.items() if k != "items"} for one in records.read_lines(cell / "evals.jsonl")]
        if lost == "ranges":
            (cell / "evals.jsonl").write_text("".join(json.dumps(one) + "\n" for one in evals))
        else:
            (cell / f"{lost}.jsonl").unlink()
    with pytest.raises(SubmissionError, match=words):
        pack(run, tmp_path / "out", Asked("x", texts=texts))
    assert not (tmp_path / "out").exists()


def test_a_row_and_a_cell(sums, tmp_path):
    row = pack(sums, tmp_path / "row", Asked("row", rows=["gift@released"])).manifest
    assert [(one.label, one.seeds, one.left_out) for one in row.rows] == [("gift@released", [0, 1], [])]
    (first, *_) = sorted((sums / "cells").iterdir())
    cell = pack(first, tmp_path / "cell", Asked("cell")).manifest
    (one,) = cell.rows
    assert one.cells == [first.name] and sorted([*one.seeds, *one.left_out]) == [0, 1]
    with pytest.raises(SubmissionError, match=r"--row 'dapo': no row of .*; there are gift@released, grpo@no-kl"):
        pack(sums, tmp_path, Asked("x", rows=["dapo"]))
    with pytest.raises(SubmissionError, match="--row: a cell is asked for"):
        pack(first, tmp_path, Asked("x", rows=["gift@released"]))


def test_a_row_without_one_of_its_seeds_is_refused(sums, tmp_path):
    run = altered(sums, tmp_path, "status.json", lambda status: status.update(state="failed", error="loss is nan"))
    broken = next(run.glob("cells/*"))
    record = json.loads((broken / "cell.json").read_text())
    what = rf"{record['algorithm']}, seed {record['seed']} \(failed\)"
    with pytest.raises(SubmissionError, match=rf"there is no result of {what}\. Run the recipe again, or submit the c"):
        pack(run, tmp_path / "out", Asked("x"))
    shutil.rmtree(broken)
    with pytest.raises(SubmissionError, match=r"\(missing\)"):
        pack(run, tmp_path / "out", Asked("x"))
    assert not list((tmp_path / "out").rglob("*"))
    other = next(label for label in ("gift@released", "grpo@no-kl") if label != record["algorithm"])
    assert pack(run, tmp_path / "out", Asked("x", rows=[other])).verified


def test_what_would_not_be_verified_is_not_packed(sums, tmp_path):
    run = altered(sums, tmp_path, "status.json", lambda status: status.update(step=2))
    with pytest.raises(SubmissionError, match=r"would not be verified:\n  cells/.*status\.json, step: 2; expected 3"):
        pack(run, tmp_path / "out", Asked("x"))
    assert not list((tmp_path / "out").rglob("*"))


def test_machines_and_folders_are_scrubbed(sums, tmp_path):
    def leak(record):
        record["provenance"]["model"] = PRIVATE
        record["provenance"]["note"] = [f"read from {PRIVATE}/a.json", "https://example.org/a/b", "π/π_ref", "1/2"]
        record["provenance"]["commit"] += "+"

    run = altered(sums, tmp_path, "cell.json", leak)
    report = pack(run, tmp_path / "out", Asked("x"))
    assert report.manifest.dirty
    assert any(what.startswith("provenance.model: folders of a path") for what in report.manifest.scrubbed)
    for content in files(report.path).values():
        assert b"countess" not in content
    (record,) = [r for cell in report.cells if (r := cell.record)["provenance"]["model"].startswith("…")]
    assert record["provenance"]["model"] == "…/llama" and record["provenance"]["host"] == "scrubbed"
    assert record["provenance"]["note"] == ["read from …/a.json", "https://example.org/a/b", "π/π_ref", "1/2"]


def test_a_specification_with_a_path_is_refused(sums, tmp_path):
    run = altered(sums, tmp_path, "cell.json", lambda record: record["spec"]["task"]["parameters"].update(at=PRIVATE))
    with pytest.raises(SubmissionError, match=r"spec\.task\.parameters\.at holds .*llama', a place of your machine"):
        pack(run, tmp_path / "out", Asked("x"))


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (PRIVATE, "…/llama"),
        ("~/models/x", "…/x"),
        ("C:\\Users\\countess\\x.bin", "…/x.bin"),
        ("in " + PRIVATE + ", twice", "in …/llama, twice"),
        ("http://127.0.0.1:8000/v1/chat", "http://127.0.0.1:8000/v1/chat"),
        ("Qwen/Qwen2.5-Math-1.5B", "Qwen/Qwen2.5-Math-1.5B"),
        ("file://" + PRIVATE, "file:…/llama"),
        ("FILE://host" + PRIVATE, "FILE:…/llama"),
        ("error:" + PRIVATE + ": no such file", "error:…/llama: no such file"),
        ("hf:" + PRIVATE, "hf:…/llama"),
        ("sqlite:///" + PRIVATE, "sqlite:…/llama"),
        ("/data/models:" + PRIVATE, "…/models:…/llama"),
        ("//srv/share/countess/x", "…/x"),
        ("\\\\srv\\countess\\x", "…/x"),
        ("error:C:\\Users\\countess\\x", "error:…/x"),
        ("https://example.org/a?at=" + PRIVATE, "https://example.org/a?at=…/llama"),
        ("see https://example.org:80/a/b, s3://bucket/key", "see https://example.org:80/a/b, s3://bucket/key"),
        ("log π/π_ref, 3/4 and/or a/b/c", "log π/π_ref, 3/4 and/or a/b/c"),
    ],
)
def test_paths(text, scrubbed):
    assert Scrubber()(text) == scrubbed
    assert bool(paths({"a": [text]})) == (text != scrubbed)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked("../x"), r"--name '\.\./x': must match"),
        (Asked("x", by="a\x1b[1m"), r"--by .* holds U\+001B"),
        (Asked("x", note="two\nlines"), r"--note .* holds U\+000A"),
    ],
)
def test_what_is_said_of_it(sums, tmp_path, asked, message):
    with pytest.raises(SubmissionError, match=message):
        pack(sums, tmp_path, asked)


def test_places_that_are_none(good, sums, tmp_path):
    with pytest.raises(SubmissionError, match="is a submission already"):
        pack(good["sums"], tmp_path, Asked("x"))
    with pytest.raises(SubmissionError, match=r"no benchmark\.json in it: no results folder .*; below it: .*sums"):
        pack(sums.parent, tmp_path, Asked("x"))
    (tmp_path / "x").mkdir()
    with pytest.raises(SubmissionError, match="is there already; remove it, or give another --name"):
        pack(sums, tmp_path, Asked("x"))
    trials = altered(sums, tmp_path, "benchmark.json", lambda plan: plan.update(trials=True))
    with pytest.raises(SubmissionError, match="trials of a search"):
        pack(trials, tmp_path, Asked("y"))


def test_verify_places(good, tmp_path):
    reports = verify([good["sums"].parent])
    assert [report.name for report in reports] == ["asked", "chains", "sums", "taste"] and all(
        report.verified for report in reports
    )
    relative = os.path.relpath(good["sums"])
    assert [report.verified for report in verify([good["sums"], Path(relative)])] == [True]  # one, named twice
    with pytest.raises(RecordError, match="no such folder; a submission is one"):
        verify([tmp_path / "none"])
    with pytest.raises(RecordError, match="holds no submission"):
        verify([tmp_path])


def test_a_cell_counts_once(good, tmp_path):
    """Handed in by two, it is neither's; a folder without its manifest is not passed over."""
    for name in ("one", "two"):
        copy = shutil.copytree(good["sums"], tmp_path / name)
        manifest = json.loads((copy / "submission.json").read_text()) | {"name": name}
        manifest["id"] = records.content_hash({key: value for key, value in manifest.items() if key != "id"})
        (copy / "submission.json").write_text(json.dumps(manifest))
    (copy.parent / "three" / "cells" / "x").mkdir(parents=True)
    (copy.parent / "three" / "cells" / "x" / "cell.json").write_text("{}")
    one, three, two = verify([tmp_path])
    for report, other in ((one, "two"), (two, "one")):
        assert len(report.faults) == 4 and not report.unsafe
        assert f"gift@released, seed 0: also in {other}; expected cells that no other submission holds" in " ".join(
            fault.words for fault in report.faults
        )
    assert [fault.words for fault in three.faults] == [
        "submission.json: no such file; expected one that lists the 1 files"
    ]


def test_what_an_edited_plugin_replaced_is_not_handed_in_and_the_plan_has_its_own_name(sums, tmp_path):
    def replaced(plan):
        (kept,) = {cell["row"] for cell in plan["cells"] if cell["algorithm"] == "grpo@no-kl"}
        for cell in plan["cells"]:
            cell |= {"name": "mine"} if cell["row"] == kept else {"earlier": kept}
        plan["name"] = "another"

    report = pack(altered(sums, tmp_path, "benchmark.json", replaced), tmp_path, Asked())
    assert report.path.name == "mine" and {cell.record["algorithm"] for cell in report.cells} == {"grpo@no-kl"}
    plan = json.loads((report.path / "benchmark.json").read_text())
    assert plan["name"] == "mine" and not any({"name", "earlier"} & cell.keys() for cell in plan["cells"])
