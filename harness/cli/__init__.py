"""The command line. Heavy packages are imported inside the commands, so that `--help` is instant."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from .app import app

# isort: off
from . import training, checkpoints, judging, boards, questions  # the order in which --help has them

# isort: on

__all__ = ["app", "boards", "checkpoints", "judging", "main", "questions", "training"]


def main() -> None:
    """Run the console script; a user's mistake ends in one paragraph and exit code 2."""
    refuse_shadows()
    from leaderboard.records import LeaderboardError
    from tasks.base import TaskError  # light, like the two below

    from ..errors import UserError

    try:
        app()
    except (UserError, TaskError, LeaderboardError) as error:
        print(f"groupbench: {error}", file=sys.stderr)
        sys.exit(2)


def refuse_shadows() -> None:
    """Stop when another package of the same name stands before ours on the import path."""
    home = Path(__file__).resolve().parents[2]
    for name in ("algorithms", "tasks", "leaderboard"):
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != home / name:
            place = found or (list(spec.submodule_search_locations or [])[:1] if spec else "nowhere")
            sys.exit(
                f"groupbench: the package {name!r} is found at {place}, not at {home / name}: another package of that "
                "name shadows ours. Run from another folder, or remove it from PYTHONPATH"
            )
