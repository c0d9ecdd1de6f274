"""A checkpoint asked what a baseline was asked: same examples, same protocol, same engine and precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leaderboard import evaluations
from leaderboard.evaluations import Evaluation

from ..commands import quiet_libraries, say
from .asked import Asked, again
from .command import How
from .subject import find

FOLDER = Path("results") / "gate"


def examine_again(
    candidate: str, baseline: Evaluation, places: Mapping[str, Mapping[str, Any]] | None = None,
    plugin_files: Sequence[Path] = (),
) -> Callable[[Mapping[str, int]], Evaluation]:  # fmt: skip
    """A function from samples wanted by task key to the candidate's evaluation, which holds at least as many.

    What it asks goes to results/gate/<fingerprint>, so that a second look, or a job that starts again, only adds.
    `places`: parameters by task that say where its data lie. Raises UserError for a checkpoint that cannot be had.
    """
    quiet_libraries()
    subject = find(candidate)
    checkpoint = baseline.checkpoint
    examiner = How(checkpoint["engine"], precision=checkpoint["precision"], plugin_files=plugin_files).examiner(subject)
    folder = FOLDER / examiner.record["fingerprint"].replace(":", "-").replace("/", "_")

    def extend(samples: Mapping[str, int]) -> Evaluation:
        protocols = {key: baseline.tasks[key].protocol for key in samples}
        asked = [
            again(key, protocols[key], max(1, count), (places or {}).get(protocols[key]["task"], {}))
            for key, count in samples.items()
        ]
        say(f"{subject.name}: {_listed(asked)}, into {folder}")
        examiner.examine(asked, folder)
        return evaluations.read(folder)

    return extend


def _listed(asked: Sequence[Asked]) -> str:
    return ", ".join(f"{one.key} × {one.record['samples']}" for one in asked)
