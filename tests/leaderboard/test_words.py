import math

import pytest

from leaderboard import words
from leaderboard.analysis import Analysis, View
from leaderboard.loading import load


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (512, "512"), (9999, "9999"), (9999.4, "9999"), (9999.6, "10 k"), (10_000, "10 k"),
        (1_234_567, "1.235 M"), (999_999, "1 M"), (2.5e15, "2.5 P"), (3.2e22, "32 Z"), (4e24, "4 Y"), (7.25, "7.25"),
        (-20_000, "−20 k"), (math.inf, "∞"), (-math.inf, "−∞"), ("many", "many"), (True, "True"), (None, "None"),
    ],
)  # fmt: skip
def test_quantity(value, text):
    assert words.quantity(value) == text


@pytest.mark.parametrize("exponent", range(25))
def test_no_count_is_shown_with_an_exponent(exponent):
    assert "e" not in words.quantity(9.9996 * 10**exponent)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"steps": 50}, "50 steps"),
        (
            {"generated_tokens": 2e6, "steps": 50, "seconds": None},
            "50 steps or 2 M generated tokens, whichever comes first",
        ),
        ({"flops": 1e18, "steps": 50, "prompts": 800}, "50 steps, 800 prompts or 1 E FLOPs, whichever comes first"),
        ({}, "none recorded"),
        (None, "unknown (no cell was started)"),
        ({"epochs": 2}, "2 epochs"),
    ],
)
def test_budget(spec, text):
    assert words.budget(spec) == text


def test_percent():
    assert words.percent(0.0123, digits=2) == "1.23" and words.percent(-0.5) == "−50.0" and words.percent(None) == "–"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a\n\n b\tc ", "a b c"),
        ("\x1b[31mred\x00", "�[31mred�"),
        ("a\u2028b\u0085c", "a b c"),
        ("95\u00a0%", "95\u00a0%"),
        ("\ud800", "�"),
    ],
)
def test_one_line(text, shown):
    assert words.one_line(text) == shown


def test_titles_differ_where_tables_do(results):
    results.cell("a", 0, [0.2, 0.4])
    results.cell("a", 0, [0.2, 0.4], budget={"steps": 8})
    results.cell("a", 0, [0.2, 0.4], task={"name": "gsm8k"})
    results.cell("b", 0, state=None, task={"name": "aime"})
    tables = load(results.plan())
    first, second = (table.slug for table in tables if table.task == "arithmetic")
    assert words.titles(tables) == [
        "demo: aime, model unknown", f"demo: arithmetic, tiny ({first})", f"demo: arithmetic, tiny ({second})",
        "demo: gsm8k, tiny",
    ]  # fmt: skip


def conditions(table):
    return words.conditions(Analysis(table, table.rows, View(), {}))


def test_conditions_say_what_was_spent_and_measured(results):
    results.cell("a", 0, [0.2, 0.4], [0.2, 0.4])
    results.cell("a", 1, items={("heldout", "sampled", 2): [[1, 0]] * 8})
    results.cell("b", 0, state=None)
    (table,) = load(results.plan())
    assert conditions(table) == (
        "Budget of each run: 4 steps. Finished seeds a row: 0 to 2. "
        "Last evaluation: 64 held-out items, sampled × 4, greedy × 1 or 8 held-out items, sampled × 2."
    )
    results.cell("b", 0, state=None, task={"name": "gsm8k"})
    assert conditions(load(results.plan())[1]) == "Budget of each run: unknown (no cell was started)."


def test_the_budget_of_a_chain_is_that_of_its_last_stage(results):
    results.cell("a", 0, [0.2, 0.4], after=[{"row": "r", "algorithm": {"name": "sft"}, "budget": {"steps": 9}}])
    said = conditions(load(results.plan())[0])
    assert said.startswith("Budget of each run, of a chain for its last stage unless noted: 4 steps. ")


def test_the_protocol_is_what_all_rows_share(results):
    """A row that was never started says nothing, and what is recorded nowhere is not there."""
    training = {"prompts_per_step": 16, "responses_per_prompt": 8, "updates_per_rollout": 4}
    sampling, evaluation = {"temperature": 1.0, "max_tokens": 6}, {"every": 5, "probe": 200}
    results.cell("a", 0, [0.2, 0.4], training=training, sampling=sampling, evaluation=evaluation)
    results.cell("b", 0, state=None)
    (table,) = load(results.plan())
    assert words.settings(table) == (
        "Protocol: 16 prompts × 8 responses a step, 4 updates a rollout, temperature 1, at most 6 tokens, evaluated "
        "every 5 steps, at most 200 probe items."
    )
    other = training | {"responses_per_prompt": 4, "updates_per_rollout": 1}
    results.cell("c", 0, [0.2, 0.4], training=other, sampling={"temperature": 1.0}, evaluation=evaluation)
    (table,) = load(results.plan())
    assert words.settings(table) == (
        "Protocol: 16 prompts a step, temperature 1, evaluated every 5 steps, at most 200 probe items."
    )
    results.cell("a", 0, [0.2, 0.4], task={"name": "b"})
    assert words.settings(load(results.plan())[1]) == ""


def test_conditions_count_clusters_and_the_seeds_of_rows_that_are_no_control(results):
    for seed in range(2):
        items = {("heldout", "sampled", 2): [[1, 0]] * 6}
        results.cell("a", seed, items=items, clusters=["x", "x", "y", "y", "y", "z"])
    results.cell("a: A/A", 0, [0.2, 0.4], provenance={"control": "a-a"}, name="a")
    (table,) = load(results.plan())
    assert conditions(table) == (
        "Budget of each run: 4 steps. Finished seeds a row: 2. "
        "Last evaluation: 6 held-out items in 3 clusters, sampled × 2 or 64 held-out items, sampled × 4."
    )


def test_what_was_measured_of_rewards(results):
    key = ("heldout", "sampled", 2)
    results.rewarded("a", 0, {key: [[1.0, 2.0]] * 6}, clusters=["x", "x", "y", "y", "y", "z"])
    (table,) = load(results.plan())
    assert conditions(table).endswith("Last evaluation: 6 held-out items in 3 clusters, sampled × 2.")


def test_a_score_is_of_its_measure():
    assert [words.score(value, "accuracy") for value in (0.613, None)] == ["61.3", "–"]
    assert [words.score(value, "reward") for value in (-1.2345, None)] == ["−1.23", "–"]
