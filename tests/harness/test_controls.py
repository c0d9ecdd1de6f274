"""Control arms: noise that a table must not call learning."""

from __future__ import annotations

import pytest

from harness import controls, running
from harness.errors import UserError
from leaderboard import records
from tasks.base import Grade

BOTH = {"algorithms": ["grpo@no-kl", "dapo"], "controls": ["random-reward", "a-a"], "budget": {"steps": 3}}


def samples(folder):
    return [(r["step"], r["id"], r["text"], r["reward"]) for r in records.read_lines(folder / "samples.jsonl")]


def test_arms_are_rows_of_their_own_beside_the_first_algorithm(small):
    cells = small.cells(**BOTH, seeds=[0, 1])
    assert [c.label for c in cells[:4]] == [
        "grpo@no-kl", "dapo@verl", "grpo@no-kl, random reward", "grpo@no-kl, A/A",
    ]  # fmt: skip
    assert len({c.id for c in cells}) == 8 and len({c.row for c in cells}) == 4
    plain = small.cells(algorithms=["grpo@no-kl", "dapo"], budget={"steps": 3})
    assert plain[0].id == cells[0].id  # who adds a control keeps the runs there are


def test_an_arm_may_be_of_any_entry_by_name_or_label(small):
    for of in ("dapo", "dapo@verl"):
        *_, arm = small.cells(**{**BOTH, "controls": [{"kind": "a-a", "of": of}]})
        assert arm.label == "dapo@verl, A/A" and arm.control == "a-a"


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ([{"kind": "a-a", "of": "gsop"}], r"controls.0.of: no algorithm 'gsop'.*allowed: grpo@no-kl, dapo"),
        (["coin"], "'random-reward' or 'a-a'"),
        (["a-a", "a-a"], r"controls.1: grpo@no-kl, A/A is the same run as"),
    ],
)
def test_bad_arms_are_refused_while_planning(arms, said, small):
    with pytest.raises(UserError, match=said):
        small.cells(**{**BOTH, "controls": arms})


def test_random_rewards_are_fair_coins_that_know_nothing_of_the_response():
    right, wrong = Grade(1.0, True, "7"), Grade(0.0, False, "8")
    coins = [controls.reward("random-reward", right, seed) for seed in range(4000)]
    assert coins == [controls.reward("random-reward", Grade(0.0, False, "7"), seed) for seed in range(4000)]
    assert all(c.correct == bool(c.reward) and c.extracted == "7" for c in coins)
    assert abs(sum(c.reward for c in coins) / 4000 - 0.5) < 0.03
    assert controls.reward("random-reward", Grade(0.3, None, None), 1).correct is None
    assert [controls.reward(None, g, 0) for g in (right, wrong)] == [right, wrong]
    assert controls.reward("a-a", right, 0) == right


def test_each_arm_does_what_it_says(small, tmp_path):
    """The same prompts for all; the A/A arm draws anew, the random one is rewarded by coins and evaluated as ever."""
    found = {}
    for cell in small.cells(**BOTH):
        small.run(cell, tmp_path / cell.label)
        found[cell.label] = samples(tmp_path / cell.label)
    base, random, again = (found[f"grpo@no-kl{x}"] for x in ("", ", random reward", ", A/A"))
    assert [s[:2] for s in base] == [s[:2] for s in random] == [s[:2] for s in again]
    first = [s for s in base if s[0] == 1], [s for s in random if s[0] == 1], [s for s in again if s[0] == 1]
    assert [s[2] for s in first[0]] == [s[2] for s in first[1]] != [s[2] for s in first[2]]
    assert {s[3] for s in random} == {0.0, 1.0} and {s[3] for s in base} == {0.0}  # untrained: all wrong
    steps = list(records.read_lines(tmp_path / "grpo@no-kl, random reward" / "steps.jsonl"))
    assert all(0.2 < s["reward"] < 0.8 and s["updates_without_signal"] == 0 for s in steps)
    evals = [next(records.read_lines(tmp_path / label / "evals.jsonl")) for label in found]
    assert len({e["accuracy"] for e in evals}) == 1  # at step 0 all are evaluated alike, by the truth


def test_any_recipe_takes_them_from_the_command_line(small, tmp_path, capsys):
    small.command(tmp_path, **{k: v for k, v in BOTH.items() if k != "controls"})
    arguments = ["controls=[random-reward, a-a]", "budget.steps=1"]
    assert running.run(tmp_path / "small.yaml", arguments, tmp_path / "out", [], False) == 0
    table = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "grpo@no-kl, random reward" in table and "grpo@no-kl, A/A" in table
    assert "gains without information" in table and "is noise" in table
