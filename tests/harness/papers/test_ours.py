"""What the papers' files name as ours (`[scale.X.ours]`) and what the recipes mark `# OURS` is the same.

A comment `# … OURS …` marks all that its line sets, a block below it included; `# … OURS (a, b) …` marks these names,
set there or left at their default: behind `algorithms:` of every row, in a row its own. On a line of its own it stands
for its file's study alone, and its names are whole keys. What an extending file sets is marked there or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from harness.papers import studies
from harness.settings import Training
from leaderboard.papers.reading import PAPERS, SCALES, load

MARK = re.compile(r"#.*\bOURS\b(?: \(([^()]*)\))?")
EVERY = re.compile(r"(training|parameters|budget)\.\w+")  # of all rows, and of all stages of chains
SHORT = ("task", "model")  # `model: tiny` is `model: {name: tiny}`
TRAINING = {field.name for field in fields(Training)}
STUDIES = [(paper, scale, one) for paper in PAPERS for scale in SCALES for one in load(paper).scale[scale].studies]
Place = tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A recipe's file alone: what it sets and what it marks, by key."""

    leaves: tuple[str, ...]
    marks: tuple[tuple[str, str], ...]  # with the section that the comment stands in
    apart: tuple[str, ...]  # by comments on lines of their own
    base: Path | None


def below(node: yaml.Node, path: Place = ()) -> Iterator[tuple[Place, int, bool]]:
    """Keys and rows of a file: where each stands, its line, and whether it holds a value rather than further keys."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "label":
                continue
            short = not path and key.value in SHORT and isinstance(value, yaml.ScalarNode)
            place = (*path, key.value, "name") if short else (*path, key.value)
            inner = list(below(value, place))
            yield place, key.start_mark.line, not inner
            yield from inner
    elif isinstance(node, yaml.SequenceNode) and path[-1:] in (("algorithms",), ("stages",)):
        for number, item in enumerate(node.value):
            label = next((value.value for key, value in item.value if key.value == "label"), str(number))
            yield (*path, label), item.start_mark.line, False
            yield from below(item, (*path, label))


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Lines by their numbers; those that are comments alone, one behind another, as one."""
    alone = [""]
    for number, line in enumerate(map(str.strip, text.splitlines())):
        if line.startswith("#"):
            alone.append(line if alone == [""] else line.removeprefix("#").strip())
            continue
        yield number, " ".join(alone).strip()
        alone = [""]
        yield number, line
    yield -1, " ".join(alone).strip()


@cache
def read(path: Path) -> File:
    """What a file says."""
    text = path.read_text(encoding="utf-8")
    found = list(below(yaml.compose(text)))
    leaves = tuple(".".join(place) for place, _, leaf in found if leaf and place != ("extends",))
    marks, apart = list[tuple[str, str]](), list[str]()
    for number, line in comments(text):
        if (match := MARK.search(line)) is None:
            continue
        names = match[1].split(", ") if match[1] else []
        if line.startswith("#"):
            assert names, f"{path.name}:{number + 1}: which keys? On a line of its own it is OURS (key, key)"
            apart += names
            continue
        place = min((place for place, at, _ in found if at == number), key=len)
        keys = [named(place, name) for name in names] or [one for one in leaves if covers(".".join(place), one)]
        marks += [(place[0], key) for key in keys]
    base = yaml.safe_load(text).get("extends")
    return File(leaves, tuple(marks), tuple(apart), None if base is None else path.with_name(base))


def named(place: Place, name: str) -> str:
    """A name in the comment of a line, as the papers' files have it."""
    if place[0] != "algorithms" or name == "name":
        return ".".join((*place, name))
    row = place if place[1:] else ()
    return ".".join((*row, "training" if name in TRAINING else "parameters", name))


def covers(key: str, other: str) -> bool:
    """Whether the other key is the same, or below it, or a row's own where this one is of all rows."""
    row = EVERY.fullmatch(key) and re.fullmatch(rf"algorithms\..+\.{re.escape(key)}", other)
    return other == key or other.startswith(f"{key}.") or row is not None


def composed(path: Path) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """What a recipe sets with all that it extends, and what is marked behind these lines."""
    file = read(path)
    if file.base is None:
        return file.leaves, file.marks
    leaves, marks = composed(file.base)
    replaced = {"algorithms"} & {key.partition(".")[0] for key in file.leaves}  # a list is not merged
    leaves = tuple(key for key in leaves if key not in file.leaves and key.partition(".")[0] not in replaced)
    marks = tuple((of, key) for of, key in marks if key not in file.leaves and of not in replaced)
    return (*leaves, *file.leaves), (*marks, *file.marks)


def both(paper: str, scale: str, short: str) -> tuple[tuple[str, ...], list[str], tuple[str, ...]]:
    """Of a study: what its recipe sets, what is marked there, and what the paper's file names."""
    path = studies.folder() / f"{load(paper).study(scale, short)}.yaml"
    leaves, marks = composed(path)
    return leaves, [*(key for _, key in marks), *read(path).apart], load(paper).scale[scale].ours[short]


@pytest.mark.parametrize(("paper", "scale", "short"), STUDIES)
def test_what_a_recipe_marks_is_named(paper, scale, short):
    _, marks, ours = both(paper, scale, short)
    assert [key for key in marks if not any(covers(one, key) for one in ours)] == []


@pytest.mark.parametrize(("paper", "scale", "short"), STUDIES)
def test_what_is_named_is_marked(paper, scale, short):
    leaves, marks, ours = both(paper, scale, short)
    assert len(set(ours)) == len(ours)
    assert [key for key in ours if not any(covers(key, mark) or covers(mark, key) for mark in marks)] == []
    named = [leaf for leaf in leaves if any(covers(key, leaf) for key in ours)]
    assert [leaf for leaf in named if not any(covers(mark, leaf) for mark in marks)] == [], "set, and not marked"


def test_marks_by_hand(tmp_path):
    """The rules themselves, on a recipe whose marks are known."""
    (tmp_path / "base.yaml").write_text("""
# OURS (training.weight_decay)
task: sums  # OURS
algorithms:  # OURS (learning_rate)
  - {name: gft, label: A b, parameters: {tau: 0.3}}  # OURS (tau, experts)
  - name: sft  # OURS
    label: B
    training: {prompts_per_step: 8}
budget: {steps: 4}
evaluation:  # ours
  probe: 3  # one of OURS
""")
    (tmp_path / "top.yaml").write_text("extends: base.yaml\nevaluation: {probe: 4, samples: 2}\nseeds: [1]  # OURS\n")
    rows = ["algorithms.A b.parameters.tau", "algorithms.A b.parameters.experts", "algorithms.B.name",
            "algorithms.B.training.prompts_per_step"]  # fmt: skip
    leaves, marks = composed(tmp_path / "base.yaml")
    assert [key for _, key in marks] == ["task.name", "training.learning_rate", *rows, "evaluation.probe"]
    assert read(tmp_path / "base.yaml").apart == ("training.weight_decay",)
    assert set(leaves) == {"task.name", "algorithms.A b.name", rows[0], *rows[2:], "budget.steps", "evaluation.probe"}
    leaves, marks = composed(tmp_path / "top.yaml")
    assert [key for _, key in marks] == ["task.name", "training.learning_rate", *rows, "seeds"]
    assert leaves[-3:] == ("evaluation.probe", "evaluation.samples", "seeds")
    (tmp_path / "rows.yaml").write_text("extends: base.yaml\nalgorithms: [{name: dft}]\n")
    assert [key for _, key in composed(tmp_path / "rows.yaml")[1]] == ["task.name", "evaluation.probe"]
    assert covers("training.x", "algorithms.A+B.stages.0.training.x") and not covers("training.x", "training.xy")
