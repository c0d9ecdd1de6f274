"""What stands beside our own numbers: lm-eval's tasks and graders, and the questions that were trained on."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness import lm_eval
from harness.errors import UserError
from harness.evaluation import outside
from harness.evaluation.asked import Changes, codec_of, resolve
from harness.evaluation.checkpoint import Examiner
from harness.evaluation.command import Beside
from harness.evaluation.subject import Subject, find
from harness.models import Source
from harness.settings import Rollout
from leaderboard import checkpoints, records
from leaderboard.evaluations import EvaluationRecord
from tasks.base import Example


def examiner(subject: Subject) -> Examiner:
    return Examiner(subject, Rollout(), "float32", "cpu", 4096, lambda _: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """GSM8K with three questions to train on and two to answer, one of which stands on both sides."""
    place = tmp_path / "data"
    place.mkdir()
    same, other = "How many legs have two cats?", "How many legs have three cats?"
    for split, questions in (("train", ["One?", "Two?", same]), ("test", [f"  {same.upper()}", other])):
        rows = [{"question": q, "answer": f"4 + 4.\n#### {8 + n}"} for n, q in enumerate(questions)]
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def test_questions_that_the_cell_was_trained_on_are_counted(folder: Path, small: Any, tmp_path: Path) -> None:
    parameters = {"folder": str(folder)}
    tiny = find("tiny")
    cell: Any = {"spec": {"task": {"name": "gsm8k", "parameters": parameters}}}
    trained = Subject("a cell", tiny.source, cell, tmp_path)
    asked = _gsm8k(parameters)
    assert examiner(trained)._shared(asked) == 1
    assert examiner(tiny)._shared(asked) is None
    cell["spec"]["task"]["parameters"] = {"folder": str(tmp_path / "gone")}
    assert examiner(Subject("a cell", tiny.source, cell, tmp_path))._shared(asked) is None


def _gsm8k(parameters: dict[str, Any]) -> Any:
    """GSM8K asked of a model that reads any text."""
    codec, _ = codec_of(find("tiny").source)
    codec.prompt = lambda example: tuple(range(3, 9))  # type: ignore[method-assign]
    return resolve("gsm8k", parameters, Changes(), codec, 4096)[0]


def test_the_page_warns_of_them() -> None:
    rates = dict.fromkeys(
        ("accuracy", "accuracy_low", "accuracy_high", "strict", "format_gap", "truncated", "no_answer", "timed_out",
         "response_tokens"), 0.5)  # fmt: skip
    protocol: Any = {"protocol": "avg@4", "samples": 4, "temperature": 0.6, "top_p": 0.95, "max_tokens": 64}
    checkpoint: Any = {"name": "mine", "fingerprint": "f", "precision": "float32", "engine": "transformers"}
    result: Any = {"protocol": protocol, "items": 2, "metrics": rates, "overlap": 1}
    record = EvaluationRecord(schema=1, checkpoint=checkpoint, tasks={"math500": result})
    assert "**math500: 1 of its questions were training prompts of this run.**" in checkpoints.markdown(record)
    result["overlap"] = 0
    assert "training prompts" not in checkpoints.markdown(record)


# --- lm-eval's graders on our responses ---


def test_the_same_responses_by_lm_evals_graders(folder: Path, tmp_path: Path) -> None:
    asked = _gsm8k({"folder": str(folder)})
    place = tmp_path / "gsm8k"
    place.mkdir()
    texts = {"8": "So it is \\boxed{8}.", "9": "The answer is 9."}
    blocks = [
        {
            "id": example.id, "content": "", "first": 0, "responses": [texts[example.answer]],
            "answers": [example.answer], "correct": [1], "strict": [int("boxed" in texts[example.answer])],
            "tokens": [3], "truncated": [0], "timed_out": [0],
        }
        for example in asked.examples
    ]  # fmt: skip
    records.append(place / "items.jsonl", [*blocks, {**blocks[0], "id": "of another subset"}])
    assert outside.checkable([asked]) == [asked]
    outside.crosscheck([asked], tmp_path)
    found = json.loads((place / "xcheck.json").read_text())
    scorers = {scorer["scorer"]: scorer for scorer in found["scorers"]}
    assert found["samples"] == 2 and found["ours"] == {"correct": 2, "strict": 1}
    flexible = next(scorer for name, scorer in scorers.items() if "flexible" in name)
    strict = next(scorer for name, scorer in scorers.items() if "strict" in name)
    assert (flexible["correct"], strict["correct"]) == (2, 0)
    assert "lm-eval" in (place / "xcheck.md").read_text()


def test_a_task_that_lm_eval_does_not_grade_is_refused_first() -> None:
    codec, context = codec_of(find("tiny").source)
    asked, _ = resolve("arithmetic", {"level": 1}, Changes(), codec, context)
    with pytest.raises(UserError, match="asked is arithmetic; lm-eval has graders for gsm8k"):
        outside.checkable([asked])


# --- lm-eval's own tasks ---


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """lm-eval's checks and runs replaced by what they return; the names that were run."""
    ran: list[str] = []

    def run(prepared: lm_eval.Prepared, source: Source, say: Any) -> Any:
        (name,) = prepared.names
        if name == "breaks":
            raise UserError("it breaks")
        ran.append(name)
        results = [{"metric": "acc", "filter": "none", "value": 0.25, "stderr": 0.125}]
        task = {"protocol": f"lm-eval 0.4.13: {name}", "results": results, "samples": 8}
        settings = lm_eval.recorded_settings(prepared.settings)
        return lm_eval.Outcome({"settings": settings, "tasks": {name: task}}, (), {})  # type: ignore[arg-type]

    monkeypatch.setattr(lm_eval, "check_names", lambda settings: (settings.names, []))
    monkeypatch.setattr(
        lm_eval, "prepare", lambda settings, say: lm_eval.Prepared(settings, "0.4.13", settings.names, None, ())
    )
    monkeypatch.setattr(lm_eval, "run", run)
    return ran


def run(names: list[str], folder: Path, **settings: Any) -> None:
    one = examiner(find("tiny"))
    folder.mkdir(exist_ok=True)
    outside.Outside.prepare(Beside(**settings).settings(names, one, 8), folder, one).run(folder, one)


def test_each_task_is_kept_as_soon_as_it_is_done(tmp_path: Path, fake: list[str]) -> None:
    with pytest.raises(UserError, match="it breaks"):
        run(["lm-eval:arc_easy", "lm-eval:breaks", "lm-eval:bbq"], tmp_path)
    assert fake == ["arc_easy"]
    run(["lm-eval:arc_easy", "lm-eval:bbq"], tmp_path)
    assert fake == ["arc_easy", "bbq"], "what was done is not done again"
    record = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(record["lm_eval"]) == ["arc_easy", "bbq"] and record["tasks"] == {}
    assert "| lm-eval 0.4.13: bbq | acc | 0.25 | 0.125 | 8 |" in (tmp_path / "evaluation.md").read_text()
    run(["lm-eval:bbq"], tmp_path, few_shots=3)
    assert fake[-1] == "bbq", "another setting is another question"


def test_nothing_is_asked_of_lm_eval_unless_named(tmp_path: Path, fake: list[str]) -> None:
    run([], tmp_path)
    assert not fake and not (tmp_path / "evaluation.json").exists()


# --- a gate that is given a checkpoint ---


def test_a_gate_evaluates_a_checkpoint_and_looks_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness import gate
    from leaderboard import evaluations

    monkeypatch.chdir(tmp_path)
    codec, context = codec_of(find("tiny").source)
    asked, _ = resolve("arithmetic", {"level": 1}, Changes(max_tokens=4), codec, context)
    examiner(find("tiny")).examine([asked], tmp_path / "main")
    evaluations.write_baseline(Path("base.json.gz"), evaluations.read(tmp_path / "main"))
    limits = "limits: {truncated: null, unanswered: null, timed_out: null, length: null}\n"
    metric = "metrics:\n  - {task: arithmetic, metric: accuracy, margin: 0.03, k: 2, max_k: 4}\n"
    Path("gate.yaml").write_text(f"baseline: base.json.gz\n{metric}{limits}")
    code = gate.run("tiny", None, Path("gate.yaml"), gate.Outputs(), gate.Update())
    text = capsys.readouterr().out
    assert code == 4 and "arithmetic × 2" in text and "arithmetic × 4" in text, text
    (folder,) = (tmp_path / "results" / "gate").iterdir()
    items = evaluations.read(folder).tasks["arithmetic"].items
    baseline = evaluations.read(Path("base.json.gz")).tasks["arithmetic"].items
    assert [item.id for item in items] == [item.id for item in baseline]
    assert {len(item.correct) for item in items} == {4} and items[0].content == baseline[0].content


def test_a_baseline_whose_examples_are_gone_is_not_comparable(tmp_path: Path) -> None:
    from harness.evaluation.again import examine_again
    from leaderboard.evaluations import Evaluation, TaskEvaluation

    codec, context = codec_of(find("tiny").source)
    asked, _ = resolve("arithmetic", {"level": 1}, Changes(), codec, context)
    one = examiner(find("tiny"))

    def extend(**changes: Any) -> None:
        protocol: Any = {**asked.record, **changes}
        examine_again("tiny", Evaluation(one.record, {"arithmetic": TaskEvaluation(protocol, [])}))({"arithmetic": 1})

    with pytest.raises(UserError, match="the first is 99"):
        extend(examples=[Example("99+99", "", "").id])
    with pytest.raises(UserError, match="other prompts or answers than those of the baseline"):
        extend(data="another")
    with pytest.raises(UserError, match="a response of 4096; the model reads 64"):
        extend(max_tokens=4096)
    assert not (tmp_path / "results").exists()
