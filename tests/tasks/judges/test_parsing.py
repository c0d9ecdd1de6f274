import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.judges.asking import alpaca_eval_order
from tasks.judges.attempts import logprobs_of
from tasks.judges.games import Reading, Reply
from tasks.judges.parsing import PARSERS, UNREADABLE

OF_WORDS = ("upstream-v0.1", "upstream-v2", "ours")


def read(name, text="", **kinds):
    return PARSERS[name](Reply(text, **kinds))


def test_every_stored_score_of_arena_hard_is_read_from_its_judgment(data_folder):
    rows = pd.read_parquet(data_folder / "arena_hard" / "v0.1_raw_judgments_partial.parquet")
    scored = rows[rows.score.notna()]
    assert len(rows) == 1318 and len(scored) == 1295
    assert [read("upstream-v0.1", text).label for text in scored.judgment] == list(scored.score)
    assert {read("upstream-v0.1", text) for text in rows[rows.score.isna()].judgment} == {UNREADABLE}
    for name in OF_WORDS:  # one judgment ends with [[A>>A]], and 23 were cut off
        assert sum(read(name, text).first is None for text in rows.judgment) == 24


def test_every_stored_preference_of_alpaca_eval_is_read_from_its_logprobs(data_folder):
    folder = data_folder / "alpaca_eval"
    rows = pd.read_parquet(
        folder / "annotations_v2_25models.parquet", columns=["index", "preference", "raw_completion"]
    )
    asked = pd.read_parquet(folder / "questions_and_references.parquet").set_index("index").instruction
    first = {index: alpaca_eval_order(instruction) for index, instruction in asked.items()}
    counted, worst = 0, 0.0
    for index, preference, raw in rows.itertuples(index=False):
        choice = json.loads(raw)
        if choice is not None:
            share = PARSERS["alpaca_eval"](Reply("", logprobs_of(choice))).first
            worst = max(worst, abs((share if first[index] else 1 - share) - (preference - 1)))
            counted += 1
    assert counted == 16861 and worst < 1e-9


@pytest.mark.parametrize(
    ("text", "v01", "v2", "ours"),
    [
        ("fine: [[A>>B]]", (1.0, 3), (1.0, 3), (1.0, 3)),
        ("[[B>>A]]", (0.0, 3), (0.0, 3), (0.0, 3)),
        ("[[A=B]] and again [[A=B]]", (0.5, 1), (0.5, 1), (0.5, 1)),
        ("[[A>B]] … no, [[B>A]]", None, (0.0, 1), None),
        ("[[A]] is good, so [[A>B]]", None, (1.0, 1), (1.0, 1)),
        ("[[A>B]], as [[A]]", None, None, (1.0, 1)),
        ("[[a>b]]", None, (1.0, 1), None),
        ("[A>B]", None, (1.0, 1), None),
        ("[[B<<A]]", None, (1.0, 3), None),
        ("[[A<B]]", None, (0.0, 1), None),
        ("[[B=A]]", None, (0.5, 1), None),
        ("[[A>>A]]", None, None, None),
        ("<think>[[B>A]]?</think> [[A>B]]", None, (1.0, 1), (1.0, 1)),
        ("<think>[[B>A]] maybe", (0.0, 1), (0.0, 1), None),
        ("", None, None, None),
    ],
)
def test_the_policies_differ_where_they_should(text, v01, v2, ours):
    for name, expected in zip(OF_WORDS, (v01, v2, ours), strict=True):
        reading = read(name, text)
        assert (None if reading.first is None else (reading.first, reading.weight)) == expected, name


def test_a_label_that_means_nothing_is_named():
    assert read("upstream-v0.1", "[[A>>A]]") == Reading("A>>A", None)


def test_label_logprobs():
    m, big = math.log(0.6), math.log(0.2)
    reading = read("alpaca_eval", logprobs={"m": m, "M": big, "The": -3.0})
    assert reading.label == "m" and reading.first == pytest.approx(0.75) and reading.mass == pytest.approx(0.8)
    assert read("alpaca_eval", logprobs={"m": -30.0, "x": 0.0}).first == 1.0  # M is not there: l = -inf
    assert read("alpaca_eval", logprobs={"M": -30.0}).first == 0.0
    assert read("alpaca_eval", logprobs={" m": -0.1, "A": -1}) == UNREADABLE  # exactly the token
    assert read("alpaca_eval", "m") == UNREADABLE  # no log-probabilities at all
    for broken in (math.nan, math.inf):
        assert read("alpaca_eval", logprobs={"m": -0.1, "M": broken}) == UNREADABLE
        assert read("labels", logprobs={"A": -0.1, "B": -1.0, " B": broken}) == UNREADABLE
    assert read("labels", logprobs={"A": -0.1, "B": -math.inf, " B": -math.inf}).first == 1.0
    both = read("labels", logprobs={"A": math.log(0.2), " A": math.log(0.1), "B": math.log(0.1), "a": -0.1})
    assert both.first == pytest.approx(0.75)
    assert read("labels", logprobs={"A": -1.0, "B": -1.0}).label == "A=B"


def test_share():
    assert read("share", share=0.5) == Reading("A=B", 0.5)
    assert read("share", share=0.9).label == "A>B" and read("share", share=0.0).label == "B>A"
    assert read("share", "[[A>B]]") == UNREADABLE == read("share", share=math.nan)


any_float = st.floats(allow_nan=True, allow_infinity=True)
tokens = st.sampled_from(["A", "B", "m", "M", " A", "B\n", "", "[[A>B]]"]) | st.text(max_size=3)
marks = st.text(alphabet="[]AB<>=ab think/\n\ud800\0", max_size=60) | st.text(max_size=60)


@given(text=marks, logprobs=st.none() | st.dictionaries(tokens, any_float, max_size=6), share=st.none() | any_float)
def test_no_reply_makes_a_parser_raise(text, logprobs, share):
    for parser in PARSERS.values():
        reading = parser(Reply(text, logprobs, share))
        assert reading.first is None or 0 <= reading.first <= 1
        assert reading.weight in (1, 3) and (reading.mass is None or 0 <= reading.mass <= 1)
        assert parser(Reply(text, logprobs, share)) == reading
