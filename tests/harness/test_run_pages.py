"""From `groupbench run` to a run's page and back: what the page prints runs the same cell."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness import board, reproduction, running
from harness.board import Options
from harness.errors import UserError
from leaderboard import records

SMALL = [
    "task.parameters={level: 1}", "model.warm_start=null", "budget.steps=2", "sampling.max_tokens=4",
    "training={prompts_per_step: 4, responses_per_prompt: 4, updates_per_rollout: 2}",
    "evaluation={every: 1, examples: 7, probe: 0, samples: 2}",
]  # fmt: skip
TWO = ["algorithms=[grpo@no-kl, {name: gift, label: it's GIFT, parameters: {epsilon: 0.01}}]", "seeds=[0, 1]"]


def cells(results):
    """By label and seed, folder and weights."""
    found = {}
    for path in sorted(results.glob("cells/*/cell.json")):
        record, status = records.read_json(path), records.read_json(path.with_name("status.json"))
        found[record["algorithm"], record["seed"]] = (record["id"], status["weights_end"])
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A recipe of the clone, run, and its site."""
    folder = tmp_path_factory.mktemp("pages")
    assert (
        running.run(reproduction.ROOT / "recipes/quickstart.yaml", [*SMALL, *TWO], folder / "results", [], False) == 0
    )
    board.run(folder / "results", Options(folder / "site"))
    return folder


def printed(ran, name):
    """The commands of a run's page, and its recipe."""
    page = (ran / "site" / "runs" / f"{name}.html").read_text(encoding="utf-8")
    blocks = [html.unescape(text) for text in re.findall(r'<pre class="command">(.*?)</pre>', page, re.DOTALL)]
    recipe = unquote(html.unescape(re.search(r'href="data:text/yaml;charset=utf-8,([^"]*)"', page)[1]))
    return [block.splitlines()[-1] for block in blocks], recipe


def run_again(command, folder, files):
    """Run a printed command as a shell would, from a folder that has what it names, and return its cells."""
    words = shlex.split(command)
    assert words[:2] == ["groupbench", "run"]
    *overrides, option, out = words[3:]
    assert option == "--out"
    assert running.run(files / words[2], overrides, folder / out, [], False) == 0
    return cells(folder / out)


def test_each_printed_command_makes_the_same_cell_to_the_last_bit(ran, tmp_path):
    before = cells(ran / "results")
    assert len(before) == 4
    key = ("it's GIFT", 1)
    name, weights = before[key]
    (of_recipe, alone), recipe = printed(ran, name)
    assert run_again(of_recipe, tmp_path / "one", reproduction.ROOT) == {key: (name, weights)}
    (tmp_path / f"{name}.yaml").write_text(recipe, encoding="utf-8")
    assert run_again(alone, tmp_path / "two", tmp_path) == {key: (name, weights)}


def test_the_page_has_what_was_asked_and_answered(ran):
    (name, _), *_ = cells(ran / "results").values()
    page = (ran / "site" / "runs" / f"{name}.html").read_text(encoding="utf-8")
    (kept,) = [
        item for item in records.read_lines(ran / "results" / "cells" / name / "items.jsonl")
        if item.get("mode") == "sampled" and "texts" in item
    ][:1]  # fmt: skip
    assert f'"{kept["prompt"]}"' in page and f'"{kept["answer"]}"' in page


def test_examples_are_a_matter_of_run_pages(ran, tmp_path):
    with pytest.raises(UserError, match="--examples some; allowed: none, sample, all"):
        board.run(ran / "results", Options(tmp_path, examples="some"))
    with pytest.raises(UserError, match="which --out makes"):
        board.run(ran / "results", Options(examples="all"))
    board.run(ran / "results", Options(tmp_path, examples="none"))
    assert len(list((tmp_path / "runs").iterdir())) == 4
    assert not (ran / "results" / "runs").exists(), "a run's own tables come without"


def test_a_folder_that_cannot_be_written_to_is_named(ran, tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match=f"{tmp_path / 'runs'}: File exists"):
        board.run(ran / "results", Options(Path(tmp_path)))
