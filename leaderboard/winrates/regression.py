"""Length control's regressions, many at once: logistic with an l1 penalty, three coefficients, solved to rounding."""

from __future__ import annotations

from itertools import product

import numpy as np

from ..stats.valid import Array
from .side_file import WEIGHT, SideFile

TOLERANCE, STEPS, SWEEPS = 1e-11, 100, 200


def sigmoid(x: Array) -> Array:
    """1/(1 + exp(−x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


class Problem:
    """B weighted logistic regressions over the same rows; `own` (B, N) and `gamed` (B, M) are how often rows count.

    sd(δ) is that of the rows as they count, or, with `whole`, of all of them.
    """

    def __init__(
        self,
        share: Array,
        delta: Array,
        difficulty: Array,
        side: SideFile,
        own: Array,
        gamed: Array | None = None,
        whole: bool = False,
    ) -> None:
        judged = np.isfinite(share)
        spread = _spread(delta, np.ones((1, len(share))) if whole else own)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.x = np.where(delta == 0, 0.0, np.tanh(delta / spread))  # (B or 1, N)
        self.gamma, self.y, self.own = difficulty, np.where(judged, share, 0.0), own * judged
        self.fixed = np.stack([side.gamed_length, side.gamed_difficulty])  # (2, M)
        self.fixed_y = side.gamed_share
        self.gamed = np.full((1, len(self.fixed_y)), WEIGHT) if gamed is None else WEIGHT * gamed

    def logits(self, coefficients: Array) -> tuple[Array, Array]:
        """Of the candidate's rows (B, N) and of the gamed ones (B, M)."""
        a, b, c = (coefficients[:, k : k + 1] for k in range(3))
        return a * self.x + b * self.gamma + c, coefficients[:, :2] @ self.fixed

    def loss(self, coefficients: Array) -> Array:
        """(B,) weighted log-loss."""
        own, gamed = self.logits(coefficients)
        first = (self.own * (np.logaddexp(0, own) - self.y * own)).sum(1)
        return first + (self.gamed * (np.logaddexp(0, gamed) - self.fixed_y * gamed)).sum(1)

    def derivatives(self, coefficients: Array) -> tuple[Array, Array]:
        """Gradient (B, 3) and Hessian (B, 3, 3) of the loss."""
        own, gamed = map(sigmoid, self.logits(coefficients))
        r, s = self.own * (own - self.y), self.gamed * (gamed - self.fixed_y)
        v, u = self.own * own * (1 - own), self.gamed * gamed * (1 - gamed)
        gradient = np.stack([(r * self.x).sum(1), r @ self.gamma, r.sum(1)], axis=1)
        gradient[:, :2] += s @ self.fixed.T
        vx = v * self.x
        hessian = np.empty((len(gradient), 3, 3))
        pairs = {(0, 0): (vx * self.x).sum(1), (0, 1): vx @ self.gamma, (0, 2): vx.sum(1),
                 (1, 1): v @ self.gamma**2, (1, 2): v @ self.gamma, (2, 2): v.sum(1)}  # fmt: skip
        for (j, k), value in pairs.items():
            hessian[:, j, k] = hessian[:, k, j] = value
        for j, k in ((0, 0), (0, 1), (1, 1)):
            hessian[:, j, k] += u @ (self.fixed[j] * self.fixed[k])
        hessian[:, 1, 0] = hessian[:, 0, 1]
        return gradient, hessian


def _spread(delta: Array, counts: Array) -> Array:
    """The sd (ddof 1) of δ, instruction i counting counts[·, i] times: (B, 1)."""
    n = counts.sum(1, keepdims=True)
    mean = counts @ delta[:, None] / n
    squares = (counts * (delta - mean) ** 2).sum(1, keepdims=True)
    return np.sqrt(squares / np.maximum(n - 1, 1))


def solve(problem: Problem, strengths: Array, start: Array | None = None) -> Array:
    """(B, 3): the minima of ‖w‖₁ + C·loss, by proximal Newton steps that are halved until they help.

    The quadratic model with its penalty is solved by coordinate descent (J. D. Lee, Y. Sun, M. A. Saunders, SIAM J.
    Optim. 24, 2014). RuntimeError where it does not end, which no finite data was seen to cause.
    """
    penalty = 1 / strengths
    w = np.zeros((len(strengths), 3)) if start is None else np.repeat(start, len(strengths), axis=0)
    value = problem.loss(w) + penalty * np.abs(w).sum(1)
    for _ in range(STEPS):
        step = _model_minimum(*problem.derivatives(w), w, penalty) - w
        open_ = np.abs(step).max(1) > TOLERANCE * (1 + np.abs(w).max(1))
        if not open_.any():
            return w
        size = np.where(open_, 1.0, 0.0)
        for _ in range(30):
            tried = w + size[:, None] * step
            new = problem.loss(tried) + penalty * np.abs(tried).sum(1)
            worse = new > value + 1e-12 * np.abs(value)
            if not worse.any():
                break
            size = np.where(worse, size / 2, size)
        w, value = tried, new
    raise RuntimeError("the length-control regression did not converge")


def _model_minimum(gradient: Array, hessian: Array, w: Array, penalty: Array) -> Array:
    """The argmin of gᵀ(v − w) + ½(v − w)ᵀH(v − w) + penalty·‖v‖₁, (B, 3)."""
    v = w.copy()
    for _ in range(SWEEPS):
        before = v.copy()
        for j in range(3):
            curve = hessian[:, j, j] + 1e-12
            slope = gradient[:, j] + np.einsum("bk,bk->b", hessian[:, j], v - w) - curve * v[:, j]
            v[:, j] = -np.sign(slope) * np.maximum(np.abs(slope) - penalty, 0) / curve
        if np.abs(v - before).max() < 1e-13 * (1 + np.abs(v).max()):
            return v
    return _exact_minimum(gradient, hessian, w, penalty)


def _exact_minimum(gradient: Array, hessian: Array, w: Array, penalty: Array) -> Array:
    """The same by solving for each pattern of signs and taking the least: where two coefficients say nearly the same.

    Coordinate descent creeps there: without gamed rows the lengths of few instructions may all but agree.
    """
    curved = hessian + 1e-12 * np.eye(3)
    target = np.einsum("bjk,bk->bj", curved, w) - gradient
    best, least = np.zeros_like(w), np.full(len(w), np.inf)
    for pattern in product((-1.0, 0.0, 1.0), repeat=3):
        sign = np.array(pattern)
        free = sign != 0
        v = np.zeros_like(w)
        if free.any():
            right = target[:, free] - penalty[:, None] * sign[free]
            v[:, free] = np.linalg.solve(curved[:, free][:, :, free], right[:, :, None])[:, :, 0]
        step = v - w
        value = (gradient * step).sum(1) + 0.5 * np.einsum("bj,bjk,bk->b", step, curved, step)
        value += penalty * np.abs(v).sum(1)
        best, least = np.where((value < least)[:, None], v, best), np.minimum(value, least)
    return best
