"""`benchmarks/judge_agreement.py`: labels that are the right way round, rates by hand, and a real small judge."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from harness import models
from tasks.judges.cache import Cache
from tasks.judges.games import Game, Pair
from tasks.judges.prompts import OURS
from tasks.judges.results import Judged, Verdict
from tasks.judges.texts import prepare

BENCHMARK = "judge_agreement"
MODEL = "smollm2-135m"
COUNTS = {"LLMBar": 419, "processed by LLMBar": 466, "JudgeBench": 620}
SHORTEST = {"LLMBar": 6, "processed by LLMBar": 4, "JudgeBench": 2}  # pairs that the real judge is asked here


@pytest.fixture(scope="module")
def labelled(benchmark_script, data_folder):
    return benchmark_script.llmbar(data_folder) + benchmark_script.judgebench(data_folder)


def test_every_pair_once_and_samples_nested(benchmark_script, labelled):
    assert {name: sum(one.collection == name for one in labelled) for name in COUNTS} == COUNTS
    assert len({one.pair.id for one in labelled}) == len(labelled) == sum(COUNTS.values())
    few, more = (benchmark_script.chosen(labelled, limit) for limit in (7, 50))
    assert len(few) == 21 and len(more) == 150 and {one.pair.id for one in few} < {one.pair.id for one in more}
    assert benchmark_script.chosen(labelled[::-1], 7) == few
    assert len(benchmark_script.chosen(labelled, None)) == len(labelled)


def test_the_better_answer_is_the_labelled_one(labelled, data_folder):
    """LLMBar's by the file itself; JudgeBench's by what five public reward models prefer."""
    table = pd.read_parquet(data_folder / "rlhf" / "llmbar_and_processed_human_pairs.parquet")
    llmbar = [one.pair for one in labelled if one.pair.id.startswith("llmbar/")]
    for pair in llmbar:
        row = table.iloc[int(pair.id.partition("/")[2])]
        assert (pair.instruction, pair.candidate) == (row["input"], row[f"output_{row['label']}"])
        assert pair.baseline == row[f"output_{3 - row['label']}"]

    questions = pd.read_parquet(data_folder / "rlhf" / "judgebench_620.parquet").set_index("pair_id")
    pairs = {one.pair.id.partition("/")[2]: one.pair for one in labelled if one.collection == "JudgeBench"}
    scores = pd.read_parquet(data_folder / "rlhf" / "judgebench_reward_model_scores.parquet")
    right = []
    for row in scores.to_dict("records"):
        reward = dict(zip("AB", json.loads(row["judgments"])[0]["judgment"]["scores"], strict=True))
        answers = {questions.at[row["pair_id"], f"response_{side}"]: value for side, value in reward.items()}
        pair = pairs[row["pair_id"]]
        right.append(answers[pair.candidate] > answers[pair.baseline])
    assert len(right) == 1750 and np.mean(right) > 0.55


def test_rates_by_hand(benchmark_script):
    def pair(name, *scores, status="read", flags=(), baseline_flags=()):
        games = (
            Verdict(name, first, status, score, mass=0.5) for first, score in zip((True, False), scores, strict=True)
        )
        return Judged(Pair(name, "", "", ""), tuple(games), flags, baseline_flags)

    judged = [
        pair("a", 0.9, 0.6),  # right in both orders; the first answer gets 0.9 + 0.4 of 2
        pair("b", 0.8, 0.1, baseline_flags=("truncated",)),  # the first answer in both; less than half
        pair("c", 0.7, 0.3),  # a tie by the place alone
        pair("d", 0.5, 0.5, status="same"),
        pair("e", None, None, status="failed"),
    ]
    units = {"a": "x", "b": "x", "c": "y", "d": "z", "e": "z"}
    row = benchmark_script.agreement("all", judged, units, 3.0)
    assert (row.n, row.ties, row.cut, row.unread, row.mass) == (5, 2, 1, 2, 0.5)
    assert row.accuracy.mean == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)
    assert row.consistency.mean == pytest.approx(1 / 3)
    assert row.first.mean == pytest.approx((0.65 + 0.85 + 0.7) / 3)
    for rate in (row.accuracy, row.consistency, row.first):
        assert 0 <= rate.low < rate.mean < rate.high <= 1
    alone = benchmark_script.agreement("all", judged, {name: name for name in units}, 3.0)
    assert alone.first.high - alone.first.low != pytest.approx(row.first.high - row.first.low)  # clusters count


def shares_one_by_one(pairs):
    """The first answer's share, one question a forward pass, nothing of ours but the prompt's text."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models.find(MODEL).folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    a, b = tokenizer.convert_tokens_to_ids(["A", "B"])
    found = []
    for pair in pairs:
        chat = [dict(turn) for turn in OURS["labels-1"].messages(Game(pair, True))]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        with torch.inference_mode():
            p = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
        found.append((float(p[a] / (p[a] + p[b])), float(p[a] + p[b])))
    return found


@pytest.mark.slow
def test_a_real_judge(benchmark_script, labelled, tmp_path):
    by_length = sorted(labelled, key=lambda o: len(o.pair.instruction + o.pair.candidate + o.pair.baseline))
    few = [one for name, count in SHORTEST.items() for one in [o for o in by_length if o.collection == name][:count]]
    judge = benchmark_script.build(f"engine:{MODEL}", "float32")

    with Cache(tmp_path) as cache:
        compared = benchmark_script.judge_all(judge, few, cache)
        games = 2 * sum(SHORTEST.values())
        assert len(cache) == games == sum(one.usage.calls for one in compared.values())
    judged = {pair.id: pair for one in compared.values() for pair in one.pairs}
    assert all([game.candidate_first for game in pair.games] == [True, False] for pair in judged.values())
    assert {game.status for pair in judged.values() for game in pair.games} == {"read"}

    pairs = [item.pair for item in prepare([one.pair for one in few])]
    for pair, (share, mass) in zip(pairs, shares_one_by_one(pairs), strict=True):
        game = judged[pair.id].games[0]
        assert (game.score, game.mass) == (pytest.approx(share, abs=1e-4), pytest.approx(mass, abs=1e-4))

    rows = benchmark_script.rows(few, compared)
    swapped = [replace(o, pair=replace(o.pair, candidate=o.pair.baseline, baseline=o.pair.candidate)) for o in few]
    for again, right in ((few, lambda rate: rate), (swapped, lambda rate: 1 - rate)):
        with Cache(tmp_path) as cache:
            other = benchmark_script.judge_all(judge, again, cache)
            assert sum(one.usage.calls for one in other.values()) == 0 and len(cache) == games
        for mine, theirs in zip(rows, benchmark_script.rows(again, other), strict=True):
            assert theirs.accuracy.mean == pytest.approx(right(mine.accuracy.mean))
            assert theirs.accuracy.high - theirs.accuracy.low == pytest.approx(mine.accuracy.high - mine.accuracy.low)
            for name in ("consistency", "first", "mass", "seconds"):
                one, two = (getattr(row, name) for row in (mine, theirs))
                assert getattr(one, "mean", one) == pytest.approx(getattr(two, "mean", two))
