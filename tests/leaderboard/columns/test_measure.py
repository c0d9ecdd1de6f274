import math

import pytest

from leaderboard import records
from leaderboard.analysis import Analysis, View
from leaderboard.columns import COLUMNS
from leaderboard.columns.measure import ONE_SEED_ITEMS
from leaderboard.loading import load
from leaderboard.stats import holm, over_seeds

from ..conftest import eval_record

T2 = 4.302653  # Student's 97.5 % quantile with 2 degrees of freedom


@pytest.fixture
def analysis(results):
    """gift with three seeds, grpo with one of three, dapo planned only."""
    for seed, (start, final) in enumerate([(0.20, 0.50), (0.22, 0.60), (0.24, 0.70)]):
        results.cell("gift", seed, [start, 0.9, final], [0.25, 0.25, 0.25 + 0.1 * seed])
    results.cell("grpo", 0, [0.20, 0.30, 0.40])
    results.cell("grpo", 1, [0.20, 0.99], state="failed", error="out of memory")
    results.cell("grpo", 2, [0.20, 0.99], state="running")
    for seed in range(3):
        results.cell("dapo", seed, state=None)
    (table,) = load(results.plan())
    return Analysis(table, table.rows, View(), {})


def entry(analysis, label, name):
    return COLUMNS[name].entry(analysis, next(row for row in analysis.rows if row.label == label))


def test_start_is_step_0_and_final_the_last_evaluation_not_the_best(analysis):
    start, final = (entry(analysis, "gift", f"sampled_{when}") for when in ("start", "final"))
    assert (start.value, final.value) == (pytest.approx(0.22), pytest.approx(0.60))
    assert (start.high - start.low) / 2 == pytest.approx(T2 * 0.02 / math.sqrt(3), rel=1e-6)
    assert (final.high - final.low) / 2 == pytest.approx(T2 * 0.1 / math.sqrt(3), rel=1e-6)
    assert final.by_seed == {0: 0.5, 1: 0.6, 2: 0.7} and final.df == 2 and final.mark == ""


def test_gain_is_paired_by_seed(analysis):
    gain = entry(analysis, "gift", "sampled_gain")  # 0.30, 0.38, 0.46: sd 0.08, and not that of an unpaired difference
    assert gain.value == pytest.approx(0.38)
    assert gain.high - gain.value == pytest.approx(T2 * 0.08 / math.sqrt(3), rel=1e-6)


def test_only_finished_seeds_count_and_one_of_them_gets_a_dagger(analysis):
    final = entry(analysis, "grpo", "sampled_final")
    assert (final.value, final.low, final.mark, final.bold) == (0.40, None, "†", False)
    assert entry(analysis, "grpo", "greedy_final").value is None
    for name in ("sampled_final", "sampled_gain", "sampled_delta", "sampled_peak_drop", "sampled_response_tokens"):
        nothing = entry(analysis, "dapo", name)
        assert (nothing.value, nothing.text, nothing.mark) == (None, None, "")


def test_against_the_reference_on_the_seeds_that_both_have(analysis):
    assert entry(analysis, "grpo", "sampled_delta").text == "reference"
    delta = entry(analysis, "gift", "sampled_delta")
    assert (delta.value, delta.mark, delta.p, delta.p_holm) == (pytest.approx(0.1), "†", None, None)
    assert delta.by_seed == {0: pytest.approx(0.1)}
    assert entry(analysis, "gift", "greedy_delta").value is None  # the reference was not evaluated
    assert entry(analysis, "gift", "sampled_mde").value is None  # one seed is not tested


def test_a_caption_says_of_intervals_what_is_true_of_the_rows_at_hand(results):
    for name in ("grpo", "gift"):
        results.cell(name, 0, [0.2, 0.4], items={("heldout", "sampled", 10): [[0], [1], [1], [0]]})
    (table,) = load(results.plan())
    said = COLUMNS["sampled_final"].explain(Analysis(table, table.rows, View(), {}))
    assert said == (ONE_SEED_ITEMS,)  # neither seeds nor a best row


def test_what_a_comparison_could_have_found(results):
    for seed in range(5):
        results.cell("grpo", seed, [0.2, 0.4 + 0.01 * seed])
        results.cell("gift", seed, [0.2, 0.5 + 0.02 * (seed % 2)])
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    detectable = entry(analysis, "gift", "sampled_mde")
    half = entry(analysis, "gift", "sampled_delta")
    assert detectable.value > 1.1 * (half.high - half.value) > 0  # 80 % power takes more than the interval's half
    differences = [entry(analysis, "gift", "sampled_delta").by_seed[seed] for seed in range(5)]
    assert detectable.value == pytest.approx(over_seeds(differences).mde())  # p < .05, before Holm
    assert entry(analysis, "grpo", "sampled_mde").value is None


def test_a_run_without_step_0_has_no_start_and_no_gain(results):
    cell = results.cell("a", 0, [0.2, 0.4, 0.5])
    _, *later = (cell / "evals.jsonl").read_text().splitlines(keepends=True)
    (cell / "evals.jsonl").write_text("".join(later))
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    found = [entry(analysis, "a", f"sampled_{name}").value for name in ("start", "final", "gain")]
    assert found == [None, 0.5, None]


def test_below_its_peak(analysis):
    drop = entry(analysis, "gift", "sampled_peak_drop")  # smoothed: start, (start + 0.9 + final) / 3, final
    peaks = [(s + 0.9 + f) / 3 - f for s, f in ((0.20, 0.50), (0.22, 0.60), (0.24, 0.70))]
    assert drop.value == pytest.approx(sum(max(0, peak) for peak in peaks) / 3)


def test_what_is_not_significantly_worse_than_the_best_is_bold(results):
    for seed in range(6):
        noise = 0.01 * (seed - 2.5)
        for label, final in (("a", 0.6 + noise), ("b", 0.595 - noise), ("c", 0.3 + 2 * noise)):
            results.cell(label, seed, [0.2, final])
    results.cell("d", 0, [0.2, 0.9])
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    bold = {row.label: COLUMNS["sampled_final"].entry(analysis, row).bold for row in table.rows}
    assert bold == {"a": True, "b": True, "c": False, "d": False}


def test_bold_and_rank_are_of_their_own_metric(results):
    for seed in range(4):
        noise = 0.002 * seed
        results.cell("a", seed, [0.2, 0.8 + noise], [0.2, 0.3 - noise])
        results.cell("b", seed, [0.2, 0.4 - noise], [0.2, 0.9 + noise])
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(metric="greedy"), {})
    bold = {mode: [entry(analysis, label, f"{mode}_final").bold for label in "ab"] for mode in ("sampled", "greedy")}
    assert bold == {"sampled": [True, False], "greedy": [False, True]}
    assert [entry(analysis, label, "rank").value for label in "ab"] == [2, 1]


def test_a_difference_has_its_p_before_and_after_holm_and_none_where_seeds_agree(results):
    for seed in range(4):
        results.cell("grpo", seed, [0.2, 0.4 + 0.01 * seed])
        results.cell("a", seed, [0.2, 0.45 + 0.02 * seed * (-1) ** seed])
        results.cell("b", seed, [0.2, 0.43 + 0.01 * (seed % 2)])
        results.cell("shifted", seed, [0.2, 0.5 + 0.01 * seed])  # the same difference in all seeds
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    found = {label: entry(analysis, label, "sampled_delta") for label in ("a", "b", "shifted")}
    raw = [over_seeds(list(one.by_seed.values())).p for one in found.values()]
    assert [one.p for one in found.values()] == raw and raw[2] is None
    assert [one.p_holm for one in found.values()] == holm(raw) != raw
    shifted = found["shifted"]
    assert (shifted.value, shifted.low, shifted.high, shifted.mark) == (pytest.approx(0.1), None, None, "")


def test_one_seed_is_not_tested_and_so_detects_nothing(results):
    for label in ("grpo", "gift"):
        results.cell(label, 0, items={("heldout", "sampled", 2): [[1], [0], [int(label == "gift")], [1]]})
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    assert entry(analysis, "gift", "sampled_delta").mark == "†" and entry(analysis, "gift", "sampled_delta").low < 0
    assert entry(analysis, "gift", "sampled_mde").value is None


def test_the_overfit_gap_holds_its_seeds(results):
    for seed, right in enumerate(([1, 1, 0, 0], [1, 1, 1, 0])):
        items = {("heldout", "sampled", 0): [[0]] * 4, ("heldout", "sampled", 4): [[1], [0], [0], [0]]}
        probe = {("probe", "sampled", 0): [[0]] * 4, ("probe", "sampled", 4): [[one] for one in right]}
        greedy = {(split, "greedy", step): [[step // 4], [0]] for split, _, step in items | probe}
        greedy["heldout", "greedy", 4] = [[0], [0]]
        results.cell("a", seed, items=items | probe | greedy)
    (table,) = load(results.plan())
    found = entry(Analysis(table, table.rows, View(), {}), "a", "sampled_overfit")
    assert found.by_seed == {0: 0.25, 1: 0.5} and found.value == pytest.approx(0.375)
    assert entry(Analysis(table, table.rows, View(), {}), "a", "greedy_overfit").value == 0.5


def test_conduct_at_the_end_is_that_of_held_out_items(results):
    path = results.cell("a", 0, [0.2, 0.4]) / "evals.jsonl"
    probe = eval_record(2, "sampled", 0.9, split="probe", response_tokens=99.0, truncated=0.9)
    heldout = eval_record(2, "sampled", 0.4, response_tokens=7.0, truncated=0.1, no_answer=0.3)
    records.append(path, [probe, heldout])
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    found = [entry(analysis, "a", f"sampled_{key}").value for key in ("response_tokens", "truncated", "no_answer")]
    assert found == [7.0, 0.1, 0.3]


def test_format_gap_is_what_the_tables_count_and_training_does_not(results):
    path = results.cell("a", 0, [0.2, 0.4]) / "evals.jsonl"
    records.append(path, [eval_record(2, "sampled", 0.5, strict=0.25, timed_out=0.125)])
    results.cell("older", 0, [0.2, 0.4])  # recorded before there were two verdicts
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    assert entry(analysis, "a", "sampled_format_gap").value == 0.25
    assert entry(analysis, "a", "sampled_timed_out").value == 0.125
    assert entry(analysis, "older", "sampled_format_gap").value is None
    assert entry(analysis, "older", "sampled_timed_out").value is None


def test_captions_say_why_there_is_no_comparison(results):
    def said():
        (table,) = load(results.plan())
        return " ".join(COLUMNS["sampled_delta"].explain(Analysis(table, table.rows, View(), {})))

    results.cell("grpo", 0, [0.2, 0.4], state="failed", error="x")
    results.cell("gift", 1, [0.2, 0.5])
    assert "No comparison: grpo, the reference, has no finished seed with an evaluation." in said()
    results.cell("grpo", 1, [0.2, 0.4])
    assert "No comparison" not in said()
    results.cell("dapo", 2, [0.2, 0.4])
    assert "No comparison (–) where a row and the reference have no seed in common." in said()


def test_every_column_explains_itself_or_has_a_plain_heading(analysis):
    for column in COLUMNS.values():
        assert column.heading(analysis)
        assert all(sentence.endswith((".", "!")) for sentence in column.explain(analysis)), column.name
