import json
from dataclasses import replace

import pandas as pd
import pytest

from tasks.judges import prompts
from tasks.judges.asking import compare
from tasks.judges.base import JudgeError
from tasks.judges.cache import Cache
from tasks.judges.games import Pair
from tasks.judges.mock import MockJudge
from tasks.judges.replay import ReplayJudge
from tasks.judges.texts import content_of


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def arena(data_folder):
    """A model's questions as the pairs that were judged, and the upstream's own file of judgments."""
    rows = pd.read_parquet(data_folder / "arena_hard" / "v0.1_raw_judgments_partial.parquet")
    rows = rows[rows.model == "Llama-3-Base-8B-TR_KTO-Alpha_0.6-UltraFeedback"]
    pairs, lines, scores = [], [], {}
    for uid, games in rows.groupby("uid", sort=False):
        first = games[games.game == 0].user_prompt.iloc[0]
        question, rest = first.removeprefix("<|User Prompt|>\n").split("\n\n<|The Start of Assistant A's Answer|>\n")
        a, b = rest.split("\n<|The End of Assistant A's Answer|>\n\n<|The Start of Assistant B's Answer|>\n")
        pairs.append(Pair(uid, question, b.removesuffix("\n<|The End of Assistant B's Answer|>"), a))
        kept = [{"user_prompt": g.user_prompt, "judgment": g.judgment, "score": g.score} for g in games.itertuples()]
        lines.append({"question_id": uid, "model": "kto", "judge": "gpt-4-1106-preview", "games": kept})
        scores |= {(uid, game.game == 1): game.score for game in games.itertuples()}
    return pairs, lines, scores


@pytest.mark.parametrize("with_prompt", [True, False])
def test_arena_hards_judgments(arena, data_folder, tmp_path, with_prompt):
    pairs, lines, scores = arena
    path = write_lines(tmp_path / "kto.jsonl", lines)
    prompt = prompts.arena_hard(data_folder / "arena_hard")["arena-hard-v0.1"] if with_prompt else None
    renamed = [Pair(f"mine-{n}", p.instruction, p.candidate, p.baseline) for n, p in enumerate(pairs)]
    judged = compare(ReplayJudge(path, prompt), renamed if with_prompt else pairs, None, cap_chars=10**9)
    assert (judged.identity.model, judged.parser) == ("gpt-4-1106-preview", "upstream-v0.1")
    assert judged.usd == 0.0 and len(judged.pairs) == 193
    mine = {"A>>B": 1.0, "A>B": 1.0, "A=B": 0.5, "B>A": 0.0, "B>>A": 0.0}
    for pair, original in zip(judged.pairs, pairs, strict=True):
        for game in pair.games:
            stored = scores[original.id, game.candidate_first]
            if stored in mine:
                assert game.label == stored and game.weight == (3 if len(stored) == 4 else 1)
                assert game.score == (mine[stored] if game.candidate_first else 1 - mine[stored])
            else:
                assert game.status == "invalid"


def test_other_answers_have_no_recorded_verdict(arena, data_folder, tmp_path):
    pairs, lines, _ = arena
    path = write_lines(tmp_path / "kto.jsonl", lines)
    prompt = prompts.arena_hard(data_folder / "arena_hard")["arena-hard-v0.1"]
    changed = [Pair(pairs[0].id, pairs[0].instruction, "Another answer.", pairs[0].baseline), Pair("?", "?", "a", "b")]
    for judge in (ReplayJudge(path, prompt), ReplayJudge(path)):
        judged = compare(judge, changed, None)
        assert {game.status for game in judged.games} == {"failed"}
        assert judged.games[0].reason.endswith("kto.jsonl: no reply to these texts in this order")


def test_the_policy_is_the_formats_or_the_users(tmp_path):
    games = [{"judgment": {"answer": "[[A>B]] no: [[b>a]]"}}, {"judgment": {"answer": "[A<<B]"}}]
    row = {"uid": "q1", "model": "m", "judge": "gpt-4.1", "games": games}
    path = write_lines(tmp_path / "v2.jsonl", [row, {**row, "uid": "q2", "games": [None, games[0]]}])
    pairs = [Pair("q1", "Q", "a", "b"), Pair("q2", "Q2", "a", "b")]
    judged = compare(ReplayJudge(path), pairs, None)
    assert [(game.candidate_first, game.score, game.weight) for game in judged.games] == [
        (True, 0.0, 3),
        (False, 1.0, 1),
        (True, 0.0, 1),
        (False, None, 1),
    ]
    assert {game.status for game in compare(ReplayJudge(path, policy="ours"), pairs[:1], None).games} == {
        "invalid",
        "read",
    }
    with pytest.raises(JudgeError, match="policy 'theirs'; allowed: alpaca_eval"):
        ReplayJudge(path, policy="theirs")


@pytest.fixture(scope="module")
def annotations(data_folder):
    folder = data_folder / "alpaca_eval"
    rows = pd.read_parquet(folder / "annotations_v2_25models.parquet")
    asked = pd.read_parquet(folder / "questions_and_references.parquet").set_index("index")
    rows = rows[rows.generator_2.isin(["claude-2.1", "gpt4_1106_preview"])].join(asked, on="index")
    return [
        {"instruction": r.instruction, "output_1": r.output_gpt4_1106_preview, "output_2": r.output_2,
         "generator_2": r.generator_2, "annotator": r.annotator, "preference": r.preference,
         "raw_completion": json.loads(r.raw_completion)}
        for r in rows.itertuples()
    ]  # fmt: skip


@pytest.mark.parametrize("raw", [True, False])
def test_alpaca_evals_annotations(annotations, tmp_path, raw):
    path = tmp_path / "annotations.json"
    kept = [row if raw else {**row, "raw_completion": None} for row in annotations]
    path.write_text(json.dumps(kept))
    rows = [row for row in annotations if row["generator_2"] == "claude-2.1"]
    pairs = [Pair(f"{n}", row["instruction"], row["output_2"], row["output_1"]) for n, row in enumerate(rows)]
    judged = compare(ReplayJudge(path, candidate="claude-2.1"), pairs, None, orders=1)
    assert len(rows) == 805 and judged.identity.model == "weighted_alpaca_eval_gpt4_turbo"
    assert all(abs(g.score - (row["preference"] - 1)) < 1e-9 for g, row in zip(judged.games, rows, strict=True))
    assert round(100 * sum(game.score for game in judged.games) / 805, 2) == 15.73  # as published
    both = compare(ReplayJudge(path, candidate="claude-2.1"), pairs[:50], None)
    assert sum(game.status == "failed" for game in both.games) == 50  # the other order was never asked
    with pytest.raises(JudgeError, match=r"answers of 2 models; name the candidate: claude-2.1, gpt4_1106_preview"):
        compare(ReplayJudge(path), pairs, None)
    with pytest.raises(JudgeError, match=r"no answers of 'gpt-5'; there are claude-2.1"):
        compare(ReplayJudge(path, candidate="gpt-5"), pairs, None)


def test_our_own_cache_and_games(pairs, tmp_path):
    mock = MockJudge(noise=0.5, unreadable=0.2)
    with Cache(tmp_path / "cache") as cache:
        judged = compare(mock, pairs, cache)
    again = compare(ReplayJudge(tmp_path / "cache", policy="ours"), pairs, None)
    assert [(g.status, g.score, g.weight, g.label) for g in again.games] == [
        (g.status, g.score, g.weight, g.label) for g in judged.games
    ]
    assert again.identity.model == mock.identity.model and {g.status for g in judged.games} == {"read", "invalid"}
    fields = ("id", "candidate_first", "status", "score", "weight", "label")
    rows = [{name: getattr(game, name) for name in fields} for game in judged.games]
    path = write_lines(tmp_path / "games.jsonl", rows)
    write_lines(tmp_path / "pairs.jsonl", [{"id": pair.id, "content": content_of(pair)} for pair in pairs])
    (tmp_path / "judged.json").write_text('{"judge": {"model": "mock"}}')
    again = compare(ReplayJudge(path), pairs, None)
    assert [[getattr(game, name) for name in fields] for game in again.games] == [
        [row[name] if name != "label" or row["status"] == "read" else None for name in fields] for row in rows
    ]
    assert again.identity.model == "mock"
    others = [replace(pairs[0], candidate="Something else."), *pairs[1:]]
    games = compare(ReplayJudge(path), others, None).games
    assert [game.status for game in games[:2]] == ["failed", "failed"] and games[2:] == again.games[2:]


def test_a_cache_of_two_judges_is_refused(pairs, tmp_path):
    with Cache(tmp_path) as cache:
        compare(MockJudge(), pairs[:1], cache)
        compare(MockJudge(seed=1), pairs[:1], cache)
    with pytest.raises(JudgeError, match=r"replies of mock:seed=0.*mock:seed=1.*expected those of one judge"):
        compare(ReplayJudge(tmp_path), pairs, None)


def test_what_is_no_record_is_named(pairs, tmp_path):
    with pytest.raises(JudgeError, match=r"nothing.jsonl: cannot be read"):
        compare(ReplayJudge(tmp_path / "nothing.jsonl"), pairs, None)
    with pytest.raises(JudgeError, match=r"x.jsonl: keys a; expected Arena-Hard's judgments"):
        compare(ReplayJudge(write_lines(tmp_path / "x.jsonl", [{"a": 1}])), pairs, None)
    with pytest.raises(JudgeError, match=r"y.jsonl, line 1: int; expected an object"):
        compare(ReplayJudge(write_lines(tmp_path / "y.jsonl", [1])), pairs, None)
    row = {"question_id": "q", "model": "m", "games": [{"judgment": "[[A>B]]"}]}
    other = {**row, "games": [{"judgment": "[[B>A]]"}]}
    with pytest.raises(JudgeError, match=r"z.jsonl, line 2, game 0: judged twice"):
        compare(ReplayJudge(write_lines(tmp_path / "z.jsonl", [row, other])), pairs, None)
    bad = {"id": "p0", "candidate_first": True, "status": "read", "score": 2}
    write_lines(tmp_path / "pairs.jsonl", [{"id": "p0", "content": "x"}])
    with pytest.raises(JudgeError, match=r"status 'read' with score 2; expected one in \[0, 1\]"):
        compare(ReplayJudge(write_lines(tmp_path / "games.jsonl", [bad])), pairs, None)
    broken = {"instruction": "q", "output_1": 1, "output_2": "b", "preference": 1.0}
    with pytest.raises(JudgeError, match="line 1: no annotation of AlpacaEval"):
        compare(ReplayJudge(write_lines(tmp_path / "a.jsonl", [broken])), pairs, None)
