"""A checkpoint evaluated, interrupted, extended, mixed up: what stands in the folder afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.errors import UserError
from harness.evaluation import checkpoint as module
from harness.evaluation.asked import Asked, Changes, again, codec_of, resolve
from harness.evaluation.checkpoint import Examiner, Progress
from harness.evaluation.subject import find
from harness.lock import lock
from harness.settings import Rollout
from leaderboard import evaluations
from leaderboard.evaluations import TaskResult
from leaderboard.records import RecordError
from tasks import registry
from tasks.arithmetic import Arithmetic

LEVEL = {"level": 1}


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.AT_ONCE, "cpu", 8)


def ask(name: str = "arithmetic", parameters: dict[str, Any] | None = None, **changes: Any) -> Asked:
    codec, context = codec_of(find("tiny").source)
    wanted = Changes(**{"max_tokens": 6, **changes})
    return resolve(name, LEVEL if parameters is None else parameters, wanted, codec, context)[0]


def examiner(watch: Any = lambda progress: None, **changes: Any) -> Examiner:
    return Examiner(find("tiny"), Rollout(), changes.get("precision", "float32"), "cpu", 4096, watch)


def whole(folder: Path, *asked: Asked) -> TaskResult:
    written = examiner().examine(asked or (ask(),), folder)
    return next(iter(written["tasks"].values()))


def content(folder: Path) -> dict[str, bytes]:
    """All but what holds a clock, and the lock."""
    names = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in {"sessions.jsonl", "lock"}
    ]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


def test_everything_asked_is_there_once_and_in_order(tmp_path: Path) -> None:
    asked = ask()
    result = whole(tmp_path, asked)
    items = evaluations.read(tmp_path).tasks["arithmetic"].items
    assert [item.id for item in items] == [example.id for example in asked.examples]
    assert {len(item.correct) for item in items} == {4} and result["items"] == len(items)
    assert result["metrics"]["accuracy"] == pytest.approx(sum(sum(i.correct) for i in items) / (4 * len(items)))
    assert {item.cluster for item in items if item.id in ("1+0", "0+1")} <= {"0+1"}
    assert evaluations.read(tmp_path).tasks["arithmetic"].missing == []


class Killed(BaseException):
    """As a signal would."""


@pytest.mark.parametrize("chunks", [1, 3])
def test_an_interrupted_evaluation_ends_with_the_same_bytes(tmp_path: Path, chunks: int) -> None:
    whole(tmp_path / "whole")
    told: list[Progress] = []

    def kill(progress: Progress) -> None:
        told.append(progress)
        if len(told) == chunks:
            raise Killed

    for _ in range(2):  # killed twice
        told.clear()
        with pytest.raises(Killed):
            examiner(kill).examine([ask()], tmp_path / "cut")
        assert not (tmp_path / "cut" / "evaluation.json").exists()
    before = (tmp_path / "cut/arithmetic/items.jsonl").read_bytes()
    whole(tmp_path / "cut")
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert (tmp_path / "cut/arithmetic/items.jsonl").read_bytes().startswith(before)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.77])
def test_a_line_torn_anywhere_is_asked_again(tmp_path: Path, kept: float) -> None:
    whole(tmp_path / "whole")
    whole(tmp_path / "torn")
    path = tmp_path / "torn/arithmetic/items.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    whole(tmp_path / "torn")
    assert content(tmp_path / "torn") == content(tmp_path / "whole")


def test_a_finished_evaluation_loads_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole(tmp_path)
    monkeypatch.setattr(module.models, "load_model", lambda *_: pytest.fail("a model was loaded"))
    before = content(tmp_path)
    whole(tmp_path)
    assert content(tmp_path) == before
    assert len((tmp_path / "sessions.jsonl").read_text().splitlines()) == 1


def test_more_samples_add_to_fewer(tmp_path: Path) -> None:
    four = whole(tmp_path, ask())
    eight = whole(tmp_path, ask(samples=8))
    items = evaluations.read(tmp_path).tasks["arithmetic"].items
    assert eight["protocol"]["samples"] == 8 and {len(item.correct) for item in items} == {8}
    lines = [json.loads(line) for line in (tmp_path / "arithmetic/items.jsonl").read_text().splitlines()]
    assert [line["first"] for line in lines] == [0] * (len(lines) // 2) + [4] * (len(lines) // 2)
    assert [("prompt" in line) for line in lines] == [line["first"] == 0 for line in lines], "said once an item"
    again_four = whole(tmp_path, ask())  # asked for fewer than there are: the first of them
    assert again_four == four
    fresh = whole(tmp_path / "fresh", ask(samples=8))
    assert fresh["metrics"].keys() == eight["metrics"].keys()
    assert fresh["metrics"]["accuracy"] == pytest.approx(eight["metrics"]["accuracy"], abs=0.05)  # rounding may decide


def test_an_extension_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    for name in ("whole", "cut"):
        whole(tmp_path / name, ask())
    whole(tmp_path / "whole", ask(samples=8))

    def kill(_: Progress) -> None:
        raise Killed

    with pytest.raises(Killed):
        examiner(kill).examine([ask(samples=8)], tmp_path / "cut")
    whole(tmp_path / "cut", ask(samples=8))
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_a_larger_subset_holds_the_smaller(tmp_path: Path) -> None:
    assert whole(tmp_path, ask(limit=3))["items"] == 3
    assert whole(tmp_path, ask(limit=9))["items"] == 9
    assert evaluations.read(tmp_path).tasks["arithmetic"].missing == []


def test_two_tasks_share_a_folder_and_stay(tmp_path: Path) -> None:
    whole(tmp_path, ask())
    written = examiner().examine([ask("arithmetic@greedy")], tmp_path)
    assert list(written["tasks"]) == ["arithmetic", "arithmetic@greedy"]
    assert written["tasks"]["arithmetic@greedy"]["protocol"]["samples"] == 1
    assert not [key for key in written["tasks"]["arithmetic@greedy"]["metrics"] if key.startswith(("pass", "maj"))]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature": 0.9}, "temperature: 0.9 against 0.6"),
        ({"max_tokens": 5}, "max_tokens: 5 against 6"),
        ({"seed": 1}, "seed: 1 against 0"),
        ({"parameters": {"level": 2}}, "'level': 2"),
    ],
)
def test_another_protocol_is_not_mixed_in(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    whole(tmp_path)
    before = content(tmp_path)
    with pytest.raises(UserError, match="holds another evaluation") as caught:
        whole(tmp_path, ask(**change))
    assert said in str(caught.value) and content(tmp_path) == before


def test_another_checkpoint_is_not_mixed_in(tmp_path: Path) -> None:
    whole(tmp_path)
    before = content(tmp_path)
    for asked in (ask(), ask("arithmetic@greedy")):  # whatever it is asked
        with pytest.raises(UserError, match="precision: bfloat16 against float32"):
            examiner(precision="bfloat16").examine([asked], tmp_path)
    assert content(tmp_path) == before


def test_the_same_weights_under_another_name_go_on(tmp_path: Path) -> None:
    whole(tmp_path)
    twin = examiner()
    twin.subject = replace(twin.subject, name="./elsewhere/tiny")
    written = twin.examine([ask(), ask("arithmetic@greedy")], tmp_path)
    assert written["checkpoint"]["name"] == "./elsewhere/tiny" and len(written["tasks"]) == 2


@dataclass(frozen=True)
class Moody(Arithmetic):
    """Sums whose right answers change with the weather."""

    name = "moody"
    levels: tuple[int, ...] = (1, 2)

    @cached_property
    def heldout(self) -> Any:
        return tuple(replace(e, answer=f"{e.answer}0" if MOOD else e.answer) for e in super().heldout)


MOOD: list[int] = []


def test_changed_answers_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._TASKS, "moody", Moody)
    whole(tmp_path, ask("moody"))
    whole(tmp_path, ask("moody"))  # a tuple among the parameters is no difference
    before = content(tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "MOOD", [1])
    for asked in (ask("moody"), ask("moody", samples=8)):
        with pytest.raises(UserError, match="prompt or right answer of 12 items"):
            whole(tmp_path, asked)
    assert content(tmp_path) == before


def test_an_evaluation_json_of_another_kind_is_named(tmp_path: Path) -> None:
    for text in ("{}", "[]", "null", '{"schema": 99}'):
        (tmp_path / "evaluation.json").write_text(text)
        with pytest.raises(RecordError, match="not an evaluation of schema 1"):
            whole(tmp_path)
        assert (tmp_path / "evaluation.json").read_text() == text


def test_a_subset_has_the_limits_of_the_whole() -> None:
    """Or a larger --limit would ask under another protocol."""
    codec, context = codec_of(find("tiny").source)
    few, all_of_them = (resolve("arithmetic", {"level": 2}, Changes(limit=n), codec, context)[0] for n in (1, None))
    assert few.record["max_tokens"] == all_of_them.record["max_tokens"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(UserError, match="is evaluating into it"):
        whole(tmp_path)


def test_asked_again_from_the_record_alone(tmp_path: Path) -> None:
    whole(tmp_path)
    there = evaluations.read(tmp_path).tasks["arithmetic"].protocol
    twin = again("arithmetic", there, 8, {}, *codec_of(find("tiny").source))
    assert evaluations.comparable(twin.record, there) == [] and twin.record["samples"] == 8
    assert twin.record["examples"] == there["examples"]
    with pytest.raises(UserError, match="1 of its examples are not in the task's data, the first is 99\\+99"):
        again("arithmetic", {**there, "examples": [*there["examples"], "99+99"]}, 4, {}, *codec_of(find("tiny").source))


# --- what is refused before a model is loaded ---


@pytest.mark.parametrize(
    ("name", "parameters", "changes", "said"),
    [
        ("arithmetik", {}, {}, "did you mean 'arithmetic'"),
        ("arithmetic@gredy", {}, {}, "did you mean 'greedy'"),
        ("arithmetic", {"levle": 1}, {}, "did you mean 'level'"),
        ("arithmetic", {"level": 9}, {}, "level = 9"),
        ("arithmetic", LEVEL, {"temperature": 0.0, "samples": 4}, "samples = 4, temperature = 0.0"),
        ("arithmetic", LEVEL, {"top_p": 0.0}, "top_p = 0.0"),
    ],
)
def test_what_cannot_be_asked(name: str, parameters: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        ask(name, parameters, **changes)
    assert said in str(caught.value) and name in str(caught.value)


def test_temperature_0_is_one_sample() -> None:
    asked = ask(temperature=0.0)
    assert (asked.record["samples"], asked.record["temperature"]) == (1, 0.0)
    assert asked.record["protocol"] == "greedy, as avg@4 but temperature, max_tokens"
    assert ask(samples=8, max_tokens=None).record["protocol"] == "avg@8, as avg@4"
    assert ask("arithmetic@greedy").record["protocol"] == "greedy but max_tokens"


def test_responses_are_cut_to_what_the_model_reads() -> None:
    codec, context = codec_of(find("tiny").source)
    asked, remarks = resolve("arithmetic", LEVEL, Changes(), codec, context)
    assert asked.record["max_tokens"] == context - max(len(codec.prompt(e)) for e in asked.examples)
    assert "do not fit" in remarks[0]
    with pytest.raises(UserError, match="the model reads 3"):
        resolve("arithmetic", LEVEL, Changes(), codec, 3)


# --- cells ---


def test_a_cell_is_asked_what_it_was_trained_on(tmp_path: Path, small: Any) -> None:
    from harness.evaluation.command import plan

    cell = small.cell(budget={"steps": 1})
    folder = tmp_path / "cells" / cell.id
    small.run(cell, folder)
    subject = find(str(folder))
    assert subject.name == f"{cell.label} on arithmetic, seed 0"
    (asked,) = plan(subject, [], [], Changes(samples=1, limit=4))
    assert asked.task == cell.task and subject.default_folder == folder / "evaluation"
    with pytest.raises(UserError, match=cell.id) as caught:
        find(str(tmp_path))
    assert "holds 1 cells" in str(caught.value) and cell.label in str(caught.value)


@pytest.mark.parametrize("damage", ["weights", "status"])
def test_a_cell_without_weights_or_end_is_refused(tmp_path: Path, small: Any, damage: str) -> None:
    import shutil

    cell = small.cell(budget={"steps": 1})
    small.run(cell, tmp_path)
    if damage == "weights":
        shutil.rmtree(tmp_path / "weights")
    else:
        status = json.loads((tmp_path / "status.json").read_text())
        (tmp_path / "status.json").write_text(json.dumps({**status, "state": "stopped"}))
    with pytest.raises(UserError, match="kept no weights" if damage == "weights" else "is stopped, not done"):
        find(str(tmp_path))


# --- the command ---


def command(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("groupbench")), "evaluate", *words]


Said = Callable[[Sequence[str]], tuple[int, str]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Exit code and output of the command, in this process."""

    def run(words: Sequence[str]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["groupbench", "evaluate", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((output.out + output.err).split())

    return run


def test_the_command_from_end_to_end(tmp_path: Path, said: Said) -> None:
    words = ["tiny", "--tasks", "arithmetic,arithmetic@greedy", "--set", "arithmetic.level=1", "--out", str(tmp_path)]
    code, text = said([*words, "--max-tokens", "4"])
    assert code == 0 and "12/12 items" in text and f"wrote {tmp_path / 'evaluation.md'}" in text
    page = (tmp_path / "evaluation.md").read_text()
    assert "| arithmetic@greedy |" in page and "format gap" in page


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["tiny"], "--tasks: name at least one"),
        (["tiny", "--tasks", "arithmetic", "--set", "gsm8k.folder=x"], "--set gsm8k.…: no such task is asked"),
        (["tiny", "--tasks", "arithmetic", "--set", "level=1"], "expected TASK.PARAMETER=VALUE"),
        (["tiny", "--tasks", "arithmetic", "--engine", "sglang"], "allowed: transformers, vllm"),
        (["tiny", "--tasks", "arithmetic", "--precision", "int4"], "allowed: auto, float32, bfloat16"),
        (["./nowhere", "--tasks", "arithmetic"], "is no folder here"),
        (["here/nowhere", "--tasks", "arithmetic"], "here/nowhere: no such folder, though here/ is one here"),
        (["tiny", "--tasks", "arithmetic", "--out", "file"], "file: no folder that can be written to (File exists)"),
        (["tiny", "--tasks", "gsm8k", "--set", "gsm8k.folder=nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_paragraph_and_exit_code_2(
    words: list[str], text: str, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("file").write_text("")
    code, found = said(words)
    assert code == 2 and text in found and "Traceback" not in found


@pytest.mark.slow(seconds=90)
@pytest.mark.timeout(900)
def test_a_real_model_killed_twice_ends_with_the_same_json(
    tmp_path: Path, data_folder: Path, quick_precision: str
) -> None:
    """The issue's own example: SmolLM2 on 64 questions of GSM8K, in the quicker precision to fit into a test."""
    words = [
        "smollm2-135m",
        "--tasks",
        "gsm8k@greedy",
        "--limit",
        "64",
        "--max-tokens",
        "12",
        "--precision",
        quick_precision,
    ]
    words += ["--set", f"gsm8k.folder={data_folder}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for kill in (1, 2):
        process = subprocess.Popen(command(*words, "--out", str(tmp_path / "cut")), env=environment)
        items = tmp_path / "cut" / "gsm8k@greedy" / "items.jsonl"
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            if kill == 1 and (tmp_path / "cut" / "gsm8k@greedy" / "protocol.json").exists():
                time.sleep(3)  # while the first chunk is decoded
                break
            if kill == 2 and items.exists() and items.stat().st_size:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "cut" / "evaluation.json").exists()
    assert items.read_bytes().count(b"\n") == 32  # the second kill came after one chunk of two
    for name in ("cut", "whole"):
        subprocess.run(command(*words, "--out", str(tmp_path / name)), env=environment, check=True)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_vllm_answers_as_transformers_does(tmp_path: Path) -> None:
    """Greedy, in float32: the same texts wherever rounding does not decide, and resumable like any other."""
    words = ["smollm2-135m", "--tasks", "arithmetic@greedy", "--set", "arithmetic.level=1"]
    words += ["--set", "arithmetic.form=chat", "--max-tokens", "16"]
    for engine in ("vllm", "transformers"):
        subprocess.run(command(*words, "--engine", engine, "--out", str(tmp_path / engine)), check=True)
    texts = [
        [json.loads(line)["responses"] for line in (tmp_path / engine / "arithmetic@greedy/items.jsonl").open()]
        for engine in ("vllm", "transformers")
    ]
    assert len(texts[0]) == len(texts[1]) == 12
    assert sum(one == other for one, other in zip(*texts, strict=True)) >= 11
