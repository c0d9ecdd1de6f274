"""AlpacaEval's side file: how hard each instruction is, and two baselines that were made longer and shorter on purpose.

The folder holds, under the names of the Hub's `tatsu-lab/alpaca_eval` or of a reconstruction:

    df_gamed.csv                      | df_gamed_reconstructed.csv.gz
    instruction_difficulty.csv        | instruction_difficulty_recovered.csv         γ by index
    alpaca_eval_gpt4_baseline.json    | alpaca_eval.json | questions_and_references.parquet   the instructions, by index
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..records import RecordError, read_json
from ..stats.valid import Array

GAMED = ("df_gamed.csv", "df_gamed_reconstructed.csv.gz")
DIFFICULTY = ("instruction_difficulty.csv", "instruction_difficulty_recovered.csv")
INSTRUCTIONS = ("alpaca_eval_gpt4_baseline.json", "alpaca_eval.json", "questions_and_references.parquet")
WEIGHT = 0.1  # of a gamed row: λ/2, λ = 0.2, two of them (alpaca_eval 0.6.6, metrics/glm_winrate.py)


@dataclass(frozen=True, eq=False)
class SideFile:
    """What length control knows besides the verdicts; M gamed rows, K instructions."""

    difficulty: Array  # (K,) γ by the instruction's index
    gamed_length: Array  # (M,) tanh of the standardised difference of lengths
    gamed_difficulty: Array  # (M,)
    gamed_share: Array  # (M,) the judge's preference for the gamed answers, in [0, 1]
    index: Mapping[str, int]  # of an instruction's `key`; empty where the folder names no instructions
    path: Path  # of the gamed rows

    def indices(self, instructions: Sequence[str]) -> list[int]:
        """Where each instruction stands, by its text. RecordError for one that is not there, or is twice."""
        if not self.index:
            raise RecordError(f"{self.path.parent}: no instructions to join rows by; expected {_either(INSTRUCTIONS)}")
        unknown = [text for text in instructions if key(text) not in self.index]
        if unknown:
            raise RecordError(
                f"{self.path.parent}: {len(unknown)} of {len(instructions)} instructions have no difficulty there, "
                f"the first is {unknown[0][:60]!r}"
            )
        found = [self.index[key(text)] for text in instructions]
        if len(set(found)) < len(found):
            twice = next(text for n, text in enumerate(instructions) if found[n] in found[:n])
            raise RecordError(f"instruction {twice[:60]!r} stands twice among the rows; expected once")
        return found

    def difficulties(self, instructions: Sequence[str]) -> Array:
        """γ of each instruction (N,), joined by text and never by row. RecordError as in `indices`."""
        return self.difficulty[self.indices(instructions)]


def key(instruction: str) -> str:
    """What an instruction is joined by: the sha256 of its text."""
    return hashlib.sha256(instruction.encode("utf-8", "surrogatepass")).hexdigest()


def read(folder: Path) -> SideFile:
    """A side file from a folder. RecordError that names what is missing, or what does not fit together."""
    import pandas as pd

    gamed_path, difficulty_path = _one(folder, GAMED), _one(folder, DIFFICULTY)
    if gamed_path is None:
        raise RecordError(f"{folder}: no {_either(GAMED)}; length control takes the gamed baselines' rows")
    gamed = pd.read_csv(gamed_path)
    columns = ["preference", "index", "std_delta_len", "instruction_difficulty"]
    if missing := [name for name in columns if name not in gamed.columns]:
        raise RecordError(f"{gamed_path}: no column {missing[0]!r}; it has {', '.join(map(str, gamed.columns))}")
    if bad := int((~np.isfinite(gamed[columns].to_numpy(dtype=float))).any(axis=1).sum()):
        raise RecordError(f"{gamed_path}: {bad} of {len(gamed)} rows have a value that is no number")
    once = gamed.drop_duplicates("index").sort_values("index")
    difficulty = once["instruction_difficulty"].to_numpy(dtype=float)
    if list(once["index"]) != list(range(len(once))):
        raise RecordError(f"{gamed_path}: its indices are not 0 … {len(once) - 1}")
    if difficulty_path is not None:
        own = pd.read_csv(difficulty_path, index_col=0).sort_index().iloc[:, 0].to_numpy(dtype=float)
        if len(own) != len(difficulty) or np.abs(own - difficulty).max() > 1e-6:
            raise RecordError(f"{difficulty_path}: other difficulties than in {gamed_path.name}")
    instructions = _instructions(folder)
    if instructions and len(instructions) != len(difficulty):
        raise RecordError(f"{folder}: {len(instructions)} instructions, and {len(difficulty)} difficulties")
    index = {key(text): number for number, text in enumerate(instructions)}
    if len(index) < len(instructions):
        raise RecordError(f"{folder}: {len(instructions) - len(index)} instructions stand twice; expected each once")
    return SideFile(
        difficulty,
        np.tanh(gamed["std_delta_len"].to_numpy(dtype=float)),
        gamed["instruction_difficulty"].to_numpy(dtype=float),
        gamed["preference"].to_numpy(dtype=float),
        index,
        gamed_path,
    )


def _instructions(folder: Path) -> list[str]:
    """The instructions in their order; empty where the folder names none."""
    path = _one(folder, INSTRUCTIONS)
    if path is None:
        return []
    if path.suffix == ".json":
        rows = read_json(path)
        try:
            return [row["instruction"] for row in rows]
        except (TypeError, KeyError):
            raise RecordError(f"{path}: expected a list of objects with an instruction each") from None
    import pandas as pd

    return pd.read_parquet(path, columns=["index", "instruction"]).sort_values("index")["instruction"].tolist()


def _one(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)
