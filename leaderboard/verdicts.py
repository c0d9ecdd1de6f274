"""What judging one candidate against one opponent leaves on disk: every game's verdict, and what judged it.

    FOLDER/judged.json   a `Record`: who was judged, by what, on which pairs, and what it cost
           pairs.jsonl   one `PairRecord` a pair of answers, in the record's order
           games.jsonl   one `GameRecord` a question to the judge, in the pairs' order, the candidate's first one first

No file has a clock in it, and pairs and games are the same bytes however often the judging was interrupted; only the
record's `cost` counts what the last session asked and what earlier ones had answered.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from . import packed
from .records import RecordError, write_json

SCHEMA = 1
FILE, PAIRS, GAMES = "judged.json", "pairs.jsonl", "games.jsonl"
Status = Literal["read", "invalid", "failed", "same"]
Flag = Literal["empty", "truncated", "judge-markers", "duplicate"]


class Task(msgspec.Struct, frozen=True):
    """Where the instructions come from."""

    name: str
    parameters: dict[str, Any] = {}
    instructions: int | None = None  # that it has; a record may be of fewer


class Player(msgspec.Struct, frozen=True):
    """Whose answers were judged: a checkpoint, or an outputs file."""

    name: str
    fingerprint: str | None = None  # of the checkpoint; None: only the outputs are known
    algorithm: str | None = None  # None: of no training run of ours, as a benchmark's baseline
    preset: str | None = None  # the row's label, e.g. gift@released; None: the algorithm's name
    seed: int | None = None  # of training
    outputs_sha: str | None = None

    @property
    def label(self) -> str:
        """What its row is called: the seeds of one row share it."""
        return self.preset or self.algorithm or self.name


class JudgeRecord(msgspec.Struct, frozen=True):
    """What decides a verdict besides the answers, and `backend`, which does not."""

    kind: str
    model: str
    revision: str
    prompt: str
    prompt_sha: str
    decode: dict[str, Any] = {}
    backend: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """All but the backend: verdicts of two identities never share a table."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if name != "backend"}

    @property
    def words(self) -> str:
        """`gpt-4-1106-preview`, `Skywork-Reward@1a2b3c4`: as the table has it."""
        return f"{self.model}@{self.revision[:12]}" if self.revision else self.model


class Cost(msgspec.Struct, frozen=True):
    """What the verdicts took, over all sessions as far as it is known."""

    calls: int = 0  # replies that the judge was asked for
    cached: int = 0  # replies that an earlier session had
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = None  # None: the price is not known
    gpu_seconds: float = 0.0


class Record(msgspec.Struct, frozen=True):
    """judged.json."""

    schema: int
    task: Task
    candidate: Player
    opponent: Player
    judge: JudgeRecord
    parser: str  # the policy by which replies were read
    pairs: list[str]  # ids, in the task's order
    cost: Cost = Cost()
    orders: int = 2  # games a pair: 2 with either answer first; 1 in the order that AlpacaEval shows
    cap_chars: int | None = None  # where both answers of a pair were cut
    official: bool = True  # whether the opponent is the benchmark's own baseline


class Style(msgspec.Struct, frozen=True):
    """Markdown of an answer, counted by `winrates.style.features`."""

    headers: int
    lists: int
    bold: int


class PairRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The two answers to one instruction: [candidate, opponent]."""

    id: str
    content: str  # hash of the instruction and both answers
    chars: tuple[int, int]
    tokens: tuple[int, int] | None = None
    difficulty: float | None = None  # AlpacaEval's γ
    style: tuple[Style, Style] | None = None
    flags: list[Flag] = []  # of the candidate's answer
    opponent_flags: list[Flag] = []
    cluster: str | None = None  # pairs of a cluster are not independent of each other
    category: str | None = None

    @property
    def unit(self) -> str:
        """What it is drawn with: its cluster or itself."""
        return self.cluster or self.id


class GameRecord(msgspec.Struct, frozen=True):
    """One question to the judge. `same`: identical answers, a tie without a question."""

    id: str  # the pair's
    candidate_first: bool
    status: Status
    score: float | None = None  # the candidate's share of the point, in [0, 1]; None unless read or same
    weight: int = 1  # 3: Arena-Hard's "much better"
    label: str | None = None
    mass: float | None = None  # probability of the two labels together, where log-probabilities were read

    @property
    def scored(self) -> bool:
        """Whether it has a score."""
        return self.score is not None


@dataclass(frozen=True, eq=False)
class Judged:
    """One candidate against one opponent, as judged; `pairs` in the record's order."""

    record: Record
    pairs: Sequence[PairRecord]
    games: Sequence[GameRecord]

    @cached_property
    def by_pair(self) -> Mapping[str, Sequence[GameRecord]]:
        """The games of each pair, the one with the candidate first before the other; empty where it has none."""
        found: dict[str, list[GameRecord]] = defaultdict(list)
        for game in self.games:
            found[game.id].append(game)
        return {p.id: sorted(found[p.id], key=lambda game: not game.candidate_first) for p in self.pairs}

    @property
    def title(self) -> str:
        """`arena_hard: gift@released against gpt-4-0314`: for messages."""
        return f"{self.record.task.name}: {self.record.candidate.name} against {self.record.opponent.name}"


def outputs_hash(answers: Mapping[str, str]) -> str:
    """Of a side's answers by id: what `Player.outputs_sha` holds."""
    return hashlib.sha256(json.dumps(sorted(answers.items())).encode()).hexdigest()[:16]


def write(folder: Path, judged: Judged) -> None:
    """Replace the three files of a folder, judged.json last. Raises RecordError for what `read` would refuse."""
    _check(judged, folder)
    folder.mkdir(parents=True, exist_ok=True)
    games = [game for games in judged.by_pair.values() for game in games]
    for name, lines in ((PAIRS, judged.pairs), (GAMES, games)):
        temporary = folder / f"{name}.tmp"
        temporary.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        temporary.replace(folder / name)
    write_json(folder / FILE, msgspec.to_builtins(judged.record))


def read(folder: Path) -> Judged:
    """A folder's verdicts, complete or not. Raises RecordError that names the file, the line and what is wrong.

    A torn last line is left out. Refused: another schema, a pair or a game twice, one of a pair that the record does
    not name, a score outside [0, 1], and a game whose status and score do not fit.
    """
    return parse({name: _content(folder / name) for name in (FILE, PAIRS, GAMES)}, folder)


def parse(contents: Mapping[str, bytes], folder: Path) -> Judged:
    """The same of the contents of the three files, by name, which lie in `folder`."""
    record = _record(contents[FILE], folder / FILE)
    pairs = {pair.id: pair for pair in _once(contents[PAIRS], folder / PAIRS, PairRecord, lambda pair: pair.id)}
    games = _once(contents[GAMES], folder / GAMES, GameRecord, lambda game: (game.id, game.candidate_first))
    judged = Judged(record, [pairs[name] for name in record.pairs if name in pairs], games)
    if unknown := sorted(pairs.keys() - set(record.pairs)):
        raise RecordError(f"{folder / PAIRS}: pair {unknown[0]!r} is not one of the {len(record.pairs)} of {FILE}")
    _check(judged, folder)
    return judged


def read_record(folder: Path) -> Record:
    """A folder's judged.json alone. Raises RecordError where it is none, or of another version."""
    return _record(_content(folder / FILE), folder / FILE)


def _record(content: bytes, path: Path) -> Record:
    try:
        record = msgspec.json.decode(content, type=Record)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path}: not a record of judging ({error})") from None
    if record.schema != SCHEMA:
        raise RecordError(f"{path}: verdicts of schema {record.schema}; this version reads {SCHEMA}")
    return record


def _content(path: Path) -> bytes:
    try:
        return packed.content(path)
    except FileNotFoundError:
        hint = "`groupbench judge` writes one" if path.name == FILE else f"{FILE} beside it says that there is one"
        raise RecordError(f"{path}: no such file; {hint}") from None
    except OSError as error:
        raise RecordError(f"{path}: not readable ({error})") from None


def comparable(one: Record, other: Record) -> list[str]:
    """What keeps two records from one table, as `key: this against that`; empty where nothing does."""
    mine, theirs = (
        record.judge.identity | {name: getattr(record, name) for name in ("parser", "orders", "cap_chars")}
        for record in (one, other)
    )
    return [f"{key}: {mine[key]!r} against {theirs[key]!r}" for key in mine if mine[key] != theirs[key]]


Line = TypeVar("Line", PairRecord, GameRecord)


def _once(content: bytes, path: Path, kind: type[Line], key: Any) -> list[Line]:
    """The lines of a file, each key once."""
    lines = content.split(b"\n")
    decode, found = msgspec.json.Decoder(kind).decode, {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            one = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if number == len(lines):  # no newline after it: the writer was killed here
                break
            raise RecordError(f"{path}, line {number}: {error}") from None
        if key(one) in found:
            raise RecordError(f"{path}, line {number}: {key(one)!r} was there before; expected once")
        found[key(one)] = one
    return list(found.values())


def _check(judged: Judged, folder: Path) -> None:
    if not judged.record.pairs:
        raise RecordError(f"{folder / FILE}: names no pair")
    if twice := [name for name, count in Counter(judged.record.pairs).items() if count > 1]:
        raise RecordError(f"{folder / FILE}: pair {twice[0]!r} is named twice; expected once")
    there, seen = {pair.id for pair in judged.pairs}, set()
    if unknown := sorted(there - set(judged.record.pairs)):
        raise RecordError(f"{folder / PAIRS}: pair {unknown[0]!r} is not one of the {len(judged.record.pairs)}")
    for game in judged.games:
        order = "first" if game.candidate_first else "second"
        where = f"{folder / GAMES}, pair {game.id!r}, candidate {order}"
        if game.id not in there:
            raise RecordError(f"{where}: {PAIRS} has no such pair")
        if (game.id, game.candidate_first) in seen:
            raise RecordError(f"{where}: judged twice; expected once")
        seen.add((game.id, game.candidate_first))
        if (game.score is not None) != (game.status in ("read", "same")):
            raise RecordError(f"{where}: status {game.status!r} with score {game.score}; read and same have one")
        if game.score is not None and not (math.isfinite(game.score) and 0 <= game.score <= 1):
            raise RecordError(f"{where}: score {game.score}; expected a share in [0, 1]")
        if game.weight < 1:
            raise RecordError(f"{where}: weight {game.weight}; expected at least 1")
