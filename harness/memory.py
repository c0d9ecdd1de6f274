"""What a cell may need of its device's memory, by phase, said before anything is loaded.

Parameters are counted on torch's meta device, from the configuration alone: weights, gradients, Adam's moments and the
key-value cache are exact. Activations and logits are formulas of what autograd keeps, for a decoder of Llama's kind;
docs/memory.md says how far off they were where they have been measured. All of it is an upper bound of the settings:
what a run really samples may be shorter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from . import models
from .benchmark import Cell
from .checks import longest_prompt
from .codec import Codec
from .evaluation import drift
from .evaluation.looks import splits_of
from .local import AT_ONCE
from .policy import LOGITS_AT_ONCE
from .residents import ADAM, ENGINE, GRADIENTS, NEEDED, POLICY, REWARD_MODEL, START, scorer_of

FLOAT, HALF = 4, 2  # bytes of a float32 and of a bfloat16
DRAWN_BYTES = 28  # of a logit that is drawn from: two float32, its weight, and two float64 of the cumulative sum
SCORED_BYTES = 16  # of a logit that is scored: itself and three float32 of its log-sum-exp, forward or backward
ROOM = 0.9  # of what is free: above, models take turns where they may; fragments and CUDA's own take the rest


@dataclass(frozen=True)
class Network:
    """A model by its configuration."""

    parameters: int  # tied ones once
    buffers: int  # bytes
    layers: int
    hidden: int
    inner: int  # of the feed-forward layers
    queries: int  # elements of a token's queries in one layer
    keys: int  # and of its keys; as many values
    vocabulary: int

    @classmethod
    def of(cls, config: Any, build: Callable[[Any], Any]) -> Network:
        """`build`: a transformers auto class's `from_config`."""
        with torch.device("meta"):
            model = build(config)
        text = config.get_text_config()
        heads = text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // heads
        return cls(
            sum(p.numel() for p in model.parameters()), sum(b.nbytes for b in model.buffers()),
            text.num_hidden_layers, text.hidden_size, getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
            heads * width, (getattr(text, "num_key_value_heads", None) or heads) * width, text.vocab_size,
        )  # fmt: skip

    def weights(self, itemsize: int) -> int:
        """Bytes of parameters and buffers."""
        return itemsize * self.parameters + self.buffers

    def cache(self, tokens: int, itemsize: int) -> int:
        """Bytes of keys and values of so many tokens in all layers."""
        return 2 * self.layers * self.keys * tokens * itemsize

    def layer(self, tokens: int, itemsize: int) -> int:
        """Bytes that one layer keeps for its backward pass; about what it needs at once without one.

        A token's residual stream, its normalised form and the layers' input, before attention and before the
        feed-forward layers, in float32; queries, keys, values, the heads' output, twice; gate, its activation, up and
        their product, in the precision of products (`itemsize`).
        """
        return tokens * (6 * FLOAT * self.hidden + itemsize * (3 * self.queries + 2 * self.keys + 4 * self.inner))

    def scored(self, tokens: int, device: str, reduced: bool) -> dict[str, int]:
        """Bytes that scoring so many tokens at once takes, without a graph."""
        return {
            "activations": self.layer(tokens, HALF if reduced else FLOAT),
            "logits": SCORED_BYTES * min(LOGITS_AT_ONCE[device], tokens * self.vocabulary),
            "weights in bfloat16": HALF * self.parameters if reduced else 0,  # autocast keeps them for a forward pass
        }

    def updated(self, tokens: int, device: str, reduced: bool) -> dict[str, int]:
        """The same with a graph: every layer is kept, and the gradients of the one that backward has reached."""
        scored = self.scored(tokens, device, reduced)
        return scored | {"activations": (self.layers + 1) * scored["activations"]}

    def rated(self, tokens: int, itemsize: int) -> dict[str, int]:
        """Bytes that a reward model takes for so many tokens at once; a decoder's fills a cache that nobody reads."""
        return {"activations": self.layer(tokens, itemsize), "cache": self.cache(tokens, itemsize)}


@dataclass(frozen=True)
class Plan:
    """Bytes on `device` by phase and part."""

    device: str  # cpu | cuda
    room: int  # bytes free there before the run; on a CPU, all of the machine's
    resident: Mapping[str, int]  # what a run holds from its first update on
    added: Mapping[str, Mapping[str, int]]  # by phase: what it takes besides while it lasts
    turns: bool = False  # whether a phase holds only what it needs
    unknown: str | None = None  # why there is no estimate

    @property
    def phases(self) -> dict[str, dict[str, int]]:
        """Each phase's parts, those of no bytes left out."""
        every = {phase: {**self._held(phase), **added} for phase, added in self.added.items()}
        return {phase: {part: size for part, size in parts.items() if size} for phase, parts in every.items()}

    def _held(self, phase: str) -> dict[str, int]:
        if self.turns and NEEDED[phase] & self.resident.keys():
            return {part: size for part, size in self.resident.items() if part in NEEDED[phase]}
        released = phase in ("scoring", "update")
        return {part: size for part, size in self.resident.items() if not (released and part == ENGINE)}

    @property
    def peak_phase(self) -> str:
        """The one that takes most; empty where nothing is known."""
        sums = {phase: sum(parts.values()) for phase, parts in self.phases.items()}
        return max(sums, key=lambda phase: sums[phase], default="")

    @property
    def peak(self) -> int:
        """Bytes of that one."""
        return sum(self.phases.get(self.peak_phase, {}).values())

    def decided(self, offload: str) -> Plan:
        """With turns taken or not, as `execution.offload` says; a CPU has nowhere to move anything to."""
        tight = self.peak > ROOM * self.room
        return replace(self, turns=self.device == "cuda" and (offload == "on" or (offload == "auto" and tight)))

    def words(self, title: str, jobs: int = 1) -> list[str]:
        """For people: a line a phase, the largest first, and a remark where `jobs` such runs may not fit."""
        if self.unknown is not None:
            return [f"memory of {title}: no estimate ({self.unknown})"]
        lines = []
        for phase, parts in sorted(self.phases.items(), key=lambda item: -sum(item[1].values())):
            said = ", ".join(f"{part} {readable(size)}" for part, size in parts.items())
            lines.append(f"memory of {title}, at most: {phase} {readable(sum(parts.values()))} ({said})")
        if self.turns:
            lines.append("models take turns on the GPU: what a phase does not need waits in host memory")
        if (wanted := jobs * self.peak) > self.room:
            many = f"{jobs} such cells at once" if jobs > 1 else "it"
            lines.append(
                f"note: {many} may need {readable(wanted)}, and here are {readable(self.room)}; {self._help()}"
            )
        return lines

    def _help(self) -> str:
        helps = {
            "sampling": "a smaller execution.decode_tokens helps",
            "grading": "a smaller reward model helps",
        }.get(self.peak_phase, "a smaller execution.micro_batch_tokens helps")
        return helps if self.turns or self.device == "cpu" else f"{helps}, and so does execution.offload=on"

    def record(self) -> dict[str, Any]:
        """As JSON."""
        found: dict[str, Any] = {"offload": self.turns, "room": self.room}
        if self.unknown is not None:
            return found | {"unknown": self.unknown}
        return found | {"peak": self.peak, "peak_phase": self.peak_phase, "phases": self.phases}


def estimate(cell: Cell, codec: Codec, device: str) -> Plan:
    """Of a cell on `device` ("cpu" or "cuda"), turns decided by its settings. A model that cannot be built from its
    configuration alone is `unknown`, and no error: loading it will say what is wrong, if anything is.
    """
    room = free(device)
    try:
        plan = Plan(device, room, *_parts(cell, codec, device))
    except Exception as error:
        plan = Plan(device, room, {}, {}, unknown=f"{type(error).__name__}: {error}".splitlines()[0][:200])
    return plan.decided(cell.execution.offload)


def _parts(cell: Cell, codec: Codec, device: str) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """What is resident, and what each phase adds."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    model = Network.of(models.config(cell.start), AutoModelForCausalLM.from_config)
    needs, scorer = cell.algorithm.needs, scorer_of(cell.task)
    reduced = cell.precision == "bfloat16"
    products = HALF if reduced else FLOAT
    head = model.hidden + 1 if needs.value else 0
    trained = FLOAT * (model.parameters + head)
    resident = {POLICY: model.weights(FLOAT) + FLOAT * head, GRADIENTS: trained, ADAM: 2 * trained}
    drifts = drift.measured(cell.task, cell.evaluation.drift)
    if needs.reference or drifts:  # a chain drifts from its own start, and is held to that of its stage
        resident[START] = model.weights(FLOAT) * (2 if needs.reference and drifts and cell.after else 1)
    asked = _asked(cell, longest_prompt(codec, cell.task))
    takes = [one.takes(model, cell.execution.decode_tokens, products) for one in asked]
    added = {"sampling": max(takes, key=lambda parts: sum(parts.values()))}
    if cell.rollout.engine == "vllm":  # its cache stands as long as its weights: on a CPU, until the process ends
        del added["sampling"]["cache"]
        stands = model.weights(products) + model.cache(cell.execution.decode_tokens, products)
        resident[ENGINE if device == "cuda" else "vLLM"] = stands
    elif reduced:
        resident[ENGINE] = model.weights(HALF)
    if scorer is not None:
        rated = Network.of(scorer.configuration(), AutoModelForSequenceClassification.from_config)
        size = HALF if scorer.precision == "bfloat16" else FLOAT
        resident[REWARD_MODEL] = rated.weights(size)
        added["grading"] = rated.rated(AT_ONCE[device], size)

    step, evaluated = asked[0].tokens, asked[2].tokens if drifts else 0
    at_once = max(cell.execution.micro_batch_tokens, *(one.length for one in asked))
    longer = at_once if needs.demonstrations else 0  # what is shown may be longer than what is sampled
    added["scoring"] = model.scored(min(at_once, max(longer, step, evaluated)), device, reduced)
    added["update"] = model.updated(
        min(at_once, max(longer, step // cell.training.updates_per_rollout)), device, reduced
    )
    return resident, added


@dataclass(frozen=True)
class _Asked:
    """One call of an engine, in the longest that it may be."""

    requests: int
    responses: int  # of each request
    prompt: int  # tokens
    response: int

    @property
    def length(self) -> int:
        """Tokens of one response behind its prompt."""
        return self.prompt + self.response

    @property
    def tokens(self) -> int:
        """Of all."""
        return self.requests * self.responses * self.length

    def takes(self, model: Network, decode_tokens: int, itemsize: int) -> dict[str, int]:
        """Bytes of a chunk: whole requests, as many as `decode_tokens` hold, and at least one."""
        chunk = min(self.requests, max(1, decode_tokens // (self.responses * self.length)))
        rows = chunk * self.responses
        return {
            "cache": model.cache(rows * self.length, itemsize),
            "activations": model.layer(chunk * self.prompt, itemsize),
            "logits": DRAWN_BYTES * rows * model.vocabulary,
        }


def _asked(cell: Cell, prompt: int) -> tuple[_Asked, _Asked, _Asked]:
    """A step's rollout, and the evaluations, greedy and sampled."""
    training, evaluation = cell.training, cell.evaluation
    examples = sum(map(len, splits_of(cell.task, evaluation).values()))
    response = evaluation.max_tokens or cell.sampling.max_tokens
    return (
        _Asked(training.prompts_per_step, training.responses_per_prompt, prompt, cell.sampling.max_tokens),
        _Asked(examples, 1, prompt, response),
        _Asked(examples, evaluation.samples, prompt, response),
    )


def free(device: str) -> int:
    """Bytes for a run: what no other process holds of a GPU, or all of a machine's memory."""
    if device == "cuda":
        unused = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return torch.cuda.mem_get_info()[0] + unused
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def readable(size: int) -> str:
    """5.2 GiB, 413 MiB or 1.2 MiB."""
    if size >= 2**30:
        return f"{size / 2**30:.1f} GiB"
    return f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"
