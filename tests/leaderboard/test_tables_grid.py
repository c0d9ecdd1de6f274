"""From programs to grids: which rows, in which order, under which headings, with which caption."""

import pytest

from leaderboard.columns import COLUMNS
from leaderboard.columns.across import ACROSS
from leaderboard.loading import load
from leaderboard.programs import Choice, Program, ProgramError, RowChoice, TableProgram, Where
from leaderboard.selection import Archive
from leaderboard.tables import grids

RANDOM = {"control": "random-reward"}


def made(results, *columns, **keys):
    """The grids of one table with these columns; names, or (name, heading, task)."""
    choices = tuple(Choice(column) if isinstance(column, str) else Choice(*column) for column in columns)
    rows = tuple(RowChoice(row) if isinstance(row, str) else RowChoice(*row) for row in keys.pop("rows", ()))
    program = Program("mine", (TableProgram("t", choices or (Choice("algorithm"),), rows=rows, **keys),))
    return grids(Archive(load(results.plan())), program)


def grid(results, *columns, **keys):
    (only,) = made(results, *columns, **keys)
    return only


def labels(grid):
    return [line.label for line in grid.lines]


def column(grid, name):
    n = [header.name for header in grid.headers].index(name)
    return {line.label: line.entries[n] for line in grid.lines}


@pytest.fixture
def several(results):
    """Finals .8, .6, .4; a control arm that ends highest; one that never ended; one that never began."""
    for label, final in (("grpo@paper", 0.6), ("gift@released", 0.8), ("gift@smooth", 0.4)):
        for seed in range(2):
            curve = [0.2, final - 0.01 * seed]
            results.cell(label, seed, curve, curve, name=label.partition("@")[0])
    results.cell("grpo@paper, random reward", 0, [0.2, 0.9], provenance=RANDOM, control="random-reward")
    results.cell("dapo", 0, [0.2, 0.99], state="failed")
    results.cell("aspo", 0, state=None)
    return results


def test_best_final_first_then_what_has_none_and_control_arms_below(several):
    assert labels(grid(several)) == [
        "gift@released", "grpo@paper", "gift@smooth", "aspo", "dapo", "grpo@paper, random reward",
    ]  # fmt: skip
    assert [line.control for line in grid(several).lines] == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (("grpo",), ["grpo@paper"]),  # the algorithm's name
        (("gift@smooth", "gift*"), ["gift@smooth", "gift@released"]),  # in order, and none twice
        (("?apo",), ["dapo"]),
        (("*random*", "aspo"), ["grpo@paper, random reward", "aspo"]),
    ],
)
def test_rows_by_label_name_and_pattern(several, rows, found):
    assert labels(grid(several, rows=rows, order="rows")) == found


def test_a_label_with_brackets_is_no_pattern(results):
    results.cell("[a]", 0, [0.2, 0.4])
    results.cell("a", 0, [0.2, 0.4])
    assert labels(grid(results, rows=("[a]",))) == ["[a]", "a"]  # by name first, and "a" by pattern


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("sampled_final", ["gift@released", "grpo@paper", "gift@smooth"]),
        ("-sampled_final", ["gift@smooth", "grpo@paper", "gift@released"]),
        ("sampled_start", ["gift@released", "gift@smooth", "grpo@paper"]),  # all equal: by label
        ("algorithm", ["gift@released", "gift@smooth", "grpo@paper"]),
        ("rows", ["grpo@paper", "gift@released", "gift@smooth"]),  # the recipe's, where the program has none
        ("seeds_missing", ["gift@released", "gift@smooth", "grpo@paper"]),
    ],
)
def test_order(several, order, found):
    assert labels(grid(several, order=order, rows=("grpo", "gift*") if order != "rows" else ()))[:3] == found


def test_what_was_never_reached_comes_before_what_is_not_known(results):
    """∞ is a result; a row without a finished seed has none, whatever its label."""
    for seed in range(2):
        results.cell("reached", seed, [0.2, *[0.6] * 5])
        results.cell("z-never", seed, [0.2, *[0.3] * 5])
    results.cell("a-unknown", 0, state=None)
    shown = grid(results, "time_to_target", order="-time_to_target", target_accuracy=0.5)
    assert labels(shown) == ["reached", "z-never", "a-unknown"]
    shown = grid(results, "time_to_target", order="time_to_target", target_accuracy=0.5)
    assert labels(shown) == ["z-never", "reached", "a-unknown"]
    # `2/2` has Wilson's interval in the CSV and shows none: nothing is explained that is not there.
    assert not any("±" in said for said in grid(results, "success", target_accuracy=0.5).caption)


def test_a_caption_names_the_rows_that_are_left_out(several):
    """With fewer rows there are fewer tests: a reader must see that some were chosen."""
    assert not any(said.startswith("Left out") for said in grid(several, "algorithm").caption)
    said = "Left out here, but counted in ranks and in Holm's corrections: gift@released."
    assert said in grid(several, "algorithm", rows=("gift@smooth",)).caption  # the reference is in every test
    said = "Left out here, and of every test and rank: gift@released."
    assert said in grid(several, "algorithm", rows=("gift@smooth",), family="shown").caption


def test_rows_under_names_of_the_programs_own(several):
    rows = (("gift@released", "GIFT"), ("grpo@paper", "GRPO"))
    shown = grid(several, "algorithm", "sampled_final", "sampled_delta", rows=rows, reference="grpo@paper")
    assert labels(shown) == ["GIFT", "GRPO"] and shown.headers[2].heading == "sampled: vs GRPO"
    assert column(shown, "algorithm")["GIFT"].text == "GIFT"
    assert "Rows: GIFT is gift@released; GRPO is grpo@paper." in shown.caption
    plain = grid(several, "sampled_final", rows=("gift@released",))
    assert column(plain, "sampled_final")["gift@released"] == column(shown, "sampled_final")["GIFT"]
    assert labels(grid(several, rows=rows[::-1], reference="GRPO", order="rows")) == ["GRPO", "GIFT"]
    with pytest.raises(ProgramError, match=r"'gift\*', to be called 'GIFT', is gift@released, gift@smooth; a label is"):
        grid(several, rows=(("gift*", "GIFT"),))
    with pytest.raises(ProgramError, match="two rows would be called 'grpo@paper'"):
        grid(several, rows=(("gift@smooth", "grpo@paper"),))


def test_a_name_of_its_own_joins_rows_that_were_tuned_task_by_task(tasks):
    for number, task in enumerate(("a", "b")):
        label = f"mine(rate={number})"
        tasks.cell(label, 0, [0.2, 0.4 + 0.1 * number], task={"name": task}, model={"name": "small"}, rate=number)
    keys = {"across": True, "where": Where(model="small")}
    shown = grid(tasks, "algorithm", "sampled_macro_gain", rows=(("mine*", "mine"), "grpo"), **keys)
    assert column(shown, "sampled_macro_gain")["mine"].value == pytest.approx(0.25)


def test_where(several):
    assert "aspo" not in labels(grid(several, where=Where(min_seeds=1)))
    assert labels(grid(several, where=Where(min_seeds=2))) == ["gift@released", "grpo@paper", "gift@smooth"]
    assert "grpo@paper, random reward" not in labels(grid(several, where=Where(controls=False)))
    several.cell("a", 0, [0.2, 0.4], task={"name": "gsm8k"})
    several.cell("a", 0, [0.2, 0.4], task={"name": "gsm8k"}, model={"name": "large"})
    several.cell("a", 0, [0.2, 0.4], task={"name": "gsm8k"}, benchmark="other")
    for where, found in (
        (Where(), 4), (Where(task="gsm*"), 3), (Where(model="larg?"), 1), (Where(benchmark="other"), 1),
        (Where(benchmark="demo", task="arithmetic"), 1),
    ):  # fmt: skip
        assert len(made(several, where=where)) == found


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"where": Where(task="aime")}, "none of its tables finds a run; there are benchmark demo, task arithmetic"),
        ({"rows": ("gfit*", "x")}, r"rows: nothing is called 'gfit\*', 'x'; there are aspo, dapo, gift@released"),
        ({"rows": ("dapo", "x")}, "rows: nothing is called 'x'; there are aspo, dapo"),  # a typo drops no row unseen
        ({"where": Where(min_seeds=9)}, "where = {min_seeds = 9} leaves none of its rows; there are aspo"),
        ({"reference": "grpo@none"}, "reference = 'grpo@none' is no row here; there are aspo, dapo, gift"),
        ({"reference": "*random*"}, "is no row here"),  # nothing is compared with a control arm
    ],
)
def test_a_program_that_finds_nothing_says_what_there_is(several, keys, said):
    with pytest.raises(ProgramError, match=said):
        made(several, **keys)


def test_a_table_of_runs_without_such_rows_is_left_out(several):
    several.cell("only", 0, [0.2, 0.4], task={"name": "gsm8k"})
    (shown,) = made(several, rows=("only",))
    assert shown.source.task == "gsm8k" and labels(shown) == ["only"]


def test_optional_columns_stand_where_something_stands_in_them(several):
    optional = ("mismatch", "card_clip", "sampled_delta")
    shown = grid(several, "algorithm", *optional, "clip_fraction", optional=optional)
    assert [header.name for header in shown.headers] == ["algorithm", "sampled_delta", "clip_fraction"]
    assert not any("mismatch" in sentence for sentence in shown.caption)
    # The reference alone is no content of a column of differences.
    shown = grid(several, "algorithm", "sampled_delta", rows=("grpo",), optional=("sampled_delta",))
    assert [header.name for header in shown.headers] == ["algorithm"]


def test_an_optional_column_of_words(results):
    from leaderboard import records

    path = results.cell("a", 0, [0.2, 0.4]) / "cell.json"
    records.write_json(path, records.read_json(path) | {"card": {"data": {}, "words": {"clip": "none"}}})
    shown = grid(results, "algorithm", "card_clip", "card_baseline", optional=("card_clip", "card_baseline"))
    assert [header.name for header in shown.headers] == ["algorithm", "card_clip"]


def test_headings_and_reference(several):
    shown = grid(several, ("sampled_final", "MATH"), "sampled_delta", "time_to_target", axis="flops")
    assert [header.heading for header in shown.headers] == ["MATH", "sampled: vs grpo@paper", "FLOPs to target"]
    assert column(shown, "sampled_delta")["grpo@paper"].text == "reference"
    shown = grid(several, "sampled_delta", reference="gift*")  # the first that matches, in the recipe's order
    assert shown.headers[0].heading == "sampled: vs gift@released"
    # The reference need not be shown.
    assert "grpo@paper" not in labels(shown := grid(several, "sampled_delta", rows=("gift*",), reference="grpo"))
    assert column(shown, "sampled_delta")["gift@released"].value == pytest.approx(0.2)


def test_metric_decides_rank_and_order(results):
    for label, sampled, greedy in (("a", 0.8, 0.3), ("b", 0.4, 0.9)):
        for seed in range(3):
            results.cell(label, seed, [0.2, sampled + 0.001 * seed], [0.2, greedy + greedy * 0.001 * seed])
    assert labels(grid(results)) == ["a", "b"] and labels(grid(results, metric="greedy")) == ["b", "a"]
    rank = column(grid(results, "rank", metric="greedy"), "rank")
    assert (rank["a"].value, rank["b"].value) == (2, 1)


def test_captions_explain_units_and_every_mark_once(several):
    several.cell("single", 0, items={("heldout", mode, step): [[1, 0], [0, 0], [1, 1]] for mode in ("sampled", "greedy")
                                     for step in (0, 2)})  # fmt: skip
    for columns in (["restricted_time"], ["sampled_final", "sampled_gain"], ["nauc", "sampled_overfit"], [*COLUMNS]):
        shown = grid(several, *columns, target_accuracy=0.5)
        text = " ".join(shown.caption)
        assert len(set(shown.caption)) == len(shown.caption)
        entries = [entry for line in shown.lines for entry in line.entries]
        for sign, there in (
            ("±", any(entry.low is not None and entry.text is None for entry in entries)),  # `1/3` shows none
            ("Bold", any(entry.bold for entry in entries)),
            *((mark, any(mark in entry.mark for entry in entries)) for mark in "*†‡"),
        ):
            assert sign in text or not there, (columns, sign)
        kinds = {header.kind for header in shown.headers}
        assert ("Shares in %." in text) == ("share" in kinds)
        assert ("in points, signed." in text) == ("points" in kinds)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_can_stand_alone(several, name):
    shown = grid(several, name, target_accuracy=0.5)
    assert [header.name for header in shown.headers] == [name] and all(len(line.entries) == 1 for line in shown.lines)


# --- across tasks ---


@pytest.fixture
def tasks(results):
    """Two tasks and two models; on task b, gift is not in the recipe's first place, and dapo is missing there."""
    for model in ("small", "large"):
        for task, order in (("a", ("grpo", "gift", "dapo")), ("b", ("gift", "grpo"))):
            for label in order:
                for seed in range(3):
                    final = {"grpo": 0.5, "gift": 0.7, "dapo": 0.6}[label] + 0.01 * seed * (1 + (task == "b"))
                    results.cell(label, seed, [0.2, final], task={"name": task}, model={"name": model})
    results.cell("grpo, random", 0, [0.2, 0.9], task={"name": "a"}, model={"name": "small"}, provenance=RANDOM)
    return results


def test_across_has_a_grid_for_each_model(tasks):
    found = made(tasks, "algorithm", ("sampled_final", None, "*"), "sampled_macro_gain", across=True, title="All")
    assert [shown.title for shown in found] == ["All, large", "All, small"]
    assert [shown.model for shown in found] == ["large", "small"]
    large, small = found
    assert [header.heading for header in small.headers] == [
        "algorithm", "a: sampled: final", "b: sampled: final", "sampled: mean gain",
    ]  # fmt: skip
    assert labels(small) == ["gift", "grpo", "dapo"] == labels(large)  # no control arm; dapo has no mean over tasks
    gift = column(small, "sampled_macro_gain")["gift"]
    assert gift.value == pytest.approx((0.51 + 0.52) / 2) and small.source is None
    assert {line.hash for line in small.lines} == {""}
    assert column(small, "sampled_macro_gain")["dapo"].value is None


def test_across_rows_stand_in_the_programs_order_whatever_the_tasks_hold(tasks):
    keys = {"across": True, "order": "rows", "where": Where(model="small")}
    assert labels(grid(tasks, "algorithm", rows=("dapo", "g?*"), **keys)) == ["dapo", "grpo", "gift"]
    assert labels(grid(tasks, "algorithm", rows=("gift", "dapo", "grpo"), **keys)) == ["gift", "dapo", "grpo"]
    keys["order"] = "-sampled_macro_gain"
    assert labels(grid(tasks, "algorithm", **keys)) == ["grpo", "gift", "dapo"]
    keys["order"] = "algorithm"
    assert labels(grid(tasks, "algorithm", **keys)) == ["dapo", "gift", "grpo"]


def test_across_a_heading_of_its_own_still_tells_tasks_apart(tasks):
    shown = grid(tasks, ("sampled_final", "acc", "*"), across=True, where=Where(model="small"))
    assert [header.heading for header in shown.headers] == ["a: acc", "b: acc"]
    shown = grid(tasks, ("sampled_final", "acc", "b"), across=True, where=Where(model="small"))
    assert [header.heading for header in shown.headers] == ["acc"]


def test_across_a_task_that_two_patterns_match_stands_once(tasks):
    shown = grid(tasks, ("sampled_final", None, "b"), ("sampled_final", None, "*"), across=True,
                 where=Where(model="small"))  # fmt: skip
    assert [header.heading.partition(":")[0] for header in shown.headers] == ["b", "a"]


def test_across_a_column_that_is_left_out_is_not_explained(tasks):
    keys = {"across": True, "where": Where(model="small")}
    shown = grid(tasks, "algorithm", "sampled_iqm", optional=("sampled_iqm",), **keys)
    assert [header.name for header in shown.headers] == ["algorithm"]
    assert not any("IQM" in sentence for sentence in shown.caption)
    assert any("IQM" in sentence for sentence in grid(tasks, "sampled_iqm", **keys).caption)


def test_across_captions_tell_tasks_apart(tasks):
    """A target and a number of tests are a task's; what holds of both is said once, and so are their budgets."""
    columns = (("rank", None, "*"), ("time_to_target", None, "*"), ("sampled_final", None, "*"))
    caption = grid(tasks, *columns, across=True, where=Where(model="small"), reference="grpo").caption
    assert len(set(caption)) == len(caption)
    for task in ("a", "b"):
        assert len([said for said in caption if said.startswith(f"{task}: Target: ")]) == 1
        assert len([said for said in caption if said.startswith(f"{task}: Rank: ")]) == 1
        (conditions,) = [said for said in caption if said.startswith(f"{task}: Budget of each run: 4 steps. Finished ")]
        assert conditions.endswith(" Last evaluation: 64 held-out items, sampled × 4.")
    assert len([said for said in caption if said.startswith("To target: ")]) == 1
    assert len([said for said in caption if "±" in said]) == 1


def test_across_every_column_can_stand_alone(tasks):
    for name in ACROSS:
        assert [h.name for h in grid(tasks, name, across=True, where=Where(model="large")).headers] == [name]


def test_one_task_is_nothing_to_average_over(results):
    results.cell("grpo", 0, [0.2, 0.4])
    with pytest.raises(ProgramError, match="a table across tasks takes two tasks of one model that share a row"):
        made(results, "algorithm", across=True)
    results.cell("gift", 0, [0.2, 0.4], task={"name": "b"})  # two tasks, and no row on both
    results.cell("grpo", 0, [0.2, 0.9], task={"name": "b"}, state="failed", error="x")  # nor one that has finished
    with pytest.raises(ProgramError, match="takes two tasks"):
        made(results, "algorithm", across=True)


def test_tables_come_by_runs_then_across_and_share_what_was_read(tasks, monkeypatch):
    from leaderboard import scores

    read, every = [], scores.read
    monkeypatch.setattr(scores, "read", lambda row, *rest: read.append((row.hash, *rest)) or every(row, *rest))
    one = TableProgram("one", (Choice("sampled_final"),))
    over = TableProgram("over", (Choice("sampled_final", task="*"),), across=True)
    two = TableProgram("two", (Choice("sampled_final"), Choice("rank")))
    found = grids(Archive(load(tasks.plan())), Program("mine", (one, over, two)))
    assert [(shown.name, shown.source and shown.source.slug) for shown in found[:2]] == [
        ("one", found[0].source.slug), ("two", found[0].source.slug)
    ]  # fmt: skip
    assert [shown.name for shown in found] == ["one", "two"] * 4 + ["over"] * 2
    assert len(read) == len(set(read))
