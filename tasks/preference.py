"""A preference that is known in closed form: what RLHF does to it, offline, in seconds.

A prompt shows three digits, a response is a string of digits. What it is truly worth, in nats (log-odds of being
preferred, Bradley and Terry 1952):

    gold(x, y) = ½·(#digits of y that x shows − #other symbols) − ¼·k·(k + 1)/2,   k = max(0, |y| − 6)

Six digits out of the prompt are best, 3 nats; each further one costs more than the one before it. People who label
pairs of responses for a reward model see that, and are also a little impressed by length (`length_bias`): a proxy
trained on their labels is right about most pairs, and pushes a policy to responses that are too long. Gold never enters
training unless a recipe says so (`reward: gold`), and judges what training has done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import ClassVar

from .base import GREEDY, EvalProtocol, Example, Grade, Source
from .open_ended import OpenEnded, user
from .pairs import PreferencePair
from .registry import register

BEST_LENGTH = 6
_WORTH, _EXCESS = 0.5, 0.25  # nats of a symbol, and of the first one too many
_SHORTEST, _LONGEST = 2, 8  # lengths of the teacher's responses


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
    """Digits that the prompt shows are good, six of them are best; what a proxy reward makes of that is the question.

    Raises ValueError on bad parameters.
    """

    heldout_share: float = 0.2
    """Expected share of the prompts that only evaluation sees, in (0, 1)."""
    teacher_accuracy: float = 0.6
    """Probability, in [0, 1], that a digit of a teacher's response is one that the prompt shows."""
    length_bias: float = 0.4
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
        """Prompts whose digits are not held out, in their order."""
        return self._examples(heldout=False)

    @cached_property
    def heldout(self) -> tuple[Example, ...]:
        """Prompts whose digits are held out, in their order."""
        return self._examples(heldout=True)

    def _examples(self, heldout: bool) -> tuple[Example, ...]:
        prompts = [f"{n:03}=" for n in range(1000) if len(set(f"{n:03}")) == 3]
        return tuple(Example(prompt[:3], prompt, "") for prompt in prompts if self._is_heldout(prompt) == heldout)

    def _is_heldout(self, prompt: str) -> bool:
        return _uniforms(1, "split", self.data_seed, "".join(sorted(prompt[:3])))[0] < self.heldout_share

    def leak_key(self, example: Example) -> str:
        """The digits, in whatever order: the same responses are good."""
        return "".join(sorted(example.id))

    def gold(self, prompt: str, response: str) -> float:
        """What a response is truly worth, in nats; see the module."""
        response = response.strip()
        shown = set(prompt[:3])
        good = sum(symbol in shown for symbol in response)
        excess = max(0, len(response) - BEST_LENGTH)
        return _WORTH * (2 * good - len(response)) - _EXCESS * excess * (excess + 1) / 2

    def grade(self, example: Example, response: str) -> Grade:
        """No verdict, but what the response is truly worth."""
        return Grade(0.0, None, response.strip() or None, gold=self.gold(self.instruction(example), response))

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """Expert: a best response, of which one is shown. Teacher: `count` independent noisy draws.

        Draw i depends on (example.id, i, seed) and `teacher_accuracy` alone, so fewer draws are a prefix of more.
        """
        if source == "expert":
            return (example.id * 2,) if count > 0 else ()
        return tuple(self._teach(example.id, "teacher", seed, index) for index in range(count))

    def _teach(self, shown: str, *parts: str | int) -> str:
        length, *draws = _uniforms(1 + 2 * _LONGEST, *parts, shown)
        digits = _SHORTEST + int(length * (_LONGEST - _SHORTEST + 1))
        others = [digit for digit in "0123456789" if digit not in shown]
        return "".join(
            shown[int(3 * which)] if good < self.teacher_accuracy else others[int(7 * which)]
            for good, which in zip(draws[:digits], draws[_LONGEST:], strict=False)
        )

    def preference_pairs(self, count: int, seed: int) -> list[PreferencePair]:
        """Pairs of a teacher's responses to training prompts, as people label them: σ(Δgold + length_bias·Δlength).

        Pair i depends on (i, seed) and the parameters alone; equal responses are drawn again.
        """
        return [self._pair(index, seed) for index in range(count)]

    def _pair(self, index: int, seed: int) -> PreferencePair:
        place, label = _uniforms(2, "pair", seed, index)
        example = self.train[int(place * len(self.train))]
        drawn: list[str] = []
        while len(drawn) < 2:
            found = self._teach(example.id, "pair", seed, index, len(drawn), sum(map(len, drawn)))
            drawn += [found] * (found not in drawn)
        prompt = self.instruction(example)
        better = self.gold(prompt, drawn[0]) - self.gold(prompt, drawn[1])
        better += self.length_bias * (len(drawn[0]) - len(drawn[1]))
        chosen, rejected = drawn if label < 1 / (1 + math.exp(-better)) else drawn[::-1]
        return PreferencePair(f"pair-{seed}-{index}", user(prompt), chosen, rejected)
