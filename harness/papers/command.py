"""`groupbench reproduce`: a paper's studies, what they cost, what is missing run, its tables beside the published."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from leaderboard.declared import suggestion
from leaderboard.export.terminal import Plain
from leaderboard.papers.build import build
from leaderboard.papers.reading import SCALES, Paper, Scale, load
from leaderboard.verdicts import Judged
from leaderboard.winrates.side_file import SideFile
from tasks.base import TaskError

from .. import plugins, running
from ..console import console, say
from ..errors import UserError
from . import cost, departures, studies
from .standing import standing
from .studies import Study

STOPPED = 128  # exit codes above are signals'


def run(
    name: str, scale: str, dry_run: bool, out: Path, jobs: int | None, overrides: Sequence[str],
    plugin_files: Sequence[Path],
) -> int:  # fmt: skip
    """See `groupbench reproduce`. Returns the exit code: that of the worst study."""
    if scale not in SCALES:
        raise UserError(f"--scale {scale}{suggestion(scale, SCALES)}")
    at = cast(Scale, scale)
    paper = load(name)
    for file in plugin_files:
        plugins.load_file(file)
    found = studies.find(paper, at, overrides, out)
    say(f"{paper.title} ({paper.source}), scale {scale}: {paper.scale[at].about}")
    total = cost.Work()
    for one in found:
        total += _describe(paper, at, one)
    say(f"all studies, what is missing: {_hours(total)}")
    say(_assumptions(paper, at))
    if dry_run:
        return 0
    for one in found:
        standing(one).refuse_others()
    code = _run(found, jobs, overrides, plugin_files)
    if code < STOPPED:
        _tables(paper, at, out)
    return code


def _run(found: Sequence[Study], jobs: int | None, overrides: Sequence[str], plugin_files: Sequence[Path]) -> int:
    code = 0
    for study in found:
        say(f"\n{study.name}")
        at_once = jobs if jobs is not None else _jobs(study)
        ended = running.run(study.path, overrides, study.results, plugin_files, False, at_once)
        if ended >= STOPPED:
            return ended
        code = max(code, ended)
    return code


def _jobs(study: Study) -> int:
    """A cell a core; on a GPU one at a time."""
    from ..cores import resolve_device

    if resolve_device(study.recipe.execution.device) == "cuda":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // (study.recipe.execution.threads or 1))


def _describe(paper: Paper, scale: Scale, study: Study) -> cost.Work:
    """Say what a study is, how it stands and what is missing; returns the cost of what is missing."""
    there = standing(study)
    counts, left = Counter(there.states.values()), there.missing
    own = [cell for cell, state in there.states.items() if state != "done"]
    extra = len(left) - len(own)
    earlier = f" and {extra} earlier stages" if extra else ""
    done = f"{len(there.states)} cells, {counts['done']} done"
    say(f"\n{study.name}: {done}, {len(own)}{earlier} to run, in {study.results}")
    if there.others:
        say(f"  note: it {there.others}; no run goes on there: give another --out, or remove that folder")
    recipe, size = study.recipe, paper.size(study.recipe.model.name)
    for row in study.rows:
        by_state: dict[str, list[str]] = {}
        for seed in recipe.seeds:
            by_state.setdefault(there.states[row.label, seed], []).append(str(seed))
        said = "; ".join(f"{', '.join(seeds)} {state}" for state, seeds in by_state.items())
        say(f"  {row.label}: seeds {said}{_each(paper, scale, study, row)}")
    if recipe.final_tasks:
        say(f"  final tasks: {', '.join(task.key for task in recipe.final_tasks)}")
    if ours := study.ours(paper.scale[scale].ours.get(study.short, ())):
        say(f"  not published, ours: {'; '.join(f'{key} = {_shown(value)}' for key, value in ours.items())}")
    if wanting := studies.missing(recipe):
        say(f"  note: {'; '.join(wanting)}; the recipe was checked as far as possible without")
    _memory(paper, study)
    if size is None:
        say(f"  no estimate: how large {recipe.model.name} is is not known beforehand")
        return cost.Work()
    lengths = cost.sizes(size, paper.scale[scale], recipe)
    each = [cost.of_stage(stages, study, lengths) for stages, _ in left]
    work = sum((one for one in each if one is not None), cost.finals(recipe, lengths).times(len(own)))
    if None in each:
        say("  no estimate for rows whose budget is not in steps, updates or prompts")
    say(f"  missing: {_hours(work)}")
    if (seconds := there.seconds) and left:
        mean = sum(seconds) / len(seconds)
        say(f"  measured here: {mean:.0f} s a cell, mean of {len(seconds)}; {mean * len(left) / 60:.0f} min one by one")
    return work


def _each(paper: Paper, scale: Scale, study: Study, row: studies.Row) -> str:
    size = paper.size(study.recipe.model.name)
    work = None if size is None else cost.of_row(row, study, cost.sizes(size, paper.scale[scale], study.recipe))
    return "" if work is None else f"; {_hours(work)} each"


def _memory(paper: Paper, study: Study) -> None:
    size = paper.size(study.recipe.model.name)
    if size is not None and (wanted := cost.OPTIMISED * size.parameters) > 140e9:
        say(
            f"  note: weights, gradients and moments in float32 are {wanted / 1e9:.0f} GB, more than one GPU of 141 GB "
            "holds; execution.offload moves none of these while an update lasts"
        )


def _hours(work: cost.Work) -> str:
    """FLOPs alone where no GPU is worth mentioning."""
    hours = work.gpu_hours
    shown = f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}"
    return f"{work.flops:.2g} FLOPs" + (f", {shown} GPU-hours" if hours >= 0.001 else "")


def _assumptions(paper: Paper, scale: Scale) -> str:
    of = paper.scale[scale]
    return (
        f"assumed: prompts of {of.prompt_tokens} and responses of {of.response_tokens} tokens (no longer than a recipe "
        "allows), 2 FLOPs a parameter and token forward, 6 trained, DAPO's refills not counted; an H100 or H200 at "
        f"{cost.TRAINED_MFU:.0%} of {cost.PEAK / 1e12:.0f} TFLOP/s in updates and {cost.SAMPLED_MFU:.0%} in sampling"
    )


def _shown(value: object) -> str:
    """As YAML has it in a line, without what is null."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_shown(one)}' for key, one in value.items() if one not in (None, {}, ()))}}}"
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, list | tuple) else str(value)


def _tables(paper: Paper, scale: Scale, out: Path) -> None:
    """Print what has columns of ours, and write all."""
    from ..judging.tables import side_of

    def side(judged: list[Judged]) -> SideFile | None:
        try:
            return side_of(judged, {})
        except TaskError:
            return None

    out.mkdir(parents=True, exist_ok=True)
    built = build(paper, scale, out, side, departures.of)
    for grid in built.grids:
        if any(header.name.startswith("ours") for header in grid.headers):
            console.print(Plain(grid))
    for path in built.paths:
        say(f"wrote {path}")
