"""Generated sums: a task that needs no download, with pairs of operands that neither a warm start nor RL ever sees.

A tenth of the pairs is held out, because on sums that were all seen before RL merely lowers the policy's temperature:
sampled accuracy rises while nothing is learnt. With held-out pairs there is something to learn, and to overfit. The
noisy teacher gives a warm start whose most likely answer is often right and whose samples often are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import ClassVar, Literal, get_args

from .base import Example, Grade, Message, Source, Task
from .grading import MAX_ANSWER_CHARS, last_number, same_number
from .registry import register

Form = Literal["plain", "chat"]

_OPERANDS = {1: 10, 2: 20, 3: 50, 4: 100}  # level -> number of operands, from 0 up
_OFFSETS = (-10, -2, -1, 1, 2, 10)  # the teacher's errors
_INTEGER = re.compile(r"-?[0-9]+")


def _uniform(*parts: str | int) -> tuple[float, int]:
    """A number in [0, 1) and an independent 64-bit integer, from a hash: the same in every process and Python."""
    digest = sha256("|".join(["arithmetic", *map(str, parts)]).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53, int.from_bytes(digest[8:16], "big")


@register("arithmetic")
@dataclass(frozen=True)
class Arithmetic(Task):
    """Sums `a + b`; both orders of a pair are on the same side of the split.

    Whether a pair is held out depends on `data_seed`, the pair and `heldout_share` alone: a pair held out at one level
    is held out at all, and a larger share only adds pairs. Raises ValueError on bad parameters and on an empty split.
    """

    level: int = 3
    """Difficulty: the operands are 0..9 (1), 0..19 (2), 0..49 (3) or 0..99 (4)."""
    form: Form = "plain"
    """"plain" is `7+5=` answered by bare digits, for a character model; "chat" is a question for an instruct model."""
    heldout_share: float = 0.1
    """Expected share of the pairs that only evaluation sees, in (0, 1)."""
    teacher_accuracy: float = 0.6
    """Probability, in [0, 1], that one draw of the noisy teacher is right."""
    data_seed: int = 0
    """Decides which pairs are held out."""

    demonstration_sources: ClassVar[frozenset[Source]] = frozenset({"expert", "teacher"})

    def __post_init__(self) -> None:
        self._check("level", type(self.level) is int and self.level in _OPERANDS, "1, 2, 3 or 4")
        self._check("form", self.form in get_args(Form), "'plain' or 'chat'")
        share, accuracy = self.heldout_share, self.teacher_accuracy
        self._check(
            "heldout_share", type(share) in (int, float) and 0 < share < 1, "a number between 0 and 1, both excluded"
        )
        self._check("teacher_accuracy", type(accuracy) in (int, float) and 0 <= accuracy <= 1, "a number from 0 to 1")
        self._check("data_seed", type(self.data_seed) is int, "any integer")
        enough = "a value that leaves pairs on both sides of the split at this level and data_seed"
        self._check("heldout_share", bool(self.train and self.heldout), enough)

    def _check(self, field: str, valid: bool, allowed: str) -> None:
        if not valid:
            raise ValueError(f"arithmetic: {field} = {getattr(self, field)!r}; allowed: {allowed}")

    @cached_property
    def train(self) -> tuple[Example, ...]:
        """Every ordered pair that is not held out, ordered by a, then b."""
        return self._examples(heldout=False)

    @cached_property
    def heldout(self) -> tuple[Example, ...]:
        """Every ordered pair that is held out, ordered by a, then b."""
        return self._examples(heldout=True)

    def _examples(self, heldout: bool) -> tuple[Example, ...]:
        operands = range(_OPERANDS[self.level])
        return tuple(self._example(a, b) for a in operands for b in operands if self._is_heldout(a, b) == heldout)

    def _is_heldout(self, a: int, b: int) -> bool:
        return _uniform("split", self.data_seed, min(a, b), max(a, b))[0] < self.heldout_share

    def _example(self, a: int, b: int) -> Example:
        if self.form == "plain":
            return Example(id=f"{a}+{b}", prompt=f"{a}+{b}=", answer=str(a + b))
        question: Message = {"role": "user", "content": f"What is {a} + {b}? Answer with the number only."}
        return Example(id=f"{a}+{b}", prompt=(question,), answer=str(a + b))

    def leak_key(self, example: Example) -> str:
        """The unordered pair: 7+5 gives 5+7 away."""
        return "+".join(sorted(example.id.split("+"), key=int))

    def grade(self, example: Example, response: str) -> Grade:
        """Reward 1.0 for the right sum, else 0.0.

        Plain: the response, stripped, must be the sum's digits and nothing else; `007` and `+7` are wrong, being
        other strings of a small alphabet that the policy can learn to avoid. Chat: the last number of the response
        counts, by value, so that `12.`, `**12**`, `7 + 5 = 12` and `012` are all right; an instruct model is not
        marked down for its manners.
        """
        if self.form == "plain":
            stripped = response.strip()
            usable = len(stripped) <= MAX_ANSWER_CHARS and _INTEGER.fullmatch(stripped)
            extracted, correct = (stripped if usable else None), stripped == example.answer
        else:
            extracted = last_number(response)
            correct = extracted is not None and same_number(extracted, example.answer)
        return Grade(reward=float(correct), correct=correct, extracted=extracted)

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """Expert: the right answer, of which there is only one. Teacher: `count` independent noisy draws.

        Draw i depends on (example.id, i, seed) and `teacher_accuracy` alone, so fewer draws are a prefix of more.
        """
        if source == "expert":
            return (example.answer,) if count > 0 else ()
        if source == "teacher":
            return tuple(self._teach(example, index, seed) for index in range(count))
        return ()

    def _teach(self, example: Example, index: int, seed: int) -> str:
        right = int(example.answer)
        share, choice = _uniform("teacher", seed, index, example.id)
        if share < self.teacher_accuracy:
            return example.answer
        wrong = [right + offset for offset in _OFFSETS if right + offset >= 0]
        return str(wrong[choice % len(wrong)])
