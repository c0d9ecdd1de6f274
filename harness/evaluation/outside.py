"""lm-evaluation-harness beside our own tasks: its numbers under its own protocols, its graders on our responses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leaderboard import records
from leaderboard.evaluations import same_checkpoint

from .. import lm_eval
from ..console import say
from ..errors import UserError
from .asked import Asked
from .checkpoint import OUTSIDE, Examiner

PREFIX = "lm-eval:"


@dataclass(frozen=True)
class Outside:
    """Tasks of lm-eval that are asked, one run each: what is done stays done."""

    runs: tuple[lm_eval.Prepared, ...]

    @classmethod
    def prepare(cls, settings: lm_eval.Settings, folder: Path, examiner: Examiner) -> Outside:
        """Check every name and load its data, but for what `folder` holds already. Raises UserError."""
        if not settings.names:
            return cls(())
        names, notes = lm_eval.check_names(settings)
        for note in notes:
            say(f"note: {note}")
        found = []
        for name in names:
            single = replace(settings, names=(name,))
            if _done(folder, name, single, examiner):
                say(f"{PREFIX}{name}: done before")
            else:
                found.append(lm_eval.prepare(single, say))
        return cls(tuple(found))

    def run(self, folder: Path, examiner: Examiner) -> None:
        """Evaluate what is missing, and have all that `folder` holds in evaluation.json and evaluation.md."""
        for prepared in self.runs:
            (name,) = prepared.names
            found = lm_eval.run(prepared, examiner.subject.source, say)
            path = _path(folder, name)
            path.parent.mkdir(exist_ok=True)
            found.write_samples(path.with_suffix(".samples.jsonl"))
            records.write_json(path, {"checkpoint": examiner.record, "record": found.record})
        results: dict[str, Any] = {}
        for path in sorted((folder / OUTSIDE).glob("*.json")):
            results |= records.read_json(path)["record"]["tasks"]
        if results:
            examiner.add_outside(folder, results)


def checkable(asked: Sequence[Asked]) -> list[Asked]:
    """The tasks that lm-eval has graders for. Raises UserError where there is none, or lm-eval is missing."""
    lm_eval.version()
    found = [one for one in asked if one.task.name in lm_eval.GRADERS]
    if not found:
        names = ", ".join(one.key for one in asked) or "none of our tasks"
        raise UserError(f"--xcheck: asked is {names}; lm-eval has graders for {', '.join(lm_eval.GRADERS)}")
    return found


def crosscheck(asked: Sequence[Asked], folder: Path) -> None:
    """Grade the responses that we graded with lm-eval's graders as well; written to TASK/xcheck.md and .json."""
    for one in asked:
        place = folder / one.key
        golds = {example.id: example.answer for example in one.examples}
        blocks = (block for block in records.read_lines(place / "items.jsonl") if block["id"] in golds)
        found = lm_eval.crosscheck(one.task.name, blocks, golds)
        records.write_json(place / "xcheck.json", found)
        (place / "xcheck.md").write_text(lm_eval.crosscheck_markdown(found), encoding="utf-8")
        for scorer in found["scorers"]:
            say(f"{one.key}: {scorer['disagreements']} of {found['samples']} verdicts differ from {scorer['scorer']}'s")
        say(f"wrote {place / 'xcheck.md'}")


def _path(folder: Path, name: str) -> Path:
    return folder / OUTSIDE / f"{name.replace('/', '_')}.json"


def _done(folder: Path, name: str, settings: lm_eval.Settings, examiner: Examiner) -> bool:
    """Whether the same was asked of the same checkpoint before."""
    path = _path(folder, name)
    if not path.exists():
        return False
    there: dict[str, Any] = records.read_json(path)
    same = json.loads(json.dumps(lm_eval.recorded_settings(settings)))
    return same_checkpoint(there["checkpoint"], examiner.record) and bool(there["record"]["settings"] == same)
