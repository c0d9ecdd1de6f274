import math

import numpy as np
import pytest

from leaderboard.analysis import Analysis, View, star
from leaderboard.loading import load
from leaderboard.stats import crossed, holm

ITEMS = 60


def outcomes(generator, chance):
    """Verdicts of four samples an item."""
    return (generator.random((ITEMS, 4)) < np.clip(chance, 0, 1)[:, None]).astype(int).tolist()


def fill(results, abilities, seeds=6, **cells):
    """Rows by label and ability; items differ much, seeds by a point, and all start from the same place."""
    rng = np.random.default_rng(0)
    easy = rng.uniform(0.1, 0.6, ITEMS)
    for label, ability in abilities.items():
        for seed in range(seeds):
            chance = easy + ability + 0.01 * rng.normal()
            places = {("heldout", "sampled", 0): easy, ("heldout", "sampled", 4): chance}
            results.cell(label, seed, items={place: outcomes(rng, c) for place, c in places.items()}, **cells)


def analysed(results, view=None, rows=None):
    (table,) = load(results.plan())
    chosen = [row for row in table.rows if rows is None or row.label in rows]
    return Analysis(table, chosen, view or View(), {})


def row(analysis, label):
    return next(row for row in analysis.rows if row.label == label)


def test_contrasts_are_holms_over_the_rows_against_the_reference(results):
    fill(results, {"grpo": 0.1, "better": 0.3, "same": 0.1, "worse": 0.0})
    analysis = analysed(results)
    assert analysis.reference.label == "grpo" and analysis.contrast(analysis.reference, "sampled") is None
    names = ["better", "same", "worse"]
    theirs = analysis.scores(row(analysis, "grpo"), "sampled").values
    raw = [crossed(analysis.scores(row(analysis, name), "sampled").values - theirs).p for name in names]
    found = [analysis.contrast(row(analysis, name), "sampled") for name in names]
    assert [one.adjusted for one in found] == pytest.approx(holm(raw))
    assert [one.mark for one in found] == ["**", "", "**"]
    assert analysis.contrast(row(analysis, "better"), "greedy") is None  # never evaluated
    fewer = analysed(results, rows={"grpo", "better"})
    assert fewer.contrast(row(fewer, "better"), "sampled").adjusted == pytest.approx(holm(raw)[0])  # whoever is shown
    alone = analysed(results, View(family="shown"), rows={"grpo", "better"})
    assert alone.contrast(row(alone, "better"), "sampled").adjusted == pytest.approx(raw[0])  # a family of one


def test_ranks_are_shared_where_nothing_separates(results):
    fill(results, {"grpo": 0.1, "better": 0.3, "same": 0.1, "worse": 0.0})
    ranking = analysed(results).ranking("sampled")
    (table,) = load(results.folder)
    by_label = {row.label: ranking.rank[row.hash] for row in table.rows}
    assert by_label["better"] == 1 and by_label["grpo"] == by_label["same"] == 2 and by_label["worse"] == 4
    assert ranking.pairs == 6
    assert {row.label for row in table.rows if row.hash in ranking.best} == {"better"}


def test_one_seed_is_neither_ranked_nor_tested(results):
    fill(results, {"grpo": 0.1, "better": 0.4})
    fill(results, {"lonely": 0.5}, seeds=1)
    analysis = analysed(results)
    lonely = row(analysis, "lonely")
    assert lonely.hash not in analysis.ranking("sampled").rank and lonely.hash not in analysis.ranking("sampled").best
    contrast = analysis.contrast(lonely, "sampled")
    assert (contrast.mark, contrast.adjusted) == ("†", None)
    assert analysis.contrast(row(analysis, "better"), "sampled").mark == "**"  # and does not thin out the family
    assert analysis.scores(lonely, "sampled").estimate.low is not None  # over items


def test_runs_that_agree_exactly_prove_nothing(results):
    for label, final in (("grpo", [[1, 0]] * 5), ("mine", [[1, 1]] * 5)):
        for seed in range(5):
            results.cell(label, seed, items={("heldout", "sampled", 4): final})
    analysis = analysed(results)
    contrast = analysis.contrast(row(analysis, "mine"), "sampled")
    assert contrast.difference.estimate.mean == 0.5
    assert (contrast.mark, contrast.adjusted) == ("", None)
    assert set(analysis.ranking("sampled").rank.values()) == {1}


def test_other_items_than_the_references_are_not_compared(results):
    fill(results, {"grpo": 0.1})
    for seed in range(4):
        results.cell("other", seed, items={("heldout", "sampled", 4): [[1]] * 7})
    analysis = analysed(results)
    contrast = analysis.contrast(row(analysis, "other"), "sampled")
    assert (contrast.difference, contrast.mark) == (None, "‡")
    assert analysis.ranking("sampled").pairs == 0


def test_other_items_than_the_references_are_not_ranked(results):
    """Seven easy items, all right: it would be first, and hide who is worse than the best of the others."""
    fill(results, {"grpo": 0.1, "better": 0.4})
    for seed in range(4):
        results.cell("other", seed, items={("heldout", "sampled", 4): [[1]] * 7})
    ranking = analysed(results).ranking("sampled")
    names = {row.hash: row.label for row in analysed(results).rows}
    assert {names[row]: rank for row, rank in ranking.rank.items()} == {"better": 1, "grpo": 2}
    assert {names[row] for row in ranking.best} == {"better"} and (ranking.pairs, ranking.tests) == (1, 1)


def test_rows_without_a_common_seed_are_not_compared(results):
    """It is no other protocol, and bold says that a row was compared with the best."""
    for label, final, seeds in (
        ("grpo", 0.3, (0, 1, 2)), ("apart", 0.9, (7, 8, 9)), ("both", 0.5, (0, 1, 7, 8)), ("touching", 0.2, (9, 10)),
    ):  # fmt: skip
        for seed in seeds:
            results.cell(label, seed, [0.2, final + 0.003 * (seed % 3) * (label != "both")])
    analysis = analysed(results)
    assert analysis.contrast(row(analysis, "apart"), "sampled") is None
    ranking = analysis.ranking("sampled")
    assert (ranking.pairs, ranking.tests) == (6, 2)
    assert {one.label for one in analysis.rows if one.hash in ranking.best} == {"apart"}  # one common seed is no test


def test_one_row_of_two_seeds_has_no_rank(results):
    fill(results, {"grpo": 0.1})
    fill(results, {"lonely": 0.5}, seeds=1)
    ranking = analysed(results).ranking("sampled")
    assert (ranking.rank, ranking.best) == ({}, frozenset())


def near(results, abilities, every=(0.0, 0.02, 0.01, -0.01)):
    """Rows of means whose differences have seeds' errors of a point or two."""
    for n, (label, final) in enumerate(abilities.items()):
        for seed, noise in enumerate(every):
            results.cell(label, seed, [0.2, final + noise * (-1) ** n + 0.004 * (seed == n % 4)])


def test_ranks_are_holms_over_the_pairs_of_the_family(results):
    near(results, {"grpo": 0.5, "a": 0.56, "b": 0.5, "c": 0.5, "d": 0.5})
    analysis = analysed(results)
    alone = analysed(results, View(family="shown"), rows={"grpo", "a"})
    assert analysed(results, rows={"grpo", "a"}).ranking("sampled") == analysis.ranking("sampled")
    mine, theirs = (alone.scores(row(alone, label), "sampled") for label in ("a", "grpo"))
    assert 0.05 / 10 < mine.less(theirs).estimate.p < 0.05
    assert alone.ranking("sampled").rank[row(alone, "grpo").hash] == 2 and alone.ranking("sampled").pairs == 1
    assert analysis.ranking("sampled").rank[row(analysis, "grpo").hash] == 1  # not after Holm over ten pairs


def test_the_best_is_the_best_mean(results):
    """One bad seed counts: the median would have the other row as the best."""
    for seed, (steady, lucky) in enumerate(((0.60, 0.62), (0.61, 0.63), (0.60, 0.20))):
        results.cell("grpo", seed, [0.2, steady])
        results.cell("lucky", seed, [0.2, lucky])
        results.cell("worse", seed, [0.2, steady - 0.1 + 0.001 * seed])
    analysis = analysed(results)
    # Against the lucky one, which is noisy, nothing would be worse.
    assert {one.label for one in analysis.rows if one.hash in analysis.ranking("sampled").best} == {"grpo", "lucky"}


def test_two_seeds_are_tested(results):
    fill(results, {"grpo": 0.1, "same": 0.1}, seeds=2)
    analysis = analysed(results)
    contrast = analysis.contrast(row(analysis, "same"), "sampled")
    assert contrast.mark == "" and contrast.adjusted is not None


def test_control_arms_are_shown_and_belong_to_no_family(results):
    fill(results, {"grpo": 0.1, "better": 0.4})
    fill(results, {"grpo, A/A": 0.9}, provenance={"control": "a-a"})
    analysis = analysed(results)
    control = row(analysis, "grpo, A/A")
    assert analysis.contrast(control, "sampled").mark == ""
    assert analysis.contrast(control, "sampled").difference.estimate.mean > 0.2
    assert control.hash not in analysis.ranking("sampled").rank
    without = analysed(results, rows={"grpo", "better"})
    tested = [one.contrast(row(one, "better"), "sampled").adjusted for one in (analysis, without)]
    assert tested[0] == tested[1]


def test_the_reference_is_chosen_before_any_result_is_seen(results):
    results.cell("dapo", 0, [0.2, 0.9])
    results.cell("mine(x=1)", 0, [0.2, 0.4], algorithm={"name": "mine"})
    results.cell("grpo@no-kl", 0, [0.2, 0.3], algorithm={"name": "grpo"})
    results.cell("grpo@paper", 0, [0.2, 0.5], algorithm={"name": "grpo", "beta": 0.04})
    assert analysed(results).reference.label == "grpo@no-kl"  # the recipe's first GRPO
    for wanted, label in (("mine", "mine(x=1)"), ("grpo@p*", "grpo@paper"), ("dapo", "dapo"), ("none", None)):
        reference = analysed(results, View(reference=wanted)).reference
        assert (reference and reference.label) == label
    only = analysed(results, rows={"dapo"})
    assert only.reference.label == "grpo@no-kl"  # shown or not


def test_without_a_grpo_the_recipes_first_row_is_the_reference(results):
    results.cell("zeta", 0, [0.2, 0.9], provenance={"control": "a-a"})
    results.cell("mine", 0, [0.2, 0.9])
    results.cell("alpha", 0, [0.2, 0.9])
    assert analysed(results).reference.label == "mine"


def curves(results, **rows):
    """Each row's sampled curve, plus a point and a half a seed."""
    for label, curve in rows.items():
        for seed in range(3):
            results.cell(label, seed, [value + 0.015 * seed * (n > 0) for n, value in enumerate(curve)])


def test_the_target_is_most_of_the_references_median_gain(results):
    curves(results, grpo=[0.2, 0.3, 0.4, 0.5, 0.5], mine=[0.2, 0.5, 0.5, 0.5, 0.5])
    analysis = analysed(results)
    assert analysis.target == pytest.approx(0.2 + 0.9 * 0.315)  # finals 0.5, 0.515, 0.53
    assert analysed(results, View(target_gain=0.5)).target == pytest.approx(0.2 + 0.5 * 0.315)
    assert analysed(results, View(target_accuracy=0.77)).target == 0.77
    mine = analysis.times(row(analysis, "mine"))  # smoothed 0.2, 0.4, 0.5, …: crosses 0.4835 between steps 2 and 4
    assert mine[0] == pytest.approx(2 + 2 * (0.4835 - 0.4) / 0.1)
    assert mine[0] > mine[1] > mine[2]
    grpo = analysis.times(row(analysis, "grpo"))  # smoothed …, 0.4, 0.4667, 0.5: at one evaluation only, the last
    assert grpo[0] == math.inf and grpo[2] < 8
    tokens = analysed(results, View(axis="generated_tokens"))
    assert tokens.times(row(tokens, "mine"))[0] == pytest.approx(1000 * mine[0])


def test_the_target_stands_on_the_seeds_that_have_start_and_end(results):
    curves(results, grpo=[0.2, 0.3, 0.4, 0.5, 0.5])
    cell = results.cell("grpo", 7, [0.2, 0.9, 0.9, 0.9, 0.9])
    _, *later = (cell / "evals.jsonl").read_text().splitlines(keepends=True)
    (cell / "evals.jsonl").write_text("".join(later))
    assert analysed(results).target == pytest.approx(0.2 + 0.9 * 0.315)


def test_the_way_to_the_target_is_that_of_the_metric(results):
    for seed in range(3):
        results.cell("grpo", seed, [0.2, 0.2, 0.2, 0.2], [0.1, 0.4 + 0.01 * seed, 0.4, 0.4])
    analysis = analysed(results, View(metric="greedy", target_accuracy=0.2))
    assert analysis.times(row(analysis, "grpo"))[0] == pytest.approx(2 * 0.1 / 0.2)  # smoothed 0.1, 0.3, 0.4, 0.4
    assert analysis.early(row(analysis, "grpo"))[0] == pytest.approx(0.25 / 0.1)  # raw 0.1, 0.4, 0.4, 0.4


def test_a_start_and_an_end_are_no_way_to_a_target(results):
    curves(results, grpo=[0.2, 0.6])
    analysis = analysed(results)
    assert analysis.target is not None and analysis.times(row(analysis, "grpo")) == {}  # and not: never reached


def test_a_run_that_spends_nothing_on_an_axis_leaves_no_horizon(results):
    """As where an algorithm kept no group: its trained tokens are 0 throughout."""
    curves(results, grpo=[0.2, 0.4, 0.5])
    cell = results.cell("none", 0, [0.2, 0.2, 0.2])
    lines = (cell / "evals.jsonl").read_text().replace('"trained_tokens": 1800', '"trained_tokens": 0')
    (cell / "evals.jsonl").write_text(lines.replace('"trained_tokens": 3600', '"trained_tokens": 0'))
    analysis = analysed(results, View(axis="trained_tokens"))
    assert analysis.horizon is None and analysis.early(row(analysis, "grpo")) == {}


def test_a_reference_that_gained_nothing_sets_no_target(results):
    curves(results, grpo=[0.2, 0.2, 0.19], mine=[0.2, 0.4, 0.5])
    analysis = analysed(results)
    assert analysis.target is None and analysis.times(row(analysis, "mine")) == {}
    assert analysis.early(row(analysis, "mine")) == {}


def test_the_horizon_is_how_far_every_run_went(results):
    curves(results, grpo=[0.2, 0.3, 0.4, 0.5, 0.5], short=[0.2, 0.5, 0.6])
    results.cell("failed", 0, [0.2, 0.3], state="failed")
    assert analysed(results).horizon == 4
    assert analysed(results, rows={"grpo"}).horizon == 4  # who is shown decides no speed-up, and no star of one
    assert analysed(results, View(family="shown"), rows={"grpo"}).horizon == 8


def test_area_is_one_for_a_run_that_stands_at_the_target(results):
    results.cell("grpo", 0, [0.2, 0.4, 0.4])
    results.cell("half", 0, [0.2, 0.3, 0.4])
    analysis = analysed(results, View(target_accuracy=0.4))
    assert analysis.early(row(analysis, "grpo"))[0] == pytest.approx(0.75)  # up at once, but for the first interval
    assert analysis.early(row(analysis, "half"))[0] == pytest.approx(0.5)


def test_where_nothing_is_spent_on_an_axis_the_later_evaluation_counts(results):
    cell = results.cell("grpo", 0, [0.2, 0.3, 0.5])
    text = (cell / "evals.jsonl").read_text().replace('"trained_tokens": 1800', '"trained_tokens": 0')
    (cell / "evals.jsonl").write_text(text)
    analysis = analysed(results, View(axis="trained_tokens", target_accuracy=0.4))
    assert analysis.horizon == 3600 and analysis.times(row(analysis, "grpo")) == {0: math.inf}


def test_overfitting_is_the_probes_gain_above_the_held_out_one(results):
    for seed in range(3):
        probe = {("probe", "sampled", 0): [[0, 0]] * 4, ("probe", "sampled", 4): [[1, 1]] * 3 + [[seed % 2, 0]]}
        heldout = {("heldout", "sampled", 0): [[0, 1]] * 5, ("heldout", "sampled", 4): [[1, 1]] * 2 + [[0, 1]] * 3}
        results.cell("grpo", seed, items=probe | heldout)
    analysis = analysed(results)
    only = analysis.rows[0]
    assert analysis.overfit(only, "sampled").mean == pytest.approx((0.75 + 0.125 / 3) - 0.2)
    assert analysis.overfit(only, "sampled").items == 9
    assert analysis.overfit(only, "greedy") is None and analysis.overfit_contrast(only, "sampled") is None


def test_overfit_gaps_are_compared_with_the_references_by_seed_and_item(results):
    rng = np.random.default_rng(5)
    easy = {split: rng.uniform(0.2, 0.5, ITEMS) for split in ("heldout", "probe")}
    for label, extra in (("grpo", 0.3), ("less", 0.0), ("same", 0.3)):
        for seed in range(5):
            items = {(split, "sampled", 0): outcomes(rng, chance) for split, chance in easy.items()}
            items |= {
                (split, "sampled", 4): outcomes(rng, chance + 0.1 + extra * (split == "probe"))
                for split, chance in easy.items()
            }
            results.cell(label, seed, items=items)
    analysis = analysed(results)
    less, same = (analysis.overfit_contrast(row(analysis, label), "sampled") for label in ("less", "same"))
    gaps = {one.label: analysis.overfit(one, "sampled").mean for one in analysis.rows}
    assert less.estimate.mean == pytest.approx(gaps["less"] - gaps["grpo"])
    assert (less.mark, same.mark) == ("**", "")
    assert [less.adjusted, same.adjusted] == pytest.approx(holm([less.estimate.p, same.estimate.p]))


def test_speed_ups_are_tested_as_a_family(results):
    curves(results, grpo=[0.2, 0.3, 0.4, 0.5, 0.5, 0.5], fast=[0.2, 0.5, 0.5, 0.5, 0.5, 0.5])
    for seed in range(3):  # as slow, but for noise
        results.cell("slow", seed, [0.2, 0.3 + 0.02 * (seed - 1), 0.4, 0.5, 0.52, 0.53])
    analysis = analysed(results, View(target_accuracy=0.45))
    found = {one.label: analysis.speedups.get(one.hash) for one in analysis.rows}
    assert found["grpo"] is None
    tested = [found["fast"], found["slow"]]
    assert [one.adjusted for one in tested] == pytest.approx(holm([one.estimate.p for one in tested]))
    assert math.exp(found["fast"].estimate.mean) > 1.5 and found["fast"].mark in ("*", "**")


def test_overfitting_counts_clusters_on_both_sides(results):
    rng, pairs = np.random.default_rng(3), [str(n // 2) for n in range(12)]
    places = [(split, "sampled", step) for split in ("probe", "heldout") for step in (0, 4)]
    for seed in range(3):
        items = {place: (rng.random((12, 2)) < 0.3 + 0.1 * place[2]).astype(int).tolist() for place in places}
        results.cell("grpo", seed, items=items, clusters=pairs)
    analysis = analysed(results)
    gains = [analysis.gain(analysis.rows[0], "sampled", split).values for split in ("probe", "heldout")]
    assert analysis.overfit(analysis.rows[0], "sampled") == crossed(gains[0], -gains[1], clusters=[pairs, pairs])


@pytest.mark.parametrize(("p", "mark"), [(None, ""), (0.05, ""), (0.0499, "*"), (0.01, "*"), (0.00999, "**")])
def test_stars(p, mark):
    assert star(p) == mark
