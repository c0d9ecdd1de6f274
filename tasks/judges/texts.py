"""What is done to answers before a judge sees them, and what is flagged about them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from .games import Pair

Flag = Literal["empty", "truncated", "judge-markers", "duplicate"]

CAP_CHARS = 32_000  # of an answer, about 8,000 tokens: no judge's tokenizer is at hand here
# What a judge's prompt is made of. An answer that holds it may be talking to the judge: it is flagged, not changed.
MARKERS = (
    "## Best Model Identifier", "model_identifier", "<|im_start|>", "<|im_end|>", "[[A", "[[B", "<|User Prompt|>",
    "<|The Start of Assistant", "<|The End of Assistant", "<answer_a>", "</answer_a>", "<answer_b>", "</answer_b>",
)  # fmt: skip

_SIDES = ("candidate", "baseline")
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_UNWANTED = re.compile("[\\0\ud800-\udfff]")


@dataclass(frozen=True)
class Prepared:
    """A pair as the judge gets it. Flags are in a fixed order; `same`: identical answers, so a tie unasked."""

    pair: Pair
    flags: tuple[Flag, ...]  # of the candidate's answer
    baseline_flags: tuple[Flag, ...]

    @property
    def same(self) -> bool:
        """Whether the answers are identical."""
        return self.pair.candidate == self.pair.baseline


def content_of(pair: Pair) -> str:
    """What a verdict is about: a hash of the instruction and both answers, as the judge was shown them."""
    texts = (pair.instruction, pair.candidate, pair.baseline)
    return sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def prepare(pairs: Sequence[Pair], cap_chars: int = CAP_CHARS) -> list[Prepared]:
    """Clean texts, both answers of a pair cut to the same number of characters, and what is to be known about them.

    A duplicate is an answer that the same side gives to another instruction too. Order is kept.
    """
    cleaned = [
        replace(p, instruction=clean(p.instruction), candidate=answer_of(p.candidate), baseline=answer_of(p.baseline))
        for p in pairs
    ]
    repeated = {side: _repeated([(p.instruction, getattr(p, side)) for p in cleaned]) for side in _SIDES}
    return [
        Prepared(
            replace(pair, candidate=pair.candidate[:cap_chars], baseline=pair.baseline[:cap_chars]),
            *(_flags(getattr(pair, side), cap_chars, repeated[side]) for side in _SIDES),
        )
        for pair in cleaned
    ]


def clean(text: str) -> str:
    """A text without NULs and lone surrogates, which no JSON body and no tokenizer takes."""
    return _UNWANTED.sub("", text)


def answer_of(text: str) -> str:
    """A clean answer without what the model thought: that is not what it said."""
    return without_thoughts(clean(text))


def without_thoughts(text: str) -> str:
    """A text without `<think>…</think>`; also where the template opened it, or the end of the tokens kept it open."""
    if "<think>" not in text and "</think>" not in text:
        return text
    head, closed, tail = text.partition("</think>")
    rest = _THOUGHT.sub("", tail if closed and "<think>" not in head else text).strip()
    return "" if rest.startswith("<think>") else rest


def _flags(answer: str, cap_chars: int, repeated: set[str]) -> tuple[Flag, ...]:
    found: dict[Flag, bool] = {
        "empty": not answer.strip(),
        "truncated": len(answer) > cap_chars,
        "judge-markers": any(marker in answer for marker in MARKERS),
        "duplicate": answer in repeated,
    }
    return tuple(flag for flag, there in found.items() if there)


def _repeated(answered: Sequence[tuple[str, str]]) -> set[str]:
    instructions: dict[str, set[str]] = defaultdict(set)
    for instruction, answer in answered:
        instructions[answer].add(instruction)
    return {answer for answer, asked in instructions.items() if len(asked) > 1 and answer.strip()}
