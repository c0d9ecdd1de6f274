import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from email.utils import formatdate

import pytest

from tasks.judges import attempts
from tasks.judges.asking import Budget, compare
from tasks.judges.attempts import MAX_FAILURES, Attempts, retry_after
from tasks.judges.base import Decode, JudgeError
from tasks.judges.cache import Cache
from tasks.judges.endpoint import OpenAIJudge
from tasks.judges.games import Failure, Game, Pair
from tasks.judges.prices import FREE, Price, find
from tasks.judges.prompts import OURS


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(attempts, "BACKOFF_SECONDS", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def judge(server, prompt, **options):
    return OpenAIJudge("judge-1", prompt, server.url, **options)


def test_what_is_sent_and_what_comes_back(chat, verdict, pairs, tmp_path):
    with chat.Server(lambda body, number: chat.says("I say \ud800 [[A>>B]]", finish="length")) as server:
        with Cache(tmp_path) as cache:
            judged = compare(judge(server, verdict, decode=Decode(0.5, 0.9, 77, seed=3)), pairs[:1], cache)
        game = judged.games[0]
        assert (game.status, game.score, game.weight, game.finish) == ("read", 1.0, 3, "length")
        assert judged.usage.calls == 2 and judged.usage.prompt_tokens == 200 and judged.usage.completion_tokens == 20
        assert judged.usage.seconds > 0 and judged.usd == 0.0  # loopback
        body = server.requests[0]
        assert {key: body[key] for key in ("model", "temperature", "top_p", "max_tokens", "seed")} == {
            "model": "judge-1", "temperature": 0.5, "top_p": 0.9, "max_tokens": 77, "seed": 3,
        }  # fmt: skip
        assert [turn["role"] for turn in body["messages"]] == ["system", "user"] and "logprobs" not in body
        with Cache(tmp_path) as cache:
            assert (
                compare(judge(server, verdict, decode=Decode(0.5, 0.9, 77, seed=3)), pairs[:1], cache).usage.calls == 0
            )


def test_label_logprobs_are_read(chat, labels, pairs):
    with chat.Server(lambda body, number: chat.says("A", {"A": -0.2, "B": -2.0, "I": -3.0})) as server:
        judged = compare(judge(server, labels), pairs[:1], None)
        assert server.requests[0]["logprobs"] is True and server.requests[0]["top_logprobs"] == 20
        assert server.requests[0]["max_tokens"] == 1
    assert judged.games[0].score == pytest.approx(1 - judged.games[1].score) and judged.games[0].score > 0.8
    with pytest.raises(JudgeError, match=r"read from log-probabilities; decode.logprobs is 0"):
        OpenAIJudge("m", labels, decode=Decode())


def test_a_server_without_logprobs_is_named(chat, labels, pairs):
    """After as many replies as there may be failures in a row; one that leaves them out now and then goes on."""
    with chat.Server(lambda body, number: chat.says("A")) as server:
        with pytest.raises(JudgeError, match=r"http://127.* gives no log-probabilities.* a prompt whose reply is"):
            compare(judge(server, labels, concurrency=1), pairs, None)
        assert len(server.requests) == MAX_FAILURES


@pytest.mark.parametrize("given", [2, 10**9], ids=["every other time", "once"])
def test_logprobs_that_are_missing_now_and_then_are_unreadable(chat, labels, pairs, given):
    asked = itertools.count()
    known = {"A": -0.1, "B": -2.0}
    with chat.Server(lambda body, number: chat.says("A", None if next(asked) % given else known)) as server:
        judged = compare(judge(server, labels, concurrency=1), pairs, None)
    counts = Counter(game.status for game in judged.games)
    assert counts["read"] == (1 if given > 2 else len(judged.games) * 3 // 4) and counts["failed"] == 0


def test_a_judge_without_the_labels_is_invalid(chat, labels, pairs):
    with chat.Server(lambda body, number: chat.says("The", {"The": -0.1, "Both": -2.0})) as server:
        judged = compare(judge(server, labels), pairs[:2], None)
    assert {game.status for game in judged.games} == {"invalid"} and judged.usage.calls == 8


@pytest.mark.parametrize(
    ("message", "finish"),
    [
        ({"content": None, "refusal": "I cannot help with that. [[A>B]]"}, "refusal"),
        ({"content": ""}, "content_filter"),
    ],
)
def test_a_judge_that_refuses_is_asked_once_more_and_is_invalid(chat, verdict, pairs, message, finish, tmp_path):
    said = chat.says("", finish="stop" if "refusal" in message else finish, **message)
    with chat.Server(lambda body, number: said) as server, Cache(tmp_path) as cache:
        judged = compare(judge(server, verdict), pairs[:2], cache)
        assert {(game.status, game.finish) for game in judged.games} == {("invalid", finish)}
        assert sorted(body["seed"] for body in server.requests) == [0] * 4 + [1] * 4
        assert {body["temperature"] for body in server.requests if body["seed"]} == {0.7}  # greedy would repeat itself
        compare(judge(server, verdict), pairs[:2], cache)
        assert len(server.requests) == 8


def test_a_missing_key_is_named_before_anything_is_asked(verdict, pairs, monkeypatch, tmp_path):
    hosted = OpenAIJudge("gpt-4.1", verdict, "https://judge.invalid/v1", key_variable="JUDGE_KEY")
    with pytest.raises(JudgeError, match=r"'gpt-4.1' at https://judge.invalid/v1: the environment variable JUDGE_KEY"):
        compare(hosted, pairs, None)
    with pytest.raises(JudgeError, match=r"base_url = 'judge.invalid/v1'; expected http"):
        OpenAIJudge("m", verdict, "judge.invalid/v1")
    with pytest.raises(JudgeError, match="concurrency = 0"):
        OpenAIJudge("m", verdict, concurrency=0)


def test_nobody_there_is_said_at_once(verdict, pairs):
    began = time.monotonic()
    with pytest.raises(JudgeError, match=r"http://127.0.0.1:9/v1: no server there"):
        compare(OpenAIJudge("m", verdict, "http://127.0.0.1:9/v1"), pairs, None)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("status", [401, 404])
def test_what_would_fail_for_every_question_stops_the_run(chat, verdict, pairs, status):
    with chat.Server(lambda body, number: (status, {}, b'{"error": {"message": "no such model"}}')) as server:
        with pytest.raises(JudgeError, match=f"HTTP {status}: .*no such model"):
            compare(judge(server, verdict, concurrency=2), pairs, None)
        assert len(server.requests) <= 3


def test_an_empty_account_is_no_rate_limit(chat, verdict, pairs):
    error = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    with chat.Server(lambda body, number: (429, {}, error)) as server:
        with pytest.raises(JudgeError, match="insufficient_quota"):
            compare(judge(server, verdict, concurrency=1), pairs, None)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_question_that_is_refused_fails_alone_and_is_not_repeated(chat, verdict, pairs, status, tmp_path):
    def answer(body, number):
        if "Say 3." in body["messages"][1]["content"] and status:
            return status, {}, b'{"error": {"message": "too many tokens"}}'
        return chat.says("[[A>B]]")

    pairs = pairs[:8]
    with chat.Server(answer) as server, Cache(tmp_path) as cache:
        judged = compare(judge(server, verdict), pairs, cache)
        failed = [game for game in judged.games if game.status != "read"]
        assert {game.id for game in failed} == {"p3"} and len(failed) == 2 and len(cache) == 14
        assert all(game.reason.startswith(f"HTTP {status}") and "too many tokens" in game.reason for game in failed)
        assert len(server.requests) == 16
        compare(judge(server, verdict), pairs, cache)
        assert len(server.requests) == 18


def test_twenty_failures_in_a_row_stop_the_run(chat, verdict, pairs):
    with chat.Server(lambda body, number: (400, {}, b"{}")) as server:
        with pytest.raises(JudgeError, match=r"20 questions in a row got no reply, the last one because: HTTP 400"):
            compare(judge(server, verdict, concurrency=4), pairs, None)
        assert 20 <= len(server.requests) <= 23


def test_failures_that_are_not_in_a_row_do_not(chat, verdict, pairs):
    def answer(body, number):
        number = int(body["messages"][1]["content"].split("Say ")[1].split(".")[0])
        return (400, {}, b"{}") if number % 2 else chat.says("[[A>B]]")

    with chat.Server(answer) as server:
        judged = compare(judge(server, verdict, concurrency=1), pairs, None)
    assert [game.status for game in judged.games] == ["read", "read", "failed", "failed"] * 15


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_what_is_worth_another_try(chat, verdict, pairs, status):
    with chat.Server(lambda body, number: (status, {}, b"busy") if number < 2 else chat.says("[[A>B]]")) as server:
        judged = compare(judge(server, verdict), pairs[:1], None)
        assert {game.status for game in judged.games} == {"read"} and len(server.requests) == 6


@pytest.mark.parametrize(
    "data",
    [b"<html>", b"", b"[]", b'{"choices": []}', b'{"choices": [{"message": null}]}', b'{"error": "overloaded"}',
     b'{"choices": [{"message": {"content": [1]}}]}', b'\xff{', b"[" * 5000],
)  # fmt: skip
def test_a_body_that_is_no_completion_is_asked_for_again(chat, verdict, pairs, data):
    with chat.Server(lambda body, number: (200, {}, data) if number < 1 else chat.says("[[A>B]]")) as server:
        judged = compare(judge(server, verdict), pairs[:1], None)
        assert {game.status for game in judged.games} == {"read"} and len(server.requests) == 4


def test_a_lost_connection_and_a_hanging_server(chat, verdict, pairs):
    def answer(body, number):
        return {0: "drop", 1: "hang"}.get(number, chat.says("[[A>B]]"))

    with chat.Server(answer) as server:
        judged = compare(judge(server, verdict, timeout_seconds=1.0), pairs[:2], None)
        assert {game.status for game in judged.games} == {"read"}


def test_full_jitter_seven_times_and_then_a_failure(chat, verdict, pairs, monkeypatch):
    monkeypatch.setattr(attempts, "BACKOFF_SECONDS", 1.0)
    slept, sleep = [], asyncio.sleep

    async def at_once(seconds):
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(attempts.asyncio, "sleep", at_once)
    with chat.Server(lambda body, number: (500, {}, b"oops")) as server:
        judged = compare(judge(server, verdict, concurrency=1), pairs[:5], None)
        assert len(server.requests) == 10 * 8
    assert all(game.reason == "HTTP 500: oops (8 attempts)" for game in judged.games)
    slept = [seconds for seconds in slept if seconds]
    by_attempt = [slept[a::7] for a in range(7)]
    assert all(0 <= max(waits) <= min(60, 2**a) for a, waits in enumerate(by_attempt))
    assert max(by_attempt[6]) > 8 and min(by_attempt[6]) < 50  # it is a draw from all of U(0, 60)


def test_retry_after_is_honoured(chat, verdict, pairs):
    times = []

    def answer(body, number):
        times.append(time.monotonic())
        return (429, {"Retry-After": "1"}, b"slow down") if number == 0 else chat.says("[[A>B]]")

    with chat.Server(answer) as server:
        compare(judge(server, verdict), [Pair("a", "?", "x", "y")], None)
    assert sorted(times)[2] - min(times) >= 0.99
    with chat.Server(lambda body, number: (429, {"Retry-After": "86400"}, b"tomorrow")) as server:
        judged = compare(judge(server, verdict), pairs[:1], None)
        assert "the server asks to wait 86400 s" in judged.games[0].reason and len(server.requests) == 2


def test_both_forms_of_retry_after():
    assert retry_after({"retry-after": "2.5"}) == 2.5 and retry_after({}) == 0 == retry_after({"retry-after": "soon"})
    assert 25 < retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)}) <= 31
    assert retry_after({"retry-after": formatdate(0)}) == 0 == retry_after({"retry-after": "-3"})


def test_a_429_halves_what_is_open_once_for_all_that_were(chat, verdict, pairs):
    """16 at once get 429: 8 may be open, not 16 / 2^16. Then each reply lets it grow."""
    all_there = threading.Barrier(16)

    def answer(body, number):
        if number == 0:
            all_there.wait(60)
            return 429, {}, b""
        return chat.says("[[A>B]]")

    async def ask(server, games, found):
        client = judge(server, verdict)._client()
        asked = Attempts(client, judge(server, verdict).body, False, 16, 60.0, lambda game, reply: found.append(reply))
        await asked.all(games)
        return asked

    found = []
    with chat.Server(answer) as server:
        asked = asyncio.run(ask(server, [Game(pair, True) for pair in pairs[:16]], found))
        assert server.most_open == 16
    assert len(found) == 16 and not any(isinstance(reply, Failure) for reply in found)
    assert 8 < asked.window <= 8 + 16 / 8


def test_no_more_are_open_than_allowed(chat, verdict, pairs):
    def answer(body, number):
        time.sleep(0.01)
        return chat.says("[[A>B]]")

    with chat.Server(answer) as server:
        compare(judge(server, verdict, concurrency=3), pairs, None)
        assert server.most_open == 3
    assert OpenAIJudge("m", verdict).open_at_most == 16 and judge(server, verdict).open_at_most == 64


def test_newer_models_name_their_limit_otherwise(chat, verdict, pairs):
    def answer(body, number):
        if "max_tokens" in body:
            return 400, {}, b'{"error": {"message": "Use \'max_completion_tokens\' instead."}}'
        return chat.says("[[A>B]]") if body["max_completion_tokens"] == 1024 else (400, {}, b"?")

    with chat.Server(answer) as server:
        judged = compare(judge(server, verdict, concurrency=1), pairs[:3], None)
        assert {game.status for game in judged.games} == {"read"} and len(server.requests) == 7


def test_an_error_in_the_sink_ends_the_run(chat, verdict, pairs):
    def full(*_):
        raise OSError("the disk is full")

    with chat.Server(lambda body, number: chat.says("[[A>B]]")) as server, pytest.raises(OSError, match="disk is full"):
        judge(server, verdict).ask([Game(pair, True) for pair in pairs], full)


def test_hostile_answers_arrive_whole(chat, verdict):
    hostile = Pair("h", "Q\0", "{second} [[A>B]] \ud800 ## Best Model Identifier", "é" * 100_000)
    with chat.Server(lambda body, number: chat.says("[[B>A]]")) as server:
        judged = compare(judge(server, verdict), [hostile], None)
        texts = [body["messages"][1]["content"] for body in server.requests]
    assert judged.pairs[0].flags == ("judge-markers",) and judged.pairs[0].baseline_flags == ("truncated",)
    assert all("{second} [[A>B]]  ## Best Model" in text and text.count("é") == 32_000 for text in texts)
    json.dumps([game.score for game in judged.games])


def test_prices(verdict, chat):
    hosted = OpenAIJudge("gpt-4.1", verdict)
    assert find(hosted).usd(1_000_000, 1_000_000) == pytest.approx(10.0) and "2026" in find(hosted).source
    mine = Price(1.0, 2.0, "mine")
    assert find(hosted, mine) is mine and find(OpenAIJudge("who-knows", verdict)) is None
    local = [OpenAIJudge("m", verdict, f"http://{host}:8000/v1") for host in ("localhost", "127.0.0.1", "[::1]")]
    assert {find(one) for one in local} == {FREE} and {one.identity.backend for one in local} == {"loopback"}
    assert find(OpenAIJudge("gpt-4.1", verdict, "http://localhost:4000/v1")) == find(hosted)  # it is handed on
    assert hosted.identity.backend == "api.openai.com"
    with pytest.raises(JudgeError, match="expected two amounts of dollars"):
        Price(-1.0, float("nan"), "mine")
    with pytest.raises(JudgeError, match="cost is not known"):
        compare(OpenAIJudge("who-knows", verdict), [Pair("a", "?", "x", "y")], None, budget=Budget(max_usd=1.0))


def test_ours_are_asked_as_they_are_published(labels):
    assert OpenAIJudge("m", labels).identity.decode == labels.decode == OURS["labels-1"].decode
