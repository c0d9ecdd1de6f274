"""The rules of the house: who imports whom, what stays light, and what the training core can do without."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("algorithms", "tasks", "leaderboard", "harness")
ALLOWED = {"algorithms": set(), "tasks": set(), "leaderboard": set(), "harness": {"algorithms", "tasks", "leaderboard"}}


def for_typing(tree):
    """The nodes that only a type checker reads."""
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    return {node for guard in guards for node in ast.walk(guard)}


def arrows(tree):
    """The `from … import` statements that run, on loading the file or later."""
    unseen = for_typing(tree)
    return [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n not in unseen]


def imports_of(path):
    """(module, whether it is imported on loading the file) of every import statement."""
    tree = ast.parse(path.read_text())
    inside = {node for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    typing_only = for_typing(tree)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        for name in names:
            yield name, node not in inside and node not in typing_only


@pytest.mark.parametrize("room", ROOMS)
def test_no_arrow_runs_up_a_floor(room):
    for path in sorted((ROOT / room).rglob("*.py")):
        used = {name.split(".")[0] for name, _ in imports_of(path)} & set(ROOMS) - {room}
        assert used <= ALLOWED[room], f"{path.relative_to(ROOT)} imports {used}"
        own = [name for name, _ in imports_of(path) if name.split(".")[0] == room]
        assert not own, f"{path.relative_to(ROOT)}: imports inside a package are relative, found {own}"


def test_no_import_circles():
    """Among the imports inside of functions too: what is imported late to be light is still an arrow."""
    graph = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            package = parts[:-1]
            targets = set()
            tree = ast.parse(path.read_text())
            for node in arrows(tree):
                base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
                full = ".".join(filter(None, [base, node.module]))
                targets |= {f"{full}.{alias.name}" for alias in node.names} | ({full} if node.module else set())
            graph[name] = targets
    graph = {name: {t for t in targets if t in graph and t != name} for name, targets in graph.items()}
    done, path = set(), []

    def visit(name):
        assert name not in path, f"import circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for target in sorted(graph[name]):
            visit(target)
        path.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)


def test_no_module_bears_a_standard_librarys_name():
    names = {path.stem for room in ROOMS for path in (ROOT / room).rglob("*.py")} - {"__init__"}
    assert not names & set(sys.stdlib_module_names)


def python(code, *, block=()):
    """Run code in a fresh interpreter in which the packages of `block` cannot be imported."""
    refuse = f"import sys\nfor name in {tuple(block)!r}: sys.modules[name] = None\n"
    return subprocess.run([sys.executable, "-c", refuse + code], capture_output=True, text=True, cwd=ROOT)


def test_importing_harness_is_instant_and_light():
    done = python("import harness, harness.cli, sys; print(*sys.modules)")
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert done.returncode == 0, done.stderr
    heavy = {"torch", "transformers", "pandas", "numpy", "datasets", "matplotlib", "scipy", "pydantic", "vllm", "ray"}
    assert not loaded & heavy


def test_help_takes_less_than_three_tenths_of_a_second():
    command = [str(Path(sys.executable).with_name("groupbench")), "--help"]
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds.append(time.perf_counter() - began)
    assert done.returncode == 0 and "leaderboard" in done.stdout
    assert min(seconds) < 0.3, seconds


def test_the_training_core_needs_only_torch_and_transformers():
    """A machine that only trains may have nothing else installed."""
    absent = ("pandas", "datasets", "typer", "pydantic", "rich", "matplotlib", "scipy", "sklearn", "pyarrow")
    code = """
import torch
from algorithms.registry import load
from harness import models
from harness.policy import Policy
from harness.rollout.transformers import TransformersEngine
from harness.settings import Execution, Sampling, Training
from harness.trainer import Trainer
from tasks.arithmetic import Arithmetic
source = models.find("tiny")
codec, policy = models.load_codec(source), Policy(models.load_model(source), torch.device("cpu"), "float32", 1.0)
engine = TransformersEngine(policy, codec.end_ids, 4096)
trainer = Trainer(load()["gft"].cls(), Arithmetic(level=1), policy, engine, codec,
    training=Training(prompts_per_step=4), sampling=Sampling(max_tokens=4), execution=Execution(), seed=0)
print(trainer.step()["updates"])
"""
    done = python(code, block=absent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "4"


def test_a_foreign_package_of_our_name_is_named_and_stops(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from harness.cli import main; main()"
    done = python(code)
    assert done.returncode == 1
    assert "'tasks'" in done.stderr and str(tmp_path / "tasks") in done.stderr


def test_no_machine_path_in_the_tree():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    marks = ["/" + name + "/" for name in ("work", "root", "home")]
    for name in tracked.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".toml"} and path.exists():
            text = path.read_text()
            assert not [mark for mark in marks if mark in text], name


def test_the_readme_points_at_what_exists():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r"`?((?:docs|recipes)/[\w./-]+)", text):
        assert target.startswith("http") or (ROOT / target.rstrip(".")).exists(), target
    assert not re.findall(r"\b[A-Z]+_[A-Z_]+\b(?<!GROUPBENCH_DATA)", text)  # a placeholder left standing
    for page in (ROOT / "docs").rglob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), (page.name, target)
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", text))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} == linked  # no page that nobody finds
