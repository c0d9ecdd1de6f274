"""Style: upstream's counts on real answers, the fits against sklearn, and what is at equal style."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

from leaderboard.records import LeaderboardError
from leaderboard.verdicts import Player, Style
from leaderboard.winrates import style

from .conftest import STYLE, judged

BENCHMARK = "arena_published"


def test_counts_by_hand():
    text = (
        "# One\n## Two\n####### seven is none\n#none\n"
        "- a\n* b\n  + c\n1. d\n12. e\n-none\n"
        "**bold** and __too__, not ** this\n** nor __\n"
        "```\n# code\n- code\n**code**\n```\n"
    )
    assert style.features(text) == Style(headers=2, lists=5, bold=2)
    assert style.features("") == Style(0, 0, 0)
    # What stands in a fence is taken out wherever it stands.
    assert style.features("```# x\n```\n# x\n") == Style(0, 0, 0)


@pytest.mark.parametrize("name", ["v2.0_baseline_o3-mini-2025-01-31", "v2.0_answers_extra_8b_models"])
def test_counts_are_upstreams_on_every_answer(data_folder, name):
    """2,250 answers with the counts that upstream stored beside them."""
    for row in pd.read_parquet(data_folder / "arena_hard" / f"{name}.parquet").to_dict("records"):
        said = json.loads(row["metadata"])
        counts = Style(*(sum(said[f"{key}_count"].values()) for key in ("header", "list", "bold")))
        assert style.features(row["answer"]) == counts, row["uid"]


def test_differences_by_hand():
    ours, theirs = [[100, 2, 0, 4]], [[50, 0, 1, 4]]
    old = style.differences(ours, theirs, "upstream-v0.1")
    np.testing.assert_allclose(old, [[50 / 151, 2 / 3, -1 / 2, 0]])
    np.testing.assert_array_equal(style.differences(ours, theirs, "ours"), old)
    d = np.array([2, 0, 4]) / 101 - np.array([0, 1, 4]) / 51
    s = np.array([2, 0, 4]) / 101 + np.array([0, 1, 4]) / 51
    np.testing.assert_allclose(style.differences(ours, theirs, "upstream-v2"), [[50 / 150, *(d / (s + 1))]])
    assert not style.differences([[0, 0, 0, 0]], [[0, 0, 0, 0]], "upstream-v2").any()
    for formula in ("ours", "upstream-v2"):
        np.testing.assert_allclose(style.differences(theirs, ours, formula), -style.differences(ours, theirs, formula))


def simulated(seed=0, n=1500, shift=0.0):
    rng = np.random.default_rng(seed)
    models = rng.choice(["a", "b", "c"], n)
    z = rng.normal(size=(n, 4)) + shift
    theta = np.array([{"a": 1.0, "b": 0.0, "c": -1.0}[m] for m in models])
    p = 1 / (1 + np.exp(-(theta + z @ [0.8, 0.0, -0.3, 0.2])))
    return models.tolist(), (rng.random(n) < p).astype(float), rng.choice([1.0, 3.0], n), z


def test_the_fit_without_a_ridge_is_sklearns():
    linear = pytest.importorskip("sklearn.linear_model")
    models, score, weight, z = simulated()
    names = sorted(set(models))
    design = np.hstack([np.array([[m == name for name in names] for m in models], dtype=float), z])
    fit = linear.LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-10, max_iter=5000)
    fit.fit(design, score, sample_weight=weight)
    theta, beta = style.bradley_terry(models, score, weight, z)
    np.testing.assert_allclose([*theta.values(), *beta], fit.coef_[0], atol=1e-5)


def test_the_fit_with_a_ridge_is_upstreams():
    """Its design: +ln 10 for the baseline, −ln 10 for the model, everything twice, scikit-learn's default penalty."""
    linear = pytest.importorskip("sklearn.linear_model")
    models, score, weight, z = simulated(n=400)
    names = sorted(set(models))
    hot = np.array([[m == name for name in names] for m in models], dtype=float)
    design = np.hstack([np.full((len(models), 1), math.log(10)), -math.log(10) * hot, -z])
    fit = linear.LogisticRegression(fit_intercept=False, tol=1e-12, max_iter=5000)
    fit.fit(np.tile(design, (2, 1)), np.tile(1 - score, 2), sample_weight=np.tile(weight, 2))
    theta, beta = style.bradley_terry(models, score, weight, z, ridge=0.5)
    coefficients = fit.coef_[0]
    np.testing.assert_allclose(list(theta.values()), math.log(10) * (coefficients[1:4] - coefficients[0]), atol=1e-5)
    np.testing.assert_allclose(beta, coefficients[4:], atol=1e-5)


def test_ours_is_at_equal_style_and_upstreams_at_the_sets_average():
    models, score, weight, raw = simulated(n=60_000, shift=1.0)
    ours = style.controlled(models, score, weight, raw, "ours")
    centred = style.controlled(models, score, weight, raw, "upstream-v2")
    for name, theta in (("a", 1.0), ("b", 0.0), ("c", -1.0)):
        assert ours.win_rates[name] == pytest.approx(1 / (1 + math.exp(-theta)), abs=0.02)
        assert centred.win_rates[name] == pytest.approx(1 / (1 + math.exp(-theta - 0.7)), abs=0.02)
    assert ours.coefficients["length"] == pytest.approx(0.8, abs=0.03)


def test_a_model_depends_on_the_others_of_the_set():
    models, score, weight, raw = simulated()
    every = style.controlled(models, score, weight, raw, "upstream-v2").win_rates["a"]
    keep = [n for n, name in enumerate(models) if name != "c"]
    fewer = style.controlled([models[n] for n in keep], score[keep], weight[keep], raw[keep], "upstream-v2")
    assert every != pytest.approx(fewer.win_rates["a"], abs=1e-4)


def test_style_that_never_varies_controls_nothing():
    models, score, weight, _ = simulated()
    found = style.controlled(models, score, weight, np.ones((len(models), 4)))
    raw = {m: np.average(score[np.array(models) == m], weights=weight[np.array(models) == m]) for m in "abc"}
    assert found.win_rates == pytest.approx(raw) and not any(found.coefficients.values())


def test_models_that_always_win_or_lose():
    models, score, weight, z = simulated(n=300)
    score = np.where(np.array(models) == "a", 1.0, np.where(np.array(models) == "c", 0.0, score))
    theta, _ = style.bradley_terry(models, score, weight, z)
    assert theta["a"] == math.inf and theta["c"] == -math.inf and math.isfinite(theta["b"])
    assert style.controlled(models, score, weight, z).win_rates["a"] == 1.0
    old = style.controlled(models, score, weight, z, "upstream-v0.1").win_rates
    assert old["a"] > 0.9 and old["c"] < 0.1  # its prior keeps them off 1 and 0


def test_published_numbers_need_the_published_set(benchmark_script, data_folder):
    """At hand: 2 of the 72 models. Their β and their average style are not the published set's."""
    published = benchmark_script.published_style(data_folder)
    assert (len(published), published["gpt-4-0613"], published["gpt-3.5-turbo-0125"]) == (73, 49.7, 34.6)
    fits, games = benchmark_script.styled(data_folder, "official_2models")
    assert games == 2658
    upstream, ours = fits["upstream-v0.1"].win_rates, fits["ours"].win_rates
    # Both write less than the baseline, so at equal style they win more than they do.
    assert upstream["gpt-4-0613"] < 0.379 < ours["gpt-4-0613"] < 0.497
    assert upstream["gpt-3.5-turbo-0125"] < 0.2334 < ours["gpt-3.5-turbo-0125"] < 0.346


def recorded(tokens, name="m"):
    """Twenty questions; the answer's length and Markdown vary as `tokens` do."""
    scores = {str(k): (float(k % 3 == 0), float(k % 2)) for k in range(20)}
    one = judged(scores, candidate=name, tokens=(100, 100), style=STYLE, task="arena_hard")
    pairs = [
        msgspec.structs.replace(
            pair, tokens=(tokens[n % len(tokens)], 100), style=(Style(n % 2, n % 3, n % 5), STYLE[1])
        )
        for n, pair in enumerate(one.pairs)
    ]
    return replace(one, pairs=pairs)


def test_recorded_verdicts_over_a_declared_set():
    found = [recorded((50, 150, 300, 70), "m"), recorded((100, 20, 400), "n")]
    rates = style.of_many(found).win_rates
    assert set(rates) == {"0", "1"} and all(0 < rate < 1 for rate in rates.values())
    with pytest.raises(LeaderboardError, match="takes one baseline, not another, baseline"):
        style.of_many([found[0], judged({"a": (1.0,)}, opponent=Player("another"))])
    with pytest.raises(LeaderboardError, match="pair 'a' has no tokens or no style"):
        style.of_many([judged({"a": (1.0,)})])


def test_fits_that_say_nothing_are_refused():
    models = ["a"] * 20 + ["b"] * 20
    constant = np.array([[1.0, 0, 0, 0]] * 20 + [[0.0, 0, 0, 0]] * 20)
    score = np.tile([1.0, 0.0], 20)
    with pytest.raises(style.StyleError, match="cannot be told from the models"):
        style.controlled(models, score, np.ones(40), constant)
    with pytest.raises(style.StyleError, match="tells all wins from all losses"):
        style.controlled(models, score, np.ones(40), np.hstack([2 * score[:, None] - 1, np.zeros((40, 3))]))
