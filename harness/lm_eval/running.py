"""From names to a record: checks and data first, then the model, through `lm_eval.simple_evaluate`."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from .. import models
from ..errors import UserError, first_line
from . import library, loading, names, records
from .library import Say

# What lm_eval.simple_evaluate takes where nobody says otherwise, so that our numbers are those of its own command.
_SEEDS = {"random_seed": 0, "numpy_random_seed": 1234, "torch_random_seed": 1234, "fewshot_random_seed": 1234}
_CODE = {"HF_ALLOW_CODE_EVAL": "1"}


@dataclass(frozen=True)
class Settings:
    """What is asked of lm-eval, and how."""

    names: tuple[str, ...]
    """Tasks, groups, tags or suites, without the prefix `lm-eval:`."""
    engine: Literal["transformers", "vllm"] = "transformers"
    device: str = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of weights and products, unlike in training, where weights stay float32."""
    batch_size: int = 8
    """With vLLM the engine decides."""
    limit: int | None = None
    """The first so many documents of every task."""
    few_shots: int | None = None
    """None: each task's own number, which a task that says 0 keeps in any case."""
    chat: bool = False
    """Prompts through the model's chat template, few-shot examples as turns."""
    seed: int | None = None
    """None: lm-eval's own seeds (0 and 1234)."""
    include_path: Path | None = None
    """A folder with YAML files of tasks."""
    allow_code: bool = False
    """Permits tasks that execute code that the model wrote."""

    def __post_init__(self) -> None:
        for key, value, least in (("limit", self.limit, 1), ("few_shots", self.few_shots, 0)):
            if value is not None and (type(value) is not int or value < least):
                raise UserError(f"lm-eval: {key} = {value!r}; allowed: an integer of at least {least}")
        if type(self.batch_size) is not int or self.batch_size < 1:
            raise UserError(f"lm-eval: batch_size = {self.batch_size!r}; allowed: an integer of at least 1")

    @property
    def seeds(self) -> dict[str, int]:
        """By lm-eval's names."""
        return _SEEDS if self.seed is None else dict.fromkeys(_SEEDS, self.seed)


@dataclass(frozen=True)
class Prepared:
    """Tasks with their data, ready for a model."""

    settings: Settings
    version: str
    names: tuple[str, ...]
    manager: Any
    loaded: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """What came back. The record holds no clock: equal runs have equal records."""

    record: records.Record
    samples: tuple[dict[str, Any], ...]
    seconds: dict[str, float]

    def write_samples(self, path: Path) -> None:
        """One line a document and filter: responses, what was extracted, verdicts; replaced atomically."""
        temporary = path.with_name(path.name + ".tmp")
        lines = (json.dumps(sample, allow_nan=False) + "\n" for sample in self.samples)
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(lines)
        temporary.replace(path)


def check_names(settings: Settings) -> tuple[tuple[str, ...], list[str]]:
    """The tasks and groups that the names stand for, and notes on what is left out; loads no data.

    Raises UserError for a missing package, an unknown name, or code that may not be executed.
    """
    library.version()
    found, notes = names.expand(settings.names, settings.allow_code)
    if not found:
        raise UserError("lm-eval: no task is asked for")
    names.check(names.load_index(settings.include_path), found, settings.allow_code)
    return found, notes


def prepare(settings: Settings, say: Say) -> Prepared:
    """Check the names and load the tasks' data; no model is touched. Raises UserError for whatever is missing."""
    version = library.version()
    with library.quiet(say), library.environment(_CODE if settings.allow_code else {}):
        found, notes = check_names(settings)
        for note in notes:
            say(f"note: {note}")
        manager = names.load_index(settings.include_path)
        loaded = loading.load(manager, found, settings.seeds["random_seed"])
    return Prepared(settings, version, found, manager, tuple(loaded))


def run(prepared: Prepared, source: models.Source, say: Say) -> Outcome:
    """Evaluate the model on what was prepared.

    Raises UserError where the model cannot be loaded, has no chat template although `chat` is asked for, or lm-eval
    fails.
    """
    from .. import checkpoint

    settings = prepared.settings
    _check_model(settings, source)
    generators = checkpoint.generators()
    try:
        with library.quiet(say) as warnings, library.environment(_CODE if settings.allow_code else {}):
            began = time.perf_counter()
            with _engine(settings, source) as model:
                ready = time.perf_counter()
                say(f"lm-eval {prepared.version}: {', '.join(prepared.names)}")
                results = _evaluate(prepared, model)
                done = time.perf_counter()
    finally:
        checkpoint.set_generators(generators)  # lm-eval seeds them
    record, samples = records.build(prepared, source, results, warnings)
    for task, found in record["tasks"].items():
        if settings.few_shots not in (None, found["few_shots"]):
            say(f"note: lm-eval:{task} is asked with {found['few_shots']} examples: it does not let that be changed")
    return Outcome(record, tuple(samples), {"load": ready - began, "evaluate": done - ready})


def _check_model(settings: Settings, source: models.Source) -> None:
    if source.name == models.TINY and source.folder is None:
        raise UserError("lm-eval: the model `tiny` has no folder; lm-eval takes a model folder or a Hub id")
    if settings.chat and not models.load_codec(source).tokenizer.chat_template:
        raise UserError(f"lm-eval: model {source.name} has no chat template; evaluate it without one")


@contextmanager
def _engine(settings: Settings, source: models.Source) -> Iterator[Any]:
    """lm-eval's model class around the model, which is let go afterwards."""
    from lm_eval.api.registry import get_model

    arguments: dict[str, Any] = {"pretrained": source.location, "dtype": settings.precision}
    if source.revision:
        arguments["revision"] = source.revision
    with _vllm(settings) if settings.engine == "vllm" else library.environment({}):
        try:
            if settings.engine == "vllm":
                arguments |= {"seed": settings.seeds["torch_random_seed"], **_vllm_options(settings.device)}
                model = get_model("vllm").create_from_arg_obj(arguments)
            else:
                extra = {"batch_size": settings.batch_size, "device": settings.device}
                model = get_model("hf").create_from_arg_obj(arguments, extra)
        except Exception as error:
            raise UserError(f"lm-eval: model {source.name}: {first_line(error)}") from error
        try:
            yield model
        finally:
            _release(model)


@contextmanager
def _vllm(settings: Settings) -> Iterator[None]:
    """What lm-eval's class for vLLM wants: a distribution named `vllm`, also where the CPU build bears another name."""
    from ..rollout import vllm

    distribution, _ = vllm.installed()
    environment = dict(vllm.ENVIRONMENT)
    if settings.device == "cpu":
        environment["VLLM_TARGET_DEVICE"] = "cpu"
    original = metadata.version

    def version(name: str) -> str:
        return original(distribution if name == "vllm" else name)

    with library.environment(environment), patch.object(metadata, "version", version):
        yield


def _vllm_options(device: str) -> dict[str, Any]:
    if device == "cpu":  # compilation takes a minute there and gains nothing; unasked, vLLM wants 92 % of the memory
        return {"batch_size": "auto", "enforce_eager": True, "kv_cache_memory_bytes": 2 << 30}
    import torch

    free, total = torch.cuda.mem_get_info(device)  # vLLM demands this share at its start
    return {"batch_size": "auto", "gpu_memory_utilization": round(0.9 * free / total, 2)}


def _release(model: Any) -> None:
    """Free the weights; vLLM's engine in this process has to be told."""
    import torch

    inner = getattr(model, "model", None)
    if core := getattr(getattr(inner, "llm_engine", None), "engine_core", None):
        core.shutdown()
    for name in ("_model", "model"):
        if name in vars(model):
            delattr(model, name)
    del inner
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def _evaluate(prepared: Prepared, model: Any) -> Mapping[str, Any]:
    from lm_eval import evaluator

    settings = prepared.settings
    try:
        # It would ask pip for all that is installed, which takes seconds; we do not keep the answer.
        with patch.object(evaluator, "add_env_info", lambda _: None):
            found = evaluator.simple_evaluate(
                model=model,
                tasks=list(prepared.loaded),
                task_manager=prepared.manager,
                num_fewshot=settings.few_shots,
                limit=settings.limit,
                apply_chat_template=settings.chat,
                fewshot_as_multiturn=True,
                confirm_run_unsafe_code=settings.allow_code,
                **settings.seeds,
            )
    except Exception as error:
        raise UserError(
            f"lm-eval failed on {', '.join(prepared.names)}: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not found:
        raise UserError("lm-eval returned nothing: it runs as one of several processes, which is not supported")
    return found
