"""Style control: win rates at equal length and Markdown, by Bradley-Terry with features of style.

    P(model wins a battle) = σ(θ_model − θ_baseline + β·z),      style-controlled win rate = σ(θ_model − θ_baseline)

z is what the model's answer has more of than the baseline's, in length t (tokens of the gpt-4o tokenizer) and counts c
of headers, list items and bold spans:

    upstream-v0.1    (t_m − t_b)/(t_m + t_b + 1)     (c_m − c_b)/(c_m + c_b + 1)                    z-scores
    upstream-v2      (t_m − t_b)/(t_m + t_b)         (d_m − d_b)/(d_m + d_b + 1),  d = c/(t + 1)    z-scores
    ours             as v0.1, z-scores; the win rate is that at no difference

β is shared by all models, so **the result of one model depends on which others are in the fit**: a table fits its own
rows, and says so. Upstream's z-scores add to that. Centred on the set's mean difference, z = 0 is no longer equal
style: with one baseline on one side of every battle the published number is the win rate at the *set's average*
difference of style, higher for everyone where most models write more than the baseline. Ours is that of answers as long
and as formatted as the baseline's, σ(θ_model − θ_baseline − β·mean/sd).

v0.1 fits with scikit-learn's default penalty, ½‖w‖² on coefficients in units of ln 10, every battle counted twice; its
standard deviation is that of the population, v2's (torch) divides by n − 1.

Source: lmarena/arena-hard-auto, utils_math.py at 0489bf3 and show_result.py, utils/add_markdown_info.py at 196f6b8.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..records import LeaderboardError
from ..stats.valid import Array
from ..verdicts import Judged, Style
from .arena import Battles, of_judged

Formula = Literal["ours", "upstream-v0.1", "upstream-v2"]
FEATURES = ("length", "headers", "lists", "bold")
STEPS, TOLERANCE = 60, 1e-10

_TOKEN = re.compile(r"\w+|[^\w\s]")
_FENCED = re.compile(r"```([^`]*)```")
_HEADER = re.compile(r"^#{1,6}\s", re.MULTILINE)
_LIST = (re.compile(r"^\s*\d+\.\s", re.MULTILINE), re.compile(r"^\s*[-*+]\s", re.MULTILINE))
_BOLD = (re.compile(r"\*\*[^*\n]+\*\*"), re.compile(r"__[^_\n]+__"))


def tokens(answer: str) -> int:
    """Words and marks of an answer, for its length: of that only ratios count, so that no model's tokenizer is needed.

    Upstream counts tokens of gpt-4o.
    """
    return len(_TOKEN.findall(answer))


def features(answer: str) -> Style:
    """Headers, list items and bold spans of an answer, what stands between code fences taken out first.

    As upstream counts: whatever text stands in a fence is taken out wherever it stands.
    """
    for code in _FENCED.findall(answer):
        answer = answer.replace(code, "") if code else answer
    return Style(
        len(_HEADER.findall(answer)),
        sum(len(pattern.findall(answer)) for pattern in _LIST),
        sum(len(pattern.findall(answer)) for pattern in _BOLD),
    )


def differences(candidate: ArrayLike, baseline: ArrayLike, formula: Formula) -> Array:
    """(N, 4) normalised differences, before z-scores; `candidate` and `baseline` (N, 4): tokens, headers, lists, bold.

    Two empty answers differ by 0.
    """
    ours, theirs = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if formula != "upstream-v2":
        return (ours - theirs) / (ours + theirs + 1)
    length = (ours[:, :1] - theirs[:, :1]) / np.maximum(ours[:, :1] + theirs[:, :1], 1e-12)
    mine, other = ours[:, 1:] / (ours[:, :1] + 1), theirs[:, 1:] / (theirs[:, :1] + 1)
    return np.hstack([length, (mine - other) / (mine + other + 1)])


class StyleError(LeaderboardError):
    """A fit that says nothing: style cannot be told from the models, or from winning."""


@dataclass(frozen=True)
class Controlled:
    """A fit over a declared set of models."""

    win_rates: Mapping[str, float]  # by model, against the baseline, in [0, 1]
    coefficients: Mapping[str, float]  # β by feature, of its z-score, in natural logits
    formula: Formula


def bradley_terry(
    model: Sequence[str],
    score: ArrayLike,
    weight: ArrayLike,
    style: ArrayLike | None = None,
    ridge: float = 0.0,
) -> tuple[dict[str, float], Array]:
    """θ_model − θ_baseline by model, and β (K,): battles (N,) of models against one baseline, `style` (N, K).

    With `ridge`, (ridge/2)·(Σ(θ/ln 10)² + ‖β‖²) is added to the weighted log-loss, the baseline's θ being one more.
    Newton's method; a model that wins (or loses) all of its battles has no finite θ, and gets ±inf: it says nothing of
    β, and is left out of the fit, unless there is a ridge. ValueError where the arrays do not fit; StyleError where
    no model's style varies apart from which model it is, or features tell all wins from all losses.
    """
    names, member = np.unique(np.asarray(model), return_inverse=True)
    y, w = np.asarray(score, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    z = np.zeros((len(y), 0)) if style is None else np.asarray(style, dtype=np.float64)
    if not len(member) == len(y) == len(w) == len(z) or not len(y):
        raise ValueError(f"one value a battle each, not {len(member)}, {len(y)}, {len(w)} and {len(z)}")
    rate = np.bincount(member, w * y) / np.bincount(member, w)
    fixed = (rate <= 0) | (rate >= 1) if not ridge else np.zeros(len(names), dtype=bool)
    known = ~fixed[member]
    place = np.cumsum(~fixed) - 1
    unit, count = (math.log(10) if ridge else 1.0), int((~fixed).sum())
    design = np.zeros((int(known.sum()), count + bool(ridge) + z.shape[1]))
    design[np.arange(len(design)), place[member[known]]] = unit
    if ridge:
        design[:, count] = -unit
    if z.shape[1]:
        design[:, -z.shape[1] :] = z[known]
    if not ridge and z.shape[1] and np.linalg.matrix_rank(design) < design.shape[1]:
        raise StyleError("style cannot be told from the models: its features do not vary enough within them")
    found = _newton(design, y[known], w[known], ridge)
    base = found[count] if ridge else 0.0
    strengths = {
        str(name): (math.inf if rate[n] >= 1 else -math.inf) if fixed[n] else float(unit * (found[place[n]] - base))
        for n, name in enumerate(names)
    }
    return strengths, found[len(found) - z.shape[1] :]


def _newton(design: Array, y: Array, w: Array, ridge: float) -> Array:
    """Coefficients of a weighted logistic regression, by Newton steps that are halved until they help."""
    found = np.zeros(design.shape[1])

    def loss(at: Array) -> float:
        logits = design @ at
        return float(w @ (np.logaddexp(0, logits) - y * logits) + ridge / 2 * at @ at)

    value = loss(found)
    for _ in range(STEPS):
        p = 0.5 * (1 + np.tanh(design @ found / 2))
        gradient = design.T @ (w * (p - y)) + ridge * found
        hessian = (design * (w * p * (1 - p))[:, None]).T @ design
        hessian[np.diag_indices(len(found))] += ridge + 1e-10
        step = np.linalg.solve(hessian, gradient)
        while (new := loss(found - step)) > value + 1e-12 * abs(value):
            step /= 2
        found, value = found - step, new
        if np.abs(step).max(initial=0) < TOLERANCE:
            return found
    raise StyleError("style tells all wins from all losses: the fit has no end")


def controlled(
    model: Sequence[str],
    score: ArrayLike,
    weight: ArrayLike,
    style: ArrayLike,
    formula: Formula = "ours",
) -> Controlled:
    """Style-controlled win rates of all models; `style` (N, 4) are `differences`, one row a battle.

    Means and spreads are over battles as often as they count. A feature whose difference never varies tells nothing of
    its β, which is left at 0.
    """
    w, raw = np.asarray(weight, dtype=np.float64), np.asarray(style, dtype=np.float64)
    mean = w @ raw / w.sum()
    spread = np.sqrt(w @ (raw - mean) ** 2 / (w.sum() - (formula == "upstream-v2")))
    varies = spread > 1e-12
    z, beta = (raw - mean)[:, varies] / spread[varies], np.zeros(raw.shape[1])
    # Upstream's v0.1 counts every battle twice in its likelihood, and its prior once.
    strengths, beta[varies] = bradley_terry(model, score, w, z, ridge=0.5 if formula == "upstream-v0.1" else 0.0)
    shift = float(beta[varies] @ (mean / np.where(varies, spread, 1))[varies]) if formula == "ours" else 0.0
    rates = {name: 0.5 * (1 + math.tanh((theta - shift) / 2)) for name, theta in strengths.items()}
    return Controlled(rates, dict(zip(FEATURES, beta.tolist(), strict=True)), formula)


def of_many(judged: Sequence[Judged], formula: Formula = "ours", policy: str = "ours") -> Controlled:
    """Style-controlled win rates over the set of these, by their place in it ("0", "1", …).

    LeaderboardError where the baselines differ, or a pair has no tokens or no style.
    """
    if len(baselines := {one.record.opponent.name for one in judged}) != 1:
        raise LeaderboardError(f"style control takes one baseline, not {', '.join(sorted(baselines)) or 'none'}")
    names = [str(n) for n in range(len(judged))]
    parts = [of_judged(one, policy) for one in judged]
    styles = [_styles(one, formula)[part.row] for one, part in zip(judged, parts, strict=True)]
    model = [name for name, part in zip(names, parts, strict=True) for _ in part.score]
    return controlled(model, *_joined(parts), np.concatenate(styles), formula)


def _joined(parts: Sequence[Battles]) -> tuple[Array, Array]:
    return np.concatenate([part.score for part in parts]), np.concatenate([part.weight for part in parts])


def _styles(judged: Judged, formula: Formula) -> Array:
    found = []
    for pair in judged.pairs:
        if pair.tokens is None or pair.style is None:
            raise LeaderboardError(f"{judged.title}: pair {pair.id!r} has no tokens or no style; both are needed")
        found.append([(t, s.headers, s.lists, s.bold) for t, s in zip(pair.tokens, pair.style, strict=True)])
    both = np.array(found, dtype=np.float64)
    return differences(both[:, 0], both[:, 1], formula)
