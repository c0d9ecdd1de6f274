"""A checkpoint asked what a baseline was asked: same examples, same protocol, same engine and precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard import evaluations
from leaderboard.evaluations import Evaluation
from leaderboard.records import content_hash

from .. import plugins
from ..console import quiet_libraries, say
from .asked import again, codec_of
from .checkpoint import Examiner
from .command import How
from .subject import find

FOLDER = Path("results") / "gate"


@dataclass(frozen=True)
class Again:
    """Called with samples wanted by task key, returns the candidate's evaluation, which holds at least as many.

    It is kept in results/gate, by what is asked of which weights, so that a second look, or a job that starts again,
    only adds, and another baseline has a folder of its own.
    """

    examiner: Examiner
    baseline: Evaluation
    places: Mapping[str, Mapping[str, Any]]  # by task: parameters that say where its data lie

    @property
    def folder(self) -> Path:
        """Of the evaluation."""
        record = self.examiner.record
        protocols = {key: {**task.protocol, "samples": 0} for key, task in sorted(self.baseline.tasks.items())}
        weights = record["fingerprint"].replace(":", "-").replace("/", "_")
        return FOLDER / f"{weights}-{content_hash([record['engine'], record['precision'], protocols])[:8]}"

    def __call__(self, samples: Mapping[str, int]) -> Evaluation:
        """Ask what is missing. Raises UserError where the task's data are not those of the baseline any more."""
        asked, reads = [], codec_of(self.examiner.subject.source)
        for key, count in samples.items():
            protocol = self.baseline.tasks[key].protocol
            asked.append(again(key, protocol, max(1, count), self.places.get(protocol["task"], {}), *reads))
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
    return Again(examiner, baseline, plugins.parse_settings(settings))
