import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.grading import VerifierError, judge, pool, verify
from tasks.grading.pool import Pool, Question, Reply

HALF = Question(r"\frac{1}{2}", "0.5")
ENDLESS = Question("5", "(10^8)!")


@pytest.fixture(scope="module")
def short():
    """Half a second of processor time for an answer: less to wait for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "CPU_SECONDS", 0.5)
        yield


@pytest.fixture(scope="module")
def one(short):
    """A pool of one worker, whose processes are gone afterwards."""
    workers = Pool(1)
    yield workers
    idle = pids(workers)
    workers.close()
    assert all(gone(pid) for pid in idle)


def pids(workers):
    """The idle workers' process ids."""
    return [worker.process.pid for worker in workers._idle]


def alive(pid):
    """Whether the process runs, or has a child that does (a worker's group is its own)."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid, seconds=10):
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_an_endless_comparison_is_cut_off_and_the_next_goes_on(one):
    assert one.ask([HALF, ENDLESS, HALF, Question("x+1", "1+x")]) == [
        Reply(True, True, "0.5"),
        Reply(died="time"),
        Reply(True, True, "0.5"),
        Reply(True, True, "1+x"),
    ]
    assert one.counts == {"started": 1, "time": 1}  # no process had to import sympy again


def test_many_endless_comparisons_in_one_call_get_less_time(monkeypatch):
    """And what is cut short for it is not remembered as wrong."""
    asked = []

    def answer(self, question, seconds):
        asked.append(seconds)
        return Reply(died="time") if "!" in question.answer else Reply(True, True, question.answer)

    monkeypatch.setattr(Pool, "_ask", answer)
    monkeypatch.setattr(pool, "PATIENCE", 2)
    monkeypatch.setattr(pool, "_pool", Pool(1))
    pairs = [("5", rf"\boxed{{1{n}!+x}}") for n in range(4)]
    found = judge([*pairs, ("x+5", r"\boxed{5+x+0}")])
    assert [verdict.timed_out for verdict in found] == [True] * 4 + [False] and found[4].strict
    assert asked == [pool.CPU_SECONDS] * 2 + [pool.SHORT_CPU_SECONDS] * 3
    judge(pairs)
    assert asked[5:] == [pool.CPU_SECONDS] * 2  # the two that were cut short, once more
    for _, response in pairs:
        verify._replies.pop(Question("5", response[7:-1]), None)
    verify._replies.pop(Question("x+5", "5+x+0"))


def test_the_limit_is_of_processor_time_not_of_the_clock(one):
    """A worker that does not get to run, as on a loaded machine, is waited for."""
    one.ask([HALF])
    [pid] = pids(one)
    os.killpg(pid, signal.SIGSTOP)
    threading.Timer(pool.CPU_SECONDS + 0.5, os.killpg, (pid, signal.SIGCONT)).start()
    assert one.ask([HALF]) == [Reply(True, True, "0.5")]
    assert pids(one) == [pid]


def test_a_worker_that_never_answers_is_killed(one, monkeypatch):
    one.ask([HALF])
    [pid] = pids(one)
    os.killpg(pid, signal.SIGSTOP)
    monkeypatch.setattr(pool, "WALL_SECONDS", 0.6)
    killed = one.counts["killed"]
    assert one.ask([HALF]) == [Reply(True, True, "0.5")]  # another's reply
    assert one.counts["killed"] == killed + 1 and gone(pid)


def test_a_worker_that_dies_of_nothing_known_is_replaced(one):
    one.ask([HALF])
    [pid] = pids(one)
    os.killpg(pid, signal.SIGKILL)
    assert one.ask([HALF]) == [Reply(True, True, "0.5")]
    assert pids(one) != [pid]


@pytest.mark.slow
def test_memory_has_a_limit(monkeypatch):
    monkeypatch.setattr(pool, "MEMORY_BYTES", 320 << 20)  # a quarter of it is what sympy takes
    monkeypatch.setattr(pool, "CPU_SECONDS", 20.0)
    workers = Pool(1)
    assert workers.ask([Question("5", "2^{10^{9}}"), HALF]) == [Reply(died="memory"), Reply(True, True, "0.5")]
    workers.close()


def test_what_runs_out_is_wrong_and_says_so(short):
    verdicts = judge(
        [("5", r"\boxed{9^{9^{9^9}}}"), ("5", r"\boxed{(10^8)!}"), ("5", "{" * 90), ("1/2", r"\boxed{0.5}")]
    )
    assert [verdict.timed_out for verdict in verdicts] == [True, True, True, False]
    assert [verdict.lenient for verdict in verdicts] == [False, False, False, True]
    assert verdicts[0].extracted == "9^{9^{9^9}}"


def test_a_right_answer_may_be_huge():
    assert judge([("100000!", r"\boxed{100000!}"), ("2^{1000000}", r"\boxed{2^{1000000}}")])[0].strict


def test_from_a_thread_and_from_eight():
    pairs = [(rf"\frac{{{n}}}{{997}}", rf"\boxed{{{n + n % 2}/997}}") for n in range(20)]
    with ThreadPoolExecutor(8) as threads:
        for verdicts in threads.map(lambda _: judge(pairs), range(8)):
            assert [verdict.strict for verdict in verdicts] == [n % 2 == 0 for n in range(20)]


def test_in_a_forked_child():
    judge([("1/2", r"\boxed{0.5}")])
    before = pids(pool.shared())
    with verify._lock:  # which another thread may hold when the process forks
        child = os.fork()
    if child == 0:
        try:
            verify._replies.clear()
            right = judge([("1/2", r"\boxed{0.5}")])[0].strict and not set(before) & set(pids(pool.shared()))
            pool.shared().close()
            os._exit(0 if right else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert judge([("2/3", r"\boxed{4/6}")])[0].strict
    assert pids(pool.shared()) == before


SCRIPT = """
import os, sys, threading, time
from tasks.grading import judge, pool
judge([("1/2", r"\\boxed{0.5}")])
child = os.fork()  # holds no end of a worker's pipe
if child == 0:
    time.sleep(60)
print(*[worker.process.pid for worker in pool.shared()._idle], child, flush=True)
if sys.argv[1] == "busy":
    threading.Thread(target=judge, args=([("5", r"\\boxed{(10^8)!}")],)).start()
time.sleep(0 if sys.argv[1] == "ends" else 60)
if sys.argv[1] == "ends":
    os.kill(child, 9)
"""


@pytest.mark.parametrize("how", ["ends", "killed", pytest.param("busy", marks=pytest.mark.slow)])
def test_no_worker_outlives_its_parent(how):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, how], stdout=subprocess.PIPE, text=True)
    worker, child = map(int, process.stdout.readline().split())
    try:
        assert alive(worker) or how == "ends"
        if how == "busy":
            time.sleep(0.3)
        if how != "ends":
            process.kill()
        assert process.wait(30) == (0 if how == "ends" else -signal.SIGKILL)
        process.stdout.close()
        assert gone(worker)
    finally:
        if how != "ends":
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("worker", "message"),
    [
        ("raise SystemExit(3)", "did not start: it ended"),
        ("""print('{"error": "no math_verify"}')""", "math-verify cannot be used by .*: no math_verify"),
    ],
)
def test_without_math_verify_nothing_is_graded(tmp_path, monkeypatch, worker, message):
    script = tmp_path / "worker.py"
    script.write_text(worker)
    monkeypatch.setattr(pool, "_WORKER", script)
    with pytest.raises(VerifierError, match=message):
        Pool(2).ask([HALF, HALF])


# ------------------------------------------------------------------------------------------------- no answer runs code

CALLS = [
    "__import__('os').system('touch {canary}')",
    "open('{canary}', 'w')",
    'exec(\'open("{canary}", "w")\')',
    "().__class__.__base__.__subclasses__()[-1].__init__.__globals__['os'].system('touch {canary}')",
    "lambda: open('{canary}','w')",
    "1+__import__('pathlib').Path('{canary}').touch()",
]
FORMS = [
    "\\boxed{{{call}}}",
    "The final answer is {call}. I hope it is correct.",
    "The final answer is ${call}$.",
    "answer: {call}",
    "= 1 + {call}",
    "1+({call})",
    "\\boxed{{\\text{{{call}}}}}",
    "\\boxed{{\\operatorname{{{call}}}(1)}}",
    "$\\mathrm{{{call}}}(5)$",
    "\\boxed{{\\begin{{pmatrix}}{call}\\end{{pmatrix}}}}",
    "\\boxed{{x={call}}}",
]


def test_no_answer_runs_code(tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "_quick", lambda gold, answer: None)
    canary = tmp_path / "c"
    payloads = [FORMS[0].format(call=call.format(canary=canary)) for call in CALLS]
    payloads += [form.format(call=CALLS[n % 2].format(canary=canary)) for n, form in enumerate(FORMS)]
    judge([("5", payload) for payload in payloads] + [(payload, r"\boxed{5}") for payload in payloads[::4]])
    assert not canary.exists()


DEEDS = {  # and how the process ends
    "open(canary, 'w')": 5,
    "os.open(canary, os.O_CREAT)": 5,
    "os.system('touch ' + canary)": 5,
    "os.posix_spawn('/bin/true', ['true'], {})": 5,
    "os.fork()": 5,
    "os.mkdir(canary)": 5,
    "open('/etc/hostname')": 5,
    "eval('1')": 5,
    "sympy.sympify('f(x)')": 5,
    "sympy.parse_expr('x.__class__')": 5,
    "sympy.lambdify(sympy.Symbol('x'), 1)": 5,
    "import socket; socket.socket()": 5,
    "import ctypes; ctypes.CDLL(None)": 5,
    "import subprocess; subprocess.run(['true'])": 5,
    "import numpy": 7,
    "assert compare('(x+1)^2', 'x^2+2x+1', False)['strict']": 0,
    "sympy.sympify('sqrt(2) + 1')": 0,
}
GUARD = """
import importlib.util, json, os, sys
spec = importlib.util.spec_from_file_location("worker", sys.argv[1])
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
compare, canary, ends = worker._load(), sys.argv[2], {}
import sympy
for deed in json.loads(sys.argv[3]):
    code = compile(deed, worker.__file__, "exec")
    child = os.fork()
    if child == 0:
        worker._libraries += (worker.__file__,)  # where this deed claims to come from
        sys.addaudithook(worker._refuse)
        try:
            exec(code)
        except ImportError:
            os._exit(7)
        os._exit(0)
    ends[deed] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(ends))
"""


def test_the_guard_ends_the_process(tmp_path):
    """Were there a way to run code, this is what it would meet."""
    worker, canary = Path(pool.__file__).with_name("worker.py"), tmp_path / "c"
    command = [sys.executable, "-c", GUARD, str(worker), str(canary), json.dumps([*DEEDS])]
    run = subprocess.run(command, capture_output=True, text=True)
    assert json.loads(run.stdout) == DEEDS, run.stderr
    assert not canary.exists()
