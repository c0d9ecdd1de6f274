"""Attention for decoding: the heads of a group share their keys instead of copying them.

transformers' SDPA path repeats keys and values for every query head whenever there is a mask, which a padded batch has:
on a CPU that copy is most of a decoding step. With a single query token the heads of one group can stand in the place
of query positions, which is the same arithmetic without a copy. Longer queries go the library's way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NAME = "groupbench_sdpa"


def use_in(model: Any) -> None:
    """Switch a model that runs on SDPA over; any other choice of attention is left alone."""
    if model.config._attn_implementation != "sdpa":
        return
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def _attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """The library's attention contract: query (B, H, Q, D), key and value (B, K, L, D) -> (B, Q, H, D)."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    batch, heads, length, width = query.shape
    if length != 1 or attention_mask is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    groups = key.shape[1]
    mask = attention_mask[..., : key.shape[2]].expand(batch, 1, heads // groups, -1)
    out = torch.nn.functional.scaled_dot_product_attention(
        query.view(batch, groups, heads // groups, width), key, value, attn_mask=mask, scale=options.get("scaling")
    )
    return out.reshape(batch, 1, heads, width), None
