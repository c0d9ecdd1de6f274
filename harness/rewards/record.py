"""What a reward model's folder says of how it was made: training.json for programs, README.md for people."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..models import TRAINING
from .pairs import Measured

FORMAT = 1


@dataclass(frozen=True)
class RewardReport:
    """A reward model's making and what it is worth."""

    identity: Mapping[str, Any]  # see `training.identity`
    settings: Mapping[str, Any]  # as resolved
    origin: str  # of the pairs
    pairs: int  # of the set, held-out ones included
    fitted: int
    too_long: int  # left out of those to fit
    dropped: Mapping[str, int]  # rows of the set that are no pairs, by reason
    losses: tuple[float, ...]  # mean −log σ of each epoch, measured on the way
    seconds: float  # of reading the base and fitting
    measured: tuple[Measured, ...]


def write_report(folder: Path, report: RewardReport, device: str) -> None:
    """Write both."""
    import torch

    versions = {name: version(name) for name in ("groupbench", "torch", "transformers")}
    machine = {"device": device, "threads": torch.get_num_threads(), "python": platform.python_version()}
    record = {"format": FORMAT, **asdict(report), "versions": versions, **machine}
    (folder / TRAINING).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_card(report), encoding="utf-8")


def read_report(folder: Path, identity: Mapping[str, Any]) -> RewardReport | None:
    """The report of what `identity` made before; None where `folder` is not there, or empty.

    Raises UserError for a folder of something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        record = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
        there, report = record["identity"], _report(record)
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder}: there, and no reward model of ours ({TRAINING}); name another folder") from None
    asked = json.loads(json.dumps(identity))
    if there != asked:
        keys = [key for key in sorted({*there, *asked}) if there.get(key) != asked.get(key)]
        other = "; ".join(f"{key} {there.get(key)!r}, asked for {asked.get(key)!r}" for key in keys)
        raise UserError(f"{folder} holds another reward model ({other}); name another folder, or remove it")
    return report


def _report(record: Mapping[str, Any]) -> RewardReport:
    from pydantic import TypeAdapter

    names = RewardReport.__dataclass_fields__
    return TypeAdapter(RewardReport).validate_python({name: record[name] for name in names})


def _card(report: RewardReport) -> str:
    settings = "\n".join(f"- {name}: {value}" for name, value in report.settings.items())
    rows = "\n".join(
        f"| {one.name} | {one.report.pairs} | {one.report.accuracy} | {one.report.length.baseline} |"
        for one in report.measured
    )
    return (
        f"# A reward model of {report.settings['base']}\n\nFitted by `groupbench train-reward` to {report.fitted} "
        f"pairs of {report.origin}; one output, P(A over B) = σ(r_A − r_B). Everything else: {TRAINING}.\n\n"
        f"| pairs of | number | accuracy, 95 % interval | the longer answer wins |\n|---|--:|---|---|\n{rows}\n\n"
        f"{settings}\n"
    )
