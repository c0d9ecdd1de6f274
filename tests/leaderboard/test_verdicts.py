"""Verdicts come back as they were written, and whatever does not fit together is named."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from leaderboard import verdicts
from leaderboard.records import RecordError
from leaderboard.verdicts import Cost, GameRecord, Style

from .winrates.conftest import JUDGE, STYLE, game, judged


@pytest.fixture
def some():
    scores = {"b": (1.0, 0.5), "a": ("invalid", 0.25), "c": ("same",), "d": ("failed", "failed")}
    return judged(scores, tokens=(3, 4), difficulty=0.1, style=STYLE, flags=["empty"], weights={"b": 3})


def test_what_is_written_is_read(some, tmp_path):
    verdicts.write(tmp_path / "x", some)
    found = verdicts.read(tmp_path / "x")
    assert (found.record, list(found.pairs), list(found.games)) == (some.record, list(some.pairs), list(some.games))
    assert found.pairs[0].style[0] == Style(1, 2, 3)
    assert [pair.id for pair in found.pairs] == ["b", "a", "c", "d"]  # the record's order
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["games.jsonl", "judged.json", "pairs.jsonl"]


def test_the_same_verdicts_are_the_same_bytes_whatever_the_order_of_games_and_the_cost(some, tmp_path):
    dearer = replace(
        some,
        record=msgspec.structs.replace(some.record, cost=Cost(5, 3, 10, 10, 0.1, 7.5)),
        games=list(reversed(some.games)),
    )
    for name, one in (("x", some), ("y", dearer)):
        verdicts.write(tmp_path / name, one)
    for file in ("pairs.jsonl", "games.jsonl"):
        assert (tmp_path / "x" / file).read_bytes() == (tmp_path / "y" / file).read_bytes()
    records = [json.loads((tmp_path / name / "judged.json").read_text()) for name in "xy"]
    assert [record.pop("cost")["cached"] for record in records] == [0, 3] and records[0] == records[1]


def test_lines_of_pairs_in_another_order_are_the_same_pairs(some, tmp_path):
    verdicts.write(tmp_path, some)
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    assert list(verdicts.read(tmp_path).pairs) == list(some.pairs)


def test_a_torn_last_line_is_left_out_and_a_torn_one_before_is_named(some, tmp_path):
    verdicts.write(tmp_path, some)
    path = tmp_path / "games.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert list(verdicts.read(tmp_path).games) == list(some.games)[:-1]
    path.write_bytes(whole.replace(b'"status":"invalid"', b'"status":"invali', 1))
    with pytest.raises(RecordError, match=r"games.jsonl, line 3"):
        verdicts.read(tmp_path)


@pytest.mark.parametrize(
    ("games", "words"),
    [
        ([game("a", True, 1.0), game("a", True, 0.0)], "judged twice"),
        ([game("x", True, 1.0)], "no such pair"),
        ([game("a", True, 1.5)], r"score 1.5; expected a share in \[0, 1\]"),
        ([game("a", True, float("nan"))], "score nan"),
        ([game("a", True, None)], "status 'read' with score None"),
        ([GameRecord("a", True, "failed", 0.5)], "status 'failed' with score 0.5"),
        ([game("a", True, 1.0, weight=0)], "weight 0"),
    ],
)
def test_games_that_cannot_be_are_refused(games, words, tmp_path):
    with pytest.raises(RecordError, match=words):
        verdicts.write(tmp_path, replace(judged({"a": ()}), games=games))
    assert not list(tmp_path.iterdir())


def test_files_that_do_not_fit_together_are_named(some, tmp_path):
    with pytest.raises(RecordError, match=r"judged.json: no such file"):
        verdicts.read(tmp_path)
    verdicts.write(tmp_path, some)
    record, pairs, games = (tmp_path / name for name in ("judged.json", "pairs.jsonl", "games.jsonl"))
    said = json.loads(record.read_text())
    for change, words in (
        ({"schema": 2}, "schema 2; this version reads 1"),
        ({"pairs": ["a", "a", "b", "c", "d"]}, "'a' is named twice"),
        ({"pairs": ["a", "b", "c"]}, "pair 'd' is not one of the 3"),
        ({"judge": {"kind": "openai"}}, "judge"),
        ({"pairs": []}, "pair 'a' is not one of the 0"),
    ):
        record.write_text(json.dumps(said | change))
        with pytest.raises(RecordError, match=words):
            verdicts.read(tmp_path)
    record.write_text(json.dumps(said))
    twice = games.read_bytes()
    games.write_bytes(twice + twice.splitlines(keepends=True)[0])
    with pytest.raises(RecordError, match=r"games.jsonl, line 8: \('b', True\) was there before"):
        verdicts.read(tmp_path)
    games.write_bytes(twice)
    pairs.unlink()
    with pytest.raises(RecordError, match=r"pairs.jsonl: no such file"):
        verdicts.read(tmp_path)


def test_what_an_interrupted_judging_left_can_be_read(tmp_path):
    some = judged({"a": (1.0,)}, pairs=["a", "b"])
    verdicts.write(tmp_path, some)
    assert verdicts.read(tmp_path).by_pair == {"a": [game("a", True, 1.0)], "b": []}


def test_the_backend_is_no_part_of_a_judges_identity():
    mine = judged({"a": ()}).record
    elsewhere = judged({"a": ()}, judge=msgspec.structs.replace(JUDGE, backend="another")).record
    assert verdicts.comparable(mine, elsewhere) == []
    warmer = judged({"a": ()}, judge=msgspec.structs.replace(JUDGE, decode={"temperature": 1.0}), parser="x").record
    assert verdicts.comparable(mine, warmer) == [
        "decode: {'temperature': 0.0} against {'temperature': 1.0}",
        "parser: 'labels' against 'x'",
    ]


def test_a_record_without_pairs_is_refused(tmp_path):
    with pytest.raises(RecordError, match="names no pair"):
        verdicts.write(tmp_path, judged({}))
