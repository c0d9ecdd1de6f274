"""Tables of rewards: the columns of accuracy in the reward's unit, gold, over-optimisation and drift."""

import math

import numpy as np
import pytest

from leaderboard import records
from leaderboard.analysis import Analysis, View
from leaderboard.columns import COLUMNS
from leaderboard.columns.rewards import GOLD, OVEROPTIMISATION
from leaderboard.loading import load
from leaderboard.stats import crossed, holm, over_seeds

from ..conftest import eval_record, item_records

ITEMS, SEEDS, STEPS = 12, 3, (0, 2, 4, 6, 8)
# What a row gains in all, by label: in reward, and in gold.
GAINS = {"grpo": (1.0, 0.5), "greedy": (4.0, -1.0), "honest": (2.0, 2.0)}


def drawn(label, seed):
    """Rewards and golds (steps, items, samples) of a run: items of different levels, seeds of different gains."""
    rng = np.random.default_rng([seed, len(label), ord(label[1])])
    level = np.random.default_rng(5).normal(-3, 1, (1, ITEMS, 1))
    share = np.minimum(1, np.array(STEPS) / 4)[:, None, None]
    parts = [gain + 0.2 * rng.normal() + 0.3 * rng.normal(size=(1, ITEMS, 1)) for gain in GAINS[label]]
    return [level + share * part + 0.1 * rng.normal(size=(len(STEPS), ITEMS, 2)) for part in parts]


def by_step(values, split="heldout", mode="sampled"):
    return {(split, mode, step): values[n].tolist() for n, step in enumerate(STEPS)}


@pytest.fixture
def analysis(results):
    for label in GAINS:
        for seed in range(SEEDS):
            reward, gold = drawn(label, seed)
            changes = {
                step: {"kl": 3.0 * step + seed, "entropy": 2 - 0.1 * step, "response_tokens": 10.0 + step * (1 + seed)}
                for step in STEPS
            }
            probe = by_step(reward + 0.5 * np.array(STEPS)[:, None, None], "probe")
            results.rewarded(label, seed, by_step(reward) | probe, by_step(gold), changes)
    (table,) = load(results.plan())
    return Analysis(table, table.rows, View(), {})


def entry(analysis, label, name):
    return COLUMNS[name].entry(analysis, next(row for row in analysis.rows if row.label == label))


def finals(label, which=0):
    """(seeds, items) at the end less the start."""
    found = [drawn(label, seed)[which].mean(axis=2) for seed in range(SEEDS)]
    return np.array([one[-1] for one in found]), np.array([one[-1] - one[0] for one in found])


def same(entry, estimate):
    assert (entry.value, entry.low, entry.high) == pytest.approx((estimate.mean, estimate.low, estimate.high))


def test_a_table_without_verdicts_is_measured_by_its_reward(analysis):
    assert analysis.measure == "reward"
    final, gain = finals("greedy")
    same(entry(analysis, "greedy", "sampled_final"), crossed(final))
    same(entry(analysis, "greedy", "sampled_gain"), crossed(gain))
    assert entry(analysis, "greedy", "sampled_final").value < 2 < entry(analysis, "greedy", "sampled_gain").value


def test_comparisons_are_paired_by_seed_and_item_and_adjusted(analysis):
    theirs, raw = finals("grpo")[0], []
    for label in ("greedy", "honest"):
        found = entry(analysis, label, "sampled_delta")
        same(found, estimate := crossed(finals(label)[0] - theirs))
        raw.append(estimate.p)
        assert found.p == pytest.approx(estimate.p) and found.mark in ("*", "**")
    assert [entry(analysis, label, "sampled_delta").p_holm for label in ("greedy", "honest")] == pytest.approx(
        holm(raw)
    )
    assert [entry(analysis, label, "rank").value for label in ("greedy", "honest", "grpo")] == [1, 2, 3]
    assert entry(analysis, "greedy", "sampled_final").bold and not entry(analysis, "honest", "sampled_final").bold


def test_overfit_gap_peak_drop_and_what_could_be_found_are_in_rewards(analysis):
    assert entry(analysis, "grpo", "sampled_overfit").value == pytest.approx(0.5 * STEPS[-1])
    assert entry(analysis, "honest", "sampled_overfit_delta").value == pytest.approx(0, abs=1e-9)
    assert entry(analysis, "grpo", "sampled_peak_drop").value < 0.1
    assert entry(analysis, "greedy", "sampled_gold_peak_drop").value > 0.5
    delta = entry(analysis, "honest", "sampled_delta")
    assert entry(analysis, "honest", "sampled_mde").value > delta.high - delta.value


def test_the_way_to_a_target_is_measured_in_rewards(analysis):
    starts, ends = [], []
    for seed in range(SEEDS):
        reward = drawn("grpo", seed)[0].mean(axis=(1, 2))
        starts.append(reward[0]), ends.append(reward[-1])
    assert analysis.target == pytest.approx(np.mean(starts) + 0.9 * (np.median(ends) - np.mean(starts)))
    assert entry(analysis, "greedy", "success").text == "3/3"
    assert entry(analysis, "greedy", "time_to_target").value < entry(analysis, "honest", "time_to_target").value
    assert entry(analysis, "greedy", "speedup").value > 0
    assert entry(analysis, "greedy", "nauc").value > entry(analysis, "grpo", "nauc").value > 0
    said = COLUMNS["time_to_target"].explain(analysis)[0]
    assert said.startswith("Target: a held-out sampled reward of −2.") and "%," not in said.partition(";")[0]


def test_an_accuracy_is_no_target_of_rewards(analysis):
    other = Analysis(analysis.table, analysis.rows, View(target_accuracy=0.5), {})
    assert other.target is None and entry(other, "greedy", "time_to_target").value is None
    assert COLUMNS["time_to_target"].explain(other)[0] == (
        "No target: the program's is an accuracy, and these runs are measured by their reward."
    )


def test_gold_has_columns_of_its_own(analysis):
    final, gain = finals("greedy", 1)
    same(entry(analysis, "greedy", "sampled_gold_final"), crossed(final))
    same(entry(analysis, "greedy", "sampled_gold_gain"), crossed(gain))
    same(entry(analysis, "greedy", "sampled_gold_start"), crossed(final - gain))
    estimates = [crossed(finals(label, 1)[0] - finals("grpo", 1)[0]) for label in ("greedy", "honest")]
    found = [entry(analysis, label, "sampled_gold_delta") for label in ("greedy", "honest")]
    for one, estimate in zip(found, estimates, strict=True):
        same(one, estimate)
    assert [one.p_holm for one in found] == pytest.approx(holm([one.p for one in estimates]))
    assert found[0].value < 0 < found[1].value  # the best in reward is the worst in gold
    assert entry(analysis, "grpo", "sampled_gold_delta").text == "reference"
    assert not any(entry(analysis, label, "sampled_gold_final").bold for label in GAINS)


def test_over_optimisation_is_what_was_gained_in_reward_and_not_in_gold(analysis):
    for label, (reward, gold) in GAINS.items():
        found = entry(analysis, label, "sampled_overoptimisation")
        same(found, crossed(finals(label, 0)[1] - finals(label, 1)[1]))
        assert found.value == pytest.approx(reward - gold, abs=0.5)
    assert (
        entry(analysis, "honest", "sampled_overoptimisation").low
        < 0
        < entry(analysis, "honest", "sampled_overoptimisation").high
    )
    assert entry(analysis, "greedy", "sampled_overoptimisation").low > 0
    assert entry(analysis, "greedy", "greedy_overoptimisation").value is None  # no greedy evaluation
    assert COLUMNS["sampled_overoptimisation"].explain(analysis)[:2] == (GOLD, OVEROPTIMISATION)


def test_drift(analysis):
    kl = entry(analysis, "honest", "kl")
    same(kl, over_seeds([24.0, 25.0, 26.0]))
    assert kl.by_seed == {0: 24, 1: 25, 2: 26} and (kl.high - kl.value) == pytest.approx(
        4.302653 / math.sqrt(3), rel=1e-6
    )
    same(entry(analysis, "honest", "length_drift"), over_seeds([8.0, 16.0, 24.0]))
    assert entry(analysis, "honest", "entropy").value == pytest.approx(1.2)
    assert entry(analysis, "honest", "entropy_change").value == pytest.approx(-0.8)


def test_what_was_not_recorded_is_not_there(results):
    reward = {("heldout", "sampled", step): [[1.0 + step, 2.0], [0.5, step]] for step in STEPS}
    results.rewarded("grpo", 0, reward)
    results.cell("plain", 0, [0.2, 0.4], task={"name": "other"})
    plain, rewarded = sorted(load(results.plan()), key=lambda table: table.measure)
    assert [plain.measure, rewarded.measure] == ["accuracy", "reward"]
    names = ["sampled_gold_final", "sampled_gold_gain", "sampled_gold_delta", "sampled_overoptimisation", "kl",
             "entropy", "sampled_gold_peak_drop", "entropy_change", "reward_cut", "sampled_reward_cut"]  # fmt: skip
    for table in (plain, rewarded):
        analysis = Analysis(table, table.rows, View(), {})
        for name in names:
            found = COLUMNS[name].entry(analysis, table.rows[0])
            assert found.value is None, name
    analysis = Analysis(rewarded, rewarded.rows, View(), {})
    assert entry(analysis, "grpo", "sampled_format_gap").value is None


def test_a_task_with_a_verifier_is_measured_by_it_whatever_it_is_trained_on(results):
    cell = results.cell("a", 0, [0.2, 0.4])
    lines = [line | {"reward": [9.0, 7.0]} for line in item_records("heldout", "sampled", 4, [[1, 0], [1, 1]])]
    where = list(records.append(cell / "items.jsonl", lines))
    records.append(cell / "evals.jsonl", [eval_record(4, "sampled", 0.75, reward=8.0, examples=2, items=where)])
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    assert table.measure == "accuracy" and entry(analysis, "a", "sampled_final").value == 0.75
    assert analysis.scores(table.rows[0], "sampled", measure="reward").values.tolist() == [[8.0, 8.0]]
    assert COLUMNS["sampled_final"].kind_in(analysis) == "share"


def test_cut_responses(results):
    reward = {("heldout", "sampled", step): [[1.0], [2.0]] for step in (0, 2)}
    results.rewarded(
        "grpo", 0, reward, changes={2: {"reward_cut": 0.25}}, steps={1: {"reward_cut": 0.5}, 2: {"reward_cut": 0.1}}
    )
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    assert entry(analysis, "grpo", "sampled_reward_cut").value == 0.25
    assert entry(analysis, "grpo", "reward_cut").value == pytest.approx(0.3)


def test_headings_and_kinds_say_reward(analysis):
    def shown(name):
        return COLUMNS[name].heading(analysis), COLUMNS[name].kind_in(analysis)

    assert shown("sampled_final") == ("sampled reward: final", "reward")
    assert shown("sampled_delta") == ("sampled reward: vs grpo", "reward_difference")
    assert shown("probe_greedy_gain") == ("probe, greedy reward: gain", "reward_difference")
    assert shown("sampled_gold_delta") == ("sampled gold: vs grpo", "reward_difference")
    assert shown("greedy_peak_drop") == ("greedy reward: below its peak", "reward")
    assert shown("success")[1] == shown("truncated")[1] == "share"
    assert "final sampled reward is significantly better" in COLUMNS["rank"].explain(analysis)[0]
    for column in COLUMNS.values():
        assert all("accuracy" not in said for said in column.explain(analysis)) or column.name.endswith("format_gap")
        assert all(sentence.endswith(".") for sentence in column.explain(analysis)), column.name


def test_stars_of_gold_are_said_to_be_golds(analysis):
    assert any(said.startswith("Gold: * p < .05") for said in COLUMNS["sampled_gold_delta"].explain(analysis))
    assert any(said.startswith("* p < .05") for said in COLUMNS["sampled_delta"].explain(analysis))
