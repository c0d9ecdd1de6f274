"""Plug-ins: one file outside the repository adds an algorithm or a task; a broken one is named by file and line."""

from __future__ import annotations

import pytest

from harness import plugins
from harness.errors import UserError

ALGORITHM = """
from dataclasses import dataclass
from algorithms import Algorithm, Loss, register

@register("{name}", presets={{"strong": {{"weight": 5.0}}}})
@dataclass(frozen=True)
class {cls}(Algorithm):
    weight: float = 1.0
    def loss(self, signals, batch):
        return Loss(-self.weight * (batch.token_advantage * signals.logp).sum() / batch.totals.tokens)
"""


def write(tmp_path, name, text):
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    return path


def test_a_plain_name_stands_for_its_presets():
    presets = ["gift", "gift@published", "gift@published-detached", "gift@smooth"]
    assert plugins.with_presets(["gift", "sft", "gift@smooth"]) == [*presets, "sft"]
    assert plugins.with_presets(["grpo@no-kl", "unheard-of"]) == ["grpo@no-kl", "unheard-of"]


def test_a_file_adds_an_algorithm_with_presets(tmp_path):
    plugins.load_file(write(tmp_path, "mine_a", ALGORITHM.format(name="mine_a", cls="MineA")))
    algorithm, label = plugins.build_algorithm("mine_a@strong", {}, "here")
    assert algorithm.weight == 5.0 and label == "mine_a@strong"
    assert plugins.build_algorithm("mine_a", {"weight": "2"}, "here")[0].weight == 2.0  # YAML text that is a number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ny = x / 0\n", ["broken.py, line 2", "ZeroDivisionError"]),
        ("import nothing_of_this_name\n", ["broken.py, line 1", "nothing_of_this_name"]),
        ("def f(:\n", ["broken.py", "SyntaxError"]),
        (ALGORITHM.format(name="grpo", cls="Other"), ["broken.py", "'grpo' is already registered"]),
        (ALGORITHM.format(name="a@b", cls="Other"), ["must not contain '@'"]),
    ],
)
def test_broken_files_are_named(tmp_path, text, said):
    with pytest.raises(UserError) as error:
        plugins.load_file(write(tmp_path, "broken", text))
    for words in said:
        assert words in str(error.value)


def test_missing_or_foreign_files(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        plugins.load_file(tmp_path / "none.py")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match="not a Python file"):
        plugins.load_file(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("gripo", {}, ["unknown algorithm 'gripo'", "did you mean 'grpo'", "dapo"]),
        ("gift@smoth", {}, ["no preset 'smoth'", "did you mean 'smooth'"]),
        ("sft@paper", {}, ["sft has no preset 'paper'", "allowed: none"]),
        ("gift", {"epsilom": 1}, ["unknown key 'epsilom'", "did you mean 'epsilon'"]),
        ("gift", {"epsilon": "small"}, ["epsilon", "number", "'small'"]),
        ("gift", {"reference": "policy"}, ["reference", "'rollout' or 'initial'", "'policy'"]),
        ("gft", {"tau": 2}, ["tau = 2", "from 0 to 1"]),
    ],
)
def test_bad_algorithms_are_named(name, parameters, said):
    with pytest.raises(UserError) as error:
        plugins.build_algorithm(name, parameters, "algorithms.0")
    for words in ["algorithms.0", *said]:
        assert words in str(error.value)


def test_labels_always_name_the_preset():
    labels = {name: plugins.build_algorithm(name, {}, "")[1] for name in ("gift", "gift@smooth", "grpo", "sft")}
    assert labels == {"gift": "gift@released", "gift@smooth": "gift@smooth", "grpo": "grpo@paper", "sft": "sft"}


def test_an_algorithm_without_a_loss_is_refused(tmp_path):
    text = "from algorithms import Algorithm, register\n@register('lossless')\nclass Lossless(Algorithm): pass\n"
    plugins.load_file(write(tmp_path, "lossless", text))
    with pytest.raises(UserError, match="defines no loss"):
        plugins.build_algorithm("lossless", {}, "here")


def test_unknown_task_and_parameter():
    with pytest.raises(UserError, match="unknown task 'gsm9k'; did you mean 'gsm8k'"):
        plugins.build_task("gsm9k", {}, "task")
    with pytest.raises(UserError, match="unknown key 'levle'; did you mean 'level'"):
        plugins.build_task("arithmetic", {"levle": 1}, "task")
    with pytest.raises(UserError, match="level = 9; allowed: 1, 2, 3 or 4"):
        plugins.build_task("arithmetic", {"level": 9}, "task")
