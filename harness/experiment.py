"""One cell: one algorithm, one task, one seed. Owns the run folder and everything written to it.

A cell that was killed goes on from its last checkpoint: records behind it are cut off and written again, and the run
ends bit-identical (CPU, fixed threads) to one that was never killed.
"""

from __future__ import annotations

import hashlib
import shutil
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from algorithms.places import place
from leaderboard import records
from leaderboard.finals import FOLDER as FINAL
from leaderboard.records import ANSWERS, RECORD_FILES, CellRecord, RecordError, SampleRecord, Status, StepRecord

from . import checkpoint, memory, models
from .benchmark import Cell
from .chains import Before
from .cores import ALL_THREADS, resolve_device
from .errors import UserError
from .evaluation import drift
from .evaluation.looks import evaluations
from .lock import lock
from .policy import Policy
from .provenance import card_record, provenance, session
from .rollout import engines, mismatch
from .seeds import derive
from .sinks import Sinks
from .stop import Stop, Stopped
from .trainer import Trainer

PROMPTS_CHECKED = 8  # drawn from by the start-up check of a foreign engine
SAMPLES_KEPT = 4  # groups a step whose texts are recorded


@dataclass(frozen=True)
class Progress:
    """What a watcher is told while a cell runs."""

    state: str  # running | stopped | failed | done
    step: int
    share: float  # of the budget, 0 to 1
    reward: float | None = None
    sampled: float | None = None  # held-out accuracy, or reward where there is no verifier
    greedy: float | None = None
    error: str | None = None
    note: str | None = None  # said once


SHOWN = ("step", "share", "reward", "sampled", "greedy")  # what a resumed cell's watcher is told at once
Watcher = Callable[[Cell, Progress], None]


def state_of(folder: Path) -> str:
    """Missing | running | stopped | failed | done, as status.json says; a killed cell still says running."""
    path = folder / "status.json"
    return str(records.read_json(path)["state"]) if path.exists() else "missing"


def run_cell(
    cell: Cell, folder: Path, start: models.Source, watch: Watcher, stop: Stop | None = None,
    before: Before | None = None,
) -> Status:  # fmt: skip
    """Train and evaluate one cell from `start`, or from its last checkpoint, recording everything in `folder`.

    A chain's later stage goes on from `before`, and `start` is where the chain began.

    A cell that is done is left as it is. A failure is recorded with its cause and raised again. Raises `lock.Held`
    where another process runs the cell, and `Stopped`, with all saved, soon after `stop` was set.
    """
    if (before is None) != (cell.after is None):
        raise ValueError(f"{cell.label}: a chain's later stage, and no other cell, goes on from the stage before it")
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock(folder))
        except OSError as error:
            watch(cell, Progress("failed", 0, 0.0, error=cause(error)))
            raise
        if state_of(folder) != "done":
            return _Run(cell, folder, start, watch, stop or Stop(), before).go()
        status: Status = records.read_json(folder / "status.json")
        watch(cell, Progress("done", status["step"], 1.0, note="another process has finished it"))
        return status


class _Run:
    """A cell in progress."""

    def __init__(
        self, cell: Cell, folder: Path, start: models.Source, watch: Watcher, stop: Stop, before: Before | None
    ) -> None:  # fmt: skip
        self.cell, self.folder, self.watch, self.stop, self.before = cell, folder, watch, stop, before
        self.origin, self.start = start, start if before is None else before.start
        self.began = time.perf_counter()
        self.saved_at, self.saving_seconds = time.monotonic(), 0.0
        self.earlier_seconds = 0.0
        self.evaluated = -1  # the step of the last evaluation
        self.committed: dict[str, Any] = {}  # what belongs to the trainer's state after `committed_step`
        self.committed_step = -1
        self.trainer: Trainer | None = None
        self.status = Status(state="running", step=0, error=None, weights_start="", weights_end=None, seconds=0.0)
        self.progress = Progress("running", 0, 0.0)
        # Before the generators are seeded: a tracker may draw from them.
        self.sinks = Sinks(cell, folder, lambda note: self._tell(note=note))

    def go(self) -> Status:
        for left in (self.folder / "traceback.txt", *self.folder.glob("*.json.*.tmp")):
            left.unlink(missing_ok=True)
        try:
            self._train()
            self._end("done")
        except (Stopped, KeyboardInterrupt) as error:
            self._save_on_leaving()
            self._end("stopped", str(error) or "interrupted")
            raise
        except Exception as error:
            if not isinstance(error, (UserError, OSError)):  # a defect, ours or a plug-in's: its author needs the line
                with suppress(OSError):
                    (self.folder / "traceback.txt").write_text(traceback.format_exc())
            self._end("failed", cause(error))
            raise
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        return self.status

    def _train(self) -> None:
        cell = self.cell
        device = torch.device(resolve_device(cell.execution.device))
        codec = models.load_codec(self.start)
        plan = memory.estimate(cell, codec, device.type)
        torch.set_num_threads(cell.execution.threads or ALL_THREADS)  # an earlier cell may have chosen another number
        checkpoint.seed_generators(derive("generators", cell.seed))
        self._save_status()
        model = models.load_model(self.start)
        policy = Policy(model, device, cell.precision, cell.sampling.temperature)
        engine = engines.build(cell.rollout, policy, codec.end_ids, cell.execution.decode_tokens)
        trainer = Trainer(
            cell.algorithm, cell.task, policy, engine, codec, training=cell.training, sampling=cell.sampling,
            execution=cell.execution, seed=cell.seed, control=cell.control, turns=plan.turns,
            drift=cell.evaluation.drift, begun=None if self.before is None else self.before.spent,
            origin=self._origin(device),
        )  # fmt: skip
        self.status["weights_start"] = weights_hash(policy)
        if self.before is not None and not any(stage.algorithm.needs.value for stage in cell.chain):
            self.before.check(self.status["weights_start"])  # a value head is hashed as well, and ends with its stage
        resumed = self._resume(trainer)
        self._check_engine(trainer)
        here = session(device, trainer.spent.steps, engines.versions(cell.rollout))
        self._write_cell_record(here | {"memory": plan.record()}, resumed)
        self._save_status()
        self.trainer = trainer
        self._loop(trainer)
        if cell.execution.save_weights:
            models.save(model, codec, self.folder / "weights")
        self.status["weights_end"] = weights_hash(policy)

    def _origin(self, device: torch.device) -> Policy | None:
        """Where a chain began, frozen; None where that is of no interest, or where this cell begins."""
        if self.before is None or not drift.measured(self.cell.task, self.cell.evaluation.drift):
            return None
        model = models.load_model(self.origin).requires_grad_(False)
        return Policy(model, device, self.cell.precision, self.cell.sampling.temperature)

    def _check_engine(self, trainer: Trainer) -> None:
        """Refuse a foreign engine that does not draw from the policy."""
        cell = self.cell
        if trainer.engine.foreign:
            prompts = [trainer.codec.prompt(example) for example in cell.task.train[:PROMPTS_CHECKED]]
            bound, cut = cell.rollout.max_mismatch, cell.execution.micro_batch_tokens
            mismatch.check(trainer.engine, trainer.policy, prompts, cell.sampling, bound, cut)

    def _loop(self, trainer: Trainer) -> None:
        cell = self.cell
        while True:
            self.stop.check()
            steps, share = trainer.spent.steps, trainer.share(cell.budget)
            due = steps == 0 or share >= 1 or steps % cell.evaluation.every == 0
            if due and self.evaluated != steps:
                self._evaluate(trainer, last=share >= 1)
                self._commit(trainer)
                self.stop.check()
            self.sinks.show()
            if share >= 1:
                return
            if steps > trainer.begun.steps and self._checkpoint_due():
                self._checkpoint(trainer)
            step = trainer.step()
            self._record_step(step, trainer)
            self._commit(trainer)
            share = min(trainer.share(cell.budget), 1.0)
            self._tell(state="running", step=step["step"], share=share, reward=step["reward"])

    # --- checkpoints ---

    def _commit(self, trainer: Trainer) -> None:
        """All records up to here belong together, and to the trainer's state: a resumed run goes on from here."""
        sizes, generators = records.sizes(self.folder), checkpoint.generators()
        self.committed = {"records": sizes, "generators": generators, "evaluated": self.evaluated}
        self.committed_step = trainer.spent.steps

    def _checkpoint_due(self) -> bool:
        """By time, and so that saving a large model never takes more than a twentieth of it."""
        wanted = self.cell.execution.checkpoint_seconds
        return wanted == 0 or time.monotonic() - self.saved_at >= max(wanted, 20 * self.saving_seconds)

    def _checkpoint(self, trainer: Trainer) -> None:
        began = time.monotonic()
        for name in RECORD_FILES:
            if (path := self.folder / name).exists():
                checkpoint.sync(path)
        state = {
            "trainer": trainer.state(), "seconds": self._seconds(), **self.committed,
            "progress": {name: getattr(self.progress, name) for name in SHOWN},
        }  # fmt: skip
        folder, keep = self.folder / "checkpoints", self.cell.execution.keep_checkpoints
        checkpoint.save(folder, self.cell.id, trainer.spent.steps, state, keep)
        self.saved_at = time.monotonic()
        self.saving_seconds = self.saved_at - began

    def _save_on_leaving(self) -> None:
        """Save the state after the last whole step; where weights have changed since its records, that is past."""
        trainer = self.trainer
        if trainer is None or not trainer.between_steps or trainer.spent.steps != self.committed_step:
            return
        try:
            records.rewind(self.folder, self.committed["records"])
            self._checkpoint(trainer)
        except OSError as error:
            self._tell(note=f"could not save on leaving: {error}")

    def _resume(self, trainer: Trainer) -> bool:
        """Go on from the newest usable checkpoint; without one, begin anew. Returns whether there was one."""
        skipped: list[Path] = []
        for path in checkpoint.found(self.folder / "checkpoints"):
            try:
                state = checkpoint.load(path, self.cell.id).state
                records.rewind(self.folder, state["records"])
            except (checkpoint.DamagedCheckpoint, RecordError) as error:
                self._tell(note=f"{path.name} is skipped: {error}")
                skipped.append(path)  # left lying, it would one day match records that were made since
                continue
            checkpoint.remove(skipped)
            trainer.load_state(state["trainer"])
            checkpoint.set_generators(state["generators"])
            self.evaluated, self.earlier_seconds = state["evaluated"], state["seconds"]
            self.committed = {name: state[name] for name in ("records", "generators", "evaluated")}
            self.committed_step = trainer.spent.steps
            self.status["step"] = trainer.spent.steps
            self._tell(**state["progress"], note=f"goes on from step {trainer.spent.steps}")
            return True
        checkpoint.remove(skipped)
        for name in RECORD_FILES:
            (self.folder / name).unlink(missing_ok=True)
        for made in ("weights", FINAL, ANSWERS):  # what is answered after training is the former weights'
            shutil.rmtree(self.folder / made, ignore_errors=True)
        if self.before is not None:
            self._go_on_from(self.before, trainer)
        return False

    def _go_on_from(self, before: Before, trainer: Trainer) -> None:
        """Begin with the records of the stages before; the last evaluation of one is the first of the next."""
        before.copy_records(self.folder)
        self.evaluated = self.status["step"] = trainer.begun.steps
        self.earlier_seconds = before.status["seconds"]
        self._commit(trainer)
        self._tell(step=trainer.begun.steps)

    # --- records ---

    def _evaluate(self, trainer: Trainer, last: bool) -> None:
        """Look at the policy; the `last` look keeps texts, for people to read."""
        cell, heldout = self.cell, {}
        for record, items in evaluations(
            trainer.engine, trainer.codec, cell.task, cell.evaluation, cell.sampling.max_tokens, cell.seed,
            trainer.spent.counters(), trainer.drift, trainer.residents, texts=last,
        ):  # fmt: skip
            record["items"] = list(records.append(self.folder / "items.jsonl", items))
            records.append(self.folder / "evals.jsonl", [record])
            if record["split"] == "heldout":
                heldout[record["mode"]] = records.headline(record)
        self.evaluated = trainer.spent.steps
        self._tell(**heldout)

    def _record_step(self, step: StepRecord, trainer: Trainer) -> None:
        if self.cell.after is not None:
            step["stage"] = len(self.cell.chain)
        records.append(self.folder / "steps.jsonl", [step])
        kept = []
        for group in trainer.samples[:SAMPLES_KEPT]:
            example = group.example
            for number, r in enumerate(group.responses):
                sample = SampleRecord(
                    step=step["step"], id=example.id, text=r.text, reward=r.grade.reward, source=r.source
                )
                if number == 0:
                    sample["prompt"] = example.text
                kept.append(sample)
        records.append(self.folder / "samples.jsonl", kept)
        self.status["step"] = step["step"]

    def _write_cell_record(self, here: dict[str, Any], resumed: bool) -> None:
        cell, path, known = self.cell, self.folder / "cell.json", provenance(self.cell, self.start)
        earlier = records.read_json(path)["provenance"]["sessions"] if resumed else []
        if self.before is not None:
            known["stages"] = self.before.stages
            earlier = earlier or self.before.provenance["sessions"]
        record = CellRecord(
            schema=records.SCHEMA, id=cell.id, row=cell.row, algorithm=cell.label, task=cell.task.name, seed=cell.seed,
            spec=cell.spec, provenance={**known, **here, "sessions": [*earlier, here]}, card=card_record(cell),
        )  # fmt: skip
        records.write_json(path, record)

    def _end(self, state: str, error: str | None = None) -> None:
        self.status["state"], self.status["error"] = state, error  # type: ignore[typeddict-item]
        try:
            self._save_status()
        except OSError as trouble:  # a full disk has failed the run, or is about to be told of
            if state == "done":
                raise
            error = f"{error} (and status.json could not be written: {trouble})"
        self.sinks.close()
        self._tell(state=state, error=error, **({"share": 1.0} if state == "done" else {}))

    def _seconds(self) -> float:
        return self.earlier_seconds + time.perf_counter() - self.began

    def _save_status(self) -> None:
        self.status["seconds"] = self._seconds()
        records.write_json(self.folder / "status.json", self.status)

    def _tell(self, **news: Any) -> None:
        self.progress = replace(self.progress, **{"note": None, **news})
        self.watch(self.cell, self.progress)


def cause(error: Exception) -> str:
    """One line for status.json and the table: what happened, where in a plug-in, and what helps where that is known."""
    text = f"{type(error).__name__}: {error}{place(error)}"
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in text:
        return (
            f"{text.splitlines()[0]}; out of memory: lower execution.micro_batch_tokens (training) or "
            "execution.decode_tokens (sampling), or set execution.offload to on (a GPU), which leave the cell the "
            "same, and run again"
        )
    return text


def weights_hash(policy: Policy) -> str:
    """sha256 over the trained tensors, in order: equal hashes mean bit-identical weights."""
    digest = hashlib.sha256()
    for parameter in policy.parameters():
        digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
