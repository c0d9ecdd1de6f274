"""Markdown is read back with a parser: what stands in a cell is what stood in the grid."""

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from leaderboard import programs, records
from leaderboard.analysis import View
from leaderboard.columns import Entry
from leaderboard.export import formats, markdown
from leaderboard.loading import load
from leaderboard.selection import Archive
from leaderboard.tables import grids
from leaderboard.words import one_line


def plain(token):
    """The text that a reader sees, and the kinds of what is not text."""
    text = "".join(child.content for child in token.children or ())
    kinds = {child.type for child in token.children or ()} - {"text", "text_special"}
    return text, kinds


def parsed(text):
    """Headings, paragraphs and tables (rows of cells) of a document, in order; each cell is text and other kinds."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    found, rows = [], []
    for n, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "table_close":
            found.append(("table", rows))
            rows = []
        elif token.type == "inline":
            if tokens[n - 1].type in ("td_open", "th_open"):
                rows[-1].append(plain(token))
            else:
                found.append((tokens[n - 1].type.removesuffix("_open"), plain(token)))
    return found


def test_hostile_text_survives_as_text(grid):
    heading, of, table, caption = parsed(markdown.grid(grid, "##", "# of, 1. and so on"))
    assert heading == ("heading", ("A *title* & {more} ## x #", set()))
    assert of == ("paragraph", ("# of, 1. and so on", set()))
    assert caption == ("paragraph", (" ".join(grid.caption), set()))
    header, *body = table[1]
    assert [text for text, _ in header] == [one_line(header.heading) for header in grid.headers]
    assert len(body) == len(grid.lines)
    for line, cells in zip(grid.lines, body, strict=True):
        for column, entry, (text, kinds) in zip(grid.headers, line.entries, cells, strict=True):
            assert text == one_line(formats.text(column.kind, entry)) + formats.mark(entry), line.label
            assert kinds == ({"strong_open", "strong_close"} if entry.bold else set()), line.label


@pytest.mark.parametrize("prefix", ["", "## ", "- "])
def test_hostile_text_survives_wherever_it_stands(hostile, prefix):
    for label in filter(str.strip, hostile.labels):
        ((kind, (text, kinds)),) = parsed(f"{prefix}{markdown.escape(label)}")
        assert text == one_line(label) and not kinds
        assert kind == ("heading" if prefix == "## " else "paragraph")


def test_plain_text_stays_readable():
    for text in ("p < .05 after Holm", "+38.2 ± 5.6", "grpo #a1b2c3", "−0.4 ± 5.8", "gift@released, seed 1: x > 2"):
        assert markdown.escape(text) == text


def test_nothing_is_bold_where_nothing_stands():
    assert markdown.entry_text("text", Entry(text="", bold=True)) == ""


def sections(results):
    archive = Archive(load(results.plan()))
    shown = grids(archive, programs.load("leaderboard"))
    return [
        markdown.section(archive.whole(table, View()), "demo", [g for g in shown if g.of(table)], "figure.svg")
        for table in archive.tables
    ]


@pytest.fixture
def section(results):
    for seed, final in enumerate([0.50, 0.52, 0.54]):
        results.cell("gift", seed, [0.2, final], [0.25, 0.25 + 0.1 * seed], steps={1: {"updates_without_signal": 2}})
    results.cell("grpo", 0, [0.2, 0.4], steps={2: {"metrics": {"clip_fraction": 0.0123}}})
    results.cell("grpo", 1, [0.2, 0.4], state="failed", error="out of\n# memory")
    for seed in range(2):
        results.cell("dapo", seed, state=None)
    return sections(results)[0]


def test_a_section(section):
    found = parsed(section)
    assert found[0] == ("heading", ("demo", set()))
    conditions = (
        "Budget of each run: 4 steps. Finished seeds a row: 0 to 3. "
        "Last evaluation: 64 held-out items, sampled × 4, greedy × 1."
    )
    assert found[1] == ("paragraph", (conditions, set()))
    assert found[2] == ("paragraph", ("No search for settings is recorded.", set()))
    titles = [text for kind, (text, _) in (one for one in found[2:] if one[0] == "heading")]
    assert titles == [
        "Accuracy on held-out items", "Convergence and overfitting", "What the runs spent", "How the runs went",
        "Notes",
    ]  # fmt: skip
    tables = [rows for kind, rows in found if kind == "table"]
    assert all(len({len(row) for row in rows}) == 1 for rows in tables) and len(tables) == 4
    assert [[text for text, _ in row[1:3]] for row in tables[0]] == [
        ["algorithm", "seeds"], ["gift", "3/3"], ["grpo", "1/2 (1 failed)"], ["dapo", "0/2 (missing)"]
    ]  # fmt: skip
    # Finals 0.50, 0.52, 0.54 have sd 0.02: 4.3027 · 0.02 / √3 = 0.0497.
    assert "52.0 ± 5.0" in [text for text, _ in tables[0][1]]
    assert found[-1] == ("paragraph", ("grpo, seed 1: failed after step 2: out of # memory", set()))
    assert section.index("](figure.svg)") < section.index("### Convergence")


def test_a_section_says_everything_once(section):
    sentences = [text for kind, (text, _) in (one for one in parsed(section) if one[0] == "paragraph")]
    assert sum("Rank: " in text or "No ranks: " in text for text in sentences) == 1
    assert sum("± is half" in text for text in sentences) == 1 == sum("Shares in %." in text for text in sentences)


def test_what_each_row_computes(results):
    """Two rows of one name: the card says how they differ. An older record, without one, is left open."""
    words = {"baseline": "group mean", "advantage scale": "std of the group", "clip": "token ratio in [0.8, 1.2]"}
    for label, clip in (("grpo@trl", "token ratio in [0.8, 1.2]"), ("grpo@verl", "none")):
        path = results.cell(label, 0, [0.2, 0.4]) / "cell.json"
        card = {"data": {}, "words": words | {"clip": clip}}
        records.write_json(path, records.read_json(path) | {"card": card})
    results.cell("older", 0, [0.2, 0.4])
    (section,) = sections(results)
    *_, rows = [rows for kind, rows in parsed(section) if kind == "table"]
    assert [[text for text, _ in row] for row in rows] == [
        ["algorithm", "baseline", "advantage scale", "clip"],
        ["grpo@trl", "group mean", "std of the group", "token ratio in [0.8, 1.2]"],
        ["grpo@verl", "group mean", "std of the group", "none"],
        ["older", "–", "–", "–"],
    ]


def test_the_samplers_column_is_there_only_where_a_foreign_engine_sampled(results):
    results.cell("ours", 0, [0.2, 0.4])
    assert "sampler mismatch" not in sections(results)[0]
    seen = {"mean": 0.0301, "max": 1.0, "k3": 0.001, "tokens": 2048}
    results.cell("foreign", 0, [0.2, 0.4], steps={1: {"mismatch": seen}})
    *_, rows = [rows for kind, rows in parsed(sections(results)[0]) if kind == "table"]
    column = [text for text, _ in rows[0]].index("sampler mismatch")
    assert {row[0][0]: row[column][0] for row in rows[1:]} == {"foreign": "0.0301", "ours": "–"}


def test_a_grid_without_title_bears_its_name(grid):
    assert markdown.grid(replace(grid, title="")).startswith("### main\n\n|")
