"""`groupbench reproduce`: recipes and papers fit each other, the paper scale is priced anywhere, a small study runs."""

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest
import yaml

from harness.errors import UserError
from harness.papers import command, cost, studies
from harness.papers.standing import standing
from harness.settings import Budget, Training
from leaderboard.papers.reading import PAPERS, SCALES, load, read

ROOT = Path(__file__).parents[3]
both = pytest.mark.parametrize("paper", PAPERS)
every = pytest.mark.parametrize("scale", SCALES)


def test_every_recipe_is_a_study_and_every_study_has_one():
    there = {path.stem for path in studies.folder().glob("*.yaml")}
    assert there == {load(p).study(s, one) for p in PAPERS for s in SCALES for one in load(p).scale[s].studies}
    assert studies.folder() == ROOT / "recipes" / "papers"


@both
@every
def test_a_dry_run_needs_no_model_no_data_and_no_gpu(paper, scale, tmp_path, capsys, monkeypatch):
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


def test_a_key_that_is_not_there_is_named():
    study = studies.study("gift-tiny-rlvr", "rlvr", [], Path("results"))
    assert study.ours(["budget.steps", "training.learning_rate"]) == {
        "budget.steps": 60,
        "training.learning_rate": "8.83e-05, 0.000136",
    }
    with pytest.raises(UserError, match=r"gift-tiny-rlvr\.yaml: the paper's file names budget\.stops as ours"):
        study.ours(["budget.stops"])


def test_a_rows_own_settings_are_told_by_its_label():
    study = studies.study("gift-tiny-sensitivity", "sensitivity", [], Path("results"))
    keys = ["algorithms.GIFT lr=1e-4.parameters.epsilon", "algorithms.GRPO β=0.01.training.learning_rate"]
    assert study.ours(keys) == {keys[0]: 0.00316, keys[1]: 8.83e-05}
    assert study.ours(["algorithms.DAPO.parameters.clip_low"]) == {}, "a row that was not asked for"
    for wrong in ("algorithms.GIFT lr=1e-4.parameters.epsilom", "algorithms.GIFT lr=1e-4", "algorithms.clip"):
        with pytest.raises(UserError, match=f"names {wrong} as ours, and there is no such key"):
            study.ours([wrong])


@both
@every
def test_what_is_ours_has_a_value(paper, scale):
    for study in studies.find(load(paper), scale, [], Path("results")):
        keys = load(paper).scale[scale].ours[study.short]
        assert set(study.ours(keys)) == set(keys), study.name


# Spec §2.3, §2.8, §3.5 to §3.7: of GIFT one script is known, without its baselines; of GFT's baselines nothing, of its
# table 2 no loss, of its table 5 not who demonstrates.
EVERY_TINY = (
    "parameters.tau, training.warmup_updates, training.adam_betas, sampling.max_tokens, evaluation, final_tasks"
)
ABLATED = ", ".join(f"algorithms.GFT {mix}.parameters.{who}" for mix in ("8:0", "6:2", "2:6", "0:8")
                    for who in ("experts", "teachers"))  # fmt: skip
LOSS = "algorithms.w/o GAL.name, algorithms.w/o GAL.parameters.experts, algorithms.w/o GAL.parameters.teachers"
NOT_PUBLISHED = {
    "gift-tiny-rlvr": "algorithms.GIFT.parameters.epsilon, algorithms.DAPO.parameters.clip_high, evaluation",
    "gift-tiny-sensitivity": "parameters.clip_low, parameters.clip_high, parameters.epsilon, parameters.beta",
    "gift-small-sensitivity": "parameters.clip_low, parameters.clip_high, parameters.beta",
    "gift-paper-rlvr": "algorithms.GRPO.training.learning_rate, algorithms.GSPO.training.learning_rate, "
    "algorithms.DAPO.parameters.clip_high, evaluation.samples, evaluation.probe, final_tasks",
    "gift-paper-rlhf": "evaluation, win_rates, training.updates_per_rollout",
    "gift-paper-sensitivity": "parameters.clip_low, parameters.clip_high, final_tasks",
    "gft-tiny-ablation": f"{EVERY_TINY}, {ABLATED}, {LOSS}",
    "gft-tiny-chains": f"{EVERY_TINY}, parameters.clip_low, budget.steps",
    "gft-small-ablation": f"{ABLATED}, {LOSS}",
    "gft-paper-ablation": f"{ABLATED}, {LOSS}",
    "gft-paper-main": "evaluation, algorithms.SFT.training.prompts_per_step, algorithms.GRPO.training.learning_rate, "
    "algorithms.DFT.training.prompts_per_step",
}


@pytest.mark.parametrize("name", NOT_PUBLISHED)
def test_what_is_not_published_is_printed(name, tmp_path, capsys):
    paper, scale, short = name.split("-", 2)
    study = studies.study(name, short, [], tmp_path)
    command._describe(load(paper), scale, study)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "not published, ours: " in line]
    for key in NOT_PUBLISHED[name].split(", "):
        (value,) = study.ours([key]).values()
        assert f" {key} = {command._shown(value)}" in line


def test_values_of_all_rows_and_whole_sections():
    study = studies.study("gft-tiny-chains", "chains", ["algorithms+=[{name: grpo, label: KL}]"], Path("results"))
    found = study.ours(["parameters.beta", "parameters.tau", "budget.steps", "algorithms.SFT+GFT.name", "evaluation"])
    assert list(found.values())[:4] == ["0.0, 0.04", 0.583, 40, "gft"], "of a chain the name is its last stage's"
    said = command._shown(found["evaluation"])
    assert said == "{every: 8, examples: 150, probe: 100, samples: 4, temperature: 1.0, drift: True}"
    assert study.ours(["parameters.epsilon"]) == {}, "no row has it"
    for wrong in ("training.learning_rat", "budget.stepz", "evaluation.prob"):
        with pytest.raises(UserError, match=f"names {wrong} as ours"):
            study.ours([wrong])


def test_what_the_captions_say_of_our_settings_is_what_is_run():
    (said,) = load("gift").scale["tiny"].notes
    for short in ("rlvr", "rlhf", "sensitivity"):
        study = studies.study(f"gift-tiny-{short}", short, [], Path("results"))
        rows = {row.label: row.stages[-1].algorithm for row in study.rows}
        assert all(f"{one.epsilon:g}" in said for label, one in rows.items() if label.startswith("GIFT"))
        assert short == "sensitivity" or f"{rows['GSPO'].clip_low}, {rows['GSPO'].clip_high};" in said
        assert short != "rlvr" or f"verified ({rows['DAPO'].clip_low}, {rows['DAPO'].clip_high};" in said
    (default,) = {type(one)().epsilon for label, one in rows.items() if label.startswith("GIFT")}
    assert f"its ε is {default:.0e}".replace("e-06", "e-6") in " ".join(load("gift").notes)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("algorithms=[gfit]", r"^override 'algorithms=\[gfit\]': algorithms\.0: unknown algorithm 'gfit'"),
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


CHAINED = """algorithms=[
  {name: sft, label: SFT},
  {label: SFT+SFT, stages: [{name: sft, budget: {steps: 40}}, sft]},
  {label: SFT+GRPO, stages: [{name: sft, budget: {steps: 40}}, grpo@no-kl]},
  {label: GFT+GRPO, stages: [{name: gft, budget: {steps: 30}}, grpo@no-kl]}]"""


def test_stages_that_chains_share_cost_once(tmp_path):
    study = studies.study("gft-tiny-chains", "chains", [CHAINED, "budget.steps=40", "seeds=[0, 1]"], tmp_path)
    paper, recipe = load("gft"), study.recipe
    size = cost.sizes(paper.size("tiny"), paper.scale["tiny"], recipe)
    sft, twice, grpo, behind = study.rows
    cells = [sft.stages, twice.stages, grpo.stages, *behind.prefixes]  # of each, its last stage alone
    once = sum((cost.of_stage(stages, study, size) for stages in cells), cost.finals(recipe, size).times(4))
    assert command._describe(paper, "tiny", study).flops == pytest.approx(once.times(2).flops)
    assert len(standing(study).missing) == 2 * len(cells)
    alone = [cost.of_stage(stages, study, size) for stages in twice.prefixes]
    assert cost.of_row(twice, study, size).flops == pytest.approx(
        alone[0].flops + alone[1].flops + cost.finals(recipe, size).flops
    )
    items = recipe.evaluation.examples + recipe.evaluation.probe
    look = size.forward(2 * items, items * (1 + recipe.evaluation.samples))
    assert alone[0].sampled - alone[1].sampled == pytest.approx(look)  # the second stage begins where the first ended


# --- a study, shrunken, end to end ---

SMALL = """
extends: {base}
name: gft-tiny-main
model: {{name: tiny, warm_start: null}}
algorithms:
  - {{name: sft, label: SFT, training: {{prompts_per_step: 40}}}}
  - {{name: grpo@no-kl, label: GRPO}}
  - {{name: gft, label: GFT}}
  - label: SFT+GRPO
    stages: [{{name: sft, budget: {{steps: 2}}, training: {{prompts_per_step: 40}}}}, grpo@no-kl]
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
    assert "gft-tiny-main: 8 cells, 0 done, 8 to run" in said and "Base" in said and "30.16" in said
    text = (shrunken / "gft-tiny.md").read_text()
    ours = text.partition("\n## ")[2].partition("\n## ")[0]
    rows = {line.split(" | ")[0].strip("| "): line for line in ours.splitlines() if line.startswith("| ")}
    assert "not run" not in rows["GFT"] and "| 2 |" in rows["GFT"] and "not run" in rows["DFT"]
    first = {path.name: path.read_bytes() for path in shrunken.glob("gft-tiny*.*")}
    assert len(first) == 4
    assert command.run("gft", "tiny", False, shrunken, 1, [], []) == 0
    said = capsys.readouterr().out
    assert "gft-tiny-main: 8 cells, 8 done, 0 to run" in said and "SFT: seeds 0, 1 done" in said
    assert {path.name: path.read_bytes() for path in shrunken.glob("gft-tiny*.*")} == first
    (cell,) = list(shrunken.glob("gft-tiny-main/cells/*/status.json"))[:1]
    cell.write_text(json.dumps({**json.loads(cell.read_text()), "state": "stopped"}))
    assert command.run("gft", "tiny", True, shrunken, 1, [], []) == 0
    said = capsys.readouterr().out
    assert "7 done, 1 to run" in said and " stopped" in said and "measured here: " in said
    cell.write_text(json.dumps({**json.loads(cell.read_text()), "state": "done"}))
    _others_under_the_same_labels(shrunken, capsys)
    _seconds_of_a_chain_are_its_last_stages(shrunken)


def _others_under_the_same_labels(out, capsys):
    """Of other settings nothing is done, and where they lie nothing is run."""
    records = {path: path.read_bytes() for path in out.rglob("*.json*")}
    for other, said in [
        ("budget.steps=3", "SFT has budget.steps = 2, not 3"),
        ("training.weight_decay=0.5", "training.weight_decay = 0.01, not 0.5"),
        ("sampling.max_tokens=5", "sampling.max_tokens = 6, not 5"),
        ("task.parameters.teacher_accuracy=0.5", "task.parameters.teacher_accuracy = 0.6, not 0.5"),
        (
            "model.warm_start={training: {learning_rate: 0.001}, budget: {steps: 1}}",
            "SFT has model.warm_start.training.",
        ),
    ]:
        assert command.run("gft", "tiny", True, out, 1, [other], []) == 0
        assert "8 cells, 0 done, 8 to run" in capsys.readouterr().out, other
        with pytest.raises(UserError, match=r"holds other cells under the same labels, SFT, .* another --out") as e:
            command.run("gft", "tiny", False, out, 1, [other], [])
        assert said in str(e.value)
        capsys.readouterr()
    assert command.run("gft", "tiny", True, out, 1, ["seeds=[1, 2]"], []) == 0  # another seed is the same row
    assert "8 cells, 4 done, 4 to run" in capsys.readouterr().out
    one = "algorithms=[{name: gft, label: GFT, parameters: {tau: 0.9}}]"
    with pytest.raises(UserError, match=r"labels, GFT: GFT has algorithm\.parameters\.tau = 0\.1, not 0\.9"):
        command.run("gft", "tiny", False, out, 1, [one], [])
    short = "algorithms=[{label: SFT+GRPO, stages: [{name: sft, budget: {steps: 1}}, grpo@no-kl]}]"
    with pytest.raises(UserError, match=r"after\.0\.training\.prompts_per_step = 40, not 4"):
        command.run("gft", "tiny", False, out, 1, [short], [])
    assert {path: path.read_bytes() for path in out.rglob("*.json*")} == records


def _seconds_of_a_chain_are_its_last_stages(out):
    there = standing(studies.study("gft-tiny-main", "main", [], out))
    spent = {(c.label, c.seed): json.loads((c.folder / "status.json").read_text())["seconds"] for c in there.found}
    for cell in there.found:
        whole = spent[cell.label, cell.seed]
        assert cell.seconds == (whole - spent["SFT", cell.seed] if cell.label == "SFT+GRPO" else whole) > 0


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
