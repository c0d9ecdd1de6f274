"""What tests of every room share."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

os.environ.pop("COLUMNS", None)  # a worker of pytest-xdist has it; what is printed then has no width of its own
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark_script(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The script in benchmarks/ that the test module names as BENCHMARK."""
    name = request.module.BENCHMARK
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that no process is left alone with one; `slow(seconds=…)` says about how long they are."""

    def seconds(item: pytest.Item) -> int:
        return max((marker.kwargs.get("seconds", 0) for marker in item.iter_markers("slow")), default=0)

    items.sort(key=seconds, reverse=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With CI=true a skip is a failure, but for what CI cannot have: what it did not run, it did not show."""
    report = (yield).get_result()
    excused = any(item.get_closest_marker(name) for name in ("gpu", "optional"))
    if os.environ.get("CI") == "true" and report.skipped and not excused:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


@pytest.fixture(scope="session")
def quick_precision() -> str:
    """That in which a real model takes a test's time here: some processors have no instructions for bfloat16, and take
    twenty times as long.
    """
    import torch

    return "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"
