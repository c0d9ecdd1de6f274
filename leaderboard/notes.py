"""What a reader of a table must know about single cells and about what the runs do not have in common."""

from __future__ import annotations

from collections.abc import Iterable

from .runs import MODES, Cell, Row, Stage, Table
from .words import budget

# What must agree between a cell's sessions for equal bits: the key in their records, and what to call it.
SAME_BITS = {"commit": "commit", "versions": "version of a library", "device": "device", "threads": "number of threads"}
CONTROLS = {  # what a reader of the table must know about a control arm
    "random-reward": "random reward: the same training on fair coins for rewards; what this row gains, it gains "
    "without information, and a gain of that size elsewhere is no evidence of learning",
    "a-a": "A/A: the same algorithm again, with draws of its own; what lies between the two rows is noise",
}


def notes(table: Table) -> list[str]:
    """What a reader of the table must know about single cells, by row label and seed."""
    found = []
    for row in sorted(table.rows, key=lambda row: row.label):
        for cell in row.cells:
            found += [f"{row.label}, seed {cell.seed}: {text}" for text in _remarks(cell)]
    measured = {
        (mode, last["examples"], last["samples"])
        for row in table.rows
        for cell in row.done
        for mode in MODES
        if (last := cell.final(mode))
    }
    if len(measured) > len({mode for mode, _, _ in measured}):
        sizes = ", ".join(f"{mode} {examples} × {samples}" for mode, examples, samples in sorted(measured))
        found.append(f"the runs were not evaluated alike (examples × samples): {sizes}")
    found += _nonconforming(table)
    found += _chains(table)
    found += _handed_in(table)
    found += _differences(table)
    found += _overlaps(table)
    found += _earlier(table)
    found += [CONTROLS[kind] for kind in CONTROLS if any(c.provenance.get("control") == kind for c in _cells(table))]
    devices = {str(cell.provenance["device"]) for row in table.rows for cell in row.done if "device" in cell.provenance}
    if len(devices) > 1:
        found.append(f"seconds are not comparable, the runs had different devices: {'; '.join(sorted(devices))}")
    return found


def _nonconforming(table: Table) -> list[str]:
    """Algorithms of plug-ins that do not compute what they should, as their runs recorded it."""
    rows = sorted((row for row in table.rows if row.failing), key=lambda row: row.label)
    names = {row.label: " ".join(", ".join(row.failing).split()) for row in rows}  # a submission's may be anything
    return [f"{label} does not conform: {failing} (groupbench check)" for label, failing in names.items()]


def _handed_in(table: Table) -> list[str]:
    """Who handed in what, once a submission, and which rows lack seeds."""
    there = sorted((row for row in table.rows if row.submission), key=lambda row: row.label)
    rows = [(row.label, row.submission) for row in there if row.submission]
    found = []
    for name, one in sorted({submission.name: submission for _, submission in rows}.items()):
        by = f" by {one.by}" if one.by else ""
        state = "verified: its scores are those of its items" if one.verified else "not verified"
        said = [f"({name}): submitted{by}, {one.id}, {state}"]
        said += ["made by code with changes that no commit holds"] * one.dirty + [one.note] * bool(one.note)
        found.append("; ".join(said))
    for label, one in rows:
        if seeds := one.left_out:
            s = "s" * (len(seeds) > 1)
            found.append(f"{label}: submitted without the seed{s} {', '.join(map(str, seeds))} of its own plan")
    for row in there:
        asked = "was asked otherwise than of rows beside it, and is not shown"
        found += [f"{row.label}: the final task {task} {asked} ({how})" for task, how in row.otherwise.items()]
    return found


def _overlaps(table: Table) -> list[str]:
    """Evaluation questions that were trained on, as the runs recorded it; once where all runs say the same."""
    shared: dict[str, str] = {}
    for cell in _cells(table):
        for name, (count, questions) in cell.provenance.get("overlaps", {}).get("shared", {}).items():
            shared[f"{count} of the {questions} questions of {name}"] = name
    if not shared:
        return []
    own = table.task in shared.values()
    what = "the held-out numbers of this table count them" if own else "numbers on these sets count them"
    return [f"overlap: the training prompts hold {', '.join(sorted(shared))} (equal letters and digits); {what}"]


def _earlier(table: Table) -> list[str]:
    """What is in no table, because the file of a plug-in has been edited since, and how to be rid of it."""
    if not table.earlier:
        return []
    labels = ", ".join(sorted(row.label for row in table.earlier))
    folders = sorted(f"cells/{cell.folder.name}" for row in table.earlier for cell in row.cells if cell.folder)
    rows = "1 row" if len(table.earlier) == 1 else f"{len(table.earlier)} rows"
    return [
        f"left out of tables, ranks and tests: {rows} that a plug-in's file made before it was edited ({labels}); "
        f"to be rid of {'it' if rows == '1 row' else 'them'}, remove {', '.join(folders)}"
    ]


def _chains(table: Table) -> list[str]:
    """What each chain is made of; its budget is not that of the rows beside it."""
    chains = [row for row in sorted(table.rows, key=lambda row: row.label) if row.stages]
    found = [f"{row.label} is a chain: {', then '.join(_stage(one, row) for one in row.stages)}" for row in chains]
    total = (
        "a chain's costs and its way to a target count from its first stage on, and its gain is over where that began"
    )
    return [*found, total] if found else []


def _stage(stage: Stage, row: Row) -> str:
    """`sft for 100 steps (learning rate 0.001)`: with the settings that are not the last stage's, which the row has."""
    own = [f"{key.replace('_', ' ')} {v}" for key, v in stage.training.items() if v != row.training.get(key)]
    return f"{stage.algorithm} for {budget(stage.budget)}" + (f" ({', '.join(own)})" if own else "")


def _differences(table: Table) -> list[str]:
    """Training settings that are not the same in all rows; what differs within the algorithm stands in its label."""
    rows = [row for row in sorted(table.rows, key=lambda row: row.label) if row.training and not row.control]
    if all(row.search for row in rows):  # the search says so
        return []
    differing = [name for name in rows[0].training if len({str(row.training.get(name)) for row in rows}) > 1]
    return [
        f"the {name.replace('_', ' ')} is not the same: {', '.join(f'{r.label} {r.training.get(name)}' for r in rows)}"
        for name in differing
    ]


def _cells(table: Table) -> Iterable[Cell]:
    return (cell for row in table.rows for cell in row.cells)


def _remarks(cell: Cell) -> list[str]:
    status = cell.status
    if status is None:
        return []
    if cell.state == "failed":
        return [f"failed after step {status['step']}: {' '.join((status['error'] or 'no error recorded').split())}"]
    if cell.state != "done":
        return []
    found = []
    sessions = cell.provenance.get("sessions", ())
    if others := [
        said for name, said in SAME_BITS.items() if len({str(session.get(name)) for session in sessions}) > 1
    ]:
        found.append(f"resumed under another {', '.join(others)}: its bits are not those of an undisturbed run")
    if not cell.steps:
        found.append("finished, but without a step record")
    if status["weights_end"] == status["weights_start"]:
        found.append("the weights did not change")
    if not any(cell.curve(mode) for mode in MODES):
        found.append("finished, but without an evaluation")
    for mode in MODES:
        curve = cell.curve(mode)
        if curve and curve[0]["step"] != 0:
            found.append(f"no {mode} evaluation at step 0")
        if curve and curve[-1]["step"] != status["step"]:
            found.append(
                f"the last {mode} evaluation is at step {curve[-1]['step']}, the run ended at {status['step']}"
            )
    return found
