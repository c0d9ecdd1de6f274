"""The built-in preference: its worth is what its page says, its labels are biased as they should be."""

import math
from statistics import fmean

import pytest

from tasks.preference import Preference
from tasks.rewards.gold import KnowsGold
from tasks.selftest import selftest

TASK = Preference()


@pytest.mark.parametrize(
    ("response", "worth"),
    [
        ("", 0.0), ("1", -0.5), ("2", 8 * (1 - math.exp(-0.5)) - 0.5), ("24680", 8 * (1 - math.exp(-2.5)) - 2.5),
        ("13579", -2.5), ("2 ", 8 * (1 - math.exp(-0.5)) - 0.5), ("2=", 8 * (1 - math.exp(-0.5)) - 1.0),
    ],
)  # fmt: skip
def test_what_a_response_is_worth(response, worth):
    assert TASK.gold("123=", response) == pytest.approx(worth, abs=1e-12)
    graded = TASK.grade(TASK.train[0], response)
    assert graded.gold == pytest.approx(worth) and graded.correct is None and graded.reward == 0.0
    assert (graded.extracted is None) == (not response)


def test_four_even_digits_are_best_and_the_experts_response():
    worth = {n: TASK.gold("", "2" * n) for n in range(16)}
    assert max(worth, key=worth.get) == 4 and worth[15] < worth[1] < worth[4]
    (best,) = TASK.demonstrate(TASK.train[0], "expert", 3, seed=7)
    assert TASK.gold("", best) == max(worth.values())


def test_prompts_are_on_one_side_and_a_larger_share_only_adds():
    train, heldout = ({e.id for e in part} for part in (TASK.train, TASK.heldout))
    assert not train & heldout and len(train | heldout) == 1000 and 60 < len(heldout) < 140
    more = {e.id for e in Preference(heldout_share=0.3).heldout}
    assert heldout < more and {e.id for e in Preference(data_seed=1).heldout} != heldout


def test_the_teacher_draws_from_hashes_alone():
    example = TASK.train[3]
    four = TASK.demonstrate(example, "teacher", 4, seed=1)
    assert TASK.demonstrate(example, "teacher", 2, seed=1) == four[:2] and len(set(four)) > 1
    assert TASK.demonstrate(example, "teacher", 4, seed=2) != four
    drawn = [text for e in TASK.train for text in TASK.demonstrate(e, "teacher", 4, seed=0)]
    digits = "".join(drawn)
    assert fmean(c in "02468" for c in digits) == pytest.approx(0.4, abs=0.02)
    assert fmean(map(len, drawn)) == pytest.approx(1 / 0.6, abs=0.05)  # geometric: too short
    assert fmean(len(text) == 1 for text in drawn) == pytest.approx(0.6, abs=0.02)


def test_labels_follow_worth_and_length():
    """The share of pairs in which the longer one is chosen is that of σ(Δgold + bias·Δlength), for three biases."""
    for bias in (0.0, 0.55, -0.55):
        task = Preference(length_bias=bias)
        pairs = task.preference_pairs(4000, seed=5)
        expected, longer = [], []
        for pair in pairs:
            a, b = sorted((pair.chosen, pair.rejected), key=lambda text: (len(text), text))
            if len(a) != len(b):
                better = task.gold("", b) - task.gold("", a) + bias * (len(b) - len(a))
                expected.append(1 / (1 + math.exp(-better)))
                longer.append(pair.chosen == b)
        assert fmean(longer) == pytest.approx(fmean(expected), abs=0.02), bias
    biased = TASK.preference_pairs(2000, seed=5)
    right = fmean(TASK.gold("", pair.chosen) > TASK.gold("", pair.rejected) for pair in biased)
    assert 0.55 < right < 0.7  # right about most, and wrong about many


def test_pairs_are_known_by_their_content():
    pairs = TASK.preference_pairs(50, seed=0)
    assert pairs == TASK.preference_pairs(60, seed=0)[:50] and len({pair.id for pair in pairs}) == 50
    assert all(pair.chosen != pair.rejected for pair in TASK.preference_pairs(3000, seed=0))
    others = Preference(length_bias=3.0).preference_pairs(50, seed=0)
    changed = [(a, b) for a, b in zip(pairs, others, strict=True) if a.chosen != b.chosen]
    assert changed and all(a.id != b.id for a, b in changed)
    asked = {example.prompt for example in TASK.train}
    assert {pair.prompt[0]["content"] for pair in pairs} <= asked


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"heldout_share": 1.0}, "heldout_share = 1.0; allowed: a number between 0 and 1"),
        ({"teacher_accuracy": 2}, "teacher_accuracy = 2; allowed: a number from 0 to 1"),
        ({"length_bias": math.inf}, "length_bias = inf; allowed: a finite number"),
        ({"data_seed": 0.5}, "data_seed = 0.5; allowed: any integer"),
        ({"heldout_share": 1e-9}, "allowed: a value that leaves prompts on both sides"),
    ],
)
def test_bad_parameters(parameters, said):
    with pytest.raises(ValueError, match=said):
        Preference(**parameters)


def test_it_is_what_it_says():
    assert isinstance(TASK, KnowsGold) and not TASK.graded and TASK.verifier == "none"
    assert TASK.instruction(TASK.train[0]) == TASK.train[0].prompt and TASK.question(TASK.train[0]) is None
    assert selftest(TASK).passed
