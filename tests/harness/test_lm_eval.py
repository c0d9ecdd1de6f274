"""lm-eval's tasks on tiny models from local files, and its graders on generations whose verdicts are known."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from harness import lm_eval, models
from harness.errors import UserError
from harness.lm_eval import crosscheck, crosscheck_markdown, library, names

GRADES = {"answers": ["18"], "correct": [1], "strict": [1]}


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    """No test reaches for the Hub; libraries that read the variables on import are told as well."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a test that must be offline is not"))


@pytest.fixture(autouse=True, scope="session")
def _own_data_cache(tmp_path_factory):
    """What `datasets` prepares goes to the test's own folder."""
    import datasets.config

    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets")
    yield
    datasets.config.HF_DATASETS_CACHE = before


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """A folder with a random Llama that reads bytes: any text, 512 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: i for i, letter in enumerate([*letters, "<end>"])}, []))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>")
    config = LlamaConfig(
        vocab_size=257, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=2048, tie_word_embeddings=True, eos_token_id=256, bos_token_id=None, pad_token_id=256,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def own_tasks(tmp_path):
    """Writes tasks into a folder for --include-path, each around a data file of its own."""
    folder = tmp_path / "tasks"
    folder.mkdir()

    def write(name, rows, **config):
        data = tmp_path / f"{name}.json"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        whole = {
            "task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test", "metadata": {"version": 2.0}, **config,
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(json.dumps(whole))
        return folder

    return write


CHOICES = [{"q": f"{i} plus {i} is", "options": [f" {2 * i}", " many"], "gold": i % 2} for i in range(10)]
CHOICE = {"output_type": "multiple_choice", "doc_to_text": "q", "doc_to_target": "gold", "doc_to_choice": "options"}
SUMS = [{"q": f"{i}+{i}=", "a": f"{2 * i}"} for i in range(6)]
SUM = {
    "output_type": "generate_until", "doc_to_text": "q", "doc_to_target": "a",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4, "do_sample": False},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}  # fmt: skip


def evaluate(asked, source, say=lambda _: None, **settings):
    prepared = lm_eval.prepare(lm_eval.Settings(tuple(asked), **settings), say)
    return lm_eval.run(prepared, models.find(str(source)), say)


def complaint(*asked, **settings):
    """What `prepare` refuses, which it does without a model."""
    with pytest.raises(UserError) as caught:
        lm_eval.prepare(lm_eval.Settings(asked, **settings), lambda _: None)
    return str(caught.value)


@pytest.mark.slow
def test_two_runs_give_equal_records_and_verdicts_that_add_up(own_tasks, small_model, tmp_path):
    own_tasks("choices", CHOICES, **CHOICE)
    folder = own_tasks("sums", SUMS, **SUM)
    first = evaluate(["sums", "choices"], small_model, include_path=folder, limit=4)
    again = evaluate(["sums", "choices"], small_model, include_path=folder, limit=4)
    assert json.dumps(first.record, allow_nan=False) == json.dumps(again.record, allow_nan=False)
    assert first.samples == again.samples and set(first.seconds) == {"load", "evaluate"}
    task = first.record["tasks"]["choices"]
    assert list(first.record["tasks"]) == ["choices", "sums"]
    assert task["protocol"] == "lm-eval 0.4.13: choices v2, own YAML, 0-shot, first 4 documents"
    assert (task["samples"], task["data"]["size"], task["data"]["files"]) == (4, 10, {"test": ["choices.json"]})
    assert first.record["tasks"]["sums"]["generation"]["max_gen_toks"] == 4
    accuracy = next(row for row in task["results"] if row["metric"] == "acc")
    verdicts = [sample["metrics"]["acc"] for sample in first.samples if sample["task"] == "choices"]
    assert accuracy["value"] == sum(verdicts) / 4 and accuracy["filter"] == "none" and accuracy["stderr"] is not None
    first.write_samples(tmp_path / "samples.jsonl")
    lines = (tmp_path / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(first.samples) and len(lines) == 8


def test_the_choice_is_the_one_that_the_model_finds_likelier(own_tasks, small_model):
    """Recomputed from the model's own logits."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = evaluate(["choices"], small_model, include_path=own_tasks("choices", CHOICES, **CHOICE), batch_size=3)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(small_model), AutoTokenizer.from_pretrained(small_model)

    def likelihood(context, option):
        ids = torch.tensor([tokenizer(context + " " + option)["input_ids"]])
        start = len(tokenizer(context)["input_ids"])
        logp = model(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])
        return float(logp[start - 1 :].sum())

    for row, sample in zip(CHOICES, found.samples, strict=True):
        with torch.no_grad():
            mine = [likelihood(row["q"], option) for option in row["options"]]
        assert [resp[0][0] for resp in sample["resps"]] == pytest.approx(mine, rel=1e-4)
        assert sample["metrics"]["acc"] == float(mine.index(max(mine)) == row["gold"])


def test_arc_from_local_files_takes_the_installed_tasks_place(own_tasks, small_model):
    rows = [
        {"id": str(i), "question": f"Question {i}?", "choices": {"text": ["yes", "no"], "label": ["A", "B"]},
         "answerKey": "AB"[i % 2]} for i in range(4)
    ]  # fmt: skip
    arc = {"include": str(library.tasks_folder() / "arc" / "arc_easy.yaml"), "dataset_name": None}
    arc |= {"validation_split": None, "training_split": None}
    folder = own_tasks("arc_easy", rows, **{**arc, "metadata": {"version": 1.0}})
    found = evaluate(["arc_easy"], small_model, include_path=folder)
    assert found.record["tasks"]["arc_easy"]["protocol"] == "lm-eval 0.4.13: arc_easy v1, own YAML, 0-shot"
    assert {row["metric"] for row in found.record["tasks"]["arc_easy"]["results"]} == {"acc", "acc_norm"}


def test_a_group_has_its_members_and_its_aggregate(own_tasks, small_model):
    own_tasks("one", CHOICES, **CHOICE)
    folder = own_tasks("two", CHOICES, **CHOICE)
    group = {"group": "both", "task": ["one", "two"], "aggregate_metric_list": [{"metric": "acc"}]}
    (folder / "both.yaml").write_text(json.dumps(group))
    found = evaluate(["both"], small_model, include_path=folder, limit=2).record
    assert found["groups"]["both"]["members"] == ["one", "two"] == list(found["tasks"])
    assert [row["metric"] for row in found["groups"]["both"]["results"]] == ["acc"]
    assert "ask for one of the two" in complaint("both", "one", include_path=folder)


def test_an_unknown_name_gets_suggestions_and_the_way_to_add_one():
    text = complaint("arc_esy")
    assert "lm-eval:arc_esy" in text and "'arc_easy'" in text and "--include-path" in text and "retention" in text


def test_a_folder_that_is_none_or_holds_what_lm_eval_would_skip_silently(tmp_path):
    assert "no such folder" in complaint("x", include_path=tmp_path / "none")
    (tmp_path / "broken.yaml").write_text("dataset_path: parquet\n")
    assert "broken.yaml: no lm-eval task" in complaint("arc_easy", include_path=tmp_path)


def test_without_the_package_our_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    assert "groupbench[lm-eval]" in complaint("arc_easy")
    with pytest.raises(UserError, match=r"groupbench\[lm-eval\]"):
        crosscheck("gsm8k", [], {})


@pytest.mark.parametrize("name", ["mbpp", "mbpp_plus_instruct", "humaneval", "humaneval_64_instruct"])
def test_code_is_not_executed_without_permission(name):
    assert f"lm-eval:{name}" in complaint(name) and "--allow-code-execution" in complaint(name)


def test_permission_holds_for_the_call_only(own_tasks, small_model, tmp_path, monkeypatch):
    """The task's grader sees the variable that lm-eval's code metrics ask for; afterwards it is gone."""
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    grader = 'import os\ndef grade(doc, results):\n    return {"acc": float(os.environ["HF_ALLOW_CODE_EVAL"])}\n'
    folder = own_tasks("runs_code", SUMS, **SUM, unsafe_code=True)
    (folder / "grader.py").write_text(grader)
    config = json.loads((folder / "runs_code.yaml").read_text())
    config["metric_list"] = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
    lines = [f"{key}: {json.dumps(value)}" for key, value in config.items()]
    (folder / "runs_code.yaml").write_text("\n".join([*lines, "process_results: !function grader.grade"]))
    assert "executes code" in complaint("runs_code", include_path=folder)
    found = evaluate(["runs_code"], small_model, include_path=folder, allow_code=True, limit=2)
    assert found.record["tasks"]["runs_code"]["results"][0]["value"] == 1.0
    assert found.record["settings"]["allow_code"] and "HF_ALLOW_CODE_EVAL" not in os.environ


def test_missing_packages_are_named_with_the_extra_that_has_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "langdetect", None)
    text = complaint("ifeval")
    assert "langdetect" in text and "lm-eval[ifeval]==0.4.13" in text


def test_data_out_of_reach_are_one_message_with_the_way_out():
    text = complaint("arc_easy")
    assert "allenai/ai2_arc (ARC-Easy)" in text and "\n  dataset_path: parquet\n" in text
    assert f"include: {library.tasks_folder() / 'arc' / 'arc_easy.yaml'}" in text and len(text.splitlines()) < 8
    assert "docs/lm-eval.md" in text


def test_a_files_redirect_to_nowhere_names_the_file(own_tasks, tmp_path):
    folder = own_tasks("choices", CHOICES, **CHOICE)
    (tmp_path / "choices.json").unlink()
    assert "choices.json" in complaint("choices", include_path=folder)


def test_the_retention_suite_exists_in_the_installed_index():
    index = names.load_index(None).task_index
    assert all(member in index for member in names.RETENTION.values())
    found, notes = lm_eval.check_names(lm_eval.Settings(("retention",)))
    assert found == ("truthfulqa_mc2", "bbq", "arc_challenge", "winogender_all", "leaderboard_gpqa", "leaderboard_musr")
    assert "MBPP" in notes[0] and "--allow-code-execution" in notes[0]
    found, notes = lm_eval.check_names(lm_eval.Settings(("retention", "bbq"), allow_code=True))
    assert found[-1] == "mbpp" and len(found) == 7 and not notes
    groups = {task for name in names.RETENTION.values() for task, _ in names.leaves(index, name)}
    assert {"leaderboard_gpqa_diamond", "leaderboard_musr_team_allocation"} <= groups


def test_what_the_model_lacks_is_said_before_its_weights_are_read(own_tasks, small_model):
    folder = own_tasks("choices", CHOICES, **CHOICE)
    with pytest.raises(UserError, match="no chat template"):
        evaluate(["choices"], small_model, include_path=folder, chat=True)
    with pytest.raises(UserError, match="`tiny` has no folder"):
        evaluate(["choices"], "tiny", include_path=folder)
    for wrong in ({"limit": 0}, {"few_shots": -1}, {"batch_size": 0}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            lm_eval.Settings(("choices",), **wrong)


def test_a_task_that_keeps_its_number_of_examples_says_so(own_tasks, small_model):
    said = []
    folder = own_tasks("choices", CHOICES, **CHOICE, num_fewshot=0)
    found = evaluate(["choices"], small_model, said.append, include_path=folder, few_shots=3, limit=1)
    assert found.record["tasks"]["choices"]["few_shots"] == 0
    assert any("asked with 0 examples" in line for line in said)


def test_the_output_is_ours_alone(own_tasks, small_model, capfd):
    said = []
    evaluate(["choices"], small_model, said.append, include_path=own_tasks("choices", CHOICES, **CHOICE), limit=2)
    assert capfd.readouterr() == ("", "") and said == ["lm-eval 0.4.13: choices"]


def test_nan_and_functions_do_not_reach_the_record():
    import numpy as np

    from harness.lm_eval.records import plain

    values = {"a": np.float64("nan"), "b": (np.int64(3), np.array([1.0, np.inf])), "c": {1}, "d": print}
    assert plain(values) == {"a": None, "b": [3, [1.0, None]], "c": [1], "d": str(print)}


def block(name, *responses, ours=1, answer="18"):
    n = len(responses)
    return {"id": name, "first": 0, "responses": list(responses), "answers": [answer] * n, "correct": [ours] * n,
            "strict": [ours] * n}  # fmt: skip


def test_lm_evals_gsm8k_filters_on_answers_of_known_reading():
    responses = [
        "So\n#### 1,018",  # both filters
        "#### $1018",  # strict wants a digit first
        "\\boxed{1018}. This took 3 steps.",  # flexible takes the last number
        "It is $1018.00 a day",  # as text, not as a number
        "#### 1018. Question: and 5?",  # strict takes the first mark
    ]
    record = crosscheck("gsm8k", [block("a", *responses)], {"a": "1018"})
    strict, flexible = record["scorers"]
    assert strict["scorer"] == "gsm8k v3 exact_match strict-match"
    assert strict["against"]["correct"] == {"both": 2, "neither": 0, "only_ours": 3, "only_theirs": 0}
    assert [each["sample"] for each in strict["shown"]] == [1, 2, 3]
    assert [each["sample"] for each in flexible["shown"]] == [2, 3, 4]
    assert [each["their_extraction"] for each in flexible["shown"]] == ["3", "$1018.00", "5"]


def test_disagreements_are_all_counted_and_some_shown():
    items = [block(f"i{i}", "no answer", ours=i % 2) for i in range(10)]
    record = crosscheck("gsm8k", items, {f"i{i}": "7" for i in range(10)}, show=2)
    assert [(s["disagreements"], len(s["shown"]), s["correct"]) for s in record["scorers"]] == [(5, 2, 0)] * 2
    text = crosscheck_markdown(record)
    assert "5 disagreements with `correct`, 2 shown" in text and "| i1 | 0 | 7 | 18 | 1 | [invalid] | 0 |" in text
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_later_block_keeps_its_samples_numbers():
    later = {**block("a", "x"), "first": 4}
    assert crosscheck("gsm8k", [later], {"a": "18"})["scorers"][0]["shown"][0]["sample"] == 4


def test_crosscheck_refuses_what_it_cannot_grade():
    with pytest.raises(UserError, match="no grader for task 'arithmetic'"):
        crosscheck("arithmetic", [block("a", "x")], {"a": "1"})
    with pytest.raises(UserError, match="item a has no gold answer"):
        crosscheck("gsm8k", [block("a", "x")], {})
    with pytest.raises(UserError, match="without the texts"):
        crosscheck("gsm8k", [{**block("a", "x"), "responses": []}], {"a": "1"})
    with pytest.raises(UserError, match="no graded response"):
        crosscheck("gsm8k", [], {})


def test_maths_graders_as_far_as_they_can_be_imported():
    items = [block("a", r"$\frac12$", r"\boxed{\frac{1}{2}}")]
    record = crosscheck("math500", items, {"a": r"\frac{1}{2}"})
    found = {scorer["scorer"]: scorer["against"]["correct"]["both"] for scorer in record["scorers"]}
    assert found["hendrycks_math500 v1 exact_match"] == 1  # the text between dollars; no box is looked for
    assert "minerva_math500" in record["left_out"] or found["minerva_math500 v3.1 math_verify"] == 2


def published(data_folder, column):
    """Published solutions of OpenAI's models to GSM8K's test questions, in the data set's own form, as our items."""
    import pandas as pd

    from tasks.gsm8k import GSM8K

    task = GSM8K(folder=str(data_folder / "math"))
    rows = pd.read_parquet(data_folder / "teacher" / "gsm8k_test_openai_model_solutions.parquet")
    by_question = {example.prompt[0]["content"].rpartition("\n")[0]: example for example in task.heldout}
    for question, solution in list(zip(rows["question"], rows[column], strict=True))[:250]:
        published = json.loads(solution)
        response = published["solution"].replace("\nA: ", "\n#### ")
        example = by_question[question.strip()]
        grade = task.grade(example, response)
        yield example, published["is_correct"], {
            "id": example.id, "first": 0, "responses": [response], "answers": [grade.extracted],
            "correct": [int(grade.counted)], "strict": [int(grade.correct)],
        }  # fmt: skip


def test_published_generations_are_graded_alike_by_all_three(data_folder):
    graded = list(published(data_folder, "175b_verification"))
    record = crosscheck("gsm8k", [item for *_, item in graded], {example.id: example.answer for example, *_ in graded})
    right = sum(verdict for _, verdict, _ in graded)
    assert record["ours"] == {"correct": right, "strict": right} and record["samples"] == 250
    for scorer in record["scorers"]:
        assert scorer["disagreements"] == 0 and scorer["correct"] == right


@pytest.mark.slow
def test_gsm8k_from_local_parquet_files_with_a_real_model(data_folder, tmp_path):
    files = {split: str(data_folder / "math" / f"gsm8k_main_{split}.parquet") for split in ("train", "test")}
    redirect = {
        "include": str(library.tasks_folder() / "gsm8k" / "gsm8k.yaml"), "task": "gsm8k_local",
        "dataset_path": "parquet", "dataset_name": None, "dataset_kwargs": {"data_files": files},
    }  # fmt: skip
    (tmp_path / "gsm8k_local.yaml").write_text(json.dumps(redirect))
    found = evaluate(["gsm8k_local"], "smollm2-135m", include_path=tmp_path, limit=8, few_shots=0, chat=True)
    task = found.record["tasks"]["gsm8k_local"]
    assert task["protocol"] == "lm-eval 0.4.13: gsm8k_local v3, own YAML, 0-shot, chat template, first 8 documents"
    assert task["data"]["size"] == 1319 and [row["filter"] for row in task["results"]] == task["filters"][::-1]
    answered = [sample for sample in found.samples if sample["filter"] == "flexible-extract"]
    assert sum(sample["filtered_resps"] != ["[invalid]"] for sample in answered) >= 6
    # The same texts through --xcheck get the verdicts that the run gave them.
    golds = {str(sample["doc_id"]): sample["target"].rpartition("#### ")[2] for sample in answered}
    items = [block(str(s["doc_id"]), s["resps"][0][0], ours=int(s["metrics"]["exact_match"])) for s in answered]
    flexible = crosscheck("gsm8k", items, golds)["scorers"][1]
    assert flexible["disagreements"] == 0


def test_no_machine_folder_in_a_record(own_tasks, small_model, tmp_path):
    folder = own_tasks("choices", CHOICES, **CHOICE)
    record = evaluate(["choices"], small_model, include_path=folder, limit=1).record
    record["model"] = ""  # as the user named it
    assert str(tmp_path) not in json.dumps(record) and str(Path(sys.prefix)) not in json.dumps(record)
