from leaderboard.analysis import Analysis, View
from leaderboard.columns import COLUMNS
from leaderboard.loading import load


def entries(results, name):
    (table,) = load(results.plan())
    analysis = Analysis(table, table.rows, View(), {})
    return {row.label: COLUMNS[name].entry(analysis, row) for row in table.rows}


def test_seeds_say_what_is_missing(results):
    for seed in range(3):
        results.cell("gift", seed, [0.2, 0.4])
        results.cell("dapo", seed, state=None)
    results.cell("grpo", 0, [0.2, 0.4])
    results.cell("grpo", 1, [0.2, 0.4], state="failed", error="x")
    results.cell("grpo", 2, [0.2, 0.4], state="running")
    found = {label: entry.text for label, entry in entries(results, "seeds").items()}
    assert found == {"gift": "3/3", "grpo": "1/3 (1 failed, 1 running)", "dapo": "0/3 (missing)"}
    assert {label: entry.value for label, entry in entries(results, "seeds_failed").items()} == {
        "gift": 0,
        "grpo": 1,
        "dapo": 0,
    }


def test_cards_are_as_recorded(results):
    results.cell("older", 0, [0.2, 0.4])
    assert entries(results, "card_clip")["older"].text is None
