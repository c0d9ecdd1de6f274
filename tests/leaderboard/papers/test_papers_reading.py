"""The papers' files: every figure is the specification's, and every mistake is named by file and key."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from leaderboard.papers import reading
from leaderboard.papers.reading import PAPERS, PaperError, load, read

FOLDER = Path(reading.__file__).parent
ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("GROUPBENCH_DATA", ROOT / "data")).parent  # the specification lies beside the real data
PLACES = [place / "spec" / "algorithms.md" for place in (ROOT, SHARED)]
SPEC = next((place for place in PLACES if place.exists()), None)


def test_both_papers_are_sound():
    assert PAPERS == ("gft", "gift")
    for name in PAPERS:
        paper = load(name)
        assert paper.name == name and set(paper.scale) == {"tiny", "small", "paper"}
        assert all(table.source for table in paper.table)
    with pytest.raises(PaperError, match="unknown paper 'gtf'; did you mean 'gft'"):
        load("gtf")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "GFT: Group', 'titel = "GFT: Group', "unknown key 'titel'; did you mean 'title'"),
        ("mean = true", 'mean = "yes"', r"table\.0\.mean: Input should be a valid boolean; found 'yes'"),
        ("GFT = [46.09, 70.50, 30.52]", "GFT = [46.09, 70.50]", r"block Qwen2\.5-Math-1\.5B: row GFT: 2 values; exp"),
        ('later = ["LUFFY", "CHORD"]', 'later = ["LUFY"]', "later: found 'LUFY'; did you mean 'LUFFY'"),
        ('start = "Base"', 'start = "Bass"', "start: found 'Bass'; did you mean 'Base'"),
        ('study = "ablation"', 'study = "ablations"', "study: found 'ablations'; did you mean 'ablation'"),
        ('column = "final:sums-19"', 'column = "finale:sums-19"', "unknown column 'finale:sums-19'"),
        ('of = "AMC23"', 'of = "AMC24"', "of: found 'AMC24'; did you mean 'AMC23'"),
        ("main = [", "mane = [", r"scale\.tiny\.ours\.mane"),
        ('name = "ablation"', 'name = "main"', "two tables have the name 'main'"),
        ('model = "Qwen2.5-Math-7B"', 'model = "Qwen2.5-Math-1.5B"', "two blocks have the model"),
        ("digits = 1", "digits = ", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, said):
    text = (FOLDER / "gft.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(PaperError, match=said) as error:
        read(path)
    assert str(error.value).startswith(f"paper {path}: ")


# --- against the specification, read by its own Markdown ---


def section(heading):
    text = SPEC.read_text(encoding="utf-8")
    return text[text.index(heading) :]


def table(heading):
    """Header and rows of the first table below a heading."""
    lines = section(heading).splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[0], rows[2:]


def published(paper, name):
    """(columns, digits, {model: {row: printed values}}) of our file, read without the code under test."""
    content = tomllib.loads((FOLDER / f"{paper}.toml").read_text())
    (found,) = [one for one in content["table"] if one["name"] == name]
    digits = found.get("digits", 2)
    blocks = {b["model"]: {r: [f"{v:.{digits}f}" for v in vs] for r, vs in b["rows"].items()} for b in found["block"]}
    return found["columns"], blocks, {b["model"]: b.get("later", []) for b in found["block"]}


def needs_spec(test):
    """Skips, by name, where the specification is not at hand: it is no part of the repository."""
    reason = "spec/algorithms.md, which the figures were read from, is not here"
    return pytest.mark.optional(pytest.mark.skipif(SPEC is None, reason=reason)(test))


@needs_spec
@pytest.mark.parametrize(
    "model", ["Qwen2.5-Math-1.5B", "Qwen2.5-Math-7B", "DeepSeekMath-7B-Instruct", "LLaMA-3.2-3B-Instruct"]
)
def test_gft_table_1(model):
    columns, blocks, later = published("gft", "main")
    header, rows = table(f"**{model}")
    assert header[1:-1] == columns
    assert {name.removesuffix(" †"): values for name, *values, _ in rows} == blocks[model]
    assert [name.removesuffix(" †") for name, *_ in rows if name.endswith("†")] == later[model]
    for name, *values, mean in rows:  # the specification's last column, which our grids show, is their mean
        assert abs(sum(map(float, values)) / 6 - float(mean)) < 0.006, name


@needs_spec
@pytest.mark.parametrize(
    ("heading", "name", "renamed"),
    [
        ("### 8.3", "ablation", {"w/o GAL+DCR (= SFT row)": "w/o GAL+DCR"}),
        ("### 8.4", "forgetting", {}),
        ("### 8.6", "mix", {"4:4 (main setting)": "4:4"}),
        ("### 8.7", "chains", {}),
    ],
)
def test_gft_other_tables(heading, name, renamed):
    columns, blocks, _ = published("gft", name)
    header, rows = table(heading)
    assert header[1:] == columns
    (block,) = blocks.values()
    ours = {"SFT+SFT", "GRPO+GRPO", "SFT+GRPO+GRPO"} if name == "chains" else set()  # controls, which no paper has
    assert all(block.pop(row) == [] for row in ours)
    assert {renamed.get(row, row): values for row, *values in rows} == block


@needs_spec
def test_gft_table_4():
    columns, blocks, _ = published("gft", "passes")
    header, rows = table("### 8.5")
    assert header[2:] == columns
    for model, block in blocks.items():
        k = model.rpartition(" ")[2]
        assert {row: values for own, row, *values in rows if own == k} == block
    assert sum(map(len, blocks.values())) == len(rows)


@needs_spec
def test_gift_has_the_aggregators_values_and_no_other():
    said = section("### 8.1")[: section("### 8.1").index("###", 5)]
    columns, blocks, _ = published("gift", "aggregator")
    names = {"AlpacaEval": "AlpacaEval win rate"}
    found = {c: re.search(rf"{names.get(c, c)} ([0-9.]+)", said)[1] for c in columns}
    assert [found[c] for c in columns] == blocks["not stated"]["unlabelled"]
    assert len(re.findall(r"\d+\.\d\d", said.partition("):")[2])) == len(columns)
    for name in ("rlvr", "rlhf", "sensitivity"):
        assert not any(values for block in published("gift", name)[1].values() for values in block.values())


@needs_spec
def test_headline_numbers_of_the_baselines():
    _, rows = table("### 8.8")
    said = {row[0]: row[1] for row in rows}
    (math,) = published("gift", "deepseekmath")[1].values()
    arrows = [value for key, value in said.items() if "→" in value]
    assert arrows == [f"{a} → {b}" for a, b in zip(math["Instruct"], math["GRPO"], strict=True)]
    (dapo,) = published("gift", "dapo")[1].values()
    values = [value for row in dapo.values() for value in row]
    text = " ".join(value for key, value in said.items() if "AIME24 avg" in key or "overlong" in key)
    text += f" / {said['DeepSeek-R1-Zero-Qwen-32B']}"
    text += " / " + next(value for key, value in said.items() if key.startswith("verl reproduction"))
    assert values == re.findall(r"\d+", text)
    (verl,) = published("gift", "verl")[1].values()
    text = " / ".join(value.partition(" (")[0] for key, value in said.items() if key.startswith("GSM8K"))
    assert [value for row in verl.values() for value in row] == [f"{float(x):.1f}" for x in re.findall(r"[\d.]+", text)]
