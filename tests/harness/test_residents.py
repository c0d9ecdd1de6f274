"""Taking turns on a CPU: a mover that makes what is away unusable stands in for the other device."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from algorithms.registry import create
from harness import budget, experiment, models, residents
from harness.policy import Policy
from harness.residents import ADAM, GRADIENTS, NEEDED, POLICY, REWARD_MODEL, START, Residents
from harness.rewards.scorer import RewardScorer
from harness.rollout.transformers import TransformersEngine
from harness.settings import Execution, Sampling, Training
from harness.trainer import Trainer
from leaderboard import records
from tasks.arithmetic import Arithmetic
from tasks.rewards.reward_model import RewardModel
from tasks.rewards.rewarded import Rewarded

HERE = torch.device("cpu")


class Mover:
    """Away, a tensor is another one, of NaN; back, it is a copy: other memory, the same bits."""

    def __init__(self):
        self.kept, self.log = {}, []

    def __call__(self, tensor, device):
        if (device is residents.HOST) == (id(tensor) in self.kept):
            return 0
        if device is residents.HOST:
            self.kept[id(tensor)] = tensor.data
            tensor.data = torch.full_like(tensor, math.nan)
        else:
            tensor.data = self.kept.pop(id(tensor)).clone()
        self.log.append((id(tensor), device))
        return tensor.nbytes


@pytest.fixture
def mover(monkeypatch):
    """`residents.HOST` becomes a device that is told from where the models are."""
    found = Mover()
    monkeypatch.setattr(residents, "HOST", torch.device("meta"))
    monkeypatch.setattr(residents, "move", found)
    return found


def parts(*names):
    """Parts of one tensor each."""
    tensors = {name: torch.arange(4.0) + n for n, name in enumerate(names)}
    return tensors, {name: (lambda t=t: [t]) for name, t in tensors.items()}


def away(tensors):
    return {name for name, tensor in tensors.items() if tensor.isnan().any()}


def test_what_a_phase_does_not_need_is_away(mover):
    tensors, movable = parts(POLICY, START, ADAM, REWARD_MODEL)
    dropped = []
    turns = Residents(HERE, movable, {GRADIENTS: lambda: dropped.append(GRADIENTS)})
    assert away(tensors) == set()
    for phase in ("sampling", "grading", "scoring", "update", "sampling"):
        dropped.clear()
        with turns.phase(phase) as seconds:
            assert away(tensors) == tensors.keys() - NEEDED[phase]
            assert seconds > 0
            assert dropped == ([] if phase == "update" else [GRADIENTS])
    for n, tensor in enumerate(tensors.values()):
        if not tensor.isnan().any():
            assert torch.equal(tensor, torch.arange(4.0) + n)


def test_nothing_moves_twice_and_out_comes_before_in(mover):
    tensors, movable = parts(POLICY, START, ADAM, REWARD_MODEL)
    names = {id(tensor): name for name, tensor in tensors.items()}
    turns = Residents(HERE, movable, {})

    def moves(phase):
        mover.log.clear()
        with turns.phase(phase) as seconds:
            assert (seconds > 0) == bool(mover.log)
        return [(names[key], "out" if device is residents.HOST else "in") for key, device in mover.log]

    assert moves("sampling") == [(START, "out"), (ADAM, "out"), (REWARD_MODEL, "out")]
    assert moves("sampling") == []
    assert moves("grading") == [(POLICY, "out"), (REWARD_MODEL, "in")]
    assert moves("grading") == []
    assert moves("scoring") == [(REWARD_MODEL, "out"), (POLICY, "in"), (START, "in")]
    assert moves("update") == [(START, "out"), (ADAM, "in")]
    assert moves("a phase of nobody's") == []


def test_without_a_reward_model_grading_moves_nothing(mover):
    tensors, movable = parts(POLICY, ADAM)
    turns = Residents(HERE, movable, {})
    with turns.phase("sampling"):
        assert away(tensors) == {ADAM}
    mover.log.clear()
    with turns.phase("grading") as seconds:
        assert seconds == 0 and not mover.log and away(tensors) == {ADAM}


def test_after_an_exception_the_policy_is_back(mover):
    tensors, movable = parts(POLICY, START, ADAM, REWARD_MODEL)
    turns = Residents(HERE, movable, {})
    with pytest.raises(RuntimeError, match="the grader died"), turns.phase("grading"):
        raise RuntimeError("the grader died")
    assert away(tensors) == {START, ADAM, REWARD_MODEL}
    with turns.phase("update"):
        assert away(tensors) == {START, REWARD_MODEL}
    for n, name in enumerate(tensors):
        with turns.phase(next(phase for phase in NEEDED if name in NEEDED[phase])):
            assert torch.equal(tensors[name], torch.arange(4.0) + n)


def test_a_move_that_fails_halfway_is_made_up_for(mover, monkeypatch):
    """Out of memory on the second tensor of three: the error is told, and the next phase finds all of them."""
    network = nn.ParameterList([torch.arange(3.0) + n for n in range(3)])
    turns = Residents(HERE, {REWARD_MODEL: lambda: list(network)}, {})
    with turns.phase("grading"):
        pass
    turns._turn_to(frozenset())

    def short(tensor, device):
        if tensor is network[1]:
            raise torch.OutOfMemoryError("no room")
        return mover(tensor, device)

    monkeypatch.setattr(residents, "move", short)
    with pytest.raises(torch.OutOfMemoryError), turns.phase("grading"):
        raise AssertionError("entered")
    monkeypatch.setattr(residents, "move", mover)
    with turns.phase("grading"):
        assert all(torch.equal(p, torch.arange(3.0) + n) for n, p in enumerate(network))


def test_what_is_there_already_is_left_alone():
    """Moving for real needs a second device: test_cuda.py."""
    tied = nn.Linear(3, 3, bias=False)
    model = nn.Sequential(tied, nn.BatchNorm1d(3), tied)
    tensors = residents.tensors_of(model)
    places = [t.data_ptr() for t in tensors]
    assert len(tensors) == 6, "one matrix, scale and shift, and three buffers"
    assert sum(residents.move(t, HERE) for t in tensors) == 0
    assert [t.data_ptr() for t in residents.tensors_of(model)] == places


def test_an_optimizer_steps_on_after_a_round_trip(mover):
    """The same bits as without, and the same objects."""
    weights = []
    for turning in (False, True):
        torch.manual_seed(0)
        model = nn.Linear(5, 4)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
        held = list(model.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(2, 5)).square().sum().backward()
            optimizer.step()
            if turning:
                slots = [t for state in optimizer.state.values() for t in state.values()]
                turns = Residents(HERE, {POLICY: lambda h=held: h, ADAM: lambda s=slots: s}, {})
                turns._turn_to(frozenset())
                assert all(t.isnan().all() for t in (*held, *slots))
                turns._turn_to(frozenset({POLICY, ADAM}))
        assert all(p is q for p, q in zip(held, model.parameters(), strict=True))
        assert all(p in optimizer.state for p in held)
        weights.append([p.detach().clone() for p in held])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.fixture(scope="module")
def reward_folder(tmp_path_factory):
    """A random reward model that reads tiny's symbols."""
    from transformers import AutoModelForSequenceClassification

    folder = tmp_path_factory.mktemp("reward") / "model"
    source = models.find("tiny")
    config = models.config(source)
    config.num_labels = 1
    torch.manual_seed(0)
    network = AutoModelForSequenceClassification.from_config(config)
    tokenizer = models.load_tokenizer(source)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    models.save_with(network, tokenizer, folder)
    return folder


@pytest.fixture
def reward_scorer(reward_folder):
    scorer = RewardScorer(models.find(str(reward_folder)), "float32", "cpu")
    for tensor in residents.tensors_of(scorer.network):  # a mapped file's are not aligned, where sums round otherwise
        tensor.data = tensor.data.clone()
    return scorer


def trainer(reward_scorer, turns, precision="float32", name="grpo"):
    task = Rewarded(Arithmetic(level=2), RewardModel(reward_scorer))
    source = models.find("tiny")
    codec = models.load_codec(source)
    policy = Policy(models.load_model(source), HERE, precision, 1.0)
    return Trainer(
        create(name), task, policy, TransformersEngine(policy, codec.end_ids, 4096), codec,
        training=Training(4, 4, updates_per_rollout=2, learning_rate=1e-3), sampling=Sampling(max_tokens=6),
        execution=Execution(), seed=0, turns=turns,
    )  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["grpo", "gspo", "gft"])
def test_a_run_that_takes_turns_ends_with_the_same_bits(name, precision, mover, reward_scorer):
    """Nothing is used while it is away, or the weights would be NaN; and only then is there a share of moving."""
    found = []
    for turns in (False, True):
        mine = trainer(reward_scorer, turns, precision, name)
        steps = [mine.step(), mine.step()]
        assert all(("offload" in step["seconds"]) == turns for step in steps)
        spent = sum(sum(step["seconds"].values()) for step in steps)
        assert steps[-1]["counters"]["seconds"] == pytest.approx(spent)
        assert (mine.policy.parameters()[0].grad is None) is False  # the last phase was an update
        with mine.residents.phase("sampling"):
            hashed = experiment.weights_hash(mine.policy)
        assert (mine.policy.parameters()[0].grad is None) == turns
        timeless = [{**step, "seconds": 0, "counters": {**step["counters"], "seconds": 0}} for step in steps]
        found.append((hashed, json.dumps(timeless)))
        with mine.residents.phase("grading"):  # where the next run may find the reward model
            pass
    assert found[0] == found[1]
    assert bool(mover.log)


def test_the_engines_copy_is_gone_outside_sampling(mover, reward_scorer):
    mine = trainer(reward_scorer, True, "bfloat16")
    seen = []
    score = type(reward_scorer).score

    def spy(chats):
        seen.append(mine.engine.model is mine.policy.model)
        return score(reward_scorer, chats)

    object.__setattr__(reward_scorer, "score", spy)
    try:
        mine.step()
    finally:
        del reward_scorer.__dict__["score"]
    assert seen == [True]


def test_evaluations_take_turns_too(mover, reward_scorer):
    from harness.evaluation.looks import evaluations
    from harness.settings import Evaluation

    found = []
    for turns in (False, True):
        mine = trainer(reward_scorer, turns)
        looks = evaluations(
            mine.engine, mine.codec, mine.task, Evaluation(examples=4, probe=3, samples=2), 6, 0,
            mine.spent.counters(), mine.drift, mine.residents,
        )  # fmt: skip
        found.append([({**record, "seconds": 0}, items) for record, items in looks])
        with mine.residents.phase("grading"):
            pass
    assert found[0] == found[1]
    assert any("kl" in record for record, _ in found[1]) and mover.log


def test_a_step_without_demonstrations_grades_once(mover, reward_scorer, monkeypatch):
    """The reward model comes in once a step, not for demonstrations that nobody asked for."""
    entered = []
    phase = Residents.phase
    monkeypatch.setattr(Residents, "phase", lambda self, name: entered.append(name) or phase(self, name))
    trainer(reward_scorer, True).step()
    assert entered == ["sampling", "grading", "grading", "scoring", "update"]


def test_the_clock_keeps_moving_apart(mover):
    _, movable = parts(POLICY, ADAM)
    clock = budget.Clock(HERE, Residents(HERE, movable, {}))
    with clock.timed("scoring"):
        pass
    assert set(clock.seconds) == {*records.PHASES, records.OFFLOAD}
    clock.restart()
    with clock.timed("scoring"):
        pass
    assert set(clock.seconds) == set(records.PHASES)
