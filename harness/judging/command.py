"""`groupbench judge` and the judging half of `groupbench evaluate`: all is checked, then the judge is asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from leaderboard.declared import suggestion
from leaderboard.evaluations import comparable
from leaderboard.export.terminal import Plain
from leaderboard.verdicts import Judged
from leaderboard.winrates.pairs import read_pairs
from leaderboard.winrates.table import table
from tasks.comparison import ComparisonTask
from tasks.judges.base import JudgeStopped
from tasks.judges.cache import Cache
from tasks.judges.prices import Price
from tasks.judges.results import Estimate, Progress
from tasks.open_ended import OpenEnded

from .. import plugins
from ..console import console, quiet_libraries, say
from ..cores import resolve_device
from ..errors import UserError
from ..evaluation import command as evaluation
from ..evaluation.asked import Asked, Changes
from ..evaluation.subject import find
from ..lock import Held, lock
from ..plugins import build_task
from . import judging, panel, sides
from .judging import How, Match, Purse
from .panel import Panel, Wanted
from .side import side_file
from .sides import Side

UNCACHED = ("gold", "mock", "replay")  # they have their replies at hand
INCOMPLETE = 3  # exit code: a judge stopped answering, or a number had to be refused; the same command goes on


@dataclass(frozen=True)
class Judging:
    """The judge's options as the command line has them, not checked yet."""

    judge: str
    options: Sequence[str] = ()  # KEY=VALUE
    prompt: str = panel.AUTO
    policy: str | None = None
    one_order: bool = False
    cap_chars: int | None = None
    price: str | None = None  # IN,OUT
    max_cost: float | None = None
    dry_run: bool = False
    cache: Path = Path("results/judge-cache")
    device: str = "auto"
    precision: str = "auto"

    def wanted(self) -> Wanted:
        """Raises UserError for a value that is not allowed."""
        if self.precision not in evaluation.PRECISIONS:
            raise UserError(f"--precision {self.precision}{suggestion(self.precision, evaluation.PRECISIONS)}")
        device = resolve_device(self.device)
        precision = self.precision
        if precision == "auto":
            precision = "bfloat16" if device == "cuda" else "float32"
        options = _options(self.options)
        return Wanted(self.judge, options, self.prompt, self.policy, device, precision)

    def prepare(self, asked: Sequence[Asked]) -> Callable[[Path], int]:
        """What judges an evaluation's folder against each task's own baseline, once it is made.

        Raises UserError, or the judge's own, before anything is asked of a checkpoint.
        """
        wanted, how = self.wanted(), self.how()
        tasks = {one.key: one.task for one in asked if isinstance(one.task, ComparisonTask)}
        if not tasks:
            raise UserError("--judge: no task is asked whose answers are compared: alpaca_eval, arena_hard")
        examples = {one.key: one.examples for one in asked}
        for key, task in tasks.items():
            panel.panel(wanted, task, examples[key]).check()

        def judge(folder: Path) -> int:
            matches = [
                Match(key, task, sides.from_evaluation(folder, key, task), sides.baseline(task), official=True)
                for key, task in tasks.items()
            ]
            return judge_all(matches, wanted, how, self, [folder / key / "judged" for key in tasks])

        return judge

    def how(self) -> How:
        """Raises UserError for a value that is not allowed."""
        found, price = How(orders=1 if self.one_order else 2), None
        if self.cap_chars is not None:
            found = replace(found, cap_chars=self.cap_chars)
        if self.price is not None:
            try:
                prompt, completion = map(float, self.price.split(","))
                price = Price(prompt, completion, "--price")
            except ValueError:
                raise UserError(
                    f"--price {self.price}: expected IN,OUT, US dollars for a million tokens, e.g. 2,8"
                ) from None
        local = self.judge.partition(":")[0] in panel.LOCAL
        on_gpu = local and resolve_device(self.device) == "cuda"
        return replace(found, purse=Purse(self.max_cost, price), on_gpu=on_gpu)


def run(
    candidate: str, opponent: str | None, names: Sequence[str], settings: Sequence[str], asked: Judging,
    out: Path | None, plugin_files: Sequence[Path] = (),
) -> int:  # fmt: skip
    """See `groupbench judge`. Returns the exit code."""
    for file in plugin_files:
        plugins.load_file(file)
    quiet_libraries()
    wanted, how = asked.wanted(), asked.how()
    parameters = plugins.parse_settings(settings)
    for base in parameters:
        if base not in plugins.known_tasks():
            raise UserError(f"--set {base}.…: no such task{suggestion(base, plugins.known_tasks())}")
    if asked.dry_run and not all(_answered(name) for name in (candidate, opponent) if name):
        raise UserError("--dry-run: what checkpoints answer is not known before; evaluate them, and name the folders")
    places = [_place(name, names, settings, asked) for name in (candidate, opponent) if name is not None]
    matches = list(_matches(places, names, parameters))
    folders = [_folder(places, match, out) for match in matches]
    return judge_all(matches, wanted, how, asked, folders)


def judge_all(matches: Sequence[Match], wanted: Wanted, how: How, asked: Judging, folders: Sequence[Path]) -> int:
    """Judge each match into a folder of the judge's name below its own."""
    panels = [panel.panel(wanted, match.task, match.examples) for match in matches]
    refused = False
    with _cache(wanted, asked) as cache:
        if asked.dry_run:
            for match, one in zip(matches, panels, strict=True):
                _show_estimate(match, one, judging.estimate(match, one, cache, how))
            return 0
        for match, one, place in zip(matches, panels, folders, strict=True):
            folder = place / judging.slug(one, how)
            identity = one.identity
            by = f"{identity.model} ({one.prompt or identity.kind})"
            say(f"{match.title}: {len(match.examples)} pairs, judged by {by}")
            if note := _fewer(match):
                say(f"note: {note}")
            try:
                with _held(folder):
                    judged = judging.judge(match, one, cache, how, folder, Teller())
            except JudgeStopped as error:
                say(f"NOT JUDGED (exit {INCOMPLETE}): {error}\nreplies are kept; the same command goes on with them")
                return INCOMPLETE
            except KeyboardInterrupt:
                say("interrupted; replies are kept, and the same command goes on with them")
                return 130
            show(match, judged)
            refused |= read_pairs(judged).refused is not None
            say(f"wrote {folder / 'judged.json'}")
    return INCOMPLETE if refused else 0


def _options(settings: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` (the value in YAML) → {KEY: VALUE}. Raises UserError."""
    for text in settings:
        if "=" not in text:
            raise UserError(f"--judge-set {text!r}: expected KEY=VALUE, e.g. base_url=http://127.0.0.1:8000/v1")
    return plugins.parse_settings([f"judge.{text}" for text in settings]).get("judge", {})


def _answered(name: str) -> bool:
    path = Path(name).expanduser()
    return path.is_file() or (path / "evaluation.json").exists()


def _place(name: str, names: Sequence[str], settings: Sequence[str], asked: Judging) -> Path:
    """An outputs file, or the folder of an evaluation, which is made where `name` is a checkpoint."""
    path = Path(name).expanduser()
    if path.name == "evaluation.json":
        path = path.parent
    if _answered(str(path)):
        return path
    if path.suffix in (".json", ".jsonl", ".parquet"):
        raise UserError(f"{name}: no such file")
    if not names:
        raise UserError(f"{name} is no evaluation and no outputs file; of a checkpoint, name what to ask it: --tasks")
    how = evaluation.How(device=asked.device, precision=asked.precision)
    code = evaluation.run(name, names, settings, Changes(), how, evaluation.Beside(), None)
    if code:
        raise UserError(f"{name}: its evaluation ended with exit code {code}")
    return find(name).default_folder


def _matches(
    places: Sequence[Path], names: Sequence[str], parameters: Mapping[str, Mapping[str, Any]]
) -> Iterator[Match]:
    """A match for each task. Raises UserError (or the task's own) where there is nothing to compare."""
    found = {place: sides.compared(place) for place in places if place.is_dir()}
    shared = [key for key in next(iter(found.values()), {}) if all(key in there for there in found.values())]
    keys = list(dict.fromkeys(names)) or shared
    if not keys:
        what = (
            f"{' and '.join(map(str, found))} share none" if found else "an outputs file does not say which it answers"
        )
        raise UserError(f"--tasks: name a task whose answers are compared (alpaca_eval, arena_hard); {what}")
    for key in keys:
        recorded = next((there[key]["protocol"] for there in found.values() if key in there), None)
        name = recorded["task"] if recorded else key.partition("@")[0]
        own = dict(recorded["parameters"]) if recorded else {}
        task = build_task(name, {**own, **parameters.get(name, {})}, f"--tasks {key}")
        if not isinstance(task, OpenEnded):
            raise UserError(f"--tasks {key}: its answers are graded, not judged")
        both = [sides.from_evaluation(p, key, task) if p.is_dir() else sides.from_outputs(p, task) for p in places]
        if len(both) == 1:
            if not isinstance(task, ComparisonTask):
                raise UserError(f"{key}: task {task.name} has no baseline of its own; name an opponent: judge A B")
            both.append(sides.baseline(task))
        first, second = both
        _check_alike(key, first, second)
        yield Match(key, task, first, second, official=len(places) == 1)


def _check_alike(key: str, one: Side, other: Side) -> None:
    if one.protocol is None or other.protocol is None:
        return
    differences = comparable(one.protocol, other.protocol)
    if refused := [line for line in differences if line.startswith(("task:", "parameters:"))]:
        raise UserError(f"{key}: {one.player.name} and {other.player.name} were asked other things: {refused[0]}")
    if differences:
        say(f"note: {key}: the sides were asked in two ways, which is judged too: {'; '.join(differences)}")


def _fewer(match: Match) -> str:
    count, whole = len(match.examples), len(match.task.heldout)
    return f"{match.key}: {count} of the task's {whole} instructions: not its number" if count < whole else ""


def _folder(places: Sequence[Path], match: Match, out: Path | None) -> Path:
    """Beside the candidate's answers, or, head to head and where the user says where, in a folder of both names."""
    if len(places) == 1 and places[0].is_dir() and out is None:
        return places[0] / match.key / "judged"
    players = (match.candidate.player, match.opponent.player)
    both = [re.sub(r"[^A-Za-z0-9@.]+", "-", Path(player.name).name).strip("-")[:40] for player in players]
    both[-1] += "-" + hashlib.sha256(repr(players).encode("utf-8", "replace")).hexdigest()[:6]
    return (out or Path("results") / "judged") / "-vs-".join(both) / match.key


@contextmanager
def _cache(wanted: Wanted, asked: Judging) -> Iterator[Cache | None]:
    if wanted.kind in UNCACHED or (asked.dry_run and not asked.cache.exists()):
        yield None
        return
    with Cache(asked.cache) as cache:
        yield cache


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with lock(folder):
            yield
    except Held as held:
        raise UserError(f"{folder}: {held} is judging into it") from None


def _show_estimate(match: Match, one: Panel, found: Sequence[Estimate]) -> None:
    total = {
        name: sum(getattr(e, name) for e in found)
        for name in ("games", "same", "cached", "calls", "prompt_tokens", "completion_tokens")
    }
    say(
        f"{match.title}, judged by {one.identity.model} ({one.prompt or one.identity.kind}): {total['games']} games, "
        f"{total['same']} of identical answers, {total['cached']} answered before, {total['calls']} to ask: about "
        f"{total['prompt_tokens']:,} prompt tokens, at most {total['completion_tokens']:,} of replies"
    )
    price = found[0].price
    if price is None:
        say("its price is not known; give --price IN,OUT")
    else:
        least, most = (sum(getattr(e, name) or 0.0 for e in found) for name in ("least_usd", "most_usd"))
        say(f"${least:.2f} for the prompts, at most ${most:.2f} ({price.source})")


def show(match: Match, judged: Judged) -> None:
    """One judging's numbers, as a table of one row."""
    direct = None if match.official else judged.record.opponent.label
    console.print(Plain(table([judged], direct, side_file(match.task))))


@dataclass
class Teller:
    """Progress of a judge, told now and then."""

    pace: evaluation.Pace = field(default_factory=evaluation.Pace)

    def __call__(self, progress: Progress) -> None:
        """Take news."""
        cost = "" if not progress.usd else f", ${progress.usd:.2f}"
        failed = f", {progress.failed} failed" if progress.failed else ""
        text = f"judge: {progress.done}/{progress.total} games{failed}{cost}"
        self.pace.tell("judge", text, progress.done == progress.total)
