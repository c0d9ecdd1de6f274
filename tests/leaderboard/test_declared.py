"""Files that people declare things in: read, held to dataclasses, and complained of by file, key, found and allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from leaderboard import declared
from leaderboard.records import LeaderboardError


class OwnError(LeaderboardError):
    pass


@dataclass(frozen=True)
class Leaf:
    __pydantic_config__: ClassVar = declared.STRICT
    size: int
    colour: str | None = None


@dataclass(frozen=True)
class Tree:
    __pydantic_config__: ClassVar = declared.STRICT
    name: str
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    named: Mapping[str, Leaf] = field(default_factory=dict)
    deep: Mapping[str, tuple[Leaf, ...]] = field(default_factory=dict)


GOOD = {"name": "oak", "leaves": [{"size": 1}], "named": {"x": {"size": 2}}, "deep": {"y": [{"size": 3}]}}


def test_what_a_file_holds_becomes_the_dataclass():
    found = declared.checked(Tree, GOOD, "tree t", OwnError, "keys")
    assert found == Tree("oak", None, (Leaf(1),), {"x": Leaf(2)}, {"y": (Leaf(3),)})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nam": "elm"}, "unknown key 'nam'; did you mean 'name'? allowed: name, leaf, leaves, named, deep"),
        ({"leaf": {"sise": 1}}, "unknown key 'leaf.sise'; did you mean 'size'? allowed: size, colour"),
        ({"leaves": [{"size": 1, "color": "red"}]}, "unknown key 'leaves.0.color'; did you mean 'colour'?"),
        ({"named": {"x": {"siz": 1}}}, "unknown key 'named.x.siz'; did you mean 'size'? allowed: size, colour"),
        ({"deep": {"y": [{"siz": 1}]}}, "unknown key 'deep.y.0.siz'; did you mean 'size'? allowed: size, colour"),
        ({"leaves": [{"size": "1"}]}, "leaves.0.size: Input should be a valid integer; found '1'"),
        ({"leaf": 3}, "leaf: Input should be keys; found 3"),
    ],
)
def test_a_complaint_names_key_found_and_allowed(changes, said):
    with pytest.raises(OwnError) as error:
        declared.checked(Tree, GOOD | changes, "tree t", OwnError, "keys")
    assert str(error.value).startswith(f"tree t: {said}")


def test_names_that_are_listed_elsewhere_are_not_listed_in_a_message():
    many = [f"name{n}" for n in range(declared.MANY + 1)]
    assert declared.suggestion("x", many, "docs/names.md") == "; docs/names.md lists all 41 that there are"
    assert declared.suggestion("name7x", many, "docs/names.md") == "; did you mean 'name7'?"
    assert declared.suggestion("x", many).endswith("name39, name40")
    assert declared.suggestion("x", []) == "; allowed: none"


@pytest.mark.parametrize(("read", "bad", "said"), [(declared.toml, b"a = ", "TOML"), (declared.yaml, b"a: [", "YAML")])
def test_a_file_that_cannot_be_read_says_which_and_why(tmp_path, read, bad, said):
    path = tmp_path / "f"
    for content, why in (
        (bad, f"not valid {said}: "),
        (b"\xff\xfe", "not text in UTF-8 (byte 0"),
        (None, "No such file"),
    ):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with pytest.raises(OwnError) as error:
            read(path, f"tree {path}", OwnError)
        assert str(error.value).startswith(f"tree {path}: {why}")
    path.write_bytes(b"\xef\xbb\xbf" + {"TOML": b"a = 1", "YAML": b"a: 1"}[said])
    assert read(path, "tree", OwnError) == {"a": 1}
