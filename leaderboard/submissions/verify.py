"""Whether a submission holds what it says: every score from its items, every hash, every seed, every cell.

What cannot be seen from here: items that were made up consistently. `docs/submissions.md` says what would show those.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from ..finals import FOLDER
from ..records import RecordError, TuningRecord, content_hash
from . import files, final_tasks, judged
from .cells import Checked, check, decode, stages
from .faults import Fault, Faults
from .manifest import FILE, SAMPLES, Manifest, PackedRow
from .planned import planned
from .summary import commits, rows, versions

# What a specification says of anything but where the run started.
NOT_THE_START = {"algorithm", "task", "reward", "training", "sampling", "rollout", "evaluation", "budget", "seed",
                 "control", "after"}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What was found of one submission."""

    path: Path
    manifest: Manifest | None
    faults: tuple[Fault, ...]
    more: int = 0  # faults that are not listed
    unsafe: bool = False  # nothing of it may be read
    cells: tuple[Checked, ...] = ()
    evaluations: int = 0  # how many were computed once more,
    items: int = 0  # and from how many verdicts or rewards of items

    @property
    def verified(self) -> bool:
        """Whether everything holds."""
        return not self.faults

    @property
    def name(self) -> str:
        """The folder's, which is the submission's; of a link its own."""
        return Path(os.path.abspath(self.path)).name


def places(folder: Path) -> list[Path]:
    """The submissions of a folder: itself, or its folders that hold one or, without a manifest, any run."""
    if (folder / FILE).exists() or (folder / FILE).is_symlink():
        return [folder]
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.is_symlink()):
            continue
        holds = path.is_symlink() or (path / FILE).exists() or next(path.rglob("cell.json"), None)
        if holds or next(path.rglob("benchmark.json"), None):
            found.append(path)
    return found


def verify(paths: Sequence[Path]) -> list[Report]:
    """A report for each submission in or at the paths. Raises RecordError where a path is none and holds none."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise RecordError(f"{path}: no such folder; a submission is one, with a {FILE} in it")
        own = places(path)
        if not own:
            raise RecordError(f"{path}: holds no submission (no {FILE} in it or in a folder of it)")
        for one in own:
            found.setdefault(Path(os.path.abspath(one)), one)
    return verify_all(list(found.values()))


def verify_all(paths: Sequence[Path]) -> list[Report]:
    """Submissions, each a folder, and none with a cell of another."""
    return _without_twins([verify_one(path) for path in paths])


def verify_one(path: Path) -> Report:
    """A submission by itself."""
    faults = Faults()
    try:
        return _verify(path, faults)
    except Exception as error:  # nobody's submission may keep those of others from being read
        faults.add(".", "", f"cannot be verified ({type(error).__name__}: {error})", "records as a run writes", True)
        return Report(path, None, tuple(faults.found), faults.more, True)


def _verify(path: Path, faults: Faults) -> Report:
    folder = files.read(path, faults)
    manifest, contents = folder.manifest, folder.contents
    if manifest is None:
        return Report(path, None, tuple(faults.found), faults.more, True)
    names = sorted({name.split("/")[1] for name in contents if name.startswith("cells/")})
    cells = [cell for name in names if (cell := check(name, contents, faults)) is not None]
    cells = final_tasks.check(contents, cells, faults)
    planned(contents, cells, names, faults)
    _apart(cells, faults)
    _alike(cells, faults)
    _searches(contents, cells, faults)
    judged.check_manifest(manifest.verdicts, judged.check(contents, cells, faults), faults)
    _samples(manifest, contents, faults)
    if len(cells) == len(names):  # else what cannot be read is all that there is to be said
        _manifest(manifest, cells, faults)
    items = [name for name in contents if name.endswith("/items.jsonl")]
    looks = sum(contents[name].count(b"\n") for name in contents if name.endswith("/evals.jsonl"))
    afterwards = sum(f"/{FOLDER}/" in name for name in items)
    return Report(
        path, manifest, tuple(faults.found), faults.more, faults.unsafe, tuple(cells),
        looks + afterwards, sum(contents[name].count(b"\n") for name in items),
    )  # fmt: skip


def _apart(cells: Sequence[Checked], faults: Faults) -> None:
    """Two cells are two runs: no row has a seed twice, no two took the same time to the digit, or learnt the same."""
    seeds: dict[tuple[str, int], Checked] = {}
    clocks: dict[tuple[float, ...], Checked] = {}
    ends: dict[tuple[str, str], Checked] = {}
    for cell in cells:
        seed = str(cell.record["row"]), int(cell.record["seed"])
        if (twin := seeds.setdefault(seed, cell)) is not cell:
            faults.add(f"{cell.folder}/cell.json", "seed", f"{seed[1]} once more, as {twin.folder}", "distinct seeds")
        clock = tuple(step["counters"]["seconds"] for step in cell.steps)
        if clock and (twin := clocks.setdefault(clock, cell)) is not cell:
            found = f"every step took what it took in {twin.folder} ({twin.words}), to the last digit"
            faults.add(f"{cell.folder}/steps.jsonl.gz", "", found, "a run of its own")
        learnt = any(step["updates_without_signal"] < step["updates"] for step in cell.steps)
        end = str(cell.record["row"]), str(cell.status["weights_end"])
        if learnt and (twin := ends.setdefault(end, cell)) is not cell:
            found = f"the weights of {twin.words} in {twin.folder}"
            faults.add(f"{cell.folder}/status.json", "weights_end", found, "another seed's own")


def _alike(cells: Sequence[Checked], faults: Faults) -> None:
    """What one start or one data set means: the same weights before the first step, the same items asked."""
    starts: dict[str, Checked] = {}
    asked: dict[tuple[str, str], Checked] = {}
    measured: dict[tuple[str, str], Checked] = {}
    by_seed = {(cell.record["row"], cell.record["seed"]): cell for cell in cells}
    for cell in cells:
        spec = cell.spec
        if after := spec.get("after"):
            before = by_seed.get((after[-1].get("row"), cell.record["seed"]))
            if before is not None:
                _goes_on(cell, before, faults)
        else:
            said = {name: value for name, value in spec.items() if name not in NOT_THE_START}
            first = starts.setdefault(content_hash([said, _foreign(spec)]), cell)
            mine, theirs = cell.status["weights_start"], first.status["weights_start"]
            if mine != theirs:
                expected = f"{theirs[:12]}…, as {first.words}: they have one start"
                faults.add(f"{cell.folder}/status.json", "weights_start", f"{mine[:12]}…", expected)
        key = content_hash([spec.get(name) for name in ("task", "evaluation")])
        for split, items in cell.asked.items():
            first = asked.setdefault((key, split), cell)
            if first.asked[split] != items:
                other = sorted({i for i, _ in items} ^ {i for i, _ in first.asked[split]}) or ["in another order"]
                file, expected = f"{cell.folder}/items.jsonl.gz", f"those of {first.words}: they have one data set"
                faults.add(file, split, f"other items: {other[0]}", expected)
        rated = content_hash([spec["task"], spec.get("reward")])
        for split, measures in cell.measures.items():
            first = measured.setdefault((rated, split), cell)
            if first.measures[split] != measures:
                expected = f"{', '.join(first.measures[split])}, as {first.words}: they have one task"
                faults.add(f"{cell.folder}/evals.jsonl.gz", split, f"measured: {', '.join(measures)}", expected)


def _foreign(spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The algorithm where it is a plug-in's: it may have a value head, which is hashed with the weights. None of ours
    has one, and the record does not say.
    """
    algorithm: Mapping[str, Any] = spec["algorithm"]
    return algorithm if algorithm.get("source") is not None else None


def _goes_on(cell: Checked, before: Checked, faults: Faults) -> None:
    """A chain's later stage has the weights and the records of the one before it."""
    mine, theirs = cell.status["weights_start"], str(before.status["weights_end"])
    if mine != theirs and not any(map(_foreign, stages(cell.spec))):  # a value head ends with its stage
        expected = f"{theirs[:12]}…, where {before.words} ended"
        faults.add(f"{cell.folder}/status.json", "weights_start", f"{mine[:12]}…", expected)
    for own, other in zip(cell.steps, before.steps, strict=False):
        if msgspec.to_builtins(own["counters"]) != msgspec.to_builtins(other["counters"]):
            expected = f"those of {before.folder}, which it goes on from"
            faults.add(f"{cell.folder}/steps.jsonl.gz", f"step {own['step']}", "other counters", expected)
            return


def _searches(contents: Mapping[str, bytes], cells: Sequence[Checked], faults: Faults) -> None:
    """Searches of the rows that are here, equally many trials each, the chosen one with the highest score."""
    file = "tuning.json"
    if file not in contents:
        return
    record = decode(contents, file, TuningRecord, faults)
    if record is None:
        return
    rows = {cell.record["row"] for cell in cells}
    for search in record["searches"]:
        where, trials, chosen = search["algorithm"], search["trials"], search["chosen"]
        if search["row"] not in rows:
            faults.add(file, where, f"row {search['row']}", "one of the rows here")
        if not 0 <= chosen < len(trials):
            faults.add(file, where, f"chosen = {chosen}", f"one of {len(trials)} trials")
            continue
        scores = [trial["score"] for trial in trials if trial["score"] is not None]
        if not scores or trials[chosen]["score"] != max(scores):
            found = f"the chosen trial's score is {trials[chosen]['score']}"
            faults.add(file, where, found, f"the highest, {max(scores, default=None)}")
    if len(counts := {len(search["trials"]) for search in record["searches"]}) > 1:
        faults.add(file, "", f"searches of {sorted(counts)} trials", "equally many for every row")


def _samples(manifest: Manifest, contents: Mapping[str, bytes], faults: Faults) -> None:
    there = any(name.endswith(f"/{SAMPLES}") for name in contents)
    if there and not manifest.texts:
        faults.add(FILE, "texts", "false, with sampled texts", "true")


def _manifest(manifest: Manifest, cells: Sequence[Checked], faults: Faults) -> None:
    """What the manifest says of rows and provenance, against the cells."""
    said = {row.row: row for row in manifest.rows}
    truth = {row.row: row for row in rows(cells, {row.row: row.left_out for row in manifest.rows})}
    if sorted(row.row for row in manifest.rows) != sorted(truth):
        faults.add(FILE, "rows", f"rows {', '.join(sorted(r.row for r in manifest.rows))}", ", ".join(sorted(truth)))
    for row in sorted(said.keys() & truth.keys()):
        for name in PackedRow.__struct_fields__:
            mine, theirs = getattr(said[row], name), getattr(truth[row], name)
            if name == "scores":
                _scores(said[row].label, mine, theirs, faults)
            elif mine != theirs:
                faults.add(FILE, f"rows, {said[row].label}", f"{name} = {mine}", f"{theirs}, as its cells say")
        if twice := sorted(set(said[row].seeds) & set(said[row].left_out)):
            faults.add(FILE, f"rows, {said[row].label}", f"left_out = {twice}", "seeds that are not here")
    for name, truths in (("commits", commits(cells)), ("versions", versions(cells))):
        if (mine := getattr(manifest, name)) != truths:
            faults.add(FILE, name, mine, f"{truths}, as its cells say")


def _scores(label: str, said: Mapping[str, float], truth: Mapping[str, float], faults: Faults) -> None:
    for key in sorted(said.keys() | truth.keys()):
        mine, theirs = said.get(key), truth.get(key)
        if mine is None or theirs is None or abs(mine - theirs) > 1e-9 * max(1.0, abs(theirs)):
            faults.add(FILE, f"rows, {label}", f"{key} = {mine}", f"{theirs}, from its items")


def _without_twins(reports: Sequence[Report]) -> list[Report]:
    """A cell that two submissions hold counts in neither: which of them made it, nothing here tells."""
    owners: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        for cell in report.cells:
            owners[cell.id].append(report)
    found = []
    for report in reports:
        added = []
        for cell in report.cells:
            others = sorted(other.name for other in owners[cell.id] if other is not report)
            if others:
                expected = "cells that no other submission holds: repeat a run with other seeds"
                added.append(Fault(cell.folder, cell.words, f"also in {', '.join(others)}", expected))
        found.append(with_faults(report, added) if added else report)
    return found


def with_faults(report: Report, added: Sequence[Fault], unsafe: bool = False) -> Report:
    """The report with more of them."""
    return replace(report, faults=(*report.faults, *added), unsafe=report.unsafe or unsafe)
