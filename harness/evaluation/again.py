"""A checkpoint asked what a baseline was asked: same examples, same protocol, same engine and precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard import evaluations
from leaderboard.evaluations import Evaluation

from .. import plugins
from ..commands import quiet_libraries, say
from .asked import again
from .checkpoint import Examiner
from .command import How, parse_settings
from .subject import find

FOLDER = Path("results") / "gate"


@dataclass(frozen=True)
class Again:
    """Called with samples wanted by task key, returns the candidate's evaluation, which holds at least as many.

    It is kept in results/gate/<fingerprint>, so that a second look, or a job that starts again, only adds.
    """

    examiner: Examiner
    baseline: Evaluation
    places: Mapping[str, Mapping[str, Any]]  # by task: parameters that say where its data lie

    @property
    def folder(self) -> Path:
        """Of the evaluation."""
        return FOLDER / self.examiner.record["fingerprint"].replace(":", "-").replace("/", "_")

    def __call__(self, samples: Mapping[str, int]) -> Evaluation:
        """Ask what is missing. Raises UserError where the task's data are not those of the baseline any more."""
        asked = []
        for key, count in samples.items():
            protocol = self.baseline.tasks[key].protocol
            asked.append(again(key, protocol, max(1, count), self.places.get(protocol["task"], {})))
        listed = ", ".join(f"{one.key} × {one.record['samples']}" for one in asked)
        say(f"{self.examiner.subject.name}: {listed}, into {self.folder}")
        self.examiner.examine(asked, self.folder)
        return evaluations.read(self.folder)


def examine_again(
    candidate: str, baseline: Evaluation, settings: Sequence[str] = (), device: str = "auto",
    plugin_files: Sequence[Path] = (),
) -> Again:  # fmt: skip
    """For a checkpoint that is not loaded yet. Raises UserError where it cannot be had.

    `settings`: `TASK.PARAMETER=VALUE`, for parameters that say where the data lie. Engine and precision are the
    baseline's.
    """
    for file in plugin_files:
        plugins.load_file(file)
    quiet_libraries()
    engine, precision = baseline.checkpoint["engine"], baseline.checkpoint["precision"]
    examiner = How(engine, device, precision).examiner(find(candidate))
    return Again(examiner, baseline, parse_settings(settings))
