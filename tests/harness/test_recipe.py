"""Recipes: what is accepted, and that every mistake is named by file, key, what was found and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import recipe as recipes
from harness.errors import UserError

GOOD = """
task: arithmetic
model: tiny
algorithms: [grpo, {name: gift@smooth, training: {learning_rate: 1e-5}}]
budget: {steps: 3}
"""
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def load(tmp_path, text, overrides=()):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return recipes.load(path, overrides)


def test_short_forms_and_defaults(tmp_path):
    recipe = load(tmp_path, GOOD)
    assert recipe.name == "mine" and recipe.task.name == "arithmetic" and recipe.model.name == "tiny"
    assert [a.name for a in recipe.algorithms] == ["grpo", "gift@smooth"]
    assert recipe.seeds == (0,) and recipe.training.updates_per_rollout == 4


def test_overrides_reach_nested_keys_and_parse_as_yaml(tmp_path):
    given = ["training.learning_rate=3e-5", "model.precision=bfloat16", "seeds=[4, 5]", "training.max_grad_norm=null"]
    recipe = load(tmp_path, GOOD, given)
    assert recipe.training.learning_rate == 3e-5  # YAML reads 3e-5 as text; it is a number all the same
    assert recipe.model.name == "tiny" and recipe.model.precision == "bfloat16"
    assert recipe.seeds == (4, 5) and recipe.training.max_grad_norm is None


def test_an_override_can_add_to_a_list(tmp_path):
    recipe = load(tmp_path, GOOD, ["algorithms+=[sft]", "seeds=[3]", "seeds+=[7]"])
    assert [a.name for a in recipe.algorithms] == ["grpo", "gift@smooth", "sft"] and recipe.seeds == (3, 7)
    for wrong in ("algorithms+=sft", "name+=[x]", "seeds+=[7]"):  # a default is no list of the recipe's
        with pytest.raises(UserError, match=r"\+= adds a list to a list that the recipe has"):
            load(tmp_path, GOOD, [wrong])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["training.learning_rat=1"], ["unknown key 'learning_rat' in training", "did you mean 'learning_rate'"]),
        (["taks=arithmetic"], ["unknown key 'taks'", "did you mean 'task'"]),
        (["model.warm_start={training: {}, budget: {stepz: 1}}"], ["'stepz' in model.warm_start.budget", "'steps'"]),
        (["algorithms=[{name: grpo, labl: x}]"], ["'labl' in algorithms.0", "did you mean 'label'"]),
        (["training.learning_rate=fast"], ["training.learning_rate", "number", "'fast'"]),
        (["training.learning_rate=-1"], ["training", "learning_rate = -1", "above 0"]),
        (["training.prompts_per_step=15"], ["prompts_per_step = 15", "multiple of updates_per_rollout = 4"]),
        (["seeds=[]"], ["seeds is empty"]),
        (["seeds=[1, 1]"], ["seeds [1, 1] repeat"]),
        (["seeds=three"], ["seeds: expected a list; found 'three'"]),
        (["seeds=0"], ["seeds: expected a list, e.g. [0]; found 0"]),
        (["algorithms=[]"], ["algorithms is empty"]),
        (["budget={}"], ["budget", "no limit is set", "generated_tokens"]),
        (["budget.steps=0"], ["steps = 0", "above 0"]),
        (["sampling.top_p=0"], ["top_p = 0"]),
        (["sampling.max_tokens=0"], ["max_tokens = 0"]),
        (["evaluation.every=0"], ["every = 0"]),
        (["model.precision=float16"], ["model.precision", "'auto', 'float32' or 'bfloat16'", "'float16'"]),
        (["execution.threads=0"], ["threads = 0"]),
        (["training.learning_rate"], ["expected key.sub=value"]),
        (["algorithms.a=1"], ["'algorithms' holds no keys"]),
    ],
)
def test_mistakes_are_named(tmp_path, overrides, said):
    with pytest.raises(UserError) as error:
        load(tmp_path, GOOD, overrides)
    for words in said:
        assert words in str(error.value)
    assert "mine.yaml" in str(error.value) or "override" in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [1, 2", "not valid YAML"), ("- a\n- b", "found list"), ("", "found NoneType"), ("task: arithmetic", "model")],
)
def test_broken_files(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        load(tmp_path, text)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"nothere.yaml: No such file"):
        recipes.load(tmp_path / "nothere.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_parse(path):
    assert recipes.load(path).algorithms


def test_extends_merges_mappings_and_replaces_the_rest(tmp_path):
    (tmp_path / "base.yaml").write_text(GOOD + "name: base\ntraining: {prompts_per_step: 8, learning_rate: 1e-4}\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "middle.yaml").write_text("extends: ../base.yaml\ntraining: {learning_rate: 1e-3}\n")
    recipe = load(tmp_path, "extends: sub/middle.yaml\nalgorithms: [gft]\nmodel: {precision: float32}\n", ["seeds=[3]"])
    assert recipe.name == "mine"  # never the base's: they would share a results folder
    assert (recipe.training.prompts_per_step, recipe.training.learning_rate) == (8, 1e-3)
    assert [a.name for a in recipe.algorithms] == ["gft"] and recipe.seeds == (3,)
    assert (recipe.model.name, recipe.model.precision) == ("tiny", "float32")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("extends: none.yaml", r"mine.yaml extends .*none.yaml: No such file"),
        ("extends: mine.yaml", r"mine.yaml extends .*mine.yaml: a circle"),
        ("extends: other.yaml", r"mine.yaml extends .*other.yaml extends .*mine.yaml: a circle"),
        ("extends: [a.yaml, b.yaml]", r"mine.yaml: extends = \['a.yaml', 'b.yaml'\]; expected the path of one"),
        ("extends: list.yaml", r"mine.yaml extends .*list.yaml: found list"),
    ],
)
def test_what_cannot_be_extended(tmp_path, text, said):
    (tmp_path / "other.yaml").write_text("extends: mine.yaml")
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(UserError, match=said):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("overrides", "at_fault"),
    [
        (["seeds=0"], "seeds=0"),
        (["budget.steps=2", "training.learning_rate=fast"], "training.learning_rate=fast"),
        (["training.learning_rate=-1", "training.prompts_per_step=8"], "training.learning_rate=-1"),
        (["training={learning_rate: -1}"], "training={learning_rate: -1}"),
        (["taks=arithmetic"], "taks=arithmetic"),
        (["training.learning_rat=1"], "training.learning_rat=1"),
        (["seeds=[1]", "seeds+=[1]"], "seeds+=[1]"),
        (["algorithms+=[{name: sft, labl: x}]"], "algorithms+=[{name: sft, labl: x}]"),
        (["controls=[x]", "controls=[y]"], "controls=[y]"),
        (["budget.steps=0", "budget={}"], "budget={}"),
    ],
)
def test_a_mistake_of_an_override_is_not_the_files(tmp_path, overrides, at_fault):
    with pytest.raises(UserError) as error:
        load(tmp_path, GOOD, overrides)
    assert str(error.value).startswith(f"override {at_fault!r}: ") and "recipe" not in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "overrides"),
    [
        ("seeds: [1, 1]\n", ["budget.steps=2"]),
        ("training: {learning_rate: -1}\n", ["training.prompts_per_step=8"]),
        ("sampling: {top_p: 0}\n", ["algorithms+=[sft]"]),
    ],
)
def test_a_mistake_of_the_file_is_not_an_overrides(tmp_path, wrong, overrides):
    with pytest.raises(UserError, match=rf"^recipe {tmp_path / 'mine.yaml'}: "):
        load(tmp_path, GOOD + wrong, overrides)


@pytest.mark.parametrize(
    ("said", "at_fault"),
    [
        ("algorithms.1 (sft): unknown algorithm", None),
        ("algorithms.2: unknown algorithm", "algorithms+=[sft]"),
        ("algorithms.20: unknown algorithm", None),
        ("model 'nowhere' is no folder", "model.name=nowhere"),
        ("model 'tiny' has no chat template", None),
        ("evaluation.examples = 3, but", None),
    ],
)
def test_what_is_found_later_is_told_apart_as_well(tmp_path, said, at_fault):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    expected = f"recipe {path}" if at_fault is None else f"override {at_fault!r}"
    overrides = ["algorithms+=[sft]", "model.name=nowhere"]
    assert recipes.blamed(f"recipe {path}: {said}", path, overrides) == f"{expected}: {said}"
