"""Rollouts with the training model itself: prompt prefilled once for its G responses, finished rows dropped.

A token is drawn by inverse CDF from one uniform number, a hash of (response seed, position): batching, dropping and
refilling change nothing but rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..seeds import uniforms
from ..settings import Sampling
from . import attention
from .base import Completion, Request

if TYPE_CHECKING:
    from ..policy import Policy


class TransformersEngine:
    """Decodes with the policy's own weights, or with a bfloat16 copy of them where the policy computes in bfloat16.

    The copy is what an inference engine would hold: decoding under autocast would cast the whole key-value cache again
    for every token. It is refreshed when the policy's version has changed, and made anew after a `release`.
    """

    foreign = False

    def __init__(self, policy: Policy, end_ids: Sequence[int], decode_tokens: int) -> None:
        self.policy = policy
        self.model = policy.model
        attention.use_in(self.model)
        self._version = -1
        self.end_ids = torch.tensor(sorted(set(end_ids)), device=policy.device)
        self.decode_tokens = decode_tokens

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        """See `Engine.generate`."""
        results: list[list[Completion]] = [[] for _ in requests]
        with torch.no_grad():
            self._refresh()
            for chosen in self._chunks(requests, sampling.max_tokens):
                completions = self._decode([requests[i] for i in chosen], sampling)
                for i, found in zip(chosen, completions, strict=True):
                    results[i] = found
        return results

    def release(self) -> None:
        """See `Engine.release`: the copy goes, which the next update makes stale anyway."""
        self.model, self._version = self.policy.model, -1

    def _refresh(self) -> None:
        if not self.policy.reduced or self._version == self.policy.version or self._is_reduced():
            return
        if self.model is self.policy.model:
            self.model = _reduced_copy(self.policy.model)
        else:
            for mine, master in zip(self.model.parameters(), self.policy.model.parameters(), strict=True):
                mine.copy_(master)
        self._version = self.policy.version

    def _is_reduced(self) -> bool:
        """Whether the policy's own weights are bfloat16 already: one that is not trained needs no copy."""
        return all(parameter.dtype == torch.bfloat16 for parameter in self.policy.model.parameters())

    def _chunks(self, requests: Sequence[Request], max_tokens: int) -> Iterator[list[int]]:
        """Requests of similar length together, as many as the key-value cache may hold (never less than one)."""
        chunk: list[int] = []
        rows = 0
        for i in sorted(range(len(requests)), key=lambda i: len(requests[i].prompt)):
            more = len(requests[i].seeds)
            if chunk and (rows + more) * (len(requests[i].prompt) + max_tokens) > self.decode_tokens:
                yield chunk
                chunk, rows = [], 0
            chunk.append(i)
            rows += more
        if chunk:
            yield chunk

    def _decode(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        device = self.policy.device
        ids, mask = _left_padded([request.prompt for request in requests], device)
        logits, cache = self._forward(ids, mask, None)
        counts = torch.tensor([len(request.seeds) for request in requests], device=device)
        source = torch.arange(len(requests), device=device).repeat_interleave(counts)
        logits, mask = logits[source], None if mask is None else mask[source]
        cache.batch_select_indices(source)
        seeds = torch.tensor([seed for request in requests for seed in request.seeds], dtype=torch.int64, device=device)

        total = len(seeds)
        live = torch.arange(total, device=device)
        drawn: list[tuple[Tensor, Tensor, Tensor]] = []  # (rows, tokens, logp) of each position
        ended = torch.zeros(total, dtype=torch.bool, device=device)
        for position in range(sampling.max_tokens):
            tokens, logp = draw(logits, uniforms(seeds, position), sampling)
            drawn.append((live, tokens, logp))
            finished = torch.isin(tokens, self.end_ids)
            ended[live[finished]] = True
            if position + 1 == sampling.max_tokens:
                break
            keep = torch.nonzero(~finished).flatten()
            if len(keep) == 0:
                break
            if len(keep) < len(live):
                live, tokens, seeds = live[keep], tokens[keep], seeds[keep]
                mask = None if mask is None else mask[keep]
                cache.batch_select_indices(keep)
            if mask is not None:
                mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            logits, cache = self._forward(tokens[:, None], mask, cache)
        return _by_request(drawn, ended, [len(request.seeds) for request in requests])

    def _forward(self, ids: Tensor, mask: Tensor | None, cache: Any) -> tuple[Tensor, Any]:
        """Logits (B, V) float32 of the last position, and the cache. `mask` is None where nothing is padded."""
        positions = None if mask is None else (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        return out.logits[:, -1].float(), out.past_key_values


def _reduced_copy(model: Any) -> Any:
    """Parameters in bfloat16, with never a second copy in float32; buffers as they are: rotary frequencies stay."""
    parameters = {
        id(p): torch.nn.Parameter(p.detach().to(torch.bfloat16, copy=True), requires_grad=False)
        for p in model.parameters()
    }
    return copy.deepcopy(model, dict(parameters))  # the memo: what is copied already


def draw(logits: Tensor, uniform: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """(B, V) logits and (B,) uniforms -> (B,) tokens and (B,) their log-probabilities; greedy at temperature 0.

    The log-probability is that of the tempered distribution before top-p/top-k, and of the plain one when greedy.
    """
    if sampling.temperature == 0:
        logp = logits.log_softmax(-1)
        tokens = logits.argmax(-1)
        return tokens, logp.gather(-1, tokens[:, None])[:, 0]
    logp = (logits / sampling.temperature).log_softmax(-1)
    weights = _truncated(logp.exp(), sampling) if sampling.truncates else logp.exp()
    cumulative = weights.double().cumsum(-1)  # in float32 a parallel sum need not even be monotone
    # The first token whose cumulative weight exceeds the target: never one of zero weight. In floating point the
    # target can reach the total itself, hence the cap just below it.
    total = cumulative[:, -1:]
    target = torch.minimum(uniform[:, None].to(total.dtype) * total, torch.nextafter(total, torch.zeros_like(total)))
    tokens = torch.searchsorted(cumulative, target, right=True)
    return tokens[:, 0], logp.gather(-1, tokens)[:, 0]


def _truncated(weights: Tensor, sampling: Sampling) -> Tensor:
    """Zero outside the `top_k` likeliest tokens and outside the smallest set of mass `top_p`; ties broken by id."""
    ranked, order = weights.sort(dim=-1, descending=True, stable=True)
    keep = (ranked.cumsum(-1) - ranked) < sampling.top_p
    if sampling.top_k:
        keep[:, sampling.top_k :] = False
    return torch.zeros_like(weights).scatter(-1, order, ranked * keep)


def _left_padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor | None]:
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=device)
    if all(len(p) == width for p in prompts):
        return ids, None
    return ids, torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)


def _by_request(
    drawn: list[tuple[Tensor, Tensor, Tensor]], ended: Tensor, counts: Sequence[int]
) -> list[list[Completion]]:
    tokens: list[list[int]] = [[] for _ in range(len(ended))]
    logps: list[list[float]] = [[] for _ in range(len(ended))]
    for rows, ids, logp in drawn:
        for row, token, value in zip(rows.tolist(), ids.tolist(), logp.tolist(), strict=True):
            tokens[row].append(token)
            logps[row].append(value)
    flat = iter(
        Completion(tuple(t), tuple(v), not end) for t, v, end in zip(tokens, logps, ended.tolist(), strict=True)
    )
    return [[next(flat) for _ in range(count)] for count in counts]
