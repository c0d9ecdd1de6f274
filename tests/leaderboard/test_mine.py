"""The user's own files, with submissions beside them, below them and above them."""

import pytest

from leaderboard import mine
from leaderboard.claims.gather import beside, gather
from leaderboard.page.judged import find
from leaderboard.page.judgements import Judgements
from leaderboard.records import RecordError
from leaderboard.winrates.build import find as find_verdicts


@pytest.fixture
def place(tmp_path):
    """One file of the user's own, and three of others: with a manifest, without one, and with one elsewhere."""
    for name in ("own", "submissions/good", "submissions/stripped", "elsewhere/handed-in/judged"):
        (tmp_path / name).mkdir(parents=True)
        for file in ("lab.json", "judged.json", "evaluation.json"):
            (tmp_path / name / file).write_text("{ no JSON")
    for name in ("submissions/good", "elsewhere/handed-in"):
        (tmp_path / name / "submission.json").write_text("{}")
    return tmp_path


def test_what_is_below_a_place_less_submissions(place):
    assert mine.below(place, "lab.json") == [place / "own" / "lab.json"]
    assert mine.only(place, [place / "own", place / "submissions" / "good"]) == [place / "own"]
    for theirs in ("submissions", "submissions/good", "elsewhere/handed-in", "elsewhere/handed-in/judged"):
        assert mine.below(place / theirs, "lab.json") == [], theirs


def test_every_reader_leaves_them_out(place):
    for file in ("lab.json", "judged.json", "evaluation.json"):
        (place / "own" / file).unlink()
    found = beside([place])
    assert found.lab is None and found.judged == () and find(place).judgings == ()
    assert Judgements(place).of(place / "own") == []
    with pytest.raises(RecordError, match=r"no judged\.json"):
        find_verdicts([place])
    with pytest.raises(RecordError, match="holds no run, no verdict of a judge"):
        gather([place])
