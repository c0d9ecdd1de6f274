"""AlpacaEval: 805 open instructions (Li et al. 2023, https://github.com/tatsu-lab/alpaca_eval).

Version 2 compares with GPT-4 Turbo's answers (Dubois et al. 2024, https://arxiv.org/abs/2404.04475), version 1 with
text-davinci-003's: those of the Hub's alpaca_eval.json, not those of results/text_davinci_003/model_outputs.json in
upstream's repository, which are others (31 of 805 have the length that version 1's annotations tell of).
The Hub's dataset is a loading script, which `datasets` does not run any more: its files are read. None could be fetched
where this was written; hashes are those that others published for this revision.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, get_args

from .base import GREEDY, EvalProtocol, Example, TaskDataError
from .comparison import ComparisonTask, Entry, OfficialPrompt
from .data import Hub, content_ids, file_sha256, hub_file, load_rows, local_file, shared_file
from .files import file_rows
from .registry import register

Reference = Literal["gpt4_1106_preview", "text_davinci_003"]

_ID, _REVISION = "tatsu-lab/alpaca_eval", "2edc6fad8be6b14ea7230aabfd08188da6b8b814"
_BASELINES: Mapping[Reference, Hub] = {
    "gpt4_1106_preview": Hub(
        _ID, "eval", _REVISION, examples=805, file="alpaca_eval_gpt4_baseline.json",
        sha256="83db546b872ddebee8965fd05fa48461ee3c32bc695c62fb57f2d214ff741ec4",
    ),
    "text_davinci_003": Hub(
        _ID, "eval", _REVISION, examples=805, file="alpaca_eval.json",
        sha256="d92b92c51e8f1962a21193abe74e6f727c2bc8286035f4041505ff38a7c3ae51",
    ),
}  # fmt: skip
_GAMED = Hub(
    _ID, "eval", _REVISION, file="df_gamed.csv",
    sha256="97aeec3f1c7de6dee6fd31fe66f1702623f4614c3efe1c6fc5f4927cd5fd674d",
)  # fmt: skip
_GAMED_FILES = ("df_gamed.csv", "df_gamed_reconstructed.csv.gz")
_GAMED_COLUMNS = ("index", "preference", "std_delta_len", "instruction_difficulty")
_TABLE = "questions_and_references.parquet"
# The sha256 of the 805 ids in the official order, a line each.
_ORDER = "e84be156db637c1a954e78ac19f0877cba47bb649df76926686869ca6d64e7b7"
_PROMPTS = {
    "gpt4_1106_preview": ("alpaca_eval_clf", "gpt-4-1106-preview"),
    "text_davinci_003": ("alpaca_eval", "gpt-4"),
}


class GamedRow(NamedTuple):
    """One answer of GPT-4 Turbo told to be verbose, or concise, against its own plain answer."""

    share: float  # the judge's preference for it, in [0, 1]
    length_difference: float  # characters, plain minus gamed, in standard deviations; the model takes its tanh
    difficulty: float  # the instruction's


@dataclass(frozen=True)
class LengthControl:
    """The numbers that length control (Dubois et al. 2024, section 3) takes from others than the evaluated model."""

    difficulty: Mapping[str, float]  # of every instruction, by the example's id
    gamed: tuple[GamedRow, ...]  # what the fit is regularised to
    path: Path  # of the file that has them
    sha256: str  # of its bytes

    @property
    def official(self) -> bool:
        """Whether the file is AlpacaEval's own, and no reconstruction."""
        return self.sha256 == _GAMED.sha256


@register("alpaca_eval")
@dataclass(frozen=True)
class AlpacaEval(ComparisonTask):
    """805 open instructions, judged against GPT-4 Turbo's answers (AlpacaEval 2)."""

    reference: Reference = "gpt4_1106_preview"
    """Whose answers are the baseline: "gpt4_1106_preview" (AlpacaEval 2) or "text_davinci_003" (AlpacaEval 1)."""

    licence = "CC BY-NC 4.0"
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {
        "sampled": EvalProtocol(
            1,
            0.7,
            source="as its leaderboard's models: of 234 in alpaca_eval 0.6.6, 126 at T = 0.7, 107 with 2048 tokens",
        ),
        "greedy": GREEDY,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference not in get_args(Reference):
            raise ValueError(
                f"{self.name}: reference = {self.reference!r}; allowed: {' or '.join(map(repr, get_args(Reference)))}"
            )

    @property
    def hub(self) -> Hub:
        """The file with the instructions and the baseline's answers."""
        return _BASELINES[self.reference]

    @property
    def opponents(self) -> tuple[str, ...]:
        """The reference."""
        return (self.reference,)

    def judge_prompt(self, example: Example) -> OfficialPrompt:
        """Of the annotator `weighted_alpaca_eval_gpt4_turbo`, or, for version 1, `alpaca_eval_gpt4`.

        Both texts are in the package alpaca_eval too.
        """
        name, judge = _PROMPTS[self.reference]
        places = (f"judge/*{name}.txt", f"evaluators_configs/*/{name}.txt")
        shared = tuple(f"alpaca_eval/{place}" for place in places)
        return OfficialPrompt(name, judge, local_file(self.folder, places, shared, required=False))

    @property
    def _files(self) -> tuple[str, ...]:
        """The Hub's file; for version 2 also a table with its columns, and upstream's copies of it."""
        if self.reference != "gpt4_1106_preview":
            return (str(self.hub.file),)
        return str(self.hub.file), _TABLE, f"{self.reference}/model_outputs.json", "model_outputs.json"

    @property
    def _shared(self) -> tuple[str, ...]:
        return tuple(f"alpaca_eval/{file}" for file in self._files[:2])

    def _load(self) -> Sequence[Entry]:
        answer = "output_gpt4_1106_preview"
        table = {"index": int, "instruction": str, "dataset": str, answer: str}
        upstream = {"instruction": str, "dataset": str, "output": str, "generator": str}
        rows = load_rows(
            hub=self.hub, folder=self.folder, file_patterns=self._files, shared_file_patterns=self._shared,
            columns=(upstream, table),
        )  # fmt: skip
        found = rows.rows
        if rows.alternative == 1:
            found = sorted(found, key=lambda row: row["index"])
            found = [{**row, "output": row[answer], "generator": self.reference} for row in found]
        for number, row in enumerate(found, start=1):
            if row["generator"] != self.reference:
                raise TaskDataError(
                    f"{self.name}: {rows.origin}, row {number} is by {row['generator']!r}; expected {self.reference!r}"
                )
        ids = content_ids("test", (row["instruction"] for row in found))
        return [
            Entry(name, row["instruction"], row["output"], self.reference, row["dataset"])
            for name, row in zip(ids, found, strict=True)
        ]

    def _asked(self) -> Mapping[str, str] | None:
        path = shared_file(self._shared)
        if path is None:
            return None
        asked = [row["instruction"] for row in file_rows(path, [{"instruction": str}]).rows]
        return dict(zip(content_ids("test", asked), asked, strict=True))

    @cached_property
    def length_control(self) -> LengthControl | None:
        """What length control needs; None against text_davinci_003, for which none was ever fitted.

        Read like the instructions: from the folder, from GROUPBENCH_DATA (which may hold a reconstruction), or from the
        Hub. The file numbers the instructions by their official place, so that the numbers are given to instructions
        only if those are the official ones in their order. Raises TaskDataError.
        """
        if self.reference != "gpt4_1106_preview":
            return None
        ids = list(self._entries)
        if (order := sha256("\n".join(ids).encode()).hexdigest()) != _ORDER:
            raise TaskDataError(
                f"{self.name}: length control is defined for the 805 official instructions in their order, by which "
                f"{_GAMED.file} numbers them; these are {len(ids)} others, or in another order (sha256 of the ids "
                f"{order[:12]}, expected {_ORDER[:12]}). Read them from {self.hub.file}"
            )
        shared = tuple(f"alpaca_eval/{name}" for name in _GAMED_FILES)
        path = local_file(self.folder, _GAMED_FILES, shared) or hub_file(_GAMED, (*shared, *_GAMED_FILES))
        difficulty, gamed = _read_gamed(path, len(ids))
        return LengthControl(dict(zip(ids, difficulty, strict=True)), gamed, path, file_sha256(path))

    def difficulty(self, example: Example) -> float | None:
        """AlpacaEval's difficulty of the instruction, found by its text; None against text_davinci_003."""
        control = self.length_control
        return None if control is None else control.difficulty[example.id]


def _read_gamed(path: Path, instructions: int) -> tuple[list[float], tuple[GamedRow, ...]]:
    """The difficulty of every instruction, in the official order, and the gamed rows that have a label."""
    difficulty: dict[int, float] = {}
    gamed = []
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), start=1):  # noqa: B007, the errors name the row
                index, hard, length = int(row["index"]), _number(row["instruction_difficulty"]), row["std_delta_len"]
                if not 0 <= index < instructions:
                    raise ValueError(f"index is {index}; expected 0 to {instructions - 1}")
                difficulty.setdefault(index, hard)  # as alpaca_eval 0.6.6 takes it, metrics/glm_winrate.py
                if row["preference"] not in ("", "nan"):  # left out by it too
                    gamed.append(GamedRow(_number(row["preference"]), _number(length), hard))
    except (OSError, EOFError, ValueError) as error:
        raise TaskDataError(f"{path}, row {number}: {error}") from error
    except (KeyError, TypeError) as error:
        raise TaskDataError(f"{path}, row {number} lacks a column; expected {', '.join(_GAMED_COLUMNS)}") from error
    if len(difficulty) != instructions or not all(0 <= row.share <= 1 for row in gamed):
        raise TaskDataError(
            f"{path} has the difficulty of {len(difficulty)} instructions; expected {instructions}, and preferences "
            "from 0 to 1"
        )
    return [difficulty[n] for n in range(instructions)], tuple(gamed)


def _number(cell: str) -> float:
    if not math.isfinite(found := float(cell)):
        raise ValueError(f"{cell!r} is no finite number")
    return found
