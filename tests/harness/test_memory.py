"""The estimate before a run, against what is really there: exact for weights, optimizer and cache."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig

from harness import benchmark, memory, models, recipe, running
from harness.memory import FLOAT, HALF, Network, Plan
from harness.policy import Policy
from harness.residents import tensors_of
from harness.rollout.transformers import TransformersEngine
from harness.trainer import Trainer
from leaderboard import records

TURNS = {"update": {"policy", "gradients", "Adam"}, "scoring": {"policy", "frozen start"}, "grading": {"reward model"}}
BASE = {
    "task": {"name": "arithmetic", "parameters": {"level": 1}}, "model": "tiny", "algorithms": ["grpo@no-kl", "grpo"],
    "budget": {"steps": 1}, "training": {"prompts_per_step": 4, "responses_per_prompt": 4, "updates_per_rollout": 2},
    "sampling": {"max_tokens": 4}, "evaluation": {"examples": 5, "probe": 3, "samples": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def reward_folder(tmp_path_factory):
    """A random reward model of tiny's family, with a chat template."""
    folder = tmp_path_factory.mktemp("reward")
    config = models.config(models.find("tiny"))
    config.num_labels, config.num_hidden_layers = 1, 3
    network = AutoModelForSequenceClassification.from_config(config)
    tokenizer = models.load_tokenizer(models.find("tiny"))
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    models.save_with(network, tokenizer, folder / "model")
    return folder / "model"


def cells(**changes):
    return benchmark.plan(recipe.parse({"name": "m", **BASE, **changes}, "recipe"), "cpu").cells


def rated(folder, **changes):
    return cells(reward={"name": "reward_model", "parameters": {"model": str(folder)}}, **changes)


def estimate(cell, device="cpu"):
    return memory.estimate(cell, models.load_codec(cell.start), device)


def nbytes(tensors):
    return sum(tensor.nbytes for tensor in tensors)


def test_residents_are_exactly_what_a_run_holds(reward_folder):
    _, cell = rated(reward_folder)
    parts = estimate(cell).resident
    codec = models.load_codec(cell.start)
    policy = Policy(models.load_model(cell.start), torch.device("cpu"), "float32", 1.0)
    trainer = Trainer(
        cell.algorithm, cell.task, policy, TransformersEngine(policy, codec.end_ids, 4096), codec,
        training=cell.training, sampling=cell.sampling, execution=cell.execution, seed=0,
    )  # fmt: skip
    trainer.step()
    moments = [s[name] for s in trainer.optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    found = {
        "policy": nbytes(tensors_of(policy.model)),
        "gradients": nbytes(p.grad for p in policy.parameters()),
        "Adam": nbytes(moments),
        "frozen start": nbytes(tensors_of(trainer.start.model)),
        "reward model": nbytes(tensors_of(cell.task.reward.scorer.loaded)),
    }
    assert parts == found


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [False, True])
def test_a_network_is_counted_without_weights(family, tied, build_model):
    model = build_model(family, tie_word_embeddings=tied)
    network = Network.of(model.config, AutoModelForCausalLM.from_config)
    assert network.weights(FLOAT) == nbytes(tensors_of(model.float()))
    ids = torch.zeros(3, 11, dtype=torch.int64)
    for dtype, itemsize in ((torch.float32, FLOAT), (torch.bfloat16, HALF)):
        cache = model.to(dtype)(ids, use_cache=True).past_key_values
        assert network.cache(33, itemsize) == nbytes(t for layer in cache.layers for t in (layer.keys, layer.values))


def test_a_frozen_start_is_there_for_a_reference_or_a_reward(reward_folder):
    free, anchored = (estimate(cell).resident for cell in cells())
    assert "frozen start" not in free and anchored["frozen start"] == anchored["policy"]
    assert all("frozen start" in estimate(cell).resident for cell in rated(reward_folder))
    drifting = estimate(cells(evaluation={**BASE["evaluation"], "drift": True})[0])
    assert drifting.resident["frozen start"] == anchored["frozen start"]
    assert drifting.phases["scoring"]["activations"] >= estimate(cells()[0]).phases["scoring"]["activations"]


def test_what_stands_in_which_phase(reward_folder):
    cell = rated(reward_folder, model={"name": "tiny", "precision": "bfloat16"})[1]
    together = estimate(cell)
    everything = {"policy", "gradients", "Adam", "frozen start", "reward model"}
    held = {phase: set(parts) & (everything | {"engine"}) for phase, parts in together.phases.items()}
    assert held == {
        "sampling": everything | {"engine"}, "grading": everything | {"engine"}, "scoring": everything,
        "update": everything,
    }  # fmt: skip
    apart = replace(together, device="cuda").decided("on")
    held = {phase: set(parts) & (everything | {"engine"}) for phase, parts in apart.phases.items()}
    assert held == {**TURNS, "sampling": {"policy", "engine"}}
    for phase, added in together.added.items():
        for part, size in added.items():
            assert apart.phases[phase].get(part, 0) == together.phases[phase].get(part, 0) == size


def test_without_a_reward_model_grading_is_no_turn():
    plan = replace(estimate(cells()[1]), device="cuda").decided("on")
    assert "grading" not in plan.phases


def test_what_an_update_takes_follows_the_settings():
    (small, _), (large, _) = cells(), cells(training={**BASE["training"], "prompts_per_step": 8})
    activations = [estimate(cell).phases["update"]["activations"] for cell in (small, large)]
    assert activations[1] == 2 * activations[0], "bounded by what a step samples"
    cut = cells(execution={"micro_batch_tokens": 1})[0]
    one = estimate(cut).phases["update"]["activations"]
    assert one == activations[0] / 8, "never less than one response of the eight"


def test_a_prompt_is_prefilled_once_and_whole_requests_are_decoded():
    model = Network.of(models.config(models.find("tiny")), AutoModelForCausalLM.from_config)
    call = memory._Asked(requests=6, responses=4, prompt=10, response=5)
    for decode_tokens, chunk in ((1, 1), (60, 1), (179, 2), (10**6, 6)):
        takes = call.takes(model, decode_tokens, FLOAT)
        assert takes["cache"] == model.cache(chunk * 4 * 15, FLOAT)
        assert takes["activations"] == model.layer(chunk * 10, FLOAT)
        assert takes["logits"] == chunk * 4 * memory.DRAWN_BYTES * model.vocabulary


def plan(update, room, device="cuda"):
    resident = {"policy": 10, "gradients": 10, "Adam": 20}
    return Plan(device, room, resident, {"sampling": {"cache": 5}, "update": {"activations": update}})


def test_auto_takes_turns_where_not_all_fits():
    assert plan(50, 100).peak == 90 and plan(50, 100).peak_phase == "update"
    assert not plan(50, 100).decided("auto").turns
    assert plan(51, 100).decided("auto").turns
    assert not plan(51, 100).decided("off").turns
    assert plan(1, 100).decided("on").turns
    for setting in ("auto", "on", "off"):
        assert not plan(1000, 100, "cpu").decided(setting).turns, "a CPU has nowhere to move anything to"


def test_words_and_record():
    lines = Plan("cpu", 2**30, {"policy": 2**29}, {"sampling": {"cache": 2**20}, "update": {"logits": 2**29}}).words(
        "x"
    )
    assert lines == [
        "memory of x, at most: update 1.0 GiB (policy 512 MiB, logits 512 MiB)",
        "memory of x, at most: sampling 513 MiB (policy 512 MiB, cache 1.0 MiB)",
    ]
    assert plan(60, 99).words("x", jobs=2)[-1].startswith("note: 2 such cells at once may need 0.0 MiB")
    assert plan(60, 100).words("x")[-1].startswith("memory of x")
    record = plan(60, 100).decided("on").record()
    assert json.loads(json.dumps(record)) == record
    assert record["offload"] is True and record["peak"] == 100 and record["phases"]["sampling"] == {
        "policy": 10, "cache": 5,
    }  # fmt: skip


def test_a_model_that_cannot_be_counted_is_no_error(monkeypatch):
    (cell, _) = cells()
    codec = models.load_codec(cell.start)
    monkeypatch.setattr(models, "config", lambda source: LlamaConfig(num_attention_heads=0))
    found = memory.estimate(cell, codec, "cpu")
    assert found.unknown and found.peak == 0 and "unknown" in found.record()
    (line,) = found.words("x")
    assert line.startswith("memory of x: no estimate (")


def test_a_run_says_it_where_there_is_a_reward_and_a_dry_run_always(tmp_path, capsys, reward_folder):
    def said(dry_run=False, **changes):
        path = tmp_path / "m.yaml"
        path.write_text(json.dumps({**BASE, "algorithms": ["grpo"], **changes}))
        assert running.run(path, [], tmp_path / "out", [], dry_run) == 0
        lines = capsys.readouterr().out.splitlines()
        return [n for n, line in enumerate(lines) if line.startswith("memory of a cell, at most: ")], lines

    assert len(said(dry_run=True)[0]) == 3
    assert said()[0] == []
    reward = {"name": "reward_model", "parameters": {"model": str(reward_folder)}}
    places, lines = said(reward=reward)
    begins = next(n for n, line in enumerate(lines) if "1 to run" in line)
    assert len(places) == 4 and max(places) < begins
    cells = [records.read_json(p) for p in (tmp_path / "out" / "cells").rglob("cell.json")]
    assert len(cells) == 2
    for cell in cells:
        memory = cell["provenance"]["memory"]
        assert memory["offload"] is False and memory["peak"] > 0
        assert ("grading" in memory["phases"]) == ("reward" in cell["spec"])
        assert cell["provenance"]["sessions"][0]["memory"] == memory


def test_offload_on_a_cpu_is_remarked_and_is_no_part_of_a_cell():
    parsed = recipe.parse({"name": "m", **BASE, "execution": {"offload": "on"}}, "recipe")
    planned = benchmark.plan(parsed, "cpu")
    assert any("execution.offload = on: without effect" in note for note in planned.notes)
    assert [c.id for c in planned.cells] == [c.id for c in cells()]
    assert not any("offload" in note for note in benchmark.plan(parsed, "cuda").notes)
