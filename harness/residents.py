"""Who lies on the device in which phase. Where models take turns, those that a phase does not need wait in host memory.

Moves are in place: a parameter stays the object that optimizer and engine hold, and keeps every bit, so that a run that
takes turns ends with the weights of one that does not. What need not be kept is dropped instead of moved: gradients
behind an update, and what an engine holds beside the policy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tasks.rewards.rewarded import Rewarded

from .rewards.scorer import RewardScorer

if TYPE_CHECKING:
    from tasks.base import Task

    from .policy import Policy
    from .rollout import Engine

POLICY, START, GRADIENTS, ADAM = "policy", "frozen start", "gradients", "Adam"
ENGINE, REWARD_MODEL = "engine", "reward model"
NEEDED: Mapping[str, frozenset[str]] = {  # by phase; a phase that is not here moves nothing
    "sampling": frozenset({POLICY, ENGINE}),
    "grading": frozenset({REWARD_MODEL}),
    "scoring": frozenset({POLICY, START}),
    "update": frozenset({POLICY, GRADIENTS, ADAM}),
}
OUTSIDE = frozenset({POLICY})  # what whoever comes after an exception may rely on
HOST = torch.device("cpu")


class Residents:
    """What takes turns on `device`: `movable` gives a part's tensors as they are now, `dropped` how one is let go of.

    Without parts nothing moves, and a phase is but a name.
    """

    def __init__(
        self, device: torch.device, movable: Mapping[str, Callable[[], Iterable[Tensor]]],
        dropped: Mapping[str, Callable[[], None]],
    ) -> None:  # fmt: skip
        self.device, self.movable, self.dropped = device, movable, dropped
        self.needed = {phase: parts for phase, parts in NEEDED.items() if parts & {*movable, *dropped}}
        # An earlier run in this process may have left the reward model where it had put it.
        self.away = {name for name, tensors in movable.items() if any(t.device.type != device.type for t in tensors())}

    @contextmanager
    def phase(self, name: str) -> Iterator[float]:
        """Enter a phase; gives the seconds that moving took, 0 where nothing moved.

        Nothing moves on leaving: the next phase may need the same. After an exception the policy is on the device, and
        what else moved comes back when it is needed.
        """
        try:
            yield self._turn_to(self.needed[name]) if name in self.needed else 0.0
        except BaseException:
            with suppress(Exception):  # a device that has failed: the error that is under way says how
                self._turn_to(OUTSIDE)
            raise

    def _turn_to(self, needed: frozenset[str]) -> float:
        """First out, then in, or there would be no room. A part that was interrupted on its way counts as away."""
        began, moved = time.perf_counter(), 0
        for name, let_go in self.dropped.items():
            if name not in needed:
                let_go()
        for name, tensors in self.movable.items():
            if name not in needed and name not in self.away:
                self.away.add(name)
                moved += sum(move(tensor, HOST) for tensor in tensors())
        if moved and self.device.type == "cuda":
            torch.cuda.empty_cache()  # for what does not share torch's allocator: vLLM, or another cell's process
        for name, tensors in self.movable.items():
            if name in needed and name in self.away:
                moved += sum(move(tensor, self.device) for tensor in tensors())
                self.away.discard(name)
        if not moved:
            return 0.0
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began


def stay() -> Residents:
    """Everything stays where it is."""
    return Residents(HOST, {}, {})


def take_turns(
    policy: Policy, frozen: Sequence[Policy], optimizer: torch.optim.Optimizer, engine: Engine, task: Task
) -> Residents:
    """The parts of a training run; `frozen`: its start, and a chain's.

    A reward's own model is one where it has a `scorer` that says what it has loaded.
    """

    def trained() -> list[Tensor]:
        return [*tensors_of(policy.model), *([] if policy.value_head is None else tensors_of(policy.value_head))]

    def moments() -> list[Tensor]:
        return [slot for slots in optimizer.state.values() for slot in slots.values() if isinstance(slot, Tensor)]

    movable: dict[str, Callable[[], Iterable[Tensor]]] = {POLICY: trained, ADAM: moments}
    if frozen:
        movable[START] = lambda: [tensor for start in frozen for tensor in tensors_of(start.model)]
    if (scorer := scorer_of(task)) is not None:
        movable[REWARD_MODEL] = lambda: [] if (network := scorer.loaded) is None else tensors_of(network)
    return Residents(policy.device, movable, {GRADIENTS: optimizer.zero_grad, ENGINE: engine.release})


def scorer_of(task: Task) -> RewardScorer | None:
    """The reward model that rates a task's responses, if one does."""
    scorer = getattr(task.reward, "scorer", None) if isinstance(task, Rewarded) else None
    return scorer if isinstance(scorer, RewardScorer) else None


def tensors_of(module: nn.Module) -> list[Tensor]:
    """Parameters, tied ones once, and buffers."""
    return [*module.parameters(), *module.buffers()]


def move(tensor: Tensor, device: torch.device) -> int:
    """Move in place; returns the bytes that it took, 0 for a tensor that is there already."""
    if tensor.device.type == device.type:
        return 0
    tensor.data = tensor.data.to(device)
    return tensor.nbytes
