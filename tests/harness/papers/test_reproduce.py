"""`groupbench reproduce`: recipes and papers fit each other, the paper scale is priced anywhere, a small study runs."""

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest
import yaml

from harness.errors import UserError
from harness.papers import command, cost, studies
from harness.settings import AlgorithmChoice, Budget, Training
from leaderboard.papers.reading import PAPERS, SCALES, load, read

ROOT = Path(__file__).parents[3]
CHAINS = any(field.name == "stages" for field in dataclasses.fields(AlgorithmChoice))
both = pytest.mark.parametrize("paper", PAPERS)
every = pytest.mark.parametrize("scale", SCALES)


def needed(paper):
    if paper == "gft" and not CHAINS:
        pytest.skip("recipes with chains of stages take harness.settings.AlgorithmChoice.stages, which is not here")


def test_every_recipe_is_a_study_and_every_study_has_one():
    there = {path.stem for path in studies.folder().glob("*.yaml")}
    assert there == {load(p).study(s, one) for p in PAPERS for s in SCALES for one in load(p).scale[s].studies}
    assert studies.folder() == ROOT / "recipes" / "papers"


@both
@every
def test_a_dry_run_needs_no_model_no_data_and_no_gpu(paper, scale, tmp_path, capsys, monkeypatch):
    needed(paper)
    for name in ("GROUPBENCH_CACHE", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    monkeypatch.delenv("GROUPBENCH_DATA", raising=False)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a dry run looks for a network"))
    assert command.run(paper, scale, True, tmp_path / "out", None, [], []) == 0
    said = " ".join(capsys.readouterr().out.split())
    for study in load(paper).scale[scale].studies:
        assert f"{load(paper).study(scale, study)}: " in said
    assert "not published, ours: " in said and "all studies, what is missing: " in said
    assert ("is not at hand" in said) == (scale != "tiny") and ("GPU-hours" in said) == (scale != "tiny")
    assert not (tmp_path / "out").exists() and not (tmp_path / "empty").exists()


@both
@every
def test_rows_of_the_tables_are_rows_of_the_recipes(paper, scale):
    """What a table looks for under a label is run under it, and final tasks under theirs."""
    needed(paper)
    found = {one.short: one for one in studies.find(load(paper), scale, [], Path("results"))}
    assert all(len(one.recipe.seeds) >= 3 for one in found.values())
    shown = set()
    for table in load(paper).table:
        for fill in table.ours.get(scale, ()):
            block = next(block for block in table.block if block.model == fill.block)
            for row in block.rows:
                if row in (table.start, *table.not_implemented):
                    continue
                name, colon, label = fill.rows.get(row, row).partition(":")
                named = (name, label) if colon and name in found else (fill.study, fill.rows.get(row, row))
                assert named[1] in {one.label for one in found[named[0]].rows}, (table.name, row)
                shown.add(named)
            keys = {task.key for task in found[fill.study].recipe.final_tasks}
            for column in fill.columns:
                family, _, task = column.column.partition(":")
                assert family != "final" or task in keys, column
    missing = {(one.short, row.label) for one in found.values() for row in one.rows} - shown
    assert not missing, f"rows that no table shows: {missing}"


@both
@every
def test_what_is_ours_is_marked_in_the_recipes_as_well(paper, scale):
    for study in load(paper).scale[scale].studies:
        path = studies.folder() / f"{load(paper).study(scale, study)}.yaml"
        text = path.read_text()
        while base := yaml.safe_load(path.read_text()).get("extends"):
            path = path.with_name(base)
            text += path.read_text()
        assert text.count("OURS") >= 3, study


def test_a_key_that_is_not_there_is_named():
    study = studies.study("gift-tiny-rlvr", "rlvr", [], Path("results"))
    assert study.ours(["budget.steps", "training.learning_rate"]) == {
        "budget.steps": 60,
        "training.learning_rate": "8.83e-05, 0.000136",
    }
    with pytest.raises(UserError, match=r"gift-tiny-rlvr\.yaml: the paper's file names budget\.stops as ours"):
        study.ours(["budget.stops"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("algorithms=[gfit]", r"gift-tiny-rlvr\.yaml: algorithms\.0: unknown algorithm 'gfit'"),
        ("task=arithmetik", "unknown task 'arithmetik'"),
        ("final_tasks=[arithmetic@gftt]", "task arithmetic has no protocol 'gftt'"),
        ("training.prompts_per_step=15", "a multiple of updates_per_rollout"),
        ("name=other", "name = 'other'; must be 'gift-tiny-rlvr'"),
    ],
)
def test_overrides_are_checked(override, said, tmp_path):
    with pytest.raises(UserError, match=said):
        command.run("gift", "tiny", True, tmp_path, None, [override], [])


def test_unknown_scales_are_named(tmp_path):
    with pytest.raises(UserError, match="--scale smal; did you mean 'small'"):
        command.run("gift", "smal", True, tmp_path, None, [], [])


# --- cost ---


def test_flops_of_a_step_by_hand():
    """GRPO, 8 responses to 16 prompts: sampled once, scored by the old policy, trained; 10 + 20 tokens each."""
    study = studies.study("gift-tiny-rlvr", "rlvr", [], Path("results"))
    size = cost.Sizes(1e6, 10, 20)
    row = next(row for row in study.rows if row.label == "GRPO")
    stage = dataclasses.replace(row.stages[0], budget=Budget(steps=3))
    looked = dataclasses.replace(study.recipe.evaluation, every=3, examples=7, probe=2, samples=4)
    alone = dataclasses.replace(study, recipe=dataclasses.replace(study.recipe, evaluation=looked))
    work = cost.of_row(studies.Row("GRPO", (stage,)), alone, size)
    looks = 2 * (2 * 1e6) * (9 * 2 * 10 + 9 * 5 * 20)
    assert work.sampled == 3 * 2e6 * (16 * 10 + 128 * 20) + looks
    assert work.trained == 3 * (6e6 + 2e6) * 128 * 30
    assert work.gpu_hours == pytest.approx((work.sampled / 0.10 + work.trained / 0.35) / 989e12 / 3600)


def test_steps_until_the_first_limit_that_is_known():
    training = Training(prompts_per_step=16, updates_per_rollout=4)
    assert cost.steps_of(Budget(steps=9, prompts=100), training) == 7
    assert cost.steps_of(Budget(optimizer_steps=10), training) == 3
    assert cost.steps_of(Budget(seconds=10), training) is None


# --- a study, shrunken, end to end ---

SMALL = """
extends: {base}
name: gft-tiny-main
model: {{name: tiny, warm_start: null}}
algorithms:
  - {{name: sft, label: SFT, training: {{prompts_per_step: 40}}}}
  - {{name: grpo@no-kl, label: GRPO}}
  - {{name: gft, label: GFT}}
budget: {{steps: 2}}
training: {{prompts_per_step: 4, updates_per_rollout: 2}}
seeds: [0, 1]
evaluation: {{every: 2, examples: 8, probe: 0, samples: 1}}
final_tasks:
  - {{name: arithmetic, label: sums-19, parameters: {{level: 2}}, samples: 2, limit: 6, max_tokens: 4}}
  - {{name: arithmetic, label: sums-49, parameters: {{level: 3}}, samples: 2, limit: 6, max_tokens: 4}}
  - {{name: arithmetic, label: sums-99, parameters: {{level: 4}}, samples: 2, limit: 6, max_tokens: 4}}
"""


@pytest.fixture
def shrunken(tmp_path, monkeypatch):
    """The paper with the study `main` alone, and that of a second."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    base = studies.folder() / "gft-tiny-main.yaml"
    (folder / "gft-tiny-main.yaml").write_text(SMALL.format(base=base))
    text = Path(command.__file__).parents[2] / "leaderboard" / "papers" / "gft.toml"
    lines = text.read_text().replace('studies = ["main", "ablation", "chains"]', 'studies = ["main"]', 1)
    start, end = lines.index("[scale.tiny.ours]"), lines.index("[scale.small]")
    head, _, tables = (lines[:start] + '[scale.tiny.ours]\nmain = ["budget.steps"]\n' + lines[end:]).partition(
        "[[table]]"
    )
    first = tables.split("\n[[table]]")[0]
    (tmp_path / "gft.toml").write_text(head + "[[table]]" + first)
    monkeypatch.setattr(command, "load", lambda name: read(tmp_path / f"{name}.toml"))
    monkeypatch.setattr(studies, "folder", lambda: folder)
    return tmp_path / "out"


def test_a_shrunken_study_end_to_end(shrunken, capsys):
    assert command.run("gft", "tiny", False, shrunken, 1, [], []) == 0
    said = capsys.readouterr().out
    assert "gft-tiny-main: 6 cells, 0 done, 6 to run" in said and "Base" in said and "30.16" in said
    text = (shrunken / "gft-tiny.md").read_text()
    ours = text.partition("\n## ")[2].partition("\n## ")[0]
    rows = {line.split(" | ")[0].strip("| "): line for line in ours.splitlines() if line.startswith("| ")}
    assert "not run" not in rows["GFT"] and "| 2 |" in rows["GFT"] and "not run" in rows["DFT"]
    first = {path.name: path.read_bytes() for path in shrunken.glob("gft-tiny*.*")}
    assert len(first) == 4
    assert command.run("gft", "tiny", False, shrunken, 1, [], []) == 0
    said = capsys.readouterr().out
    assert "gft-tiny-main: 6 cells, 6 done, 0 to run" in said and "SFT: seeds 0, 1 done" in said
    assert {path.name: path.read_bytes() for path in shrunken.glob("gft-tiny*.*")} == first
    (cell,) = list(shrunken.glob("gft-tiny-main/cells/*/status.json"))[:1]
    cell.write_text(json.dumps({**json.loads(cell.read_text()), "state": "stopped"}))
    assert command.run("gft", "tiny", True, shrunken, 1, [], []) == 0
    said = capsys.readouterr().out
    assert "5 done, 1 to run" in said and " stopped" in said and "measured here: " in said


def test_recipes_are_in_the_wheel(tmp_path):
    """As the build configuration says, without a build, which takes a network."""
    import tomllib

    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"recipes/papers": "harness/papers/recipes"}
    assert studies._PLACES[0] == Path(studies.__file__).parent / "recipes"


@pytest.mark.optional
def test_a_built_wheel_holds_them(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling, which builds wheels, is not installed")
    from hatchling.builders.wheel import WheelBuilder

    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        names = set(wheel.namelist())
        assert {f"harness/papers/recipes/{path.name}" for path in (ROOT / "recipes" / "papers").glob("*")} <= names
        assert {f"leaderboard/papers/{paper}.toml" for paper in PAPERS} <= names
        assert yaml.safe_load(wheel.read("harness/papers/recipes/gift-tiny-rlvr.yaml"))["task"]["name"] == "arithmetic"
