"""The length-controlled win rate: a minimum, the published one, the same for any order of rows, and its error."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboard.winrates import length_control
from leaderboard.winrates.length_control import Rows
from leaderboard.winrates.side_file import SideFile

from .conftest import judged

BENCHMARK = "alpaca_published"

# With the reconstruction of the gamed rows the official folds, too, choose another C for these than the published fit
# had: both are then off by as much. All others are met.
OTHER_FOLDS = {
    "falcon-7b-instruct", "gpt-3.5-turbo-1106", "gpt4_gamed", "jina-chat", "nous-hermes-13b", "oasst-sft-llama-33b",
    "oasst-sft-pythia-12b", "vicuna-13b-v1.5",
}  # fmt: skip


@pytest.fixture(scope="module")
def models(benchmark_script, data_folder, side):
    return {model.name: model for model in benchmark_script.models(data_folder, side)}


def small(gamed: int = 40) -> SideFile:
    """A side file of our own making, without any data."""
    rng = np.random.default_rng(1)
    difficulty, x = rng.normal(size=gamed), np.tanh(rng.normal(size=2 * gamed))
    both = np.tile(difficulty, 2)
    share = 1 / (1 + np.exp(1.5 * x - 0.8 * both + rng.normal(size=2 * gamed)))
    return SideFile(difficulty, x, both, 1 - share)


def some(n: int, seed: int = 0, side: SideFile | None = None) -> Rows:
    rng = np.random.default_rng(seed)
    difficulty = (side or small(max(n, 40))).difficulty[:n]
    return length_control.rows(rng.random(n), rng.integers(1, 3000, n), rng.integers(1, 3000, n), difficulty, range(n))


def objective(found: Rows, side: SideFile, strength: float, w: np.ndarray) -> float:
    """‖w‖₁ + C·Σ weighted log-loss, written out from the docstring."""
    x = np.tanh(found.delta / np.std(found.delta, ddof=1))
    logits = w[0] * x + w[1] * found.difficulty + w[2]
    gamed = w[0] * side.gamed_length + w[1] * side.gamed_difficulty

    def loss(y, z):
        p = 1 / (1 + np.exp(-z))
        return -(y * np.log(p) + (1 - y) * np.log(1 - p))

    total = loss(found.share, logits).sum() + 0.1 * loss(side.gamed_share, gamed).sum()
    return np.abs(w).sum() + strength * total


@pytest.mark.parametrize("strength", [1e-3, 0.05, 0.359, 2.78, 1e4])
def test_the_fit_is_the_minimum_of_its_objective(strength):
    found, side = some(40), small()
    fit = length_control.fit(found, side, strength)
    w = np.array([fit.length, fit.difficulty, fit.constant])
    least = objective(found, side, strength, w)
    rng = np.random.default_rng(0)
    for scale in (1e-5, 1e-3, 0.1, 1.0):
        for _ in range(50):
            assert objective(found, side, strength, w + scale * rng.normal(size=3)) >= least - 1e-9 * abs(least)
    # w_diff and θ alone make the win rate: the length term is set to 0.
    p = 1 / (1 + np.exp(-(w[1] * found.difficulty + w[2])))
    assert fit.win_rate == pytest.approx(p.mean(), abs=1e-12)


def test_one_instruction_by_hand():
    # γ = 0, no difference of length, no gamed row: min |c| + C·loss(c), at which C(σ(c) − y) = −1 for y > ½:
    # σ(c) = .9 − 1/10 for C = 10, and c = 0 where C(y − ½) < 1.
    side = SideFile(np.zeros(1), np.zeros(1), np.zeros(1), np.array([0.5]))
    found = length_control.rows([0.9], [10], [10], [0.0], [0])
    assert length_control.fit(found, side, 10.0).win_rate == pytest.approx(0.8)
    assert length_control.fit(found, side, 2.0).win_rate == 0.5


def test_every_published_number_that_the_official_function_reproduces(models, side):
    complete = {name: model for name, model in models.items() if model.by_position is None}
    assert len(complete) == 40
    for name, model in complete.items():
        off = 100 * abs(length_control.fit(model.rows, side).win_rate - model.length_controlled)
        assert 0.05 < off < 0.15 if name in OTHER_FOLDS else off < 0.02, name
    # The baseline against itself is ½ by construction.
    assert length_control.fit(models["gpt4_1106_preview"].rows, side).win_rate == 0.5


def test_published_numbers_of_files_that_miss_rows_stand_on_wrong_difficulties(models, side):
    positional = {name: model for name, model in models.items() if model.by_position is not None}
    assert {name: len(model.rows.share) for name, model in positional.items()} == {
        "alpaca-7b_verbose": 802, "minotaur-13b": 804,
    }  # fmt: skip
    for model in positional.values():
        by_position = length_control.fit(model.by_position, side).win_rate
        assert abs(by_position - model.length_controlled) < 0.001
        assert length_control.fit(model.rows, side).win_rate < by_position - 0.015


@pytest.mark.parametrize("name", ["claude-2.1", "gemma-7b-it", "NullModel"])
def test_shuffled_rows_are_the_same_rows(benchmark_script, models, side, name):
    model = models[name]
    assert benchmark_script.shuffled(model, side, 3) == length_control.fit(model.rows, side)


@given(st.permutations(range(12)))
@settings(max_examples=10, deadline=None)
def test_any_order_gives_the_same_bits(order):
    found, side, order = some(12), small(), np.array(order)
    parts = (found.share, 0 * found.delta, found.delta, found.difficulty, found.index)
    again = length_control.rows(*(part[order] for part in parts))
    assert length_control.fit(again, side) == length_control.fit(found, side)
    assert length_control.bootstrap(again, side, "x", 2.78, 20) == length_control.bootstrap(found, side, "x", 2.78, 20)


def test_length_is_what_is_taken_out(side):
    """A candidate whose wins are those of its length alone has the win rate of equal lengths."""
    rng = np.random.default_rng(0)
    mine, theirs = rng.integers(100, 3000, 805), rng.integers(100, 1500, 805)
    x = np.tanh((theirs - mine) / np.std(theirs - mine, ddof=1))
    share = 1 / (1 + np.exp(1.6 * x - 0.75 * side.difficulty))
    found = length_control.rows(share, mine, theirs, side.difficulty, range(805))
    equal = (1 / (1 + np.exp(-0.75 * side.difficulty))).mean()
    assert share.mean() > equal + 0.1
    assert length_control.fit(found, side).win_rate == pytest.approx(equal, abs=0.01)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5])
def test_a_candidate_that_always_loses_wins_or_ties(side, share):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 3000, (2, 805))
    found = length_control.rows(np.full(805, share), *lengths, side.difficulty, range(805))
    fit = length_control.fit(found, side)
    drawn = length_control.bootstrap(found, side, "x", fit.strength, 20)
    assert fit.win_rate == pytest.approx(share, abs=0.01)
    assert drawn.low <= fit.win_rate + 1e-6 and drawn.high >= fit.win_rate - 1e-6 and drawn.se < 0.005
    assert np.isfinite(length_control.pseudo_values(found, side, fit.strength)).all()


@pytest.mark.parametrize("delta", [0, 100, -100])
def test_lengths_that_all_differ_alike(delta):
    found = some(40)
    found = replace(found, delta=np.full(40, float(delta)))
    fit = length_control.fit(found, small())
    assert 0 < fit.win_rate < 1 and 0 < length_control.bootstrap(found, small(), "x", fit.strength, 20).se < 0.2


def test_rows_without_a_verdict_are_predicted_and_not_fitted():
    found, side = some(40), small()
    without = replace(found, share=np.where(np.arange(40) < 4, np.nan, found.share))
    kept = replace(found, share=found.share[4:], delta=found.delta[4:], difficulty=found.difficulty[4:])
    fit = length_control.fit(without, side, 2.78)
    assert fit.n == 40 and without.judged == 36
    p = 1 / (1 + np.exp(-(fit.difficulty * found.difficulty + fit.constant)))
    assert fit.win_rate == pytest.approx(p.mean())
    # sd(δ) is of all rows, as upstream has it: with theirs rescaled to it, the fit is that of the others.
    scale = np.std(found.delta, ddof=1) / np.std(kept.delta, ddof=1)
    alone = length_control.fit(kept, side, 2.78)
    assert (alone.constant == pytest.approx(fit.constant, abs=0.1)) and scale != 1


def test_rows_that_do_not_fit_are_refused():
    good = ([0.5, 1.0], [1, 2], [3, 4], [0.0, 0.1], [0, 1])
    for change, words in (
        ((4, [1, 1]), "index 1 stands twice"),
        ((0, [0.5]), "one value a row each"),
        ((0, [0.5, 1.5]), r"\[0, 1\]"),
        ((0, [np.nan, np.nan]), r"\[0, 1\]"),
        ((3, [np.nan, 0.0]), "difficulty must be finite"),
    ):
        parts = list(good)
        parts[change[0]] = change[1]
        with pytest.raises(ValueError, match=words):
            length_control.rows(*parts)


def test_rows_of_recorded_verdicts():
    one = judged({"b": (1.0, 0.5), "a": ("invalid", "failed")}, difficulty=0.3)
    found = length_control.of_judged(one)
    assert found.share.tolist()[0] == 0.75 and np.isnan(found.share[1])
    assert found.delta.tolist() == [100, 100] and found.difficulty.tolist() == [0.3, 0.3]
    missing = replace(one, pairs=one.pairs[:1])  # of an interrupted judging
    assert length_control.of_judged(missing).index.tolist() == [0]
    assert length_control.of_judged(judged({"a": (1.0,)})) is None
    assert length_control.of_judged(judged({"a": ("failed",)}, difficulty=0.3)) is None


def test_the_bootstrap_and_the_jackknife_agree_and_the_published_error_is_too_small(models, side):
    model = models["gemma-7b-it"]
    fit = length_control.fit(model.rows, side)
    drawn = length_control.bootstrap(model.rows, side, "gemma", fit.strength, 400)
    pseudo = length_control.pseudo_values(model.rows, side, fit.strength)
    assert pseudo.mean() == pytest.approx(fit.win_rate)
    assert pseudo.std(ddof=1) / 805**0.5 == pytest.approx(drawn.se, rel=0.15)
    p = 1 / (1 + np.exp(-(fit.difficulty * model.rows.difficulty + fit.constant)))
    assert drawn.se > 2 * p.std(ddof=1) / 805**0.5
    few = [length_control.bootstrap(model.rows, side, name, fit.strength, 20) for name in ("a", "a", "b")]
    assert few[0] == few[1] != few[2]
    assert drawn.low < fit.win_rate < drawn.high


def test_paired_draws_are_those_of_the_same_instructions(models, side):
    one, other = models["claude-2"].rows, models["claude-2.1"].rows
    drawn = length_control.paired(one, other, side, "x", (2.78, 2.78), draws=100)
    fits = [length_control.fit(rows, side, 2.78).win_rate for rows in (one, other)]
    assert drawn.value == pytest.approx(fits[0] - fits[1])
    alone = [length_control.bootstrap(rows, side, "x", 2.78, 100).se for rows in (one, other)]
    assert drawn.se < 0.9 * np.hypot(*alone)
    back = length_control.paired(other, one, side, "x", (2.78, 2.78), draws=100)
    assert (back.value, back.low, back.p) == pytest.approx((-drawn.value, -drawn.high, drawn.p))
    none = length_control.paired(one, one, side, "x", (2.78, 2.78), draws=50)
    assert (none.value, none.low, none.high, none.p) == (0, 0, 0, 1.0)
    with pytest.raises(ValueError, match="the same instructions"):
        length_control.paired(one, some(40), side, "x", (1.0, 1.0))


@pytest.mark.slow
def test_the_interval_covers(side):
    """95 % intervals of 300 instructions hold the population's value in 91 to 98 of 100 samples."""
    rng, n, runs, held = np.random.default_rng(0), 300, 300, 0
    a, b, c = -1.58, 0.76, -0.4  # the gamed rows' own a and b: the prior pulls nowhere
    truth = (1 / (1 + np.exp(-(b * side.difficulty + c)))).mean()
    for run in range(runs):
        gamma = rng.choice(side.difficulty, n)
        lengths = rng.integers(100, 3000, (2, n))
        delta = lengths[1] - lengths[0]
        p = 1 / (1 + np.exp(-(a * np.tanh(delta / np.std(delta, ddof=1)) + b * gamma + c)))
        found = length_control.rows((rng.random(n) < p).astype(float), *lengths, gamma, range(n))
        drawn = length_control.bootstrap(found, side, str(run), 1e4, 300)
        held += drawn.low <= truth <= drawn.high
    assert 0.91 <= held / runs <= 0.98, held / runs


def compared(n: int, seed: int, a: float, c: float, shift: float = 0.0) -> Rows:
    """Two games a pair by a judge of P(win) = σ(a·x + c); answers `shift` sd longer than the opponent's."""
    rng = np.random.default_rng(seed)
    theirs = rng.normal(1000, 150, n).round()
    mine = (theirs + rng.normal(300 * shift, 300, n)).round()
    p = 1 / (1 + np.exp(-(a * np.tanh((theirs - mine) / np.std(theirs - mine, ddof=1)) + c)))
    return length_control.rows((rng.random((2, n)) < p).mean(0), mine, theirs, np.zeros(n), range(n))


@pytest.mark.parametrize("c", [0.0, 0.8])
def test_a_plain_control_takes_a_judges_bias_for_length_out(c):
    """Of 40 judgings of 200 pairs: the win rate is off by 16 points, its control by less than its own error."""
    truth = 1 / (1 + np.exp(-c))
    found = [compared(200, seed, -1.5, c, shift=1.0) for seed in range(40)]
    plain = np.array([length_control.fit(rows, length_control.PLAIN).win_rate for rows in found])
    raw = np.mean([rows.share.mean() for rows in found])
    assert raw - truth > 0.12 and abs(plain.mean() - truth) < 3 * plain.std() / np.sqrt(40) + 0.004
    drawn = [
        length_control.bootstrap(rows, length_control.PLAIN, str(n), 2.78, 100) for n, rows in enumerate(found[:10])
    ]
    assert np.mean([one.se for one in drawn]) == pytest.approx(plain.std(), rel=0.3)


def test_a_plain_control_finds_nothing_where_length_decides_nothing():
    found = [compared(200, seed, 0.0, 0.4, shift=1.0) for seed in range(20)]
    off = [length_control.fit(rows, length_control.PLAIN).win_rate - rows.share.mean() for rows in found]
    assert abs(np.mean(off)) < 0.02


@pytest.mark.parametrize("n", [10, 100])
def test_without_a_difference_of_length_the_plain_control_is_the_win_rate(n):
    found = replace(compared(n, 1, 0.0, 1.0), delta=np.zeros(n))
    fit = length_control.fit(found, length_control.PLAIN)
    assert fit.length == fit.difficulty == 0
    assert fit.win_rate == pytest.approx(found.share.mean() - 1 / (fit.strength * n), abs=1e-9)  # the penalty's


def test_the_plain_fit_is_the_minimum_of_its_objective():
    found = compared(30, 2, -1.0, 0.5)
    fit = length_control.fit(found, length_control.PLAIN)
    w = np.array([fit.length, 0.0, fit.constant])
    least = objective(found, length_control.PLAIN, fit.strength, w)
    for scale in (1e-5, 1e-3, 0.1, 1.0):
        for step in np.random.default_rng(0).normal(size=(50, 3)):
            assert objective(found, length_control.PLAIN, fit.strength, w + scale * step * [1, 0, 1]) >= least - 1e-9


@pytest.mark.parametrize("n", [10, 11, 20])
@pytest.mark.parametrize("shift", [0.0, 1.0, 6.0])
def test_few_pairs_even_where_lengths_all_but_agree(n, shift):
    """A draw of few instructions may leave one length, or lengths that part wins from losses."""
    for seed in range(3):
        found = compared(n, seed, -3.0, 0.0, shift)
        strength = length_control.choose(found, length_control.PLAIN)
        assert strength in length_control.OF_PLAIN
        drawn = length_control.bootstrap(found, length_control.PLAIN, str(seed), strength, 200)
        values = length_control.pseudo_values(found, length_control.PLAIN, strength)
        fit = length_control.fit(found, length_control.PLAIN, strength)
        assert 0 <= drawn.low <= drawn.high <= 1 and values.mean() == pytest.approx(fit.win_rate)


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_a_plain_control_of_nothing_but_wins_ties_or_losses(score):
    found = replace(compared(12, 0, -1.0, 0.0), share=np.full(12, score))
    fit = length_control.fit(found, length_control.PLAIN)
    assert abs(fit.win_rate - score) < 0.04 and (score != 0.5 or fit.win_rate == 0.5)
    drawn = length_control.bootstrap(found, length_control.PLAIN, "x", fit.strength, 50)
    assert drawn.high - drawn.low < 0.04


def test_folds_of_fewer_rows_than_folds():
    assert length_control.choose(compared(3, 0, -1.0, 0.0), length_control.PLAIN) in length_control.OF_PLAIN


def lengths(longer: int, shorter: int, equal: int = 0, **changes):
    """A judging whose answers are longer or shorter than the opponent's so many times; won when longer."""
    chars = [(200, 100)] * longer + [(100, 200)] * shorter + [(100, 100)] * equal
    one = judged({str(n): (float(mine >= theirs),) * 2 for n, (mine, theirs) in enumerate(chars)}, **changes)
    pairs = [msgspec.structs.replace(pair, chars=chars[n]) for n, pair in enumerate(one.pairs)]
    return replace(one, pairs=pairs)


def test_each_task_has_its_own_control(side):
    ours = lengths(20, 20, task="ours")
    rows, with_ = length_control.control(ours, side)
    assert with_ is length_control.PLAIN and not rows.difficulty.any()
    for task, reason in (("alpaca_eval", None), ("arena_hard", None), ("arena_hard_v2", None)):
        assert (
            length_control.control(lengths(20, 20, task=task), side)
            is reason
            is length_control.unplain(lengths(20, 20, task=task))
        )
    official = judged({str(n): (1.0, 0.0) for n in range(12)}, difficulty=0.3)
    assert length_control.control(official, None) is None
    assert length_control.control(official, side).side is side


@pytest.mark.parametrize(
    ("longer", "shorter", "equal", "why"),
    [
        (20, 20, 0, None),
        (36, 4, 0, None),
        (37, 3, 0, "92 % of its answers are longer than the opponent's"),
        (3, 37, 0, "92 % of its answers are shorter"),
        (36, 0, 4, None),  # of equal length is as good as both
        (0, 0, 12, None),
        (5, 4, 0, "9 judged pairs, of at least 10"),
    ],
)
def test_a_plain_control_takes_lengths_on_either_side(longer, shorter, equal, why):
    one = lengths(longer, shorter, equal, task="ours")
    found = length_control.unplain(one)
    assert (found is None) == (why is None) == (length_control.control(one, None) is not None)
    assert why is None or why in found
