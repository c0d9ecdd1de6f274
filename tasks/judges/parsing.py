"""What a judge's reply says. A parser is pure, takes any reply, and never raises; replies are kept, readings are not.

Log-probabilities: with l_1, l_2 those of the two labels as the first token, the first answer's share is
exp(l_1) / (exp(l_1) + exp(l_2)). A label that is not among the reported tokens has l = -∞; without both there is no
reading. (AlpacaEval: `logprob_parser`, tatsu-lab/alpaca_eval@cd543a1:src/alpaca_eval/completion_parsers.py; its
preference is 2 minus the share.)

Verdicts: Arena-Hard's labels, under three policies. The policy moves a score, so its name belongs in the record.
`upstream-v0.1` (lmarena/arena-hard-auto@0489bf3:gen_judgment.py), `upstream-v2` (@196f6b8, same file), and `ours`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from .games import Parser, Reading, Reply
from .texts import without_thoughts

MUCH = 3  # how often "much better" counts: WEIGHT of Arena-Hard's show_result.py

UNREADABLE = Reading(None, None)
LABELS: Mapping[str, tuple[float, int]] = {
    "A>>B": (1.0, MUCH), "A>B": (1.0, 1), "A=B": (0.5, 1), "B>A": (0.0, 1), "B>>A": (0.0, MUCH)
}  # fmt: skip
V2_LABELS: Mapping[str, tuple[float, int]] = {
    **LABELS,
    "A<<B": (0.0, MUCH), "A<B": (0.0, 1), "B=A": (0.5, 1), "B<A": (1.0, 1), "B<<A": (1.0, MUCH)
}  # fmt: skip

_DOUBLE = re.compile(r"\[\[([AB<>=]+)\]\]")
_SINGLE = re.compile(r"\[([AB<>=]+)\]")
_OURS = re.compile(r"\[\[(A>>B|A>B|A=B|B>A|B>>A)\]\]")


def _label_share(labels: tuple[str, str], surrounded: bool, reply: Reply) -> Reading:
    """The share by log-probabilities. `surrounded`: a label with white space around it is the label too."""
    logprobs = reply.logprobs or {}
    first, second = (
        _log_sum([value for token, value in logprobs.items() if (token.strip() if surrounded else token) == label])
        for label in labels
    )
    if not (first < math.inf and second < math.inf) or first == second == -math.inf:  # no number is no verdict either
        return UNREADABLE
    share = 1 / (1 + math.exp(min(second - first, 700.0))) if first > -math.inf else 0.0
    label = labels[0] if first > second else labels[1] if second > first else "=".join(labels)
    return Reading(label, share, mass=min(1.0, math.exp(min(first, 0.0)) + math.exp(min(second, 0.0))))


def _log_sum(logprobs: Sequence[float]) -> float:
    """The logarithm of the sum of the probabilities; -inf of none, NaN where one is none."""
    most = max(logprobs, default=-math.inf)
    if len(logprobs) < 2 or not math.isfinite(most):
        return sum(logprobs) if logprobs else -math.inf
    return most + math.log(sum(math.exp(value - most) for value in logprobs))


def _verdict(label: str, known: Mapping[str, tuple[float, int]]) -> Reading:
    """A label's reading; of one that means nothing, as `A>>A`, the label alone."""
    first, weight = known.get(label, (None, 1))
    return Reading(label, first, weight)


def _agreed(found: Iterable[str]) -> Reading:
    labels = set(found)
    return _verdict(labels.pop(), LABELS) if len(labels) == 1 else UNREADABLE


def _upstream_v01(reply: Reply) -> Reading:
    return _agreed(_DOUBLE.findall(reply.text))


def _upstream_v2(reply: Reply) -> Reading:
    text = reply.text.upper()
    found = _DOUBLE.findall(text) or _SINGLE.findall(text)
    return _verdict(found[-1], V2_LABELS) if found else UNREADABLE


def _ours(reply: Reply) -> Reading:
    return _agreed(_OURS.findall(without_thoughts(reply.text)))


def _share(reply: Reply) -> Reading:
    share = reply.share
    if share is None or not 0 <= share <= 1:
        return UNREADABLE
    return Reading("A>B" if share > 0.5 else "B>A" if share < 0.5 else "A=B", share)


PARSERS: Mapping[str, Parser] = {
    "alpaca_eval": partial(_label_share, ("m", "M"), False),
    "labels": partial(_label_share, ("A", "B"), True),
    "upstream-v0.1": _upstream_v01,
    "upstream-v2": _upstream_v2,
    "ours": _ours,
    "share": _share,
}
"""By name. The first two read log-probabilities; `share` reads what a judge without words gave."""

READS_LOGPROBS = frozenset({"alpaca_eval", "labels"})
