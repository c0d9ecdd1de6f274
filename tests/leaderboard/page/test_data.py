"""What the page is drawn from: curves, pairs, items, texts and sentences, each against what tables stand on."""

import json
import math

import numpy as np
import pytest

from leaderboard.analysis import Analysis, View
from leaderboard.build import build
from leaderboard.columns import COLUMNS
from leaderboard.curves import curve
from leaderboard.loading import load
from leaderboard.page import charts, pairs
from leaderboard.page.answers import answers
from leaderboard.page.data import Extras, payload
from leaderboard.page.judged import find
from leaderboard.page.summary import of_convergence, of_runs, short_names
from leaderboard.selection import Archive

from .conftest import handed_in, judged, tell, uneven


@pytest.fixture(scope="module")
def data(site):
    return payload(site.built, site.extras)


def verdict_runs(results, finals, seeds=3, items=60):
    """Rows with the same chance at every item."""
    for n, (label, final) in enumerate(finals.items()):
        for seed in range(seeds):
            rng = np.random.default_rng([n, seed])
            found = {}
            for step in range(0, 12, 2):
                chance = 0.2 + (final - 0.2) * step / 10
                found["heldout", "sampled", step] = (rng.random((items, 4)) < chance).astype(int).tolist()
            results.cell(label, seed, items=found)
    (table,) = load(results.plan())
    return Analysis(table, table.rows, View(), {})


def test_curves_are_the_figures(site, data):
    table = next(table for table in data["tables"] if table["kind"] == "rlvr")
    source = next(one for one in site.built.archive.tables if one.slug == table["slug"])
    assert [panel["name"] for panel in table["curves"]["panels"]] == ["sampled", "greedy"]
    for panel in table["curves"]["panels"]:
        for row in source.rows:
            drawn, shown = curve(row, panel["name"]), panel["rows"][row.hash]
            assert shown["mean"] == pytest.approx(drawn.mean.tolist(), abs=6e-5)
            assert (shown["half"] is None) == (drawn.half is None)
            if drawn.half is not None:
                assert shown["half"] == pytest.approx(drawn.half.tolist(), abs=6e-5)
            for axis in ("steps", "generated_tokens", "flops"):
                assert table["curves"]["pool"][shown["x"][axis]] == pytest.approx(drawn.x(axis), rel=1e-4)
    assert len(table["curves"]["pool"]) == 7  # all rows are evaluated at the same steps


def test_gold_has_curves_of_its_own(data):
    table = next(table for table in data["tables"] if table["kind"] == "rlhf")
    assert [panel["name"] for panel in table["curves"]["panels"]] == [
        "sampled",
        "greedy",
        "sampled_gold",
        "greedy_gold",
    ]


def test_the_target_is_reached_where_the_tables_say(results):
    analysis = verdict_runs(results, {"grpo": 0.6, "gift": 0.9})
    found = charts.curves(analysis, Archive([analysis.table]))
    medians = {row.hash: sorted(analysis.times(row).values())[1] for row in analysis.rows}
    assert sum(math.isfinite(time) for time in medians.values()) > 0
    for row, time in medians.items():
        steps, tokens = (float(found["reached"][axis][row]) for axis in ("steps", "generated_tokens"))
        assert (steps, tokens) == pytest.approx((time, 1000 * time), rel=1e-4)


def test_long_curves_are_thinned_and_keep_their_ends(results):
    accuracies = [0.2 + 0.0005 * n for n in range(900)]
    results.cell("grpo", 0, accuracies)
    (table,) = load(results.plan())
    found = charts.curves(Analysis(table, table.rows, View(), {}), Archive([table]))
    (panel,) = found["panels"]
    (line,) = panel["rows"].values()
    assert panel["thinned"] and len(line["mean"]) == charts.POINTS
    assert (line["mean"][0], line["mean"][-1]) == (round(accuracies[0], 4), round(accuracies[-1], 4))
    assert found["pool"][line["x"]["steps"]][-1] == 2 * 899


def test_seeds_that_end_at_different_steps_have_an_axis_and_the_tables_final_score(results):
    (table,) = load(uneven(results))
    analysis = Analysis(table, table.rows, View(), {})
    found = charts.curves(analysis, Archive([table]))
    assert [axis["name"] for axis in found["axes"]] == ["steps"]
    (panel,) = found["panels"]
    for row in table.rows:
        assert len(panel["rows"][row.hash]["mean"]) == 1, "they share their start alone"
        assert panel["rows"][row.hash]["final"] == COLUMNS["sampled_final"].entry(analysis, row).value > 0.4


def test_pairs_are_all_pairs_with_the_ranking_s_tests(results):
    analysis = verdict_runs(results, {"grpo": 0.4, "gift": 0.9, "dapo": 0.42})
    found = pairs.differences(analysis)["sampled"]
    assert len(found) == 3
    labels = {row.hash: row.label for row in analysis.rows}
    named = {(labels[one["a"]], labels[one["b"]]): one for one in found}
    one = named["grpo", "gift"]
    mine, theirs = (analysis.scores(row, "sampled") for row in analysis.rows[:2])
    estimate = mine.less(theirs).estimate
    assert one["entry"]["value"] == estimate.mean and one["entry"]["low"] == estimate.low
    assert one["entry"]["p_holm"] < 0.05 and one["entry"]["mark"].startswith("*")
    assert (one["a"], one["b"]) in {(b, a) for a, b in analysis.ranking("sampled").better}
    assert named["grpo", "dapo"]["entry"]["p_holm"] > 0.05
    by_seed = {str(seed): value for seed, value in mine.less(theirs).by_seed.items()}
    assert one["by_seed"] == pytest.approx(by_seed, abs=1e-6)


def test_items_count_every_verdict(results):
    analysis = verdict_runs(results, {"grpo": 0.4, "gift": 0.9})
    found = pairs.items(analysis)["sampled"]
    for row in analysis.rows:
        kept, scores = found["rows"][row.hash], analysis.scores(row, "sampled")
        assert kept["n"] == 12 and found["ids"] == list(scores.items)
        assert np.array(kept["right"]) / 12 == pytest.approx(scores.values.mean(axis=0))
    assert pairs.items(analysis, room=100) == {}


def test_texts_of_the_items_on_which_rows_differ_most(results):
    analysis = verdict_runs(results, {"grpo": 0.3, "gift": 0.9}, items=30)
    assert answers(analysis, pairs.items(analysis)["sampled"]) == {}  # none was recorded
    for row in analysis.rows:
        for cell in row.cells:
            tell(cell.folder, "and more")
    analysis = Analysis(load(results.folder)[0], load(results.folder)[0].rows, View(), {})
    items = pairs.items(analysis)["sampled"]
    found = answers(analysis, items)
    assert set(found["prompts"]) == set(items["ids"]) == set(found["answers"])
    for row in analysis.rows:
        first = {item: values for item, values in zip(items["ids"], first_seed(analysis, row), strict=True)}
        for item, (text, verdict) in found["rows"][row.hash].items():
            assert text.startswith("I say ") and verdict == int(2 * sum(first[item]) >= 4)
    few = answers(analysis, items, room=400)
    assert 0 < len(few["prompts"]) < 10
    right = [items["rows"][row.hash]["right"] for row in analysis.rows]
    apart = {item: abs(a - b) for item, a, b in zip(items["ids"], *right, strict=True)}
    assert min(apart[item] for item in few["prompts"]) >= max(apart[i] for i in apart if i not in few["prompts"])


def first_seed(analysis, row):
    lines = (row.done[0].folder / "items.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [one["correct"] for one in sorted(found, key=lambda one: one["id"]) if one["step"] == 10]


def test_what_a_table_shows_in_a_sentence(results):
    analysis = verdict_runs(results, {"grpo": 0.4, "gift@released(x=1)": 0.9, "dapo": 0.42})
    said = of_runs(analysis)
    assert said.startswith("gift@released has the highest final sampled accuracy, ")
    assert "significantly above every other" in said and "2 of 3 pairs of rows separate at 3 seeds a row" in said


def test_where_nothing_separates_nothing_is_said_to(results):
    analysis = verdict_runs(results, {"grpo": 0.5, "gift": 0.5, "dapo": 0.5})
    assert of_runs(analysis).startswith("No two of 3 rows separate at 3 seeds a row: all share rank 1. ")


def test_one_seed_is_not_ranked(results):
    said = of_runs(verdict_runs(results, {"grpo": 0.5, "gift": 0.9}, seeds=1))
    assert "gift has the highest" in said and "nothing is ranked" in said


def test_without_a_target_the_sentence_says_why(results):
    assert of_convergence(verdict_runs(results, {"grpo": 0.2, "gift": 0.9})).startswith("No target: ")


def test_short_names_are_short_only_where_they_tell_rows_apart():
    assert short_names(["gift(a=1)", "gift(a=2)", "dapo(b=1)"]) == {
        "gift(a=1)": "gift(a=1)", "gift(a=2)": "gift(a=2)", "dapo(b=1)": "dapo",
    }  # fmt: skip


def test_the_name_of_a_submission_stays(results):
    assert short_names(["gift(a=1)", "gift(a=1) (mine)", "gift (v1.0) #0f3a9c", "grpo (mine)"]) == {
        "gift(a=1)": "gift", "gift(a=1) (mine)": "gift (mine)", "gift (v1.0) #0f3a9c": "gift (v1.0) #0f3a9c",
        "grpo (mine)": "grpo (mine)",
    }  # fmt: skip
    (table,) = payload(handed_in(results), Extras())["tables"]
    rows = {row["short"]: row for row in table["rows"]}
    assert rows.keys() == {
        "gift@released",
        "gift@released (mine)",
        "gift@released (a-long-name-of-somebody)",
    }
    assert rows["gift@released (mine)"]["submitted"] == "mine" and "submitted" not in rows["gift@released"]


@pytest.mark.parametrize(
    "command", [["curl", "http://example.com"], ["groupbench", "submit"], "rm", 7, [["groupbench"]]]
)
def test_no_command_of_somebody_elses_is_offered(command, results, tmp_path):
    results.cell("grpo", 0, [0.5], provenance={"command": command})
    good = ["groupbench", "run", "recipes/x.yaml", "name=it's"]
    for seed, commit in enumerate(("--upload-pack=x", "; rm -rf x", "main", "a" * 40 + "+"), start=1):
        results.cell("grpo", seed, [0.5], provenance={"command": good, "commit": commit})
    runs = payload(build(results.plan(), tmp_path, figures=False), Extras())["runs"]
    again = [run.get("command") for run in sorted(runs, key=lambda run: run["seed"])]
    plain = """groupbench run recipes/x.yaml 'name=it'"'"'s' --out results/again-"""
    assert again[0] is None and [one[:-16] for one in again[1:4]] == [plain] * 3
    assert again[4].startswith(f"git checkout {'a' * 40} && {plain}")


def test_two_judges_never_share_a_table(site, data):
    assert sorted(table["judge"] for table in data["judged"]) == ["judge-a@r1", "judge-b@r1"]
    for table in data["judged"]:
        at = [column["name"] for column in table["columns"]].index("win_rate")
        rates = {row["label"]: row["entries"][at]["value"] for row in table["rows"]}
        assert (rates["gift"] > rates["dapo"]) == (table["judge"] == "judge-a@r1")
        (pair,) = table["pairs"]["judged"]
        assert pair["entry"]["value"] == pytest.approx(rates[pair["a"]] - rates[pair["b"]], abs=0.2)


def test_verdicts_that_make_no_table_are_named(tmp_path):
    for n in range(2):
        judged(tmp_path / "judged" / f"twice-{n}", "judge", "gift", 0, 0.5)
    found = find(tmp_path)
    assert not found.judgings and "seed" in found.errors[0]
    assert find(tmp_path / "nowhere").judgings == ()


def test_infinity_is_words(data):
    entries = [entry for table in data["tables"] for row in table["rows"] for entry in row["entries"] if entry]
    assert any(entry.get("value") == "inf" and entry["text"] == "∞" for entry in entries)
    assert all(math.isfinite(entry["value"]) for entry in entries if isinstance(entry.get("value"), float))
