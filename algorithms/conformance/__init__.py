"""What every algorithm must satisfy, checked on small exact batches: ours, and anyone's.

`groupbench check NAME [--plugin file.py]` runs it from a terminal. In a plug-in's own tests it is one line:

    def test_conforms():
        assert_conforms(MyAlgorithm())

Each check is a function of the algorithm that raises `Violation` with what it found, or `NotApplicable` with the
reason; its first docstring line says what holds when it passes. Everything is computed in float64 on ragged batches of
unequal groups, one of them equal in reward, with an empty response, which hold what the trainer would give and nothing
else (`toy.py`); gradients come from the function that the trainer calls (`step.accumulate_gradient`) and are compared
token by token.

    methods.py       the class and its methods: what they ask for, return, look at and leave alone
    invariances.py   what may not change a gradient: cuts, ranks, orders, precision; and golden vectors
    rewards.py       what rewards and odd responses may do to it; whether a toy policy learns
    cards.py         whether the spec card tells the truth
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..base import Algorithm
from ..places import place
from .cards import card
from .expectations import NotApplicable, Violation
from .golden import GOLDEN
from .invariances import (
    first_update,
    golden_vectors,
    micro_batches,
    ranks,
    row_order,
    single_precision,
    token_order,
    totals,
)
from .methods import declaration, interface, needs, numbers, purity, regular, scope
from .rewards import (
    baseline,
    direction,
    empty_response,
    equal_rewards,
    groups_apart,
    learns,
    nan_reward,
    single_member,
    unterminated,
)

__all__ = ["CHECKS", "GOLDEN", "STRUCTURE", "Finding", "assert_conforms", "check", "obstacle"]

Verdict = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    verdict: Verdict
    detail: str = ""
    raised: bool = False  # failed by an error of the algorithm, which a batch less odd may not bring out


def check(algorithm: Algorithm) -> Iterator[Finding]:
    """Run every check, one finding each, in order.

    An error that the algorithm raises is a failure of that check. Where its `STRUCTURE` is wrong, that is the last
    finding: all others would say the same.
    """
    for title, function in CHECKS.items():
        try:
            function(algorithm)
        except Violation as violation:
            yield Finding(title, "failed", str(violation))
            if title in STRUCTURE:
                return
        except NotApplicable as reason:
            yield Finding(title, "not applicable", str(reason))
        except Exception as error:
            yield Finding(title, "failed", _raised(error), raised=True)
            if title in STRUCTURE:
                return
        else:
            yield Finding(title, "passed")


def obstacle(findings: Sequence[Finding], algorithm: Algorithm, responses: int) -> str | None:
    """Why the algorithm cannot train at all, given what `check` found; None where it can, right or wrong.

    An error that it raises on the checks' ragged batches counts if groups of one size, with `responses` a prompt
    asked for, bring it out as well.
    """
    for finding in findings:
        if finding.verdict == "failed" and finding.check in STRUCTURE:
            if not finding.raised or finding.check == "declaration":
                return finding.detail
            try:
                regular(algorithm, responses)
            except Exception as error:
                return _raised(error)
    return None


def assert_conforms(algorithm: Algorithm) -> None:
    """One line for a plug-in's own tests. Raises AssertionError listing every check that failed."""
    failed = [f"{f.check}: {f.detail}" for f in check(algorithm) if f.verdict == "failed"]
    assert not failed, f"{type(algorithm).__name__} does not conform:\n" + "\n".join(failed)


CHECKS: dict[str, Callable[[Algorithm], None]] = {
    "declaration": declaration, "needs": needs, "interface": interface, "numbers": numbers, "purity": purity,
    "scope": scope, "golden vectors": golden_vectors, "micro-batches": micro_batches, "totals": totals, "ranks": ranks,
    "row order": row_order, "token order": token_order, "first update": first_update, "groups apart": groups_apart,
    "baseline": baseline, "direction": direction, "card": card, "equal rewards": equal_rewards,
    "single member": single_member, "empty response": empty_response, "unterminated": unterminated,
    "NaN reward": nan_reward, "float32": single_precision, "learns": learns,
}  # fmt: skip
STRUCTURE = ("declaration", "needs", "interface")  # what nothing can be said about, or trained, without


def _raised(error: Exception) -> str:
    return f"it raised {type(error).__name__}: {error}{place(error)}"
