"""The dev split: disjoint from what trials train on, leak-free, and never the test examples."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest

from tasks.arithmetic import Arithmetic
from tasks.base import Example
from tasks.dev import DevSplit
from tasks.gsm8k import GSM8K

TASK = Arithmetic(level=3)
DEV = DevSplit(TASK, 0.1)


def ids(examples):
    return [example.id for example in examples]


def test_train_and_dev_part_the_training_examples_in_their_order():
    train, dev = ids(DEV.train), ids(DEV.heldout)
    assert not set(train) & set(dev)
    assert sorted([*train, *dev]) == sorted(ids(TASK.train))
    assert train == [i for i in ids(TASK.train) if i in set(train)]
    assert 0.05 < len(dev) / len(TASK.train) < 0.15


def test_the_tests_examples_are_never_touched():
    @dataclass(frozen=True)
    class Guarded(Arithmetic):
        @property
        def heldout(self):
            raise AssertionError("the test examples were read")

        def __post_init__(self):
            pass

    dev = DevSplit(Guarded(level=3), 0.1)
    assert not set(ids([*dev.train, *dev.heldout])) & set(ids(TASK.heldout))


def test_both_orders_of_a_pair_are_on_one_side():
    dev = set(ids(DEV.heldout))
    assert {"+".join(reversed(i.split("+"))) for i in dev} == dev
    assert TASK.leak_key(Example("7+5", "", "")) == TASK.leak_key(Example("5+7", "", "")) == "5+7"
    assert TASK.leak_key(Example("10+9", "", "")) == "9+10"


def test_a_larger_share_only_adds():
    assert set(ids(DEV.heldout)) < set(ids(DevSplit(TASK, 0.3).heldout))


def test_the_dev_split_is_independent_of_the_tests():
    """Hashed with the same salt, one of the two would hold nothing of the other's choosing."""
    shares = [len(DevSplit(Arithmetic(level=3, data_seed=seed), 0.1).heldout) for seed in range(5)]
    assert min(shares) > 100


def test_grading_and_demonstrations_are_the_tasks():
    example = DEV.heldout[0]
    assert DEV.name == "arithmetic" and DEV.demonstration_sources == TASK.demonstration_sources
    assert DEV.grade(example, example.answer) == TASK.grade(example, example.answer)
    assert DEV.demonstrate(example, "teacher", 5, 3) == TASK.demonstrate(example, "teacher", 5, 3)
    assert DEV.leak_key(example) == TASK.leak_key(example)


def test_a_worker_process_can_be_handed_one():
    again = pickle.loads(pickle.dumps(DEV))
    assert again == DEV and ids(again.heldout) == ids(DEV.heldout)


@pytest.mark.parametrize("share", [0, 1, -0.1, 2])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        DevSplit(TASK, share)


def test_gsm8k(data_folder):
    dev = DevSplit(GSM8K(folder=str(data_folder / "math")), 0.1)
    assert len(dev.train) + len(dev.heldout) == 7473 and 650 < len(dev.heldout) < 850
    assert all(i.startswith("train-") for i in ids(dev.heldout))
    assert dev.demonstrate(dev.heldout[0], "expert", 1, 0)[0].rstrip().endswith("}")
    assert dev.verifier == dev.task.verifier != Arithmetic.verifier and dev.protocols is dev.task.protocols
    assert dev.questions_at_hand() == dev.task.questions_at_hand() and len(dev.questions_at_hand()) == 1319
