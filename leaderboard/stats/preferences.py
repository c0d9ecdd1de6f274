"""What a reward model's differences say on labelled pairs: right or wrong, how sure, and how far by length alone.

d (N,) are r_chosen − r_rejected, in nats where the model was fitted by Bradley and Terry: P(chosen wins) = σ(d). Pairs
of one label in `clusters` (N,), a prompt say, count as drawn together in every interval; all of them are of 95 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .intervals import AGREEMENT, of_shares, over_items
from .quantiles import falling_root, t_quantile
from .valid import Array, finite

LN2 = math.log(2)  # the log-loss of a model that says nothing
BINS, LEAST = 10, 20  # of a reliability table at most, and pairs a bin at least
PRIOR_SD = 10.0  # of the regression's coefficients: keeps them finite where the data would not


@dataclass(frozen=True)
class Rate:
    """A mean with its 95 % interval, over n pairs; no interval where nothing is known of the error."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        ends = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.mean:.3f}{ends}"


@dataclass(frozen=True)
class Bin:
    """Pairs of about equal confidence σ(|d|), on average `confidence`, and how often the favourite is the chosen."""

    confidence: float
    accuracy: Rate


@dataclass(frozen=True)
class Calibration:
    """`ece`: Σ n_b/N |accuracy_b − confidence_b| over bins of equal mass (Guo et al., arXiv 1706.04599).

    `temperature`: the T > 0 that makes the log-loss of d/T least: above 1, the model is too sure; inf, where it had
    better say nothing; 0, where it is right on every pair. `calibrated_loss`: the log-loss with it.
    """

    ece: float
    bins: tuple[Bin, ...]
    temperature: float
    calibrated_loss: float


@dataclass(frozen=True)
class LengthBias:
    """What length has to do with it. δ is the difference of two answers' lengths over its root mean square.

    `longer` and `shorter`: accuracy where the chosen answer is the longer, or the shorter one; None without such pairs.
    `baseline`: accuracy of "the longer one wins", ties count ½; `gain`: the accuracy minus that, paired.
    `model` and `labels`: β of P(first of two preferred) = σ(β δ), for the model's preferences and for the labels: the
    log-odds of a typical difference in length. `given_label` and `equal_length`: β and σ(γ) of P(the model prefers the
    chosen) = σ(β δ + γ), δ that of the chosen over the rejected: what length adds once the label is known, and the
    accuracy on two answers of one length. A model of no length bias beyond its labels has β = 0 in `given_label`.
    """

    longer: Rate | None
    shorter: Rate | None
    baseline: Rate
    gain: Rate
    model: Rate
    labels: Rate
    given_label: Rate
    equal_length: Rate


@dataclass(frozen=True)
class PreferenceReport:
    """One model on one set of labelled pairs. Ties of the model count ½ in `accuracy`."""

    pairs: int
    clusters: int
    accuracy: Rate
    log_loss: Rate
    calibration: Calibration
    length: LengthBias


def preferences(
    differences: ArrayLike, chosen_lengths: ArrayLike, rejected_lengths: ArrayLike, clusters: ArrayLike
) -> PreferenceReport:
    """All of the report; every argument is (N,), lengths in any one unit. ValueError for a value that is not finite."""
    d, labels = finite(differences, "differences", "(N,)"), np.asarray(clusters)
    delta = finite(chosen_lengths, "chosen_lengths", "(N,)") - finite(rejected_lengths, "rejected_lengths", "(N,)")
    return PreferenceReport(
        len(d), len(np.unique(labels)), share_right(d, labels), _mean(np.logaddexp(0, -d), labels),
        calibration(d, labels), length_bias(d, delta, labels),
    )  # fmt: skip


def share_right(d: Array, clusters: ArrayLike) -> Rate:
    """The share of d > 0, ties ½, with `of_shares`' interval."""
    return _share(_won(d), np.asarray(clusters))


def calibration(d: Array, clusters: ArrayLike) -> Calibration:
    """See `Calibration`. Bins of equal mass, of `LEAST` pairs at least."""
    labels, right = np.asarray(clusters), _won(d)
    sure = 1 / (1 + np.exp(-np.abs(d)))
    order = np.argsort(sure, kind="stable")
    bins = []
    for part in np.array_split(order, max(1, min(BINS, len(d) // LEAST))):
        bins.append(Bin(float(sure[part].mean()), _share(right[part], labels[part])))
    ece = sum(one.accuracy.n * abs(one.accuracy.mean - one.confidence) for one in bins) / len(d)
    cold = temperature(d)
    scaled = np.where(d > 0, np.inf, d) if cold == 0 else d / cold
    return Calibration(ece, tuple(bins), cold, float(np.logaddexp(0, -scaled).mean()))


def temperature(d: Array) -> float:
    """The T of `Calibration`: with β = 1/T, the root of the falling mean(d σ(−βd)); the log-loss is convex in β."""
    if d.mean() <= 0:
        return math.inf
    if d.min() >= 0:
        return 0.0
    unit = float(np.abs(d).mean())
    scaled = d / unit

    def slope(beta: float) -> float:
        return float(np.mean(scaled / (1 + np.exp(np.clip(beta * scaled, -500, 500)))))

    high = 1.0
    while slope(high) > 0:
        high *= 2
    return unit / falling_root(slope, 0.0, high)


def length_bias(d: Array, delta: Array, clusters: ArrayLike) -> LengthBias:
    """See `LengthBias`; delta (N,) is length of the chosen minus length of the rejected answer."""
    labels, right, longer = np.asarray(clusters), _won(d), _won(delta)
    spread = math.sqrt(float(np.mean(delta**2))) or 1.0
    z = delta / spread

    def where(mask: NDArray[np.bool_]) -> Rate | None:
        return _share(right[mask], labels[mask]) if mask.any() else None

    ones = np.ones_like(z)
    given, equal = _logistic(np.stack([z, ones], axis=1), right, labels)
    expit = [1 / (1 + math.exp(-x)) if x is not None else None for x in (equal.mean, equal.low, equal.high)]
    return LengthBias(
        where(delta > 0), where(delta < 0), _share(longer, labels), _mean(right - longer, labels),
        model=_logistic(z[:, None], right, labels)[0],
        labels=_logistic(z[:, None], ones, labels)[0],
        given_label=given,
        equal_length=Rate(expit[0] or 0.0, expit[1], expit[2], len(d)),
    )  # fmt: skip


def _won(d: Array) -> Array:
    return np.where(np.abs(d) < AGREEMENT, 0.5, d > 0)


def _share(values: Array, clusters: Array) -> Rate:
    return Rate(float(values.mean()), *of_shares(values, clusters), len(values))


def _mean(values: Array, clusters: Array) -> Rate:
    estimate = over_items(values, clusters)
    return Rate(estimate.mean, estimate.low, estimate.high, len(values))


def _logistic(x: Array, y: Array, clusters: Array) -> list[Rate]:
    """Coefficients of a logistic regression of y (N,) in [0, 1] on x (N, K), with errors that clusters may share.

    Newton's steps on the log-likelihood with a normal prior of sd PRIOR_SD; the sandwich H⁻¹ (Σ_c s_c s_cᵀ) H⁻¹ with
    C/(C−1), t with C − 1 degrees of freedom (K.-Y. Liang and S. L. Zeger, Biometrika 73, 1986).
    """
    w, prior = np.zeros(x.shape[1]), np.eye(x.shape[1]) / PRIOR_SD**2
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -500, 500)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + prior
        step = np.linalg.solve(hessian, x.T @ (y - p) - prior @ w)
        size = min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))  # the likelihood is flat far out
        w = w + size * step
        if float(np.abs(step).max()) < 1e-10:
            break
    p = 1 / (1 + np.exp(-np.clip(x @ w, -500, 500)))
    inverse = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x + prior)
    _, member = np.unique(clusters, return_inverse=True)
    groups = int(member.max()) + 1
    if groups < 2:
        return [Rate(float(value), None, None, len(y)) for value in w]
    scores = np.zeros((groups, x.shape[1]))
    np.add.at(scores, member, x * (y - p)[:, None])
    variance = inverse @ (scores.T @ scores) @ inverse * groups / (groups - 1)
    half = t_quantile(groups - 1, 0.975) * np.sqrt(np.diag(variance))
    return [Rate(float(m), float(m - h), float(m + h), len(y)) for m, h in zip(w, half, strict=True)]
