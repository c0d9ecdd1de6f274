"""A results folder, read as tables of rows of cells."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import finals, mine, reading, records
from .records import RecordError, SearchRecord
from .runs import Cell, Row, Stage, State, Submission, Table

PROTOCOL = ("sampling", "evaluation")  # keys of a specification
TERMS = ("task", "model", "budget", "evaluation")  # and those that the rows of a table have in common


@dataclass(frozen=True)
class _Found:
    """A cell with what places it in a row and a table; `spec` is None where it was planned and never started."""

    folder: Path
    row: str
    algorithm: str
    task: str
    spec: Mapping[str, Any] | None
    cell: Cell
    card: Mapping[str, str] = field(default_factory=dict)
    failing: tuple[str, ...] = ()  # checks of conformance
    budget: Mapping[str, Any] | None = None  # of its table, where the plan names one


def load(results: Path) -> list[Table]:
    """Read every benchmark below `results`, sorted by benchmark, task, model and budget.

    The trials of a search for settings are left out, unless `results` is their own folder, and so is what others
    handed in, which `submissions.joining` reads. Raises RecordError that names the file, where one cannot be read or
    does not hold what it should.
    """
    return arranged(_some(Path(results)))


def load_all(places: Sequence[Path]) -> list[Table]:
    """The same of several folders, under slugs that are unique among all of them; a folder in another counts once."""
    whole = {Path(place).resolve(): Path(place) for place in places}
    outer = [place for resolved, place in whole.items() if whole.keys().isdisjoint(resolved.parents)]
    return arranged(table for place in outer for table in _some(place))


def _some(results: Path) -> list[Table]:
    tables, trials = own(results)
    if not tables:
        hint = "`groupbench run RECIPE` runs some"
        if trials:
            hint += f"; there are trials of a search in {', '.join(map(str, sorted(trials)))}"
        raise RecordError(f"{results}: no cell is planned in it and none has run; {hint}")
    return tables


def own(results: Path) -> tuple[list[Table], set[Path]]:
    """The tables of the user's own runs below `results`, as found, none where there are none; and trials' folders."""
    folders = mine.only(results, records.find_cells(results))
    roots = {path.parent for path in mine.below(results, "benchmark.json")}
    trials = {root for root in roots - {results} if reading.one(root / "benchmark.json", dict[str, Any]).get("trials")}
    roots -= trials
    folders = [folder for folder in folders if trials.isdisjoint(folder.parents)]
    cells: dict[Path, list[Path]] = {root: [] for root in sorted(roots)}
    for folder in folders:
        root = next((parent for parent in folder.parents if parent in roots), None)
        if root is None:
            root = folder.parent.parent if folder.parent.name == "cells" else folder.parent
        cells.setdefault(root, []).append(folder)
    with reading.no_garbage():
        tables = [table for root in sorted(cells) for table in _benchmark(root, cells[root], planned=root in roots)]
    return tables, trials


def submitted(folder: Path, submission: Submission, left_out: Mapping[str, Sequence[int]]) -> list[Table]:
    """The tables of what was handed in, each row called `label (name of the submission)`; `left_out`: seeds by row.

    Raises as `load`.
    """
    with reading.no_garbage():
        tables = _benchmark(folder, sorted(path.parent for path in folder.glob("cells/*/cell.json")), planned=True)
    name = submission.name

    def marked(row: Row, start: Path | None) -> Row:
        own = replace(submission, left_out=tuple(left_out.get(row.hash, ())))
        return replace(row, hash=f"{row.hash}-{name}", label=f"{row.label} ({name})", submission=own, start=start)

    return [replace(table, rows=tuple(marked(row, table.start) for row in table.rows)) for table in tables]


def arranged(tables: Iterable[Table]) -> list[Table]:
    """In the order in which they are shown, under the names of their files."""
    return _with_slugs(sorted(tables, key=lambda table: (table.benchmark, table.task, table.model or "", table.slug)))


@dataclass
class _Plan:
    """What benchmark.json says of rows; of a folder without one, nothing but its name."""

    name: str
    places: dict[str, int] = field(default_factory=dict)  # in the recipe's order
    names: dict[str, str] = field(default_factory=dict)  # of the recipes that planned them
    replaced: dict[str, str] = field(default_factory=dict)  # those of earlier code, by what has come in their place

    def table(self, rows: Iterable[str]) -> str:
        """What a table of these rows is called: as the last recipe, where that planned any of them."""
        names = dict.fromkeys(self.names.get(row, self.name) for row in rows)
        return self.name if self.name in names else next(iter(names))


def _benchmark(root: Path, folders: list[Path], planned: bool) -> list[Table]:
    found = [_read_cell(folder) for folder in folders]
    plan = _Plan(root.resolve().name)
    if planned:
        benchmark = reading.one(root / "benchmark.json", records.BenchmarkRecord)
        plan.name = benchmark["name"]
        run = {(one.row, one.cell.seed) for one in found}
        rows = [cell for cell in benchmark["cells"] if not cell.get("stage")]
        current = {cell["row"] for cell in rows if not cell.get("earlier")}
        for cell in rows:
            plan.places.setdefault(cell["row"], len(plan.places))
            plan.names.setdefault(cell["row"], cell.get("name", plan.name))
            if cell.get("earlier") in current:
                plan.replaced[cell["row"]] = cell["earlier"]
            elif (cell["row"], cell["seed"]) not in run:
                missing = Cell(cell["seed"], "missing")
                found.append(_Found(root, cell["row"], cell["algorithm"], cell["task"], None, missing))
        found = _as_planned(found, benchmark)
    _refuse_twins(found)
    found.sort(key=lambda one: (plan.places.get(one.row, len(plan.places)), one.algorithm, one.row, one.cell.seed))
    earlier = [one for one in found if one.row in plan.replaced]
    found = [one for one in found if one.row not in plan.replaced]
    groups: dict[tuple[str, str], list[_Found]] = defaultdict(list)
    for one in found:
        groups[one.task, _comparable(one, found)].append(one)
    tuning = reading.searches(root)
    searches = {search["row"]: search for search in tuning["searches"]} if tuning else {}
    counts = Counter(
        (group, label) for group, members in groups.items() for _, label in {(m.row, m.algorithm) for m in members}
    )
    shared = {label for (_, label), n in counts.items() if n > 1}
    return [
        _table(root, plan, task, key, members, earlier, searches, shared) for (task, key), members in groups.items()
    ]


def _as_planned(found: list[_Found], benchmark: records.BenchmarkRecord) -> list[_Found]:
    """Without the earlier stages of chains, which are no rows, and each in the table that the plan has for it."""
    stages = {(plan["row"], plan["seed"]) for plan in benchmark["cells"] if plan.get("stage")}
    budgets = {plan["row"]: plan["budget"] for plan in benchmark["cells"] if plan.get("budget")}
    # What is a row now may have run first as a stage, under the label of one.
    labels = {plan["row"]: plan["algorithm"] for plan in benchmark["cells"] if not plan.get("stage")}
    rows = [one for one in found if (one.row, one.cell.seed) not in stages]
    return [replace(one, budget=budgets.get(one.row), algorithm=labels.get(one.row, one.algorithm)) for one in rows]


def _comparable(one: _Found, found: list[_Found]) -> str:
    """What must be equal for two cells to stand in one table, as JSON; empty where nothing tells.

    A cell that was never started has no specification: it goes where its row is, else where its task's only table is.
    """
    if one.spec is not None:
        terms = [_budget(one) if key == "budget" else one.spec.get(key) for key in TERMS]
        terms += [one.spec["reward"]] if "reward" in one.spec else []
        return json.dumps(terms, sort_keys=True)
    started = [other for other in found if other.spec is not None and other.task == one.task]
    siblings = [other for other in started if other.row == one.row] or started
    keys = {_comparable(other, found) for other in siblings}
    return keys.pop() if len(keys) == 1 else ""


def _table(
    root: Path,
    plan: _Plan,
    task: str,
    key: str,
    members: list[_Found],
    earlier: list[_Found],  # of the whole benchmark
    searches: Mapping[str, SearchRecord],
    shared: set[str],  # labels that two rows of some table of the benchmark have
) -> Table:
    started = next((one for one in members if one.spec is not None), None)
    spec = None if started is None else started.spec
    by_row, former = _by_row(members), _by_row(earlier)
    rows = []
    for row, group in by_row.items():
        label = group[0].algorithm
        rows.append(_row(row, f"{label} #{_short(row, group)}" if label in shared else label, group, searches))
    old = [
        _row(row, f"{group[0].algorithm} (earlier code #{_short(row, group)})", group, searches)
        for row, group in former.items()
        if plan.replaced[row] in by_row
    ]
    model = None if started is None else _model_name(started)
    budget = None if started is None else _budget(started)
    slug = hashlib.sha256(key.encode()).hexdigest()[:6]
    start = None if spec is None else finals.start_of(root, spec.get("model"))
    return Table(
        plan.table(by_row), task, model, budget, slug, tuple(rows), _reward_name(spec), key, start, tuple(old)
    )  # fmt: skip


def _by_row(members: Iterable[_Found]) -> dict[str, list[_Found]]:
    found: dict[str, list[_Found]] = defaultdict(list)
    for one in members:
        found[one.row].append(one)
    return found


def _short(row: str, group: Sequence[_Found]) -> str:
    """Tells apart rows of one label: by what is a row's own, and not its task's, the same on every task."""
    return next((_own(one.spec) for one in group if one.spec), row)[:6]


def _row(row: str, label: str, group: Sequence[_Found], searches: Mapping[str, SearchRecord]) -> Row:
    cells = tuple(one.cell for one in group)
    algorithm = next((records.algorithm_name(one.spec) for one in group if one.spec), "")
    training: Mapping[str, Any] = next((one.spec.get("training", {}) for one in group if one.spec), {})
    protocol = next(({key: one.spec.get(key, {}) for key in PROTOCOL} for one in group if one.spec), {})
    card: Mapping[str, str] = next((one.card for one in group if one.card), {})
    stages: tuple[Stage, ...] = next((_stages(one.spec) for one in group if one.spec), ())
    parameters = next((_parameters(one.spec) for one in group if one.spec), {})
    return Row(
        row, label, cells, algorithm, "", training, protocol, searches.get(row), card, stages, parameters,
        failing=tuple(dict.fromkeys(check for one in group for check in one.failing)),
    )  # fmt: skip


def _parameters(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    algorithm = spec.get("algorithm")
    found = algorithm.get("parameters") if isinstance(algorithm, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _reward_name(spec: Mapping[str, Any] | None) -> str | None:
    """What rated responses, in words: `reward_model 801c624d7f37`; None where the verifier did."""
    reward = (spec or {}).get("reward")
    if not isinstance(reward, Mapping):
        return None
    settings = ", ".join(f"{key} {value}" for key, value in (reward.get("parameters") or {}).items())
    return " ".join(part for part in (str(reward.get("name")), str(reward.get("model") or "")[:40], settings) if part)


def _with_slugs(tables: list[Table]) -> list[Table]:
    """Name each table's files by its task, with more only where that is not enough."""

    def plain(table: Table) -> str:
        return "".join(c if c.isalnum() or c in "-_." else "-" for c in table.task) or "task"

    names = Counter(plain(table) for table in tables)
    longer = [f"{plain(t)}-{t.slug}" if names[plain(t)] > 1 else plain(t) for t in tables]
    seen: Counter[str] = Counter()
    for number, name in enumerate(longer):
        seen[name] += 1  # the same specification in two benchmarks
        tables[number] = replace(tables[number], slug=name if seen[name] == 1 else f"{name}-{seen[name]}")
    return tables


def _own(spec: Mapping[str, Any]) -> str:
    """A hash of what tells the rows of a table apart."""
    shared = ("task", "model", "budget", "reward", "evaluation", "seed")
    own = json.dumps({key: value for key, value in spec.items() if key not in shared}, sort_keys=True)
    return hashlib.sha256(own.encode()).hexdigest()


def _budget(one: _Found) -> Mapping[str, Any] | None:
    """That of its table: the recipe's, from which the last stage of a chain may differ."""
    return one.budget or (one.spec or {}).get("budget")


def _stages(spec: Mapping[str, Any]) -> tuple[Stage, ...]:
    earlier = spec.get("after", ())
    return tuple(
        Stage(
            records.algorithm_name({"algorithm": one.get("algorithm")}), one.get("budget", {}), one.get("training", {})
        )
        for one in ((*earlier, spec) if earlier else ())
    )


def _model_name(one: _Found) -> str:
    """The name that a person gave it; the specification may know the model by a hash of its weights only."""
    model = (one.spec or {}).get("model")
    spec = model if isinstance(model, Mapping) else {"name": model}
    name = one.cell.provenance.get("model") or spec.get("name")
    return f"{name}, warm-started" if spec.get("warm_start") else str(name)


def _read_cell(folder: Path) -> _Found:
    cell, status = reading.cell(folder)
    state: State = "running" if status is None else status["state"]  # cell.json is written before the first status
    read = Cell(cell["seed"], state, status, cell["provenance"], folder=folder)
    if state == "done":
        read = replace(read, steps=reading.steps(folder), evals=reading.evaluations(folder))
    words = cell["card"]["words"] if "card" in cell else {}
    failing = tuple(cell["card"].get("failing", ())) if "card" in cell else ()
    return _Found(folder, cell["row"], cell["algorithm"], cell["task"], cell["spec"], read, words, failing)


def _refuse_twins(found: list[_Found]) -> None:
    """One seed must not count twice, as it would where a cell's folder was copied."""
    seen: dict[tuple[str, int], Path] = {}
    for one in found:
        other = seen.setdefault((one.row, one.cell.seed), one.folder)
        if other != one.folder:
            raise RecordError(f"{one.folder}: the same row and seed {one.cell.seed} as {other}; remove one of the two")
