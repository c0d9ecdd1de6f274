"""A plug-in's algorithm is checked while a run is planned: refused, or noted, recorded and said under the table."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from algorithms import conformance, registry
from harness import benchmark, conforming, models, plugins, provenance, recipe
from harness.conforming import command
from harness.errors import UserError
from harness.plugins import build_algorithm

HEAD = "from dataclasses import dataclass\nfrom algorithms import Algorithm, Card, Loss, Needs, register\n"
RIGHT = "        return Loss(-(batch.token_advantage * signals.logp).sum() / batch.totals.tokens)\n"
CLASS = "@register('{0}')\n@dataclass(frozen=True)\nclass Mine(Algorithm):\n"
LOSS = "    def loss(self, signals, batch):\n"
BASE = {
    "name": "b",
    "task": {"name": "arithmetic", "parameters": {"level": 1}},
    "model": "tiny",
    "budget": {"steps": 2},
    "sampling": {"max_tokens": 4},
}


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry.load()))
    monkeypatch.setattr(models, "load_model", None)  # nothing is loaded to say this


@pytest.fixture
def add(tmp_path):
    def write(name, text, head=CLASS):
        path = tmp_path / f"{name}.py"
        path.write_text(HEAD + head.format(name) + text)
        plugins.load_file(path)
        return path

    return write


def plan(*algorithms, **changes):
    return benchmark.plan(recipe.parse({**BASE, "algorithms": list(algorithms), **changes}, "recipe"), "cpu")


@pytest.mark.parametrize(
    ("name", "head", "text", "said"),
    [
        ("typo", CLASS, f"    def advantage(self, batch):\n        return batch.reward\n{LOSS}{RIGHT}",
         "Mine.advantage overrides nothing; did you mean advantages?"),
        ("bare", "@register('{0}')\nclass Mine(Algorithm):\n", f"    weight: float = 1.0\n{LOSS}{RIGHT}",
         "Mine.weight is no hyper-parameter: @dataclass(frozen=True) is missing"),
        ("undeclared", CLASS, f"{LOSS}        signals.logp - batch.logp_ref\n{RIGHT}",
         r"and 'NoneType' (FILE, line 7); with all scores and signals it works, so its `needs` leave one out"),
        ("tensor", CLASS, f"{LOSS}        return -signals.logp.sum()\n", "loss returned Tensor, expected Loss(value"),
        ("crashes", CLASS, f"{LOSS}        return Loss(batch.rewards.sum())\n",
         "it raised AttributeError: 'Batch' object has no attribute 'rewards' (FILE, line 7)"),
        ("needless", CLASS, f"    @property\n    def needs(self):\n        return Needs(olf=True)\n{LOSS}{RIGHT}",
         "unexpected keyword argument 'olf' (FILE, line 8)"),
        ("carded", CLASS, f"    @property\n    def card(self):\n        return Card(aggregation='mean')\n{LOSS}{RIGHT}",
         "Card.aggregation = 'mean'; allowed: None (not stated), 'response', "),
        ("forgets", CLASS, f"    def advantages(self, batch):\n        batch.reward\n{LOSS}{RIGHT}",
         "advantages returned NoneType, expected a tensor"),
        ("picks", CLASS, f"    def select(self, batch):\n        batch.reward\n{LOSS}{RIGHT}",
         "select gave NoneType, expected a tensor (P,) of bool"),
    ],
    ids=lambda x: x if x.isidentifier() else "",
)  # fmt: skip
def test_what_cannot_train_is_refused(add, name, head, text, said):
    path = add(name, text, head)
    with pytest.raises(UserError) as error:
        plan("grpo@no-kl", name)
    message = str(error.value)
    assert message.startswith(f"algorithms.1 ({name}): ") and said.replace("FILE", str(path)) in message
    assert message.endswith(f"; more: groupbench check {name} --plugin {path}")


def test_what_trains_and_does_not_conform_is_noted_and_recorded(add):
    path = add("upside", LOSS + RIGHT.replace("-(", "("))
    planned = plan("grpo@no-kl", "upside", {"stages": [{"name": "sft", "budget": {"steps": 1}}, {"name": "upside"}]})
    notes = [note for note in planned.notes if "conform" in note]
    words = f"does not conform: direction, learns; what was found: groupbench check upside --plugin {path}"
    assert notes == [f"upside {words}", f"sft → upside {words}"]
    ours, row, chain = [provenance.card_record(cell) for cell in planned.cells]
    assert "failing" not in ours and list(row["failing"]) == ["direction", "learns"]
    assert "is not made more likely" in row["failing"]["direction"]
    assert chain["failing"]["direction"] == f"upside: {row['failing']['direction']}"


def test_it_is_asked_once_for_each_setting_and_never_of_ours(add, monkeypatch):
    add("mean_of_own", "    weight: float = 1.0\n" + LOSS + RIGHT.replace(".sum() / batch.totals.tokens", ".mean()"))
    asked, check = [], conformance.check
    monkeypatch.setattr(conformance, "check", lambda algorithm: asked.append(algorithm) or check(algorithm))
    other = {"name": "mean_of_own", "parameters": {"weight": 2.0}}
    for _ in range(2):
        planned = plan(
            "grpo@no-kl", "mean_of_own", other, seeds=[0, 1], controls=[{"kind": "a-a", "of": "mean_of_own"}]
        )
    assert [one.weight for one in asked] == [1.0, 2.0]
    failing = "does not conform: micro-batches, totals, ranks, first update; "
    assert [f"{label} {failing}" in " ".join(planned.notes) for label in ("mean_of_own", "mean_of_own(weight=2.0)")]
    assert [bool(cell.failing) for cell in planned.cells] == [False, True, True, True] * 2


def test_what_relies_on_groups_of_one_size_trains(add):
    """The ragged batches of the checks break it, and training does not."""
    view = "    def advantages(self, batch):\n        r = batch.reward.view(batch.groups, 8)\n"
    add("view", f"{view}        return (r - r.mean(1, keepdim=True)).flatten()\n{LOSS}{RIGHT}")
    training = {"responses_per_prompt": 8}
    (note,) = [note for note in plan("view", training=training).notes if "conform" in note]
    assert note.startswith("view does not conform: needs; ")
    with pytest.raises(UserError, match=r"it raised RuntimeError: shape '\[4, 8\]' is invalid"):
        plan("view", training={"responses_per_prompt": 6})


def test_a_check_that_cannot_run_is_a_finding(add):
    add("halves", f"{LOSS}        assert batch.responses < 30, 'too many'\n{RIGHT}")
    failing = plan("halves").cells[0].failing
    assert list(failing) == ["direction", "float32", "learns"]
    assert all(found.startswith("it raised AssertionError: too many (") for found in failing.values())


def test_a_right_one_is_silent(add):
    add("fine", LOSS + RIGHT)
    planned = plan("fine")
    assert not planned.notes and planned.cells[0].failing == {}


def test_the_next_step_names_a_file_only_where_one_was_given(add, monkeypatch, tmp_path):
    add("placed", LOSS + RIGHT)
    algorithm = build_algorithm("placed", {}, "here")[0]
    monkeypatch.chdir(tmp_path)
    assert command(algorithm) == "groupbench check placed --plugin placed.py"

    @dataclass(frozen=True)
    class Installed(type(build_algorithm("sft", {}, "here")[0])):
        """A package's: its module is no file of the command line."""

    assert command(Installed()) == "groupbench check sft" and conforming.failing(Installed()) is not None
