import dataclasses
import math
import pickle
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.arithmetic import Arithmetic
from tasks.base import Example, Grade
from tasks.data import fingerprint

ROOT = Path(__file__).parents[2]

OPERANDS = {1: 10, 2: 20, 3: 50, 4: 100}
SEVEN_FIVE = Example(id="7+5", prompt="7+5=", answer="12")


def pairs(examples):
    return {tuple(sorted(map(int, example.id.split("+")))) for example in examples}


@pytest.mark.parametrize("level", OPERANDS)
@pytest.mark.parametrize("data_seed", [0, 1, -5])
def test_split_covers_all_ordered_pairs_and_shares_none_even_commuted(level, data_seed):
    task = Arithmetic(level=level, data_seed=data_seed)
    n = OPERANDS[level]
    assert not pairs(task.train) & pairs(task.heldout)
    ids = [example.id for example in (*task.train, *task.heldout)]
    assert len(set(ids)) == len(ids) == n * n
    assert set(ids) == {f"{a}+{b}" for a in range(n) for b in range(n)}
    for examples in (task.train, task.heldout):
        assert {"+".join(reversed(example.id.split("+"))) for example in examples} == {e.id for e in examples}
        order = [tuple(map(int, example.id.split("+"))) for example in examples]
        assert order == sorted(order)


@pytest.mark.parametrize("level", [3, 4])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_heldout_share_is_as_declared_up_to_binomial_noise(level, share):
    task = Arithmetic(level=level, heldout_share=share)
    total = OPERANDS[level] * (OPERANDS[level] + 1) // 2
    assert abs(len(pairs(task.heldout)) / total - share) < 4 * math.sqrt(share * (1 - share) / total)


def test_a_pair_is_held_out_at_every_level_or_at_none_and_a_larger_share_only_adds():
    heldout = {level: pairs(Arithmetic(level=level).heldout) for level in OPERANDS}
    for level in (1, 2, 3):
        assert heldout[level] == {pair for pair in heldout[4] if max(pair) < OPERANDS[level]}
    assert heldout[3] < pairs(Arithmetic(heldout_share=0.3).heldout)


def test_data_seed_changes_the_split_and_nothing_else_does():
    reference = [example.id for example in Arithmetic().heldout]
    assert reference != [example.id for example in Arithmetic(data_seed=1).heldout]
    assert reference == [example.id for example in Arithmetic(form="chat", teacher_accuracy=0.1).heldout]


def test_level_3_is_the_same_for_ever_and_in_every_process():
    ids = " ".join(example.id for example in Arithmetic().train)
    assert sha256(ids.encode()).hexdigest() == "98ad0a2cba41c004e1dfb5a3dd9df62b78cb8b1ec7ea01e5d2def54468c69229"
    expected = "b7618d31f1c6e457e8db938623f83ce1ddca10d65a27a079dddc15ba909db362"
    assert fingerprint(Arithmetic().train) == expected
    code = "import tasks.arithmetic as a, tasks.data as d; print(d.fingerprint(a.Arithmetic().train))"
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
        )
        assert done.stdout.decode().strip() == expected, done.stderr.decode()


def test_prompts_of_both_forms():
    plain, chat = Arithmetic(level=1), Arithmetic(level=1, form="chat")
    for bare, polite in zip(plain.train, chat.train, strict=True):
        a, b = map(int, bare.id.split("+"))
        assert bare == Example(id=f"{a}+{b}", prompt=f"{a}+{b}=", answer=str(a + b))
        assert polite.id == bare.id and polite.answer == bare.answer
        (message,) = polite.prompt
        assert message == {"role": "user", "content": f"What is {a} + {b}? Answer with the number only."}


def test_is_cached_and_still_compares_pickles_and_replaces():
    task = Arithmetic(level=1)
    assert task.train is task.train
    assert task == Arithmetic(level=1) and hash(task) == hash(Arithmetic(level=1))
    assert pickle.loads(pickle.dumps(task)).heldout == task.heldout
    assert dataclasses.replace(task, level=2).train != task.train


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("level", 0, "1, 2, 3 or 4"),
        ("level", 5, "1, 2, 3 or 4"),
        ("level", "3", "1, 2, 3 or 4"),
        ("level", True, "1, 2, 3 or 4"),
        ("level", None, "1, 2, 3 or 4"),
        ("level", [3], "1, 2, 3 or 4"),
        ("form", "Plain", "'plain' or 'chat'"),
        ("form", ["plain"], "'plain' or 'chat'"),
        ("heldout_share", 0, "between 0 and 1"),
        ("heldout_share", 1.0, "between 0 and 1"),
        ("heldout_share", float("nan"), "between 0 and 1"),
        ("heldout_share", "0.1", "between 0 and 1"),
        ("heldout_share", 1e-9, "both sides of the split"),
        ("heldout_share", 1 - 1e-9, "both sides of the split"),
        ("teacher_accuracy", -0.1, "from 0 to 1"),
        ("teacher_accuracy", 1.1, "from 0 to 1"),
        ("teacher_accuracy", None, "from 0 to 1"),
        ("teacher_accuracy", float("nan"), "from 0 to 1"),
        ("data_seed", 0.0, "any integer"),
        ("data_seed", False, "any integer"),
    ],
)
def test_bad_parameters_name_field_value_and_range(field, value, allowed):
    with pytest.raises(ValueError) as raised:
        Arithmetic(**{field: value})
    message = str(raised.value)
    assert message.startswith(f"arithmetic: {field} = {value!r}; allowed: ") and allowed in message


def test_expert_is_right_and_there_is_only_one():
    task = Arithmetic(level=2)
    for example in (*task.train, *task.heldout):
        assert task.demonstrate(example, "expert", 1, seed=0) == (example.answer,)
        assert task.grade(example, example.answer) == Grade(1.0, True, example.answer)
    assert task.demonstrate(SEVEN_FIVE, "expert", 5, seed=3) == ("12",)
    assert task.demonstrate(SEVEN_FIVE, "expert", 0, seed=3) == ()


@pytest.mark.parametrize("accuracy", [0.0, 0.35, 0.6, 1])
def test_teacher_is_as_accurate_as_declared_and_errs_only_by_the_declared_offsets(accuracy):
    task = Arithmetic(teacher_accuracy=accuracy)
    errors, right, draws = Counter(), 0, 0
    for example in task.train[::3]:
        for answer in task.demonstrate(example, "teacher", 8, seed=1):
            draws += 1
            right += answer == example.answer
            assert answer == str(int(answer)) and int(answer) >= 0
            if answer != example.answer:
                errors[int(answer) - int(example.answer)] += 1
    assert abs(right / draws - accuracy) <= 4 * math.sqrt(accuracy * (1 - accuracy) / draws)
    assert set(errors) == (set() if accuracy == 1 else {-10, -2, -1, 1, 2, 10})
    if errors:  # negative ones are a little rarer: small sums leave no room for them
        assert max(errors.values()) < 1.3 * min(errors.values())


def test_teacher_never_answers_below_zero():
    task = Arithmetic(teacher_accuracy=0.0)
    for right in range(12):
        example = Example(id=f"0+{right}", prompt=f"0+{right}=", answer=str(right))
        answers = {int(answer) for answer in task.demonstrate(example, "teacher", 300, seed=0)}
        assert answers == {right + offset for offset in (-10, -2, -1, 1, 2, 10) if right + offset >= 0}


def test_teacher_draws_are_a_function_of_example_index_and_seed_alone():
    task = Arithmetic()
    draws = task.demonstrate(SEVEN_FIVE, "teacher", 32, seed=7)
    assert draws == task.demonstrate(SEVEN_FIVE, "teacher", 32, seed=7)
    assert draws[:5] == task.demonstrate(SEVEN_FIVE, "teacher", 5, seed=7)
    assert draws == Arithmetic(level=1, form="chat", data_seed=9).demonstrate(SEVEN_FIVE, "teacher", 32, seed=7)
    assert draws != task.demonstrate(SEVEN_FIVE, "teacher", 32, seed=8)
    other = dataclasses.replace(SEVEN_FIVE, id="5+7")
    assert draws != task.demonstrate(other, "teacher", 32, seed=7)


def test_teacher_draws_of_one_prompt_are_uncorrelated_across_indices_and_seeds():
    task = Arithmetic(teacher_accuracy=0.5)
    first, second, third = 0, 0, 0
    for example in task.train:
        a, b = (answer == example.answer for answer in task.demonstrate(example, "teacher", 2, seed=0))
        c = task.demonstrate(example, "teacher", 1, seed=1)[0] == example.answer
        first, second, third = first + (a == b), second + (a == c), third + 1
    assert abs(first / third - 0.5) < 0.05 and abs(second / third - 0.5) < 0.05


@pytest.mark.parametrize(
    ("response", "extracted", "correct"),
    [
        ("12", "12", True),
        (" 12\n", "12", True),
        ("012", "012", False),
        ("+12", None, False),
        ("12.", None, False),
        ("12 ", "12", True),
        ("13", "13", False),
        ("-12", "-12", False),
        ("1 2", None, False),
        ("", None, False),
        ("12=12", None, False),
        ("١٢", None, False),
        ("１２", None, False),
        ("12\x00", None, False),
        ("1" * 100_000, None, False),
    ],
)
def test_plain_grading(response, extracted, correct):
    assert Arithmetic().grade(SEVEN_FIVE, response) == Grade(float(correct), correct, extracted)


@pytest.mark.parametrize(
    ("response", "extracted", "correct"),
    [
        ("12", "12", True),
        ("12.", "12", True),
        ("12.0", "12.0", True),
        ("012", "012", True),
        ("**12**", "12", True),
        ("7 + 5 = 12", "12", True),
        ("7 + 5 = 12.", "12", True),
        ("The answer is 12!", "12", True),
        ("$12$", "12", True),
        ("\\boxed{12}", "12", True),
        ("12\n\nExplanation: 7 + 5 = 12", "12", True),
        ("13, no: 12", "12", True),
        ("12, no: 13", "13", False),
        ("12 (7 plus 5)", "5", False),
        ("-12", "-12", False),
        ("7-12", "12", True),
        ("120", "120", False),
        ("112", "112", False),
        ("1,012", "1,012", False),
        ("12.5", "12.5", False),
        ("x12", None, False),
        ("twelve", None, False),
        ("", None, False),
        ("١٢", None, False),
        ("\x0012\x00", "12", True),
        ("1" * 100_000, None, False),
        ("0" * 100_000 + "12", None, False),
    ],
)
def test_chat_grading(response, extracted, correct):
    assert Arithmetic(form="chat").grade(SEVEN_FIVE, response) == Grade(float(correct), correct, extracted)


@given(st.text() | st.text("0123456789+-=., \n$e"), st.sampled_from(["plain", "chat"]))
def test_grading_never_raises(response, form):
    grade = Arithmetic(level=1, form=form).grade(SEVEN_FIVE, response)
    assert grade.reward == float(grade.correct) and (grade.extracted is not None or not grade.correct)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(-9, 9))
def test_grading_accepts_the_sum_and_no_other(a, b, error):
    example = Example(id=f"{a}+{b}", prompt=f"{a}+{b}=", answer=str(a + b))
    for form in ("plain", "chat"):
        assert Arithmetic(level=1, form=form).grade(example, str(a + b + error)).correct == (error == 0)
