"""One process or two, the same gradient: ranks hold whole groups, unevenly many, cut into unevenly many parts."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from algorithms.conformance.toy import prepared
from algorithms.registry import names

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("ranks.py")
SECONDS = 120  # that the pair of processes may take, imports included
# Through a real causal LM: a clipped ratio, raw log-probabilities, two passes.
LANGUAGE = ("grpo", "gft", "gift@published")
# Groups of the five that rank 0 holds, and how many parts each rank makes of its rows; rank 1 holds the rest.
SHARES = {
    "one part and five": ([2], 1, 5),
    "seven parts and one": ([0, 3, 4], 7, 1),
    "a rank without rows": ([], 0, 3),
}

pytestmark = pytest.mark.timeout(SECONDS + 60)


def shares(batch, groups_of_first, *parts):
    """Per rank its rows, in an order that mixes groups, and their cut into so many parts, which splits groups."""
    generator = torch.Generator().manual_seed(0)
    first = torch.isin(batch.group, torch.tensor(groups_of_first, dtype=torch.int64))
    found = []
    for held, count in zip((first, ~first), parts, strict=True):
        rows = torch.nonzero(held).flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        found.append((rows, list(torch.arange(len(rows)).tensor_split(count)) if count else []))
    return found


def torn(batch):
    """Every group on both ranks: what `shares` never does."""
    return [(rows, [torch.arange(len(rows))]) for rows in (torch.arange(k, batch.responses, 2) for k in (0, 1))]


def language_job(lab, worker, name):
    """The tiny model on random tokens, beside an old policy and a reference that differ a little from it."""
    from harness.policy import Row

    algorithm = lab.build(name)
    batch, _ = lab.ragged_batch(4, groups=5, dtype=torch.float32)
    generator = torch.Generator().manual_seed(4)
    ids = [torch.randint(3, 19, (n,), generator=generator).tolist() for n in batch.lengths.tolist()]
    rows = [Row([5, 6, 7 + group], response) for group, response in zip(batch.group.tolist(), ids, strict=True)]
    with torch.no_grad():
        logp = worker.Language(rows, algorithm)(torch.arange(len(rows))).logp
    drift = 0.1 * torch.sin(torch.arange(batch.tokens))
    batch = prepared(algorithm, replace(batch, logp_old=logp + drift, logp_ref=logp - drift))
    return {"algorithm": algorithm, "batch": batch, "rows": rows, "shares": shares(batch, [2], 1, 5)}


@pytest.fixture(scope="module")
def worker():
    spec = importlib.util.spec_from_file_location("ranks", WORKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def jobs(lab, worker):
    """Everything that the two processes are to do, by algorithm and case; the mistakes are named as such."""
    found = {}
    for name in names(built_in=True):
        algorithm = lab.build(name)
        batch, signals = lab.ragged_batch(3, groups=5)
        batch = prepared(algorithm, batch)
        job = {"algorithm": algorithm, "batch": batch, "signals": signals}
        for case, (groups, *parts) in SHARES.items():
            found[name, case] = job | {"shares": shares(batch, groups, *parts)}
        whole = job | {"shares": shares(batch, [2], 1, 1)}
        found[name, "DDP"] = whole | {"ddp": True}
        found[name, "own totals"] = whole | {"own_totals": True}
        if name == "gift@published":
            found[name, "torn"] = job | {"shares": torn(batch)}
    return found | {(name, "language"): language_job(lab, worker, name) for name in LANGUAGE}


@pytest.fixture(scope="module")
def on_two(jobs, tmp_path_factory):
    """The gradient and the loss of every job, as two processes made them."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(jobs, folder / "jobs.pt")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    logs = [(folder / f"{rank}.log").open("w+") for rank in (0, 1)]
    ranks = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), "2", str(folder)],
            env=os.environ | {"PYTHONPATH": path}, stdout=log, stderr=subprocess.STDOUT,
        )
        for rank, log in enumerate(logs)
    ]  # fmt: skip
    deadline = time.monotonic() + SECONDS
    try:
        # As soon as one fails, its message counts, and not that the other waited for it in vain.
        while any(r.poll() is None for r in ranks) and not any(r.poll() for r in ranks):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        codes = [r.poll() for r in ranks]
    finally:
        for r in ranks:
            r.kill()
            r.wait()
    for rank, (code, log) in enumerate(zip(codes, logs, strict=True)):
        log.seek(0)
        state = f"did not end in {SECONDS} s" if code is None else f"ended with {code}"
        assert code == 0 or (code is None and any(codes)), f"rank {rank} {state}:\n{log.read()}"
        log.close()
    results = [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]
    for key in jobs:
        assert torch.equal(results[0][key][0], results[1][key][0]), f"{key}: the ranks do not agree"
    return results[0]


@pytest.fixture(scope="module")
def on_one(jobs, worker):
    """The same by one process that holds the whole batch, in one part."""
    found = {}

    def run(key):
        if key not in found:
            rows = torch.arange(jobs[key]["batch"].responses)
            found[key] = worker.gradient(jobs[key] | {"own_totals": False}, (rows, [rows]))
        return found[key]

    return run


def difference(found, expected):
    """Relative, of two gradients."""
    assert expected.norm() > 0
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("case", SHARES)
def test_two_processes_make_the_gradient_of_one(on_two, on_one, algorithm_name, case):
    (found, loss), (expected, whole) = on_two[algorithm_name, case], on_one((algorithm_name, case))
    assert difference(found, expected) <= 1e-9
    assert loss.value.item() == pytest.approx(whole.value.item(), rel=1e-9)
    assert set(loss.metrics) == set(whole.metrics)
    for name, metric in loss.metrics.items():
        assert float(metric.numerator) == pytest.approx(float(whole.metrics[name].numerator), abs=1e-9)
        assert int(metric.count) == int(whole.metrics[name].count)


@pytest.mark.parametrize("name", LANGUAGE)
def test_two_processes_make_a_language_models_gradient(on_two, on_one, name):
    (found, loss), (expected, whole) = on_two[name, "language"], on_one((name, "language"))
    assert difference(found, expected) <= 1e-6  # log-probabilities are float32
    assert loss.value.item() == pytest.approx(whole.value.item(), rel=1e-5)


def test_the_mean_over_ranks_is_caught(on_two, on_one, algorithm_name):
    """DDP averages: under it, a loss that is divided by the step's totals is to be multiplied by the world size."""
    (found, _), (expected, _) = on_two[algorithm_name, "DDP"], on_one((algorithm_name, "DDP"))
    assert difference(found, expected) > 0.1
    assert difference(2 * found, expected) <= 1e-9


def test_a_ranks_own_divisor_is_caught(on_two, on_one, algorithm_name):
    """Neither the sum nor the mean over ranks mends a loss that each rank divided by what it happened to hold."""
    (found, _), (expected, _) = on_two[algorithm_name, "own totals"], on_one((algorithm_name, "own totals"))
    assert difference(found, expected) > 1e-2
    assert difference(found / 2, expected) > 1e-2


def test_a_group_on_two_ranks_is_caught(on_two, on_one):
    """Why a rank holds whole groups: a loss that couples them cannot be computed on half a group."""
    key = "gift@published", "torn"
    assert difference(on_two[key][0], on_one(key)[0]) > 1e-2


def test_no_algorithm_couples_the_whole_batch(lab, algorithm_name):
    """Such a one could not be shared out to ranks by groups: the trainer would have to gather the signals first."""
    assert lab.build(algorithm_name).couples in {"response", "group"}
