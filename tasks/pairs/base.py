"""What a preference pair is, and what is known of a set of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Protocol

from ..base import Message, TaskDataError
from ..data import content_ids, fixed_subset


@dataclass(frozen=True)
class PreferencePair:
    """Two answers to one prompt, of which `chosen` is preferred; ties are no pairs. `id` is a hash of the texts."""

    id: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    subset: str = ""  # the part of its set, where one was asked for

    def conversations(self) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """The prompt with the chosen answer, and with the rejected one, as a reward model reads them."""
        ends = (Message(role="assistant", content=text) for text in (self.chosen, self.rejected))
        chosen, rejected = ((*self.prompt, end) for end in ends)
        return chosen, rejected


@dataclass(frozen=True)
class Pairs:
    """The pairs of a set, in its order, and why other rows of it are none."""

    pairs: tuple[PreferencePair, ...]
    origin: str  # a file, a Hub set and its split, or a task
    rows: int  # of the source
    dropped: Mapping[str, int] = field(default_factory=dict)  # reason → rows

    @property
    def fingerprint(self) -> str:
        """The sha256 (hex) of the pairs' ids, in order: what the data were, wherever they lie."""
        return sha256("\n".join(pair.id for pair in self.pairs).encode()).hexdigest()

    def said(self) -> str:
        """What there is, in words."""
        left = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items() if count)
        prompts = len({prompt_key(pair) for pair in self.pairs})
        return f"{self.origin}: {len(self.pairs)} pairs on {prompts} prompts" + (f"; left out: {left}" if left else "")

    def limited(self, limit: int | None) -> Pairs:
        """A fixed subset of so many pairs, see `tasks.data.fixed_subset`. Raises TaskDataError."""
        return self if limit is None else replace(self, pairs=fixed_subset(self.pairs, limit, "limit"))

    def without(self, prompts: set[str], reason: str) -> Pairs:
        """Without pairs on these prompts (`prompt_key`)."""
        kept = tuple(pair for pair in self.pairs if prompt_key(pair) not in prompts)
        gone = len(self.pairs) - len(kept)
        return replace(self, pairs=kept, dropped={**self.dropped, **({reason: gone} if gone else {})})

    def split(self, share: float) -> tuple[Pairs, Pairs]:
        """Those for fitting, and about `share` of them held out: all pairs of a prompt lie on one side.

        Prompts are taken in the order of their hashes, so that the same ones are held out whatever the seed. Raises
        TaskDataError where a side would be empty.
        """
        keys = [prompt_key(pair) for pair in self.pairs]
        counts, held, taken = Counter(keys), set[str](), 0
        for key in sorted(counts):
            if taken >= share * len(keys):
                break
            held.add(key)
            taken += counts[key]
        sides = [
            replace(self, pairs=tuple(p for p, key in zip(self.pairs, keys, strict=True) if (key in held) is out))
            for out in (False, True)
        ]
        if not sides[0].pairs or (share and not sides[1].pairs):
            raise TaskDataError(
                f"{self.origin}: {len(keys)} pairs on {len(set(keys))} prompts cannot be split with "
                f"heldout_share = {share}: no prompt may lie on both sides; take more pairs, or another share"
            )
        return sides[0], sides[1]


class PairSource(Protocol):
    """A task that gives pairs of its own, generated: `--pairs TASK` takes them."""

    def preference_pairs(self, count: int, seed: int) -> Sequence[PreferencePair]:
        """`count` pairs, a pure function of the task's parameters and the arguments."""


def prompt_key(pair: PreferencePair) -> str:
    """A hash of the prompt alone: pairs that share it are one cluster, and lie on one side of a split."""
    return sha256(json.dumps([[m["role"], m["content"]] for m in pair.prompt]).encode()).hexdigest()


def identified(found: Iterable[tuple[tuple[Message, ...], str, str, str]]) -> tuple[PreferencePair, ...]:
    """Pairs of (prompt, chosen, rejected, subset), each with an id of its content."""
    rows = list(found)
    texts = (json.dumps([[[m["role"], m["content"]] for m in prompt], *both]) for prompt, *both, _ in rows)
    ids = content_ids("pair", texts)
    return tuple(PreferencePair(identity, *row) for identity, row in zip(ids, rows, strict=True))
