import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.judges import cache as caching
from tasks.judges.base import Decode, Identity, JudgeError
from tasks.judges.cache import Cache, key_of, read
from tasks.judges.games import Game, Pair, Reading, Reply

ROOT = Path(__file__).parents[3]
JUDGE = Identity("openai", "m", "r", "labels-1", "sha", Decode(logprobs=5), "loopback")
READING = Reading("A", 1.0)


def game(n=0, **changes):
    return Game(Pair(f"p{n}", f"Say {n}.", "a", "b"), **({"candidate_first": True} | changes))


def test_replies_come_back_as_they_were(tmp_path):
    replies = {
        game(0): Reply("Ünï \ud800 \0 \u2028", {"A": -0.1, "�": float("-inf")}, None, 10, 1, 0.25, "length"),
        game(1): Reply("", share=0.25),
        game(2): Reply("x" * 100_000),
    }
    with Cache(tmp_path) as cache:
        for one, reply in replies.items():
            assert cache.get(key_of(JUDGE, one)) is None
            cache.put(JUDGE, one, reply, READING)
            assert cache.get(key_of(JUDGE, one)) == reply
        cache.put(JUDGE, game(1), Reply("another"), READING)
    with Cache(tmp_path) as cache:
        assert len(cache) == 3
        assert all(cache.get(key_of(JUDGE, one)) == reply for one, reply in replies.items())
    assert [line.reply for line in read(tmp_path)] == list(replies.values())
    assert read(tmp_path)[0].identity == replace(JUDGE, prompt="")
    line = json.loads((tmp_path / "shard-00000.jsonl").read_bytes().split(b"\n")[1])
    assert line["id"] == "p1" and line["reading"]["label"] == "A" and "time" in line


def test_the_key_is_what_decides_the_reply():
    key = key_of(JUDGE, game())
    others = [
        key_of(replace(JUDGE, **{name: "other"}), game())
        for name in ("kind", "model", "revision", "prompt_sha", "backend")
    ]
    decodes = ({"temperature": 1.0}, {"top_p": 0.9}, {"max_tokens": 2}, {"seed": 1}, {"logprobs": 1})
    others += [key_of(replace(JUDGE, decode=replace(JUDGE.decode, **change)), game()) for change in decodes]
    others += [key_of(JUDGE, game(sample=1)), key_of(JUDGE, game(candidate_first=False)), key_of(JUDGE, game(1))]
    assert len({key, *others}) == len(others) + 1
    renamed = replace(game(), pair=replace(game().pair, id="other"))
    swapped = Game(Pair("x", "Say 0.", "b", "a"), candidate_first=False)  # the judge sees no difference
    assert key == key_of(JUDGE, renamed) == key_of(JUDGE, swapped) == key_of(replace(JUDGE, prompt="other"), game())


@pytest.mark.parametrize("torn", [b'{"key": "abc", "rep', b"\xff\0", b'{"key":"whole","but":"no newline"}'])
def test_a_torn_last_line_is_cut_off_and_written_anew(tmp_path, torn):
    with Cache(tmp_path) as cache:
        cache.put(JUDGE, game(0), Reply("one"), READING)
    shard = tmp_path / "shard-00000.jsonl"
    with shard.open("ab") as file:
        file.write(torn)
    assert len(read(shard)) == 1  # read only: nothing is repaired
    with Cache(tmp_path) as cache:
        assert len(cache) == 1
        cache.put(JUDGE, game(1), Reply("two"), READING)
    assert [line.reply.text for line in read(tmp_path)] == ["one", "two"]


def test_whatever_byte_a_kill_left_last_whole_lines_stay(tmp_path):
    shard = tmp_path / "shard-00000.jsonl"
    with Cache(tmp_path) as cache:
        for n in range(3):
            cache.put(JUDGE, game(n), Reply(f"reply {n}"), READING)
    whole = shard.read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(0, len(whole) + 1, 7):
        shard.write_bytes(whole[:size])
        with Cache(tmp_path) as cache:
            assert len(cache) == sum(end <= size for end in ends)
            for n in range(3):
                cache.put(JUDGE, game(n), Reply(f"reply {n}"), READING)
        assert [line.reply.text for line in read(tmp_path)] == ["reply 0", "reply 1", "reply 2"]


def test_a_line_that_is_damaged_elsewhere_is_named(tmp_path):
    with Cache(tmp_path) as cache:
        cache.put(JUDGE, game(0), Reply("one"), READING)
        cache.put(JUDGE, game(1), Reply("two"), READING)
    shard = tmp_path / "shard-00000.jsonl"
    shard.write_bytes(b"{}\n" + shard.read_bytes())
    with pytest.raises(JudgeError, match=r"shard-00000.jsonl, line 1: no stored reply \(KeyError"):
        Cache(tmp_path)
    shard.unlink()
    Cache(tmp_path).close()  # the lock was let go of


def test_shards_are_of_limited_size(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "SHARD_BYTES", 2000)
    for start in (0, 10):
        with Cache(tmp_path) as cache:
            for n in range(start, start + 10):
                cache.put(JUDGE, game(n), Reply(f"reply {n}"), READING)
    shards = sorted(tmp_path.glob("shard-*.jsonl"))
    assert len(shards) > 3 and all(shard.stat().st_size <= 2000 for shard in shards)
    with Cache(tmp_path) as cache:
        assert [cache.get(key_of(JUDGE, game(n))).text for n in range(20)] == [f"reply {n}" for n in range(20)]


def test_one_process_writes(tmp_path):
    code = f"from tasks.judges.cache import Cache; from pathlib import Path; Cache(Path({str(tmp_path)!r}))"
    with Cache(tmp_path):
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert "writes to this cache of verdicts" in done.stderr and "JudgeError" in done.stderr, done.stderr
        with pytest.raises(JudgeError, match=r"process \d+ on .* writes to this cache"):
            Cache(tmp_path)
    Cache(tmp_path).close()


def test_replies_reach_the_disk_in_batches(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(caching.os, "fsync", synced.append)
    now = [0.0]
    monkeypatch.setattr(caching.time, "monotonic", lambda: now[0])
    with Cache(tmp_path) as cache:
        for n in range(caching.BATCH - 1):
            cache.put(JUDGE, game(n), Reply("x"), READING)
        assert not synced
        assert len(read(tmp_path)) == caching.BATCH - 1  # but with the kernel they are, each of them
        cache.put(JUDGE, game(98), Reply("x"), READING)
        assert len(synced) == 1
        now[0] += caching.SECONDS
        cache.put(JUDGE, game(99), Reply("x"), READING)
        assert len(synced) == 2
        cache.put(JUDGE, game(100), Reply("x"), READING)
    assert len(synced) == 3
