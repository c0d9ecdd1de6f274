"""The plan of a submission: which cells there are to be, and which of them are rows of a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ..records import SCHEMA, BenchmarkRecord, PlannedCell
from .cells import Checked, decode
from .faults import Faults
from .shapes import Budget, fit


def planned(contents: Mapping[str, bytes], cells: Sequence[Checked], names: Sequence[str], faults: Faults) -> None:
    """The cells that were planned, each once, and no other."""
    plan = decode(contents, "benchmark.json", BenchmarkRecord, faults)
    if plan is None:
        return
    if plan["schema"] != SCHEMA:
        faults.add("benchmark.json", "schema", plan["schema"], SCHEMA, unsafe=True)
    if plan.get("trials"):
        faults.add("benchmark.json", "trials", "true: trials of a search for settings", "runs")
    by_id = {one["id"]: one for one in plan["cells"]}
    for name, times in Counter(one["id"] for one in plan["cells"]).items():
        if times > 1:
            faults.add("benchmark.json", f"cell {name}", f"{times} times", "once")
    labels = {(one["row"], one["seed"]): one["algorithm"] for one in plan["cells"]}
    for (row, seed), times in Counter((one["row"], one["seed"]) for one in plan["cells"]).items():
        if times > 1:
            label = labels[row, seed]
            faults.add("benchmark.json", f"{label}, seed {seed}", f"planned {times} times", "once: seeds are distinct")
    for name in sorted(by_id.keys() - set(names)):
        one = by_id[name]
        what = f"{one['algorithm']}, seed {one['seed']}"
        faults.add("benchmark.json", f"cell {name}", f"{what} is planned and has no folder", f"cells/{name}")
    for name in sorted(set(names) - by_id.keys()):
        faults.add(f"cells/{name}", "", "a cell that no plan names", "one of benchmark.json")
    if not all(fit("benchmark.json", "budget", one.get("budget", {}), Budget, faults) for one in plan["cells"]):
        return
    for one in plan["cells"]:
        for key in one.keys() & {"name", "earlier"}:  # the first is shown, and the second hides a row
            faults.add("benchmark.json", f"cell {one['id']}", f"an entry {key!r}", "none: a submission has one plan")
    _stages(plan["cells"], cells, faults)
    for cell in cells:
        one = by_id.get(cell.id, {})
        for key in ("row", "algorithm", "task", "seed") if one else ():
            if one[key] != cell.record[key]:
                found = f"{key} = {one[key]!r}"
                faults.add("benchmark.json", f"cell {cell.id}", found, f"{cell.record[key]!r}, as in its cell.json")
        if (budget := one.get("budget")) and not cell.spec.get("after"):
            found = f"budget = {budget}, which is not its own"
            faults.add("benchmark.json", f"cell {cell.id}", found, "none: a chain alone may stand beside other budgets")


def _stages(plan: Sequence[PlannedCell], cells: Sequence[Checked], faults: Faults) -> None:
    """A stage is in no table, so it must be what a chain here goes on from, and with all seeds of its row."""
    begun = {(stage["row"], cell.record["seed"]) for cell in cells for stage in cell.spec.get("after", ())}
    flags: dict[str, set[bool]] = defaultdict(set)
    for one in plan:
        flags[one["row"]].add(one.get("stage", False))
        if one.get("stage") and (one["row"], one["seed"]) not in begun:
            found = f"{one['algorithm']}, seed {one['seed']} is a stage"
            faults.add("benchmark.json", f"cell {one['id']}", found, "the stage of a chain of its seed")
    for row in sorted(row for row, found in flags.items() if len(found) > 1):
        faults.add("benchmark.json", f"row {row}", "a stage with some of its seeds", "with all of them, or none")
