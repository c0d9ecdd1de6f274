"""Checkpoints: whole or not there, checked by hash, safetensors and JSON, no pickle.

    CELL/checkpoints/step-00000040/tensors.safetensors   weights, optimizer, random generators
                                   state.json            the rest; a tensor's place holds {"tensor": its name}
                                   manifest.json         format, cell, step, and the sha256 of the two above

Written into a temporary folder, synced, then renamed: a kill leaves a checkpoint or none. What is torn or altered is
told from its hashes, and skipped for the one before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

FORMAT = 1
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """A state read back; tensors are on the CPU."""

    step: int
    state: dict[str, Any]


class DamagedCheckpoint(Exception):
    """A checkpoint that is not what was written; the message says how."""


def save(folder: Path, cell: str, step: int, state: Mapping[str, Any], keep: int) -> None:
    """Write `state` (nested mappings and lists of tensors and JSON values) as step `step`; keep the newest `keep`.

    Raises OSError where the disk is full or read-only; earlier checkpoints stay as they are.
    """
    clean(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"tmp-{step:08d}"
    target = _free_name(folder, step)
    tensors: dict[str, Tensor] = {}
    plain = _split(state, "", tensors)
    try:
        temporary.mkdir()
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, temporary / TENSORS)
        (temporary / STATE).write_text(json.dumps(plain))
        hashes = {name: _sha256(temporary / name) for name in (TENSORS, STATE)}
        manifest = {"format": FORMAT, "cell": cell, "step": step, "files": hashes}
        (temporary / MANIFEST).write_text(json.dumps(manifest))
        for path in (*temporary.iterdir(), temporary):
            sync(path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk gets its space back
        if is_io(error):
            raise with_path(error, target) from error
        raise
    temporary.rename(target)
    sync(folder)
    remove([path for path in folder.glob(f"step-{step:08d}*") if path != target])
    remove(found(folder)[keep:])


def load(path: Path, cell: str) -> Checkpoint:
    """Read one checkpoint back. Raises DamagedCheckpoint."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        for name, expected in manifest["files"].items():
            if _sha256(path / name) != expected:
                raise DamagedCheckpoint(f"{name} is not what was written (its hash differs)")
        if (manifest["format"], manifest["cell"]) != (FORMAT, cell):
            raise DamagedCheckpoint(
                f"format {manifest['format']} of cell {manifest['cell']}, expected {FORMAT}, {cell}"
            )
        tensors = load_file(path / TENSORS)
        state = _join(json.loads((path / STATE).read_text()), tensors)
        return Checkpoint(manifest["step"], state)
    except FileNotFoundError as error:
        raise DamagedCheckpoint(f"{Path(error.filename).name} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCheckpoint(f"{type(error).__name__}: {error}") from None


def found(folder: Path) -> list[Path]:
    """The checkpoints of a cell, newest first; unfinished ones are no checkpoints."""
    return sorted(folder.glob("step-*"), reverse=True)


def clean(folder: Path) -> None:
    """Remove what a kill left half written."""
    remove(folder.glob("tmp-*"))


def remove(paths: Iterable[Path]) -> None:
    """Remove checkpoints."""
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


def generators() -> dict[str, Any]:
    """The states of the process's random generators. We draw nothing from them; a plug-in may."""
    version, words, gauss = random.getstate()
    states: dict[str, Any] = {
        "torch": torch.get_rng_state(), "python": {"version": version, "words": list(words), "gauss": gauss}
    }  # fmt: skip
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    if (numpy := sys.modules.get("numpy")) is not None:
        name, keys, position, has_gauss, cached = numpy.random.get_state()
        key_words = [int(word) for word in keys]
        states["numpy"] = {"name": name, "keys": key_words, "rest": [int(position), int(has_gauss), float(cached)]}
    return states


def set_generators(states: Mapping[str, Any]) -> None:
    """Put them back."""
    torch.set_rng_state(states["torch"])
    random.setstate((states["python"]["version"], tuple(states["python"]["words"]), states["python"]["gauss"]))
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    if "numpy" in states:
        import numpy

        numpy.random.set_state((states["numpy"]["name"], states["numpy"]["keys"], *states["numpy"]["rest"]))


def seed_generators(seed: int) -> None:
    """Begin a cell with generators that depend on its seed alone, whatever ran in this process before."""
    torch.manual_seed(seed)
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % 2**32)


def sync(path: Path) -> None:
    """Have the file's, or the folder's, content on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_name(folder: Path, step: int) -> Path:
    """A step may be saved again, after its evaluation; the earlier one goes when the later is there."""
    names = (f"step-{step:08d}{again}" for again in ("", "-1", "-2"))
    return next(path for name in names if not (path := folder / name).exists())


def _split(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` with its tensors moved to `tensors`, each named by its path."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {key: _split(inner, f"{name}/{key}" if name else key, tensors) for key, inner in value.items()}
    if isinstance(value, list):
        return [_split(inner, f"{name}/{number}", tensors) for number, inner in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"checkpoint: {name} is a {type(value).__name__}; a state holds tensors and JSON values")


def _join(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"tensor"} and isinstance(value["tensor"], str):
            return tensors[value["tensor"]]
        return {key: _join(inner, tensors) for key, inner in value.items()}
    return [_join(inner, tensors) for inner in value] if isinstance(value, list) else value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_io(error: BaseException) -> bool:
    """Whether writing failed; the library has an error class of its own."""
    return isinstance(error, OSError) or type(error).__name__ == "SafetensorError"


def with_path(error: BaseException, target: Path) -> OSError:
    """The library's own I/O errors carry no path, and its error number only in the text."""
    return OSError(getattr(error, "errno", None), f"could not be written ({error})", str(target))
