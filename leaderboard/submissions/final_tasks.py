"""A submission's final tasks: what one seed of a row was asked, all were, in one way, and what they started from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..evaluations import FILE, comparable
from ..finals import FOLDER, START, START_FILE
from ..records import algorithm_name, content_hash
from .cells import Checked, decode
from .faults import Faults
from .final_evaluation import ITEMS, Evaluated, read


def check(contents: Mapping[str, bytes], cells: Sequence[Checked], faults: Faults) -> list[Checked]:
    """Check all final evaluations; the cells with their accuracies. One that was never asked anything is complete."""
    places = _places(contents)
    there = {place: one for place in places if (one := read(place, places[place], contents, faults)) is not None}
    found = {cell.id: there[place] for cell in cells if (place := f"{cell.folder}/{FOLDER}") in there}
    for own in by_row(cells).values():
        _all_seeds(own, found, places, faults)
    evaluated = [cell for cell in cells if cell.id in found]
    for cell in evaluated:
        _of_cell(cell, found[cell.id], faults)
    _weights(evaluated, found, faults)
    of_model: dict[str, list[Evaluated]] = defaultdict(list)
    for cell in evaluated:
        of_model[model_hash(cell)].append(found[cell.id])
    for name in sorted({path.split("/")[1] for path in contents if path.startswith(f"{START}/")} | of_model.keys()):
        start = there.get(f"{START}/{name}/{FOLDER}")
        _start(name, start, of_model[name], contents, faults)
        _alike([*of_model[name], *([start] if start else [])], faults)
    return [replace(cell, tasks=_accuracies(found[cell.id])) if cell.id in found else cell for cell in cells]


def by_row(cells: Sequence[Checked]) -> dict[str, list[Checked]]:
    """The cells by the hash of their row."""
    found: dict[str, list[Checked]] = defaultdict(list)
    for cell in cells:
        found[str(cell.record["row"])].append(cell)
    return found


def model_hash(cell: Checked) -> str:
    """What the folder of its start is called."""
    return content_hash(cell.spec["model"])


def _places(contents: Mapping[str, bytes]) -> dict[str, list[str]]:
    """The files of each final evaluation, by its folder."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in contents:
        place, folder, _ = name.partition(f"/{FOLDER}/")
        if folder:
            found[f"{place}/{FOLDER}"].append(name)
    return found


def _accuracies(one: Evaluated) -> dict[str, float]:
    return {key: result["metrics"].get("accuracy", math.nan) for key, result in one.record["tasks"].items()}


def _of_cell(cell: Checked, one: Evaluated, faults: Faults) -> None:
    """Of this cell's weights, and with draws of its seed."""
    checkpoint, seed = one.record["checkpoint"], cell.record["seed"]
    expected = {"algorithm": algorithm_name(cell.spec), "row": cell.record["algorithm"], "seed": seed}
    for key, value in expected.items():
        if (found := checkpoint.get(key)) != value:
            faults.add(one.file, "checkpoint", f"{key} = {found!r}", f"{value!r}, as in {cell.folder}/cell.json")
    _draws(one, seed, faults)


def _draws(one: Evaluated, seed: int, faults: Faults) -> None:
    for key, result in one.record["tasks"].items():
        if (drawn := result["protocol"]["seed"]) != seed:
            faults.add(one.file, key, f"draws of seed {drawn}", f"those of {seed}")


def _all_seeds(
    own: Sequence[Checked], found: Mapping[str, Evaluated], places: Mapping[str, Sequence[str]], faults: Faults
) -> None:
    """What one seed of a row was asked, all were: none may be left out for its answers."""
    asked = {key for cell in own if cell.id in found for key in found[cell.id].record["tasks"]}
    for cell in own:
        place = f"{cell.folder}/{FOLDER}"
        if cell.id not in found and place in places:
            continue  # not readable, which was said
        mine = found[cell.id].record["tasks"].keys() if cell.id in found else set()
        if lost := sorted(asked - mine):
            expected = f"an evaluation, as of other seeds of {cell.record['algorithm']}"
            faults.add(f"{place}/{FILE}", cell.words, f"not evaluated on {', '.join(lost)}", expected)


def _weights(cells: Sequence[Checked], found: Mapping[str, Evaluated], faults: Faults) -> None:
    """Cells that ended with other weights were not evaluated with the same ones."""
    ends: dict[str, Checked] = {}
    for cell in cells:
        first = ends.setdefault(found[cell.id].record["checkpoint"]["fingerprint"], cell)
        if first.status["weights_end"] != cell.status["weights_end"]:
            expected = "its own, which ended elsewhere"
            faults.add(found[cell.id].file, "checkpoint", f"the weights of {first.words}", expected)


def _start(
    name: str, start: Evaluated | None, cells: Sequence[Evaluated], contents: Mapping[str, bytes], faults: Faults
) -> None:
    """What these cells, or none, started from: on all that they were asked, and on nothing else."""
    file, place = f"{START}/{name}/{START_FILE}", f"{START}/{name}/{FOLDER}/{FILE}"
    asked = {key for one in cells for key in one.record["tasks"]}
    if start is not None or file in contents:
        said = decode(contents, file, dict[str, Any], faults)
        if said is not None and (expected := content_hash(said.get("model"))) != name:
            faults.add(file, "model", f"of the hash {expected}", f"{name}, its folder")
    if not cells:
        faults.add(file, "", "what no cell that was evaluated started from", "none")
    there = start.record["tasks"].keys() if start is not None else set()
    if lost := sorted(asked - there):
        expected = "an evaluation, as of its cells; running the recipe again makes one that is missing"
        faults.add(place, "", f"not evaluated on {', '.join(lost)}", expected)
    if start is None:
        return
    _draws(start, 0, faults)
    if trained := sorted({"algorithm", "row", "seed"} & start.record["checkpoint"].keys()):
        faults.add(place, "checkpoint", f"{trained[0]}, which a run has", "what runs start from")
    if more := sorted(there - asked):
        faults.add(place, more[0], "a task that no cell here was asked", "none")


def _alike(evaluations: Sequence[Evaluated], faults: Faults) -> None:
    """Of one model: a task is asked of all in the same way, and an item of equal name asks the same."""
    first: dict[str, Evaluated] = {}
    known: dict[tuple[str, str], str] = {}
    for one in evaluations:
        for key, result in one.record["tasks"].items():
            other = first.setdefault(key, one)
            protocol, theirs = result["protocol"], other.record["tasks"][key]["protocol"]
            if differences := comparable(protocol, theirs):
                faults.add(one.file, key, f"asked otherwise: {differences[0]}", f"as in {other.file}")
            elif protocol["examples"] == theirs["examples"] and protocol["data"] != theirs["data"]:
                faults.add(one.file, key, "other data under the same names", f"those of {other.file}")
            for name, content in one.asked[key].items():
                if (before := known.setdefault((key, name), content)) != content:
                    file = f"{one.place}/{key}/{ITEMS}.gz"
                    faults.add(file, f"item {name}", f"asked {content}", f"{before}, as others of this model")
                    break
