"""submission.json: what a submission says of itself and of its files, and where these may lie.

    FOLDER/submission.json                                   a `Manifest`
           benchmark.json                                    the plan, of the rows that are submitted
           tuning.json                                       their searches, where settings were searched for
           cells/<id>/cell.json, status.json                 as a run leaves them, less what names its machine
           cells/<id>/steps.jsonl.gz, evals.jsonl.gz, items.jsonl.gz
           cells/<id>/samples.jsonl.gz                       with the texts alone
           cells/<id>/final/evaluation.json                  where it was evaluated on final tasks,
           cells/<id>/final/<task>/items.jsonl.gz            less what a majority voted
           start/<hash>/start.json, final/…                  and the same of what it started from
           judged/<task>/<hash>/judged.json, pairs.jsonl.gz, games.jsonl.gz

The folder is called by the submission's name. Nothing else lies in it: no weights, no checkpoint, no link.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..finals import FOLDER as FINALS
from ..finals import START
from ..records import RECORD_FILES, SUBMISSION, SUBMISSIONS, content_hash

SCHEMA = 1
FILE, FOLDER = SUBMISSION, SUBMISSIONS
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ID = re.compile(r"[0-9a-f]{16}")
WORD = r"[A-Za-z0-9][A-Za-z0-9@.+_-]{0,99}"
TASK = re.compile(r"[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]{0,99}")  # a final task's folder
RECORDS = tuple(name for name in RECORD_FILES if name != "samples.jsonl")  # a cell without one is incomplete
SAMPLES = "samples.jsonl"
_LINES = "|".join(re.escape(name) for name in RECORD_FILES)
_EVALUATED = rf"(?:cells|{START})/{ID.pattern}/{FINALS}"
LAYOUT = re.compile(
    rf"benchmark\.json|tuning\.json|cells/{ID.pattern}/(?:cell\.json|status\.json|(?:{_LINES})\.gz)"
    rf"|{_EVALUATED}/(?:evaluation\.json|{TASK.pattern}/items\.jsonl\.gz)|{START}/{ID.pattern}/start\.json"
    rf"|judged/{WORD}/[0-9a-f]{{12}}/(?:judged\.json|pairs\.jsonl\.gz|games\.jsonl\.gz)"
)
FOLDERS = re.compile(
    rf"(?:cells|{START})(?:/{ID.pattern})?|{_EVALUATED}(?:/{TASK.pattern})?"
    rf"|judged(?:/{WORD}(?:/[0-9a-f]{{12}})?)?"
)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file as it lies on disk; `unpacked`: bytes of what a .gz holds, else as `size`."""

    path: str
    size: int
    unpacked: int
    sha256: str


class PackedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a table."""

    row: str
    label: str
    algorithm: str
    task: str
    seeds: list[int]
    left_out: list[int]  # seeds that its benchmark planned besides, and that are not here
    cells: list[str]  # ids, by seed
    scores: dict[str, float]  # of the last evaluations, means over seeds: `heldout/sampled/accuracy`; of final tasks,
    # `final/TASK/accuracy`


class PackedVerdicts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a judge said of one candidate against one opponent."""

    folder: str
    task: str
    candidate: str
    opponent: str
    judge: str
    share: float | None  # the candidate's mean share of the pairs, in [0, 1]; None where no game was read


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """submission.json. `id` is a hash of all the rest, so that two submissions of one id are the same to the byte."""

    schema: int
    id: str
    name: str
    by: str  # who made it, as they call themselves; empty: not said
    note: str
    benchmark: str
    rows: list[PackedRow]
    verdicts: list[PackedVerdicts]
    texts: bool  # whether prompts and responses are there: without them nobody can grade again
    commits: list[str]  # of the code that ran; a + where its tree had changes of its own
    versions: dict[str, list[str]]  # of groupbench, torch, …, python
    scrubbed: list[str]  # what was taken out of the records: for people
    files: list[File]

    @property
    def dirty(self) -> bool:
        """Whether some of it was run with code that no commit holds."""
        return any(commit.endswith("+") for commit in self.commits)

    @property
    def size(self) -> int:
        """Bytes of all files, this one not counted."""
        return sum(file.size for file in self.files)


def identified(manifest: Manifest) -> Manifest:
    """The manifest with its id."""
    return msgspec.structs.replace(manifest, id=identity(manifest))


def identity(manifest: Manifest) -> str:
    """What its id should be."""
    built: dict[str, Any] = msgspec.to_builtins(manifest)
    return content_hash({key: value for key, value in built.items() if key != "id"})
