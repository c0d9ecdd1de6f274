"""`groupbench gate`: read a baseline and a candidate, let leaderboard/gate decide, write what CI reads.

An exit code of 1 says "a regression was shown" and nothing else: whatever fails on the way ends in 2 or 3.
"""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from rich.table import Table
from rich.text import Text

from leaderboard import evaluations, gate
from leaderboard.evaluations import Evaluation
from leaderboard.export.junit import junit
from leaderboard.gate import report as reports
from leaderboard.records import LeaderboardError, RecordError, read_lines
from tasks.base import TaskError

from .console import console, say
from .errors import UserError

SELF_TEST = "In %; at a true loss of so many pp: fails / passes. What neither fails nor passes is inconclusive."


@dataclass(frozen=True)
class Outputs:
    """What is written besides the terminal, where a path is given."""

    junit: Path | None = None
    summary: Path | None = None
    json: Path | None = None


@dataclass(frozen=True)
class Update:
    """Whether the candidate becomes the baseline, even against the verdict, and why; or the first one."""

    wanted: bool = False
    force: bool = False
    reason: str = ""
    create: bool = False


@dataclass(frozen=True)
class Asking:
    """How a candidate that is a checkpoint is evaluated, as far as the baseline does not say."""

    settings: Sequence[str] = ()  # TASK.PARAMETER=VALUE: where a task's data lie
    device: str = "auto"
    plugin_files: Sequence[Path] = ()


def run(
    candidate: str | None,
    baseline: Path | None,
    config: Path | None,
    outputs: Outputs,
    update: Update,
    allowed: bool = False,
    repetitions: int | None = None,
    asking: Asking | None = None,
) -> int:
    """See `groupbench gate`. Returns the exit code; raises UserError or LeaderboardError, which are code 2."""
    try:
        return _run(candidate, baseline, config, outputs, update, allowed, repetitions, asking or Asking())
    except (UserError, TaskError, LeaderboardError):
        raise
    except KeyboardInterrupt:
        return 130
    except Exception:  # of an engine, a full disk, ourselves: an uncaught one would exit with 1, a regression
        traceback.print_exc()
        say("gate: the evaluation or the gate itself broke down (exit 3); this says nothing of the candidate")
        return 3


def _run(
    candidate: str | None,
    baseline: Path | None,
    config_path: Path | None,
    outputs: Outputs,
    update: Update,
    allowed: bool,
    repetitions: int | None,
    asking: Asking,
) -> int:
    _check_usage(candidate, config_path, update, repetitions)
    config = gate.load(config_path) if config_path else None
    path = baseline or (Path(config.baseline) if config and config.baseline else None)
    if path is None:
        raise UserError("gate: no baseline: pass --baseline FILE, or write `baseline: FILE` into the gate config")
    _check_place(path, update)
    if update.create:
        assert candidate is not None
        return _create(candidate, path, config, outputs)
    if config is None:
        raise UserError("gate: --config FILE is missing: a gate.yaml that names metrics and margins; see docs/gate.md")
    before = evaluations.read(path)
    if repetitions is not None:
        return _self_test(config, before, repetitions, outputs)
    assert candidate is not None
    report, folder = _decide(config, before, candidate, asking)
    report = replace(report, provenance=_provenance(path))
    _show(report, allowed)  # first: it may have taken hours, and a path may not be writable
    _write(report, outputs, allowed, _seconds(folder))
    if update.wanted:
        refused = _update(report, path, update)
        if refused and report.code == 0:
            return 2
    return 0 if allowed and report.code == 4 else report.code


def _check_usage(candidate: str | None, config: Path | None, update: Update, repetitions: int | None) -> None:
    if repetitions is not None and (candidate or update.wanted or update.create):
        given = "--candidate, --update-baseline and --create-baseline"
        raise UserError(f"gate: --aa tests the gate on the baseline alone: leave out {given}")
    if update.create and update.wanted:
        raise UserError("gate: --create-baseline writes the first one, --update-baseline replaces it: give one of them")
    if repetitions is None and candidate is None:
        raise UserError("gate: --candidate is missing: an evaluation's folder, or a checkpoint")
    if update.force and not update.wanted:
        raise UserError("gate: --force says that the baseline is updated in any case: it needs --update-baseline")
    if update.force and not update.reason.strip():
        raise UserError("gate: --force needs --reason TEXT, which is recorded in the baseline")
    if update.reason and not update.force:
        raise UserError("gate: --reason is that of --force, which is missing")


def _check_place(path: Path, update: Update) -> None:
    """Whether a baseline may be written to `path`, before anything is read."""
    if update.create and path.exists():
        raise UserError(f"gate: {path} is there already: --create-baseline writes no second one; see --update-baseline")
    if update.wanted and path.is_dir():
        raise UserError(f"gate: {path} is a folder: --update-baseline writes a file, such as baselines/main.json.gz")
    if update.wanted and not path.exists():
        raise UserError(f"gate: {path}: no such baseline to update; if there never was one: --create-baseline")


def _decide(config: gate.Config, before: Evaluation, candidate: str, asking: Asking) -> tuple[gate.Report, Path]:
    """The decision, and the folder of the candidate's evaluation."""
    path = _folder(candidate)
    if not _is_evaluation(path):
        from .evaluation.again import examine_again

        again = examine_again(candidate, before, asking.settings, asking.device, asking.plugin_files)
        return gate.decide(config, before, None, again), again.folder
    try:
        return gate.decide(config, before, _read(path)), path
    except RecordError as error:
        return gate.unreadable(config, before, str(error)), path


def _folder(candidate: str) -> Path:
    """Of an evaluation that is named by its folder or by its evaluation.json."""
    path = Path(candidate)
    return path.parent if path.name == "evaluation.json" else path


def _is_evaluation(path: Path) -> bool:
    """Whether somebody began an evaluation there, finished or not; a baseline file counts as one."""
    return path.is_file() or (path / "evaluation.json").exists() or any(path.glob("*/protocol.json"))


def _read(path: Path) -> Evaluation:
    try:
        return evaluations.read(path)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path}: not an evaluation as `groupbench evaluate` writes it ({error!r})") from None


def _create(candidate: str, path: Path, config: gate.Config | None, outputs: Outputs) -> int:
    """The first baseline: nothing to compare with, but it must be complete, and what a config says of one alone."""
    if not _is_evaluation(_folder(candidate)):
        raise UserError(f"gate: --candidate {candidate}: a first baseline is made of an evaluation's folder")
    try:
        found = _read(_folder(candidate))
    except RecordError as error:
        say(f"NOT CREATED (exit 3): {error}")
        return 3
    problems = gate.alone(config, found)
    if outputs != Outputs():
        say("note: --junit, --summary and --json are for a decision; --create-baseline makes none")
    if code := gate.worst(problem.code for problem in problems if problem.gated):
        say(f"NOT CREATED (exit {code}): no baseline written")
    for problem in problems:
        say(f"  {problem.text}" if problem.gated else f"  warning: {problem.text}")
    if code:
        return code
    evaluations.write_baseline(path, found)
    said = ", ".join(f"{task} ({len(held.items):,} items)" for task, held in found.tasks.items())
    say(f"CREATED: there was no baseline; {path} is now {found.checkpoint['name']}: {said}. Nothing was compared")
    return 0


def _update(report: gate.Report, path: Path, update: Update) -> bool:
    """Make the candidate the baseline; returns whether that was refused."""
    candidate = report.candidate
    if candidate is None or any(problem.fatal and problem.code == 3 for problem in report.problems):
        say("baseline not updated: an incomplete evaluation cannot be one, --force or not")
        return True
    if report.code and not update.force:
        say(f"baseline not updated: exit {report.code}; --force --reason TEXT does it in any case")
        return True
    smaller = [
        f"{task} {len(candidate.tasks[task].items) if task in candidate.tasks else 0:,} of {len(held.items):,} items"
        for task, held in report.baseline.tasks.items()
        if task not in candidate.tasks or len(candidate.tasks[task].items) < len(held.items)
    ]
    if smaller and not update.force:
        say(f"baseline not updated: the candidate holds less of it: {', '.join(smaller)} (--force --reason TEXT)")
        return True
    note = f"exit {report.code}: {update.reason.strip()}" if update.force else ""
    evaluations.write_baseline(path, replace(candidate, note=note))
    say(f"baseline updated: {path} is now {candidate.checkpoint['name']}" + (f" ({note})" if note else ""))
    return False


def _self_test(config: gate.Config, before: Evaluation, repetitions: int, outputs: Outputs) -> int:
    if problems := gate.check(config, before, None, "k"):
        for problem in problems:
            say(problem.text)
        return gate.worst(problem.code for problem in problems)
    found = gate.simulate(config, before, repetitions)
    header, lines = reports.rates_table(found)
    unchanged = found[gate.WHOLE][0]
    stopped, passed = unchanged.failed / repetitions, unchanged.passed / repetitions
    say(f"A/A: {stopped:.1%} of {repetitions:,} gates stop an unchanged checkpoint, {passed:.1%} pass it")
    _table(header, lines)
    say(f"{SELF_TEST} What was simulated: docs/gate.md")
    if outputs.summary:
        _append(outputs.summary, f"## Gate: A/A\n\n{reports.markdown_table(header, lines)}\n\n{SELF_TEST}\n")
    if outputs.json:
        _replace(outputs.json, json.dumps(reports.rates_data(found), indent=1) + "\n")
    if outputs.junit:
        say("note: --junit is for a decision; --aa makes none")
    return 0


def _show(report: gate.Report, allowed: bool) -> None:
    say(reports.verdict_line(report, allowed))
    _table(reports.HEADER, reports.rows(report))
    for remark in reports.remarks(report):
        say(f"  {remark}")


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for number, title in enumerate(header):
        table.add_column(Text(title), justify="left" if number == 0 else "right", overflow="fold")
    for cells in lines:
        table.add_row(*map(Text, cells))
    console.print(table)


def _write(report: gate.Report, outputs: Outputs, allowed: bool, seconds: float | None) -> None:
    if outputs.junit:
        _replace(outputs.junit, junit(report, allowed, seconds))
    if outputs.json:
        _replace(outputs.json, json.dumps(reports.as_data(report, allowed), indent=1, allow_nan=False) + "\n")
    if outputs.summary:
        there = outputs.summary.stat().st_size if outputs.summary.exists() else 0
        _append(outputs.summary, reports.markdown(report, allowed, max(0, reports.MOST - there)))


def _append(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"gate: {path}: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    """Write a file as a whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"gate: {path}: {error.strerror}") from None


def _provenance(path: Path) -> dict[str, str]:
    """What is true of this gate besides the two checkpoints."""
    data = path.read_bytes() if path.is_file() else (path / "evaluation.json").read_bytes()
    found = {"baseline file": f"{path.name}, sha256 {hashlib.sha256(data).hexdigest()[:16]}"}
    found["groupbench"] = version("groupbench")
    return found | ({"commit": commit} if (commit := os.environ.get("GITHUB_SHA")) else {})


def _seconds(folder: Path) -> float | None:
    """What the candidate's evaluation took, if it says so."""
    try:  # a clock: whatever is odd about it is no reason for a verdict, and none against one
        seconds = [float(line["seconds"]) for line in read_lines(folder / "sessions.jsonl")]
    except (LeaderboardError, OSError, ValueError, TypeError, KeyError):
        return None
    return sum(seconds) if seconds and all(0 <= one < float("inf") for one in seconds) else None
