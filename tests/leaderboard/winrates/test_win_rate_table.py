"""The win-rate table: who may stand in it, its numbers, ranks and marks, and every export of it."""

from __future__ import annotations

import csv
import io

import msgspec
import numpy as np
import pytest

from leaderboard.export import delimited, latex, markdown
from leaderboard.records import LeaderboardError
from leaderboard.stats import crossed
from leaderboard.verdicts import Cost, Player, Style
from leaderboard.winrates import against, arena, length_control, table
from leaderboard.winrates.rows import contest

from .conftest import JUDGE, judged

ARENA = msgspec.structs.replace(JUDGE, prompt="arena", decode={"temperature": 0.0, "max_tokens": 4096})
N = 150


def drawn(candidate, seed, p, *, unread=0.0, n=N, side=None, **changes):
    """One judging of n pairs; `unread` of the replies could not be read."""
    rng = np.random.default_rng([seed, int(1000 * p), len(candidate)])
    hard = np.random.default_rng(7).normal(0, 0.15, n)  # of the instruction, the same for all
    scores = {
        str(i): tuple("invalid" if rng.random() < unread else float(rng.random() < p + hard[i]) for _ in range(2))
        for i in range(n)
    }
    one = judged(scores, candidate=candidate, seed=seed, **changes)
    if side is not None:
        for number, pair in enumerate(one.pairs):
            one.pairs[number] = msgspec.structs.replace(
                pair, difficulty=float(side.difficulty[number]), chars=tuple(rng.integers(100, 3000, 2).tolist())
            )
    return one


def entries(grid):
    """By row and column."""
    names = [header.name for header in grid.headers]
    return {line.label: dict(zip(names, line.entries, strict=True)) for line in grid.lines}


@pytest.fixture(scope="module")
def many():
    found = []
    for name, p in (("grpo", 0.3), ("gift", 0.7), ("dapo", 0.32)):
        for seed in range(3):
            found.append(drawn(name, seed, p, cost=Cost(10, 2, 100, 5, 0.5, 1800.0)))
            style = dict(tokens=(90 + seed, 100), style=(Style(1, 0, 0), Style(1, 0, 0)))
            found.append(drawn(name, seed, p + 0.05, task="arena_hard", judge=ARENA, parser="arena", **style))
            if name != "grpo":
                opponent = Player(f"grpo-{seed}", "g", "grpo", None, seed)
                found.append(drawn(name, seed, p + 0.2, opponent=opponent))
    return found


def test_numbers_come_from_the_statistics(many):
    made = entries(table.table(many, "grpo"))
    own = [one for one in many if one.record.candidate.algorithm == "gift"]
    main = [one for one in own if one.record.opponent.name == "baseline" and one.record.task.name == "alpaca_eval"]
    matrix = np.array([against.shares(one)[1] for one in main])
    # Pairs in sorted order of their ids: another order of the sum.
    expected = crossed(matrix)
    entry = made["gift"]["win_rate"]
    assert entry.value == pytest.approx(expected.mean) and entry.low == pytest.approx(expected.low)
    assert sorted(entry.by_seed) == [0, 1, 2]
    head = against.head_to_head([one for one in own if one.record.opponent.algorithm == "grpo"])
    versus = made["gift"]["vs_reference"]
    assert (versus.value, versus.low, versus.p) == pytest.approx((head.win_rate, head.low, head.over_half.p))
    assert made["gift"]["vs_reference_wtl"].text == f"{head.wins}/{head.ties}/{head.losses}"
    assert made["grpo"]["vs_reference"].text == "reference"
    scores = [
        arena.score(arena.of_judged(one), "ours", "x").score for one in own if one.record.task.name == "arena_hard"
    ]
    assert made["gift"]["arena_hard"].value == pytest.approx(np.mean(scores))
    assert "cost_usd" not in made["gift"]  # of some judgings the price is not known
    assert made["gift"]["gpu_hours"].value == pytest.approx(1.5)
    assert made["gift"]["seeds"].value == 3 and made["gift"]["n"].value == N
    assert made["gift"]["judge"].text == "judge-1@r1"


def test_ranks_stars_and_bold(many):
    grid = table.table(many, "grpo")
    made = entries(grid)
    assert {name: row["rank"].value for name, row in made.items()} == {"gift": 1, "dapo": 2, "grpo": 2}
    assert [name for name, row in made.items() if row["win_rate"].bold] == ["gift"]
    versus = made["gift"]["vs_reference"]
    # Two direct tests: Holm doubles the smaller p.
    assert versus.p_holm == pytest.approx(2 * versus.p) and versus.mark in ("*", "**")
    assert grid.lines[0].label == "gift"
    assert any("after Holm over 3 pairs" in sentence for sentence in grid.caption)


def test_one_seed_gets_a_dagger_and_no_rank():
    grid = table.table([drawn("gift", 0, 0.9), drawn("grpo", 0, 0.1)])
    made = entries(grid)
    assert "rank" not in made["gift"] and made["gift"]["win_rate"].mark == "†"
    assert made["gift"]["win_rate"].low is not None and not made["gift"]["win_rate"].bold
    assert any("No ranks" in sentence for sentence in grid.caption)
    assert any(sentence.startswith("†") for sentence in grid.caption)


def test_a_row_below_the_limits_has_no_number(many):
    made = entries(table.table([*many, drawn("bad", 0, 0.9, unread=0.2), drawn("fair", 0, 0.5, unread=0.03)], "grpo"))
    bad, fair = made["bad"], made["fair"]
    assert bad["win_rate"].text.startswith("refused: ") and "(seed 0)" in bad["win_rate"].text
    assert bad["win_rate"].value is None and bad["discrete"].value is None and bad["rank"].value is None
    low, high = (float(end) / 100 for end in bad["band"].text.split(" to "))
    assert low < high - 0.1
    assert fair["win_rate"].value is not None and fair["band"].text and made["gift"]["band"].text is None


def test_verdicts_of_two_judges_are_refused_and_both_named():
    other = msgspec.structs.replace(JUDGE, model="judge-2")
    with pytest.raises(LeaderboardError, match=r"openai judge-1@r1 \(.*gift-0.*\) and openai judge-2@r1 \(.*grpo-0"):
        table.table([drawn("gift", 0, 0.5), drawn("grpo", 0, 0.5, judge=other)])
    for change, words in (
        ({"judge": msgspec.structs.replace(JUDGE, prompt_sha="x")}, "prompt_sha: 'sha' against 'x'"),
        ({"parser": "last"}, "parser: 'labels' against 'last'"),
        ({"opponent": Player("another")}, "one task and one baseline"),
        ({"task": "ours"}, "one task and one baseline"),
    ):
        with pytest.raises(LeaderboardError, match=words):
            table.table([drawn("gift", 0, 0.5), drawn("grpo", 0, 0.5, **change)])
    # A backend decides nothing.
    assert table.table(
        [drawn("gift", 0, 0.5), drawn("grpo", 0, 0.5, judge=msgspec.structs.replace(JUDGE, backend="z"))]
    )
    with pytest.raises(LeaderboardError, match=r"gift: .* expected each seed once"):
        table.table([drawn("gift", 0, 0.5), drawn("gift", 0, 0.6)])
    with pytest.raises(LeaderboardError, match="at least one folder of verdicts"):
        table.table([])


def test_a_row_on_other_pairs_is_shown_and_not_ranked():
    rows = [drawn(name, seed, 0.5) for name in ("grpo", "gift") for seed in range(2)]
    rows += [drawn("else", seed, 0.9, n=40) for seed in range(2)]
    grid = table.table(rows, "grpo")
    made = entries(grid)
    assert made["else"]["win_rate"].mark == "‡" and made["else"]["rank"].value is None
    assert made["gift"]["win_rate"].mark == ""
    assert made["gift"]["rank"].value is not None
    assert any(sentence.startswith("‡") for sentence in grid.caption)
    # Of one benchmark; the other's questions are the same for all.
    rows += [drawn(name, 0, 0.5, task="arena_hard", judge=ARENA) for name in ("grpo", "else")]
    assert entries(table.table(rows, "grpo"))["else"]["arena_hard"].mark == "†"


def test_length_control_in_the_table(side):
    rows = [drawn("gift", seed, 0.6, n=300, side=side) for seed in range(2)] + [drawn("grpo", 0, 0.4, n=300, side=side)]
    without, made = entries(table.table(rows)), entries(table.table(rows, side=side))
    assert "lc_win_rate" not in without["gift"]
    fits = [length_control.fit(length_control.of_judged(one), side) for one in rows]
    assert made["gift"]["lc_win_rate"].value == pytest.approx((fits[0].win_rate + fits[1].win_rate) / 2)
    assert made["gift"]["lc_win_rate"].df is not None  # over seeds and pseudo-values
    single = made["grpo"]["lc_win_rate"]
    drawn_ = length_control.bootstrap(length_control.of_judged(rows[2]), side, rows[2].title, fits[2].strength)
    assert (single.value, single.low, single.high) == pytest.approx((fits[2].win_rate, drawn_.low, drawn_.high))
    assert single.mark == "†"
    found = contest(rows, side=side)
    assert found.metric(found.rows[0]) is found.controlled(found.rows[0])


def test_notices_and_flags_stand_below():
    one = judged({str(n): (1.0, 0.0) for n in range(20)}, flags=["judge-markers"])
    said = table.table([one]).caption
    assert "gift, alpaca_eval: 0.0 % of the pairs have the same winner in both orders" in " ".join(said)
    assert "20 answers are flagged judge-markers" in " ".join(said)


def test_tables_of_one_kind_alone():
    opponents = [Player(f"grpo-{seed}", "g", "grpo", None, seed) for seed in range(2)]
    direct = [drawn(name, seed, 0.8, opponent=opponents[seed]) for name in ("gift", "dapo") for seed in range(2)]
    made = entries(table.table(direct, "grpo"))
    assert made["gift"]["vs_reference"].value > 0.7 and made["gift"]["vs_reference_wtl"].text
    assert made["gift"].keys() & {"win_rate", "lc_win_rate", "arena_hard", "rank"} == set()
    assert made["gift"]["n"].value == N and made["gift"]["consistency"].value is not None
    alone = [drawn(n, s, p, task="arena_hard", judge=ARENA) for n, p in (("a", 0.2), ("b", 0.8)) for s in range(3)]
    made = entries(table.table(alone))
    assert [made[name]["rank"].value for name in "ab"] == [2, 1] and made["b"]["arena_hard"].bold
    assert "style_controlled" not in made["a"]


def test_judges_that_are_a_party_are_named():
    own = msgspec.structs.replace(JUDGE, model="baseline", kind="reward_model")
    said = " ".join(table.table([drawn("gift", 0, 0.5, judge=own)]).caption)
    assert "The judge is one of those judged, baseline" in said and "The judge is a reward model" in said
    assert "judge is" not in " ".join(table.table([drawn("gift", 0, 0.5)]).caption)


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_rows_that_always_win_lose_or_tie(score, side):
    def row(name, seed):
        one = judged({str(n): (score, score) for n in range(30)}, candidate=name, seed=seed, chars=(100, 100))
        for number, pair in enumerate(one.pairs):
            one.pairs[number] = msgspec.structs.replace(pair, difficulty=float(side.difficulty[number]))
        return one

    rows = [row(name, seed) for name in ("gift", "grpo") for seed in range(2)]
    rows += [
        judged({str(n): (score, score) for n in range(30)}, task="arena_hard", judge=ARENA, candidate="gift"),
        judged({str(n): (score, score) for n in range(30)}, opponent=Player("g", None, "grpo", None, 0)),
    ]
    grid = table.table(rows, "grpo", side)
    made = entries(grid)
    assert made["gift"]["win_rate"].value == score and made["gift"]["win_rate"].low is None
    assert made["gift"]["arena_hard"].value == score and made["gift"]["arena_hard"].low is None
    assert made["gift"]["vs_reference"].value == score and made["gift"]["rank"].value == 1
    assert abs(made["gift"]["lc_win_rate"].value - score) < 0.2
    assert markdown.grid(grid) and latex.document([grid]) and delimited.tidy([grid])


def test_every_export_takes_it_and_the_order_of_folders_does_not_matter(many):
    grid = table.table(many, "grpo")
    again = table.table(list(reversed(many)), "grpo")
    for make in (markdown.grid, lambda g: latex.document([g]), lambda g: delimited.wide([g])):
        assert make(grid) == make(again) == make(table.table(many, "grpo"))
    assert "| gift | 3 |" in markdown.grid(grid)
    lines = list(csv.DictReader(io.StringIO(delimited.wide([grid]))))
    assert [line["algorithm"] for line in lines] == ["gift", "dapo", "grpo"]
    assert float(lines[0]["win_rates_vs_reference_p_holm"]) < 0.05
    assert r"\begin{tabular}" in latex.document([grid]) and latex.document([grid]).isascii()
    tidy = list(csv.DictReader(io.StringIO(delimited.tidy([grid]))))
    assert {line["seed"] for line in tidy} == {"0", "1", "2"}


def test_style_that_cannot_be_told_from_the_rows_is_said(many):
    made = entries(table.table(many, "grpo"))
    assert made["gift"]["style_controlled"].value is not None or "none: " in made["gift"]["style_controlled"].text


def rated(name, seed, shift, n=120):
    """A judging of a task of our own by a judge that likes length, of answers `shift` sd longer."""
    rng = np.random.default_rng([seed, len(name), 1])
    delta = rng.normal(shift, 1, n)
    p = 1 / (1 + np.exp(-1.5 * np.tanh(delta)))
    one = judged(
        {str(i): tuple(float(rng.random() < p[i]) for _ in range(2)) for i in range(n)},
        candidate=name, seed=seed, task="preference",
    )  # fmt: skip
    for i, pair in enumerate(one.pairs):
        one.pairs[i] = msgspec.structs.replace(pair, chars=(1000 + round(300 * delta[i]), 1000))
    return one


def test_other_tasks_are_plainly_length_controlled(side):
    judgings = [rated(name, seed, shift) for name, shift in (("grpo", 0.0), ("verbose", 1.0)) for seed in range(3)]
    for known in (None, side):
        grid = table.table(judgings, side=known)
        made = entries(grid)
        verbose = made["verbose"]
        assert verbose["win_rate"].low > 0.5 and verbose["lc_win_rate"].low < 0.5 < verbose["lc_win_rate"].high
        assert made["grpo"]["lc_win_rate"].value == pytest.approx(made["grpo"]["win_rate"].value, abs=0.03)
        assert verbose["rank"].value == 1 == made["grpo"]["rank"].value  # what is ranked is the control
        said = " ".join(grid.caption)
        assert "LC: plainly length-controlled" in said and "not to be compared with it" in said
    single = entries(table.table(judgings[-1:]))["verbose"]["lc_win_rate"]
    rows, plain = length_control.control(judgings[-1], None)
    drawn_ = length_control.bootstrap(rows, plain, judgings[-1].title, length_control.choose(rows, plain))
    assert (single.low, single.high, single.mark) == (drawn_.low, drawn_.high, "†")


def test_where_all_answers_are_longer_the_row_says_why_it_has_no_control():
    judgings = [rated("grpo", 0, 0.0), rated("verbose", 0, 4.0)]
    grid = table.table(judgings)
    made = entries(grid)
    assert made["grpo"]["lc_win_rate"].value is not None and made["verbose"]["lc_win_rate"].value is None
    assert "verbose: not length-controlled: 100 % of its answers are longer" in " ".join(grid.caption)
    assert "grpo: not length" not in " ".join(grid.caption)


def test_the_control_of_alpaca_eval_is_never_plain(many):
    grid = table.table(many, "grpo")
    assert "lc_win_rate" not in entries(grid)["gift"] and "length-controlled" not in " ".join(grid.caption)
