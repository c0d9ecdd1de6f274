"""Performance profiles and the papers' tables, in a real browser."""

import pytest

from harness import board
from leaderboard.build import build

from ..conftest import Results
from .conftest import IMAGE, several_tasks, studies
from .test_in_browser import OVERLAPS

pytestmark = pytest.mark.slow(seconds=15)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with several tasks, and one of papers' studies."""

    def made(fill):
        folder = tmp_path_factory.mktemp("made")
        results = fill(Results(folder / "results"))
        board.page(build(results, folder / "out", figures=False), results, folder / "out")
        return (folder / "out" / "index.html").as_uri()

    return {"across": made(several_tasks), "papers": made(studies)}


@pytest.mark.parametrize("tab", ["across", "papers"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overlaps_and_nothing_hangs_over(browser_page, address, tab, width, scheme):
    page = browser_page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address[tab]}#tab={tab}")
    assert page.locator(f"#tab-{tab}").get_attribute("aria-current") == "page"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == [] and page.seen.nothing, page.seen


def test_a_profile_with_its_numbers(browser_page, address):
    page = browser_page
    page.goto(f"{address['across']}#tab=across")
    chart = page.locator("#plot svg.chart")
    assert "performance profile, sampled accuracy" in chart.locator("title").first.text_content()
    assert "all 3 tasks" in chart.locator("desc").text_content()
    assert chart.locator("path.line").count() == 4 and chart.locator("path.band").count() == 3
    box = chart.bounding_box()
    for path in chart.locator("path").all():
        found = path.bounding_box()
        assert box["x"] <= found["x"] and found["x"] + found["width"] <= box["x"] + box["width"]
    page.click("#plot summary")
    numbers = page.locator("#plot table.plain tbody tr")
    numbers.first.wait_for()
    last = [row for row in numbers.all_inner_texts() if row.startswith("grpo")][-1]
    assert last.split("\t")[2:] == ["0.0", "0.0", "0.0"] and numbers.count() > 30
    assert any(f"No band for gspo {IMAGE}" in said for said in page.locator(".sentences li").all_inner_texts())
    page.locator(".legend li", has_text="epsilon=0.003, tau=1").locator("input").uncheck()  # its label has a comma
    assert chart.locator("path.line").count() == 3
    page.click("text=greedy accuracy")
    assert "greedy" in chart.locator("title").first.text_content() and "panel=greedy" in page.url
    assert chart.locator("path.line").count() == 3
    page.reload()
    assert chart.locator("path.line").count() == 3 and page.seen.nothing, page.seen


def test_papers_come_first_and_every_table_is_there(browser_page, address):
    page = browser_page
    page.goto(address["papers"])
    assert page.locator("h2").inner_text().startswith("GFT, table 1: mean accuracy over 16 samples; Qwen2.5-Math-1.5B")
    row = page.locator("table.scores tbody tr", has=page.locator("th[title=GFT]"))
    assert "46.09" in row.inner_text() and "±" in row.inner_text()
    assert page.locator(".command code").inner_text() == "groupbench reproduce gft --scale tiny"
    page.click("text=/^GIFT$/")
    assert page.locator("h2").inner_text().startswith("GIFT, a reward model")
    page.select_option("#pick-table", label="GIFT, verified rewards; 7B to 32B")
    assert "gift-tiny-rlvr" in page.url
    cells = page.locator("table.scores td.none").all_inner_texts()
    assert set(cells) == {"not run", "not published"}
    page.reload()
    assert page.locator("table.scores td.none").all_inner_texts() == cells and page.seen.nothing, page.seen


def test_a_page_without_studies_has_no_tab_of_them(browser_page, address):
    page = browser_page
    page.goto(address["across"])
    assert page.locator("#tab-papers").count() == 0 and page.locator("#tab-across").count() == 1
