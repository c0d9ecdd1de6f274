"""One module gives all signals: log-probabilities, entropy, values, of response tokens only.

The output projection sees the last prompt position and the response, nothing else, and in chunks that are recomputed
in the backward pass, so that the logits of a large vocabulary never stand in memory all at once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from algorithms import Needs, Signals
from algorithms.base import ABSENT

LOGITS_AT_ONCE = {"cpu": 2**24, "cuda": 2**28}  # elements of one logits chunk: 64 MiB and 1 GiB in float32


@dataclass(frozen=True)
class Row:
    """One response behind its prompt, as token ids."""

    prompt: Sequence[int]
    response: Sequence[int]

    @property
    def tokens(self) -> int:
        """Prompt and response."""
        return len(self.prompt) + len(self.response)


class Policy:
    """A causal language model, on its device, in its precision."""

    def __init__(
        self, model: Any, device: torch.device, precision: Literal["float32", "bfloat16"], temperature: float,
        *, trained: bool = True,
    ) -> None:  # fmt: skip
        """Take `model` (a transformers causal LM) over, move it to `device`, dropout off.

        With float32 master weights; a policy that is not to be `trained` (nor scored) keeps the weights as they were
        loaded, and decodes with these.
        """
        self.model = (model.to(device=device, dtype=torch.float32) if trained else model.to(device=device)).eval()
        self.device = device
        self.reduced = precision == "bfloat16"
        self.temperature = temperature or 1.0
        self.value_head: nn.Linear | None = None
        self.version = 0  # optimizer steps taken; an engine with weights of its own compares it
        if trained:
            check_projection(self.model)

    def autocast(self) -> AbstractContextManager[None]:
        """Matrix products in bfloat16 where the precision says so; a no-op otherwise."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.reduced)

    def add_value_head(self) -> None:
        """A scalar head on the last hidden state, starting at 0; trained with the model."""
        self.value_head = nn.Linear(self.model.config.hidden_size, 1).to(self.device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def parameters(self) -> list[nn.Parameter]:
        """Everything the optimizer trains, each tensor once."""
        extra = [] if self.value_head is None else list(self.value_head.parameters())
        return [p for p in [*self.model.parameters(), *extra] if p.requires_grad]

    def state(self) -> dict[str, Any]:
        """Weights, buffers that are saved with the model, value head and version, for a checkpoint; not copied."""
        modules = {"model": self.model} | ({} if self.value_head is None else {"value_head": self.value_head})
        return {"version": self.version, **{name: _tensors(module) for name, module in modules.items()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave, in place: whoever holds a parameter goes on holding it."""
        with torch.no_grad():
            for name, found in self.state().items():
                if name == "version":
                    self.version = state["version"]
                    continue
                for key, tensor in found.items():
                    tensor.copy_(state[name][key])

    def frozen_copy(self) -> Policy:
        """The reference: the same weights, never trained."""
        twin = copy.copy(self)
        twin.model = copy.deepcopy(self.model).requires_grad_(False)
        twin.value_head = None
        return twin

    @property
    def flop_parameters(self) -> int:
        """Parameters that a forward token multiplies with: all but an input embedding that is not also the output."""
        model = self.model
        tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
        total = sum(p.numel() for p in model.parameters())
        return total if tied else total - model.get_input_embeddings().weight.numel()

    def signals(self, rows: Sequence[Row], needs: Needs) -> Signals:
        """The signals of all response tokens of `rows`, end to end, each (T,) float32, with a graph if enabled."""
        inputs, index = self._layout(rows)
        targets = torch.tensor([t for row in rows for t in row.response], dtype=torch.int64, device=self.device)
        with self.autocast():
            # Right padding under a causal mask: no real token ever attends to padding, so no mask is needed.
            hidden = self.model.base_model(input_ids=inputs, use_cache=False).last_hidden_state
            hidden = hidden.flatten(0, 1)[index]
            logp, raw, entropy = self._score(hidden, targets, needs)
            value = self.value_head(hidden)[:, 0].float() if needs.value and self.value_head is not None else ABSENT
        return Signals(logp, raw if needs.raw else ABSENT, entropy if needs.entropy else ABSENT, value)

    def _layout(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """Right-padded input ids (B, L), and where in (B·L) the hidden states that predict response tokens stand."""
        ids = [torch.tensor([*row.prompt, *row.response][:-1] or [0]) for row in rows]
        inputs = pad_sequence(ids, batch_first=True)
        width = inputs.shape[1]
        places = [
            torch.arange(len(row.response)) + (number * width + len(row.prompt) - 1) for number, row in enumerate(rows)
        ]
        return inputs.to(self.device), torch.cat(places).to(self.device)

    def _score(self, hidden: Tensor, targets: Tensor, needs: Needs) -> tuple[Tensor, Tensor, Tensor]:
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        size = max(1, LOGITS_AT_ONCE[self.device.type] // vocabulary)
        pieces = []
        for states, ids in zip(hidden.split(size), targets.split(size), strict=True):
            if torch.is_grad_enabled() and len(targets) > size:
                pieces.append(checkpoint(self._score_chunk, states, ids, needs, use_reentrant=False))
            else:
                pieces.append(self._score_chunk(states, ids, needs))
        logp, raw, entropy = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        return logp, raw, entropy

    def _score_chunk(self, states: Tensor, ids: Tensor, needs: Needs) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.model.get_output_embeddings()(states).float()
        tempered = logits / self.temperature if self.temperature != 1 else logits
        logp = _log_probability(tempered, ids)
        raw = _log_probability(logits, ids) if needs.raw and self.temperature != 1 else logp
        if not needs.entropy:
            return logp, raw, logp
        log_softmax = tempered.log_softmax(-1)
        return logp, raw, -(log_softmax.exp() * log_softmax).sum(-1)


def _log_probability(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.gather(-1, ids[:, None])[:, 0] - logits.logsumexp(-1)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, tied ones once."""
    saved, found = module.state_dict().keys(), dict(module.named_parameters())
    return found | {name: buffer for name, buffer in module.named_buffers() if name in saved}


def check_projection(model: Any) -> None:
    """Refuse a model whose logits are more than its output projection of the last hidden state (capping, scaling).

    The projection's output is replaced by values so large that any transformation shows.
    """
    probe = torch.arange(8, device=model.device)[None]
    projection = model.get_output_embeddings()
    planted = torch.linspace(-100, 100, projection.weight.shape[0], device=model.device)
    read: list[Tensor] = []

    def plant(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        read.append(inputs[0])
        return planted.expand_as(output)

    with torch.no_grad():
        hidden = model.base_model(input_ids=probe, use_cache=False).last_hidden_state
        hook = projection.register_forward_hook(plant)
        try:
            logits = model(input_ids=probe, use_cache=False).logits
        finally:
            hook.remove()
    same_input = read[0].shape == hidden.shape and torch.allclose(read[0], hidden, rtol=1e-3, atol=1e-3)
    if not same_input or not torch.allclose(logits, planted.expand_as(logits)):
        raise ValueError(
            f"{type(model).__name__} transforms its logits after the output projection (soft-capping or scaling), "
            "which the chunked scoring does not reproduce; models of this family cannot be trained yet"
        )
