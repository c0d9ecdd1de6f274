"""How a cell can be run again: a recipe of that cell alone, and the command that takes it out of the recipe it is from.

Both are provenance, made at plan time; running either gives a cell of the same id.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from . import recipe as recipes
from .settings import AlgorithmChoice, Control, ControlArm, Recipe

ROOT = Path(__file__).parents[1]
CHOSEN = ("algorithms", "seeds", "controls")  # what a command says of its own, whatever it was first run with
SHORT = {"algorithms": "name", "controls": "kind"}  # what alone is an entry of a list
SEARCHED = ("tune", "win_rates")  # what happens before and after a cell, and needs the other cells


def recipe_of(
    recipe: Recipe, choice: AlgorithmChoice, control: Control | None, seed: int, precision: str
) -> dict[str, Any]:
    """A whole recipe of one cell as plain data, defaults included; a control arm's has the cell that it repeats too."""
    alone = replace(
        recipe, algorithms=(choice,), controls=(ControlArm(control),) if control else (), seeds=(seed,), tune=None,
        win_rates=None, model=replace(recipe.model, precision=precision),  # type: ignore[arg-type]
        execution=replace(recipe.execution, sinks=()),
    )  # fmt: skip
    plain = json.loads(json.dumps(asdict(alone)))
    plain |= {key: [_said(entry, key) for entry in plain[key]] for key in ("algorithms", "controls")}
    return {key: value for key, value in plain.items() if value is not None}


@dataclass(frozen=True)
class Asked:
    """What `groupbench run` was called with."""

    path: Path
    overrides: Sequence[str]
    plugins: Sequence[Path]
    recipe: Recipe  # that came of it

    def command(self, own: dict[str, Any]) -> list[str] | None:
        """The words of a command that runs a cell, whose recipe is `own`; None where others do not have the file."""
        file = self.file
        if file is None:
            return None
        chosen = {key: own[key] for key in CHOSEN if key != "controls" or self.recipe.controls}
        if self.recipe.model.precision == "auto":
            chosen["model.precision"] = own["model"]["precision"]
        nothing = {key: None for key in SEARCHED if getattr(self.recipe, key) is not None}
        dropped = (*CHOSEN, *nothing)
        kept = [
            one for one in self.overrides if one.partition("=")[0].removesuffix("+").partition(".")[0] not in dropped
        ]
        said = [f"{key}={_flow(value)}" for key, value in (chosen | nothing).items()]
        return ["groupbench", "run", file, *kept, *said, *self.plugin_words]

    @cached_property
    def file(self) -> str | None:
        """The recipe's place in the clone; None where it, or what it extends, is not there as it was run."""
        own, *bases = map(tracked, recipes.files(self.path))
        return own if None not in bases else None

    @property
    def plugin_words(self) -> list[str]:
        """`--plugin FILE`, for each: by its place in a clone, or its bare name."""
        return [word for path in self.plugins for word in ("--plugin", tracked(path) or path.name)]


def tracked(path: Path) -> str | None:
    """A file's place in the clone that this code runs from; None unless its last commit has the file as it is."""
    full = path.resolve()
    if not (ROOT / ".git").exists() or shutil.which("git") is None or not full.is_relative_to(ROOT):
        return None
    place = full.relative_to(ROOT).as_posix()
    known, same = ["ls-files", "--error-unmatch"], ["diff", "--quiet", "HEAD"]
    asked = ([*words, "--", place] for words in (known, same))
    return place if all(_git(words) for words in asked) else None


def _git(words: Sequence[str]) -> bool:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True).returncode == 0


def _said(entry: dict[str, Any], key: str) -> Any:
    """An entry of a list as a person would write it."""
    said, name = {key: value for key, value in entry.items() if value not in (None, {})}, SHORT[key]
    return said[name] if said.keys() == {name} else said


def _flow(value: Any) -> str:
    """YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6)
    return str(text).removesuffix("...\n").strip()
