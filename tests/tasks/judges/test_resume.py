"""200 pairs, a server at which three of ten requests go wrong, and a judging process that is killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tasks.judges.cache import read
from tasks.judges.games import Game, Pair
from tasks.judges.prompts import OURS

ROOT = Path(__file__).parents[3]
KILL_AFTER = 180  # replies, of at least 400
LABELS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
JUDGING = """
import json, sys
from pathlib import Path
from tasks.judges import attempts
from tasks.judges.asking import Budget, compare
from tasks.judges.games import Pair
from tasks.judges.cache import Cache
from tasks.judges.endpoint import OpenAIJudge
from tasks.judges.prices import Price
from tasks.judges.prompts import OURS

attempts.BACKOFF_SECONDS = 0.01
url, folder = sys.argv[1], Path(sys.argv[2])
pairs = [Pair(*row) for row in json.loads((folder / "pairs.json").read_text())]
judge = OpenAIJudge("judge-1", OURS["verdict-1"], url, concurrency=16, timeout_seconds=4.0)
with Cache(folder / "cache") as cache:
    judged = compare(judge, pairs, cache, budget=Budget(price=Price(1.0, 2.0, "test")))
usage = judged.usage
print(json.dumps({
    "games": [[g.id, g.candidate_first, g.status, g.score, g.weight, g.label, g.sample] for g in judged.games],
    "calls": usage.calls, "cached": usage.cached, "usd": judged.usd, "cached_usd": judged.cached_usd,
}))
"""


@pytest.fixture
def answers(chat):
    """What the server says to a request; what goes wrong depends on the question and the attempt."""

    def label(name):
        return "cannot decide" if chat.uniform("mumbles", name) < 0.05 else LABELS[int(chat.uniform("says", name) * 5)]

    def answer(body, number):
        name = chat.identify(body)
        u = chat.uniform("fails", name, number)
        if u < 0.005 and number == 0:
            return "hang"
        if u < 0.08:
            return 429, {"Retry-After": "0"}, b'{"error": {"message": "slow down"}}'
        if u < 0.16:
            return 500, {}, b"Internal Server Error"
        if u < 0.24:
            return 200, {}, b'{"choices": [{"message": {"content": "[[A>B'
        if u < 0.30:
            return "drop"
        return chat.says(f"After some thought: [[{label(name)}]]")

    answer.label = label
    return answer


def test_no_verdict_is_lost_doubled_or_invented(chat, answers, data_folder, tmp_path):
    rows = pd.read_parquet(data_folder / "rlhf" / "llmbar_and_processed_human_pairs.parquet")
    rows = rows.drop_duplicates("input").head(200)
    pairs = [Pair(f"llmbar-{n}", row.input, row.output_1, row.output_2) for n, row in enumerate(rows.itertuples())]
    (tmp_path / "pairs.json").write_text(json.dumps([[p.id, p.instruction, p.candidate, p.baseline] for p in pairs]))
    with chat.Server(answers) as server:
        server.hold_after = KILL_AFTER
        command = [sys.executable, "-c", JUDGING, server.url, str(tmp_path)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        shard = tmp_path / "cache" / "shard-00000.jsonl"
        deadline = time.monotonic() + 120
        while not (shard.exists() and shard.read_bytes().count(b"\n") >= KILL_AFTER):
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline, "the replies do not reach the cache"
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        with shard.open("ab") as file:
            file.write(b'{"key": "torn by the ki')
        assert len(server.answered) == KILL_AFTER == len(read(tmp_path / "cache"))

        server.hold_after = None
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        judged = json.loads(done.stdout)
        failed = sum(server.attempts.values()) - len(server.answered)

    # nothing that was answered is asked twice; the server's log and the cache hold the same
    assert max(Counter(server.answered).values()) == 1
    lines = read(tmp_path / "cache")
    assert len({line.key for line in lines}) == len(lines) == len(server.answered)
    assert failed / sum(server.attempts.values()) > 0.25

    # each verdict is what the server said to this game
    prompt, by_id = OURS["verdict-1"], {pair.id: pair for pair in pairs}
    asked_again = 0
    assert [(game[0], game[1]) for game in judged["games"]] == [(p.id, first) for p in pairs for first in (True, False)]
    for identity, first, status, score, weight, label, sample in judged["games"]:
        messages = [dict(turn) for turn in prompt.messages(Game(by_id[identity], first))]
        said = answers.label(chat.identify({"messages": messages, "seed": sample}))
        asked_again += sample
        expected = {"A>>B": (1.0, 3), "A>B": (1.0, 1), "A=B": (0.5, 1), "B>A": (0.0, 1), "B>>A": (0.0, 3)}.get(said)
        if expected is None:
            assert (status, score, sample) == ("invalid", None, 1)
        else:
            share = expected[0] if first else 1 - expected[0]
            assert (status, score, weight, label) == ("read", share, expected[1], said)
    assert asked_again > 0 and len(server.answered) == 400 + asked_again

    # and paid for: 100 tokens in and 10 out a reply, at 1 and 2 dollars a million
    assert judged["cached"] == KILL_AFTER and judged["calls"] == len(server.answered) - KILL_AFTER
    assert judged["usd"] == pytest.approx(judged["calls"] * 120e-6)
    assert judged["cached_usd"] == pytest.approx(KILL_AFTER * 120e-6)
