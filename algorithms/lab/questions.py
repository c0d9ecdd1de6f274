"""The questions that are put to every algorithm, a stranger's too, and the verdicts on record for ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..base import Algorithm
from .exact import BINARY, GRADED, Expectation, alone, finite, limit_field
from .finding import Curve, Finding, Verdict, shown
from .flow import Rest, fit, rest

GROUP_SIZES = (2, 4, 8, 16)
NOTHING = "·"  # the question makes no sense for an algorithm
# log π/π_ref of the three starts: the reference itself, against the rewards, and well along them but off the family
STARTS = ((0.0, 0.0, 0.0, 0.0), (0.5, -0.5, 1.0, -1.0), (0.3, 0.6, 0.8, 2.2))

# Verdicts by label, in the order in which `ask` answers: rests inside, family, K decided, direction and size of a group
# of 4, equal rewards, direction and size of the first update. + confirmed, - refuted, 0 not applicable.
RECORDED: Mapping[str, str] = {
    "cispo@paper": "-00--+++",
    "dapo@verl": "-00--+++",
    "dcr@released": "-0000000",
    "dcr@paper": "-0000000",
    "dft": "-0000000",
    "dr_grpo@paper": "-00+-+++",
    "gft@released": "-0000+++",
    "gft@paper": "-0000+--",
    "gft@no-mix": "-0000+++",
    "gift@released": "-00---+-",
    "gift@published": "++---++-",
    "gift@published-detached": "++----+-",
    "gift@smooth": "-00---+-",
    "grpo@paper": "+-+---++",
    "grpo@no-kl": "-00--+++",
    "gspo@paper": "-00--+++",
    "gspo_token@paper": "-00--+++",
    "gvpo@released": "-00++-+-",
    "gvpo@initial": "+++++-+-",
    "online_dpo": "-00--+--",
    "reinforce++@paper": "-00--+++",
    "reinforce++@baseline": "-00--+++",
    "rloo@paper": "-00+++++",
    "rloo@trl": "+++++-++",
    "sft": "-0000000",
    "una@released": "-00++---",
    "una@paper": "+++++-+-",
}
_VERDICTS: Mapping[str, Verdict] = {"+": "confirmed", "-": "refuted", "0": "not applicable"}


def ask(algorithm: Algorithm, label: str) -> tuple[list[Finding], list[Curve]]:
    """The answers for an algorithm known as `label`, in the order of `RECORDED`."""
    starts = [(GRADED.log_reference + torch.tensor(start, dtype=torch.float64)).log_softmax(0) for start in STARTS]
    expected = finite(algorithm, GRADED)
    ends = [rest(expected, start) for start in starts]
    findings = [*_stationary(ends), *_finite_groups(algorithm), _equal_rewards(algorithm), *_first_update(expected)]
    recorded = RECORDED.get(label)
    verdicts = [_VERDICTS[sign] for sign in recorded] if recorded else [None] * len(findings)
    judged = [replace(finding, recorded=verdict) for finding, verdict in zip(findings, verdicts, strict=True)]
    return judged, [_profile(label, end) for end in ends[:1] if end.state == "inside"]


def summarise(findings: list[Finding]) -> str:
    """Where it rests, in a sentence; the other answers are short enough to be read off a table."""
    inside, family, decided = (finding.verdict for finding in findings[:3])
    whereabouts = findings[0].meaning.split(";")[0]
    if inside == "refuted":
        return f"It does not come to rest inside the simplex: {whereabouts}."
    if family == "refuted":
        return f"It comes to rest inside the simplex, but not in the family π_ref·exp(K r): {whereabouts}."
    if decided == "confirmed":
        return f"It comes to rest in the family π_ref·exp(K r), at a K of its own: {whereabouts}."
    return f"It comes to rest in the family π_ref·exp(K r), at a K that the loss leaves open: {whereabouts}."


def _stationary(ends: list[Rest]) -> list[Finding]:
    inside = [end for end in ends if end.state == "inside"]
    fits = [fit(end.logp, GRADED) for end in inside]
    ks = ", ".join(dict.fromkeys(f"{one.k:.4g}" for one in fits))
    edge = sum(end.state == "edge" for end in ends)
    slope = max(end.gradient for end in ends)
    if inside:
        whereabouts = f"{len(inside)} of {len(ends)} starts come to rest inside, at fitted K = {ks}"
    elif edge:
        whereabouts = f"{edge} of {len(ends)} starts end at the edge, where answers die out and K grows without bound"
    else:
        whereabouts = "the policy was still moving when we stopped"
    misfit = max((one.misfit for one in fits), default=None)
    stiffness = min((end.stiffness for end in inside), default=None)
    of_all = f"{len(inside)} of {len(ends)}"
    rests = "yes" if len(inside) == len(ends) else of_all if inside else "at the edge" if edge else "still moving"
    in_family = NOTHING if misfit is None else "yes" if misfit <= 1e-4 else f"no, {misfit:.2g} nats off"
    decided = NOTHING if stiffness is None else f"yes, {fits[0].k:.3g}" if stiffness >= 1e-3 else "no"
    if misfit is not None and misfit > 1e-4 and stiffness is not None and stiffness >= 1e-3:
        decided = "yes"  # a slope through points that are not on a line is no K
    return [
        Finding(
            "stationary points",
            "the expected update comes to rest inside the simplex, from each of three starts",
            "this lab",
            len(inside),
            f"{whereabouts}; the largest gradient left is {shown(slope)}",
            expected=len(ends),
            relation="≥",
            column="rests inside",
            cell=rests,
        ),
        Finding(
            "stationary points",
            "where it rests, log π/π_ref = C + K r: the family π_ref·exp(K r)",
            "GIFT, abstract of version 5",
            misfit,
            "nothing rests inside" if misfit is None else f"the worst answer lies {shown(misfit)} nats off the line",
            tolerance=1e-4,
            column="in the family",
            cell=in_family,
        ),
        Finding(
            "selection of K",
            "where it rests every direction is decided, K among them (smallest |eigenvalue| of the flow)",
            "this lab",
            stiffness,
            "nothing rests inside"
            if stiffness is None
            else ("each start ends at the same K" if stiffness >= 1e-3 else f"a direction is flat: K = {ks}, by start"),
            expected=1e-3,
            relation="≥",
            column="K decided",
            cell=decided,
        ),
    ]


def effective_advantage(expected: Expectation) -> Tensor:
    """(V,) at π = π_ref, the first update: what each answer's log-probability is pushed by; see `Expectation.field`."""
    return expected.field(expected.world.log_reference)


def _finite_groups(algorithm: Algorithm) -> list[Finding]:
    """Whether a small group turns the expected update, which is a bias, or only scales it, as a learning rate would."""
    claims = (
        "a group of 4 expects effective advantages in the direction of an infinite group's (1 - cosine)",
        "and of the same size (ratio of norms)",
    )
    columns = ("group of 4: direction", "group of 4: size")
    needs, reason = algorithm.needs, ""
    if needs.rollouts is not None or needs.demonstrations:
        reason = "demonstrations take a fixed number of places in its groups"
    elif algorithm.min_group_size > GROUP_SIZES[0]:
        reason = f"it asks for {algorithm.min_group_size} in a group"
    if reason:
        return [
            Finding("finite groups", claim, "this lab", None, reason, column=column, cell=NOTHING)
            for claim, column in zip(claims, columns, strict=True)
        ]
    limit = limit_field(algorithm, GRADED)
    found = {n: effective_advantage(finite(algorithm, GRADED, n)) for n in GROUP_SIZES}
    sizes = {n: (field.norm() / limit.norm()).item() for n, field in found.items()}
    angles = {n: _angle(field, limit) for n, field in found.items()}
    turned = angles[4] > 1e-6
    degrees = {n: _degrees(angle) for n, angle in angles.items()}
    same = abs(sizes[4] - 1) <= 1e-3
    return [
        Finding(
            "finite groups",
            claims[0],
            "this lab",
            angles[4],
            f"for N = 2, 4, 8, 16 it is turned by {', '.join(degrees.values())}" if turned else "the same direction",
            column=columns[0],
            cell=degrees[4] if turned else "same",
        ),
        Finding(
            "finite groups",
            claims[1],
            "this lab",
            sizes[4],
            f"for N = 2, 4, 8, 16 they have {', '.join(f'{size:.3g}' for size in sizes.values())} of its size",
            expected=1.0,
            tolerance=1e-3,
            column=columns[1],
            cell="same" if same else f"× {sizes[4]:.3g}",
        ),
    ]


def _equal_rewards(algorithm: Algorithm) -> Finding:
    """Two right answers twice each, then two wrong ones, under a policy that has left sampler and reference behind.

    For the table they are asked about again where the two answers' log-ratios are 1e-6 apart.
    """
    claim, column = "a group whose rewards are all equal gives no gradient", "moved by groups of equal rewards"
    if algorithm.needs.rollouts == 0:
        return Finding("equal rewards", claim, "this lab", None, "it reads no rewards", column=column, cell=NOTHING)
    reference = BINARY.log_reference
    policy, sampler, close = (
        (reference + torch.tensor(ratio, dtype=torch.float64)).log_softmax(0)
        for ratio in ((0.4, -0.3, 0.6, -0.5), (0.1, 0.0, -0.1, 0.2), (0.0, 1e-6, 0.0, 1e-6))
    )
    groups = [alone(algorithm, BINARY, answers) for answers in ((2, 3, 2, 3), (0, 1, 0, 1))]
    size = max(group.gradient(policy, sampler).norm().item() for group in groups)
    near = max(group.gradient(close, reference).norm().item() for group in groups)
    if size > 1e-4:
        value, meaning = f"{size:.2g}", f"such a group still moves the policy: gradient norm {size:.3g}"
        if near > 100 * size:
            value += f", {near:.1g} near agreement"
    elif near > 1e-4:
        value, meaning = f"{near:.1g} near agreement", f"but {near:.2g} where its log-ratios differ by 1e-6 alone"
    else:
        value, meaning = "no", "nothing moves"
    return Finding("equal rewards", claim, "this lab", size, meaning, tolerance=1e-4, column=column, cell=value)


def _first_update(expected: Expectation) -> list[Finding]:
    """At π = π_old = π_ref, where every log-ratio is 0, against -1/N Σ A_i log π(y_i) over the same groups."""
    claims = (
        "at zero log-ratios the update points where REINFORCE with the same advantages points (1 - cosine)",
        "and its gradient is as large as REINFORCE's (ratio of norms)",
    )
    column = "first update = REINFORCE ×"
    if expected.algorithm.needs.rollouts == 0:
        return [
            Finding("step one", claim, "this lab", None, "it samples nothing", column=column, cell=cell)
            for claim, cell in zip(claims, ("", NOTHING), strict=True)
        ]
    policy = expected.world.log_reference
    gradient = expected.gradient(policy)
    batch, weight = expected.prepared(policy), expected.probabilities(policy)
    share = weight[batch.group] * batch.token_advantage / expected.groups.shape[1]
    slope = -torch.zeros_like(policy).index_add(0, expected.answers, share)
    plain = slope - policy.exp() * slope.sum()
    turned, ratio = _angle(gradient, plain), (gradient.norm() / plain.norm()).item()
    much = "as large" if abs(ratio - 1) < 1e-3 else f"{ratio:.3g} times as large"
    if ratio > 100:
        much += ", so that only norm clipping makes it trainable"
    return [
        Finding(
            "step one",
            claims[0],
            "this lab",
            turned,
            "the same direction" if turned <= 1e-6 else f"another direction: cosine {1 - turned:.4g}",
            column=column,
        ),
        Finding(
            "step one",
            claims[1],
            "this lab",
            ratio,
            f"its norm is {gradient.norm():.3g}: {much}",
            expected=1.0,
            tolerance=1e-3,
            column=column,
            cell=f"{ratio:.3g}" if turned <= 1e-6 else f"{ratio:.3g}, turned by {_degrees(turned)}",
        ),
    ]


def _angle(a: Tensor, b: Tensor) -> float:
    """1 - cosine."""
    return (1 - (a @ b) / (a.norm() * b.norm())).clamp(min=0).item()


def _degrees(turned: float) -> str:
    """Of 1 - cosine."""
    return f"{math.degrees(math.acos(1 - turned)):.3g}°"


def _profile(label: str, end: Rest) -> Curve:
    ratio = end.logp - GRADED.log_reference
    return Curve("family", label, GRADED.reward, tuple((ratio - ratio[0]).tolist()))
