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
