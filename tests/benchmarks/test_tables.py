"""A thousand runs' tables take seconds, from the records to the last file, and so do their pages."""

import time

import pytest

from leaderboard.runs import load
from leaderboard.selection import Archive

BENCHMARK = "tables"

pytestmark = [pytest.mark.slow(seconds=90), pytest.mark.timeout(600)]


def test_tables_of_a_thousand_runs(benchmark_script, tmp_path):
    size = benchmark_script.Size()
    assert (size.runs, size.evaluations) == (1000, 200)
    benchmark_script.make(tmp_path / "results", size)
    # They take 4 to 6 s, of processor time too, which a busy machine stretches less than the clock. What grows with the
    # square of runs takes minutes.
    took = []
    while not took or (min(took) >= 10 and len(took) < 3):
        began = time.process_time()
        benchmark_script.seconds(tmp_path / "results", tmp_path / "out", False)
        took.append(time.process_time() - began)
    assert min(took) < 10, took
    took, archive = [], Archive(load(tmp_path / "results"))
    while not took or (min(took) >= 20 and len(took) < 3):  # 16 s of two cores that nine processes want
        began = time.process_time()
        *_, largest = benchmark_script.run_pages(archive, tmp_path / "out")
        took.append(time.process_time() - began)
    assert min(took) < 20, took
    assert largest < 250e3 and len(list((tmp_path / "out" / "runs").iterdir())) == size.runs
    assert (tmp_path / "out" / "leaderboard.md").read_text().count("### Accuracy") == size.tasks
