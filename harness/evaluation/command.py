"""`groupbench evaluate`: everything is checked, then the model is loaded, then it is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard import checkpoints
from leaderboard.declared import suggestion
from leaderboard.evaluations import EvaluationRecord, read_items
from tasks.base import TaskError
from tasks.comparison import ComparisonTask
from tasks.open_ended import OpenEnded

from .. import lm_eval, plugins
from ..console import console, quiet_libraries, say
from ..cores import resolve_device
from ..errors import UserError
from ..rollout import engines
from ..settings import Rollout
from .asked import Asked, Changes, codec_of, resolve
from .checkpoint import Examiner, Progress
from .outside import PREFIX, Outside, checkable, crosscheck
from .subject import Subject, find

if TYPE_CHECKING:
    from ..judging.command import Judging

PRECISIONS = ("auto", "float32", "bfloat16")
SHARES = ("accuracy", "strict", "no_answer", "truncated", "timed_out")
SECONDS_BETWEEN_LINES = 10  # where there is no terminal


@dataclass(frozen=True)
class How:
    """On what machine, and how the work is cut: nothing here changes what is asked."""

    engine: str = "transformers"
    device: str = "auto"
    precision: str = "auto"
    decode_tokens: int = 65536
    plugin_files: Sequence[Path] = ()

    def examiner(self, subject: Subject) -> Examiner:
        """For a checkpoint, not loaded yet. Raises UserError for a value that is not allowed, or a missing engine."""
        for name, value, allowed in (
            ("--engine", self.engine, ("transformers", "vllm")), ("--precision", self.precision, PRECISIONS),
            ("--device", self.device, ("auto", "cpu", "cuda")),
        ):  # fmt: skip
            if value not in allowed:
                raise UserError(f"{name} {value}{suggestion(value, allowed)}")
        if self.decode_tokens < 1:
            raise UserError(f"--decode-tokens {self.decode_tokens}: must be at least 1")
        rollout = Rollout(self.engine)  # type: ignore[arg-type]
        engines.check_available(rollout)
        device = resolve_device(self.device)
        precision = self.precision
        if precision == "auto":
            precision = "bfloat16" if device == "cuda" else "float32"
        return Examiner(subject, rollout, precision, device, self.decode_tokens, Teller())


@dataclass(frozen=True)
class Beside:
    """What lm-eval does besides: settings of its tasks, and whether it grades our responses too."""

    crosscheck: bool = False
    include_path: Path | None = None
    few_shots: int | None = None
    chat: bool = False
    allow_code: bool = False

    def settings(self, names: Sequence[str], examiner: Examiner, limit: int | None) -> lm_eval.Settings:
        """For the tasks that stand behind `lm-eval:`."""
        return lm_eval.Settings(
            tuple(name.removeprefix(PREFIX) for name in names), engine=examiner.rollout.engine, device=examiner.device,
            precision=examiner.precision, limit=limit, few_shots=self.few_shots, chat=self.chat,
            include_path=self.include_path, allow_code=self.allow_code,
        )  # fmt: skip


def run(
    checkpoint: str, names: Sequence[str], settings: Sequence[str], changes: Changes, how: How, beside: Beside,
    out: Path | None, revision: str | None = None, judging: Judging | None = None,
) -> int:  # fmt: skip
    """See `groupbench evaluate`. Returns the exit code: 0, or 130 when Ctrl-C ended it, or that of judging."""
    for file in how.plugin_files:
        plugins.load_file(file)
    quiet_libraries()
    subject = find(checkpoint, revision)
    examiner = how.examiner(subject)
    folder = out or subject.default_folder
    others = [name for name in names if name.startswith(PREFIX)]
    own = [name for name in names if name not in others]
    asked = plan(subject, own, settings, changes) if own or not others else []
    checked = checkable(asked) if beside.crosscheck else []
    judge = None if judging is None else judging.prepare(asked)
    outside = Outside.prepare(beside.settings(others, examiner, changes.limit), folder, examiner)
    say(f"{subject.name}: {', '.join([*(one.key for one in asked), *others])}, into {folder}")
    try:
        written = examiner.examine(asked, folder)
        examiner.release()
        outside.run(folder, examiner)
    except KeyboardInterrupt:
        say("interrupted; what was graded is saved, and the same command goes on with it")
        return 130
    if asked:
        show(written, [one.key for one in asked])
    for one in asked:
        recorded = len(read_items(folder / one.key / "items.jsonl"))
        if recorded > len(one.examples):
            say(f"note: evaluation.json speaks of {len(one.examples)} of the {recorded} items recorded of {one.key}")
    crosscheck(checked, folder)
    say(f"wrote {folder / 'evaluation.json'}\nwrote {folder / 'evaluation.md'}")
    _write_outputs(subject.name, asked, folder)
    if judge is not None:
        return judge(folder)
    if unjudged := [one.key for one in asked if isinstance(one.task, OpenEnded)]:
        say(f"next: groupbench judge {folder} --judge …: {', '.join(unjudged)} are not scored until then")
    return 0


def _write_outputs(name: str, asked: Sequence[Asked], folder: Path) -> None:
    """Of tasks that a judge is needed for, all answers as the benchmark's own tools read them."""
    from tasks.outputs import write_outputs

    from ..judging.sides import from_evaluation

    for one in asked:
        if isinstance(one.task, ComparisonTask) and len(one.examples) == len(one.task.heldout):
            path = folder / one.key / one.task.outputs_file
            write_outputs(one.task, from_evaluation(folder, one.key, one.task).answers, name, path)
            say(f"wrote {path}")


def plan(subject: Subject, tasks: Sequence[str], settings: Sequence[str], changes: Changes) -> list[Asked]:
    """What is to be asked, checked: each of `tasks`, or the task that a cell was trained on where none is named."""
    parameters = plugins.parse_settings(settings)
    names = list(dict.fromkeys(tasks))
    if not names:
        if subject.trained_task is None:
            known = plugins.known_tasks()
            raise UserError(f"--tasks: name at least one; allowed: {', '.join(known)}; TASK@PROTOCOL for another one")
        name, trained = subject.trained_task
        parameters = {**parameters, name: {**trained, **parameters.get(name, {})}}
        names = [name]
    bases = [name.partition("@")[0] for name in names]
    for base in parameters:
        if base not in bases:
            raise UserError(f"--set {base}.…: no such task is asked{suggestion(base, bases)}")
    codec, context = codec_of(subject.source)
    found, remarks = [], []
    for name, base in zip(names, bases, strict=True):
        try:
            asked, said = resolve(name, parameters.get(base, {}), changes, codec, context)
        except TaskError as error:
            raise UserError(f"--tasks {name}: {error}") from error
        found.append(asked)
        remarks += said
    for remark in remarks:
        say(f"note: {remark}")
    return found


def show(written: EvaluationRecord, keys: Sequence[str]) -> None:
    """The numbers of the tasks that were asked, as a table."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("task", "protocol", "items", "accuracy", "95 %", "strict", "no answer", "truncated", "timed out"):
        table.add_column(title, justify="left" if title in ("task", "protocol") else "right")
    for key in keys:
        result = written["tasks"][key]
        found = result["metrics"]
        shares = {name: f"{found[name]:.1%}" if name in found else "–" for name in SHARES}
        ends = f"{found['accuracy_low']:.1%} … {found['accuracy_high']:.1%}" if "accuracy" in found else "to be judged"
        table.add_row(
            key, checkpoints.describe(result["protocol"]), str(result["items"]), shares.pop("accuracy"), ends,
            *shares.values(),
        )  # fmt: skip
    console.print(table)


@dataclass
class Pace:
    """Progress in lines: one that is rewritten on a terminal, one now and then elsewhere."""

    last: dict[str, float] = field(default_factory=dict)

    def tell(self, key: str, text: str, over: bool) -> None:
        """News of `key`; the last one is always told."""
        if console.is_terminal:
            console.print(f"\r{text}\x1b[K", end="\n" if over else "", markup=False, highlight=False, soft_wrap=True)
        elif over or time.monotonic() - self.last.get(key, float("-inf")) >= SECONDS_BETWEEN_LINES:
            self.last[key] = time.monotonic()
            say(text)


@dataclass
class Teller:
    """Progress of an evaluation."""

    pace: Pace = field(default_factory=Pace)

    def __call__(self, progress: Progress) -> None:
        """Take news of a task."""
        left = "" if progress.seconds_left is None else f", {_clock(progress.seconds_left)} left"
        score = "" if progress.accuracy is None else f", {progress.accuracy:.1%} so far"
        text = f"{progress.key}: {progress.done}/{progress.items} items{score}{left}"
        self.pace.tell(progress.key, text, progress.done == progress.items)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
