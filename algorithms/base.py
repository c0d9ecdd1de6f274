"""The one training interface: an algorithm is a function of log-probabilities, everything else is the harness.

A training step holds whole prompt groups. The tokens of all responses lie end to end, without padding; no pad token
ever reaches an algorithm. Shapes below: T tokens, N responses, P prompt groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from . import ops
from .card import Card, Std
from .words import expect_word

POLICY, EXPERT, TEACHER = 0, 1, 2
SOURCES = ("policy", "expert", "teacher")  # names of the codes above

Couples = Literal["response", "group", "batch"]
# Optional tensors are typed as tensors: a loss reads only what its `needs` made the harness provide.
ABSENT: Any = None


@dataclass(frozen=True)
class Needs:
    """What the harness must provide for an algorithm. What is not asked for is neither computed nor kept in memory."""

    old: bool = False  # Batch.logp_old: the policy that produced the rollouts, scored by the training stack
    reference: bool = False  # Batch.logp_ref: a frozen copy of the starting policy
    raw: bool = False  # Signals.logp_raw: log-probabilities before the division by the sampling temperature
    entropy: bool = False  # Signals.entropy
    value: bool = False  # Signals.value and Batch.value_old, from a scalar head on the policy
    scores_first: bool = False  # shape_rewards or advantages read logp_old, logp_ref or value_old: score before them
    rollouts: int | None = None  # sampled responses a prompt; None: the recipe's group size less the demonstrations
    experts: int = 0  # expert demonstrations a prompt; where fewer exist, sampled responses fill up
    teachers: int = 0  # teacher demonstrations a prompt; likewise

    @classmethod
    def against(cls, reference: ops.Reference) -> Needs:
        """The log-probabilities under one of the two policies that a log-ratio can be taken against."""
        expect_word("Needs.against: reference", reference, get_args(ops.Reference))
        return cls(old=reference == "rollout", reference=reference == "initial")

    @property
    def demonstrations(self) -> int:
        """Demonstrations asked for a prompt."""
        return self.experts + self.teachers

    def members(self, responses: int) -> int:
        """Of a prompt's group, where the recipe has `responses` a prompt."""
        return responses if self.rollouts is None else self.rollouts + self.demonstrations


@dataclass(frozen=True)
class Totals:
    """How much the whole optimizer step holds, and the whole rollout, over all parts and ranks: every loss's divisors.

    A loss divides by these, never by the size of what it was handed; that is why the gradient cannot depend on how the
    step was cut into micro-batches.
    """

    tokens: int
    responses: int
    groups: int
    rollout_tokens: int
    rollout_responses: int
    rollout_groups: int
    max_tokens: int  # the limit on a response, `sampling.max_tokens` of the recipe


@dataclass(frozen=True)
class Batch:
    """Responses of one or several prompt groups, ragged: what an algorithm sees beside the current policy's signals."""

    lengths: Tensor  # (N,) int64, tokens of each response; 0 is legal
    group: Tensor  # (N,) int64, the response's prompt group, 0 <= group < groups
    groups: int  # P
    reward: Tensor  # (N,) float, after the verifier or reward model
    totals: Totals
    correct: Tensor = ABSENT  # (N,) bool, the verifier's verdict before shaping; None without a verifier
    source: Tensor = ABSENT  # (N,) int64, POLICY | EXPERT | TEACHER; None: all sampled from the policy
    truncated: Tensor = ABSENT  # (N,) bool, cut off by the length limit; None: none was
    advantage: Tensor = ABSENT  # (N,); set by `with_advantages`, which also takes (T,)
    advantage_of_token: Tensor = ABSENT  # (T,); where the algorithm gives one a token
    logp_old: Tensor = ABSENT  # (T,)
    logp_ref: Tensor = ABSENT  # (T,)
    logp_sampler: Tensor = ABSENT  # (T,) as the engine reported it; NaN for demonstrations
    value_old: Tensor = ABSENT  # (T,)
    state: Mapping[str, Tensor] = field(default_factory=dict)  # the algorithm's own, as before this rollout
    group_tokens: Tensor = ABSENT  # (N,) tokens of the response's whole group, also where only a part of it is here
    tokens: int = field(default=-1)  # T; taken from `lengths` where not given

    PER_TOKEN: ClassVar = ("logp_old", "logp_ref", "logp_sampler", "value_old", "advantage_of_token")
    PER_RESPONSE: ClassVar = ("group", "reward", "correct", "source", "truncated", "advantage", "group_tokens")

    def __post_init__(self) -> None:
        if self.tokens < 0:
            object.__setattr__(self, "tokens", int(self.lengths.sum()))
        if self.group_tokens is None:  # in floating point, as segments of integers cannot be reduced
            object.__setattr__(self, "group_tokens", ops.group_sum(self.lengths.double(), self).long()[self.group])
        sizes = dict.fromkeys(self.PER_TOKEN, self.tokens) | dict.fromkeys(self.PER_RESPONSE, self.responses)
        for name, size in sizes.items():
            value = getattr(self, name)
            if value is not None and value.shape != (size,):
                raise ValueError(f"Batch.{name} has shape {tuple(value.shape)}, expected ({size},)")

    @property
    def responses(self) -> int:
        """N."""
        return self.lengths.shape[0]

    @cached_property
    def response(self) -> Tensor:
        """(T,) the response that each token belongs to."""
        rows = torch.arange(self.responses, device=self.lengths.device)
        return rows.repeat_interleave(self.lengths, output_size=self.tokens)

    @property
    def token_advantage(self) -> Tensor:
        """(T,) the advantage of each token, whether it was given one a response or one a token."""
        if self.advantage_of_token is not None:
            return self.advantage_of_token
        if self.advantage is None:
            raise ValueError("the batch has no advantages yet: `advantages` runs before `loss`")
        return self.advantage[self.response]

    def with_advantages(self, advantage: Tensor) -> Batch:
        """The batch with what `Algorithm.advantages` returned: (N,), or (T,) for one a token.

        Raises ValueError for another shape, and for what is not a finite number: nothing is trained on that.
        """
        if not torch.isfinite(advantage).all():
            raise ValueError("an advantage is not a finite number: a reward may be NaN, or a statistic divided by zero")
        if advantage.shape == (self.responses,):
            return replace(self, advantage=advantage)
        if advantage.shape == (self.tokens,):
            return replace(self, advantage_of_token=advantage)
        raise ValueError(
            f"advantages have shape {tuple(advantage.shape)}, expected ({self.responses},) for one a response or "
            f"({self.tokens},) for one a token"
        )

    def token_rows(self, rows: Tensor) -> Tensor:
        """(T',) positions, in the token axis, of the tokens of responses `rows`, in the order of `rows`."""
        return ops.token_positions(self.lengths, rows)

    def take(self, rows: Tensor, totals: Totals | None = None) -> Batch:
        """The batch of responses `rows` (M,), in that order, groups renumbered; same totals unless others are given."""
        token_rows = self.token_rows(rows)
        present, group = self.group[rows].unique(return_inverse=True)
        taken: dict[str, Any] = {}
        for names, index in ((self.PER_TOKEN, token_rows), (self.PER_RESPONSE, rows)):
            for name in names:
                value = getattr(self, name)
                taken[name] = None if value is None else value[index]
        taken |= {"lengths": self.lengths[rows], "group": group}
        return replace(self, **taken, groups=len(present), tokens=len(token_rows), totals=totals or self.totals)


@dataclass(frozen=True)
class Signals:
    """What the model gives for the current policy, token by token, each (T,) float32 or float64 with a graph."""

    logp: Tensor  # log-probability of the token, logits divided by the sampling temperature
    logp_raw: Tensor = ABSENT  # the same with undivided logits; only if needed
    entropy: Tensor = ABSENT  # nats, of the tempered distribution; only if needed
    value: Tensor = ABSENT  # only if needed

    def named(self) -> dict[str, Tensor]:
        """The signals that are there, by name."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    def at(self, positions: Tensor) -> Signals:
        """The signals of the tokens at `positions` (T',)."""
        return self.map(lambda x: x[positions])

    def map(self, function: Callable[[Tensor], Tensor]) -> Signals:
        """`function` of each signal that is there."""
        return Signals(**{name: function(value) for name, value in self.named().items()})


@dataclass(frozen=True)
class Metric:
    """A mean that adds up over parts and ranks: both the numerator and the count are summed before they are divided."""

    numerator: Tensor
    count: Tensor | int


@dataclass(frozen=True)
class Loss:
    """A part's share of the step's loss, and what is worth logging about it."""

    value: Tensor  # () with a graph; the shares of all parts add up to the step's loss
    metrics: Mapping[str, Metric] = field(default_factory=dict)


@dataclass(frozen=True)
class Algorithm:
    """An algorithm: a frozen dataclass whose fields are its hyper-parameters and whose defaults are its source's.

    Override what differs: most override one or two methods. Checks of hyper-parameters belong into `__post_init__`
    and raise ValueError.
    """

    name: ClassVar[str] = ""  # set by @register
    couples: ClassVar[Couples] = "response"  # the smallest unit that the loss can be computed on
    min_group_size: ClassVar[int] = 2  # a group z-score of one member says nothing
    requires_clipping: ClassVar[bool] = False  # refuse to train without gradient-norm clipping

    @property
    def needs(self) -> Needs:
        """What the harness must provide."""
        return Needs()

    @property
    def card(self) -> Card:
        """What it computes, as data. Override it to say more: what is stated is checked, and shown beside results."""
        own = type(self).advantages is not Algorithm.advantages
        said = (type(self).__doc__ or "").strip().split("\n")[0]
        return Card(
            objective=None if said.startswith(f"{type(self).__name__}(") else said or None,  # not @dataclass's own text
            baseline=None if own else "group mean",
            std=None if own else Std(),
            reference="initial" if self.needs.reference else "none",
            old_policy=self.needs.old,
        )

    def require(self, *names: str, above: float | None = None) -> None:
        """For `__post_init__`: raise ValueError where one of the fields is negative, or not `above` a bound.

        None is allowed: it turns a setting off.
        """
        for name in names:
            value = getattr(self, name)
            if value is not None and (value < 0 if above is None else value <= above):
                raise ValueError(f"{name} = {value} must be {'at least 0' if above is None else f'above {above:g}'}")

    def remarks(self, max_tokens: int) -> list[str]:
        """What a user should know before training with responses of at most `max_tokens`; printed, never an error."""
        return []

    def shape_rewards(self, batch: Batch) -> Tensor:
        """(N,) the reward that advantages are made from. A function of each response alone."""
        return batch.reward

    def select(self, batch: Batch) -> Tensor:
        """(P,) bool: the groups to keep. The harness samples more until the batch is full or its cap is reached."""
        return torch.ones(batch.groups, dtype=torch.bool, device=batch.reward.device)

    def advantages(self, batch: Batch) -> Tensor:
        """(N,) or (T,), computed once over the whole rollout; `batch.reward` is the shaped reward by now."""
        return ops.group_zscore(batch.reward, batch)

    def initial_state(self) -> dict[str, Tensor]:
        """What the algorithm remembers from rollout to rollout, as it begins; small tensors, saved with checkpoints.

        It reaches every method as `Batch.state`. An algorithm is frozen: whatever it kept elsewhere would be lost when
        a killed run resumes, and the harness refuses to train one whose attributes change.
        """
        return {}

    def next_state(self, batch: Batch) -> Mapping[str, Tensor]:
        """`batch.state` after this rollout: the same names and shapes. Called once, on the whole rollout as trained."""
        return batch.state

    def loss(self, signals: Signals, batch: Batch) -> Loss:
        """The part's share of the loss to be minimised: sums over its own tokens or responses, over `batch.totals`."""
        raise TypeError(f"{type(self).__name__} does not define `loss`")
