"""vLLM computes the logits, the drawing is ours: a logits processor that leaves a single token standing.

With our own inverse CDF a response depends on its own seed and on rounding, whatever else is in vLLM's batch, as in the
other engine. vLLM's per-request generators would not give that, and fail on the CPU besides: for a prompt whose prefill
is only partly done, the model runner takes the last draw back with `Generator.set_offset`, which only CUDA has.

Imported by `vllm.py`, where vLLM is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from ..seeds import uniforms
from ..settings import Sampling
from .transformers import draw

RESPONSE = "groupbench_response"  # key of SamplingParams.extra_args: which response of the call a request is


@dataclass
class Drawing:
    """One call of `generate`: how to draw, and what was drawn."""

    sampling: Sampling
    seeds: Tensor  # (N,) int64, one a response
    logp: list[list[float]] = field(init=False)  # by response and position

    def __post_init__(self) -> None:
        self.logp = [[] for _ in self.seeds]


class Draw(LogitsProcessor):
    """Replaces each row's logits by a single possible token, drawn from them."""

    current: Drawing | None = None  # of the call in progress; the engine lives in this process

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.requests: dict[int, tuple[int, list[int]]] = {}  # batch row -> response, its tokens so far (a live list)

    def is_argmax_invariant(self) -> bool:
        """No: it decides the argmax."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow vLLM's batch: requests come, go and change places."""

        def entry(params: SamplingParams, _: list[int] | None, tokens: list[int]) -> tuple[int, list[int]] | None:
            return ((params.extra_args or {})[RESPONSE], tokens) if params.extra_args else None

        process_dict_updates(self.requests, batch_update, entry)

    def apply(self, logits: Tensor) -> Tensor:
        """(B, V) float32 logits -> the same with all but the drawn tokens at -inf."""
        if self.current is None or not self.requests:  # vLLM's own warm-up
            return logits
        rows = sorted(self.requests)
        chosen = [self.requests[row] for row in rows]
        responses = torch.tensor([response for response, _ in chosen])
        positions = torch.tensor([len(tokens) for _, tokens in chosen])
        uniform = uniforms(self.current.seeds[responses], positions).to(logits.device)
        index = torch.tensor(rows, device=logits.device)
        tokens, logp = draw(logits[index], uniform, self.current.sampling)
        for (response, sofar), value in zip(chosen, logp.tolist(), strict=True):
            # A prompt that is still being read is drawn for too, at position 0, and again when it is complete.
            del self.current.logp[response][len(sofar) :]
            self.current.logp[response].append(value)
        logits[index] = -torch.inf
        logits[index, tokens] = 0.0
        return logits
