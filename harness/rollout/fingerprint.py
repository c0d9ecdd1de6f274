"""Exact checksums of weights, and which tensors of two implementations of a model are the same thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
PIECE = 2**20  # elements at once: what is added in memory stays small beside a model


def checksum(*parts: Tensor) -> int:
    """A number of 64 bits from the bit patterns of `parts`, one behind the other: equal bits, equal number.

    Integer arithmetic modulo 2^64, each element's bits times an odd number of its position: a changed element always
    shows, and so does an exchange of two; neither rounding nor the order of summation plays a part.
    """
    total, place = 0, 0
    for part in parts:
        bits = part.detach().flatten().view({2: torch.int16, 4: torch.int32}[part.element_size()])
        for piece in bits.split(PIECE):
            weights = 2 * torch.arange(place, place + len(piece), device=piece.device) + 1
            total += int((piece * weights).sum())
            place += len(piece)
    return total % 2**64


def pairs(held: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Sequence[Tensor]]]:
    """By name: a tensor of the engine's and the policy's tensors that make it up, where the layout is the same.

    An engine lays queries, keys and values into one matrix, gate and up projection too, and pads the vocabulary, where
    its further rows are left out. What it has repacked has another shape and is no pair.
    """
    found: dict[str, tuple[Tensor, Sequence[Tensor]]] = {}
    for name, mine in held.items():
        sources = _sources(name)
        if not own.keys() >= set(sources):
            continue
        theirs = [own[source] for source in sources]
        rows = sum(len(part) for part in theirs)
        if mine.shape[1:] == theirs[0].shape[1:] and len(mine) >= rows:
            found[name] = mine[:rows], theirs
    return found


def _sources(name: str) -> list[str]:
    for fused, parts in FUSED.items():
        if f".{fused}." in name:
            return [name.replace(fused, part) for part in parts]
    return [name]
