"""Where and how a run was made: everything worth knowing that is not part of its identity."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from algorithms.registry import described
from leaderboard.records import CardRecord, read_json

from . import models
from .benchmark import Cell
from .contamination import overlaps


def provenance(cell: Cell, start: models.Source) -> dict[str, Any]:
    """What is true of the cell in whatever session it runs."""
    return {
        "model": cell.start.name,
        "start": models.fingerprint(start),
        "description": (sys.modules[type(cell.algorithm).__module__].__doc__ or "").strip().split("\n")[0],
        "control": cell.control,
        "recipe": cell.recipe,
        "command": cell.command,
        "plugins": cell.plugins,
        "overlaps": overlaps(cell.task),
        "execution": asdict(cell.execution),
    }


def card_record(cell: Cell) -> CardRecord:
    """What the algorithm computes, for the run's record; for a chain, what every stage does where they differ."""
    cards = [(stage.algorithm.name, described(stage.algorithm)) for stage in cell.chain]
    lines = [(name, card.lines()) for name, card in cards]
    words = {}
    for entry in lines[-1][1]:
        said = [(name, line[entry]) for name, line in lines]
        alike = len({text for _, text in said}) == 1
        words[entry] = (
            said[0][1] if alike else "; ".join(f"{n} {name}: {text}" for n, (name, text) in enumerate(said, 1))
        )
    record, failing = CardRecord(data=asdict(cards[-1][1]), words=words), _failing(cell)
    return record if failing is None else {**record, "failing": failing}


def _failing(cell: Cell) -> dict[str, str] | None:
    """Check that does not hold -> what it found, and for a chain at which stages; None where all is ours."""
    asked = [(stage.algorithm.name, stage.failing) for stage in cell.chain if stage.failing is not None]
    found: dict[str, list[str]] = {}
    for name, failing in asked:
        for check, detail in failing.items():
            found.setdefault(check, []).append(f"{name}: {detail}" if cell.after else detail)
    return {check: "; ".join(details) for check, details in found.items()} if asked else None


def session(device: torch.device, resumed_from: int, engine: Mapping[str, str]) -> dict[str, Any]:
    """One process on one machine; a cell that was resumed has several. `engine`: versions of the engine's packages."""
    processor = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": f"{device.type}: {processor}",
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("groupbench", "torch", "transformers")} | dict(engine),
        "python": platform.python_version(),
        "commit": commit(),
        "host": platform.node(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "resumed_from": resumed_from,
    }


def commit() -> str | None:
    """The commit of our own code where it runs from a clone, with a + where the tree is changed."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    asked = [["git", "-C", str(root), *c] for c in (["rev-parse", "HEAD"], ["status", "--porcelain"])]
    head, changes = (subprocess.run(command, capture_output=True, text=True) for command in asked)
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "") if head.returncode == 0 else None


@dataclass(frozen=True)
class OtherCode:
    """Finished cells that the present code did not make, as far as their commits tell."""

    folders: Sequence[Path]
    certain: bool  # or not, where all that differs is in no commit
    words: str


def other_code(finished: Sequence[Path]) -> OtherCode | None:
    """Those of these cells' folders with a session of another commit, or of changes that are in none.

    None where there are none, and where there is no clone to tell by.
    """
    here = commit() if finished else None
    if here is None:
        return None
    made = {folder: {one for one in _commits(folder) if one != here or one.endswith("+")} for folder in finished}
    others = {folder: commits for folder, commits in made.items() if commits}
    if not others:
        return None
    certain = all(one.rstrip("+") != here.rstrip("+") for commits in others.values() for one in commits)
    found = sorted({_short(one) for commits in others.values() for one in commits})
    listed = f"commit{'s' * (len(found) > 1)} {', '.join(found)}; now {_short(here)}"
    places = " and ".join(dict.fromkeys(str(folder.parent) for folder in others))
    return OtherCode(
        list(others),
        certain,
        f"{len(others)} of {len(finished)} finished cells {'were' if certain else 'may have been'} made by other code "
        f"({listed}) and stay: code is no part of a cell. To run them again, remove their folders in {places}",
    )


def _commits(folder: Path) -> list[str]:
    """Of all sessions that say it."""
    sessions = read_json(folder / "cell.json")["provenance"].get("sessions", ())
    return [str(session["commit"]) for session in sessions if session.get("commit")]


def _short(commit: str) -> str:
    return f"{commit[:12].rstrip('+')}{' with changes' if commit.endswith('+') else ''}"
