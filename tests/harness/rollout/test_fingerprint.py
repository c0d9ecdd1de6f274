"""Checksums that show every change, and the pairing of an engine's tensors with the policy's."""

from __future__ import annotations

import pytest
import torch

from harness.rollout import fingerprint
from harness.rollout.fingerprint import checksum, pairs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_change_shows(dtype, monkeypatch):
    monkeypatch.setattr(fingerprint, "PIECE", 7)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = checksum(x)
    assert checksum(x.clone()) == before == checksum(x[:2], x[2:])
    for i in range(x.numel()):
        y = x.clone()
        y.view(-1)[i] = torch.nextafter(y.view(-1)[i], torch.tensor(9.0, dtype=dtype))
        assert checksum(y) != before
        y = x.clone()
        y.view(-1)[[i, (i + 7) % 30]] = y.view(-1)[[(i + 7) % 30, i]]
        assert checksum(y) != before
    assert checksum(-torch.zeros(3)) != checksum(torch.zeros(3))  # bits, not values


def test_pieces_do_not_matter(monkeypatch):
    x = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    whole = checksum(x)
    monkeypatch.setattr(fingerprint, "PIECE", 13)
    assert checksum(x) == whole


def test_pairs():
    q, k, v, e = torch.randn(4, 3), torch.randn(2, 3), torch.randn(2, 3), torch.randn(5, 3)
    own = {"a.q_proj.weight": q, "a.k_proj.weight": k, "a.v_proj.weight": v, "embed.weight": e, "norm.weight": e[0]}
    held = {
        "a.qkv_proj.weight": torch.cat([q, k, v]),
        "embed.weight": torch.cat([e, torch.zeros(3, 3)]),  # padded vocabulary
        "norm.weight": e[0].clone(),
        "repacked.q_proj.weight": torch.empty(0),
        "a.rotary": torch.zeros(2),
    }
    found = pairs(held, own)
    assert set(found) == {"a.qkv_proj.weight", "embed.weight", "norm.weight"}
    assert all(checksum(mine) == checksum(*parts) for mine, parts in found.values())
    assert not pairs({"embed.weight": torch.empty(0)}, own)  # repacked: nothing to compare
