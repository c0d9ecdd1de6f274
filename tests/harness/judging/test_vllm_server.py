"""vLLM's own server on the CPU as the `openai` judge: what it replies is what the `engine` judge computes here."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness import models
from harness.judging.local import LabelEngine
from tasks.judges.asking import compare
from tasks.judges.base import Game
from tasks.judges.cache import Cache, key_of
from tasks.judges.endpoint import OpenAIJudge
from tasks.judges.prompts import OURS
from tasks.judges.texts import prepare

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(400)]
BENCHMARK = "judge_agreement"
MODEL, PRECISION = "smollm2-135m", "float32"
PROMPT = OURS["labels-1"]
PAIRS = 20  # LLMBar's shortest
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
def pairs(benchmark_script, data_folder):
    found = [one.pair for one in benchmark_script.llmbar(data_folder) if one.collection == benchmark_script.LLMBAR]
    return sorted(found, key=lambda pair: len(pair.instruction + pair.candidate + pair.baseline))[:PAIRS]


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
