"""docs/tables.md names what there is, and what it shows can be run."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from leaderboard import programs
from leaderboard.columns import COLUMNS
from leaderboard.columns.across import ACROSS
from leaderboard.programs import Choice, TableProgram, Where
from leaderboard.records import AXES

PAGE = (Path(__file__).parents[3] / "docs" / "tables.md").read_text(encoding="utf-8")


def section(heading):
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("heading", "register"), [("Columns", COLUMNS), ("Columns across tasks", ACROSS)])
def test_every_column_and_no_other(heading, register):
    text = section(heading)
    named = re.findall(r"`(\w+)`", text[text.index("**") :])
    assert len(named) == len(set(named)), "a column is named twice"
    assert set(named) == set(register)


def test_every_key_and_no_other():
    named = re.findall(r"^\| `(\w+)` \|", section("Keys of a [[table]]"), flags=re.M)
    assert set(named) == {one.name for one in fields(TableProgram)} and len(named) == len(set(named))
    within = set(re.findall(r"`(\w+)(?: = [^`]*)?`", section("Keys of a [[table]]")))
    assert within >= {one.name for one in fields(Where)} | set(AXES) and "heading = …" in PAGE
    assert {one.name for one in fields(Choice)} == {"column", "heading", "task"}


def test_the_example_is_sound(tmp_path):
    (tmp_path / "mine.toml").write_text(re.search(r"```toml\n(.*?)```", PAGE, flags=re.S)[1])
    assert [table.name for table in programs.load(tmp_path / "mine.toml").tables] == ["main", "tasks"]
