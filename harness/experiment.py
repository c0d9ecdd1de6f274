"""One cell: one algorithm, one task, one seed. Owns the run folder and everything written to it."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from leaderboard import records
from leaderboard.records import CellRecord, EvalRecord, ItemRecord, Status, StepRecord
from tasks.data import fixed_subset

from . import models
from .benchmark import Cell
from .errors import UserError
from .evaluate import evaluate, greedy
from .policy import Policy
from .rollout.transformers import TransformersEngine
from .settings import Sampling
from .trainer import Trainer

ALL_THREADS = torch.get_num_threads()
SAMPLES_KEPT = 4  # groups a step whose texts are recorded
FILES = ("steps.jsonl", "evals.jsonl", "items.jsonl", "samples.jsonl", "traceback.txt")


@dataclass(frozen=True)
class Progress:
    """What a watcher is told while a cell runs."""

    state: str  # running | done | failed
    step: int
    share: float  # of the budget, 0 to 1
    reward: float | None = None
    sampled: float | None = None  # held-out accuracy
    greedy: float | None = None
    error: str | None = None


Watcher = Callable[[Cell, Progress], None]


def state_of(folder: Path) -> str:
    """Missing | running | done | failed, as status.json says."""
    path = folder / "status.json"
    return str(records.read_json(path)["state"]) if path.exists() else "missing"


def run_cell(cell: Cell, folder: Path, start: models.Source, watch: Watcher) -> Status:
    """Train and evaluate one cell from `start`, recording everything in `folder`; what an earlier try left is replaced.

    A failure is recorded with its cause and raised again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "weights", ignore_errors=True)
    run = _Run(cell, folder, watch)
    try:
        return run.go(start)
    except KeyboardInterrupt:
        run.fail("interrupted")
        raise
    except Exception as error:
        if not isinstance(error, UserError):  # a defect, ours or a plug-in's: its author needs the line
            (folder / "traceback.txt").write_text(traceback.format_exc())
        run.fail(f"{type(error).__name__}: {error}")
        raise


class _Run:
    """A cell in progress."""

    def __init__(self, cell: Cell, folder: Path, watch: Watcher) -> None:
        self.cell, self.folder, self.watch = cell, folder, watch
        self.began = time.perf_counter()
        self.status = Status(state="running", step=0, error=None, weights_start="", weights_end=None, seconds=0.0)
        self.progress = Progress("running", 0, 0.0)

    def go(self, start: models.Source) -> Status:
        cell = self.cell
        torch.set_num_threads(cell.execution.threads or ALL_THREADS)  # an earlier cell may have chosen another number
        device = torch.device(resolve_device(cell.execution.device))
        records.write_json(self.folder / "cell.json", self._cell_record(start, device))
        self._save_status()
        codec = models.load_codec(start)
        model = models.load_model(start)
        policy = Policy(model, device, cell.precision, cell.sampling.temperature)
        engine = TransformersEngine(policy, codec.end_ids, cell.execution.decode_tokens)
        trainer = Trainer(
            cell.algorithm, cell.task, policy, engine, codec, training=cell.training, sampling=cell.sampling,
            execution=cell.execution, seed=cell.seed,
        )  # fmt: skip
        self.status["weights_start"] = weights_hash(policy)
        self._save_status()
        self._evaluate(trainer)
        while (share := trainer.spent.share(cell.budget)) < 1:
            step = trainer.step()
            self._record_step(step, trainer)
            share = trainer.spent.share(cell.budget)
            if share >= 1 or step["step"] % cell.evaluation.every == 0:
                self._evaluate(trainer)
            self._tell(state="running", step=step["step"], share=min(share, 1.0), reward=step["reward"])
        if cell.execution.save_weights:
            models.save(model, codec, self.folder / "weights")
        self.status["state"], self.status["weights_end"] = "done", weights_hash(policy)
        self._save_status()
        self._tell(state="done", share=1.0)
        return self.status

    def fail(self, cause: str) -> None:
        self.status["state"], self.status["error"] = "failed", cause
        self._save_status()
        self._tell(state="failed", error=cause)

    def _evaluate(self, trainer: Trainer) -> None:
        """Greedy and sampled, side by side: sharpening alone moves only the second."""
        cell, settings = self.cell, self.cell.evaluation
        sampled = Sampling(settings.max_tokens or cell.sampling.max_tokens, settings.temperature)
        examples = fixed_subset(cell.task.heldout, settings.examples, "evaluation.examples")
        found: dict[str, float] = {}
        for mode, sampling, samples in (("greedy", greedy(sampled), 1), ("sampled", sampled, settings.samples)):
            began = time.perf_counter()
            result = evaluate(trainer.engine, trainer.codec, cell.task, examples, sampling, samples, cell.seed)
            found[mode] = result.mean("correct")
            step = trainer.spent.steps
            record = EvalRecord(
                step=step, split="heldout", mode=mode, counters=trainer.spent.counters(), accuracy=found[mode],
                examples=len(examples), samples=samples, truncated=result.mean("truncated"),
                no_answer=1 - result.mean("answered"), response_tokens=result.mean("tokens"),
                seconds=time.perf_counter() - began,
            )  # fmt: skip
            records.append(self.folder / "evals.jsonl", [record])
            items = (
                ItemRecord(
                    step=step, split="heldout", mode=mode, id=i.id, correct=list(i.correct), tokens=list(i.tokens)
                )
                for i in result.items
            )
            records.append(self.folder / "items.jsonl", items)
        self._tell(sampled=found["sampled"], greedy=found["greedy"])

    def _record_step(self, step: StepRecord, trainer: Trainer) -> None:
        records.append(self.folder / "steps.jsonl", [step])
        kept = [
            {"step": step["step"], "id": group.example.id, "text": r.text, "reward": r.grade.reward, "source": r.source}
            for group in trainer.samples[:SAMPLES_KEPT]
            for r in group.responses
        ]
        records.append(self.folder / "samples.jsonl", kept)
        self.status["step"] = step["step"]

    def _cell_record(self, start: models.Source, device: torch.device) -> CellRecord:
        cell = self.cell
        return CellRecord(
            schema=records.SCHEMA, id=cell.id, row=cell.row, algorithm=cell.label, task=cell.task.name, seed=cell.seed,
            spec=cell.spec, provenance=provenance(cell, start, device),
        )  # fmt: skip

    def _save_status(self) -> None:
        self.status["seconds"] = time.perf_counter() - self.began
        records.write_json(self.folder / "status.json", self.status)

    def _tell(self, **news: Any) -> None:
        self.progress = replace(self.progress, **news)
        self.watch(self.cell, self.progress)


def resolve_device(name: str) -> str:
    """`auto` is cuda where there is a usable GPU. Raises UserError for a GPU that is not there."""
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise UserError("execution.device = cuda, but torch finds no usable GPU; allowed here: auto, cpu")
    return "cuda" if present and name != "cpu" else "cpu"


def weights_hash(policy: Policy) -> str:
    """sha256 over the trained tensors, in order: equal hashes mean bit-identical weights."""
    digest = hashlib.sha256()
    for parameter in policy.parameters():
        digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def provenance(cell: Cell, start: models.Source, device: torch.device) -> dict[str, Any]:
    """Everything worth knowing about a run that is not part of its identity."""
    processor = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "model": cell.start.name,
        "start": models.fingerprint(start),
        "description": (sys.modules[type(cell.algorithm).__module__].__doc__ or "").strip().split("\n")[0],
        "execution": asdict(cell.execution),
        "device": f"{device.type}: {processor}",
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("groupbench", "torch", "transformers")},
        "python": platform.python_version(),
        "commit": _commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> str | None:
    """The commit of our own code where it runs from a clone, with a + where the tree is changed."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    asked = [["git", "-C", str(root), *c] for c in (["rev-parse", "HEAD"], ["status", "--porcelain"])]
    head, changes = (subprocess.run(command, capture_output=True, text=True) for command in asked)
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "") if head.returncode == 0 else None
