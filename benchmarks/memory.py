"""Peak memory and seconds of one optimizer step on large groups, beside GRPO at the same micro-batch.

    python benchmarks/memory.py [--group 64 --prompts 1 --max-tokens 256 --rows 4 --repeats 3] [--algorithms NAME ...]

Every measurement is a process of its own: a random Llama, the trainer's own step on made-up responses of ragged lengths
(sampling takes no memory), once with responses of one token to allocate gradients and optimizer, then as asked. What
counts is the peak over what stood there before that step: activations, logits and signals, but no weights, which would
only flatter the ratio. The last row has all responses of a group in one part, as a loss that couples a group would want
it without the two passes. Peaks are the allocator's on CUDA; on a CPU (Linux) the process's resident memory, for which
freed memory is given back at once: its seconds are longer than a run's, and on a shared machine mostly noise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from algorithms.registry import create
from harness import models, tiny
from harness.policy import Policy
from harness.rollout import Completion, Request
from harness.settings import Execution, Sampling, Training
from harness.trainer import Trainer
from tasks.arithmetic import Arithmetic
from tasks.base import Example, Grade

BASELINE = "grpo"
NAMES = ("grpo", "gift@released", "gift@published", "gift@published-detached", "gift@smooth")
PROMPT_TOKENS = 8  # at most, of a sum of small numbers
MIB = 2**20


@dataclass(frozen=True)
class Size:
    """The step and the model. Activations must outweigh what the allocator rounds up, or nothing is measured."""

    group: int = 64
    prompts: int = 1
    max_tokens: int = 256  # of a response; the shortest has a quarter
    rows: int = 4  # responses of full length that fit into one part
    vocabulary: int = 8192
    hidden: int = 256
    layers: int = 4

    def micro_batch_tokens(self, whole: bool) -> int:
        """The budget of one part: a few responses, or the whole group."""
        return (self.group if whole else self.rows) * (PROMPT_TOKENS + self.max_tokens)


@dataclass(frozen=True)
class Result:
    """Of one step."""

    peak: int  # bytes over what stood there before
    seconds: float


@dataclass
class MadeUp:
    """An engine that draws random characters and runs no model."""

    vocabulary: Sequence[int]
    longest: int
    foreign: bool = False

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        """One response of the full length a group, the others anywhere above a quarter of it."""
        draw = random.Random(0)
        found = []
        for request in requests:
            lengths = [draw.randint(-(-self.longest // 4), self.longest) for _ in request.seeds[1:]]
            texts = [tuple(draw.choices(self.vocabulary, k=length)) for length in [self.longest, *lengths]]
            found.append([Completion(text, (0.0,) * len(text), truncated=False) for text in texts])
        return found

    def release(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class EveryOther(Arithmetic):
    """Sums whose every other answer counts as right, so that every group has signal."""

    def grade(self, example: Example, response: str) -> Grade:
        """By a hash of the text that is the same in every process."""
        right = sum(response.encode()) % 2 == 1
        return Grade(float(right), right, response)


def main() -> None:
    """All algorithms, in turns, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in asdict(Size()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--algorithms", nargs="+", default=NAMES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help=argparse.SUPPRESS)  # the process of one measurement
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    size = Size(**{name: getattr(asked, name) for name in asdict(Size())})
    if asked.only:
        print(json.dumps(asdict(step(asked.only, size, asked.whole))))
        return
    print(f"{size}, {'CUDA' if torch.cuda.is_available() else f'CPU, {torch.get_num_threads()} threads'}")
    print(table(compare(asked.algorithms, size, asked.repeats)))


def compare(names: Sequence[str], size: Size, repeats: int) -> dict[str, Result]:
    """The median of the repeats by algorithm, GRPO first, and the naive way of the last one at the end."""
    cases = {name: (name, False) for name in dict.fromkeys([BASELINE, *names])}
    cases[f"{names[-1]}, a group in one part"] = names[-1], True
    found: dict[str, list[Result]] = {label: [] for label in cases}
    for _ in range(repeats):
        for label, (name, whole) in cases.items():
            found[label].append(measure(name, size, whole))
            print(f"{label}: {found[label][-1].peak / MIB:.0f} MiB", file=sys.stderr, flush=True)
    return {
        label: Result(int(statistics.median(r.peak for r in rs)), statistics.median(r.seconds for r in rs))
        for label, rs in found.items()
    }


def measure(name: str, size: Size, whole: bool = False) -> Result:
    """One step, in a fresh process."""
    options = [f"--{key.replace('_', '-')}={value}" for key, value in asdict(size).items()]
    command = [sys.executable, __file__, "--only", name, *options, *(["--whole"] if whole else [])]
    # What is freed goes back to the system at once, so that resident memory is what is alive, and not what glibc keeps.
    quiet = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | quiet | {"PYTHONPATH": path})
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr}")
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def step(name: str, size: Size, whole: bool) -> Result:
    """One step, in this process."""
    trainer, engine = build(name, size, whole)
    engine.longest = 1
    trainer.step()
    engine.longest = size.max_tokens
    if trainer.policy.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before, loaded = torch.cuda.memory_allocated(), 0
    else:
        before, loaded = resident("VmRSS"), resident("VmHWM")
    began = time.perf_counter()
    record = trainer.step()
    seconds = time.perf_counter() - began
    if record["updates"] != 1 or record["updates_without_signal"]:
        raise SystemExit(f"{name} did not take the one step that is measured: {record}")
    peak = torch.cuda.max_memory_allocated() if trainer.policy.device.type == "cuda" else resident("VmHWM")
    if peak <= loaded:
        raise SystemExit("the step needed less than loading the model did: make it larger")
    return Result(peak - before, seconds)


def build(name: str, size: Size, whole: bool) -> tuple[Trainer, MadeUp]:
    """The harness's own trainer, of which only the engine and the grades are made up."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=size.vocabulary, hidden_size=size.hidden, intermediate_size=8 * size.hidden // 3,
        num_hidden_layers=size.layers, num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=False,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    policy = Policy(LlamaForCausalLM(config), device, "bfloat16" if device.type == "cuda" else "float32", 1.0)
    codec = models.load_codec(models.find("tiny"))
    engine = MadeUp(codec.demonstration(tiny.ALPHABET)[:-1], size.max_tokens)
    trainer = Trainer(
        create(name), EveryOther(level=2), policy, engine, codec,
        training=Training(size.prompts, size.group, updates_per_rollout=1), sampling=Sampling(size.max_tokens),
        execution=Execution(micro_batch_tokens=size.micro_batch_tokens(whole)), seed=0,
    )  # fmt: skip
    return trainer, engine


def resident(field: str) -> int:
    """Bytes resident now (VmRSS) or at most so far (VmHWM). Not ru_maxrss: that begins with the parent's peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def table(results: dict[str, Result]) -> str:
    """Markdown."""
    base = results[BASELINE]
    lines = ["| algorithm | peak MiB | of GRPO's | seconds | of GRPO's |", "|---|---:|---:|---:|---:|"]
    for label, found in results.items():
        lines.append(
            f"| {label} | {found.peak / MIB:.1f} | {found.peak / base.peak:.3f} | {found.seconds:.2f} "
            f"| {found.seconds / base.seconds:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
