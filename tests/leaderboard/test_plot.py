import math
import time

import pytest

from leaderboard.analysis import Analysis, View
from leaderboard.curves import curve
from leaderboard.loading import load
from leaderboard.plot import draw, figure

from .conftest import reward_runs


@pytest.fixture
def table(results):
    for seed, shift in enumerate((0.0, 0.02, 0.04)):
        results.cell("gift@released", seed, [0.2, 0.3 + shift, 0.5 + shift], [0.25, 0.3, 0.4 + shift])
    results.cell(r"grpo$\no$", 0, [0.2, 0.4])
    results.cell("_dapo", 0, state=None)
    (table,) = load(results.plan())
    return table


def analysed(table, axis="steps"):
    return Analysis(table, table.rows, View(axis=axis), {})


def row(table, label):
    return next(row for row in table.rows if row.label == label)


def test_panels(table):
    sampled, greedy = figure(analysed(table)).axes
    assert (sampled.get_title(loc="left"), greedy.get_title(loc="left")) == ("sampled decoding", "greedy decoding")
    assert len(sampled.collections) == 1  # one band: a single seed has none
    band = sampled.collections[0].get_paths()[0].vertices
    half_width = 100 * 4.302653 * 0.02 / math.sqrt(3)
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((20.0, 52 + half_width), rel=1e-5)
    start = next(line for line in sampled.lines if list(line.get_xdata()) == [0, 1])
    assert start.get_ydata()[0] == pytest.approx(20.0)
    assert greedy.lines[-1].get_ydata()[0] == pytest.approx(25.0)
    assert figure(analysed(table, "trained_tokens")).axes[0].get_xlabel() == "trained tokens (mean over seeds)"


def test_band_is_cut_at_100_percent(results):
    results.cell("a", 0, [0.2, 0.7])
    results.cell("a", 1, [0.2, 0.9])
    (table,) = load(results.plan())
    (band,) = figure(analysed(table)).axes[0].collections
    assert (band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()) == (0.0, 100.0)


def test_a_row_keeps_its_colour_when_the_order_changes(results, tmp_path):
    def colours(finals):
        other = type(results)(tmp_path / str(finals[0]))
        for name, final in zip("ab", finals, strict=True):
            other.cell(name, 0, [0.2, final])
        (table,) = load(other.plan())
        drawn = figure(analysed(table)).axes[0].lines
        return {
            round(100 * final): line.get_color()
            for final in finals
            for line in drawn
            if line.get_ydata()[-1] == 100 * final
        }

    first, second = colours([0.5, 0.75]), colours([0.75, 0.5])
    assert first[50] == second[75] and first[75] == second[50] and first[50] != first[75]


def test_files_hold_every_label_and_are_the_same_every_time(table, tmp_path):
    svg, png, pdf = draw(analysed(table), tmp_path / "one", title="the title")
    text = svg.read_text()
    for label in ("gift@released, 3 seeds", r"grpo$\no$, 1 seed †", "_dapo, 0 of 1 seed", "start", "the title"):
        assert f"<!-- {label} -->" in text
    assert "<dc:date>" not in text
    assert png.read_bytes().startswith(b"\x89PNG") and len(png.read_bytes()) > 10_000
    assert pdf.read_bytes().startswith(b"%PDF") and b"/Type3" not in pdf.read_bytes()  # which publishers refuse
    assert not any(word in pdf.read_bytes() for word in (b"CreationDate", b"ModDate", b"Creator", b"Producer"))
    time.sleep(1.1)  # a clock that counts seconds would show
    again = draw(analysed(table), tmp_path / "two", title="the title")
    assert [path.read_bytes() for path in again] == [svg.read_bytes(), png.read_bytes(), pdf.read_bytes()]


def test_nothing_finished(results, tmp_path):
    results.cell("a", 0, state=None)
    (table,) = load(results.plan())
    svg, *_ = draw(analysed(table), tmp_path / "empty")
    assert "no finished seed" in svg.read_text() and "a, 0 of 1 seed" in svg.read_text()


def test_the_target_is_dotted_where_it_counts(results):
    for seed in range(3):
        results.cell("grpo", seed, [0.2, 0.5 + 0.01 * seed], [0.3, 0.6])
    (table,) = load(results.plan())
    sampled, greedy = figure(analysed(table)).axes
    assert sampled.lines[-1].get_ydata()[0] == pytest.approx(100 * (0.2 + 0.9 * 0.31))
    assert greedy.lines[-1].get_ydata()[0] == pytest.approx(30.0)  # the start
    assert "target" in [text.get_text() for text in figure(analysed(table)).legends[0].get_texts()]


def test_rewards_are_drawn_as_they_are_and_gold_beside_them_on_one_scale(results, tmp_path):
    reward_runs(results)
    (table,) = load(results.plan())
    analysis = analysed(table)
    drawn = figure(analysis)
    proxy, gold = drawn.axes
    assert proxy.get_ylabel() == "held-out reward"
    assert [ax.get_title(loc="left") for ax in (proxy, gold)] == [
        "sampled decoding: reward (proxy)", "sampled decoding: gold",
    ]  # fmt: skip
    assert proxy.get_ylim() == gold.get_ylim() and proxy.get_xlim() == gold.get_xlim()
    ends = {}
    for name, ax in (("reward", proxy), ("gold", gold)):
        drawn = curve(row(table, "gift@released"), "sampled", name)
        line = next(line for line in ax.lines if list(line.get_ydata()) == drawn.mean.tolist())
        ends[name] = line.get_ydata()[-1] - line.get_ydata()[0]
    assert ends["reward"] == pytest.approx(5, abs=0.5) and ends["gold"] == pytest.approx(-0.5, abs=0.5)
    assert proxy.lines[-1].get_ydata()[0] == pytest.approx(analysis.target)
    low = min(band.get_paths()[0].vertices[:, 1].min() for band in proxy.collections)
    assert low < -0.5  # no band is cut at 0
    once, again = draw(analysis, tmp_path / "one"), draw(analysed(table), tmp_path / "two")
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_without_gold_the_two_ways_to_decode_are_drawn(results):
    reward_runs(results, gold=False)
    (table,) = load(results.plan())
    sampled, greedy = figure(analysed(table)).axes
    assert (sampled.get_title(loc="left"), greedy.get_title(loc="left")) == ("sampled decoding", "greedy decoding")
    assert sampled.get_ylabel() == "held-out reward"
