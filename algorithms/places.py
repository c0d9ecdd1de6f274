"""Where in somebody else's code an error was raised: the line that its author can mend."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_OURS = tuple(_ROOT / room for room in ("algorithms", "tasks", "leaderboard", "harness"))
_LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))


def place(error: BaseException) -> str:
    """` (FILE, line N)` of the last frame that is neither ours nor a library's; empty where there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _strange(Path(frame.filename))]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _strange(file: Path) -> bool:
    return file.is_file() and not any(file.is_relative_to(folder) for folder in (*_OURS, *_LIBRARIES))
