"""The two files: the numbers of every other export, nothing that runs but our script, and the same bytes each time."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from leaderboard.build import build
from leaderboard.export import formats
from leaderboard.page.index import write
from leaderboard.page.judged import find
from leaderboard.plot import COLOURS
from leaderboard.words import one_line

from ..conftest import Results
from .conftest import IMAGE, SCRIPT, fill

BENCHMARK = "tables"


class Parsed(HTMLParser):
    """Elements with their attributes, and what stands in scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.inside, self._open = [], {"script": [], "style": []}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in self.inside:
            self._open = tag
            self.inside[tag].append("")

    def handle_endtag(self, tag):
        self._open = None if tag == self._open else self._open

    def handle_data(self, data):
        if self._open:
            self.inside[self._open][-1] += data


@pytest.fixture(scope="module")
def parsed(site):
    return Parsed((site.folder / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(parsed):
    return json.loads(parsed.inside["script"][0])


def test_the_page_has_the_numbers_of_every_grid(site, data):
    tables = {table["slug"]: table for table in data["tables"]}
    compared = 0
    for grid in site.built.grids:
        assert grid.source is not None
        table = tables[grid.source.slug]
        names = [column["name"] for column in table["columns"]]
        rows = {row["hash"]: row for row in table["rows"]}
        for line in grid.lines:
            for header, entry in zip(grid.headers, line.entries, strict=True):
                shown = rows[line.hash]["entries"][names.index(header.name)]
                compared += same(header.kind, entry, shown)
    assert compared > 300


def test_the_page_has_the_numbers_of_every_win_rate_table(site, data):
    assert len(data["judged"]) == 2
    for one, table in zip(site.extras.judged.judgings, data["judged"], strict=True):
        for line, row in zip(one.grid.lines, table["rows"], strict=True):
            for header, entry, shown in zip(one.grid.headers, line.entries, row["entries"], strict=True):
                same(header.kind, entry, shown)


def same(kind, entry, shown):
    text = formats.text(kind, entry)
    if shown is None or "text" not in shown:
        assert text == "–"
        return False
    assert shown["text"] == one_line(text)
    assert (shown.get("mark", ""), shown.get("bold", False)) == (entry.mark, entry.bold)
    if entry.value is not None and entry.value not in (float("inf"), float("-inf")):
        assert shown["value"] == entry.value
    if "parts" in shown:
        assert shown["parts"][0] == formats.PLAIN[kind](entry.value)
        assert (shown["low"], shown["high"]) == (entry.low, entry.high)
    return True


def test_json_for_machines_is_what_the_page_is_drawn_from(site, data):
    assert json.loads((site.folder / "leaderboard.json").read_text()) == data
    assert data["schema"] == 1 and {run["state"] for run in data["runs"]} == {"done", "failed"}


def test_the_same_records_give_the_same_bytes(site, tmp_path):
    results = fill(Results(tmp_path / "results"))
    from leaderboard.page.data import Extras

    built = build(results, tmp_path / "again", figures=False)
    for path in write(built, tmp_path / "again", Extras(judged=find(results), findings=site.extras.findings)):
        assert path.read_bytes() == (site.folder / path.name).read_bytes(), path.name


def test_nothing_can_run_but_our_script_and_nothing_is_loaded(parsed, site):
    policy = next(attrs["content"] for tag, attrs in parsed.elements if attrs.get("http-equiv"))
    script, style = parsed.inside["script"][1], parsed.inside["style"][0]
    for kind, inline in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert len(parsed.inside["script"]) == 2 and len(parsed.inside["style"]) == 1
    for tag, attrs in parsed.elements:
        assert tag not in ("img", "iframe", "link", "object", "embed", "base", "form")
        assert not [name for name in attrs if name.startswith("on") or name in ("style", "src")]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", script)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", script + style) and "url(" not in style


def test_hostile_texts_are_data(parsed, site):
    html = (site.folder / "index.html").read_text(encoding="utf-8")
    assert SCRIPT not in html and IMAGE not in html and "alert(1)" in html
    assert SCRIPT in json.dumps(json.loads(parsed.inside["script"][0]), ensure_ascii=False).replace('\\"', '"')


def test_results_in_which_nothing_finished(results, tmp_path):
    results.cell("grpo", 0, state=None)
    html, _ = write(build(results.plan(), tmp_path, figures=False), tmp_path)
    data = json.loads(Parsed(html.read_text()).inside["script"][0])
    (table,) = data["tables"]
    assert table["summary"] == "No run has finished yet: 1 row is planned." and table["curves"]["panels"] == []


def test_the_colours_are_those_of_the_figures(parsed):
    style = parsed.inside["style"][0]
    assert style.startswith(":root{" + "".join(f"--c{n}:{colour};" for n, colour in enumerate(COLOURS)) + "}")


def test_many_runs_stay_small(tmp_path, benchmark_script):
    """A tenth of the benchmark's: its 5 MB are for 1,000 runs of 200 evaluations."""
    benchmark_script.make(tmp_path / "results", benchmark_script.Size(2, 10, 5, 100, 50))
    seconds, size = benchmark_script.page(tmp_path / "results", tmp_path / "out")
    assert size < 800_000 and seconds < 10
