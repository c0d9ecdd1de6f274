"""Batches and policies small enough to check everything on: ragged groups, and a softmax table instead of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..base import ABSENT, EXPERT, POLICY, TEACHER, Algorithm, Batch, Loss, Signals, Totals
from ..step import accumulate_gradient, prepare

MAX_TOKENS = 16  # the response limit that toy batches say they were sampled under


def totals_of(lengths: Tensor, group: Tensor) -> Totals:
    """The divisors of a mini-batch that is the whole rollout."""
    counts = int(lengths.sum()), len(lengths), len(group.unique())
    return Totals(*counts, *counts, max_tokens=MAX_TOKENS)


def ragged_batch(seed: int, groups: int = 4, dtype: torch.dtype = torch.float64) -> tuple[Batch, Signals]:
    """Groups of unequal size and length, one of them all-equal in reward, one response empty; everything is there."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(2, 6, (groups,), generator=generator)
    return _draw(generator, sizes, torch.randint(1, 8, (int(sizes.sum()),), generator=generator), dtype)


def long_batch() -> tuple[Batch, Signals]:
    """Two groups of 16 responses, 2,000 tokens in all, as ragged as the small ones."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 125, (32,), generator=generator)
    return _draw(generator, torch.tensor([16, 16]), lengths, torch.float64, drift=0.02)


def even_batch(group_size: int, groups: int = 4) -> tuple[Batch, Signals]:
    """Groups of one size, no response empty, in float32."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 8, (groups * group_size,), generator=generator)
    return _draw(generator, torch.full((groups,), group_size), lengths, torch.float32, empty=False)


def _draw(
    generator: torch.Generator,
    sizes: Tensor,
    lengths: Tensor,
    dtype: torch.dtype,
    drift: float = 0.3,
    empty: bool = True,
) -> tuple[Batch, Signals]:
    """`drift`: how far the policies are apart, nats a token; `empty`: whether one response is."""
    group = torch.arange(len(sizes)).repeat_interleave(sizes)
    n = len(group)
    if empty:
        lengths[n // 2] = 0
    t = int(lengths.sum())
    reward = torch.rand(n, generator=generator, dtype=dtype).round(decimals=1)
    reward[group == 1] = 0.1
    logp = -torch.rand(t, generator=generator, dtype=dtype) * 2
    noise = [drift * torch.randn(t, generator=generator, dtype=dtype) for _ in range(3)]
    batch = Batch(
        lengths=lengths,
        group=group,
        groups=len(sizes),
        reward=reward,
        correct=reward > 0.5,
        source=torch.randint(0, 3, (n,), generator=generator),
        truncated=torch.zeros(n, dtype=torch.bool),
        totals=totals_of(lengths, group),
        logp_old=logp + noise[0],
        logp_ref=logp + noise[1],
        logp_sampler=logp + noise[0],
        value_old=0.5 * noise[2],
    )
    return batch, Signals(logp=logp, logp_raw=logp + 0.1 * noise[2], entropy=-logp, value=noise[2])


def agreeing_response(seed: int, length: int) -> tuple[Batch, Signals, int]:
    """A ragged batch in which one response, the third one returned, has `length` tokens on which all policies agree.

    Nothing but its length can matter then. Its reward is above that of its group.
    """
    batch, signals = ragged_batch(seed)
    number = batch.responses // 2  # the empty one
    start = int(batch.lengths[:number].sum())

    def insert(x: Tensor) -> Tensor:
        return torch.cat([x[:start], x.new_full((length,), -0.7), x[start:]])

    lengths, reward = batch.lengths.clone(), batch.reward.clone()
    lengths[number], reward[number] = length, 1.0
    tokens: dict[str, Any] = {
        name: insert(getattr(batch, name)) for name in ("logp_old", "logp_ref", "logp_sampler", "value_old")
    }
    batch = Batch(
        lengths, batch.group, batch.groups, reward, totals_of(lengths, batch.group), correct=reward > 0.5,
        source=batch.source, truncated=batch.truncated, **tokens,
    )  # fmt: skip
    return batch, signals.map(insert), number


def with_rewards(batch: Batch, reward: Tensor) -> Batch:
    """The batch with other rewards, and the verdicts that go with them."""
    return replace(batch, reward=reward, correct=reward > 0.5)


def sampled(algorithm: Algorithm, batch: Batch) -> Batch:
    """The batch before anything is scored; demonstrations are there only if they are asked for."""
    changes: dict[str, Any] = dict.fromkeys(("logp_old", "logp_ref", "value_old"), ABSENT)
    changes["state"] = algorithm.initial_state()
    if batch.source is not None:
        demonstrated = (batch.source != POLICY) & bool(algorithm.needs.demonstrations)
        changes["source"] = torch.where(demonstrated, batch.source, POLICY)
        changes["logp_sampler"] = torch.where(demonstrated[batch.response], torch.nan, batch.logp_sampler)
    return replace(batch, **changes)


def prepared(algorithm: Algorithm, batch: Batch) -> Batch:
    """The batch as the trainer hands it to the loss: with the scores that are needed, when they are needed."""
    needs, bare = algorithm.needs, sampled(algorithm, batch)
    asked: dict[str, Any] = {
        "logp_old": batch.logp_old if needs.old else ABSENT,
        "logp_ref": batch.logp_ref if needs.reference else ABSENT,
        "value_old": batch.value_old if needs.value else ABSENT,
    }
    ready = prepare(algorithm, replace(bare, **asked) if needs.scores_first else bare)
    return replace(ready, **asked)


SIGNALS = tuple(f.name for f in fields(Signals))


class TokenModel:
    """A "model" with a parameter for each signal of each token, added to it: the real step then gives ∂loss/∂signal.

    Like the trainer's model it gives the signals that are needed, and no others.
    """

    def __init__(self, algorithm: Algorithm, batch: Batch, signals: Signals) -> None:
        needs = algorithm.needs
        asked = {"logp": True, "logp_raw": needs.raw, "entropy": needs.entropy, "value": needs.value}
        self.batch, self.signals = batch, {name: x for name, x in signals.named().items() if asked[name]}
        self.weight = signals.logp.new_zeros(len(signals.logp), len(SIGNALS)).requires_grad_()

    def __call__(self, rows: Tensor) -> Signals:
        """The signals of responses `rows`."""
        index = self.batch.token_rows(rows)
        weight = dict(zip(SIGNALS, self.weight[index].unbind(1), strict=True))
        return Signals(**{name: x.detach()[index] + weight[name] for name, x in self.signals.items()})


def gradient(
    algorithm: Algorithm, batch: Batch, signals: Signals, cut: list[Tensor] | None = None
) -> tuple[Loss, Tensor]:
    """The step's loss and its derivative (T, S) by each token's signals, in the order of `SIGNALS`, logp first.

    For a prepared batch; in one piece, unless there is a `cut`.
    """
    model = TokenModel(algorithm, batch, signals)
    loss = accumulate_gradient(algorithm, batch, model, cut or [torch.arange(batch.responses)])
    return loss, torch.zeros_like(model.weight) if model.weight.grad is None else model.weight.grad


def step_gradient(algorithm: Algorithm, batch: Batch, signals: Signals) -> Tensor:
    """(T, S) the same from the rewards on, in one piece."""
    return gradient(algorithm, prepared(algorithm, batch), signals)[1]


@dataclass
class Tabular:
    """Independent softmax over `vocabulary` at each (prompt, position): exact, differentiable, no model."""

    logits: Tensor  # (P, L, V), a leaf

    @classmethod
    def uniform(cls, prompts: int, length: int, vocabulary: int) -> Tabular:
        """Every token equally likely."""
        return cls(torch.zeros(prompts, length, vocabulary, dtype=torch.float64, requires_grad=True))

    def logp(self, prompt: Tensor, tokens: Tensor) -> Tensor:
        """Prompt (M,), tokens (M, L) -> (M, L)."""
        return self.logits[prompt].log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1)

    def sample(self, prompt: Tensor, generator: torch.Generator) -> Tensor:
        """Prompt (M,) -> tokens (M, L)."""
        probability = self.logits[prompt].softmax(-1).detach()
        return torch.multinomial(probability.flatten(0, 1), 1, generator=generator).view(len(prompt), -1)


@dataclass(frozen=True)
class Lesson:
    """What a policy can learn: one token of the vocabulary, to be shown at every position, rewarded by its share."""

    prompts: int = 6
    group: int = 8
    length: int = 3
    vocabulary: int = 4
    target: int = 2

    @property
    def start(self) -> float:
        """The target's probability before training."""
        return 1 / self.vocabulary

    def learn(self, algorithm: Algorithm, steps: int = 25, updates: int = 2, learning_rate: float = 0.05) -> float:
        """Train a uniform table (Adam, gradient norm clipped at 1); returns the target's mean probability at the end.

        Experts show the target; teachers show it at half of their tokens.
        """
        policy = Tabular.uniform(self.prompts, self.length, self.vocabulary)
        reference = Tabular.uniform(self.prompts, self.length, self.vocabulary)
        optimizer = torch.optim.Adam([policy.logits], lr=learning_rate)
        generator = torch.Generator().manual_seed(0)
        everyone, state = self._rows(algorithm), algorithm.initial_state()
        for _ in range(steps):
            prompt, source, tokens = self._rollout(algorithm, policy, *everyone, state, generator)
            if not len(prompt):
                continue  # nothing selected
            batch = self._batch(prompt, source, tokens, state)
            old, ref = (p.logp(prompt, tokens).detach().flatten() for p in (policy, reference))
            batch = replace(batch, logp_old=old, logp_ref=ref, logp_sampler=old, value_old=torch.zeros_like(old))
            batch = prepare(algorithm, batch)
            state = dict(algorithm.next_state(batch))

            def signals_of(rows: Tensor, prompt: Tensor = prompt, tokens: Tensor = tokens) -> Signals:
                logp = policy.logp(prompt[rows], tokens[rows]).flatten()
                return Signals(logp=logp, logp_raw=logp, entropy=-logp, value=0 * logp)

            for _ in range(updates):
                optimizer.zero_grad()
                accumulate_gradient(algorithm, batch, signals_of, [torch.arange(batch.responses)])
                torch.nn.utils.clip_grad_norm_([policy.logits], 1.0)
                optimizer.step()
        return policy.logits.softmax(-1)[..., self.target].mean().item()

    def _rollout(
        self,
        algorithm: Algorithm,
        policy: Tabular,
        prompt: Tensor,
        source: Tensor,
        state: Mapping[str, Tensor],
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Prompt, source and tokens of the responses that `select` keeps."""
        tokens = self._tokens(policy, prompt, source, generator)
        if algorithm.needs.rollouts == 0:
            return prompt, source, tokens
        kept = algorithm.select(self._batch(prompt, source, tokens, state))[prompt]
        return prompt[kept], source[kept], tokens[kept]

    def _batch(self, prompt: Tensor, source: Tensor, tokens: Tensor, state: Mapping[str, Tensor]) -> Batch:
        """What was sampled, before anything is scored; right is who shows the target more often than not."""
        reward = (tokens == self.target).double().mean(-1)
        lengths, (present, group) = torch.full((len(prompt),), self.length), prompt.unique(return_inverse=True)
        return Batch(
            lengths, group, len(present), reward, totals_of(lengths, group), correct=reward > 0.5, source=source,
            truncated=torch.zeros(len(prompt), dtype=torch.bool), state=state,
        )  # fmt: skip

    def _rows(self, algorithm: Algorithm) -> tuple[Tensor, Tensor]:
        """The prompt and the source of each response."""
        needs = algorithm.needs
        rollouts = max(0, self.group - needs.demonstrations) if needs.rollouts is None else needs.rollouts
        members = torch.tensor([POLICY] * rollouts + [EXPERT] * needs.experts + [TEACHER] * needs.teachers)
        return torch.arange(self.prompts).repeat_interleave(len(members)), members.repeat(self.prompts)

    def _tokens(self, policy: Tabular, prompt: Tensor, source: Tensor, generator: torch.Generator) -> Tensor:
        tokens = policy.sample(prompt, generator)
        tokens[source == EXPERT] = self.target
        noisy = torch.randint(0, self.vocabulary, tokens.shape, generator=generator)
        noisy[torch.rand(tokens.shape, generator=generator) < 0.5] = self.target
        tokens[source == TEACHER] = noisy[source == TEACHER]
        return tokens
