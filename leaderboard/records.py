"""What a run leaves on disk: the files of a results folder, their schema, and how they are appended and read.

    RESULTS/benchmark.json           the cells that were planned, so that a missing one can be shown as missing
    RESULTS/tuning.json              how settings were found: a `SearchRecord` an algorithm; the trials lie in tuning/
    RESULTS/lab.json                 a `LabRecord`: what the lab found about algorithms, no run needed
    RESULTS/submissions/             what others handed in; see submissions/manifest.py
    RESULTS/cells/<id>/cell.json     resolved specification and provenance; written once, before training
                       steps.jsonl   one `StepRecord` a rollout step
                       evals.jsonl   one `EvalRecord` an evaluation, split and decoding mode
                       items.jsonl   one `ItemRecord` an evaluation, split, mode and example
                       samples.jsonl `SampleRecord`s: a few sampled texts a step, with their rewards
                       status.json   `Status`, replaced atomically
                       checkpoints/  of a running cell; see harness/checkpoint.py
                       final/        where asked for: the weights evaluated on further tasks; see finals.py
                       tensorboard/  where asked for: the steps and evaluations once more, in `<label>, seed <seed>/`

The records of a chain's stage begin with those of the stages before it: one run, whose counters go on.

Everything is plain JSON: no pandas here, so that a machine that only trains needs none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

SCHEMA = 1
ANSWERS = "answers"  # folder of a cell: what it said to be judged
RECORD_FILES = ("steps.jsonl", "evals.jsonl", "items.jsonl", "samples.jsonl")
SUBMISSION = "submission.json"  # what lies beside it, or in a folder called SUBMISSIONS, is never the user's own run
SUBMISSIONS = "submissions"
SPLITS = ("heldout", "probe")  # examples that training never sees; some that it does, to show overfitting
PHASES = ("sampling", "grading", "scoring", "update")  # what a step's seconds are split into
OFFLOAD = "offload"  # and their further part, of moving models to host memory and back; only where any moved
Axis = Literal["steps", "optimizer_steps", "prompts", "generated_tokens", "trained_tokens", "flops", "seconds"]
AXES: tuple[Axis, ...] = get_args(Axis)
Measure = Literal["accuracy", "reward", "gold"]  # what an evaluation measures of responses; see `EvalRecord`


class LeaderboardError(Exception):
    """A user's mistake, or a folder's: the message is all that is shown of it."""


class RecordError(LeaderboardError):
    """A results folder that cannot be read; the message names the file, the line and what was expected."""


class Counters(TypedDict):
    """What a run has spent so far, on every axis a table can be cut on. Evaluation is never charged."""

    steps: int  # rollout steps
    optimizer_steps: int
    prompts: int  # prompts sampled, those thrown away by dynamic sampling included
    generated_tokens: int  # sampled response tokens, thrown-away ones included
    trained_tokens: int  # response tokens that a loss saw, demonstrations included
    flops: float  # 2N a token forward, 6N a token trained (N parameters), prompts included
    seconds: float  # sampling, grading, scoring and updates, and moving models between them


class _OfChains(TypedDict, total=False):
    stage: bool  # an earlier stage of chains, and no row of any table
    budget: dict[str, Any]  # of the table that it stands in, where its own, that of a chain's last stage, is another


class _OfEarlierPlans(_OfChains, total=False):
    name: str  # of the recipe that planned it last, where a later one planned the rest of the folder
    earlier: str  # the row that a plug-in's file makes of it now that it was edited: this one is in no table


class PlannedCell(_OfEarlierPlans):
    """One cell of a benchmark as planned: enough to show it as missing."""

    id: str
    row: str  # hash of the specification without its seed: cells of one row differ in nothing but the seed
    algorithm: str
    task: str
    seed: int


class _Kind(TypedDict, total=False):
    trials: bool  # of a search for settings: left out where the folder above is read


class BenchmarkRecord(_Kind):
    """benchmark.json."""

    schema: int
    name: str  # of the recipe that was run last
    cells: list[PlannedCell]


class TrialRecord(TypedDict):
    """One setting that was tried."""

    setting: dict[str, Any]  # field -> value, as in the recipe
    label: str  # of its row in the trials' own leaderboard
    cells: list[str]  # their ids, by seed
    score: float | None  # mean over the seeds; None where a cell failed
    error: str | None


class SearchRecord(TypedDict):
    """How one algorithm's settings were found: the whole search, so that it can be judged and repeated."""

    algorithm: str  # label of the row that runs with the chosen setting
    row: str  # its hash
    space: dict[str, Any]  # as declared, the shared part included
    trials: list[TrialRecord]
    chosen: int  # index into trials
    metric: str
    seeds: list[int]
    budget: dict[str, Any]  # of each trial
    dev_share: float
    dev_examples: int


class TuningRecord(TypedDict):
    """tuning.json."""

    schema: int
    searches: list[SearchRecord]


class _Held(TypedDict, total=False):
    failing: dict[str, str]  # check of `groupbench check` that it does not pass -> what that found; plug-ins' alone


class CardRecord(_Held):
    """An algorithm's spec card, with the hyper-parameters of the run: what it computes."""

    data: dict[str, Any]  # the fields of `algorithms.card.Card`; of a chain's last stage
    words: dict[str, str]  # the same for people, in the order to be shown; of a chain, what every stage computes


class _Described(TypedDict, total=False):
    card: CardRecord  # runs of earlier versions have none


class CellRecord(_Described):
    """cell.json. `spec` is the identity (its hash is `id`), `provenance` is everything else worth knowing."""

    schema: int
    id: str
    row: str
    algorithm: str  # the label of the table's row, e.g. gift@released
    task: str
    seed: int
    spec: dict[str, Any]
    provenance: dict[str, Any]


def algorithm_name(spec: Mapping[str, Any]) -> str:
    """An algorithm's plain name, `grpo`, or those of a chain's stages, `sft+grpo`; empty where none is recorded."""
    found = [stage.get("algorithm") for stage in (*spec.get("after", ()), spec)]
    return "+".join(str(one.get("name", "") if isinstance(one, Mapping) else one or "") for one in found)


class AddedToSteps(TypedDict, total=False):
    """What runs of earlier versions have not recorded. (`NotRequired` is not seen behind postponed annotations.)"""

    mismatch: dict[str, float] | None  # an engine of other code against the trainer's log-probabilities: mean and max
    # |Δ|, k3, tokens compared; None where the trainer itself decodes, or where no group was kept
    timed_out: float  # share of sampled responses on which the grader ran out of time or memory
    reward_cut: float  # share of sampled responses whose end the reward model did not read
    stage: int  # of a chain, from 2 on: its first stage may be a run of its own as well, and says nothing


class StepRecord(AddedToSteps):
    """One rollout step; what is about training is None where no group was kept.

    Shares are in [0, 1]; seconds are of this step alone; counters are cumulative.
    """

    step: int
    counters: Counters
    reward: float  # mean over the sampled responses of the step, before shaping, thrown-away groups included
    accuracy: float | None  # the same for the verifier's strict verdict
    shaped_reward: float | None  # mean over the trained responses, after shaping
    response_tokens: float  # mean length of the sampled responses
    truncated: float  # share of sampled responses that hit the length limit
    no_answer: float  # share of sampled responses in which the grader found no answer
    groups: int  # groups trained on
    groups_discarded: int  # sampled groups that select threw away, or that were surplus after refilling
    refill_rounds: int
    zero_variance_groups: float | None  # share of the trained groups whose rewards are all equal
    responses: dict[str, int]  # trained responses by source: policy, expert, teacher
    demonstration_tokens: int
    updates: int
    updates_without_signal: int  # updates whose gradient was exactly zero
    loss: float | None  # mean over the step's updates
    grad_norm: float | None  # before clipping, mean over the step's updates
    grad_norm_max: float | None
    learning_rate: float
    metrics: dict[str, float]  # the algorithm's own: clip_fraction, sigma_s, ...
    seconds: dict[str, float]  # by PHASES, and OFFLOAD where any model moved


class AddedToEvals(TypedDict, total=False):
    """What runs of earlier versions have not recorded."""

    strict: float  # as `accuracy`, of the verdict that training sees: an answer in the form that the prompt wants
    timed_out: float
    reward: float  # mean over examples of the mean over samples; where a recipe names a reward, as the three below gold
    gold: float  # the same of what responses are truly worth, in nats; of tasks that know it, with any reward or none
    reward_cut: float
    kl: float  # KL(policy ‖ start) in nats a response, estimated on the samples; sampled mode alone
    entropy: float  # of the policy in nats a token, mean over the samples' tokens; likewise
    items: list[int]  # [start, stop): where in items.jsonl its `ItemRecord` lines lie, in bytes; see `reading.items`


class EvalRecord(AddedToEvals):
    """One evaluation of one split in one decoding mode."""

    step: int
    split: str  # of SPLITS
    mode: str  # greedy | sampled
    counters: Counters
    accuracy: float | None  # mean over examples of the mean over samples, of the verdict that tables count; None where
    # there is no verifier: tables then rank by `reward`
    examples: int
    samples: int  # per example
    truncated: float
    no_answer: float
    response_tokens: float
    seconds: float  # of the call for all splits, the share of this one's examples


def headline(record: EvalRecord) -> float | None:
    """What tables rank by: the accuracy, or the reward where there is no verifier; None without either."""
    return record.get("reward") if record["accuracy"] is None else record["accuracy"]


class AddedToItems(TypedDict, total=False):
    """What is only there where there is anything to say."""

    cluster: str  # `Task.leak_key`, where it is not the id: items of equal keys are not independent
    reward: list[float]  # one a sample; where a recipe names a reward
    gold: list[float]  # one a sample
    # Of the held-out items of a run's last evaluation, in both modes:
    prompt: str  # for people: the chat with its roles where it has several turns
    answer: str  # the reference; where there is one
    texts: list[str]  # the responses, one a sample


class ItemRecord(AddedToItems):
    """One example within one evaluation: `correct` holds one verdict a sample, and is empty without a verifier."""

    step: int
    split: str
    mode: str
    id: str
    correct: list[int]
    tokens: list[int]


class _First(TypedDict, total=False):
    prompt: str  # for people; on the first response of each group alone, and not in runs of earlier versions


class SampleRecord(_First):
    """One response of a training step."""

    step: int
    id: str  # the example's
    text: str
    reward: float
    source: str  # policy | expert | teacher


State = Literal["done", "failed", "stopped", "running"]  # stopped: asked to end, and saved; goes on when run again


class Status(TypedDict):
    """status.json."""

    state: State
    step: int
    error: str | None
    weights_start: str  # sha256 of the trained tensors; of a chain, where its last stage began
    weights_end: str | None
    seconds: float  # wall clock, evaluation included; of a chain, all stages'


class LabFinding(TypedDict):
    """One claim about one algorithm, and the number that decides it."""

    question: str
    claim: str
    source: str  # where the claim comes from, or why it should hold
    measured: float | None  # None: the claim says nothing about this algorithm
    expected: float
    tolerance: float
    relation: Literal["=", "≥"]  # measured = expected ± tolerance, or measured ≥ expected
    verdict: Literal["confirmed", "refuted", "not applicable"]
    recorded: Literal["confirmed", "refuted", "not applicable"] | None  # what it is known to be; None: not known
    meaning: str  # in plain words
    column: str  # where every algorithm is asked: the property that this answers; empty for a claim of its own
    cell: str  # and how, in a word or a number; empty where another finding says it for both


class LabCurve(TypedDict):
    """A line of the lab's figure."""

    panel: Literal["family", "steps", "rollouts"]
    name: str
    x: list[float]  # reward; optimizer steps; rollouts
    y: list[float]  # log π/π_ref less its value at reward 0, nats; K; K


class LabReport(TypedDict):
    """What the lab found about one algorithm."""

    algorithm: str
    summary: str
    unserved: str | None  # why the lab cannot run it
    findings: list[LabFinding]
    curves: list[LabCurve]


class LabRecord(TypedDict):
    """lab.json."""

    schema: int
    reports: list[LabReport]


def content_hash(content: Any) -> str:
    """A short, stable hash of JSON-able content: of a specification it is the cell's id."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def row_hash(spec: Mapping[str, Any]) -> str:
    """Hash of a specification without its seed: the cells of one row of a table have the same."""
    return content_hash({key: value for key, value in spec.items() if key != "seed"})


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Replace `path` atomically: a reader sees the old file or the new one, never half of one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def append(path: Path, records: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Append records as JSON lines in one write, so that a kill leaves at most one torn line, at the end.

    A line torn by an earlier kill is cut off first, or the new record would be glued to it. Text is escaped to ASCII:
    a model may emit what no encoding can carry. Returns the bytes that they take up, [start, stop).
    """
    lines = "".join(json.dumps(record) + "\n" for record in records).encode("ascii")
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        start = file.seek(0, os.SEEK_END)
        file.write(lines)
    return start, start + len(lines)


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each record file of a cell: a place to which `rewind` can go back."""
    return {name: path.stat().st_size if (path := folder / name).exists() else 0 for name in RECORD_FILES}


def rewind(folder: Path, earlier: Mapping[str, int]) -> None:
    """Cut the record files back to `earlier` sizes: what came later will be written again. All of them, or none.

    Raises RecordError where a file is shorter than it was: records are lost, and cutting cannot bring them back.
    """
    for name, size in earlier.items():
        path = folder / name
        there = path.stat().st_size if path.exists() else 0
        if there < size:
            raise RecordError(f"{path} has {there} bytes and had {size}")
    for name, size in earlier.items():
        if (path := folder / name).exists():
            os.truncate(path, size)


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises RecordError that names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: not readable as JSON ({error})") from None


def read_lines(path: Path, start: int = 0) -> Iterator[Any]:
    """The records of a JSON-lines file from byte `start` on, a line's first; nothing where the file is missing.

    A torn last line is left out. Raises RecordError, which names the line (counted from `start`), for any other.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            if number == len(lines):  # no newline after it: the writer was killed here
                return
            raise RecordError(f"{path}, line {number}: not a JSON record ({error})") from None


def find_cells(results: Path) -> list[Path]:
    """The cell folders below `results` (or `results` itself), sorted. Raises RecordError where there are none."""
    if not results.is_dir():
        raise RecordError(f"{results}: no such folder; `groupbench run RECIPE` makes one")
    cells = sorted(path.parent for path in results.rglob("cell.json"))
    if not cells and not list(results.rglob("benchmark.json")):
        raise RecordError(f"{results}: holds no run (no cell.json below it); `groupbench run RECIPE` makes one")
    return cells
