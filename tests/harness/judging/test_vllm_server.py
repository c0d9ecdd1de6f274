"""vLLM's own server on the CPU as the `openai` judge: what it replies is what the `engine` judge computes here."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness import models
from harness.judging.labels import LabelEngine
from tasks.judges.asking import compare
from tasks.judges.cache import Cache, key_of, read
from tasks.judges.endpoint import OpenAIJudge
from tasks.judges.games import Game
from tasks.judges.prompts import OURS
from tasks.judges.texts import prepare

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[3]
JUDGING = """
import json, sys
from pathlib import Path
from tasks.judges import attempts
from tasks.judges.asking import compare
from tasks.judges.games import Pair
from tasks.judges.cache import Cache
from tasks.judges.endpoint import OpenAIJudge
from tasks.judges.prompts import OURS

attempts.BACKOFF_SECONDS = 0.01
url, folder, model = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
pairs = [Pair(*row) for row in json.loads((folder / "pairs.json").read_text())]
with Cache(folder / "cache") as cache:
    judged = compare(OpenAIJudge(model, OURS["labels-1"], url, concurrency=16), pairs, cache)
games = [[g.id, g.candidate_first, g.status] for g in judged.games]
print(json.dumps([games, judged.usage.calls, judged.usage.cached]))
"""
BENCHMARK = "judge_agreement"
MODEL, PRECISION = "smollm2-135m", "float32"
PROMPT = OURS["labels-1"]
PAIRS, MANY = 20, 200  # LLMBar's shortest
KILL_AFTER = 150  # replies, of 400
TOLERANCE = 1e-3  # of a log-probability, both in float32 with kernels of their own; measured: 2.5e-5
START_SECONDS, STOP_SECONDS = 200, 20
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1", "VLLM_DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING",
}  # fmt: skip
LIBC = ctypes.CDLL(None)  # before any fork
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would not find loopback


def _die_with_parent() -> None:
    """prctl(PR_SET_PDEATHSIG, SIGTERM): the server ends with the test's process, even where that is killed."""
    LIBC.prctl(1, signal.SIGTERM)


@contextmanager
def serving(model: Path, log: Path) -> Iterator[str]:
    """vLLM's server on a free port of loopback: its address without /v1. Its whole group is stopped, come what may."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--served-model-name", MODEL,
        "--host", "127.0.0.1", "--port", str(port), "--dtype", PRECISION, "--enforce-eager", "--max-model-len", "2048",
        "--kv-cache-memory-bytes", str(1 << 30),
    ]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=os.environ | ENVIRONMENT, start_new_session=True,
            preexec_fn=_die_with_parent,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(process, address, log)
        yield address
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            DIRECT.open(f"{address}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    said = log.read_text(errors="replace")[-3000:]
    pytest.fail(f"vLLM's server did not start (exit code {process.poll()}):\n{said}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL, to the server and the engine that it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):  # nobody of the group is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def model() -> models.Source:
    return models.find(MODEL)


@pytest.fixture(scope="module")
def server(model, tmp_path_factory) -> Iterator[str]:
    with serving(model.folder, tmp_path_factory.mktemp("vllm") / "server.log") as address:
        yield address
    with pytest.raises(OSError):
        DIRECT.open(f"{address}/health", timeout=5)


@pytest.fixture(scope="module")
def many(benchmark_script, data_folder):
    found = [one.pair for one in benchmark_script.llmbar(data_folder) if one.collection == benchmark_script.LLMBAR]
    return sorted(found, key=lambda pair: len(pair.instruction + pair.candidate + pair.baseline))[:MANY]


@pytest.fixture(scope="module")
def pairs(many):
    return many[:PAIRS]


@pytest.fixture(scope="module")
def chat():
    """The small server of the judges' own tests, here in front of vLLM's."""
    path = ROOT / "tests" / "tasks" / "judges" / "server.py"
    spec = importlib.util.spec_from_file_location("chat_server", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Unreliable:
    """Hands requests on to a server, but for three of ten; `answered` names those that it answered, in order."""

    def __init__(self, chat, address):
        self.chat, self.address = chat, address
        self.answered, self.wrong = [], 0
        self.hold_after = None  # so many answers, and then silence
        self.lock = threading.Lock()

    def __call__(self, body, number):
        name = self.chat.identify(body)
        u = self.chat.uniform("fails", name, number)
        if u < 0.3:
            self.wrong += 1
        if u < 0.08:
            return 429, {"Retry-After": "0"}, b'{"error": {"message": "slow down"}}'
        if u < 0.16:
            return 500, {}, b"Internal Server Error"
        if u < 0.24:
            return 200, {}, b'{"choices": [{"message": {"content": "A'
        if u < 0.3:
            return "drop"
        with self.lock:
            if self.hold_after is not None and len(self.answered) >= self.hold_after:
                return "hang"
            self.answered.append(name)
        asked = urllib.request.Request(
            f"{self.address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return 200, {}, DIRECT.open(asked, timeout=120).read()


def answered(address: str) -> int:
    """Requests that the server has finished, by its own count."""
    lines = DIRECT.open(f"{address}/metrics", timeout=10).read().decode().splitlines()
    found = [line for line in lines if line.startswith("vllm:request_success_total{")]
    assert found
    return round(sum(float(line.rpartition(" ")[2]) for line in found))


def test_judging_by_vllms_server(server, model, pairs, tmp_path):
    judge = OpenAIJudge(MODEL, PROMPT, f"{server}/v1", revision=LabelEngine(model, PRECISION, "cpu").revision)
    with Cache(tmp_path) as cache:
        judged = compare(judge, pairs, cache)
    assert len(judged.games) == judged.usage.calls == judged.usage.completion_tokens == answered(server) == 2 * PAIRS
    assert {game.status for game in judged.games} == {"read"} and judged.usage.failed == 0 and judged.usd == 0.0

    with Cache(tmp_path) as cache:
        again = compare(judge, pairs, cache)
        games = [Game(item.pair, first) for item in prepare(pairs) for first in (True, False)]
        replies = [cache.get(key_of(judge.identity, game)) for game in games]
    assert (again.usage.calls, again.usage.cached, again.pairs) == (0, 2 * PAIRS, judged.pairs)
    assert answered(server) == 2 * PAIRS

    engine = LabelEngine(model, PRECISION, "cpu")
    expected = engine.label_logprobs([PROMPT.messages(game) for game in games], PROMPT.labels)
    assert [reply.prompt_tokens for reply in replies] == [tokens for _, tokens in expected]
    worst = max(
        abs(reply.logprobs[label] - logprob)
        for reply, (logprobs, _) in zip(replies, expected, strict=True)
        for label, logprob in zip(PROMPT.labels, logprobs, strict=True)
    )
    assert worst < TOLERANCE
    print(f"largest difference of a label's log-probability: {worst:.1e}")


def test_faults_on_the_way_and_a_kill_in_the_middle(server, chat, many, tmp_path):
    """200 pairs by vLLM behind a wire on which three of ten requests go wrong: nothing lost, doubled or invented."""
    (tmp_path / "pairs.json").write_text(json.dumps([[p.id, p.instruction, p.candidate, p.baseline] for p in many]))
    shard, before = tmp_path / "cache" / "shard-00000.jsonl", answered(server)
    unreliable = Unreliable(chat, server)
    unreliable.hold_after = KILL_AFTER
    with chat.Server(unreliable) as front:
        command = [sys.executable, "-c", JUDGING, front.url, str(tmp_path), MODEL]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + 400
        while not (shard.exists() and shard.read_bytes().count(b"\n") >= KILL_AFTER):
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < until, "the replies do not reach the cache"
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert len(unreliable.answered) == KILL_AFTER == len(read(tmp_path / "cache"))
        unreliable.hold_after = None
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    games, calls, cached = json.loads(done.stdout)
    assert [(g[0], g[1]) for g in games] == [(p.id, first) for p in many for first in (True, False)]
    assert {g[2] for g in games} == {"read"}
    assert max(Counter(unreliable.answered).values()) == 1 and (calls, cached) == (2 * MANY - KILL_AFTER, KILL_AFTER)
    assert len(unreliable.answered) == len(read(tmp_path / "cache")) == answered(server) - before == 2 * MANY
    assert unreliable.wrong / (unreliable.wrong + 2 * MANY) > 0.25
