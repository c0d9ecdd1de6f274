"""Final evaluations as a submission has them: of what all seeds of a row were asked, one line an item.

cells/<id>/final/evaluation.json, <task>/items.jsonl.gz     a cell's
start/<model's hash>/start.json, final/…                    that of what these cells started from
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from .. import finals, records
from ..evaluations import FILE, PER_SAMPLE, SCHEMA, ProtocolRecord, TaskResult, read_record
from ..finals import FOLDER, START, START_FILE
from ..records import RecordError
from .cells import Checked
from .final_evaluation import ITEMS
from .final_tasks import by_row, model_hash
from .manifest import TASK
from .scrub import Scrubber

VOTES = "maj@"  # which answers are equal, the task's code alone can say


def pack(root: Path, cells: Sequence[Checked], scrub: Scrubber, texts: bool) -> dict[str, bytes]:
    """The files of the final evaluations of cells and their starts, by name. Raises RecordError where items are lost.

    Of a row, what all of its seeds were asked: others are left out, and the scrubber says so.
    """
    made: dict[str, bytes] = {}
    starts: dict[str, tuple[Any, set[str]]] = {}
    for own in by_row(cells).values():
        there = {cell.id: _there(root / cell.folder / FOLDER) for cell in own}
        shared = frozenset.intersection(*map(frozenset, there.values()))
        for cell in own:
            for lost in sorted(there[cell.id].keys() - shared):
                scrub.done[f"final tasks: {lost} of {cell.record['algorithm']}, not asked of all of its seeds"] += 1
            if shared:
                place = f"{cell.folder}/{FOLDER}"
                made |= _packed(root / place, place, shared, scrub, texts, str(cell.record["algorithm"]))
                starts.setdefault(model_hash(cell), (cell.spec["model"], set()))[1].update(shared)
    for name, (model, asked) in starts.items():
        if (folder := finals.start_of(root, model)) is not None and (both := asked & _there(folder).keys()):
            made[f"{START}/{name}/{START_FILE}"] = _json({"model": model})
            made |= _packed(folder, f"{START}/{name}/{FOLDER}", both, scrub, texts)
    return made


def _there(folder: Path) -> Mapping[str, TaskResult]:
    return read_record(folder)["tasks"] if (folder / FILE).exists() else {}


def _packed(
    folder: Path, place: str, tasks: Set[str], scrub: Scrubber, texts: bool, label: str | None = None
) -> dict[str, bytes]:
    """The files of one evaluation; under the plan's label, as its cell."""
    record, results, made = read_record(folder), {}, dict[str, bytes]()
    for key in sorted(tasks):
        if not TASK.fullmatch(key):
            raise RecordError(f"{folder / key}: a submission's final task is called {TASK.pattern}; found {key!r}")
        finals.items(folder, key)  # which names what is missing
        result = record["tasks"][key]
        counted = {name: value for name, value in result["metrics"].items() if not name.startswith(VOTES)}
        if len(counted) < len(result["metrics"]):
            scrub.done["final tasks: majority votes, which only the task's own code can count"] += 1
        results[key] = {**result, "metrics": counted}
        made[f"{place}/{key}/{ITEMS}"] = _lines(folder / key / ITEMS, result["protocol"], texts)
    checkpoint: dict[str, Any] = {**record["checkpoint"], **({"row": label} if label else {})}
    whole = {"schema": SCHEMA, "checkpoint": checkpoint, "tasks": results}
    return made | {f"{place}/{FILE}": _json(scrub(whole, FOLDER))}


def _lines(path: Path, protocol: ProtocolRecord, texts: bool) -> bytes:
    """One item a line, in the order in which they were asked, with as many samples as count."""
    items: dict[str, dict[str, Any]] = {}
    for block in records.read_lines(path):
        item = items.get(block["id"])
        if item is None and block["first"] == 0:
            items[block["id"]] = block
        elif item is not None and block["first"] == len(item["correct"]):
            for name in ("responses", *PER_SAMPLE):
                item[name] += block[name]
    lines = bytearray()
    for item in (items[name] for name in protocol["examples"]):
        kept = {k: value[: protocol["samples"]] if isinstance(value, list) else value for k, value in item.items()}
        if not texts:
            kept = {key: value for key, value in kept.items() if key not in ("prompt", "responses")}
            kept["answers"] = [None if answer is None else "" for answer in kept["answers"]]
        lines += json.dumps(kept).encode() + b"\n"
    return bytes(lines)


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"


def accuracies(contents: Mapping[str, bytes], folder: str) -> dict[str, float]:
    """By task, of a cell whose final evaluation was packed; none where it was not."""
    content = contents.get(f"{folder}/{FOLDER}/{FILE}")
    tasks = json.loads(content)["tasks"] if content else {}
    return {key: result["metrics"]["accuracy"] for key, result in tasks.items()}
