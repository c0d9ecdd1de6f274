"""A submission's verdicts: complete, of its own rows, and each game's score what its label says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .. import verdicts
from ..records import RecordError, content_hash
from ..verdicts import GAMES, PAIRS, GameRecord, Judged, Player, Record
from .cells import Checked
from .faults import Faults
from .files import refuse_hostile
from .manifest import FILE, WORD, PackedVerdicts

LABEL = re.compile(r"([AB])(>>|>|=)([AB])")  # A is the answer that was shown first
ORDERLESS = ("reward_model", "gold")  # kinds of judges that rate each answer by itself
TIE = 1e-6  # of a point: nearer to one half is a tie


def place(record: Record) -> str:
    """Where verdicts lie in a submission: by who was judged, by what, and how."""
    built = msgspec.to_builtins(record)
    said = {key: built[key] for key in ("task", "candidate", "opponent", "parser", "orders", "cap_chars")}
    task = re.sub(r"[^A-Za-z0-9@.+_-]", "-", record.task.name)[:100]
    task = task if re.fullmatch(WORD, task) else f"task-{task}"[:100]
    return f"judged/{task}/{content_hash(said | {'judge': record.judge.identity})[:12]}"


def summary(judged: Judged) -> PackedVerdicts:
    """What the manifest says of them."""
    from ..winrates.pairs import read_pairs  # numpy and scipy, which a submission without verdicts does not need

    record = judged.record
    estimate = read_pairs(judged).estimate
    return PackedVerdicts(
        place(record), record.task.name, record.candidate.name, record.opponent.name, record.judge.words,
        None if estimate is None else round(estimate.mean, 12),
    )  # fmt: skip


def belongs(player: Player, cells: Sequence[Checked]) -> bool:
    """Whether a player is one of these cells; one of no training run is nobody's, and always welcome."""
    if player.algorithm is None:
        return True
    return any((cell.record["algorithm"], cell.record["seed"]) == (player.label, player.seed) for cell in cells)


def check(contents: Mapping[str, bytes], cells: Sequence[Checked], faults: Faults) -> list[PackedVerdicts]:
    """Check all verdicts; what the manifest should say of them, by folder."""
    found = []
    same: dict[str, tuple[str, list[str]]] = {}  # by what asks for the same pairs
    folders = sorted({name.rpartition("/")[0] for name in contents if name.startswith("judged/")})
    for folder in folders:
        judged = _read(folder, contents, faults)
        if judged is None:
            continue
        record, file = judged.record, f"{folder}/{verdicts.FILE}"
        if (expected := place(record)) != folder:
            faults.add(file, "", f"in {folder}", f"in {expected}, by who was judged, by what and how")
        if record.candidate.algorithm is None or not belongs(record.candidate, cells):
            faults.add(file, "candidate", f"{record.candidate.label}, seed {record.candidate.seed}", "one of the cells")
        if not belongs(record.opponent, cells):
            who = f"{record.opponent.label}, seed {record.opponent.seed}"
            faults.add(file, "opponent", who, "one of the cells, or of no training run")
        _complete(folder, judged, faults)
        for game in judged.games:
            _game(f"{folder}/{GAMES}.gz", game, faults)
        asked = content_hash([record.task.name, record.judge.identity, record.parser, record.official])
        first, pairs = same.setdefault(asked, (folder, record.pairs))
        if set(record.pairs) != set(pairs):
            odd = sorted(set(record.pairs) ^ set(pairs))[0]
            faults.add(file, "pairs", f"other pairs: {odd}", f"those of {first}: who is compared is asked the same")
        found.append(summary(judged))
    return found


def check_manifest(said: Sequence[PackedVerdicts], found: Sequence[PackedVerdicts], faults: Faults) -> None:
    """What the manifest says of the verdicts against what the games give."""
    mine, theirs = {one.folder: one for one in said}, {one.folder: one for one in found}
    for folder in sorted(mine.keys() | theirs.keys()):
        if folder not in mine or folder not in theirs or len(said) != len(mine):
            faults.add(
                FILE, "verdicts", f"{', '.join(sorted(mine)) or 'none'}", f"{', '.join(sorted(theirs)) or 'none'}"
            )
            return
        for name in PackedVerdicts.__struct_fields__:
            one, other = getattr(mine[folder], name), getattr(theirs[folder], name)
            if name == "share" and None not in (one, other) and abs(one - other) < 1e-9:
                continue
            if one != other:
                faults.add(FILE, f"verdicts, {folder}", f"{name} = {one}", f"{other}, from its games")


def _read(folder: str, contents: Mapping[str, bytes], faults: Faults) -> Judged | None:
    names = (verdicts.FILE, PAIRS, GAMES)
    if absent := [name for name in names if f"{folder}/{name}" not in contents]:
        name = f"{folder}/{absent[0]}" + ("" if absent[0] == verdicts.FILE else ".gz")
        if not any(fault.file == name for fault in faults.found):
            faults.add(name, "", "no such file", "the three files of a judge's verdicts", unsafe=True)
        return None
    found = {name: contents[f"{folder}/{name}"] for name in names}
    try:
        judged = verdicts.parse(found, Path(folder))
        raw: Any = msgspec.json.decode(found[verdicts.FILE])
    except (RecordError, msgspec.MsgspecError, RecursionError) as error:
        where, _, rest = str(error).removeprefix(f"{folder}/").partition(": ")
        what, _, expected = rest.partition("; expected ")
        file, _, record = where.partition(", ")
        faults.add(f"{folder}/{file}" + ("" if file == verdicts.FILE else ".gz"), record, what, expected, unsafe=True)
        return None
    refuse_hostile(f"{folder}/{verdicts.FILE}", raw, faults)
    refuse_hostile(f"{folder}/{PAIRS}.gz", list(judged.pairs), faults)
    return judged


def _complete(folder: str, judged: Judged, faults: Faults) -> None:
    """Every pair of the record, and every game of each."""
    there = {pair.id for pair in judged.pairs}
    if absent := [name for name in judged.record.pairs if name not in there]:
        faults.add(f"{folder}/{PAIRS}.gz", f"pair {absent[0]}", "not there", f"all {len(judged.record.pairs)} pairs")
    expected = judged.record.orders
    if expected not in (1, 2):
        faults.add(f"{folder}/{verdicts.FILE}", "orders", expected, "1 or 2 games a pair")
        return
    if judged.record.judge.kind in ORDERLESS:  # one game a pair, or, read out of a file, as many as for any judge
        expected = min(expected, max([1, *(len(games) for games in judged.by_pair.values())]))
    for name, games in judged.by_pair.items():
        same = any(game.status == "same" for game in games)
        if len(games) != expected and not (games and same):
            faults.add(f"{folder}/{GAMES}.gz", f"pair {name}", f"{len(games)} games", f"{expected}")
            return


def _game(file: str, game: GameRecord, faults: Faults) -> None:
    """The label, as far as it names the better answer, against the score; equal answers are a tie."""
    where = f"pair {game.id}, candidate {'first' if game.candidate_first else 'second'}"
    if game.status == "same" and game.score != 0.5:
        faults.add(file, where, f"score {game.score} of equal answers", 0.5)
    named = LABEL.fullmatch(game.label or "")
    if game.status != "read" or game.score is None or named is None:
        return
    first = game.score if game.candidate_first else 1 - game.score
    winner = None if named[2] == "=" else named[1]
    found = None if abs(first - 0.5) < TIE else "A" if first > 0.5 else "B"
    if named[1] != named[3] and found != winner and (found is not None or named[2] == "="):
        expected = (
            "one half" if winner is None else f"more for the answer shown {'first' if winner == 'A' else 'second'}"
        )
        faults.add(file, where, f"score {game.score} with the label {game.label}", expected)
    if game.weight == 3 and named[2] != ">>":
        faults.add(file, where, f"weight 3 with the label {game.label}", "a label with >>")
