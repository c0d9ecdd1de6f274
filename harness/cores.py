"""The processor's threads and the device that work runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .errors import UserError

ALL_THREADS = torch.get_num_threads()  # torch's own choice, before a cell makes another


@contextmanager
def one_thread() -> Iterator[None]:
    """For tensors of a few hundred numbers, where a second thread costs more than it brings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(name: str) -> str:
    """`auto` is cuda where there is a usable GPU. Raises UserError for a GPU that is not there."""
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise UserError("execution.device = cuda, but torch finds no usable GPU; allowed here: auto, cpu")
    return "cuda" if present and name != "cpu" else "cpu"
