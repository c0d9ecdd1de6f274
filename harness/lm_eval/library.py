"""The installed lm-evaluation-harness: found or not, kept quiet, and given its environment for one call."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ..errors import UserError

Say = Callable[[str], None]
PROGRESS_SECONDS = 10.0
_WITH_BARS = ("lm_eval.api.model", "lm_eval.api.task", "lm_eval.models.huggingface")


def version() -> str:
    """Version of the installed package. Raises UserError that names our extra where there is none."""
    try:
        import lm_eval  # noqa: F401

        return metadata.version("lm_eval")
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise UserError(
            "lm-evaluation-harness is not installed here, and `lm-eval:TASK` and `--xcheck` need it: "
            f"pip install 'groupbench[lm-eval]' ({error})"
        ) from None


def tasks_folder() -> Path:
    """Where the installed package keeps its tasks' YAML files."""
    import lm_eval

    return Path(str(lm_eval.__file__)).parent / "tasks"


class _Warnings(logging.Handler):
    """Keeps the first line of each warning, once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = " ".join(record.getMessage().split())[:300]
        if line not in self.lines:
            self.lines.append(line)


@contextmanager
def quiet(say: Say) -> Iterator[list[str]]:
    """lm-eval's log and bars become a line of `say` every 10 s; yields the list that its warnings are added to."""
    import datasets

    from ..console import quiet_libraries

    quiet_libraries()
    logger, kept = logging.getLogger("lm_eval"), _Warnings()
    before = logger.level, logger.propagate, list(logger.handlers)
    bars, caching = datasets.are_progress_bars_disabled(), datasets.is_caching_enabled()
    logger.setLevel(logging.WARNING)
    logger.propagate, logger.handlers = False, [kept]
    datasets.disable_progress_bars()
    # A task's documents are made anew at every look at them, GPQA's with shuffled choices: the cache alone makes the
    # documents that were asked those that are graded.
    datasets.enable_caching()
    try:
        with ExitStack() as stack:
            for name in _WITH_BARS:
                stack.enter_context(patch.object(importlib.import_module(name), "tqdm", _ticker(say)))
            yield kept.lines
    finally:
        logger.level, logger.propagate, logger.handlers = before
        logger.setLevel(before[0])
        if not bars:
            datasets.enable_progress_bars()
        if not caching:
            datasets.disable_caching()


def _ticker(say: Say) -> type[Any]:
    from tqdm import tqdm

    class Ticker(tqdm):
        """A progress bar whose display is a line of text now and then."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "mininterval": PROGRESS_SECONDS, "leave": False})

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            if 0 < self.n < (self.total or 0):
                say(f"lm-eval: {self.desc.removesuffix(': ') or 'working'}: {self.n} of {self.total}")

    return Ticker


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that hold inside only."""
    with patch.dict(os.environ, values):
        yield
