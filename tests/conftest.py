"""What tests of every room share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data that GROUPBENCH_DATA names. Without it a test is skipped; in CI it fails."""
    named = os.environ.get("GROUPBENCH_DATA")
    if named and Path(named).is_dir():
        return Path(named)
    missing = f"GROUPBENCH_DATA = {named!r} is no folder of real data"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With CI=true a skip is a failure, unless the test is for a GPU: what CI did not run, CI did not show."""
    report = (yield).get_result()
    if os.environ.get("CI") == "true" and report.skipped and item.get_closest_marker("gpu") is None:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
