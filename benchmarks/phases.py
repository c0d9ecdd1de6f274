"""How far a run's memory is from what was estimated before it, phase by phase.

    python benchmarks/phases.py RECIPE [KEY=VALUE ...]
    python benchmarks/phases.py MODEL TOKENS

Of a recipe, the first cell runs for two steps, in a process of its own, and is evaluated before and after them; of
every phase the largest peak is taken over what stood there before the model was loaded: torch's allocator on CUDA, on a
CPU (Linux) the process's resident memory, for which freed memory is given back at once. What it samples may be shorter
than what it is estimated for. Of a model, `TOKENS` tokens are scored without a graph, updated on, and rated by a
reward model of its size, in rows of 256 behind prompts of 8, over what stood there before: the same tokens in both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

from algorithms import Needs
from harness import benchmark, experiment, memory, models, recipe
from harness.policy import Policy, Row
from harness.residents import Residents
from harness.rewards.scorer import logits_of

MIB = 2**20
# What is freed goes back to the system at once, so that resident memory is what is alive, and not what glibc keeps.
QUIET = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
INSIDE = "GROUPBENCH_PHASES_INSIDE"


def main() -> None:
    """See the module."""
    if INSIDE in os.environ:
        if sys.argv[2:] and sys.argv[2].isdigit():
            print(json.dumps(formulas(sys.argv[1], int(sys.argv[2]))))
        else:
            print(json.dumps(measure(Path(sys.argv[1]), [*sys.argv[2:], "budget={steps: 2}"])))
        return
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, __file__, *sys.argv[1:]]
    environment = os.environ | QUIET | {"PYTHONPATH": path, INSIDE: "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.returncode)
    print(table(json.loads(done.stdout.splitlines()[-1])))


def measure(path: Path, overrides: list[str]) -> dict[str, dict[str, int]]:
    """By phase: bytes estimated and bytes measured."""
    loaded = recipe.load(path, overrides)
    device = experiment.resolve_device(loaded.execution.device)
    planned = benchmark.plan(loaded, device)
    cell = planned.cells[0]
    if planned.reward_stage is not None:
        planned.reward_stage.run(lambda _: None)
    plan = memory.estimate(cell, models.load_codec(cell.start), device)
    before = standing(device)
    peaks: dict[str, int] = {}
    entered = Residents.phase

    @contextmanager
    def watched(self: Residents, name: str) -> Iterator[float]:
        with entered(self, name) as moving:
            reset(device)
            try:
                yield moving
            finally:
                peaks[name] = max(peaks.get(name, 0), peak(device) - before)

    Residents.phase = watched  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        experiment.run_cell(cell, Path(folder), cell.start, lambda *_: None)
    sums = {name: sum(parts.values()) for name, parts in plan.phases.items()}
    return {name: {"estimated": sums[name], "measured": peaks[name]} for name in sums if name in peaks}


def formulas(name: str, tokens: int) -> dict[str, dict[str, int]]:
    """As `measure`, of what a phase adds."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    device = experiment.resolve_device("auto")
    config = models.config(models.find(name))
    network = memory.Network.of(config, AutoModelForCausalLM.from_config)
    precision: Literal["float32", "bfloat16"] = "bfloat16" if device == "cuda" else "float32"
    policy = Policy(AutoModelForCausalLM.from_config(config, dtype=torch.float32), torch.device(device), precision, 1.0)
    rows = [Row([3] * 8, [4 + n % 9 for n in range(256)]) for _ in range(max(1, tokens // 264))]
    tokens = 264 * len(rows)
    for parameter in policy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    found = {}
    for phase, formula in (("scoring", network.scored), ("update", network.updated)):
        before = standing(device)
        reset(device)
        with torch.set_grad_enabled(phase == "update"):
            logp = policy.signals(rows, Needs()).logp.sum()
        if phase == "update":
            logp.backward()
        estimated = sum(formula(tokens, device, precision == "bfloat16").values())
        found[phase] = {"estimated": estimated, "measured": peak(device) - before}
        del logp
    del policy
    config.num_labels = 1
    rated = memory.Network.of(config, AutoModelForSequenceClassification.from_config)
    classifier = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).to(device).eval()
    before = standing(device)
    reset(device)
    with torch.inference_mode():
        logits_of(classifier, [[*row.prompt, *row.response] for row in rows], device)
    estimated = sum(rated.rated(tokens, memory.FLOAT).values())
    found["grading"] = {"estimated": estimated, "measured": peak(device) - before}
    return found


def standing(device: str) -> int:
    """Bytes taken now."""
    return torch.cuda.memory_allocated() if device == "cuda" else _status("VmRSS")


def peak(device: str) -> int:
    """Bytes taken at most since `reset`."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status("VmHWM")


def reset(device: str) -> None:
    """Forget earlier peaks."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def table(found: dict[str, dict[str, int]]) -> str:
    """Markdown."""
    lines = ["| phase | estimated MiB | measured MiB | estimate / measurement |", "|---|---:|---:|---:|"]
    for name, one in found.items():
        estimated, measured = one["estimated"], one["measured"]
        lines.append(f"| {name} | {estimated / MIB:.0f} | {measured / MIB:.0f} | {estimated / measured:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
