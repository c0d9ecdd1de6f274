"""The page as people use it, in a real browser: what it shows, what its address keeps, and what it never does."""

import math
import re

import pytest

from leaderboard.build import build
from leaderboard.page.data import Extras
from leaderboard.page.index import write

from .conftest import IMAGE, SCRIPT, Site, handed_in, uneven

pytestmark = pytest.mark.slow(seconds=60)
TABS = ("rlvr", "rlhf", "wins", "convergence", "compare", "claims", "runs", "method")
DONE = re.compile("Copied|Selected")
# Headings, controls and blocks must not lie on one another; nor must the words within one chart.
OVERLAPS = """() => {
  const found = [];
  const check = (boxes, least) => boxes.forEach(([one, a], n) => boxes.slice(n + 1).forEach(([other, b]) => {
    if (one.contains(other) || other.contains(one)) return;
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > least && high > least) found.push(`${one.textContent.slice(0, 30)} | ${other.textContent.slice(0, 30)}`);
  }));
  const boxes = (selector, root) => [...root.querySelectorAll(selector)]
    .map((one) => [one, one.getBoundingClientRect()]).filter(([, box]) => box.width && box.height);
  const blocks = "#top > *, #tabs a, main > *, .tools > *, .facets > *, .chip, h2, h3, h4, figure, .legend li";
  check(boxes(`${blocks}, .finding > *`, document), 1);
  for (const cell of document.querySelectorAll(".scores th, .scores td, .claim, .legend li")) {
    if (cell.scrollWidth > cell.clientWidth + 1) found.push(`too wide: ${cell.textContent.slice(0, 40)}`);
  }
  for (const chart of document.querySelectorAll("svg.chart")) check(boxes("text", chart), 3);
  return found;
}"""


def open_at(page, site, /, **state):
    """The page at an address that says this."""
    page.goto("about:blank")
    page.goto(f"{site.address}#{'&'.join(f'{key}={value}' for key, value in state.items())}")


def column(page, name):
    """The numbers of a column, top to bottom, as the cells keep them."""
    at = page.locator(f"th:has(#sort-{name})").evaluate("th => th.cellIndex")
    cells = page.locator(f"table.scores tbody tr > :nth-child({at + 1})")
    return [None if value is None else float(value) for value in cells.evaluate_all("all => all.map(c => c.dataset.v)")]


def labels(page):
    return page.locator("table.scores tbody th .label").all_text_contents()


def test_sorting_by_click_and_by_key(browser_page, site):
    page = browser_page
    open_at(page, site)
    before = labels(page)
    header = page.locator("th:has(#sort-sampled_final)")
    assert header.get_attribute("aria-sort") == "none"
    page.click("#sort-sampled_final")
    assert header.get_attribute("aria-sort") == "descending"
    values = column(page, "sampled_final")
    assert values == sorted(values, reverse=True) and "sort=-sampled_final" in page.url
    page.focus("#sort-sampled_final")
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    values = column(page, "sampled_final")
    assert values == sorted(values)
    assert page.evaluate("document.activeElement.id") == "sort-sampled_final"  # the focus stays where it was
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "none" and labels(page) == before and "sort" not in page.url
    page.click("#sort-sampled_delta")  # the reference and rows that were not compared have no number: they are last
    values = column(page, "sampled_delta")
    there = [value for value in values if value is not None]
    assert None in values and values == sorted(there, reverse=True) + [None] * (len(values) - len(there))
    assert browser_page.seen.nothing, browser_page.seen


def test_infinity_sorts_as_a_number(browser_page, site):
    page = browser_page
    open_at(page, site, tab="rlvr")
    page.click("#sort-time_to_target")
    values = [value for value in column(page, "time_to_target") if value is not None]
    assert values == sorted(values) and math.isinf(values[-1]) and values[0] > 0


def test_filters_and_their_address(browser_page, site):
    page = browser_page
    open_at(page, site)
    every = len(labels(page))
    page.fill("#q", "GIFT")
    assert labels(page) == ["gift@released(epsilon=0.003)"] and "q=GIFT" in page.url
    page.locator("#q").press_sequentially("!")
    assert page.locator("table.scores tbody").inner_text().startswith("No row passes")
    assert page.evaluate("document.activeElement.id") == "q"
    page.fill("#q", "")
    page.click("#controls")
    assert len(labels(page)) == every - 1 and "controls=0" in page.url
    page.click("text=/^4$/")  # seeds ≥ 4
    assert len(labels(page)) == every - 2 and "seeds=4" in page.url


def test_columns_and_intervals(browser_page, site):
    page = browser_page
    open_at(page, site)
    assert page.locator("#sort-clip_fraction").count() == 0
    page.click("#columns summary")
    sheet = page.locator(".sheet").bounding_box()
    assert sheet["x"] >= 0 and sheet["x"] + sheet["width"] <= 1280
    page.check("#column-clip_fraction")
    page.uncheck("#column-greedy_final")
    assert page.locator("#sort-clip_fraction").count() == 1 and page.locator("#sort-greedy_final").count() == 0
    page.keyboard.press("Escape")
    assert page.locator("#columns").get_attribute("open") is None
    cell = page.locator("table.scores tbody tr").first.locator("td[data-v]").nth(1)
    assert "±" in cell.inner_text()
    page.click("#ci-range")
    assert "[" in cell.inner_text() and "±" not in cell.inner_text()
    page.click("#ci-bars")
    assert cell.locator("svg.bar title").count() == 1
    page.reload()
    assert page.locator("#sort-clip_fraction").count() == 1 and page.locator("svg.bar").count() > 5


def test_the_address_brings_everything_back(browser_page, site):
    page = browser_page
    open_at(page, site, tab="rlvr")
    page.fill("#q", "g")
    page.click("#sort-greedy_final")
    page.click("#ci-range")
    before = page.locator("table.scores").inner_text()
    page.reload()
    assert page.locator("table.scores").inner_text() == before
    link = page.url
    page.click("#tab-runs")
    assert page.locator("h2").inner_text() == "Runs"
    page.go_back()
    assert page.url == link and page.locator("table.scores").inner_text() == before
    open_at(page, site, tab="nonsense", table="nonsense", sort="nonsense", cols="nonsense", axis="nonsense", page="x")
    assert page.locator("table.scores tbody tr").count() > 3 and page.seen.nothing, page.seen


def test_the_axis_and_the_mode_of_the_curves(browser_page, site):
    page = browser_page
    open_at(page, site, tab="convergence", table="arithmetic")
    chart = page.locator("#plot svg.chart")
    assert chart.locator("text.name").text_content() == "steps"
    first = chart.locator("path.line").first.get_attribute("d")
    page.click("text=generated tokens")
    assert chart.locator("text.name").text_content() == "generated tokens (mean over seeds)"
    assert "axis=generated_tokens" in page.url and "k" in chart.locator("text.tick").last.text_content() + "k"
    page.click("text=greedy accuracy")
    assert "panel=greedy" in page.url and chart.locator("path.line").first.get_attribute("d") != first
    lines = chart.locator("path.line").count()
    page.locator(".legend input").first.uncheck()
    assert chart.locator("path.line").count() == lines - 1 and "hide=" in page.url
    page.click("#plot summary")
    page.locator(
        "#plot table.plain tbody tr"
    ).first.wait_for()  # it is filled when it opens, which a click does not await
    assert page.locator("#plot table.plain tbody tr").count() > 10  # what is drawn, as numbers
    assert chart.locator("title").first.text_content() and chart.locator("desc").first.text_content()
    assert page.seen.nothing, page.seen


def test_two_rows_and_where_they_differ(browser_page, site):
    page = browser_page
    open_at(page, site, tab="compare", table="arithmetic")
    page.select_option("#a", label="grpo")
    page.select_option("#b", label="gift@released(epsilon=0.003)")
    assert page.locator(".verdict .badge").inner_text() == "B above A"
    one = page.locator(".verdict .big").inner_text()
    page.click("#swap")
    assert page.locator(".verdict .badge").inner_text() == "A above B"
    assert page.locator(".verdict .big").inner_text().lstrip("+−") == one.lstrip("+−")
    page.locator("table.items button").first.click()
    texts = page.locator(".example").inner_text()
    assert texts.count("I say") == 2 and SCRIPT in texts and IMAGE in texts  # as text, letter by letter
    assert page.locator(".example script, .example img").count() == 0
    here = page.url
    page.reload()
    assert page.url == here and page.locator(".example").count() == 1
    assert page.seen.nothing and page.evaluate("window.ran") is None, page.seen


def test_the_matrix_leads_to_the_comparison(browser_page, site):
    page = browser_page
    open_at(page, site)
    cell = page.locator("table.matrix td a").first
    text = cell.inner_text()
    cell.click()
    assert page.locator(".verdict .big").inner_text().startswith(text.rstrip("*†"))


def test_claims_with_their_commands(browser_page, site):
    page = browser_page
    open_at(page, site, tab="claims")
    assert page.locator(".claim").count() == 2 and page.locator(".finding").count() == 3
    assert "1 supported · 0 refuted · 1 inconclusive · 1 not run" in page.locator(".summary").inner_text()
    page.click("text=/^inconclusive$/ >> nth=0")
    assert page.locator(".finding").count() == 1 and "verdict=inconclusive" in page.url
    page.click(".copy")
    page.locator(".copy", has_text=DONE).wait_for()  # the clipboard answers later


def test_runs(browser_page, site):
    page = browser_page
    open_at(page, site, tab="runs")
    rows = page.locator("table.runs tbody tr")
    every = rows.count()
    page.click("text=/^failed$/ >> nth=0")
    assert rows.count() == 1 < every and SCRIPT in rows.locator("td[title]").get_attribute("title")
    page.click("text=/^any$/")
    page.click("#sort-wall_seconds")
    assert rows.count() == every and page.seen.nothing
    page.locator(".tools .chip", has_text="gpu: another").click()
    assert rows.count() == 4 and "device=gpu" in page.url
    assert all("gpu: another" in text for text in rows.all_inner_texts())


def test_what_a_button_copies_stands_beside_it(browser_page, site):
    page = browser_page
    open_at(page, site, tab="runs", sort="row")
    lines = page.locator("table.runs .again code")
    assert lines.count() == 4 * 4 + 1 and lines.first.is_visible()  # not of the row whose command is none of ours
    shown = lines.first.text_content()
    assert shown.startswith(f"git checkout {'0' * 40} && groupbench run recipes/sums.yaml ") and IMAGE in shown
    assert shown == lines.first.get_attribute("title") and "curl" not in page.locator("table.runs").inner_text()
    page.locator(".again .copy").first.click()
    page.locator(".again .copy", has_text=DONE).wait_for()
    assert page.seen.nothing


@pytest.mark.parametrize("tab", ["rlvr", "convergence", "compare"])
def test_seeds_that_end_at_different_steps(browser_page, results, tmp_path, tab):
    page = browser_page
    built = build(uneven(results), tmp_path / "out", figures=False)
    write(built, tmp_path / "out")
    open_at(page, Site(tmp_path / "out", built, Extras()), tab=tab)
    final = {line.label: line.entries for line in built.grids[0].lines}
    at = [header.name for header in built.grids[0].headers].index("sampled_final")
    if tab == "rlvr":
        titles = page.locator("svg.spark title").all_text_contents()
        for label, entries in final.items():
            assert any(label in title and f" to {100 * entries[at].value:.1f} %" in title for title in titles)
    else:
        assert page.locator("svg.chart").count() >= 1
    if tab == "convergence":
        for label, entries in final.items():
            line = page.locator(".legend li", has_text=label).inner_text()
            assert f"{100 * entries[at].value:.1f} %" in line
    assert page.evaluate(OVERLAPS) == [] and page.seen.nothing, page.seen


def test_rows_that_were_handed_in(browser_page, results, tmp_path):
    page = browser_page
    built = handed_in(results)
    write(built, tmp_path)
    open_at(page, Site(tmp_path, built, Extras()))
    assert page.locator("table.scores .badge").all_inner_texts() == ["submitted"] * 2
    titles = [badge.get_attribute("title") for badge in page.locator("table.scores .badge").all()]
    assert any(title.startswith(f"By A. Person {IMAGE}: submission mine, ") for title in titles)
    heads = page.locator("table.matrix thead th").all_inner_texts()
    assert sum("(mine)" in head for head in heads) == 1 and sum("(a-lo" in head for head in heads) == 1
    page.click("#own")
    assert page.locator("table.scores .badge").count() == 0 and len(labels(page)) == 1 and "own=1" in page.url
    page.reload()
    assert len(labels(page)) == 1
    page.click("#own")
    assert len(labels(page)) == 3
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        open_at(page, Site(tmp_path, built, Extras()))
        assert page.evaluate("document.documentElement.scrollWidth") <= width and page.evaluate(OVERLAPS) == []
        assert "(mine)" in page.locator("table.scores").inner_text()
        name = page.locator("svg.forest text.name").bounding_box()
        assert name["x"] >= 0 and name["x"] + name["width"] <= width
    assert page.seen.nothing, page.seen


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overlaps_and_nothing_hangs_over(browser_page, site, tab, width):
    page = browser_page
    page.set_viewport_size({"width": width, "height": 900})
    open_at(page, site, tab=tab)
    assert page.locator(f"#tab-{tab}").get_attribute("aria-current") == "page"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate("window.ran") is None and page.seen.nothing, page.seen


def test_dark_and_print(browser_page, site):
    page = browser_page
    open_at(page, site)

    def colours():
        return page.evaluate("['backgroundColor', 'color'].map(k => getComputedStyle(document.body)[k])")

    light = colours()
    page.emulate_media(color_scheme="dark")
    dark = colours()
    assert light[0] == "rgb(255, 255, 255)" and brightness(dark[0]) < 40 < 200 < brightness(dark[1])
    page.emulate_media(media="print", color_scheme="light")
    assert not page.locator("#tabs").is_visible() and page.locator("table.scores").is_visible()


def brightness(colour):
    red, green, blue = (int(part) for part in colour.strip("rgb()").split(",")[:3])
    return (red + green + blue) / 3


def test_the_skip_link_keeps_what_is_looked_at(browser_page, site):
    page = browser_page
    open_at(page, site, tab="compare", table="arithmetic")
    before = page.url
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main" and page.url == before
    assert page.locator("#tab-compare").get_attribute("aria-current") == "page"
    page.evaluate("location.hash = 'main'")  # a link into the page, typed
    page.wait_for_timeout(50)
    assert page.locator("#tab-compare").get_attribute("aria-current") == "page" and page.locator("#a").count() == 1


def test_everything_can_be_reached_by_keyboard(browser_page, site):
    page = browser_page
    open_at(page, site)
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className || 'other'"))
    for wanted in ("tab-convergence", "q", "ci-range", "scores", "sort-sampled_final"):
        assert wanted in seen, wanted
    page.focus("#tab-runs")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    assert page.locator("h2").inner_text() == "Runs"
