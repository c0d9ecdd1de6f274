"""What a cell's record holds runs the same cell again."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from harness import benchmark, provenance, recipe, reproduction, tuning
from harness.reproduction import Asked

QUICKSTART = reproduction.ROOT / "recipes" / "quickstart.yaml"


def planned(path, overrides=(), plugins=()):
    """As `groupbench run` plans it."""
    asked = recipe.load(path, overrides)
    return benchmark.plan(asked, "cpu").asked_by(Asked(path, overrides, plugins, asked))


def ids(path, overrides=()):
    return {cell.id for cell in benchmark.plan(recipe.load(path, overrides), "cpu").cells}


def arguments(command):
    """Recipe and overrides of a command, as a shell hands them over."""
    words = shlex.split(shlex.join(command))
    assert words[:2] == ["groupbench", "run"]
    return reproduction.ROOT / words[2], [word for word in words[3:] if "=" in word]


SMALL = ["task.parameters.level=1", "model.warm_start.training.prompts_per_step=64"]  # a tenth of the examples
OVERRIDES = [
    *SMALL,
    "seeds=[3]",
    "training.learning_rate=3e-5",
    "controls=[a-a, {kind: random-reward, of: gift}]",
    "algorithms+=[sft]",
]


def test_a_cells_own_recipe_and_its_command_give_the_same_cell(tmp_path):
    cells = planned(QUICKSTART, OVERRIDES).cells
    assert len(cells) == 6 + 2
    for cell in cells[3:]:  # an algorithm with settings of its own, one that the command line added, both arms
        own = tmp_path / "own.yaml"
        own.write_text(yaml.safe_dump(json.loads(json.dumps(cell.recipe))))
        expected = 1 if cell.control is None else 2  # a control arm, and the algorithm that it repeats
        for found in (ids(own), ids(*arguments(cell.command))):
            assert cell.id in found and len(found) == expected, cell.label
        assert not any("+=" in word for word in cell.command)


def test_an_entrys_own_settings_and_odd_labels_are_said(tmp_path):
    label = "it's β=0.1, 'x' \\ $HOME"
    entry = {"name": "gift", "label": label, "parameters": {"epsilon": 0.01}, "training": {"learning_rate": 2e-4}}
    (cell,) = planned(QUICKSTART, [*SMALL, f"algorithms={json.dumps([entry])}", "seeds=[1]"]).cells
    again = recipe.load(*arguments(cell.command))
    assert again.algorithms[0].label == cell.label == label
    assert ids(*arguments(cell.command)) == {cell.id}


def test_what_was_decided_for_a_machine_is_said(tmp_path):
    """Another machine's `auto` would be another cell."""
    (cell,) = planned(QUICKSTART, [*SMALL, "algorithms=[grpo]", "seeds=[0]"]).cells
    assert "model.precision=float32" in cell.command and cell.recipe["model"]["precision"] == "float32"


def test_a_search_and_judging_are_left_out():
    path = QUICKSTART.with_name("quickstart-tuning.yaml")
    asked = recipe.load(path, ["seeds=[0]", "algorithms=[gift, grpo]", "tune.trials=2", *SMALL])
    search = tuning.prepare(asked, asked.tune, "cpu")
    decided = benchmark.plan(tuning._decided(search, [1, 0]), "cpu")
    cells = decided.asked_by(Asked(path, ["tune.trials=2", *SMALL], (), asked)).cells
    for cell in cells:
        assert "tune=null" in cell.command and cell.label.endswith("tuned")
    (chosen,) = {cell.label: cell for cell in cells if cell.algorithm.name == "gift"}.values()
    # `tune.trials` would begin a section that is no more
    assert not any(word.startswith("tune.") for word in chosen.command)
    assert ids(*arguments(chosen.command)) == {chosen.id}
    preference = QUICKSTART.with_name("preference.yaml")
    assert recipe.load(preference).win_rates and "win_rates=null" in _command(preference)


def _command(path):
    asked = recipe.load(path)
    own = {"algorithms": ["gft"], "seeds": [0], "model": {"precision": "float32"}}
    return Asked(path, (), (), asked).command(own)


def test_trials_and_stages_have_no_recipe_of_their_own():
    asked = recipe.load(QUICKSTART.with_name("quickstart-tuning.yaml"), ["algorithms=[gift]", "tune.trials=2", *SMALL])
    trials = tuning.prepare(asked, asked.tune, "cpu").benchmark
    assert {cell.recipe for cell in trials.cells} == {None}
    assert trials.warm_start.recipe is None


def test_a_recipe_that_others_do_not_have_gives_no_command(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(QUICKSTART.read_text())
    cells = planned(path, SMALL, plugins=[tmp_path / "mine.py"]).cells
    assert {cell.command for cell in cells} == {None}
    assert cells[0].plugins == ("--plugin", "mine.py"), "no path of this machine"
    assert cells[0].recipe["name"] == "mine"


def test_files_are_named_by_their_place_in_the_clone():
    assert reproduction.tracked(QUICKSTART) == "recipes/quickstart.yaml"
    assert reproduction.tracked(Path("recipes/../recipes/quickstart.yaml")) in ("recipes/quickstart.yaml", None)
    assert reproduction.tracked(reproduction.ROOT / "recipes" / "never-written.yaml") is None


def test_a_file_that_is_not_as_its_commit_has_it_gives_no_command(tmp_path, monkeypatch):
    """A clone would run another cell; so it would where only what the recipe extends was edited."""

    def git(*words):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    base, mine, staged = (tmp_path / name for name in ("base.yaml", "mine.yaml", "staged.yaml"))
    base.write_text(QUICKSTART.read_text())
    mine.write_text("extends: base.yaml\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "recipes")
    monkeypatch.setattr(reproduction, "ROOT", tmp_path)
    assert _command(mine)[:3] == ["groupbench", "run", "mine.yaml"]
    staged.write_text(mine.read_text())
    git("add", "staged.yaml")
    assert _command(staged) is None
    base.write_text(base.read_text().replace("budget: {steps: 60}", "budget: {steps: 90}"))
    assert _command(mine) is None and _command(base) is None and reproduction.tracked(mine) == "mine.yaml"
    git("add", "base.yaml")
    assert _command(mine) is None
    git("commit", "-m", "longer")
    assert _command(mine) is not None
    mine.write_text("extends: base.yaml\nbudget: {steps: 3}\n")
    assert _command(mine) is None


@pytest.mark.parametrize("changes", [{}, {"controls": ["a-a"]}])
def test_how_to_run_it_again_is_recorded_and_no_part_of_the_identity(changes, small, tmp_path):
    cell = small.cells(**changes)[-1]
    small.run(cell, tmp_path)
    found = json.loads((tmp_path / "cell.json").read_text())
    assert found["id"] == cell.id and "recipe" not in found["spec"]
    assert cell.id in {one.id for one in benchmark.plan(recipe.parse(found["provenance"]["recipe"], "x"), "cpu").cells}
    assert found["provenance"]["command"] is None
    assert provenance.provenance(cell, cell.start)["recipe"] == cell.recipe
