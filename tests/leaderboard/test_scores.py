import numpy as np
import pytest

from leaderboard import scores
from leaderboard.loading import load
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


def test_items_are_paired_by_name_whatever_their_order(results):
    for seed in range(2):
        path = results.cell("a", seed, items={("heldout", "sampled", 4): FINAL}, clusters=["p", "p", "q", "r"])
        if seed:
            lines = (path / "items.jsonl").read_text().splitlines(keepends=True)
            (path / "items.jsonl").write_text("".join(reversed(lines)))
    final = scores.read(load(results.plan())[0].rows[0], "sampled", "heldout", "final")
    assert final.values.tolist() == [[0.5, 1, 1, 0]] * 2 and final.clusters == ("p", "p", "q", "r")


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


def test_a_row_whose_seeds_have_other_items_is_one_of_means_and_compared_with_no_items(results):
    for seed, final in enumerate((FINAL, FINAL[:3])):
        start = [[0, 1]] * len(final)
        results.cell("a", seed, items={("heldout", "sampled", 0): start, ("heldout", "sampled", 4): final})
    ((row,),) = (table.rows for table in load(results.plan()))
    start, final = (scores.read(row, "sampled", "heldout", when) for when in ("start", "final"))
    assert final.items == () and final.estimate.items is None
    assert final.less(start).values.tolist() == [[0.125], [pytest.approx(2.5 / 3 - 0.5)]]  # each seed with itself
    alike = Scores((0, 1), np.ones((2, 4)), ("heldout-000", "heldout-001", "heldout-002", "heldout-003"))
    assert final.less(alike) is None and alike.less(final) is None


def test_clusters_count_wherever_they_were_recorded(results, row):
    """Earlier versions recorded none: a difference has the same error whichever side knows them."""
    items = {("heldout", "sampled", 4): FINAL}
    results.cell("b", 0, items=items)
    results.cell("b", 1, items=items, clusters=["p", "p", "q", "r"])
    results.cell("c", 0, items=items)
    results.cell("c", 1, items=items)
    rows = {row.label: row for row in load(results.plan())[0].rows}
    final, known, unknown = (scores.read(rows[label], "sampled", "heldout", "final") for label in "abc")
    assert final.clusters == known.clusters == ("p", "p", "q", "r") and unknown.clusters is None
    assert final.less(unknown).clusters == unknown.less(final).clusters == final.clusters


def test_a_sum_stands_on_the_seeds_that_all_parts_have():
    one = Scores((0, 1, 2), np.array([[0.0, 1.0], [1, 1], [0, 0]]))
    other = Scores((1, 2, 3), np.array([[0.5, 0.5, 0.5], [0, 0.5, 1], [1, 1, 1]]))
    assert scores.sum_of([one, other]) == crossed(one.values[1:], other.values[:2])
    assert scores.sum_of([one, Scores((7,), np.ones((1, 2)))]) is None


def test_a_mean_is_seed_by_seed_and_item_by_item():
    one = Scores((0, 1, 2), np.array([[0.0, 1.0], [1, 1], [0, 0]]), ("a", "b"), ("p", "p"))
    other = Scores((2, 1), np.array([[1.0, 0.5], [0, 0.5]]), ("a", "b"))
    found = scores.mean_of([one, other])
    assert found.seeds == (1, 2) and found.values.tolist() == [[0.5, 0.75], [0.5, 0.25]]
    assert found.items == ("a", "b") and found.clusters == ("p", "p")
    assert scores.mean_of([one, Scores((0,), np.ones((1, 2)), ("a", "c"))]) is None
    assert scores.mean_of([one, Scores((7,), np.ones((1, 2)), ("a", "b"))]) is None


def test_a_sum_keeps_each_parts_clusters():
    values = np.array([[0.0, 1.0, 1.0, 0.5], [1, 1, 0, 0]])
    one = Scores((0, 1), values, tuple("abcd"), ("p", "p", "q", "r"))
    other = Scores((0, 1), values[:, ::-1], tuple("efgh"))
    expected = crossed(values, values[:, ::-1], clusters=[["p", "p", "q", "r"], None])
    assert scores.sum_of([one, other]) == expected
    assert expected.items == 7


def test_rewards_and_golds_are_scores_by_seed_and_item(results):
    key = ("heldout", "sampled", 4)
    for seed in range(2):
        rewards, gold = {key: [[1.0, 2.0], [-3.0, seed]]}, {key: [[0.0, 1.0], [2.0, 2.0]]}
        results.rewarded("a", seed, rewards, gold, clusters=["p", "p"])
    row = load(results.plan())[0].rows[0]
    final = scores.read(row, "sampled", "heldout", "final", "reward")
    assert final.values.tolist() == [[1.5, -1.5], [1.5, -1.0]] and final.clusters == ("p", "p")
    gold = scores.read(row, "sampled", "heldout", "final", "gold")
    assert final.less(gold).values.tolist() == [[1.0, -3.5], [1.0, -3.0]]
    assert scores.read(row, "sampled", "heldout", "final", "accuracy") is None
    assert scores.read(row, "sampled", "heldout", "start", "reward") is None


def test_seeds_that_have_not_the_measure_are_left_out(results):
    key = ("heldout", "sampled", 4)
    results.rewarded("a", 0, {key: [[1.0], [2.0]]}, {key: [[5.0], [6.0]]})
    results.rewarded("a", 1, {key: [[1.0], [2.0]]})
    row = load(results.plan())[0].rows[0]
    assert scores.read(row, "sampled", "heldout", "final", "reward").seeds == (0, 1)
    gold = scores.read(row, "sampled", "heldout", "final", "gold")
    assert gold.seeds == (0,) and gold.values.tolist() == [[5.0, 6.0]]
