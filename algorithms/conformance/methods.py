"""Whether an algorithm's methods keep to the interface: what they ask for, return, look at and leave alone.

Part of `conformance`.
"""

from __future__ import annotations

import copy
import difflib
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar, get_args, get_origin

import torch
from torch import Tensor

from ..base import Algorithm, Batch, Couples, Loss, Metric, Needs
from ..card import Card
from ..places import place
from ..step import attributes, prepare
from .expectations import NotApplicable, Violation, expect, finite, norm
from .toy import TokenModel, even_batch, gradient, prepared, ragged_batch, sampled

METHODS = [name for name in vars(Algorithm) if not name.startswith("_")]


def declaration(algorithm: Algorithm) -> None:
    """A frozen dataclass with a loss, whose annotations are hyper-parameters; no method has a misspelled name.

    What it couples is a word of the interface, and its needs and its spec card can be read.
    """
    cls = type(algorithm)
    expect(is_dataclass(cls) and cls.__dataclass_params__.frozen, "the class is no frozen dataclass")  # type: ignore[attr-defined]
    expect(cls.loss is not Algorithm.loss, "it defines no loss")
    known = {f.name for f in fields(cls)}
    for one in cls.__mro__[: cls.__mro__.index(Algorithm)]:
        for name, kind in vars(one).get("__annotations__", {}).items():
            constant = (
                get_origin(kind) is ClassVar
                or kind is ClassVar
                or str(kind).startswith(("ClassVar", "typing.ClassVar"))
            )
            own = "__dataclass_fields__" in vars(one)
            said = f"{one.__name__}.{name} is no hyper-parameter: @dataclass(frozen=True) is missing above the class"
            expect(constant or (own and name in known), said)
        for name in vars(one):
            near = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.85)
            typo = bool(near) and name not in METHODS and name not in known and not name.startswith("_")
            expect(not typo, f"{one.__name__}.{name} overrides nothing; did you mean {near[0] if near else ''}?")
    allowed = get_args(Couples)
    expect(cls.couples in allowed, f"couples = {cls.couples!r}; allowed: {', '.join(map(repr, allowed))}")
    for name, kind in (("needs", Needs), ("card", Card)):
        value = getattr(algorithm, name)
        expect(
            isinstance(value, kind), f"{name} is {value!r:.60}, expected a @property that gives {kind.__name__}(...)"
        )


def needs(algorithm: Algorithm) -> None:
    """It works with the scores and signals that its `needs` ask for, and at the time they are there."""
    batch, signals = ragged_batch(0)
    try:
        algorithm.select(sampled(algorithm, batch))
        gradient(algorithm, prepared(algorithm, batch), signals)
    except Exception as error:
        try:
            everything = replace(batch, state=algorithm.initial_state())
            algorithm.select(everything)
            returned = algorithm.loss(signals, prepare(algorithm, everything))
        except Exception:
            raise error from None  # it does not work anyhow
        if not isinstance(returned, Loss):
            raise NotApplicable("what its loss returns is no Loss: see interface") from error
        raise Violation(
            f"{type(error).__name__}: {error}{place(error)}; with all scores and signals it works, so its `needs` "
            "leave one out: old, reference, raw, entropy, value; or scores_first, where shape_rewards or advantages "
            "read scores (select never sees any)"
        ) from error


def regular(algorithm: Algorithm, responses: int) -> None:
    """One step in float32 on groups of one size, that of `responses` a prompt, none empty. Raises what it raises.

    Whoever relies on that, e.g. by a view of (P, G), fails on the batches of the checks, and trains.
    """
    batch, signals = even_batch(max(algorithm.needs.members(responses), algorithm.min_group_size))
    algorithm.select(sampled(algorithm, batch))
    gradient(algorithm, prepared(algorithm, batch), signals)


def interface(algorithm: Algorithm) -> None:
    """What its methods return has the right type and shape, and no attribute changes."""
    before = attributes(algorithm)
    for seed in range(3):
        batch, signals = ragged_batch(seed)
        kept = algorithm.select(sampled(algorithm, batch))
        expect(isinstance(kept, Tensor), f"select gave {type(kept).__name__}, expected a tensor (P,) of bool")
        expect(kept.shape == (batch.groups,) and kept.dtype == torch.bool, f"select gave {kept.shape}, {kept.dtype}")
        ready = prepared(algorithm, batch)
        expect(not (ready.reward.requires_grad or ready.token_advantage.requires_grad), "advantages carry a graph")
        direct = algorithm.loss(TokenModel(algorithm, ready, signals)(torch.arange(ready.responses)), ready)
        expect(isinstance(direct, Loss), f"loss returned {type(direct).__name__}, expected Loss(value, metrics)")
        for title, metric in direct.metrics.items():
            there = isinstance(metric, Metric) and isinstance(metric.numerator, Tensor)
            expect(there, f"metric {title!r} is {metric!r}, expected Metric(tensor, count)")
        after = {name: tuple(value.shape) for name, value in algorithm.next_state(ready).items()}
        declared = {name: tuple(value.shape) for name, value in ready.state.items()}
        expect(after == declared, f"next_state gave {after}, initial_state declared {declared}")
    expect(attributes(algorithm) == before, "its attributes change; what it remembers belongs into next_state")


def numbers(algorithm: Algorithm) -> None:
    """Loss, gradient and metrics are finite, and the gradient is not zero where rewards vary."""
    for seed in range(3):
        batch, signals = ragged_batch(seed)
        loss, slope = gradient(algorithm, prepared(algorithm, batch), signals)
        expect(finite(loss.value) and finite(slope), f"loss {loss.value.item()}, gradient {norm(slope)}")
        expect(norm(slope) > 0, "the gradient is zero on a batch with varied rewards")
        for title, metric in loss.metrics.items():
            expect(finite(metric.numerator), f"metric {title!r} is {metric!r}")


def purity(algorithm: Algorithm) -> None:
    """It changes nothing that it is given, draws no random number, and gives the same bits twice."""
    for wide in (1.0, 10.0):
        batch, signals = ragged_batch(0)
        batch = replace(batch, logp_old=wide * batch.logp_old, logp_ref=wide * batch.logp_ref)
        given, bare = copy.deepcopy(vars(batch)), sampled(algorithm, batch)
        before = copy.deepcopy(vars(bare))
        generators = torch.get_rng_state()
        algorithm.select(bare)
        ready = prepared(algorithm, batch)
        _expect_same(given, vars(batch))
        _expect_same(before, vars(bare))
        before = copy.deepcopy(vars(ready))
        slopes = []
        for seed in (0, 1):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                slopes.append(gradient(algorithm, ready, signals)[1])
        state = algorithm.next_state(ready)
        _expect_same(before, vars(ready))
        expect(
            torch.equal(*slopes), "the same step gave other bits the second time: a random number, or a hidden state"
        )
        expect(torch.equal(generators, torch.get_rng_state()), "it draws from torch's global generator")
        expect(all(finite(value) for value in state.values()), "next_state is not finite")


def scope(algorithm: Algorithm) -> None:
    """shape_rewards looks at one response, select at one group; a group with right and wrong answers is kept first."""
    if algorithm.needs.rollouts == 0:
        raise NotApplicable("it samples nothing, so that there is nothing to select")
    for seed in range(3):
        batch, _ = ragged_batch(seed)
        bare = sampled(algorithm, batch)
        whole = bare
        if algorithm.needs.scores_first:
            whole = replace(bare, logp_old=batch.logp_old, logp_ref=batch.logp_ref, value_old=batch.value_old)
        shaped, kept = algorithm.shape_rewards(whole), algorithm.select(bare)
        for row in range(batch.responses):
            alone = algorithm.shape_rewards(whole.take(torch.tensor([row])))
            expect(bool((alone - shaped[row]).abs().max() < 1e-9), "shape_rewards looks beyond the response")
        for p in range(batch.groups):
            rows = torch.nonzero(batch.group == p).flatten()
            expect(bool(algorithm.select(bare.take(rows))[0] == kept[p]), "select of a group depends on other groups")
        some, every = (replace(bare, correct=c) for c in (_first_right(bare), torch.ones_like(bare.correct)))
        backwards = algorithm.select(every) & ~algorithm.select(some)
        expect(not backwards.any(), "select keeps a group that is all right, and not one that is partly right")


def _first_right(batch: Batch) -> Tensor:
    """(N,) bool: the first member of each group is right and the others are wrong."""
    return torch.cat([torch.tensor([True]), batch.group[1:] != batch.group[:-1]])


def _expect_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name, value in before.items():
        if isinstance(value, Tensor):
            expect(torch.equal(value.nan_to_num(), after[name].nan_to_num()), f"it changes Batch.{name} in place")
    for name, value in before.get("state", {}).items():
        expect(torch.equal(value, after["state"][name]), f"it changes its state {name!r} in place")
