import io

import pytest
from rich.console import Console

from leaderboard import build
from leaderboard.loading import load
from leaderboard.selection import Archive

from ..conftest import reward_runs


def printed(results, width=120, axis=None):
    """What stands on the screen, a text a table."""
    texts = []
    for table in build.terminal(Archive(load(results.plan())), axis):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(table)
        texts.append(console.export_text())
        assert max(map(len, texts[-1].splitlines())) <= width
    return texts


def legend(text):
    """The lines below the table."""
    return text[text.index("└") :].splitlines()[1:]


@pytest.fixture
def busy(results):
    """Three seeds each, widest numbers, longest labels, and each mark."""
    for seed in range(3):
        for label, final in (("grpo", 0.4), ("gift@published-detached-with-a-long-name", 0.8), ("dapo", 0.6)):
            later = [[seed + n < 40 * final] * 2 for n in range(60)]
            items = {
                ("heldout", mode, step): later if step else [[0, 1]] * 60
                for mode in ("sampled", "greedy")
                for step in (0, 2, 4, 6, 8)
            }
            results.cell(label, seed, items=items)
    results.cell("single", 0, items={("heldout", "sampled", step): [[0, 1]] * 60 for step in (0, 8)})
    results.cell("others", 0, items={("heldout", "sampled", step): [[0, 1]] * 50 for step in (0, 8)})
    results.cell("[red]sft", 0, [0.2, 0.4], state="failed", error="[bold]out of\x1b[31m\nmemory")
    results.cell("nothing", 0, state=None)
    return results


def test_fits_120_characters_and_says_what_counts(busy):
    (text,) = printed(busy)
    for piece in (
        "│ [red]sft",
        "0/1 (failed)",
        "0/1 (missing)",
        "not compared ‡",
        "demo: arithmetic, tiny; budget 4 steps",
    ):
        assert piece.replace("│ ", "│") in text, piece
    assert "…" not in text  # nothing was cut off
    assert "[red]sft, seed 0: failed after step 2: [bold]out of�[31m memory" in text


def test_the_legend_is_four_short_lines(busy):
    (text,) = printed(busy, axis="generated_tokens")
    lines = [line.rstrip() for line in legend(text)]
    assert (
        lines[0].startswith("± half of a 95 % interval; ") and "† one seed" in lines[0] and "‡ other items" in lines[0]
    )
    assert lines[1].startswith("# rank: 1 + the number of rows that are significantly better")
    assert lines[2].startswith("vs reference: final less that of grpo, in points")
    assert lines[3].startswith("to target: ")
    assert lines[4].startswith("[red]sft, seed 0: failed")


def test_only_what_is_there_is_explained(results):
    results.cell("a", 0, [0.2, 0.4])
    (text,) = printed(results)
    lines = [line.rstrip() for line in legend(text)]
    assert lines[0] == "† one seed, no test"
    assert "to target: none was set, for no interval of the reference's gain excludes 0" in lines


def test_the_target_is_measured_on_the_axis_that_was_asked_for(results):
    for seed in range(3):
        results.cell("grpo", seed, [0.2, 0.4, *[0.6 + 0.01 * seed] * 6])
    (steps,), (tokens,) = printed(results), printed(results, axis="generated_tokens")
    assert "to target: steps to 56.9" in steps and "to target: generated tokens to 56.9" in tokens
    reached = [float(text[: text.index("└")].rpartition("│")[0].rpartition("│")[2]) for text in (steps, tokens)]
    assert reached[1] == pytest.approx(1000 * reached[0], rel=1e-3)


def test_a_table_each(results):
    results.cell("a", 0, [0.2, 0.4])
    results.cell("a", 0, [0.2, 0.4], task={"name": "b"})
    first, second = printed(results)
    assert "demo: arithmetic, tiny" in first and "demo: b, tiny" in second


def headings(text):
    return [heading.strip() for heading in text[: text.index("┡")].splitlines()[-1].strip("┃ ").split("┃")]


def test_where_it_is_narrow_whole_columns_go_and_are_named(busy):
    every = headings(printed(busy)[0])
    assert len(every) == 9 and "not shown" not in printed(busy)[0]
    seen = set()
    for width in range(30, 120, 5):
        (text,) = printed(busy, width)
        assert "…" not in text  # no number is cut
        shown = headings(text)
        said = " ".join(" ".join(legend(text)).split()).replace(" (sampled delta)", "").replace(" (greedy delta)", "")
        assert shown == every[: len(shown)]
        if out := every[len(shown) :]:
            assert f"not shown at this width: {', '.join(out)}" in said
            assert "to target: " not in said  # what is not there is not explained
        seen.add(len(shown))
    assert min(seen) == 2 and len(seen) > 5


def test_two_columns_of_one_heading_are_told_apart(busy):
    (text,) = printed(busy, 85)
    assert "vs reference (greedy delta), to target" in " ".join(text.split())


def test_rewards_in_a_terminal(results):
    reward_runs(results)
    reward_runs(results, gold=False, task="without")
    gold, without = printed(results)
    assert headings(gold) == [
        "#", "algorithm", "seeds", "reward", "gain", "vs reference", "gold gain", "over-opt.", "KL", "length",
        "to target",
    ]  # fmt: skip
    assert headings(without) == [
        "#", "algorithm", "seeds", "reward", "gain", "vs reference", "KL", "length", "to target",
    ]  # fmt: skip
    lines = [line.rstrip() for line in legend(gold)]
    assert lines[2].startswith("vs reference: final less that of grpo, in the reward's unit; * p < .05")
    assert lines[3].startswith("to target: steps to a sampled reward of 0.")
    assert "over-opt.: gain less gold gain" in " ".join(lines) and "gold" not in " ".join(legend(without))
    assert "accuracy" not in gold and "%" not in gold.replace("95 %", "")
    (narrow, _) = printed(results, 80)
    assert "not shown at this width: " in narrow and "to target: " not in " ".join(legend(narrow))
