"""What only a GPU can show. Skips by itself elsewhere; nothing in CI depends on it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from algorithms import Signals
from algorithms.registry import create, names
from algorithms.step import accumulate_gradient
from harness import checkpoint, models
from harness.policy import Policy, Row
from harness.rewards.scorer import RewardScorer
from harness.rollout import Request
from harness.rollout.transformers import TransformersEngine
from harness.rows import Group, Response, assemble, rows_of
from harness.settings import Execution, Sampling, Training
from harness.trainer import Trainer
from tasks.arithmetic import Arithmetic
from tasks.base import Grade
from tasks.rewards.reward_model import RewardModel
from tasks.rewards.rewarded import Rewarded

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]
NAMES = [name for name in names(built_in=True) if "@" not in name]


def gradient(name: str, device: str, precision: str) -> torch.Tensor:
    """The flat gradient of one update on a fixed rollout that a slightly different policy produced."""
    codec, task = models.load_codec(models.find("tiny")), Arithmetic(level=2)
    policy = Policy(models.load_model(models.find("tiny")), torch.device(device), precision, 1.0)
    groups = []
    for example in task.train[:6]:
        texts = task.demonstrate(example, "teacher", 6, 0)
        members = [
            Response(codec.demonstration(t), t, Grade(float(len(t) + k % 2), None, t)) for k, t in enumerate(texts)
        ]
        groups.append(Group(example, codec.prompt(example), members))
    batch, rows = assemble(groups, policy.device, 40), rows_of(groups)
    algorithm = create(name)

    def signals_of(chosen: torch.Tensor) -> Signals:
        return policy.signals([Row(rows[i].prompt, rows[i].response) for i in chosen.tolist()], algorithm.needs)

    with torch.no_grad():
        logp = signals_of(torch.arange(len(rows))).logp
    drift = 0.1 * torch.sin(torch.arange(batch.tokens, device=policy.device))
    batch = replace(batch, logp_old=logp + drift, logp_ref=logp - drift)
    batch = batch.with_advantages(algorithm.advantages(batch))
    accumulate_gradient(algorithm, batch, signals_of, [torch.arange(len(rows), device=policy.device)])
    return torch.cat([p.grad.flatten() for p in policy.parameters()]).cpu()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-4), ("bfloat16", 0.1)])
def test_gradients_equal_the_cpus(name, precision, bound):
    expected = gradient(name, "cpu", "float32")
    found = gradient(name, "cuda", precision)
    assert (found - expected).norm() <= bound * expected.norm()


@pytest.mark.parametrize("name", [*NAMES, "gift@published"])
def test_the_loop_takes_two_bfloat16_steps(name):
    """Sampling, scoring, clipping, fused AdamW and the refreshed decoding copy, on the device."""
    codec, task = models.load_codec(models.find("tiny")), Arithmetic(level=2)
    policy = Policy(models.load_model(models.find("tiny")), torch.device("cuda"), "bfloat16", 1.0)
    engine = TransformersEngine(policy, codec.end_ids, 4096)
    trainer = Trainer(
        create(name), task, policy, engine, codec,
        training=Training(8, updates_per_rollout=2, learning_rate=1e-4, max_refills=1), sampling=Sampling(max_tokens=6),
        execution=Execution(micro_batch_tokens=128), seed=0,
    )  # fmt: skip
    before = [p.detach().clone() for p in policy.parameters()]
    records = [trainer.step(), trainer.step()]
    assert all(math.isfinite(r["grad_norm"] or 0.0) for r in records)
    if any(r["updates"] > r["updates_without_signal"] for r in records):
        assert any((a != b).any() for a, b in zip(before, policy.parameters(), strict=True))


def test_a_checkpoint_goes_back_to_the_device(tmp_path):
    """Weights, both moments of the optimizer and its step counts, each where it was."""
    trainers = []
    for _ in range(2):
        codec, task = models.load_codec(models.find("tiny")), Arithmetic(level=2)
        policy = Policy(models.load_model(models.find("tiny")), torch.device("cuda"), "bfloat16", 1.0)
        trainers.append(
            Trainer(
                create("gft"), task, policy, TransformersEngine(policy, codec.end_ids, 4096), codec,
                training=Training(8, updates_per_rollout=2, learning_rate=1e-3), sampling=Sampling(max_tokens=6),
                execution=Execution(), seed=0,
            )
        )  # fmt: skip
    whole, resumed = trainers
    whole.step()
    checkpoint.save(tmp_path, "cell", 1, whole.state() | {"generators": checkpoint.generators()}, keep=1)
    state = checkpoint.load(checkpoint.found(tmp_path)[0], "cell").state
    resumed.load_state(state)
    checkpoint.set_generators(state["generators"])
    for mine, theirs in zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert theirs.is_cuda and torch.equal(mine, theirs)
        for name, slot in whole.optimizer.state[mine].items():
            other = resumed.optimizer.state[theirs][name]
            assert other.device == slot.device and torch.equal(other, slot)
    assert math.isfinite(resumed.step()["grad_norm"])


def test_samples_equal_the_cpus():
    codec, task = models.load_codec(models.find("tiny")), Arithmetic(level=2)
    requests = [Request(codec.prompt(e), tuple(range(4))) for e in task.train[:16]]
    found = []
    for device in ("cpu", "cuda"):
        policy = Policy(models.load_model(models.find("tiny")), torch.device(device), "float32", 1.0)
        engine = TransformersEngine(policy, codec.end_ids, 4096)
        found.append([[c.tokens for c in g] for g in engine.generate(requests, Sampling(max_tokens=8))])
    same = sum(a == b for x, y in zip(*found, strict=True) for a, b in zip(x, y, strict=True))
    assert same >= 62  # of 64: rounding may move a draw that lies on a boundary


def rated(folder) -> tuple[Rewarded, RewardScorer]:
    """Sums in the reward of a random model."""
    source = models.find("tiny")
    config = models.config(source)
    config.num_labels = 1
    if not folder.exists():
        torch.manual_seed(0)
        tokenizer = models.load_tokenizer(source)
        tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
        models.save_with(AutoModelForSequenceClassification.from_config(config), tokenizer, folder)
    scorer = RewardScorer(models.find(str(folder)), "bfloat16", "cuda")
    return Rewarded(Arithmetic(level=2), RewardModel(scorer)), scorer


def test_models_that_take_turns_end_with_the_same_weights(tmp_path):
    """Parameters and moments leave the device and come back, the same objects with the same bits; and only then."""
    ends = []
    for turns in (False, True):
        codec, (task, scorer) = models.load_codec(models.find("tiny")), rated(tmp_path / "reward")
        policy = Policy(models.load_model(models.find("tiny")), torch.device("cuda"), "bfloat16", 1.0)
        trainer = Trainer(
            create("grpo"), task, policy, TransformersEngine(policy, codec.end_ids, 4096), codec,
            training=Training(8, updates_per_rollout=2, learning_rate=1e-3), sampling=Sampling(max_tokens=6),
            execution=Execution(), seed=0, turns=turns,
        )  # fmt: skip
        held = policy.parameters()
        records = [trainer.step(), trainer.step()]
        assert all((record["seconds"].get("offload", 0) > 0) == turns for record in records)
        assert all(mine is other for mine, other in zip(held, policy.parameters(), strict=True))
        slots = [t for state in trainer.optimizer.state.values() for t in state.values()]
        with trainer.residents.phase("grading"):
            assert {t.is_cuda for t in (*held, *slots, *trainer.start.model.parameters())} == {not turns}
            assert all(t.is_cuda for t in scorer.network.parameters())
        with trainer.residents.phase("sampling"):
            assert all(t.is_cuda for t in held)
            assert any(t.is_cuda for t in scorer.network.parameters()) != turns
        ends.append([p.detach().cpu() for p in held])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
