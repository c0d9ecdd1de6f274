"""A preference that is known in closed form: what RLHF does to it, offline, in seconds.

A prompt is three digits, a response a string of digits. Even digits are what one wants, each further one helps less,
and every digit costs its reader time. In nats (log-odds of being preferred, Bradley and Terry 1952) a response is worth

    gold(y) = 8·(1 − exp(−k/2)) − ½·|y|        k even digits out of |y|

which is greatest for four even digits. People label pairs of responses, of any content and length, for a reward model.
They see that, and are impressed by length besides (`length_bias`, 0.55 nats a digit): a proxy that is trained on a few
hundred of their labels is right about most pairs, and finds no response too long. The start's responses are too short.
A policy that is trained on the proxy gets better, and then longer than is good. Gold does not depend on the prompt, so
that a few hundred pairs teach what there is to learn; it never enters training unless a recipe says so
(`reward: gold`), and is what evaluations and the judge `gold` measure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import count
from typing import ClassVar

from .base import GREEDY, EvalProtocol, Example, Grade, Message, Source
from .open_ended import OpenEnded, user
from .pairs import PreferencePair, identified
from .registry import register

_EVEN, _ODD = "02468", "13579"
_WORTH, _SOON, _COST = 8.0, 2.0, 0.5  # nats that even digits come to, digits after which 63 % are reached, nats a digit
_LONGEST, _STOPS = 15, 0.6  # digits of a teacher's response, which ends behind each with this probability
_BEST = "2468"


def _uniforms(count: int, *parts: str | int) -> list[float]:
    """Numbers in [0, 1) from a hash: the same in every process and Python."""
    found: list[float] = []
    while len(found) < count:
        digest = sha256("|".join(["preference", str(len(found)), *map(str, parts)]).encode()).digest()
        found += [(int.from_bytes(digest[n : n + 8], "big") >> 11) / 2**53 for n in range(0, 32, 8)]
    return found[:count]


@register("preference")
@dataclass(frozen=True)
class Preference(OpenEnded):
    """Even digits, and not too many; what a proxy reward with a bias for length makes of that is the question.

    Raises ValueError on bad parameters.
    """

    heldout_share: float = 0.1
    """Expected share of the prompts that only evaluation sees, in (0, 1)."""
    teacher_accuracy: float = 0.4
    """Probability, in [0, 1], that a digit of a teacher's response is even."""
    length_bias: float = 0.55
    """What one more digit is worth to those who label pairs, beyond what it is worth, in nats."""
    data_seed: int = 0
    """Decides which prompts are held out."""

    demonstration_sources: ClassVar[frozenset[Source]] = frozenset({"expert", "teacher"})
    protocols: ClassVar[dict[str, EvalProtocol]] = {
        "sampled": EvalProtocol(1, 1.0, max_tokens=16, source="one sample, as it is trained"),
        "greedy": GREEDY,
    }

    def __post_init__(self) -> None:
        share, accuracy, bias = self.heldout_share, self.teacher_accuracy, self.length_bias
        self._check(
            "heldout_share", type(share) in (int, float) and 0 < share < 1, "a number between 0 and 1, both excluded"
        )
        self._check("teacher_accuracy", type(accuracy) in (int, float) and 0 <= accuracy <= 1, "a number from 0 to 1")
        self._check("length_bias", type(bias) in (int, float) and math.isfinite(bias), "a finite number")
        self._check("data_seed", type(self.data_seed) is int, "any integer")
        self._check("heldout_share", bool(self.train and self.heldout), "a value that leaves prompts on both sides")

    def _check(self, field: str, valid: bool, allowed: str) -> None:
        if not valid:
            raise ValueError(f"preference: {field} = {getattr(self, field)!r}; allowed: {allowed}")

    @cached_property
    def train(self) -> tuple[Example, ...]:
        """Prompts that are not held out, in their order."""
        return self._examples(heldout=False)

    @cached_property
    def heldout(self) -> tuple[Example, ...]:
        """Prompts that are held out, in their order."""
        return self._examples(heldout=True)

    def _examples(self, heldout: bool) -> tuple[Example, ...]:
        prompts = [f"{number:03}" for number in range(1000)]
        return tuple(Example(p, f"{p}=", "") for p in prompts if self._is_heldout(p) == heldout)

    def _is_heldout(self, prompt: str) -> bool:
        return _uniforms(1, "split", self.data_seed, prompt)[0] < self.heldout_share

    def question(self, example: Example) -> None:
        """None: the prompts are generated."""
        return None

    def gold(self, prompt: str, response: str) -> float:
        """What a response is truly worth, in nats; see the module."""
        response = response.strip()
        good = sum(symbol in _EVEN for symbol in response)
        return _WORTH * (1 - math.exp(-good / _SOON)) - _COST * len(response)

    def grade(self, example: Example, response: str) -> Grade:
        """No verdict, but what the response is truly worth."""
        return Grade(0.0, None, response.strip() or None, gold=self.gold(self.instruction(example), response))

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """Expert: a good response, always the same. Teacher: `count` independent noisy draws.

        Draw i depends on (example.id, i, seed) and `teacher_accuracy` alone, so fewer draws are a prefix of more.
        """
        if source == "expert":
            return (_BEST,)[:count]
        return tuple(self._teach("teacher", seed, index, example.id) for index in range(count))

    def _teach(self, *parts: str | int) -> str:
        draws = _uniforms(3 * _LONGEST, *parts)
        ends, digits = draws[:_LONGEST], draws[_LONGEST:]
        length = next((n for n in range(1, _LONGEST) if ends[n] < _STOPS), _LONGEST)
        return _digits(length, self.teacher_accuracy, digits)

    def preference_pairs(self, number: int, seed: int) -> tuple[PreferencePair, ...]:
        """Pairs of responses of any kind to training prompts, as people label them: σ(Δgold + length_bias·Δlength).

        Pair i depends on (i, seed) and the parameters alone; equal responses are drawn again.
        """
        return identified(self._pair(index, seed) for index in range(number))

    def _pair(self, index: int, seed: int) -> tuple[tuple[Message, ...], str, str, str]:
        """Prompt, chosen, rejected, and no part of a set."""
        place, label = _uniforms(2, "pair", seed, index)
        prompt = self.instruction(self.train[int(place * len(self.train))])
        draws = (_anything("pair", seed, index, draw) for draw in count())
        first = next(draws)
        second = next(text for text in draws if text != first)
        better = self.gold(prompt, first) - self.gold(prompt, second)
        better += self.length_bias * (len(first) - len(second))
        chosen, rejected = (first, second) if label < 1 / (1 + math.exp(-better)) else (second, first)
        return user(prompt), chosen, rejected, ""


def _anything(*parts: str | int) -> str:
    """A response of any length, none included, and any share of even digits, all of them as likely."""
    which, even, *draws = _uniforms(2 + 2 * _LONGEST, *parts)
    return _digits(int(which * (1 + _LONGEST)), even, draws)


def _digits(length: int, even: float, draws: Sequence[float]) -> str:
    """So many digits, each even with probability `even`, by pairs of `draws`."""
    kinds = [_EVEN if draw < even else _ODD for draw in draws[::2]]
    return "".join(kind[int(5 * which)] for kind, which in zip(kinds[:length], draws[1::2], strict=False))
