"""A task in a reward: the reward is the reward's, everything else the task's; what is no number stops."""

import math
from dataclasses import dataclass, field

import pytest

from tasks.arithmetic import Arithmetic
from tasks.base import Example
from tasks.dev import DevSplit
from tasks.engines import Scored
from tasks.preference import Preference
from tasks.rewards.base import Reward, RewardError, Worth, conversation
from tasks.rewards.gold import Gold, GoldScorer
from tasks.rewards.registry import load, register
from tasks.rewards.reward_model import RewardModel
from tasks.rewards.rewarded import Rewarded
from tasks.wrapped import innermost


@dataclass(frozen=True)
class Scorer:
    """Likes long answers, and reads ten characters of a conversation."""

    model: str = "long"
    revision: str = "1"
    backend: str = "test"
    calls: list = field(default_factory=list, compare=False)

    def room(self, prompt):
        used = sum(len(turn["content"]) for turn in prompt)
        if used >= 10:
            raise RewardError(f"a prompt of {used} tokens, and it reads 10")
        return 10 - used

    def score(self, chats):
        self.calls.append(len(chats))
        return [Scored(float(len(c[-1]["content"])), 1, sum(len(t["content"]) for t in c) > 10) for c in chats]


@dataclass(frozen=True)
class Broken(Reward):
    value: float = math.nan
    name = "broken"

    def rate(self, answered):
        return [Worth(self.value if response == "2" else 1.0) for _, response in answered]


def test_a_reward_model_rates_in_one_call_and_verdicts_stay():
    scorer, task = Scorer(), Arithmetic(level=1)
    rewarded = Rewarded(task, RewardModel(scorer))
    pairs = [(task.train[0], task.train[0].answer), (task.train[1], "1234567"), (task.train[2], "")]
    grades = rewarded.grade_all(pairs)
    assert [grade.reward for grade in grades] == [float(len(text)) for _, text in pairs] and scorer.calls == [3]
    assert [grade.correct for grade in grades] == [grade.correct for grade in task.grade_all(pairs)]
    assert [grade.cut for grade in grades] == [False, True, False]  # "0+1=" and seven more
    assert rewarded.grade(*pairs[1]) == grades[1] and rewarded.grade_all([]) == []
    assert (rewarded.name, rewarded.train, rewarded.heldout) == (task.name, task.train, task.heldout)
    assert rewarded.demonstrate(task.train[0], "expert", 1, 0) == task.demonstrate(task.train[0], "expert", 1, 0)
    assert innermost(Rewarded(DevSplit(task, 0.5), RewardModel(scorer))) is task and rewarded.graded


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number(value):
    rewarded = Rewarded(Preference(), Broken(value))
    example = rewarded.train[0]
    assert rewarded.grade(example, "1").reward == 1.0
    with pytest.raises(
        RewardError, match=rf"reward broken: {value} for a response of 1 characters to example {example.id}"
    ):
        rewarded.grade_all([(example, "1"), (example, "2")])


@dataclass(frozen=True)
class Loose(Reward):
    """Returns what it is told to."""

    found: object = None
    name = "loose"

    def rate(self, answered):
        return self.found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([Worth(1.0)], "rate returned 1 items for 2 responses"),
        ([Worth(1.0)] * 3, "rate returned 3 items for 2 responses"),
        ([Worth(1.0), 0.5], "rate returned 0.5 (float) as item 1"),
        ([Worth(1.0), Worth("high")], "rate returned Worth(reward='high', cut=False) (Worth) as item 1"),
        (Worth(1.0), "rate returned Worth"),
        (None, "rate returned NoneType"),
    ],
)
def test_a_reward_that_returns_something_else_is_named(found, said):
    rewarded = Rewarded(Preference(), Loose(found))
    with pytest.raises(RewardError) as error:
        rewarded.grade_all([(rewarded.train[0], "1"), (rewarded.train[0], "2")])
    assert str(error.value) == f"reward loose: {said}, expected a list of 2 Worth, one a response"


def test_a_prompt_that_leaves_no_room_is_refused_before_anything_is_asked():
    reward = RewardModel(Scorer())
    short, long = Example("a", "12", ""), Example("b", "x" * 10, "")
    assert reward.require([short]) == 8
    with pytest.raises(RewardError, match="a prompt of 10 tokens, and it reads 10"):
        reward.require([short, long])
    said = Rewarded(Preference(), RewardModel(Scorer())).remarks(16)
    assert "reads 6 tokens of a response, which may have 16" in said[0]
    assert Rewarded(Preference(), RewardModel(Scorer())).remarks(6) == []


def test_gold_as_a_reward_and_as_a_scorer():
    task = Preference()
    example = task.train[0]
    answered = [(example, text) for text in ("", "2", "13", "24680")]
    expected = [task.gold("", text) for _, text in answered]
    assert [worth.reward for worth in Gold(task).rate(answered)] == expected
    scored = GoldScorer(task).score([conversation(*one) for one in answered])
    assert [one.reward for one in scored] == expected and not any(one.cut for one in scored)
    graded = Rewarded(task, Gold(task)).grade_all(answered)
    assert [grade.reward for grade in graded] == [grade.gold for grade in graded] == expected
    for made in (Gold, GoldScorer):
        with pytest.raises(
            RewardError, match="task arithmetic does not know what a response is worth; preference does"
        ):
            made(Arithmetic(level=1))


def test_a_conversation_is_the_prompt_and_the_response():
    plain = conversation(Example("a", "1+1=", ""), "2")
    assert plain == ({"role": "user", "content": "1+1="}, {"role": "assistant", "content": "2"})
    chat = ({"role": "system", "content": "S"}, {"role": "user", "content": "Q"})
    assert conversation(Example("a", chat, ""), "A") == (*chat, {"role": "assistant", "content": "A"})


def test_names():
    assert {"gold", "reward_model"} <= set(load())
    with pytest.raises(ValueError, match="reward 'gold' is already registered"):
        register("gold")(Broken)
