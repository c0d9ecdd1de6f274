"""A thousand runs' tables take seconds, from the records to the last file, and so do their pages."""

import json
import time
from pathlib import Path

import pytest

from leaderboard.loading import load
from leaderboard.page import index
from leaderboard.selection import Archive

BENCHMARK = "tables"

pytestmark = [pytest.mark.slow(seconds=90), pytest.mark.timeout(600)]


def least(work, bound: float) -> float:
    """The processor's seconds for `work`, the least of three tries where one is not within the bound."""
    took = []
    while not took or (min(took) >= bound and len(took) < 3):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def test_tables_of_a_thousand_runs(benchmark_script, tmp_path):
    """Against the time in which this machine, however fast and however busy, reads the same lines with `json.loads`.

    That is 6 s where tables take 4 to 6, the pages of runs 5 and the page 2; there the bounds are below the 10 s and
    20 s that they were as seconds. What grows with the square of runs takes minutes.
    """
    size = benchmark_script.Size()
    assert (size.runs, size.evaluations) == (1000, 200)
    results, out = tmp_path / "results", tmp_path / "out"
    benchmark_script.make(results, size)
    unit = least(lambda: reads(results), 0)
    assert least(lambda: benchmark_script.seconds(results, out, False), 1.7 * unit) < 1.7 * unit
    built = benchmark_script.build(results, out, figures=False)
    assert least(lambda: index.write(built, out), unit) < unit
    assert (out / "index.html").stat().st_size < 5e6
    archive = Archive(load(results))
    assert least(lambda: benchmark_script.run_pages(archive, out), 3 * unit) < 3 * unit
    pages = list((out / "runs").iterdir())
    assert len(pages) == size.runs and max(page.stat().st_size for page in pages) < 250e3
    assert (out / "leaderboard.md").read_text().count("### Accuracy") == size.tasks


def reads(folder: Path) -> None:
    for path in folder.rglob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            json.loads(line)
