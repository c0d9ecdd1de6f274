"""A recipe's win rates: after training every cell's answers are judged, and a table is made for each judge.

On a benchmark the opponent is its own baseline; on the recipe's task it is the start, the policy that all cells began
with. Every cell is compared with the reference's cell of the same seed besides. What is there already is not asked
again: answers lie in `cells/<id>/answers` and `start/answers` of the results folder, verdicts in `judged`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.declared import suggestion
from leaderboard.export.terminal import Plain
from leaderboard.records import ANSWERS
from leaderboard.verdicts import Judged
from leaderboard.winrates import build
from leaderboard.winrates.pairs import read_pairs
from tasks.base import Task, TaskError
from tasks.comparison import ComparisonTask
from tasks.judges import prices
from tasks.judges.base import Judge, JudgeError
from tasks.judges.cache import Cache
from tasks.judges.reward_model import RewardModelJudge
from tasks.open_ended import OpenEnded, user
from tasks.rewards.reward_model import LONGEST, RewardModel
from tasks.rewards.rewarded import Rewarded
from tasks.wrapped import innermost

from .. import chains, models
from ..benchmark import Benchmark, Cell
from ..console import console, say
from ..cores import resolve_device
from ..errors import UserError
from ..evaluation.asked import Asked, Changes, complete, resolve
from ..evaluation.checkpoint import Examiner
from ..evaluation.subject import Subject, find
from ..experiment import state_of
from ..settings import Recipe, Rollout, WinRates
from . import judging, panel, sides
from .command import INCOMPLETE, UNCACHED
from .judging import How, Match, Purse
from .panel import Panel, Wanted
from .side import side_file

REWARD = "reward"  # the judge that is the recipe's own reward model
START = "start"  # what all cells started from, as an opponent


@dataclass(frozen=True)
class Plan:
    """What is asked of every cell, and who judges it."""

    settings: WinRates
    asked: tuple[Asked, ...]
    judges: Mapping[str, tuple[Panel, ...]]  # by their names in the recipe, a panel for each task
    reference: str  # label of the row that direct comparisons are with
    device: str
    own: bool  # whether the only task is the recipe's


def prepare(recipe: Recipe, benchmark: Benchmark, results: Path) -> Plan | None:
    """Resolve and check what a recipe wants judged; None where it wants nothing.

    Says which finished cells of `results` cannot be judged, for their weights are gone. Raises UserError, or a judge's
    own, before anything is trained.
    """
    settings = recipe.win_rates
    if settings is None:
        return None
    if not recipe.execution.save_weights:
        raise UserError("win_rates: the cells' answers are judged, which takes their weights: execution.save_weights")
    device = resolve_device(recipe.execution.device)
    cell = benchmark.cells[0]
    asked = tuple(_asked(recipe, settings, cell))
    for one in asked:
        if not isinstance(one.task, OpenEnded):
            raise UserError(f"win_rates.tasks: {one.key} is graded by a verifier; there is nothing to judge")
    judges = {name: tuple(_panel(name, settings, one, cell, device) for one in asked) for name in settings.judges}
    reference = _reference(settings, benchmark)
    plan = Plan(settings, asked, judges, reference, device, own=not settings.tasks)
    for cell in chains.lost(benchmark.cells, results / "cells"):
        if _before(plan, folder := results / "cells" / cell.id) is None:
            say(
                f"note: win_rates: {cell.label}, seed {cell.seed} is done, and its weights are gone: its answers are "
                f"not judged; to have it trained again, remove {folder}"
            )
    return plan


def run(plan: Plan, benchmark: Benchmark, start: models.Source, results: Path) -> int:
    """Evaluate, judge and tabulate; returns the exit code: 0, or 3 where a judge gave up or a number is refused.

    Finished cells whose weights are gone are judged by what they answered before.
    """
    done = [cell for cell in benchmark.cells if state_of(results / "cells" / cell.id) == "done"]
    if not done:
        return 0
    if REWARD in plan.judges and benchmark.reward_stage is not None:
        benchmark.reward_stage.run(say)  # the cells may be older than the cache
    subjects, folders = {}, {}
    for cell in done:
        place = results / "cells" / cell.id
        if chains.usable(place):
            subjects[cell.id] = find(str(place))
        elif (before := _before(plan, place)) is not None:
            folders[cell.id] = before
    if plan.own:
        subjects[START] = Subject(START, start)
    for name, subject in subjects.items():
        folders[name] = folder = _folder(plan, subject, results)
        examiner = Examiner(
            subject, Rollout(), done[0].precision, plan.device, done[0].execution.decode_tokens, _silent
        )
        examiner.examine(plan.asked, folder)
        examiner.release()
    done = [cell for cell in done if cell.id in folders]
    purse, code = Purse(plan.settings.max_cost), 0
    for number, one in enumerate(plan.asked):
        matches, judged = _matches(plan, one, done, folders), list[Judged]()
        for name, panels in plan.judges.items():
            by = panels[number]
            say(f"win rates on {one.key}: {len(matches)} comparisons, judged by {by.identity.model}")
            try:
                judged += _judge(matches, by, name, purse, plan.settings.cap_chars, results)
            except TaskError as error:  # the others go on
                say(f"NOT JUDGED by {name}: {error}\nreplies are kept; the same command goes on with them")
                code = INCOMPLETE
        if judged:
            code = max(code, _tables(plan, one, judged, results))
    return code


def _folder(plan: Plan, subject: Subject, results: Path) -> Path:
    """Where a checkpoint's answers lie: another checkpoint, or another way to ask, has another place."""
    said = f"{models.fingerprint(subject.source)} {[one.record for one in plan.asked]}"
    return (subject.folder or results / START) / ANSWERS / hashlib.sha256(said.encode()).hexdigest()[:12]


def _before(plan: Plan, place: Path) -> Path | None:
    """Where the cell in `place` has answered all that is asked, as it was last trained; None where it has not."""
    return next((folder for folder in sorted((place / ANSWERS).glob("*")) if complete(plan.asked, folder)), None)


def _asked(recipe: Recipe, settings: WinRates, cell: Cell) -> list[Asked]:
    """The tasks' examples and protocols, for the tokenizer and context that all cells have."""
    codec, context = models.load_codec(cell.start), models.context_limit(cell.start)
    found = []
    whole = innermost(cell.task)
    wanted: Sequence[tuple[str, dict[str, Any], int | None]] = [
        (choice.name, choice.parameters, settings.max_tokens) for choice in settings.tasks
    ] or [
        (whole.name, recipe.task.parameters, settings.max_tokens or recipe.evaluation.max_tokens
         or recipe.sampling.max_tokens)
    ]  # fmt: skip
    for name, parameters, max_tokens in wanted:
        try:
            asked, remarks = resolve(
                name, parameters, Changes(max_tokens=max_tokens, limit=settings.limit), codec, context
            )
        except (UserError, TaskError) as error:
            raise UserError(f"win_rates.tasks: {error}") from error
        for remark in remarks:
            say(f"note: {remark}")
        found.append(asked)
    return found


def _panel(name: str, settings: WinRates, asked: Asked, cell: Cell, device: str) -> Panel:
    where = f"win_rates.judges: {name}"
    assert isinstance(asked.task, OpenEnded)
    options = settings.options.get(name, {})
    try:
        if name == REWARD:
            made = Panel(((_proxy(cell.task, options, where), asked.examples),), "")
        else:
            precision = "bfloat16" if device == "cuda" else "float32"
            made = panel.panel(Wanted(name, options, device=device, precision=precision), asked.task, asked.examples)
            made.check()
        for judge, _ in made.judges:
            _check_judge(judge, asked, settings)
    except TaskError as error:
        raise UserError(f"{where}: {error}") from error
    return made


def _check_judge(judge: Judge, asked: Asked, settings: WinRates) -> None:
    """Whether it can read the longest instructions, and pay for them. Raises JudgeError, or RewardError."""
    if settings.max_cost is not None and prices.find(judge) is None:
        raise JudgeError(
            f"max_cost = {settings.max_cost}, but what tokens of {judge.identity.model} cost is not known; judge it "
            "afterwards, `groupbench judge … --price IN,OUT`, or leave max_cost out"
        )
    if isinstance(judge, RewardModelJudge):
        for example in sorted(asked.examples, key=lambda one: len(str(one.prompt)))[-LONGEST:]:
            assert isinstance(asked.task, OpenEnded)
            judge.scorer.room(user(asked.task.instruction(example)))


def _proxy(task: Task, options: Mapping[str, Any], where: str) -> RewardModelJudge:
    """The reward that training maximises, as a judge: how far it was optimised."""
    if unknown := sorted(set(options) - {"temperature"}):
        raise UserError(f"win_rates.options.{REWARD}: unknown key {unknown[0]!r}; allowed: temperature")
    if not isinstance(task, Rewarded) or not isinstance(task.reward, RewardModel):
        raise UserError(f"{where}: the recipe has no `reward: {{name: reward_model}}` that could judge")
    return RewardModelJudge(task.reward.scorer, **options)


def _reference(settings: WinRates, benchmark: Benchmark) -> str:
    rows = {cell.label: cell.algorithms for cell in benchmark.cells if cell.control is None}
    wanted = settings.reference
    if wanted is None:
        return next((label for label, name in rows.items() if name == "grpo"), next(iter(rows)))
    # A search renames its rows: `grpo@no-kl, tuned` is still what the recipe calls grpo@no-kl.
    found = [label for label, name in rows.items() if wanted in (label, name, label.removesuffix(", tuned"))]
    if not found:
        raise UserError(f"win_rates.reference: no algorithm {wanted!r} in this recipe{suggestion(wanted, rows)}")
    return found[0]


def _matches(plan: Plan, asked: Asked, done: Sequence[Cell], folders: Mapping[str, Path]) -> list[Match]:
    task = asked.task
    assert isinstance(task, OpenEnded)
    answers = {name: sides.from_evaluation(folder, asked.key, task) for name, folder in folders.items()}
    opponent = answers[START] if plan.own else sides.baseline(task) if isinstance(task, ComparisonTask) else None
    assert opponent is not None  # a task that is not the recipe's is a benchmark
    found = [Match(asked.key, task, answers[cell.id], opponent, official=True) for cell in done]
    reference = {cell.seed: cell.id for cell in done if cell.label == plan.reference and cell.control is None}
    found += [
        Match(asked.key, task, answers[cell.id], answers[reference[cell.seed]], official=False)
        for cell in done
        if cell.seed in reference and cell.label != plan.reference
    ]
    return found


def _judge(
    matches: Sequence[Match], by: Panel, name: str, purse: Purse, cap_chars: int | None, results: Path
) -> list[Judged]:
    """The verdicts of one judge; what was answered before is not asked again."""
    how = How(purse=purse) if cap_chars is None else How(purse=purse, cap_chars=cap_chars)
    slug = judging.slug(by, how)
    with ExitStack() as held:
        cache = None
        if name.partition(":")[0] not in UNCACHED:
            cache = held.enter_context(Cache(results / "judge-cache"))
        found = []
        for match in matches:
            pair = repr((match.candidate.player, match.opponent.player))
            folder = results / "judged" / match.key / hashlib.sha256(pair.encode()).hexdigest()[:12] / slug
            found.append(judging.judge(match, by, cache, how, folder, _silent))
    return found


def _tables(plan: Plan, one: Asked, judged: Sequence[Judged], results: Path) -> int:
    """A table for each judge, printed and written: into the results folder, or below it where there are more tasks."""
    out = results if len(plan.asked) == 1 else results / "win-rates" / one.key
    built, errors = build.build(judged, out, plan.reference, side_file(one.task))
    for made in built:
        console.print(Plain(made.grid))
        for path in made.paths:
            say(f"wrote {path}")
    for error in errors:
        say(f"NO TABLE: {error}")
    refused = any(read_pairs(one).refused is not None for one in judged)
    return INCOMPLETE if errors or refused else 0


def _silent(_: object) -> None:
    """Fifteen cells of a few seconds: what they are asked is no news."""
