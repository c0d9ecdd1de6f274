"""A recipe's reward is resolved, or refused, before anything is trained."""

import dataclasses
import json

import pytest

from harness import benchmark, models, recipe
from harness.errors import UserError
from tasks.base import TaskError
from tasks.rewards.rewarded import Rewarded

BASE = {
    "name": "rlhf", "task": "preference", "model": "tiny", "algorithms": ["grpo@no-kl"], "budget": {"steps": 1},
    "training": {"prompts_per_step": 2, "responses_per_prompt": 4, "updates_per_rollout": 1},
    "sampling": {"max_tokens": 8},
}  # fmt: skip


def plan(**changes):
    return benchmark.plan(recipe.parse({**BASE, **changes}, "recipe"), "cpu")


def refusal(**changes):
    with pytest.raises((UserError, TaskError)) as error:
        plan(**changes)
    return str(error.value)


def test_a_task_without_a_verifier_needs_a_reward():
    said = refusal()
    assert "task preference has no verifier" in said and "reward_model" in said and "gold" in said


def test_gold():
    (cell,) = plan(reward="gold").cells
    assert isinstance(cell.task, Rewarded) and cell.task.reward.task is cell.task.task
    assert cell.spec["reward"] == {"name": "gold"} and cell.spec["task"]["name"] == "preference"
    assert "task arithmetic does not know what a response is worth" in refusal(task="arithmetic", reward="gold")
    assert "reward (gold).train: it takes no model" in refusal(
        reward={"name": "gold", "train": {"base": "tiny", "pairs": "preference", "limit": 20}}
    )


@pytest.mark.parametrize(
    ("reward", "said"),
    [
        ("golden", "unknown reward 'golden'; did you mean 'gold'?"),
        ("reward_model", "model is missing; expected a folder or a Hub id, e.g. Skywork/Skywork-Reward-V2-Qwen3-0.6B"),
        ({"name": "reward_model", "parameters": {"model": "a/b", "precisoin": "x"}}, "unknown key 'precisoin'"),
        ({"name": "reward_model", "parameters": {"precision": "int4"}}, "precision = 'int4'; allowed: auto"),
        ({"name": "gold", "parameters": {"task": "x"}}, "'task' is handed in by the harness"),
        ({"name": "reward_model", "parameters": {"model": "no/where/there"}}, "is no folder here"),
    ],
)
def test_what_cannot_be_a_reward(reward, said):
    assert said in refusal(reward=reward)


def change(folder, target, **settings):
    """A copy of a model folder with another configuration."""
    import shutil

    copy = shutil.copytree(folder, target)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, **settings}))
    return copy


def of(folder):
    return {"name": "reward_model", "parameters": {"model": str(folder)}}


def test_models_that_give_no_reward(reward_model, chat_model, without_template, tmp_path):
    two = change(reward_model, tmp_path / "two", id2label={"0": "bad", "1": "good"}, label2id={"bad": 0, "good": 1})
    assert "with 2 outputs; expected …ForSequenceClassification with one" in refusal(reward=of(two))
    assert "no reward model: LlamaForCausalLM" in refusal(reward=of(chat_model))
    mute = without_template(reward_model, tmp_path / "mute")
    assert "its tokenizer has no chat template" in refusal(reward=of(mute))
    small = change(reward_model, tmp_path / "small", max_position_embeddings=8)
    said = refusal(reward=of(small))
    assert "a prompt of" in said and "it reads 8" in said and "leave such prompts out" in said


def test_a_reward_model_is_identity_wherever_it_lies(reward_model, other_reward_model, tmp_path):
    import shutil

    (one,) = plan(reward=of(reward_model)).cells
    (moved,) = plan(reward=of(shutil.copytree(reward_model, tmp_path / "elsewhere"))).cells
    (other,) = plan(reward=of(other_reward_model)).cells
    assert one.id == moved.id != other.id
    (gold,) = plan(reward="gold").cells
    assert {key: value for key, value in one.spec.items() if key != "reward"} == {
        key: value for key, value in gold.spec.items() if key != "reward"
    }


def test_a_verifiers_task_may_have_a_reward_besides(reward_model):
    (cell,) = plan(task="arithmetic", reward=of(reward_model)).cells
    assert cell.task.graded and isinstance(cell.task, Rewarded)


def test_responses_longer_than_the_model_reads_are_said(reward_model, tmp_path):
    short = change(reward_model, tmp_path / "short", max_position_embeddings=16)
    (note,) = [one for one in plan(reward=of(short)).notes if "reward_cut" in one]
    assert "reward reward_model: behind the longest prompt it reads" in note


def test_a_plug_ins_reward_is_part_of_the_cells_identity(tmp_path):
    from harness import plugins

    code = """
from dataclasses import dataclass
from tasks.rewards.base import Reward, Worth
from tasks.rewards.registry import register

@register("brevity")
@dataclass(frozen=True)
class Brevity(Reward):
    weight: float = 1.0

    def rate(self, answered):
        return [Worth(-self.weight * len(response)) for _, response in answered]
"""
    path = tmp_path / "brevity.py"
    path.write_text(code)
    plugins.load_file(path)
    (cell,) = plan(reward={"name": "brevity", "parameters": {"weight": 2.0}}).cells
    assert cell.spec["reward"]["parameters"] == {"weight": 2.0} and len(cell.spec["reward"]["source"]) == 16
    assert cell.task.grade(cell.task.train[0], "123").reward == -6.0
    assert "unknown key 'wieght'; did you mean 'weight'?" in refusal(
        reward={"name": "brevity", "parameters": {"wieght": 1}}
    )


def test_the_warm_start_does_not_know_the_reward(reward_model):
    warm = {"training": {"prompts_per_step": 4, "updates_per_rollout": 1, "responses_per_prompt": 1},
            "parameters": {"experts": 0, "teachers": 1}, "budget": {"steps": 1}}  # fmt: skip
    model = {"name": "tiny", "warm_start": warm}
    one, other = (plan(model=model, reward=reward) for reward in ("gold", of(reward_model)))
    assert one.warm_start.id == other.warm_start.id and not isinstance(one.warm_start.task, Rewarded)
    assert one.cells[0].id != other.cells[0].id and dataclasses.is_dataclass(one.cells[0].task)
    assert models.find("tiny") == one.warm_start.start
