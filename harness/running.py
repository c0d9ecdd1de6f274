"""`groupbench run`: a recipe checked, its missing cells run, and what came of them evaluated, judged and tabulated."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.base import TaskError

from . import models, plugins
from . import recipe as recipes
from .console import quiet_libraries, say
from .errors import UserError
from .stop import Stopped

if TYPE_CHECKING:
    from .benchmark import Benchmark
    from .tuning import Tuning


def run(
    path: Path, overrides: Sequence[str], out: Path | None, plugin_files: Sequence[Path], dry_run: bool, jobs: int = 1
) -> int:
    """See `groupbench run`. Returns the exit code: 0, 1 when a cell failed, 128 + n when signal n stopped the run."""
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: must be at least 1")
    for file in plugin_files:
        plugins.load_file(file)
    recipe = recipes.load(path, overrides)
    from . import board, execution, final, tuning
    from .benchmark import plan
    from .cores import resolve_device
    from .judging import recipe as last_look
    from .reproduction import Asked

    quiet_libraries()
    device = resolve_device(recipe.execution.device)
    try:
        benchmark = plan(recipe, device)  # with `tune:`, all but the settings that are searched for
        search = tuning.prepare(recipe, recipe.tune, device) if recipe.tune else None
        results = out or Path("results") / benchmark.name
        finals = final.prepare(recipe, benchmark, results)
        judged = last_look.prepare(recipe, benchmark, results)
    except (UserError, TaskError) as error:
        raise UserError(recipes.blamed(f"recipe {path}: {error}", path, overrides)) from error
    for note in (*benchmark.notes, *(search.benchmark.notes if search else ())):
        say(f"note: {note}")
    if dry_run or device == "cuda" or recipe.reward is not None:
        for line in _memory(benchmark, device, jobs):
            say(line)
    if dry_run:
        _dry_run(benchmark, search, results, device)
        return 0
    try:
        if search is not None:
            benchmark = _tune(search, results, device, jobs, plugin_files)
            judged = last_look.prepare(recipe, benchmark, results)
        benchmark = benchmark.asked_by(Asked(path, overrides, plugin_files, recipe))
        failed = execution.execute(benchmark, results, jobs, plugin_files)
    except Stopped as stopped:
        say(f"{stopped}; what was done is saved, and the same command goes on with it")
        return 128 + stopped.number
    start = benchmark.cells[0].start
    if finals is not None or judged is not None:
        start = execution.warm_start(benchmark) or start
    if finals is not None:
        final.run(finals, benchmark, start, results)
    built = board.tables(results)
    if judged is not None:
        code = last_look.run(judged, benchmark, start, results)
    board.page(built, results, results)  # with what was judged
    if failed:
        total = len(benchmark.cells) + len(benchmark.stages)
        say(f"{failed} of {total} cells failed; run the same command again to retry them")
        return 1
    if judged is not None and code:
        return code
    if not plugin_files:
        words = f"--plugin mine.py 'algorithms+=[mine]'{f' --out {shlex.quote(str(out))}' if out else ''}"
        say(f"next: your own beside it: {_program()} run {path} {words} (see README)")
    return 0


def _program() -> Path:
    """As it is called from here."""
    program, here = Path(sys.argv[0]).absolute(), Path.cwd()
    return program.relative_to(here) if program.is_relative_to(here) else Path("groupbench")


def _memory(benchmark: Benchmark, device: str, jobs: int) -> list[str]:
    """What the cell that needs most may take, by phase."""
    from . import memory

    codec = models.load_codec(benchmark.cells[0].start)
    rows = {cell.label: cell for cell in (*benchmark.stages, *benchmark.cells)}
    plans = {label: memory.estimate(cell, codec, device) for label, cell in rows.items()}
    label = max(plans, key=lambda label: plans[label].peak)
    return plans[label].words(label if len(plans) > 1 else "a cell", min(jobs, len(benchmark.cells)))


def _tune(search: Tuning, results: Path, device: str, jobs: int, plugin_files: Sequence[Path]) -> Benchmark:
    """Run the trials, record the search, and return the comparison with the settings found."""
    from . import execution, tuning

    trials = results / tuning.FOLDER
    if failed := execution.execute(search.benchmark, trials, jobs, plugin_files):
        say(f"{failed} trials failed and have no score; the causes: groupbench leaderboard {trials}")
    benchmark, searches = tuning.decide(search, results, device)
    tuning.write(results, searches)
    for found in searches:
        say(f"{found['algorithm']}: {found['trials'][found['chosen']]['label']}")
    return benchmark


def _dry_run(benchmark: Benchmark, search: Tuning | None, results: Path, device: str) -> None:
    """List the cells; with a search, its trials first, and the others as far as they are decided."""
    from . import execution, tuning

    decided = True
    if search is not None:
        decided = not execution.announce(search.benchmark, results / tuning.FOLDER, listed=True)
        if decided:
            benchmark, _ = tuning.decide(search, results, device)
    if decided:
        execution.announce(benchmark, results, listed=True)
        return
    say(f"{benchmark.name}: {len(benchmark.cells)} cells, with the settings that the trials favour, into {results}")
    for cell in benchmark.cells:
        say(f"  {'after the trials':16}  {cell.label}  seed {cell.seed}")
