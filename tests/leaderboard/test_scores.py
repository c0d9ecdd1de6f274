import numpy as np
import pytest

from leaderboard import scores
from leaderboard.runs import load
from leaderboard.scores import Scores
from leaderboard.stats import crossed

START = [[0, 0], [0, 1], [1, 1], [0, 0]]
FINAL = [[1, 0], [1, 1], [1, 1], [0, 0]]


@pytest.fixture
def row(results):
    for seed in range(3):
        final = [*FINAL[:3], [seed % 2, 0]]
        items = {("heldout", "sampled", 0): START, ("heldout", "sampled", 4): final}
        results.cell("a", seed, items=items, clusters=["p", "p", "q", "r"])
    return load(results.plan())[0].rows[0]


def test_scores_are_by_seed_and_item(row):
    final = scores.read(row, "sampled", "heldout", "final")
    assert final.seeds == (0, 1, 2)
    assert final.items == ("heldout-000", "heldout-001", "heldout-002", "heldout-003")
    assert final.values.tolist() == [[0.5, 1, 1, 0], [0.5, 1, 1, 0.5], [0.5, 1, 1, 0]]
    assert final.by_seed == {0: 0.625, 1: 0.75, 2: 0.625}
    expected = crossed(final.values, clusters=[["p", "p", "q", "r"]])
    assert final.estimate == expected and final.estimate.items == 3  # clusters, not items
    assert scores.read(row, "greedy", "heldout", "final") is None
    assert scores.read(row, "sampled", "probe", "final") is None


def test_differences_are_paired_by_seed_and_item(row):
    start, final = (scores.read(row, "sampled", "heldout", when) for when in ("start", "final"))
    gain = final.less(start)
    assert gain.values.tolist() == [[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0.5], [0.5, 0.5, 0, 0]]
    assert gain.clusters == final.clusters
    fewer = Scores((2, 7), np.ones((2, 4)), final.items, final.clusters)
    assert final.less(fewer).seeds == (2,)
    assert final.less(fewer).values.tolist() == [[-0.5, 0, 0, -1]]


def test_what_cannot_be_paired_is_not(row):
    final = scores.read(row, "sampled", "heldout", "final")
    assert final.less(Scores((8, 9), np.ones((2, 4)), final.items)) is None
    assert final.less(Scores((0, 1), np.ones((2, 4)), ("w", "x", "y", "z"))) is None


def test_without_items_means_are_compared(results, row):
    for seed in (0, 1):
        results.cell("b", seed, [0.2, 0.3, 0.25 + 0.25 * seed])
    rows = {row.label: row for row in load(results.plan())[0].rows}
    theirs = scores.read(rows["b"], "sampled", "heldout", "final")
    assert (theirs.items, theirs.values.tolist()) == (None, [[0.25], [0.5]])
    assert theirs.estimate.items is None  # over seeds alone
    mine = scores.read(row, "sampled", "heldout", "final")
    assert mine.less(theirs).values.tolist() == [[0.375], [0.25]]
    assert theirs.less(mine).values.tolist() == [[-0.375], [-0.25]]


def test_a_seed_whose_items_are_others_makes_the_row_one_of_means(results):
    results.cell("a", 0, items={("heldout", "sampled", 4): FINAL})
    results.cell("a", 1, items={("heldout", "sampled", 4): FINAL[:3]})
    ((row,),) = (table.rows for table in load(results.plan()))
    assert scores.read(row, "sampled", "heldout", "final").items is None


def test_a_sum_stands_on_the_seeds_that_all_parts_have():
    one = Scores((0, 1, 2), np.array([[0.0, 1.0], [1, 1], [0, 0]]))
    other = Scores((1, 2, 3), np.array([[0.5, 0.5, 0.5], [0, 0.5, 1], [1, 1, 1]]))
    assert scores.sum_of([one, other]) == crossed(one.values[1:], other.values[:2])
    assert scores.sum_of([one, Scores((7,), np.ones((1, 2)))]) is None
