"""Kill -9 a running cell at random instants, run it again, and compare it with one that was never killed.

    python benchmarks/kill.py --kills 25 [--algorithm grpo] [--steps 12] [--seed 0]

Every trial is a fresh results folder: `groupbench run`, SIGKILL at an instant drawn uniformly over the cell's own
duration, `groupbench run` again to the end. Prints a line a trial and exits with 1 unless every final weight hash and
every record (less what is measured in seconds) is the same.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import checkpoint
from leaderboard import records

RECIPE: dict[str, Any] = {
    "name": "kill",
    "task": {"name": "arithmetic", "parameters": {"level": 2}},
    "model": "tiny",
    "training": {"prompts_per_step": 16, "responses_per_prompt": 8, "updates_per_rollout": 4, "learning_rate": 1e-4},
    "sampling": {"max_tokens": 6},
    "evaluation": {"every": 3, "samples": 4},
    "execution": {"threads": 1, "checkpoint_seconds": 0},
}


def main() -> int:
    """Run all trials; 0 when all ended alike."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--algorithm", default="gft", help="gft has signal from an untrained model")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        recipe = Path(scratch) / "kill.yaml"
        recipe.write_text(json.dumps(RECIPE | {"algorithms": [asked.algorithm], "budget": {"steps": asked.steps}}))
        seconds = run(recipe, Path(scratch) / "whole", None)
        expected = read(Path(scratch) / "whole")
        print(f"never killed: {seconds:.1f} s, weights {expected[0][:16]}", flush=True)
        alike = 0
        for number in range(1, asked.kills + 1):
            out = Path(scratch) / str(number)
            instant = draw.uniform(0, seconds)
            run(recipe, out, instant)
            at = describe(out)
            run(recipe, out, None)
            found = read(out)
            alike += found == expected
            print(f"{number:3}: killed {instant:4.1f} s in ({at}): {verdict(found, expected)}", flush=True)
    print(f"{alike} of {asked.kills} killed cells ended with the weights and the records of the one never killed")
    return 0 if alike == asked.kills else 1


def run(recipe: Path, out: Path, kill_after: float | None) -> float:
    """`groupbench run`, killed so many seconds after its cell began. Returns how long the cell took."""
    command = [str(Path(sys.executable).with_name("groupbench")), "run", str(recipe), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not list(out.glob("cells/*/lock")) and process.poll() is None:
        time.sleep(0.005)
    began = time.monotonic()
    if kill_after is None:
        while process.poll() is None and not done(out):
            time.sleep(0.005)
        seconds = time.monotonic() - began
        if process.wait() != 0:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
        return seconds
    time.sleep(kill_after)
    process.kill()
    process.wait()
    return time.monotonic() - began


def done(out: Path) -> bool:
    """Whether the only cell has ended."""
    return any(records.read_json(path)["state"] == "done" for path in out.glob("cells/*/status.json"))


def describe(out: Path) -> str:
    """What the kill left."""
    (folder,) = out.glob("cells/*")
    saved = checkpoint.found(folder / "checkpoints")
    steps = sum(1 for _ in records.read_lines(folder / "steps.jsonl"))
    torn = " torn checkpoint," if list(folder.glob("checkpoints/tmp-*")) else ""
    return f"{steps} steps recorded,{torn} last checkpoint {saved[0].name if saved else 'none'}"


def read(out: Path) -> tuple[str, dict[str, list[Any]]]:
    """Weights and records of the only cell, less what is measured in seconds."""
    (folder,) = out.glob("cells/*")

    def strip(record: Any) -> Any:
        record.pop("seconds", None)
        record.get("counters", {}).pop("seconds", None)
        return record

    lines = {name: [strip(record) for record in records.read_lines(folder / name)] for name in records.RECORD_FILES}
    return records.read_json(folder / "status.json")["weights_end"], lines


def verdict(found: tuple[str, Any], expected: tuple[str, Any]) -> str:
    """In words."""
    weights = "same weights" if found[0] == expected[0] else f"OTHER WEIGHTS {found[0][:16]}"
    return f"{weights}, {'same records' if found[1] == expected[1] else 'OTHER RECORDS'}"


if __name__ == "__main__":
    sys.exit(main())
