"""A recipe's final tasks: after training every finished cell, and the start, is evaluated on them, item by item.

Answers lie in `cells/<id>/final` and, the start's, in `start/<hash of the model>/final` of the results folder; what is
there already is not asked again, so that another task may be added to cells that are done. A cell is asked with draws
of its own seed, the start with those of seed 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from leaderboard import finals, records
from leaderboard.evaluations import comparable
from tasks.base import TaskError

from . import chains, models
from .benchmark import Benchmark, Cell, content_hash
from .console import say
from .cores import ALL_THREADS, resolve_device
from .errors import UserError
from .evaluation.asked import Asked, Changes, complete, resolve
from .evaluation.checkpoint import Examiner
from .evaluation.subject import Subject, find
from .experiment import state_of
from .settings import FinalTask, Recipe


@dataclass(frozen=True)
class Plan:
    """What is asked of every cell and of the start."""

    asked: tuple[Asked, ...]
    device: str

    def of(self, seed: int) -> list[Asked]:
        """With the draws of a seed."""
        return [replace(one, record={**one.record, "seed": seed}) for one in self.asked]


def prepare(recipe: Recipe, benchmark: Benchmark, results: Path) -> Plan | None:
    """Resolve and check a recipe's final tasks; None where it has none.

    Says which finished cells are not asked, for their weights are gone. Raises UserError, before anything is trained,
    for a task that cannot be asked, or was asked otherwise in `results`.
    """
    if not recipe.final_tasks:
        return None
    if not recipe.execution.save_weights:
        raise UserError("final_tasks: the cells are evaluated after training, which takes their weights: "
                        "execution.save_weights")  # fmt: skip
    start = benchmark.cells[0].start
    codec, context = models.load_codec(start), models.context_limit(start)
    found = []
    for number, wanted in enumerate(recipe.final_tasks):
        where = f"final_tasks.{number} ({wanted.key})"
        try:
            asked, remarks = resolve(wanted.name, wanted.parameters, _changes(wanted), codec, context)
        except (UserError, TaskError) as error:
            raise UserError(f"{where}: {error}") from error
        if not asked.task.graded:
            raise UserError(f"{where}: it has no verifier that could grade it; what is judged belongs to win_rates")
        for remark in remarks:
            say(f"note: {remark}")
        found.append(replace(asked, key=wanted.key))
    plan = Plan(tuple(found), resolve_device(recipe.execution.device))
    for cell in benchmark.cells:
        _check_same(plan.of(cell.seed), results / "cells" / cell.id / finals.FOLDER)
    for cell in chains.lost(benchmark.cells, results / "cells"):
        folder = results / "cells" / cell.id
        if keys := _not_asked(plan, cell, folder):
            say(
                f"note: final_tasks: {cell.label}, seed {cell.seed} is done, and its weights are gone: not asked "
                f"{', '.join(keys)}; to have it trained again, remove {folder}"
            )
    return plan


def run(plan: Plan, benchmark: Benchmark, start: models.Source, results: Path) -> None:
    """Ask what is missing of the start, whose place is that of `start`'s specification, and of all finished cells.

    Cells whose weights are gone stay as they are.
    """
    done = [cell for cell in benchmark.cells if state_of(results / "cells" / cell.id) == "done"]
    if not done:
        return
    before = torch.get_num_threads()
    try:
        first = done[0]
        model = first.spec["model"]
        place = results / finals.START / content_hash(model)
        place.mkdir(parents=True, exist_ok=True)
        records.write_json(place / finals.START_FILE, {"model": model})
        _examine(plan, first, Subject("start", start), place / finals.FOLDER, 0, f"start of {len(done)} cells")
        for number, cell in enumerate(done, start=1):
            folder = results / "cells" / cell.id
            if complete(plan.of(cell.seed), folder / finals.FOLDER) or not chains.usable(folder):
                continue
            words = f"{cell.label}, seed {cell.seed} ({number} of {len(done)})"
            _examine(plan, cell, find(str(folder)), folder / finals.FOLDER, cell.seed, words)
    finally:
        torch.set_num_threads(before)


def _examine(plan: Plan, cell: Cell, subject: Subject, folder: Path, seed: int, words: str) -> None:
    torch.set_num_threads(cell.execution.threads or ALL_THREADS)
    examiner = Examiner(
        subject, cell.rollout, cell.precision, plan.device, cell.execution.decode_tokens, lambda _: None
    )
    written = examiner.examine(plan.of(seed), folder)
    examiner.release()
    found = ", ".join(f"{one.key} {written['tasks'][one.key]['metrics']['accuracy']:.1%}" for one in plan.asked)
    say(f"final tasks: {words}: {found}")


def _changes(wanted: FinalTask) -> Changes:
    return Changes(wanted.samples, wanted.temperature, wanted.top_p, wanted.max_tokens, wanted.limit)


def _check_same(asked: Sequence[Asked], folder: Path) -> None:
    """Whether what was asked before is what is asked now, as far as protocols tell; more samples or items only add."""
    for one in asked:
        if (there := _asked_before(one, folder)) and (differences := comparable(one.record, there)):
            raise UserError(
                f"final_tasks: {folder / one.key} was asked otherwise ({'; '.join(differences)}); remove that folder, "
                "or give the task another label"
            )


def _not_asked(plan: Plan, cell: Cell, folder: Path) -> list[str]:
    """What the cell in `folder` has not answered."""
    return [one.key for one in plan.of(cell.seed) if not complete([one], folder / finals.FOLDER)]


def _asked_before(one: Asked, folder: Path) -> Any:
    path = folder / one.key / "protocol.json"
    return records.read_json(path)["protocol"] if path.exists() else None
