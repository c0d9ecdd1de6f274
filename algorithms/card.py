"""Spec cards: what an algorithm computes, as data.

"GRPO" names at least six different computations in today's trainers. A card says which one a row of a table was; it is
printed by `groupbench list algorithms NAME`, stored in every run, and held to the algorithm's behaviour by
`conformance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .ops import STD_EPSILON, Aggregation, Reference
from .words import expect_word

Baseline = Literal[
    "group mean", "leave-one-out mean", "batch mean", "pairs of the group", "value", "none", "rewards not read"
]  # fmt: skip
Scope = Literal["group", "batch", "batch tokens"]
Clipped = Literal["token ratio", "mean response ratio", "response ratio", "token weight"]
Estimator = Literal["k1", "k2", "k3", "ρ·k3"]
Place = Literal["loss", "reward"]

_AGGREGATIONS: dict[Aggregation, str] = {
    "response": "mean over a response's tokens, then over responses",
    "response-sum": "a function of the response's summed log π (or log-ratio), mean over responses",
    "token": "mean over the mini-batch's tokens",
    "group-token": "mean over a prompt group's tokens, then over groups",
    "rollout-token": "sum over tokens ÷ (tokens of the rollout ÷ optimizer steps), TRL's num_items_in_batch",
    "max-tokens": "sum over tokens ÷ (responses × response limit)",
    "group": "a statistic of the prompt's group, mean over groups",
}
_REFERENCES = {
    "none": "none",
    "rollout": "the policy that sampled the rollout",
    "initial": "the frozen start of the run",
}


@dataclass(frozen=True)
class Std:
    """What centred rewards are divided by: the standard deviation of `scope`, plus epsilon, or with it under the root.

    "batch" is over responses; "batch tokens" counts a response by its tokens, and centres once more over tokens.
    """

    scope: Scope = "group"
    ddof: int = 1
    epsilon: float = STD_EPSILON
    under_root: bool = False  # √(variance + ε) instead of √variance + ε

    def __post_init__(self) -> None:
        expect_word("Std.scope", self.scope, get_args(Scope))

    def __str__(self) -> str:
        return f"std of the {self.scope}, ddof {self.ddof}, ε {self.epsilon:g}" + " under the root" * self.under_root


@dataclass(frozen=True)
class Clip:
    """The range [low, high] of a ratio beyond which a token (or response) gets no gradient, or a capped weight."""

    low: float | None
    high: float | None
    on: Clipped = "token ratio"
    dual: float | None = None  # where Â < 0: also above this ratio

    def __post_init__(self) -> None:
        expect_word("Clip.on", self.on, get_args(Clipped))

    def __str__(self) -> str:
        bounds = ", ".join("none" if x is None else f"{x:.7g}" for x in (self.low, self.high))
        dual = "" if self.dual is None else f"; dual clip at {self.dual:g} where Â < 0"
        return f"{self.on} in [{bounds}]{dual}"


@dataclass(frozen=True)
class KL:
    """A KL penalty against the reference: its weight, Schulman's name of its estimator, and where it acts."""

    weight: float
    estimator: Estimator
    place: Place
    most: float | None = None  # nats, what the estimate of one token counts at most

    def __post_init__(self) -> None:
        expect_word("KL.estimator", self.estimator, get_args(Estimator))
        expect_word("KL.place", self.place, get_args(Place))

    def __str__(self) -> str:
        most = "" if self.most is None else f" (a token's at most {self.most:g})"
        return f"{self.weight:g} × {self.estimator}{most}, in the {self.place}"


_PARTS: dict[str, type] = {"std": Std, "clip": Clip, "kl": KL}  # entries of a card that have entries of their own
_WORDS: dict[str, tuple[str, ...]] = {  # what its entries may say
    "baseline": get_args(Baseline), "std": ("nothing",), "aggregation": tuple(_AGGREGATIONS), "clip": ("none",),
    "kl": ("none",), "reference": tuple(_REFERENCES),
}  # fmt: skip


@dataclass(frozen=True)
class Card:
    """One algorithm with its present hyper-parameters. None is "not stated", never "none".

    `conformance` holds the algorithm to what is stated, except `objective`, `source` and `updates_per_rollout`, which
    are the source's word. One that states no baseline is held to being relative to its group.
    """

    objective: str | None = None  # one line
    source: str | None = None
    baseline: Baseline | None = None  # what a reward is measured from
    std: Std | Literal["nothing"] | None = None  # what it is divided by then
    aggregation: Aggregation | None = None
    clip: Clip | Literal["none"] | None = None
    kl: KL | Literal["none"] | None = None
    reference: Reference | Literal["none"] = "none"  # of a KL or an implicit reward
    old_policy: bool = False  # whether log-probabilities of the policy that sampled are needed
    updates_per_rollout: int | None = None
    positional: bool = False  # whether a token's place in its response matters to the loss

    def __post_init__(self) -> None:
        for name, allowed in _WORDS.items():
            value, part = getattr(self, name), _PARTS.get(name)
            stated = value is not None or name == "reference"
            if stated and not (part and isinstance(value, part)):
                besides = ["None (not stated)"] * (name != "reference") + ([f"{part.__name__}(...)"] if part else [])
                expect_word(f"Card.{name}", value, allowed, besides)

    def lines(self) -> dict[str, str]:
        """Every entry in words, by name, for people."""
        said = {
            "objective": self.objective,
            "source": self.source,
            "baseline": self.baseline,
            "advantage scale": self.std,
            "aggregation": self.aggregation and _AGGREGATIONS[self.aggregation],
            "clip": self.clip,
            "KL penalty": self.kl,
            "reference": _REFERENCES[self.reference],
            "π_old": "needed" if self.old_policy else "not needed",
            "updates per rollout": self.updates_per_rollout,
        }
        return {name: "not stated" if value is None else str(value) for name, value in said.items()}
