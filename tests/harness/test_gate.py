"""`groupbench gate` as CI meets it: folders on disk, the real command line, exit codes and what is written."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import junitparser
import numpy as np
import pytest
import yaml

from harness import cli, gate
from harness.evaluation import again
from leaderboard import evaluations

ROOT = Path(__file__).parents[2]


def write(folder: Path, verdicts: np.ndarray, name: str = "checkpoint", **how) -> Path:
    """An evaluation's folder of gsm8k; `how` says what is wrong with it, as in the tests below."""
    count, samples = verdicts.shape
    ids = [f"test-{number:04d}" for number in range(count)]
    protocol = {
        "task": "gsm8k", "parameters": {}, "protocol": "standard", "samples": samples,
        "temperature": 0.6 if samples > 1 else 0.0, "top_p": 0.95, "max_tokens": 1024, "seed": 0, "verifier": "v1",
        "examples": ids, "data": "d41d8cd9",
    } | how.get("protocol", {})  # fmt: skip
    lines = []
    for number, row in enumerate(verdicts[: count - how.get("missing", 0)]):
        block = {
            "id": ids[number], "content": f"hash {number}", "first": 0, "responses": ["…"] * samples,
            "answers": ["42"] * samples, "correct": [int(v) for v in row], "strict": [int(v) for v in row],
            "tokens": [120] * samples, "truncated": [int(number < how.get("truncated", 0))] * samples,
            "timed_out": [0] * samples,
        }  # fmt: skip
        if number < how.get("null", 0):
            block["correct"] = [None] * samples
        if number < how.get("content", 0):
            block["content"] = "another hash"
        lines.append(json.dumps(block))
    (folder / "gsm8k").mkdir(parents=True)
    (folder / "gsm8k" / "protocol.json").write_text(json.dumps(protocol))
    (folder / "gsm8k" / "items.jsonl").write_text("\n".join(lines) + "\n")
    if not how.get("aborted"):
        checkpoint = {"name": name, "fingerprint": f"sha256:{name}", "precision": "bfloat16", "engine": "vllm"}
        checkpoint |= how.get("checkpoint", {})
        result = {"protocol": protocol, "items": len(lines), "metrics": {}}
        record = {"schema": 1, "checkpoint": checkpoint, "tasks": {"gsm8k": result}}
        (folder / "evaluation.json").write_text(json.dumps(record))
        (folder / "sessions.jsonl").write_text(json.dumps({"seconds": 61.5}) + "\n")
    return folder


def right(count: int = 1319, accuracy: float = 0.75) -> np.ndarray:
    found = np.zeros((count, 1))
    found[: round(count * accuracy)] = 1
    return found


def worse(lost: int, gained: int = 0) -> np.ndarray:
    found = right()
    found[:lost] = 0
    found[len(found) - gained :] = 1
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    evaluations.write_baseline(folder / "base.json.gz", evaluations.read(write(folder / "evals/main", right(), "main")))
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch, prepared):
    """A folder with a baseline and a gate.yaml, to stand in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    Path("gate.yaml").write_text("baseline: base.json.gz\nmetrics:\n  - {task: gsm8k, metric: accuracy}\n")
    return tmp_path


@pytest.fixture
def groupbench(monkeypatch, capsys):
    """Run a command line in this process; its exit code and what it printed."""

    def call(line: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["groupbench", *shlex.split(line)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out + said.err

    return call


@pytest.mark.parametrize(
    ("values", "how", "code", "said"),
    [
        (right(), {}, 0, "PASS: no gated metric is worse"),
        (worse(33, 20), {}, 0, "PASS"),  # −1 pp
        (worse(46, 20), {}, 4, "INCONCLUSIVE"),  # −2 pp
        (worse(86, 20), {}, 1, "REGRESSION: worse than the margin"),  # −5 pp
        (right(), {"missing": 3}, 3, "3 of 1319 items are missing or incomplete: test-1316"),
        (worse(86, 20), {"missing": 3}, 3, "INCOMPLETE"),
        (right(), {"null": 1}, 3, "without a verdict"),
        (right(), {"protocol": {"max_tokens": 2048}}, 2, "max_tokens: 2048 against 1024"),
        (worse(86, 20), {"content": 2}, 2, "2 of 1319 shared items have another prompt or answer"),
        (right()[:351], {}, 3, "asked 351 of the baseline's 1,319 items (26.6 %)"),
        (right(), {"truncated": 80}, 3, "truncated 6.1 %, limit 5 %"),
        (right(accuracy=0.9), {}, 0, "check the extractor"),
        (right(), {"aborted": True}, 3, "evaluation.json: no such file"),
    ],
)
def test_exit_codes(place, groupbench, values, how, code, said):
    write(place / "candidate", values, **how)
    outputs = "--junit o/gate.xml --json o/gate.json --summary o/summary.md"
    found, printed = groupbench(f"gate --candidate candidate --config gate.yaml {outputs}")
    assert found == code and said in printed, printed
    assert printed.split(":")[0] in ("PASS", "REGRESSION", "NOT COMPARABLE", "INCOMPLETE", "INCONCLUSIVE")
    data = json.loads(Path("o/gate.json").read_text())
    assert data["exit"] == code and data["code"] == code
    summary = Path("o/summary.md").read_text()
    assert summary.startswith("## Gate: ") and data["verdict"] in summary.replace("\\", "")
    suites = junitparser.JUnitXml.fromfile("o/gate.xml")
    assert bool(suites.failures) == (code == 1) and bool(suites.errors) == (code in (2, 3))
    assert data["verdict"].startswith(printed.split(":")[0])


def test_the_same_evaluations_give_the_same_bytes(place, groupbench):
    write(place / "candidate", worse(86, 20))
    found = []
    for _ in range(2):
        groupbench("gate --candidate candidate --config gate.yaml --junit g.xml --json g.json --summary g.md")
        found.append([Path(f"g.{kind}").read_bytes() for kind in ("xml", "json", "md")])
    assert found[1] == [*found[0][:2], found[0][2] * 2]  # a summary is appended


def test_inconclusive_may_be_allowed_and_is_still_shown(place, groupbench):
    write(place / "candidate", worse(46, 20))
    code, printed = groupbench("gate --candidate candidate --config gate.yaml --allow-inconclusive --json out.json")
    assert code == 0 and printed.startswith("INCONCLUSIVE") and "(allowed)" in printed
    assert json.loads(Path("out.json").read_text())["code"] == 4


def test_a_terminal_shows_no_markdown(place, groupbench):
    write(place / "candidate", worse(86, 20))
    Path("gate.yaml").write_text(
        "baseline: base.json.gz\nmetrics: [{task: gsm8k, metric: accuracy, required: false}]\n"
    )
    code, printed = groupbench("gate --candidate candidate --config gate.yaml --summary out.md --junit out.xml")
    assert code == 0 and "regression" in printed and "*" not in printed + Path("out.xml").read_text()
    assert "| **regression** (warning only) |" in Path("out.md").read_text()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gate", "--candidate is missing"),
        ("gate --candidate evals/main --config none.yaml", "none.yaml: No such file"),
        ("gate --candidate evals/main --config gate.yaml --baseline none.json.gz", "none.json.gz: no such"),
        ("gate --candidate evals/main --config gate.yaml --baseline gate.yaml", "gate.yaml: not a baseline"),
        ("gate --candidate evals/main --baseline base.json.gz", "--config FILE is missing"),
        ("gate --candidate evals/main", "no baseline"),
        ("gate --candidate nowhere --config gate.yaml", "model 'nowhere' is no folder here"),
        ("gate --candidate evals/main --config gate.yaml --force", "needs --update-baseline"),
        ("gate --candidate evals/main --config gate.yaml --update-baseline --force", "needs --reason"),
        ("gate --candidate evals/main --config gate.yaml --reason x", "--reason is that of --force"),
        ("gate --candidate evals/main --config gate.yaml --aa 9", "leave out --candidate"),
        ("gate --candidate evals/main --config gate.yaml --junit gate.yaml/out.xml", "gate.yaml"),
        ("gate --config gate.yaml --aa 0", "--aa"),
        ("gate --config gate.yaml --aa 9 --create-baseline", "leave out --candidate"),
        ("gate --config gate.yaml --create-baseline", "--candidate is missing"),
        ("gate --candidate evals/main --config gate.yaml --create-baseline", "base.json.gz is there already"),
        ("gate --candidate evals/main --baseline evals --create-baseline", "evals is there already"),
        ("gate --candidate evals/main --baseline x.gz --create-baseline --update-baseline", "give one of them"),
        ("gate --candidate evals/main --baseline x.gz --create-baseline --force --reason x", "needs --update-baseline"),
        ("gate --candidate evals/main --config gate.yaml --baseline evals/main --update-baseline", "is a folder"),
        ("gate --canddate x", "--canddate"),
    ],
)
def test_mistakes_end_with_2(place, groupbench, line, said):
    code, printed = groupbench(line)
    assert code == 2 and said in printed and "Traceback" not in printed


def test_a_config_is_checked_before_anything_is_read(place, groupbench):
    Path("gate.yaml").write_text("baseline: none.json.gz\nmetrics:\n  - {task: gsm8k, metric: acuracy}\n")
    code, printed = groupbench("gate --candidate nowhere --config gate.yaml")
    assert code == 2 and "gate config gate.yaml: metrics.0 (gsm8k: acuracy): unknown metric; did you mean" in printed


def test_a_crash_is_no_regression(place, groupbench, monkeypatch):
    """Python exits with 1 where nobody catches; here that would say that the candidate is worse."""
    monkeypatch.setattr(gate.gate, "decide", lambda *_: 1 / 0)
    code, printed = groupbench("gate --candidate evals/main --config gate.yaml")
    assert code == 3 and "ZeroDivisionError" in printed and "says nothing of the candidate" in printed
    Path("evals/main/evaluation.json").write_text('{"schema": 1, "checkpoint": {}}')
    code, printed = groupbench("gate --candidate evals/main --config gate.yaml")
    assert code == 3 and "not an evaluation as" in printed


def test_a_checkpoint_is_evaluated_where_somebody_can(place, groupbench, monkeypatch):
    """A checkpoint is asked for the first look, and for the second. (tests/harness/evaluation asks a real one.)"""
    calls = []
    rng = np.random.default_rng(0)
    chance = rng.beta(2, 2, size=(300, 1))
    theirs, ours = (rng.random((300, 16)) < chance for _ in range(2))
    evaluations.write_baseline(Path("base.json.gz"), evaluations.read(write(place / "evals/sampled", theirs)))
    line = "{task: gsm8k, metric: accuracy, margin: 0.03, k: 2, max_k: 16}"
    Path("gate.yaml").write_text(f"baseline: base.json.gz\nmetrics:\n  - {line}\n")

    class Again:
        folder = place

        def __init__(self, candidate, baseline, *asking):
            assert candidate == "owner/model" and list(baseline.tasks) == ["gsm8k"]

        def __call__(self, wanted):
            calls.append(dict(wanted))
            return evaluations.read(write(place / f"made{len(calls)}", ours[:, : wanted["gsm8k"]], "owner/model"))

    monkeypatch.setattr(again, "examine_again", Again)
    code, printed = groupbench("gate --candidate owner/model --config gate.yaml")
    assert code in (0, 4) and calls == [{"gsm8k": 2}, {"gsm8k": 16}] and "300 × 16" in printed


def test_the_first_baseline(place, groupbench):
    code, printed = groupbench("gate --candidate evals/main --baseline new/b.json.gz --create-baseline")
    assert code == 0 and printed.startswith("CREATED") and "gsm8k (1,319 items)" in printed
    assert Path("new/b.json.gz").read_bytes() == Path("base.json.gz").read_bytes()
    write(place / "cut", right(), missing=1)
    write(place / "aborted", right(), aborted=True)
    for name in ("cut", "aborted"):
        code, printed = groupbench(f"gate --candidate {name} --baseline other.json.gz --create-baseline")
        assert code == 3 and printed.startswith("NOT CREATED (exit 3)") and not Path("other.json.gz").exists()
    code, printed = groupbench("gate --candidate owner/model --baseline other.json.gz --create-baseline")
    assert code == 2 and "a first baseline is made of" in printed


@pytest.mark.parametrize(
    ("metric", "values", "how", "code", "said"),
    [
        ("min: 0.74", right(), {}, 0, "CREATED"),
        ("min: 0.76", right(), {}, 1, "0.7498 is below its floor, min: 0.76"),
        ("min: 0.76, required: false", right(), {}, 0, "warning: gsm8k: accuracy: 0.7498 is below"),
        ("min: 0.1", right(), {"truncated": 80}, 3, "truncated 6.1 %, limit 5 %"),
        ("min: 0.76", right(), {"truncated": 80}, 3, "is below its floor"),
    ],
)
def test_a_first_baseline_is_held_to_the_config(place, groupbench, metric, values, how, code, said):
    write(place / "first", values, **how)
    Path("gate.yaml").write_text(f"baseline: b.json.gz\nmetrics: [{{task: gsm8k, metric: accuracy, {metric}}}]\n")
    found, printed = groupbench("gate --candidate first --config gate.yaml --create-baseline")
    assert found == code and said in printed and Path("b.json.gz").exists() == (code == 0), printed


def test_a_lost_baseline_blesses_nothing(place, groupbench):
    """A cache that was missed, or a path with a typo, must not make a bad checkpoint the baseline."""
    write(place / "bad", worse(600))
    for extra in ("", " --config gate.yaml", " --config gate.yaml --force --reason because"):
        code, printed = groupbench(f"gate --candidate bad --baseline lost.json.gz --update-baseline{extra}")
        assert code == 2 and "--create-baseline" in printed and not Path("lost.json.gz").exists()
    Path("gate.yaml").write_text("baseline: x.json.gz\nmetrics:\n  - {task: gsmk, metric: accuracy}\n")
    code, printed = groupbench("gate --candidate bad --config gate.yaml --create-baseline")
    assert code == 2 and "did you mean 'gsm8k'" in printed and not Path("x.json.gz").exists()


def test_updates(place, groupbench):
    before = Path("base.json.gz").read_bytes()
    write(place / "better", worse(0, 10), "better")
    write(place / "bad", worse(90), "bad")
    write(place / "open", worse(46, 20), "open")
    write(place / "cut", right(), "cut", missing=1)
    write(place / "small", right()[:1200], "small")
    gated = "gate --config gate.yaml --update-baseline --candidate"
    for name, code in (("bad", 1), ("open --allow-inconclusive", 0), ("cut", 3), ("small", 3)):
        found, printed = groupbench(f"{gated} {name}")
        assert found == code and "baseline not updated" in printed, printed
    Path("loose.yaml").write_text(Path("gate.yaml").read_text() + "limits: {coverage: 0.5}\n")
    found, printed = groupbench(f"{gated} small".replace("gate.yaml", "loose.yaml"))
    assert found == 2 and "the candidate holds less of it: gsm8k 1,200 of 1,319 items" in printed
    found, printed = groupbench(f"{gated} cut --force --reason 'because'")
    assert found == 3 and "cannot be one, --force or not" in printed
    assert Path("base.json.gz").read_bytes() == before
    found, printed = groupbench(f"{gated} better")
    assert found == 0 and "baseline updated: base.json.gz is now better" in printed
    assert evaluations.read(Path("base.json.gz")).checkpoint["name"] == "better"
    found, printed = groupbench(f"{gated} bad --force --reason 'new data licence'")
    assert found == 1 and "is now bad (exit 1: new data licence)" in printed
    found, printed = groupbench("gate --config gate.yaml --candidate bad")
    assert found == 0 and "new data licence" in printed and "same checkpoint" in printed
    assert not list(Path().glob("*.tmp"))


def test_self_test(place, groupbench):
    code, printed = groupbench("gate --config gate.yaml --aa 100 --json aa.json --summary aa.md")
    assert code == 0 and printed.startswith("A/A: 0.0% of 100 gates stop an unchanged checkpoint")
    assert len(json.loads(Path("aa.json").read_text())["rates"]["gsm8k: accuracy"]) == 5
    assert Path("aa.md").read_text().startswith("## Gate: A/A\n\n| metric | false alarms |")
    assert groupbench("gate --config gate.yaml --aa 100")[1] == printed
    Path("gate.yaml").write_text("baseline: base.json.gz\nmetrics:\n  - {task: gsmk, metric: accuracy}\n")
    code, printed = groupbench("gate --config gate.yaml --aa 100")
    assert code == 2 and "did you mean 'gsm8k'" in printed


def test_a_summary_stays_below_what_github_shows(place, groupbench):
    Path("summary.md").write_text("x" * 999_700)
    groupbench("gate --candidate evals/main --config gate.yaml --summary summary.md")
    assert 999_700 < Path("summary.md").stat().st_size <= 1_000_000


def test_provenance(place, groupbench, monkeypatch):
    monkeypatch.setenv("GITHUB_SHA", "c0ffee")
    groupbench("gate --candidate evals/main --config gate.yaml --junit out.xml")
    root = ET.parse("out.xml").getroot()
    found = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert found["commit"] == "c0ffee" and found["baseline file"].startswith("base.json.gz, sha256 ")
    assert root.get("time") == "61.500" and "vllm" in found["candidate"]


def test_another_engine_or_precision_is_said_everywhere(place, groupbench):
    write(place / "other", right(), checkpoint={"engine": "transformers", "precision": "float32"})
    code, printed = groupbench("gate --candidate other --config gate.yaml --junit o.xml --json o.json --summary o.md")
    said = [
        "another engine than the baseline's: transformers against vllm",
        "another precision than the baseline's: float32 against bfloat16",
    ]
    notes = [one.get("value") for one in ET.parse("o.xml").getroot().iter("property") if one.get("name")[:4] == "note"]
    texts = " ".join(printed.split()), "\n".join(json.loads(Path("o.json").read_text())["notes"]), "\n".join(notes)
    assert code == 0 and len(notes) == 2
    for text in (*texts, Path("o.md").read_text().replace("\\", "")):
        assert all(one in text for one in said), text
    groupbench("gate --candidate evals/main --config gate.yaml --json o.json")
    assert "another" not in Path("o.json").read_text()


@pytest.mark.parametrize("clock", ["null", '{"seconds": null}'])
def test_a_clock_overrides_no_verdict(place, groupbench, clock):
    write(place / "candidate", worse(86, 20))
    Path("candidate/sessions.jsonl").write_text(f'{{"secon\n{clock}\n')
    code, printed = groupbench("gate --candidate candidate --config gate.yaml --junit out.xml")
    assert code == 1 and printed.startswith("REGRESSION") and "Traceback" not in printed
    assert "time" not in ET.parse("out.xml").getroot().attrib


@pytest.mark.parametrize(
    "clock",
    [
        "null",
        "1",
        "[1]",
        '{"x": 1}',
        '{"seconds": null}',
        '{"seconds": "x"}',
        '{"seconds": NaN}',
        '{"seconds": -1}',
        "\xff",
    ],
)
def test_a_clock_that_cannot_be_read_is_none(tmp_path, clock):
    path = tmp_path / "sessions.jsonl"
    assert gate._seconds(tmp_path) is None and gate._seconds(path) is None
    good = '{"seconds": 1.5}'
    for lines in ([clock], [clock, good], [good, clock], ['{"secon', good]):
        path.write_text("\n".join(lines) + "\n", encoding="latin-1")
        assert gate._seconds(tmp_path) is None
    path.write_text(f"{good}\n{good}\n")
    assert gate._seconds(tmp_path) == 3.0


def test_help_is_instant_and_knows_the_exit_codes():
    script = Path(sys.executable).with_name("groupbench")
    done = subprocess.run([script, "gate", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "inconclusive" in done.stdout
    heavy = "import harness.cli, sys; print([m for m in ('numpy', 'torch', 'pandas', 'msgspec') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"
    )


def test_the_document_runs(tmp_path, groupbench, monkeypatch):
    """Every `groupbench gate` command of docs/gate.md, in order, with its files and the exit code that it names."""
    text = (ROOT / "docs/gate.md").read_text()
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "evals/main", right(), "main")
    write(tmp_path / "evals/candidate", worse(33, 20), "candidate")
    config = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    Path("gate.yaml").write_text(config)
    commands = [line.strip() for line in text.splitlines() if line.startswith("    groupbench gate ")]
    assert len(commands) >= 4
    for command in commands:
        line, _, comment = command.removeprefix("groupbench ").partition("  # ")
        if "made.json.gz" in line:
            folder = tmp_path / "made"
            script = [sys.executable, ROOT / "benchmarks/gate_baselines.py", folder]
            folder.mkdir(exist_ok=True)
            subprocess.run(script, check=True, cwd=ROOT, capture_output=True)
            line = line.replace("--aa 10000", "--aa 20").replace("made/", f"{folder}/")
        code, printed = groupbench(line.replace("--aa 2000", "--aa 50"))
        expected = int(comment.removeprefix("exit ")[0]) if comment.startswith("exit ") else 0
        assert code == expected, f"{command}\n{printed}"


def test_the_workflow_is_one():
    """docs/ci/github-actions.yml parses, names what the command has, and treats each exit code."""
    text = (ROOT / "docs/ci/github-actions.yml").read_text()
    content = yaml.safe_load(text)
    steps = content["jobs"]["gate"]["steps"]
    (gated,) = [step for step in steps if "groupbench gate" in step.get("run", "")]
    for option in ("--candidate", "--config", "--junit", "--summary", "--json"):
        assert option in gated["run"]
    assert {"3)", "4)"} <= set(gated["run"].split())
    assert any("upload-artifact" in step.get("uses", "") and step["if"] == "always()" for step in steps)
    assert subprocess.run(["bash", "-n"], input=gated["run"], text=True).returncode == 0


@pytest.mark.parametrize(
    ("code", "expected", "said"), [(0, 0, ""), (1, 1, ""), (2, 2, ""), (3, 3, "::error"), (4, 0, "::warning")]
)
def test_the_workflow_treats_exit_codes(tmp_path, code, expected, said):
    """The step's own shell lines, with a command in place of ours that exits as it is told."""
    steps = yaml.safe_load((ROOT / "docs/ci/github-actions.yml").read_text())["jobs"]["gate"]["steps"]
    (gated,) = [step for step in steps if "groupbench gate" in step.get("run", "")]
    fake = tmp_path / "groupbench"
    fake.write_text(f"#!/bin/sh\nexit {code}\n")
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    done = subprocess.run(["bash", "-e", "-c", gated["run"]], capture_output=True, text=True, env=environment)
    assert done.returncode == expected and said in done.stdout
