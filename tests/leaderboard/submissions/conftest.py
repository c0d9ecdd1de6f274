"""Real runs of seconds, packed once, and what an attacker would do to a copy of one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from leaderboard import packed
from leaderboard.records import content_hash, row_hash
from leaderboard.submissions.cells import Checked
from leaderboard.submissions.manifest import FILE, Manifest, identified
from leaderboard.submissions.packing import Asked, pack
from leaderboard.submissions.summary import rows
from leaderboard.submissions.verify import Report, verify_one

SUMS: dict[str, Any] = {
    "name": "sums",
    "task": {"name": "arithmetic", "parameters": {"level": 1}},
    "model": "tiny",
    "algorithms": ["grpo@no-kl", "gift"],
    "seeds": [0, 1],
    "budget": {"steps": 3},
    "training": {
        "prompts_per_step": 4, "responses_per_prompt": 4, "updates_per_rollout": 2, "learning_rate": 1e-3,
        "warmup_updates": 3,
    },
    "sampling": {"max_tokens": 4},
    "evaluation": {"every": 2, "samples": 2, "probe": 4, "examples": 6},
    "execution": {"threads": 1},
}  # fmt: skip
TASTE: dict[str, Any] = {
    "name": "taste",
    "task": "preference",
    "model": "tiny",
    "reward": "gold",
    "algorithms": ["grpo@no-kl", "gift"],
    "budget": {"steps": 2},
    "training": SUMS["training"],
    "sampling": {"max_tokens": 8},
    "evaluation": {"every": 1, "samples": 2, "probe": 0, "examples": 6},
    "execution": {"threads": 1, "save_weights": True},
    "win_rates": {"judges": ["gold"], "limit": 6},
}

ASKED: dict[str, Any] = {
    **SUMS,
    "name": "asked",
    "algorithms": ["gift"],
    "budget": {"steps": 1},
    "execution": {"threads": 1, "save_weights": True},
    "final_tasks": [
        {"name": "arithmetic", "label": "small", "parameters": {"level": 1}, "limit": 6, "max_tokens": 4},
        {"name": "arithmetic@greedy", "parameters": {"level": 2}, "limit": 8, "max_tokens": 4},
    ],
}

# A value head is hashed with the weights, before the first step as well.
VALUED = """
from dataclasses import dataclass
from algorithms import Algorithm, Loss, Needs, register

@register("valued")
@dataclass(frozen=True)
class Valued(Algorithm):
    @property
    def needs(self):
        return Needs(value=True)
    def loss(self, signals, batch):
        error = (signals.value - 1.0) ** 2
        return Loss((error - batch.token_advantage * signals.logp).sum() / batch.totals.tokens)
"""
CHAINS: dict[str, Any] = {
    **SUMS,
    "name": "chains",
    "algorithms": [
        "grpo@no-kl", "valued",
        {"label": "SFT+GRPO", "stages": [{"name": "sft", "budget": {"steps": 1}}, {"name": "grpo@no-kl"}]},
        {"label": "SFT+valued", "stages": [{"name": "sft", "budget": {"steps": 1}}, {"name": "valued"}]},
    ],
    "seeds": [0],
    "budget": {"steps": 2},
    "execution": {"threads": 1, "save_weights": True},
}  # fmt: skip


def run(settings: Mapping[str, Any], results: Path) -> Path:
    """A recipe's cells, comparisons and final tasks, as `groupbench run` makes them, without its tables."""
    from harness import chains, execution, final, recipe
    from harness.benchmark import plan
    from harness.experiment import run_cell
    from harness.judging import recipe as last_look

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    parsed = recipe.parse(dict(settings), "recipe")
    benchmark = plan(parsed, "cpu")
    judged, asked = (look.prepare(parsed, benchmark, results) for look in (last_look, final))
    execution.record_plan(results, benchmark)
    cells = results / "cells"
    stages = {cell.id: cell for cell in chains.needed(benchmark.cells, cells)}
    for cell in (stages | {cell.id: cell for cell in benchmark.cells}).values():
        run_cell(cell, cells / cell.id, cell.start, lambda *_: None, before=chains.before(cell, cells))
    if asked is not None:
        final.run(asked, benchmark, benchmark.cells[0].start, results)
    if judged is not None:
        assert last_look.run(judged, benchmark, benchmark.cells[0].start, results) == 0
    torch.set_num_threads(before)
    return results


@pytest.fixture(scope="session")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two algorithms, two seeds, graded."""
    return run(SUMS, tmp_path_factory.mktemp("runs") / "sums")


@pytest.fixture(scope="session")
def other_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two other seeds of one algorithm."""
    return run({**SUMS, "algorithms": ["gift"], "seeds": [2, 3]}, tmp_path_factory.mktemp("runs") / "sums")


@pytest.fixture(scope="session")
def taste(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two algorithms, on a reward, and compared by a judge."""
    return run(TASTE, tmp_path_factory.mktemp("runs") / "taste")


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One algorithm, two seeds, and their start, on two final tasks."""
    return run(ASKED, tmp_path_factory.mktemp("runs") / "asked")


@pytest.fixture(scope="session")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chains and a plug-in's algorithm with a value head, which have a stage in common."""
    from harness import plugins

    path = tmp_path_factory.mktemp("plugin") / "valued.py"
    path.write_text(VALUED)
    plugins.load_file(path)
    return run(CHAINS, tmp_path_factory.mktemp("runs") / "chains")


@pytest.fixture(scope="session")
def good(
    sums: Path, taste: Path, chains: Path, asked: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Submissions of all."""
    out = tmp_path_factory.mktemp("packed")
    said = {"sums": Asked("sums", "A. Person", "two cores")}
    runs = {"sums": sums, "taste": taste, "chains": chains, "asked": asked}
    return {name: pack(run, out, said.get(name, Asked(name))).path for name, run in runs.items()}


class Tampered:
    """A copy of a submission, to be altered; `sealed` does what an attacker who has read the code would do then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def cells(self) -> list[str]:
        """Ids by label and seed."""
        return [one["id"] for one in sorted(self.plan, key=lambda one: (one["algorithm"], one["seed"]))]

    @property
    def plan(self) -> list[dict[str, Any]]:
        return json.loads((self.folder / "benchmark.json").read_text())["cells"]

    def read(self, name: str) -> Any:
        """A JSON file, or the records of a packed one."""
        path = self.folder / name
        if path.suffix == ".json":
            return json.loads(path.read_text())
        return [json.loads(line) for line in packed.unpack(path.read_bytes(), name).splitlines()]

    def write(self, name: str, content: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            path.write_text(json.dumps(content, indent=1) + "\n")
        else:
            path.write_bytes(packed.pack(b"".join(json.dumps(record).encode() + b"\n" for record in content)))

    def change(self, name: str, change: Callable[[Any], Any]) -> None:
        content = self.read(name)
        changed = change(content)
        self.write(name, changed if isinstance(changed, list) else content)

    def manifest(self, **changes: Any) -> None:
        """The manifest with these entries and the id that belongs to it."""
        built = json.loads((self.folder / FILE).read_text()) | changes
        manifest = identified(msgspec.convert(built, Manifest))
        (self.folder / FILE).write_text(json.dumps(msgspec.to_builtins(manifest), indent=1))

    def sealed(self) -> Tampered:
        """Every size and hash of the manifest as the files now are, and its id."""
        files = []
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and name != FILE:
                raw = path.read_bytes()
                unpacked = len(packed.unpack(raw, name)) if path.suffix == ".gz" else len(raw)
                digest = hashlib.sha256(raw).hexdigest()
                files.append({"path": name, "size": len(raw), "unpacked": unpacked, "sha256": digest})
        self.manifest(files=files)
        return self

    def respecified(self, cell: str, change: Callable[[dict[str, Any]], Any]) -> str:
        """A cell with another cell.json, and everything that is called after its specification called after that."""
        record = self.read(f"cells/{cell}/cell.json")
        change(record)
        new, row = content_hash(record["spec"]), row_hash(record["spec"])
        record |= {"id": new, "row": row, "seed": record["spec"]["seed"]}
        plan = self.read("benchmark.json")
        for entry in plan["cells"]:
            if entry["id"] == cell:
                entry |= {"id": new, "row": row, "seed": record["seed"]}
        self.write("benchmark.json", plan)
        (self.folder / "cells" / cell).rename(self.folder / "cells" / new)
        self.write(f"cells/{new}/cell.json", record)
        return new

    def consistent(self) -> Tampered:
        """Sealed, with a manifest that says of the rows what the cells say."""
        evals = {cell: self.read(f"cells/{cell}/evals.jsonl.gz") for cell in self.cells}
        cells = [
            Checked(c, self.read(f"cells/{c}/cell.json"), self.read(f"cells/{c}/status.json"), (),
                    {(e["split"], e["mode"]): e for e in evals[c]})
            for c in self.cells
        ]  # fmt: skip
        self.manifest(rows=[msgspec.to_builtins(row) for row in rows(cells, {})])
        return self.sealed()

    def items(self, cell: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
        """Change a cell's items, and move every evaluation's range to where its items then are."""
        name = f"cells/{cell}/items.jsonl.gz"
        self.change(name, change)
        sizes: dict[tuple[Any, ...], int] = {}
        for item in self.read(name):
            key = item["step"], item["split"], item["mode"]
            sizes[key] = sizes.get(key, 0) + len(json.dumps(item)) + 1
        place, evals = 0, self.read(f"cells/{cell}/evals.jsonl.gz")
        for one in evals:
            stop = place + sizes.get((one["step"], one["split"], one["mode"]), 0)
            one["items"], place = [place, stop], stop
        self.write(f"cells/{cell}/evals.jsonl.gz", evals)

    def verify(self) -> Report:
        return verify_one(self.folder)

    def faults(self) -> list[str]:
        report = self.verify()
        assert not report.verified
        return [fault.words for fault in report.faults]


@pytest.fixture
def tampered(good: dict[str, Path], tmp_path: Path) -> Callable[[str], Tampered]:
    def copy(name: str = "sums") -> Tampered:
        return Tampered(Path(shutil.copytree(good[name], tmp_path / "copies" / name)))

    return copy
