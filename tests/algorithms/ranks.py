"""One rank of test_world_size.py, in a process of its own.

    python ranks.py RANK WORLD FOLDER

takes its share of every job of FOLDER/jobs.pt, sums the gradients over all ranks and writes FOLDER/RANK.pt. A job is a
step's whole batch, a model and each rank's share: the rows that it holds and their cut into parts.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from algorithms import Algorithm, Batch, Loss, Signals, Totals
from algorithms.step import accumulate_gradient, add_losses

SECONDS = 60  # that a rank waits for the other: a hang is cut here


class Shared(nn.Module):
    """A parameter that all tokens share in part, so that a wrong weight of any token changes the gradient."""

    def __init__(self, batch: Batch, signals: Signals) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.features = torch.randn(batch.tokens, 16, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(torch.zeros(16, dtype=torch.float64))
        self.batch, self.signals = batch, signals

    def forward(self, rows: Tensor) -> Signals:
        index = self.batch.token_rows(rows)
        drift = self.features[index] @ self.weight
        return self.signals.map(lambda value: value[index] + drift)


class Language(nn.Module):
    """The same for a real causal language model, through the harness's own policy."""

    def __init__(self, rows: list[Any], algorithm: Algorithm) -> None:
        super().__init__()
        from harness import models
        from harness.policy import Policy

        self.policy = Policy(models.load_model(models.find("tiny")), torch.device("cpu"), "float32", 1.0)
        # Weights in float64: in float32 the order of a matrix product's sums, which is the processor's, is 1e-6 itself.
        self.model, self.rows, self.needs = self.policy.model.double(), rows, algorithm.needs

    def forward(self, rows: Tensor) -> Signals:
        return self.policy.signals([self.rows[i] for i in rows.tolist()], self.needs)


Share = tuple[Tensor, list[Tensor]]  # what one rank holds: rows of the whole batch, and parts as positions in these


def gradient(job: dict[str, Any], share: Share, world: int = 1) -> tuple[Tensor, Loss]:
    """This rank's own gradient, flat, and its loss; with `job["ddp"]` the gradient is what DDP leaves behind."""
    algorithm, batch = job["algorithm"], job["batch"]
    model = Shared(batch, job["signals"]) if "signals" in job else Language(job["rows"], algorithm)
    called = nn.parallel.DistributedDataParallel(model) if job.get("ddp") and world > 1 else model
    rows, cut = share
    mine = batch.take(rows)
    if job.get("own_totals"):
        counts = mine.tokens, mine.responses, mine.groups
        mine = replace(mine, totals=Totals(*counts, *counts, mine.totals.max_tokens))
    loss = accumulate_gradient(algorithm, mine, lambda part: called(rows[part]), cut)
    # A rank that holds nothing this step has no gradients, and still takes part in the sum.
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    return torch.cat([grad.flatten() for grad in grads]), loss


def over_ranks(job: dict[str, Any], rank: int, world: int) -> tuple[Tensor, Loss]:
    """The whole step's gradient and loss, the same on all ranks."""
    flat, loss = gradient(job, job["shares"][rank], world)
    if not job.get("ddp"):
        dist.all_reduce(flat, dist.ReduceOp.SUM)
    losses: list[Any] = [None] * world
    dist.all_gather_object(losses, loss)
    return flat, add_losses(losses)


def main(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    jobs = torch.load(folder / "jobs.pt", weights_only=False)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=world,
        timeout=timedelta(seconds=SECONDS),
    )  # fmt: skip
    found = {}
    for key, job in jobs.items():
        try:
            found[key] = over_ranks(job, rank, world)
        except Exception as error:
            error.add_note(f"in job {key} on rank {rank}")
            raise
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
