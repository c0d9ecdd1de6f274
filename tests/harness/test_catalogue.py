"""`groupbench list` and `groupbench check`: what a user reads of an algorithm, and what stops a wrong one."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import torch

import algorithms.registry
import tasks.registry
from harness import catalogue
from harness.errors import UserError

README = Path(__file__).parents[2] / "README.md"
WRONG = """
from dataclasses import dataclass
from algorithms import Loss, register
from algorithms.rloo import RLOO

@register("wrong", presets={"twice": {"beta": 2.0}})
@dataclass(frozen=True)
class Wrong(RLOO):
    \"\"\"Leave-one-out, but by the part's own size.\"\"\"

    def loss(self, signals, batch):
        loss = super().loss(signals, batch)
        return Loss(loss.value * batch.totals.responses / batch.responses, loss.metrics)
"""


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(algorithms.registry, "_ENTRIES", dict(algorithms.registry.load()))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def wrong(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    return path


def test_a_plug_in_is_checked_with_its_presets_and_nothing_else(wrong, capsys):
    assert catalogue.check([], [wrong]) == 1
    said = capsys.readouterr().out
    assert "FAILED micro-batches: cut into single responses; a divisor of its own size?: the gradient differs" in said
    assert "0 of 2 conform" in said and "not: wrong, wrong@twice" in said and "grpo" not in said


def test_a_plug_in_that_registers_nothing_is_no_success(tmp_path):
    (tmp_path / "empty.py").write_text("import os\n")
    with pytest.raises(UserError, match=r"empty.py: it registers no algorithm; put @register"):
        catalogue.check([], [tmp_path / "empty.py"])
    with pytest.raises(UserError, match="a folder, expected a Python file"):
        catalogue.check([], [tmp_path])


def test_a_required_hyper_parameter_is_told_by_name(tmp_path, capsys):
    (tmp_path / "needy.py").write_text(
        "from dataclasses import dataclass\nfrom algorithms import Algorithm, register\n"
        "@register('needy')\n@dataclass(frozen=True)\nclass Needy(Algorithm):\n    extra: float\n"
    )
    with pytest.raises(UserError, match=r"check needy, as it is without parameters.parameters: extra: Field required"):
        catalogue.check([], [tmp_path / "needy.py"])
    catalogue.list_names("algorithms", None, [])
    assert "extra: Field required" in " ".join(capsys.readouterr().out.split())


def test_a_card_that_cannot_be_read_hides_no_other(tmp_path, capsys):
    path = tmp_path / "boasts.py"
    path.write_text(
        "from algorithms import Card, register\nfrom algorithms.sft import SFT\n"
        "@register('boasts')\nclass Boasts(SFT):\n    @property\n    def card(self):\n"
        "        return Card(aggregation='mean')\n"
    )
    catalogue.list_names("algorithms", None, [path])
    said = " ".join(capsys.readouterr().out.split())
    assert "its card cannot be read: ValueError: Card.aggregation" in said and "gvpo" in said
    with pytest.raises(UserError, match=r"Card.aggregation = 'mean'; allowed: .*boasts.py, line 7"):
        catalogue.list_names("algorithms", "boasts", [])


def test_every_preset_has_a_card_of_its_own():
    cards = [algorithms.registry.create(name).card for name in algorithms.registry.names(built_in=True)]
    assert len(set(map(repr, cards))) == len(cards)


def test_the_readmes_algorithm_conforms(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(re.search(r"```python\n(# mine.py\n.*?)```", README.read_text(), re.DOTALL)[1])
    assert catalogue.check(["opo"], [tmp_path / "mine.py"]) == 0
    said = capsys.readouterr().out
    assert "passed: micro-batches: The gradient, the loss and the metrics do not depend" in said
    assert "not applicable: golden vectors: no vectors are known for it" in said and "1 of 1 conform" in said


def test_a_name_stands_for_its_presets(capsys):
    assert catalogue.check(["rloo", "una@paper"], []) == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == ["rloo@paper", "rloo@trl", "una@paper", "3"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: catalogue.check(["gripo"], []), "unknown algorithm 'gripo'; did you mean 'grpo'"),
        (lambda: catalogue.check(["grpo@tlr"], []), "grpo has no preset 'tlr'; did you mean 'trl'"),
        (
            lambda: catalogue.list_names("algoritms", None, []),
            "list 'algoritms': allowed: algorithms, tasks, rewards, judges, models",
        ),
        (lambda: catalogue.list_names("algorithms", "gfit", []), "list algorithms: unknown algorithm 'gfit'"),
        (
            lambda: catalogue.list_names("models", "tiny", []),
            "list models 'tiny': only algorithms and tasks have a page",
        ),
    ],
)
def test_mistakes(call, said):
    with pytest.raises(UserError, match=re.escape(said)):
        call()


def test_every_algorithm_is_listed_with_objective_and_source(capsys):
    catalogue.list_names("algorithms", None, [])
    said = capsys.readouterr().out
    for name in {name.partition("@")[0] for name in algorithms.registry.names(built_in=True)}:
        card = algorithms.registry.described(algorithms.registry.create(name))
        assert card.objective and card.source, name
        line = next(line for line in said.splitlines() if line.startswith(f"{name} "))
        assert card.source.split()[0] in line and card.objective.split()[0] in line


def test_one_algorithms_page_shows_what_its_presets_compute(capsys):
    catalogue.list_names("algorithms", "dapo", [])
    said = " ".join(capsys.readouterr().out.split())
    assert "dapo@verl" in said and "dapo@paper" in said and "dapo@trl" in said
    assert "dual clip" in said and "token ratio in [0.8, 1.2]" in said and 'loss_type="dapo"' in said
    assert "clip_high 0.28 0.2 ε_high" in said  # the default's, the other's, what it is
    assert "16 16 not stated" in said  # updates per rollout are the source's, where it says
    catalogue.list_names("algorithms", "dr_grpo", [])
    equal = " ".join(capsys.readouterr().out.split())  # a preset that changes nothing is shown, and whose it is
    assert "dr_grpo@trl" in equal and 'loss_type="dr_grpo"' in equal and "section 3.2" in equal
    catalogue.list_names("algorithms", "dft", [])
    inherited = capsys.readouterr().out
    assert "demonstrations a prompt" in inherited and "maximise π log π of demonstrations" in inherited


def test_a_file_without_a_source_is_no_reason_to_fail(tmp_path, capsys):
    plain = tmp_path / "plain.py"
    plain.write_text(WRONG.replace("by the part's own size", "as a stranger says").replace('"wrong"', '"plain"'))
    catalogue.list_names("algorithms", "plain", [plain])
    assert "Leave-one-out, but as a stranger says." in capsys.readouterr().out


def test_tasks_are_listed_with_what_they_are(capsys, monkeypatch):
    monkeypatch.setattr(catalogue.console, "width", 200)
    monkeypatch.delenv("GROUPBENCH_DATA", raising=False)  # a list reads no data
    catalogue.list_names("tasks", None, [])
    lines = {line.split()[0]: " ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert lines["task"] == "task train held out protocol answer demonstrations what it is"
    assert lines["math500"].startswith("math500 7,500 500 avg@4 expression expert, teacher (file) Trains on MATH")
    assert lines["aime25"].startswith("aime25 975 30 avg@32 number") and lines["amc23"].startswith("amc23 – 40 avg@32")
    assert lines["arithmetic"].startswith("arithmetic 2,265 235 avg@4 expert, teacher Sums")


def test_a_task_is_checked_by_its_own_answers(capsys, tmp_path, monkeypatch):
    assert catalogue.check(["arithmetic"], []) == 0
    said = capsys.readouterr().out
    assert "arithmetic: gold answers right 235 strictly, 235 leniently, of 235" in said and "1 of 1 conform" in said
    (tmp_path / "lax.py").write_text(
        "from tasks import Grade, register\nfrom tasks.arithmetic import Arithmetic\n"
        "@register('lax')\nclass Lax(Arithmetic):\n"
        "    def grade(self, example, response):\n        return Grade(1.0, True, response)\n"
    )
    monkeypatch.setattr(tasks.registry, "_TASKS", dict(tasks.registry.load()))
    assert catalogue.check([], [tmp_path / "lax.py"]) == 1
    said = capsys.readouterr().out
    assert "empty response or garbage right: " in said and "0 of 1 conform" in said and "not: lax" in said


def test_the_docs_count_right():
    count = len(algorithms.registry.names(built_in=True))
    assert f"seconds for all {count}" in " ".join((README.parent / "docs/dialects.md").read_text().split())


def test_no_algorithm_file_is_longer_than_its_equation_needs():
    for name in algorithms.registry.names(built_in=True):
        path = Path(inspect.getsourcefile(type(algorithms.registry.create(name))))
        assert len(path.read_text().splitlines()) <= 120, path.name


def test_a_task_has_a_page(capsys):
    catalogue.list_names("tasks", "aime24", [])
    page = " ".join(capsys.readouterr().out.split())
    assert "aime24@avg@32 32 0.6 0.95 32768" in page and "train: 975" in page
    with pytest.raises(UserError, match="did you mean 'aime26'"):
        catalogue.list_names("tasks", "aime2", [])
