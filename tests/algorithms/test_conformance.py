"""Every registered algorithm conforms, a stranger's is held to the same, and planted defects are caught by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import pytest
import torch

from algorithms import Algorithm, Batch, Loss, Needs, conformance, ops
from algorithms.card import KL, Card, Clip, Std
from algorithms.cispo import CISPO
from algorithms.conformance import assert_conforms, check
from algorithms.dapo import DAPO
from algorithms.gft import GFT
from algorithms.gift import GIFT
from algorithms.grpo import GRPO
from algorithms.gspo import GSPO
from algorithms.gvpo import GVPO
from algorithms.ops import aggregate, group_center, group_size, group_std, group_sum, per_token, sequence_sum
from algorithms.rloo import RLOO

README = Path(__file__).parents[2] / "README.md"


def failed(algorithm):
    return {finding.check: finding.detail for finding in check(algorithm) if finding.verdict == "failed"}


def test_conforms(lab, algorithm_name):
    findings = list(check(lab.build(algorithm_name)))
    assert [f.check for f in findings] == list(conformance.CHECKS)
    assert not [f for f in findings if f.verdict == "failed"]
    (golden,) = [f for f in findings if f.check == "golden vectors"]
    assert golden.verdict == "passed"  # known for all of ours


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("grpo@trl", {"beta": 0.04}), ("grpo@verl", {"beta": 0.04, "kl_max": 0.01}),  # low enough to act on the batch
        ("reinforce++", {"beta": 0.1}), ("reinforce++@baseline", {"beta": 0.1}), ("una", {"beta": 1.0}),
        ("dapo", {"clip_low": 0.1, "clip_high": 0.14}), ("gspo", {"clip_low": 0.003, "clip_high": 0.004}),
        ("gift", {"epsilon": 0.00316}), ("gft", {"tau": 0.583}), ("gspo", {"aggregation": "token"}),
    ],
)  # fmt: skip
def test_other_settings_conform(lab, name, own):
    """What is off by default, and the quickstart's own."""
    assert_conforms(lab.build(name, **own))


# --- planted defects: what is wrong, and the check that must say so ---


class OwnSize(DAPO):
    """A divisor by the part's own size."""

    def loss(self, signals, batch):
        return scaled(super().loss(signals, batch), batch.totals.tokens / max(1, batch.tokens))


class OwnResponses(GRPO):
    """The same, over responses."""

    def loss(self, signals, batch):
        return scaled(super().loss(signals, batch), batch.totals.responses / batch.responses)


class MeanOfRanks(GRPO):
    """The habit of averaging over data-parallel ranks, here one a group."""

    def loss(self, signals, batch):
        return scaled(super().loss(signals, batch), batch.groups / batch.totals.groups)


class Flipped(GRPO):
    """A sign flip."""

    def loss(self, signals, batch):
        return scaled(super().loss(signals, batch), -1)


class FlippedReward(RLOO):
    """A sign flip further up: what is worse than the others is made more likely."""

    def advantages(self, batch):
        return -super().advantages(batch)


class EmptyDividesByZero(GRPO):
    """A forgotten empty response: the mean over its tokens is 0/0."""

    def loss(self, signals, batch):
        ratio = (signals.logp - batch.logp_old).exp() * batch.token_advantage
        return Loss(-(sequence_sum(ratio, batch) / batch.lengths).sum() / batch.totals.responses)


class EmptyLeftOut(RLOO):
    """A forgotten empty response: its reward is missing from the statistics of its group."""

    def advantages(self, batch):
        there = (batch.lengths > 0).to(batch.reward)
        mean = group_sum(batch.reward * there, batch) / group_sum(there, batch).clamp(min=1)
        return batch.reward - mean[batch.group]


class OneTooFew(RLOO):
    """A baseline off by one: the sum of all members over n - 1."""

    def advantages(self, batch):
        return batch.reward - (group_sum(batch.reward, batch) / (group_size(batch) - 1).clamp(min=1))[batch.group]


class OneTooMany(RLOO):
    """A baseline off by one: the sum of the others over n."""

    def advantages(self, batch):
        others = group_sum(batch.reward, batch)[batch.group] - batch.reward
        return batch.reward - others / group_size(batch)[batch.group]


class LastLeftOut(RLOO):
    """A baseline off by one: the last member of each group is not counted."""

    def advantages(self, batch):
        last = torch.cat([batch.group[1:] != batch.group[:-1], torch.tensor([True])])
        kept = (~last).to(batch.reward)
        return batch.reward - (group_sum(batch.reward * kept, batch) / group_sum(kept, batch).clamp(min=1))[batch.group]


class AcrossGroups(GRPO):
    """Statistics computed across groups."""

    def advantages(self, batch):
        return (batch.reward - batch.reward.mean()) / (batch.reward.std() + 1e-6)


class StdAcrossGroups(GRPO):
    """One standard deviation for all groups."""

    def advantages(self, batch):
        return group_center(batch.reward, batch) / (batch.reward.std() + 1e-6)


class SplitGroup(GIFT):
    """A group split across micro-batches: the loss is told to be computable on single responses."""

    couples = "response"


class SplitGroupMean(GVPO):
    """The same, where only a mean is taken."""

    couples = "response"


class PopulationStd(GRPO):
    """ddof 0 where the card says 1."""

    def advantages(self, batch):
        size = group_size(batch)
        std = group_std(batch.reward, batch) * ((size - 1) / size).sqrt()
        return group_center(batch.reward, batch) / (std + 1e-6)[batch.group]


class SwappedClip(DAPO):
    """Clip-lower: the two bounds have changed places."""

    def loss(self, signals, batch):
        swapped = replace(self, clip_low=self.clip_high, clip_high=self.clip_low)
        return DAPO.loss(swapped, signals, batch)


class ForgottenDualClip(DAPO):
    """The card says 10, and nothing is cut there."""

    def loss(self, signals, batch):
        return DAPO.loss(replace(self, dual_clip=None), signals, batch)


class UnclippedWeight(CISPO):
    """The weight's bound is the distance from 1 instead of the weight."""

    def loss(self, signals, batch):
        return CISPO.loss(replace(self, weight_max=self.weight_max - 1), signals, batch)


class TokenSum(GSPO):
    """Each response weighs by its length."""

    def loss(self, signals, batch):
        return GSPO.loss(replace(self, aggregation="response-sum"), signals, batch)


class WrongKL(GRPO):
    """k1 in the loss, whose expected gradient is zero, where the card says k3."""

    def loss(self, signals, batch):
        plain = GRPO.loss(replace(self, beta=0.0), signals, batch)
        kl = aggregate(signals.logp - batch.logp_ref, batch, "response")
        return Loss(plain.value + self.beta * kl)


class SwallowsNaN(RLOO):
    """A reward that is not a number counts as 0."""

    def shape_rewards(self, batch):
        return batch.reward.nan_to_num()


class EqualGroupsTeach(GRPO):
    """The z-score of equal rewards is what rounding leaves of their mean, over epsilon."""

    def advantages(self, batch):
        mean = (group_sum(batch.reward, batch) / group_size(batch))[batch.group]
        return (batch.reward - mean) / (group_std(batch.reward, batch)[batch.group] + 1e-6)


class Remembers(GRPO):
    """Keeps a count where no checkpoint sees it."""

    def advantages(self, batch):
        object.__setattr__(self, "calls", getattr(self, "calls", 0) + 1)
        return super().advantages(batch)


class Unbounded(GRPO):
    """Exponentiates a sum of hundreds of nats in float32."""

    def loss(self, signals, batch):
        far = (signals.logp * 100).exp() * (-signals.logp.detach() * 100).exp()
        return Loss(-aggregate(far * batch.token_advantage, batch, "token"))


class LeavesOutTheReference(GRPO):
    """Reads logp_ref without asking for it."""

    @property
    def needs(self):
        return Needs(old=True)


class ScoresTooLate(RLOO):
    """A KL in the reward, and scores only after it."""

    @property
    def needs(self):
        return replace(super().needs, scores_first=False)


class RawNotAskedFor(GFT):
    """Reads logp_raw, and would get nothing."""

    @property
    def needs(self):
        return replace(super().needs, raw=False)


class SelectsByScores(GRPO):
    """Selection comes before anything is scored."""

    def select(self, batch):
        return group_sum(sequence_sum(batch.logp_old, batch), batch) < 0


class Misspelled(GRPO):
    """`advantages` without its s: another algorithm would be trained."""

    def advantage(self, batch):
        return batch.reward


class ForgottenDecorator(GRPO):
    """The annotation changes nothing: β is still 0.04."""

    beta: float = 0.0


class NoDivisor(Algorithm):
    """A sum instead of a mean."""

    def loss(self, signals, batch):
        return Loss(-(batch.token_advantage * signals.logp).sum())


class RolloutDivisor(Algorithm):
    """Divides by the rollout, at each of its updates."""

    def loss(self, signals, batch):
        return Loss(-(batch.token_advantage * signals.logp).sum() / batch.totals.rollout_tokens)


class OldOfTheNext(GRPO):
    """The old log-probability of the next token of the response."""

    def loss(self, signals, batch):
        same = torch.cat([batch.response[1:] == batch.response[:-1], torch.tensor([False])])
        shifted = torch.where(same, batch.logp_old.roll(-1), batch.logp_old)
        return super().loss(signals, replace(batch, logp_old=shifted))


class LastTokenLost(DAPO):
    """The end-of-sequence token has no gradient."""

    def loss(self, signals, batch):
        ends = batch.lengths.cumsum(0)[batch.lengths > 1] - 1
        logp = signals.logp.index_copy(0, ends, signals.logp.detach()[ends])
        return super().loss(replace(signals, logp=logp), batch)


class RatioForgotten(DAPO):
    """Only the mask of the clip is left of the ratio."""

    power = 0

    def loss(self, signals, batch):
        ratio, a = (signals.logp - batch.logp_old).exp().detach(), batch.token_advantage
        cut = torch.where(a > 0, ratio > 1 + self.clip_high, (ratio < 1 - self.clip_low) | (ratio > 10))
        return Loss(-aggregate(ratio**self.power * a * signals.logp * ~cut, batch, "token"))


class RatioSquared(RatioForgotten):
    """The ratio of a ratio."""

    power = 2


class WorseIsGoodToo(Algorithm):
    """What is below the mean is reinforced a little."""

    def loss(self, signals, batch):
        a = batch.token_advantage
        return Loss(-aggregate(torch.where(a < 0, -0.3 * a, a) * signals.logp, batch, "token"))


class LargeGroupsTurned(GRPO):
    """Right for the groups of a test, and the wrong way round for those of a run."""

    def advantages(self, batch):
        a = super().advantages(batch)
        return torch.where(group_size(batch)[batch.group] > 8, -a, a)


class OwnSamplesForgotten(GFT):
    """Only demonstrations have a gradient."""

    def loss(self, signals, batch):
        shown = per_token(batch.source != 0, batch)
        return super().loss(replace(signals, logp=torch.where(shown, signals.logp, signals.logp.detach())), batch)


class SelectsNothing(GRPO):
    """Waits for a group that never comes."""

    def select(self, batch):
        return torch.zeros(batch.groups, dtype=torch.bool)


class SelectsBackwards(DAPO):
    """Keeps what dynamic sampling throws away."""

    def select(self, batch):
        return ~super().select(batch)


class SelectsAcross(GRPO):
    """Keeps the groups above the batch's mean."""

    def select(self, batch):
        return group_sum(batch.reward, batch) / group_size(batch) >= batch.reward.mean()


class ShapesAcross(GRPO):
    """A reward less the batch's mean."""

    def shape_rewards(self, batch):
        return batch.reward - batch.reward.mean()


class ChangesTheBatch(GRPO):
    """Clamps in place."""

    def shape_rewards(self, batch):
        return batch.reward.clamp_(min=0.5)


class DrawsARandomNumber(GRPO):
    """Dropout of its own."""

    def loss(self, signals, batch):
        return scaled(super().loss(signals, batch), 1 + 1e-9 * torch.rand(()).item())


class StopsEarly(GRPO):
    """PPO's early stop, on the part's own KL."""

    def loss(self, signals, batch):
        far = batch.tokens and (batch.logp_old - signals.logp.detach()).abs().mean() > 1.0
        return scaled(super().loss(signals, batch), 0.0 if far else 1.0)


class WrongKLInReward(RLOO):
    """Sevenfold, with the sign turned."""

    def shape_rewards(self, batch):
        return batch.reward + 7 * self.beta * sequence_sum(batch.logp_old - batch.logp_ref, batch)


class SequenceProbability(Algorithm):
    """exp(Σ log π) is 0 for a long response."""

    def loss(self, signals, batch):
        return Loss(-(batch.advantage * sequence_sum(signals.logp, batch).exp()).sum() / batch.totals.responses)


class TruncatedTurned(GRPO):
    """A response that was cut off is trained the other way round."""

    def loss(self, signals, batch):
        return super().loss(signals, replace(batch, advantage=torch.where(batch.truncated, -1, 1) * batch.advantage))


class SecondUpdateOnly(GRPO):
    """Takes the ratio for granted where there are no old scores yet."""

    def loss(self, signals, batch):
        first = torch.equal(batch.logp_old, signals.logp.detach())
        return scaled(super().loss(signals, batch), 2.0 if first and batch.responses == 1 else 1.0)


class LoneMemberDivides(RLOO):
    """0/0 in a group of one."""

    def advantages(self, batch):
        others = group_sum(batch.reward, batch)[batch.group] - batch.reward
        return batch.reward - others / (group_size(batch) - 1)[batch.group]


def scaled(loss: Loss, factor: float) -> Loss:
    return Loss(loss.value * factor, loss.metrics)


MUTANTS = [
    (OwnSize, "micro-batches"), (OwnSize, "ranks"), (OwnResponses, "micro-batches"), (MeanOfRanks, "micro-batches"),
    (MeanOfRanks, "ranks"), (Flipped, "learns"), (FlippedReward, "learns"),
    (EmptyDividesByZero, "empty response"), (EmptyDividesByZero, "numbers"), (EmptyLeftOut, "empty response"),
    (OneTooFew, "baseline"), (OneTooMany, "baseline"), (LastLeftOut, "row order"), (LastLeftOut, "card"),
    (AcrossGroups, "groups apart"), (StdAcrossGroups, "groups apart"),
    (SplitGroup, "micro-batches"), (SplitGroupMean, "micro-batches"),
    (PopulationStd, "card"), (SwappedClip, "card"), (ForgottenDualClip, "card"), (UnclippedWeight, "card"),
    (WrongKL, "card"), (SwallowsNaN, "NaN reward"), (EqualGroupsTeach, "equal rewards"), (Remembers, "interface"),
    (Unbounded, "float32"), (TokenSum, "card"), (LeavesOutTheReference, "needs"),
    (partial(ScoresTooLate, 0.1), "needs"), (RawNotAskedFor, "needs"), (SelectsByScores, "needs"),
    (Misspelled, "declaration"),
    (ForgottenDecorator, "declaration"), (NoDivisor, "totals"), (RolloutDivisor, "totals"),
    (OldOfTheNext, "token order"), (LastTokenLost, "token order"), (RatioForgotten, "card"), (RatioSquared, "card"),
    (WorseIsGoodToo, "direction"), (LargeGroupsTurned, "direction"), (OwnSamplesForgotten, "direction"),
    (SelectsNothing, "learns"), (SelectsBackwards, "scope"), (SelectsAcross, "scope"), (ShapesAcross, "scope"),
    (ChangesTheBatch, "purity"), (DrawsARandomNumber, "purity"), (StopsEarly, "micro-batches"),
    (partial(WrongKLInReward, 0.1), "card"), (SequenceProbability, "direction"), (TruncatedTurned, "unterminated"),
    (SecondUpdateOnly, "first update"), (LoneMemberDivides, "single member"),
]  # fmt: skip


@pytest.mark.parametrize(("mutant", "by"), MUTANTS, ids=lambda x: getattr(getattr(x, "func", x), "__name__", x))
def test_a_planted_defect_is_caught_by_name(mutant, by):
    found = failed(mutant())
    assert by in found, found
    assert found[by]


def test_every_check_has_a_defect_that_only_care_would_find():
    """Golden vectors belong to our own presets: a mutant is another class, and has none."""
    assert {by for _, by in MUTANTS} == set(conformance.CHECKS) - {"golden vectors"}


def test_golden_vectors_are_compared(lab, monkeypatch):
    value, gradient = conformance.GOLDEN["rloo"]
    for wrong in ((value + 1e-5, gradient), (value, [*gradient[:-1], gradient[-1] + 1e-5])):
        monkeypatch.setitem(conformance.GOLDEN, "rloo", wrong)
        assert "golden vectors" in failed(lab.build("rloo"))


# --- a stranger's algorithm ---


def readme_example():
    source = re.search(r"```python\n(# mine.py\n.*?)```", README.read_text(), re.DOTALL)[1]
    space: dict = {"__name__": "mine"}
    exec(source.replace('@register("opo")\n', ""), space)
    return space["OPO"]()


def test_the_readmes_algorithm_conforms_in_one_line():
    assert_conforms(readme_example())


@dataclass(frozen=True)
class BatchBaseline(Algorithm):
    """A stranger's algorithm that is relative to the whole batch, and says so."""

    @property
    def card(self) -> Card:
        return Card(baseline="batch mean", std=Std("batch tokens"), aggregation="response-sum", clip="none")

    def advantages(self, batch: Batch):
        weights = batch.lengths.to(batch.reward)
        mean = (weights * batch.reward).sum() / weights.sum()
        variance = (weights * (batch.reward - mean) ** 2).sum() / (weights.sum() - 1)
        return (batch.reward - mean) / (variance.sqrt() + 1e-6)

    def loss(self, signals, batch):
        return Loss(-(batch.advantage * sequence_sum(signals.logp, batch)).sum() / batch.totals.responses)


def test_a_card_makes_the_difference_between_meant_and_wrong():
    assert "groups apart" not in failed(BatchBaseline())

    class Silent(BatchBaseline):
        card = Algorithm.card

    found = failed(Silent())
    assert 'if that is meant, its `card` must say so, e.g. Card(baseline="batch mean")' in found["groups apart"]


def test_a_card_that_boasts_is_found_out():
    class Boasts(GRPO):
        @property
        def card(self):
            return replace(super().card, clip=Clip(0.8, 1.28))

    class Denies(GRPO):
        @property
        def card(self):
            return replace(super().card, aggregation="token")

    class Uncapped(GRPO):
        @property
        def card(self):
            return replace(super().card, kl=KL(self.beta, "k3", "loss", most=0.01))

    class Plain(GRPO):
        @property
        def card(self):
            return replace(super().card, kl=KL(self.beta, "ρ·k3", "loss"))

    for liar in (Uncapped(), Plain()):
        assert "what the reference adds to the gradient" in failed(liar)["card"]
    assert "not the ratio times the gradient at 1, cut by token ratio in [0.8, 1.28]" in failed(Boasts())["card"]
    assert "Batch.totals.tokens doubled" in failed(Denies())["card"]


def test_an_error_is_a_failure_of_the_check_in_which_it_was_raised():
    class Broken(GRPO):
        def select(self, batch):
            raise RuntimeError("no such group")

    (said,) = failed(Broken()).values()
    assert re.fullmatch(r"it raised RuntimeError: no such group \(.*test_conformance.py, line \d+\)", said)
    with pytest.raises(AssertionError, match=r"Broken does not conform:\nneeds: it raised RuntimeError"):
        assert_conforms(Broken())


def test_what_is_coupled_is_a_word_of_the_interface():
    class Coupled(GRPO):
        couples = "groups"

    assert failed(Coupled()) == {"declaration": "couples = 'groups'; allowed: 'response', 'group', 'batch'"}


def test_a_loss_that_returns_a_tensor_is_told_once():
    class Plain(GRPO):
        def loss(self, signals, batch):
            return super().loss(signals, batch).value

    assert failed(Plain()) == {"interface": "loss returned Tensor, expected Loss(value, metrics)"}
    (needs,) = [finding for finding in check(Plain()) if finding.check == "needs"]
    assert needs.verdict == "not applicable"


def test_what_is_read_and_not_asked_for_is_told_once_with_its_place():
    class Reads(RLOO):
        def loss(self, signals, batch):
            return super().loss(replace(signals, logp=signals.logp - 0 * batch.logp_ref), batch)

    (said,) = failed(Reads()).items()
    assert said[0] == "needs" and "so its `needs` leave one out" in said[1]
    assert re.search(r"test_conformance.py, line \d+\); with all scores", said[1])


def test_nothing_to_train_on_is_no_conformance():
    class Nothing(Algorithm):
        pass

    found = failed(dataclass(frozen=True)(Nothing)())
    assert found == {"declaration": "it defines no loss"}


@dataclass(frozen=True)
class LitePPO(GRPO):
    """Lite PPO (arXiv 2508.08221): the group's mean, the batch's standard deviation."""

    beta: float = 0.0
    aggregation: ops.Aggregation = "token"

    @property
    def card(self) -> Card:
        return replace(super().card, std=Std("batch"))

    def advantages(self, batch):
        return group_center(batch.reward, batch) / (batch.reward.std() + 1e-6)


class TokenAdvantages(Algorithm):
    """Later tokens count more."""

    def advantages(self, batch):
        place = torch.arange(batch.tokens) - (batch.lengths.cumsum(0) - batch.lengths)[batch.response]
        return ops.group_zscore(batch.reward, batch)[batch.response] * (place + 1)

    def loss(self, signals, batch):
        return Loss(-aggregate(batch.token_advantage * signals.logp, batch, "token"))


class OverlongFilter(DAPO):
    """Responses that were cut off are masked."""

    def loss(self, signals, batch):
        return super().loss(signals, replace(batch, advantage=torch.where(batch.truncated, 0.0, batch.advantage)))


class EntropyBonus(GRPO):
    """A signal of its own, and no advantage."""

    @property
    def needs(self):
        return replace(super().needs, entropy=True)

    @property
    def card(self):
        return replace(super().card, aggregation=None)  # two of them

    def loss(self, signals, batch):
        loss = super().loss(signals, batch)
        return Loss(loss.value - 0.01 * aggregate(signals.entropy, batch, "token"), loss.metrics)


class CachedAndNarrow(RLOO):
    """Computes in float32, and keeps a constant for later."""

    @cached_property
    def one(self):
        return torch.ones(())

    def advantages(self, batch):
        return super().advantages(replace(batch, reward=batch.reward.float())) * self.one


@dataclass(frozen=True)
class RunningBaseline(Algorithm):
    """A number from rollout to rollout, read where the interface gives it: everywhere."""

    rate: float = 0.1

    @property
    def card(self) -> Card:
        return Card(baseline="none", aggregation="response-sum", clip="none", kl="none")

    def initial_state(self):
        return {"mean": torch.tensor(0.0)}

    def next_state(self, batch):
        return {"mean": batch.state["mean"] + self.rate * (batch.reward.mean() - batch.state["mean"])}

    def select(self, batch):
        return torch.full((batch.groups,), bool(batch.state["mean"] < 2))

    def advantages(self, batch):
        return batch.reward - batch.state["mean"].to(batch.reward)

    def loss(self, signals, batch):
        return Loss(-aggregate(batch.token_advantage * signals.logp, batch, "response-sum"))


@pytest.mark.parametrize(
    "algorithm",
    [
        LitePPO(), TokenAdvantages(), OverlongFilter(), EntropyBonus(beta=0.0), CachedAndNarrow(), RunningBaseline(),
        RLOO(beta=1.0), DAPO(overlong_max=8, overlong_cache=4), BatchBaseline(),
    ],
    ids=lambda a: type(a).__name__,
)  # fmt: skip
def test_what_is_unusual_and_right_conforms(algorithm):
    if not hasattr(type(algorithm), "__dataclass_params__"):
        algorithm = dataclass(frozen=True)(type(algorithm))()
    assert_conforms(algorithm)
