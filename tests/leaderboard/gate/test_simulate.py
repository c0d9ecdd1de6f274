"""The self-test's rates are those of the gate: in number, and among gates that were really made."""

from __future__ import annotations

import time

import numpy as np
import pytest

from leaderboard.gate import WHOLE, decide, parse, simulate
from leaderboard.gate.report import rates_data, rates_table


def config(*metrics, **keys):
    return parse({"metrics": list(metrics), **keys}, "it")


GSM8K = {"task": "gsm8k", "metric": "accuracy"}


@pytest.fixture(scope="module")
def base(made):
    greedy = made.task("gsm8k", made.scores(made.right(1319, 0.75)), temperature=0.0)
    sampled = made.task("math500", made.scores(made.right(500, 0.5, 4)))
    return made.evaluation(greedy, sampled)


def test_greedy_rates_are_the_gates_own(made):
    """Against gates made one by one, with flips in the stated share of the items."""
    verdicts = made.right(400, 0.75)
    base = made.evaluation(made.task("t", made.scores(verdicts), temperature=0.0))
    wanted = config({"task": "t", "metric": "accuracy", "margin": 0.03})
    found = simulate(wanted, base, 600)["t: accuracy"]
    rng, codes = np.random.default_rng(0), []
    for _ in range(80):
        right = verdicts[rng.integers(400, size=400)]
        flip = rng.random(right.shape) < np.where(right == 1, 0.025 / 0.75, 0.025 / 0.25)
        pair = [made.evaluation(made.task("t", made.scores(v), temperature=0.0)) for v in (right, abs(right - flip))]
        codes.append(decide(wanted, *pair).code)
    assert codes.count(0) / 80 == pytest.approx(found[0].passed / 600, abs=0.13)
    assert [one.loss for one in found] == [0, 0.01, 0.02, 0.03, 0.05]
    assert found[0].failed == 0 and found[3].passed < 0.075 * 600  # a loss of the margin passes in 5 %
    passes, fails = ([getattr(one, name) for one in found] for name in ("passed", "failed"))
    assert passes == sorted(passes, reverse=True) and fails == sorted(fails) and fails[-1] > 150


def test_a_whole_gate(base):
    wanted = config(
        GSM8K, {"task": "math500", "metric": "accuracy", "k": 4, "max_k": 16}, {"task": "math500", "metric": "pass@4"}
    )
    found = simulate(wanted, base, 150)
    assert list(found) == ["gsm8k: accuracy", "math500: accuracy", "math500: pass@4", WHOLE]
    whole = found[WHOLE]
    assert whole[0].failed <= 0.05 * 150
    for name, rates in found.items():
        assert all(w.passed <= one.passed for w, one in zip(whole, rates, strict=True)), name
    once = simulate(config({"task": "math500", "metric": "accuracy", "k": 4}), base, 150)["math500: accuracy"]
    assert found["math500: accuracy"][0].passed >= once[0].passed - 12
    assert simulate(wanted, base, 150) == found
    header, lines = rates_table(found)
    assert len(lines) == 4 and all(len(line) == len(header) for line in lines)
    assert rates_data(found)["rates"][WHOLE][0]["repetitions"] == 150


def test_clusters_and_odd_corners(made):
    """Pairs of paraphrases say half as much as single questions; all right or all wrong divides by nothing."""
    values = np.repeat(made.right(300, 0.6, 4), 2, axis=0)
    items = made.scores(values)
    alone = simulate(config({"task": "t", "metric": "accuracy"}), made.evaluation(made.task("t", items)), 150)[WHOLE]
    for number, one in enumerate(items):
        one.cluster = f"pair {number // 2}"
    pairs = simulate(config({"task": "t", "metric": "accuracy"}), made.evaluation(made.task("t", items)), 150)[WHOLE]
    assert alone[0].passed >= pairs[0].passed
    for accuracy in (0.0, 1.0):
        same = made.evaluation(made.task("t", made.scores(made.right(400, accuracy)), temperature=0.0))
        assert simulate(config({"task": "t", "metric": "accuracy"}), same, 50)[WHOLE][0].passed == 50
    none = simulate(config({"task": "t", "metric": "accuracy", "required": False}), same, 50)[WHOLE]
    assert none[4].passed == 50
    legacy = simulate(config({"task": "t", "metric": "accuracy", "rtol": 0.02}), same, 50)[WHOLE]
    assert legacy[0].passed == 50 and legacy[4].failed == 50
    with pytest.raises(ValueError, match="repetitions"):
        simulate(config({"task": "t", "metric": "accuracy"}), same, 0)


@pytest.mark.slow
def test_two_thousand_gates_in_seconds(base):
    began = time.perf_counter()
    simulate(config(GSM8K), base, 2000)
    assert time.perf_counter() - began < 20


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [0.3, 0.6, 0.9])
def test_a_loss_of_the_margin_passes_in_five_percent(made, accuracy):
    """Over both looks, several metrics and clusters."""
    sampled = made.task("math500", made.scores(made.right(500, accuracy, 8)))
    for one in sampled.items:
        one.cluster = str(int(one.id[1:]) // 2)
    metrics = [{"task": "math500", "metric": name, "k": 2, "max_k": 8} for name in ("accuracy", "strict_accuracy")]
    found = simulate(config(*metrics), made.evaluation(sampled), 4000)
    assert found[WHOLE][3].loss == 0.03
    assert found[WHOLE][3].passed <= 0.055 * 4000
    assert found[WHOLE][0].failed <= 0.05 * 1500
    assert found[WHOLE][3].failed <= 0.055 * 4000
