import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from tasks import Task, registry

ROOT = Path(__file__).parents[2]


def test_loads_the_built_in_tasks_under_their_names():
    loaded = tasks.load()
    assert {"arithmetic", "gsm8k"} <= set(loaded) and list(loaded) == sorted(loaded)
    assert all(cls.name == name and issubclass(cls, Task) for name, cls in loaded.items())


def test_a_name_is_taken_by_one_class_only(monkeypatch):
    monkeypatch.setattr(registry, "_TASKS", {})

    def define(module):
        return type("Mine", (Task,), {"__module__": module})

    first = registry.register("mine")(define("one"))
    assert first.name == "mine"
    registry.register("mine")(define("one"))  # the same plug-in, loaded again
    with pytest.raises(ValueError, match=r"'mine' is already registered by one\.Mine"):
        registry.register("mine")(define("two"))


def test_importing_tasks_is_light():
    code = (
        "import sys, tasks, tasks.alpaca_eval, tasks.arena_hard, tasks.arithmetic, tasks.gsm8k\n"
        "heavy = ('torch', 'numpy', 'pandas', 'pyarrow', 'datasets', 'transformers', 'huggingface_hub')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
