"""Cells of a benchmark that are missing, run: what there is to do, the plan on record, the warm start before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from leaderboard import records

from . import chains, earlier_plans, models, wheels
from .benchmark import Benchmark, Cell
from .console import console, say
from .errors import UserError
from .experiment import state_of
from .jobs import Work, run_cells, share_threads
from .progress import ProgressBoard
from .provenance import other_code


def announce(benchmark: Benchmark, results: Path, listed: bool = False) -> list[Cell]:
    """Say what there is to do; returns the cells that are not done, behind the stages that they go on from."""
    every = {cell.id: cell for cell in (*benchmark.stages, *benchmark.cells)}
    states = {name: state_of(results / "cells" / name) for name in every}
    rows = {cell.id for cell in benchmark.cells}
    undone = [cell for cell in benchmark.cells if states[cell.id] != "done"]
    stages = [cell.id for cell in chains.needed(undone, results / "cells")]
    missing = [every[name] for name in dict.fromkeys([*stages, *(cell.id for cell in undone)])]
    earlier = f" and {len(benchmark.stages)} earlier stages" if benchmark.stages else ""
    say(f"{benchmark.name}: {len(benchmark.cells)} cells{earlier}, {len(missing)} to run, into {results}")
    finished = [results / "cells" / name for name in every if states[name] == "done" and name not in stages]
    warm = benchmark.warm_start and _warm_folder(benchmark.warm_start)
    others = other_code([*finished, *([warm] if warm and state_of(warm) == "done" else [])])
    if others:
        say(f"note: {others.words}")
    for cell in every.values() if listed else ():
        gone = ", but its weights are gone: to run again" if cell.id in stages and states[cell.id] == "done" else ""
        if others and results / "cells" / cell.id in others.folders:
            gone = f",{'' if others.certain else ' perhaps'} by other code"
        what = "" if cell.id in rows else " (an earlier stage)"
        say(f"  {cell.id}  {cell.label}  seed {cell.seed}{what}: {states[cell.id]}{gone}")
    return missing


def execute(benchmark: Benchmark, results: Path, jobs: int, plugin_files: Sequence[Path]) -> int:
    """Record the plan and run its missing cells in `results`; returns how many failed."""
    missing = announce(benchmark, results)
    record_plan(results, benchmark)
    return _run_cells(benchmark, missing, results / "cells", jobs, plugin_files)


def _run_cells(
    benchmark: Benchmark, missing: Sequence[Cell], cells: Path, jobs: int, plugin_files: Sequence[Path]
) -> int:
    """Run the missing ones in `cells`; a failed one is recorded, the others go on. Returns how many failed."""
    if not missing:
        return 0
    start = warm_start(benchmark)
    if benchmark.reward_stage is not None:
        benchmark.reward_stage.run(say)
    for cell in missing:
        chains.make_again(cells / cell.id)
    works = [Work(cell, cells / cell.id, start or cell.start, chains.before(cell, cells)) for cell in missing]
    done = len(benchmark.cells) + len(benchmark.stages) - len(missing)
    with ProgressBoard(missing, console, already_done=done) as board:
        failed = run_cells(share_threads(works, jobs, say), board, say, jobs, plugin_files)
    for trace in (cells / cell.id / "traceback.txt" for cell in missing):
        if trace.exists():
            say(f"  traceback: {trace}")
    return failed


def warm_start(benchmark: Benchmark) -> models.Source | None:
    """The shared supervised stage: an ordinary cell, run once and kept in the user's cache."""
    cell = benchmark.warm_start
    if cell is None:
        return None
    folder = _warm_folder(cell)
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


def _warm_folder(cell: Cell) -> Path:
    return wheels.cache_folder() / "stages" / cell.id


def record_plan(results: Path, benchmark: Benchmark) -> None:
    """Write benchmark.json; cells of earlier plans that have left records stay listed, under the names of those."""
    path = results / "benchmark.json"
    record = benchmark.record()
    try:
        results.mkdir(parents=True, exist_ok=True)
        if path.exists():
            record["cells"] = earlier_plans.joined(record, records.read_json(path), benchmark.cells, results / "cells")
        records.write_json(path, record)
    except OSError as error:
        raise UserError(f"results folder {results}: {error.strerror}") from None
