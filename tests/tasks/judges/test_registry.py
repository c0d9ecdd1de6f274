import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tasks import plugging
from tasks.judges import registry
from tasks.judges.base import Judge, JudgeError
from tasks.judges.mock import MockJudge

ROOT = Path(__file__).parents[3]


def test_loads_the_built_in_judges_under_their_names():
    loaded = registry.load()
    assert list(loaded) == ["engine", "gold", "mock", "openai", "replay", "reward_model"]
    assert all(cls.name == name and issubclass(cls, Judge) for name, cls in loaded.items())


def test_a_name_is_taken_by_one_class_only(monkeypatch):
    monkeypatch.setattr(registry, "_JUDGES", {})

    def define(module):
        return type("Mine", (Judge,), {"__module__": module})

    registry.register("mine")(define("one"))
    registry.register("mine")(define("one"))  # the same plug-in, loaded again
    with pytest.raises(ValueError, match=r"'mine' is already registered by one\.Mine"):
        registry.register("mine")(define("two"))


def test_a_plug_in_is_found_and_a_broken_one_is_named(monkeypatch):
    def entries(group):
        assert group == "groupbench.judges"
        return [EntryPoint("broken", "no.such.module:Judge", group)]

    monkeypatch.setattr(plugging, "entry_points", entries)
    with pytest.raises(ImportError, match=r"no\.such\.module:Judge \(name 'broken'\) failed"):
        registry.load()


def test_a_judge_is_built_from_its_options(verdict):
    judge = registry.build("openai", {"model": "m", "base_url": "http://localhost:1/v1"}, prompt=verdict)
    assert judge.identity.prompt == "verdict-1" and judge.free
    assert registry.build("mock", {"seed": 3}, prompt=verdict) == MockJudge(seed=3)  # it has no use for a prompt
    with pytest.raises(JudgeError, match="judge 'opnai' is not known; there are engine, gold, mock, openai"):
        registry.build("opnai", {})
    with pytest.raises(JudgeError, match="judge 'mock' has no option 'sed'; it has seed, bias"):
        registry.build("mock", {"sed": 3})
    with pytest.raises(JudgeError, match="judge 'engine' needs engine"):
        registry.build("engine", {}, prompt=verdict)


def test_judges_are_light_until_they_are_asked():
    code = (
        "import sys; from tasks.judges import asking, registry; registry.load()\n"
        "heavy = ('torch', 'numpy', 'pandas', 'openai', 'alpaca_eval', 'httpx', 'httpx2', 'yaml', 'pydantic')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
