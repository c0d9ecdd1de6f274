"""Open instructions with the data set's own responses, to train on a reward: UltraFeedback, Infinity-Instruct, Alpaca.

Found on the Hub by a short name or by `owner/name`, or in a file. Whichever columns a set has decide how it is read:
pairs of answers as a reward model is fitted to (`pairs.layouts`), or

    instruction, input|context, output|response   (Alpaca, Dolly)
    conversations | messages                      turns of {from, value} or {role, content} (Infinity-Instruct)
    prompt | instruction                          prompts alone

A conversation is asked up to its first answer. The set's best response is an expert's demonstration, its others are a
teacher's; in training the reward rates them like the policy's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple

from .base import GREEDY, EvalProtocol, Example, Message, Source, TaskDataError
from .data import Hub, content_ids, expand, fixed_subset, hub_rows, shared_file
from .files import Columns, Rows, checked, file_rows
from .open_ended import OpenEnded, user
from .pairs.layouts import LAYOUTS as PAIRED
from .pairs.layouts import BadCell, NoPair, messages_of
from .registry import register

SETS: Mapping[str, Hub] = {
    "ultrafeedback": Hub("HuggingFaceH4/ultrafeedback_binarized", "train_prefs"),
    "ultrafeedback-cleaned": Hub("argilla/ultrafeedback-binarized-preferences-cleaned", "train"),
    "infinity-instruct": Hub("BAAI/Infinity-Instruct", "train", configs=("0625",)),
    "alpaca": Hub("tatsu-lab/alpaca", "train"),
    "dolly": Hub("databricks/databricks-dolly-15k", "train"),
}
COPIES = {  # below GROUPBENCH_DATA, of a part at least
    "ultrafeedback-cleaned": "rlhf/ultrafeedback_cleaned*.parquet",
    "alpaca": "rlhf/alpaca_random*.parquet",
    "dolly": "rlhf/dolly*.parquet",
}
_TURNS = (list, str)  # a list, or its JSON
_SINGLE: tuple[Columns, ...] = (
    {"instruction": str, "input": str, "output": str},
    {"instruction": str, "context": str, "response": str},
    {"instruction": str, "output": str},
    {"instruction": str, "response": str},
    {"conversations": _TURNS},
    {"messages": _TURNS},
    {"prompt": _TURNS},
    {"instruction": str},
)
_COLUMNS = (*(layout.columns for layout in PAIRED), *_SINGLE)


class Asked(NamedTuple):
    """A prompt and the responses that its data set has, the best one first."""

    prompt: tuple[Message, ...]
    responses: tuple[str, ...]


@register("instructions")
@dataclass(frozen=True)
class Instructions(OpenEnded):
    """Open instructions to be trained on with a reward; the set's own responses are demonstrations.

    Raises ValueError on bad parameters, TaskDataError for data that cannot be had or read.
    """

    data: str = "ultrafeedback"
    """"ultrafeedback", "ultrafeedback-cleaned", "infinity-instruct", "alpaca", "dolly", or a Hub id, owner/name."""
    file: str | None = None
    """A .parquet, .jsonl or .json file with such columns, instead of the Hub; `~` and `$VARIABLES` are expanded."""
    split: str | None = None
    """Of the Hub's data set; null: the known one's, else train."""
    heldout_share: float = 0.05
    """Expected share of the prompts that only evaluation sees, in (0, 1)."""
    max_prompt_chars: int = 2000
    """Longer prompts are left out: the policy, the reward model and a judge must all be able to read them."""
    limit: int | None = None
    """A fixed subset of so many prompts; null: all."""

    locations: ClassVar[frozenset[str]] = frozenset({"file"})
    demonstration_sources: ClassVar[frozenset[Source]] = frozenset({"expert", "teacher"})
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {
        "sampled": EvalProtocol(1, 0.7, source="as AlpacaEval's models"),
        "greedy": GREEDY,
    }

    def __post_init__(self) -> None:
        share = self.heldout_share
        self._check("data", self.data in SETS or self.data.count("/") == 1, f"{', '.join(SETS)}, or owner/name")
        self._check("heldout_share", 0 < share < 1, "a number between 0 and 1, both excluded")
        self._check("max_prompt_chars", self.max_prompt_chars >= 1, "at least 1")
        self._check("limit", self.limit is None or self.limit >= 2, "at least 2, or null")

    def _check(self, field: str, valid: bool, allowed: str) -> None:
        if not valid:
            raise ValueError(f"instructions: {field} = {getattr(self, field)!r}; allowed: {allowed}")

    @cached_property
    def train(self) -> tuple[Example, ...]:
        """Prompts to train on, in the source's order."""
        return tuple(example for example in self._examples if not self._is_heldout(example))

    @cached_property
    def heldout(self) -> tuple[Example, ...]:
        """Prompts that only evaluation sees, by a hash of their text."""
        return tuple(example for example in self._examples if self._is_heldout(example))

    def _is_heldout(self, example: Example) -> bool:
        digest = sha256(f"heldout|{example.id.rpartition('-')[2]}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < self.heldout_share

    @cached_property
    def _examples(self) -> tuple[Example, ...]:
        found = tuple(Example(name, asked.prompt, "") for name, asked in self._asked.items())
        return fixed_subset(found, None if self.limit is None else min(self.limit, len(found)), "limit")

    @cached_property
    def _asked(self) -> dict[str, Asked]:
        """By id; a prompt that comes again is left out, with its responses."""
        rows = self._rows()
        found: dict[str, Asked] = {}
        for number, row in enumerate(rows.rows, start=1):
            try:
                asked = _read(rows.alternative, row)
            except NoPair:  # two conversations that fork before their ends: which prompt would it be?
                continue
            except BadCell as error:
                raise TaskDataError(f"{rows.origin}, row {number}: {error}") from None
            if sum(len(turn["content"]) for turn in asked.prompt) <= self.max_prompt_chars:
                (name,) = content_ids("prompt", [json.dumps(asked.prompt, sort_keys=True)])
                found.setdefault(name, asked)
        if not found:
            raise TaskDataError(f"{rows.origin}: no prompt of at most max_prompt_chars = {self.max_prompt_chars}")
        return found

    def _rows(self) -> Rows:
        if self.file is not None:
            path = expand(self.file)
            if not path.is_file():
                raise TaskDataError(
                    f"instructions: file = {self.file!r} does not exist; expected a .parquet, .jsonl or .json file"
                )
            return file_rows(path, _COLUMNS)
        if self.data in COPIES and (copy := shared_file((COPIES[self.data],))) is not None:
            return file_rows(copy, _COLUMNS)
        hub = SETS.get(self.data) or Hub(self.data, "train")
        hub = hub if self.split is None else replace(hub, split=self.split)
        found, layout = hub_rows(hub, hub.configs[0], _COLUMNS, "Without a network, set `file` to a file of prompts.")
        return Rows(checked(found, hub.place, _COLUMNS[layout]), hub.place, layout, True)

    def questions_at_hand(self) -> Mapping[str, str]:
        """None: it is no evaluation set, but whatever it is pointed at."""
        return {}

    def demonstrate(self, example: Example, source: Source, count: int, seed: int) -> tuple[str, ...]:
        """Expert: the set's best response. Teacher: its others, as many as there are. `seed` decides nothing."""
        best, *others = self._asked[example.id].responses or ("",)
        found = ([best] if best else []) if source == "expert" else others
        return tuple(found[:count])


def _read(layout: int, row: Mapping[str, Any]) -> Asked:
    """Raises BadCell, and NoPair for a row that has no one prompt."""
    if layout < len(PAIRED):
        prompt, *answers = PAIRED[layout].read(row)
        return Asked(prompt, tuple(dict.fromkeys(text for text in answers if text.strip())))
    keys = list(_SINGLE[layout - len(PAIRED)])
    if len(keys) == 1:
        return _prompt(row[keys[0]], keys[0])
    instruction, answer = row[keys[0]].strip(), row[keys[-1]].strip()
    if len(keys) == 3 and (more := row[keys[1]].strip()):
        instruction = f"{instruction}\n\n{more}"
    return Asked(_plain(instruction, keys[0]), (answer,) if answer else ())


def _prompt(cell: Any, column: str) -> Asked:
    """A text, or a conversation up to its first answer, which is the response; the whole of it where nobody answers."""
    turns = messages_of(cell, column)
    if turns is None:
        return Asked(_plain(cell, column), ())
    end = next((n for n, turn in enumerate(turns) if turn["role"] == "assistant"), len(turns))
    if not any(turn["role"] == "user" for turn in turns[:end]):
        raise BadCell(f"{column} has no user's turn before the answer; expected one")
    answer = turns[end]["content"] if end < len(turns) else ""
    return Asked(turns[:end], (answer,) if answer.strip() else ())


def _plain(text: str, column: str) -> tuple[Message, ...]:
    if not text.strip():
        raise BadCell(f"{column} is empty; expected an instruction")
    return user(text.strip())
