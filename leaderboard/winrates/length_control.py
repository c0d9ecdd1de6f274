"""The length-controlled win rate, AlpacaEval's and a plain one, deterministic, with the error of its estimate.

For a candidate against a baseline, on instructions i of difficulty γ_i, with w_i the judge's preference for the
candidate and δ_i the baseline's characters minus the candidate's,

    x_i = tanh(δ_i / sd(δ)),     P(candidate wins | i) = σ(a·x_i + b·γ_i + c),     LC = mean_i σ(b·γ_i + c)

(a, b, c) minimise |a| + |b| + |c| + C·Σ (weighted log-loss), over the candidate's rows (weight 1) and, without c, those
of two baselines that were made longer and shorter on purpose (weight λ/2 each; `SideFile`). C is the one of 2.78, 21.5,
167, 1292 and 10⁴ of the least log-loss over five folds. Source: Dubois et al., arXiv 2404.04475; alpaca_eval 0.6.6,
metrics/glm_winrate.py, which fits the same by liblinear. Here the convex problem is solved to rounding by Newton's
method, and what depends there on the order of rows (the join of γ, the folds) depends on the instruction's index, so
shuffled rows give the same bits. Without the penalty (C = ∞) published numbers are met to 0.10 pp, with it to 0.01
wherever C is the published one (2.78 or 21.5, in all of them): the penalty is kept. Upstream's five values below 1 are
not: with few instructions the folds choose one at which all coefficients are 0, which is ½ without any error.

The published standard error is that of the fitted probabilities over instructions, 2 to 6 times too small. Here
instructions are drawn anew, and the fit, sd(δ) included, is made again for each draw; C stays.

Other tasks have neither difficulties nor gamed answers: there it is *plain*, the same fit to the candidate's own rows
with γ = 0, P(candidate wins | i) = σ(a·x_i + c) and LC = σ(c). Where no length differs that is the win rate, but for
the penalty, which takes at most 1/(C·n) off its distance from ½. Without gamed rows the candidate's own must tell
length from quality: at equal lengths the win rate is read off the curve only where lengths lie on either side of it,
`AROUND` of them. Beyond that the estimate's error is a multiple, and the penalty draws it back to the win rate
(`benchmarks/plain_length_control.py`). `control` says which of the two a judging has; AlpacaEval is never given the
plain one, nor is Arena-Hard, whose style control is another.

Nothing is special about a candidate that always wins or never does: the penalty keeps c finite, so LC is a number near
1 or 0, and no error is raised. One that always ties with answers of the baseline's lengths is the baseline: ½, as
upstream has it by construction. Where no length differs x is 0; where all differ by the same, x is its sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from ..stats import generator
from ..stats.valid import Array, finite
from ..verdicts import Judged
from .pairs import read_pairs
from .regression import Problem, sigmoid, solve
from .side_file import SideFile

GRID = np.logspace(-4, 4, 10)[5:]
OF_PLAIN = GRID[:2]  # the two that published numbers have; above, a draw that lengths part perfectly has no end
FOLDS, DRAWS, CHUNK = 5, 1000, 250
FEWEST = 2 * FOLDS  # judged pairs that a plain control takes: each fold leaves out two
AROUND = 0.1  # share of them in which the candidate is no longer than the baseline, and in which it is no shorter
ALPACA, ARENA = "alpaca_eval", "arena_hard"
PLAIN = SideFile(*np.zeros((4, 0)))


@dataclass(frozen=True, eq=False)
class Rows:
    """What length control needs of each pair, in the order of the instructions' indices."""

    share: Array  # (N,) the candidate's, NaN where there is no verdict: left out of the fit, and predicted
    delta: Array  # (N,) characters of the baseline's answer minus the candidate's
    difficulty: Array  # (N,)
    index: np.ndarray  # (N,) of the instruction

    @property
    def judged(self) -> int:
        """Rows that have a verdict."""
        return int(np.isfinite(self.share).sum())

    @property
    def baseline(self) -> bool:
        """Whether this can only be the baseline itself: nothing but ties, and no length that differs."""
        return bool((self.share == 0.5).all() and (self.delta == 0).all())


@dataclass(frozen=True)
class Fit:
    """A length-controlled win rate, in [0, 1]."""

    win_rate: float
    length: float  # a
    difficulty: float  # b
    constant: float  # c
    strength: float  # C
    n: int  # instructions that it is the mean of


@dataclass(frozen=True)
class Interval:
    """Percentiles of a bootstrap over instructions."""

    low: float  # 2.5 %
    high: float  # 97.5 %
    se: float


@dataclass(frozen=True)
class Difference(Interval):
    """Of two win rates on the same instructions, each refitted in each draw."""

    value: float
    p: float  # two-sided, of no difference: twice the smaller share of draws beyond it, with 1 added to each count


def rows(share: ArrayLike, candidate_chars: ArrayLike, baseline_chars: ArrayLike, difficulty: ArrayLike,
         index: ArrayLike) -> Rows:  # fmt: skip
    """Rows from arrays (N,), in any order. ValueError where they do not fit, an index is twice, or none is judged."""
    shares, order = np.asarray(share, dtype=np.float64), np.argsort(np.asarray(index), kind="stable")
    delta = finite(baseline_chars, "baseline_chars", "(N,)") - finite(candidate_chars, "candidate_chars", "(N,)")
    gamma, indices = finite(difficulty, "difficulty", "(N,)"), np.asarray(index)[order]
    if len({shares.shape, delta.shape, gamma.shape, indices.shape}) > 1:
        raise ValueError(f"one value a row each, not {shares.shape}, {delta.shape}, {gamma.shape}, {indices.shape}")
    if (np.diff(indices) == 0).any():
        raise ValueError(f"index {indices[:-1][np.diff(indices) == 0][0]} stands twice; expected each once")
    known = shares[np.isfinite(shares)]
    if not known.size or known.min() < 0 or known.max() > 1:
        raise ValueError("shares must lie in [0, 1], at least one of them, or be NaN")
    return Rows(shares[order], delta[order], gamma[order], indices)


def of_judged(judged: Judged) -> Rows | None:
    """Rows of recorded verdicts, indexed by the record's order; None where a pair has no difficulty or none is read."""
    pairs = judged.pairs
    if not pairs or any(pair.difficulty is None for pair in pairs):
        return None
    found = read_pairs(judged)
    place = {name: n for n, name in enumerate(found.ids)}
    index = [place[pair.id] for pair in pairs]
    if not np.isfinite(found.share[index]).any():
        return None
    chars = np.array([pair.chars for pair in pairs], dtype=np.float64)
    gamma = [float(pair.difficulty) for pair in pairs if pair.difficulty is not None]
    return rows(found.share[index], chars[:, 0], chars[:, 1], gamma, index)


class Control(NamedTuple):
    """What length control of one judging stands on."""

    rows: Rows
    side: SideFile  # `PLAIN` for a task without one


def control(judged: Judged, side: SideFile | None) -> Control | None:
    """AlpacaEval's for its own verdicts, where `side` and all difficulties are there; for those of other tasks plain.

    None for Arena-Hard, where no pair was read, and where `unplain` says why.
    """
    if judged.record.task.name == ALPACA:
        found = of_judged(judged) if side is not None else None
        return None if found is None or side is None else Control(found, side)
    found = _plain(judged)
    return None if found is None or unplain(judged) else Control(found, PLAIN)


def unplain(judged: Judged) -> str | None:
    """Why verdicts that might have a plain control have none, for people; None where they have, or never could."""
    found = _plain(judged)
    if found is None:
        return None
    if found.judged < FEWEST:
        return f"not length-controlled: {found.judged} judged pairs, of at least {FEWEST}"
    delta = found.delta[np.isfinite(found.share)]
    for length, share in (("longer", (delta >= 0).mean()), ("shorter", (delta <= 0).mean())):
        if share < AROUND:
            return (
                f"not length-controlled: {100 * (1 - share):.0f} % of its answers are {length} than the opponent's, so "
                "that nothing tells length from quality"
            )
    return None


def _plain(judged: Judged) -> Rows | None:
    """With γ = 0; None for tasks that have a control of their own, and where no pair was read."""
    if judged.record.task.name == ALPACA or judged.record.task.name.startswith(ARENA):
        return None
    return of_judged(replace(judged, pairs=[msgspec.structs.replace(pair, difficulty=0.0) for pair in judged.pairs]))


def fit(found: Rows, side: SideFile, strength: float | None = None) -> Fit:
    """The length-controlled win rate; `strength` is C, chosen over the folds where it is not given."""
    chosen = choose(found, side) if strength is None else strength
    if found.baseline:
        return Fit(0.5, 0.0, 0.0, 0.0, float(chosen), len(found.share))
    one = np.ones((1, len(found.share)))
    coefficients = solve(_problem(found, side, one), np.array([chosen]))
    a, b, c = coefficients[0].tolist()
    return Fit(float(_predicted(found, one, coefficients)[0]), a, b, c, float(chosen), len(found.share))


def choose(found: Rows, side: SideFile) -> float:
    """C of the least log-loss of what a fold leaves out; the smallest of equal ones.

    The g-th of all G rows (gamed ones first, without those that have no verdict) lies in fold (G − 1 − g) mod 5:
    scikit-learn's GroupKFold for groups of one size.
    """
    judged = np.flatnonzero(np.isfinite(found.share))
    many = len(side.gamed_share)
    total = many + len(judged)
    fold = (total - 1 - np.arange(total)) % FOLDS
    own, gamed = np.zeros((FOLDS, len(found.share))), np.zeros((FOLDS, many))
    for number in range(FOLDS):
        own[number, judged] = fold[many:] != number
        gamed[number] = fold[:many] != number
    grid = GRID if many else OF_PLAIN
    times = len(grid)
    problem = _problem(found, side, np.repeat(own, times, axis=0), np.repeat(gamed, times, axis=0), whole=True)
    coefficients = solve(problem, np.tile(grid, FOLDS))
    held = _problem(found, side, np.repeat(1 - own, times, axis=0), np.repeat(1 - gamed, times, axis=0), whole=True)
    counts = np.maximum(np.bincount(fold, minlength=FOLDS), 1)  # of fewer rows than folds some folds are empty
    loss = held.loss(coefficients) / np.repeat(counts, times)
    return float(grid[loss.reshape(FOLDS, times).mean(axis=0).argmin()])


def bootstrap(found: Rows, side: SideFile, content: str, strength: float, draws: int = DRAWS) -> Interval:
    """Interval of the length-controlled win rate over instructions, refitted in each draw; seeded by `content`."""
    counts = _counts(len(found.share), draws, content)
    return Interval(*_percentiles(_refitted(found, side, counts, strength)))


def paired(one: Rows, other: Rows, side: SideFile, content: str, strengths: tuple[float, float],
           draws: int = DRAWS) -> Difference:  # fmt: skip
    """The difference of two length-controlled win rates on the same instructions, both refitted in each draw.

    ValueError where the instructions are not the same.
    """
    if not np.array_equal(one.index, other.index):
        raise ValueError(f"paired rows must have the same instructions, not {len(one.index)} and {len(other.index)}")
    counts, whole = _counts(len(one.share), draws, content), np.ones((1, len(one.share)))
    both = list(zip((one, other), strengths, strict=True))
    whole, drawn = (
        np.subtract(*(_refitted(found, side, times, strength) for found, strength in both)) for times in (whole, counts)
    )
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = min(1.0, 2 * (1 + beyond) / (1 + draws))
    low, high, se = _percentiles(drawn)
    return Difference(low, high, se, float(whole[0]), p)


def pseudo_values(found: Rows, side: SideFile, strength: float) -> Array:
    """Jackknife pseudo-values N·LC − (N−1)·LC₋ᵢ (N,): their mean and its error are the win rate's, to order 1/N.

    So an item has a value of its own, and differences are paired by seed and item as those of any mean. J. W. Tukey,
    Annals of Mathematical Statistics 29 (1958).
    """
    n = len(found.share)
    whole = _refitted(found, side, np.ones((1, n)), strength)[0]
    values = n * whole - (n - 1) * _refitted(found, side, 1 - np.eye(n), strength)
    return values - values.mean() + whole  # the estimate itself, not the jackknife's, is what is reported


def _counts(n: int, draws: int, content: str) -> Array:
    """(draws, n): how often each instruction is drawn."""
    return generator(content).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


def _percentiles(drawn: Array) -> tuple[float, float, float]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high), float(drawn.std(ddof=1))


def _refitted(found: Rows, side: SideFile, counts: Array, strength: float) -> Array:
    """LC (B,) where instruction i counts counts[·, i] times."""
    if found.baseline:
        return np.full(len(counts), 0.5)
    start = solve(_problem(found, side, np.ones((1, len(found.share)))), np.array([strength]))
    parts = []
    for first in range(0, len(counts), CHUNK):
        some = counts[first : first + CHUNK]
        solved = solve(_problem(found, side, some), np.full(len(some), strength), start)
        parts.append(_predicted(found, some, solved))
    return np.concatenate(parts)


def _problem(found: Rows, side: SideFile, own: Array, gamed: Array | None = None, whole: bool = False) -> Problem:
    return Problem(found.share, found.delta, found.difficulty, side, own, gamed, whole)


def _predicted(found: Rows, counts: Array, coefficients: Array) -> Array:
    fitted = sigmoid(coefficients[:, 1:2] * found.difficulty + coefficients[:, 2:3])
    return (counts * fitted).sum(1) / counts.sum(1)
