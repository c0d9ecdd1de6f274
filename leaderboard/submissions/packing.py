"""A run's records as a submission: what a pull request needs to be believed, without weights and machine."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from .. import packed, reading, verdicts
from ..records import RECORD_FILES, BenchmarkRecord, EvalRecord, LeaderboardError, PlannedCell
from . import final_packing
from .cells import Checked
from .faults import hostile
from .judged import belongs, place, summary
from .manifest import FILE, FOLDER, NAME, RECORDS, SAMPLES, SCHEMA, File, Manifest, identified
from .scrub import Scrubber, paths
from .summary import commits, rows, versions
from .verify import Report, verify_one

OF_EARLIER_PLANS = ("name", "earlier")  # of a planned cell: a submission has one plan
TEXTS = ("prompt", "answer", "texts")  # of an item: data of others, and what a model wrote


class SubmissionError(LeaderboardError):
    """A run that cannot be handed in; the message says what is missing, or what is in the way."""


@dataclass(frozen=True)
class Asked:
    """What the user said."""

    name: str | None = None  # None: the benchmark's
    by: str = ""
    note: str = ""
    rows: Sequence[str] = ()  # labels or hashes; empty: all
    texts: bool = False


def pack(run: Path, out: Path, asked: Asked) -> Report:
    """Pack a results folder, or one of its cells, into `out`/<name>; the report of the verification that it stood.

    Raises SubmissionError, with nothing left behind, where a seed is missing or the verification names a fault.
    """
    root, only = _root(run)
    plan = reading.one(root / "benchmark.json", BenchmarkRecord)
    if plan.get("trials"):
        raise SubmissionError(f"{root}: trials of a search for settings; submit the run that they were made for")
    chosen = _chosen(plan["cells"], root, only, asked.rows)
    planned = {cell.get("name", plan["name"]) for cell in chosen}
    plan["name"] = planned.pop() if len(planned) == 1 else plan["name"]
    name = asked.name or re.sub(r"[^A-Za-z0-9._-]+", "-", plan["name"]).strip("-.")[:64]
    if not NAME.fullmatch(name):
        raise SubmissionError(f"--name {name!r}: must match {NAME.pattern}")
    for option, text in (("--by", asked.by), ("--note", asked.note)):
        if found := hostile(text):
            raise SubmissionError(f"{option} {text!r} holds {found}; no control or formatting character is allowed")
    left_out = _complete(root, plan["cells"], chosen, single=only is not None)
    target = out / name
    if target.exists():
        raise SubmissionError(f"{target}: is there already; remove it, or give another --name")
    # What is found there before it is complete must not look like a submission, and its folder has the name.
    nest = out / f".{name}.packing"
    shutil.rmtree(nest, ignore_errors=True)
    try:
        _write(root, nest / name, plan, chosen, left_out, asked)
        report = verify_one(nest / name)
        if not report.verified:
            listed = "\n  ".join(fault.words for fault in report.faults[:10])
            raise SubmissionError(f"{root}: would not be verified:\n  {listed}")
        (nest / name).rename(target)
    finally:
        shutil.rmtree(nest, ignore_errors=True)
    return Report(target, *(getattr(report, field) for field in list(Report.__dataclass_fields__)[1:]))


def _root(run: Path) -> tuple[Path, str | None]:
    """The results folder, and the cell where one alone is meant."""
    if (run / "cell.json").exists():
        root = run.resolve().parent.parent
        if not (root / "benchmark.json").exists():
            raise SubmissionError(f"{run}: no benchmark.json in {root}, which a cell is planned in")
        return root, run.resolve().name
    if not (run / "benchmark.json").exists():
        below = sorted(str(path.parent) for path in run.rglob("benchmark.json")) if run.is_dir() else []
        hint = f"; below it: {', '.join(below[:5])}" if below else ""
        raise SubmissionError(f"{run}: no benchmark.json in it: no results folder of `groupbench run`{hint}")
    if (run / FILE).exists():
        raise SubmissionError(f"{run}: is a submission already")
    return run, None


def _chosen(cells: Sequence[PlannedCell], root: Path, only: str | None, wanted: Sequence[str]) -> list[PlannedCell]:
    if only is not None:
        if wanted:
            raise SubmissionError("--row: a cell is asked for; rows are a results folder's")
        return [cell for cell in cells if cell["id"] == only]
    cells = [cell for cell in cells if not cell.get("earlier")]
    labels = {cell["algorithm"]: cell["row"] for cell in cells}
    if unknown := [one for one in wanted if one not in labels and one not in labels.values()]:
        raise SubmissionError(f"--row {unknown[0]!r}: no row of {root}; there are {', '.join(sorted(labels))}")
    return [cell for cell in cells if not wanted or cell["algorithm"] in wanted or cell["row"] in wanted]


def _complete(
    root: Path, cells: Sequence[PlannedCell], chosen: Sequence[PlannedCell], single: bool
) -> dict[str, list[int]]:
    """Refuse a row without all of its seeds; the seeds that a single cell leaves out, by row."""
    if not chosen:
        raise SubmissionError(f"{root}: no such cell is planned in benchmark.json")
    absent = []
    for cell in chosen:
        folder = root / "cells" / cell["id"]
        status = reading.cell(folder)[1] if (folder / "cell.json").exists() else None
        state = "missing" if not (folder / "cell.json").exists() else status["state"] if status else "running"
        if state != "done":
            absent.append(f"{cell['algorithm']}, seed {cell['seed']} ({state})")
    if absent:
        raise SubmissionError(
            f"{root}: a row is submitted with all of its seeds, whatever they came to, and there is no result of "
            f"{'; '.join(absent)}. Run the recipe again, or submit the complete rows: --row LABEL"
        )
    taken = {cell["id"] for cell in chosen}
    return {
        row: sorted(cell["seed"] for cell in cells if cell["row"] == row and cell["id"] not in taken) if single else []
        for row in {cell["row"] for cell in chosen}
    }


def _write(
    root: Path, folder: Path, plan: BenchmarkRecord, chosen: Sequence[PlannedCell], left_out: dict[str, list[int]],
    asked: Asked,
) -> None:  # fmt: skip
    scrub, made, cells = Scrubber(), dict[str, bytes](), list[Checked]()
    planned = [{key: value for key, value in cell.items() if key not in OF_EARLIER_PLANS} for cell in chosen]
    made["benchmark.json"] = _json({"schema": plan["schema"], "name": plan["name"], "cells": planned})
    for one in sorted(chosen, key=lambda cell: cell["id"]):
        files, cell = _cell(root / "cells" / one["id"], one["algorithm"], scrub, asked.texts)
        made |= {f"cells/{one['id']}/{name}": content for name, content in files.items()}
        cells.append(cell)
    if tuning := reading.searches(root):
        taken = {one["row"] for one in chosen}
        if searches := [search for search in tuning["searches"] if search["row"] in taken]:
            made["tuning.json"] = _json({"schema": tuning["schema"], "searches": scrub(searches, "tuning")})
    made |= final_packing.pack(root, cells, scrub, asked.texts)
    judged = _judged(root, cells, scrub)
    made |= judged
    said = [summary(verdicts.parse(found, Path(where))) for where, found in sorted(_by_folder(judged).items())]
    listed = []
    for name, content in sorted(made.items()):
        stored = name if name.endswith(".json") else f"{name}{packed.SUFFIX}"
        raw = content if stored == name else packed.pack(content)
        path = folder / stored
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        listed.append(File(stored, len(raw), len(content), hashlib.sha256(raw).hexdigest()))
    manifest = Manifest(
        SCHEMA, "", folder.name, asked.by, asked.note, plan["name"], rows(_finals(cells, made), left_out), said,
        asked.texts, commits(cells), versions(cells), scrub.words, listed,
    )  # fmt: skip
    (folder / FILE).write_bytes(_json(msgspec.to_builtins(identified(manifest))))


def _cell(folder: Path, label: str, scrub: Scrubber, texts: bool) -> tuple[dict[str, bytes], Checked]:
    """The files of a cell by name, and the cell; under the plan's label, which a later recipe may have changed."""
    record: dict[str, Any] = reading.one(folder / "cell.json", dict[str, Any])
    if private := paths(record["spec"]):
        place, path = private[0]
        raise SubmissionError(
            f"{folder / 'cell.json'}: spec.{place} holds {path!r}, a place of your machine; a specification is the "
            "run's identity and cannot be scrubbed"
        )
    record = {key: value if key == "spec" else scrub(value, key) for key, value in record.items()}
    record["algorithm"] = label
    status: Any = scrub(reading.one(folder / "status.json", dict[str, Any]), "status")
    made = {"cell.json": _json(record), "status.json": _json(status)}
    lines = {name: packed.content(folder / name) for name in RECORD_FILES if packed.there(folder / name)}
    _require_items(folder, lines)
    if not texts:
        lines.pop(SAMPLES, None)
        lines = _without_texts(folder, lines)
    return made | lines, Checked(folder.name, record, status)


def _require_items(folder: Path, lines: Mapping[str, bytes]) -> None:
    """Refuse a run of which nobody could compute a score again."""
    file = folder / "evals.jsonl"
    if absent := [name for name in RECORDS if name not in lines]:
        raise SubmissionError(f"{folder / absent[0]}: no such file; a cell is submitted with {', '.join(RECORDS)}")
    evals: list[Any] = reading.parse(lines["evals.jsonl"], EvalRecord, str(file))
    without = [f"step {one.step}, {one.split}, {one.mode}" for one in evals if len(one.get("items", ())) != 2]
    if without:
        raise SubmissionError(
            f"{file}, {without[0]}: no items, [start, stop) in items.jsonl, of {len(without)} of its {len(evals)} "
            "evaluations; earlier versions recorded none. Scores could not be computed again: run the cell again"
        )


def _without_texts(folder: Path, lines: dict[str, bytes]) -> dict[str, bytes]:
    """The records with items that hold no prompt, reference or response, each evaluation's range moved accordingly."""
    if not any(f'"{key}"'.encode() in lines.get("items.jsonl", b"") for key in TEXTS):
        return lines
    content, items, evals, place = lines["items.jsonl"], bytearray(), bytearray(), 0
    for record in map(json.loads, lines["evals.jsonl"].splitlines()):
        start, stop = record["items"]
        if start != place:
            raise SubmissionError(f"{folder / 'evals.jsonl'}: items = [{start}, {stop}]; expected {place} as the start")
        began, place = len(items), stop
        for line in content[start:stop].splitlines():
            item = {key: value for key, value in json.loads(line).items() if key not in TEXTS}
            items += json.dumps(item).encode() + b"\n"
        record["items"] = [began, len(items)]
        evals += json.dumps(record).encode() + b"\n"
    return lines | {"items.jsonl": bytes(items), "evals.jsonl": bytes(evals)}


def _judged(root: Path, cells: Sequence[Checked], scrub: Scrubber) -> dict[str, bytes]:
    """All verdicts below the results folder on these cells against each other, or against nobody's run."""
    made: dict[str, bytes] = {}
    inside = {path.parent for path in root.rglob(FILE)} | {root / FOLDER}
    for path in sorted(root.rglob(verdicts.FILE)):
        if not inside.isdisjoint(path.parents):
            continue
        judged = verdicts.read(path.parent)
        own = judged.record.candidate.algorithm is not None
        if not own or not all(belongs(player, cells) for player in (judged.record.candidate, judged.record.opponent)):
            continue
        built = scrub(msgspec.to_builtins(judged.record), "judged")
        record = msgspec.convert(built, verdicts.Record)
        games = [game for games in judged.by_pair.values() for game in games]
        where = place(record)
        made[f"{where}/{verdicts.FILE}"] = _json(built)
        for name, kept in ((verdicts.PAIRS, judged.pairs), (verdicts.GAMES, games)):
            made[f"{where}/{name}"] = b"".join(msgspec.json.encode(line) + b"\n" for line in kept)
    return made


def _by_folder(files: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for name, content in files.items():
        folder, _, file = name.rpartition("/")
        found.setdefault(folder, {})[file] = content
    return found


def _finals(cells: Sequence[Checked], made: Mapping[str, bytes]) -> list[Checked]:
    """The cells with their last evaluations and final tasks, whose means the manifest says."""
    found = []
    for cell in cells:
        name = f"{cell.folder}/evals.jsonl"
        evals: list[Any] = reading.parse(made.get(name, b""), EvalRecord, name)
        ends, tasks = {(r["split"], r["mode"]): r for r in evals}, final_packing.accuracies(made, cell.folder)
        found.append(replace(cell, finals=ends, tasks=tasks))
    return found


def _json(content: Any) -> bytes:
    """As people read it in a pull request; ASCII, whatever stands in it."""
    return json.dumps(content, indent=1).encode() + b"\n"
