"""The verdicts of judges on one run's answers, with the answers themselves as far as the records hold them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from .. import mine, verdicts
from ..evaluations import read_record
from ..records import RecordError
from ..verdicts import GameRecord, Judged, Player, Record


class _Block(msgspec.Struct):
    """What is read of an `evaluations.ItemBlock`."""

    id: str
    first: int
    responses: list[str]
    prompt: str | None = None


@dataclass(frozen=True)
class Answers:
    """What a checkpoint answered to one task, and what it was asked, by id."""

    texts: Mapping[str, str]
    prompts: Mapping[str, str]

    @cached_property
    def sha(self) -> str:
        """As `Player.outputs_sha`."""
        return verdicts.outputs_hash(self.texts)


@dataclass(frozen=True)
class Comparison:
    """One run against one opponent on one task, by one judge or several."""

    task: str
    opponent: str
    candidate: Answers | None  # None: the answers that were judged are not in these records
    theirs: Answers | None
    judged: tuple[Judged, ...]

    @property
    def ids(self) -> list[str]:
        """Of the pairs that any of the judges was given, in their order."""
        return list(dict.fromkeys(name for one in self.judged for name in one.record.pairs))

    def pair(self, name: str) -> dict[str, Any]:
        """One pair for the page: prompt, both answers, and each judge's games."""
        sides = [side for side in (self.candidate, self.theirs) if side is not None]
        return {
            "id": name,
            "prompt": next((side.prompts[name] for side in sides if name in side.prompts), None),
            "mine": self.candidate.texts.get(name) if self.candidate else None,
            "theirs": self.theirs.texts.get(name) if self.theirs else None,
            "judges": [
                {"judge": one.record.judge.words, "games": [_game(game) for game in one.by_pair[name]]}
                for one in self.judged
                if name in one.by_pair
            ],
        }


@dataclass
class Judgements:
    """All that was judged below one results folder, but in submissions; read when a page asks for it."""

    root: Path
    _read: dict[Path, Answers] = field(default_factory=dict)

    def of(self, cell: Path) -> list[Comparison]:
        """The comparisons whose candidate is the run in folder `cell`."""
        own = {fingerprint for fingerprint, folder in self._evaluations if folder.is_relative_to(cell)}
        found: dict[tuple[str, str], list[Path]] = defaultdict(list)
        for folder, record in self._records:
            if record.candidate.fingerprint in own:
                opponent = record.opponent
                found[record.task.name, f"{opponent.name} {opponent.outputs_sha} {record.candidate.outputs_sha}"] += [
                    folder
                ]
        return [self._comparison([verdicts.read(folder) for folder in folders]) for folders in found.values()]

    @cached_property
    def _records(self) -> list[tuple[Path, Record]]:
        paths = mine.below(self.root, verdicts.FILE)
        return [(path.parent, verdicts.read_record(path.parent)) for path in paths]

    @cached_property
    def _evaluations(self) -> list[tuple[str, Path]]:
        """Fingerprint and folder of each evaluated checkpoint."""
        paths = mine.below(self.root, "evaluation.json") if self._records else []
        return [(read_record(path.parent)["checkpoint"]["fingerprint"], path.parent) for path in paths]

    def _comparison(self, judged: Sequence[Judged]) -> Comparison:
        record = judged[0].record
        candidate, theirs = (self._answers(side, record) for side in (record.candidate, record.opponent))
        return Comparison(record.task.name, record.opponent.label, candidate, theirs, tuple(judged))

    def _answers(self, player: Player, record: Record) -> Answers | None:
        """Exactly what was judged, by its hash."""
        for fingerprint, folder in self._evaluations:
            if player.fingerprint == fingerprint:
                for key, task in read_record(folder)["tasks"].items():
                    if task["protocol"]["task"] == record.task.name:
                        found = self._answered(folder / key / "items.jsonl", task["protocol"]["examples"])
                        if player.outputs_sha in (None, found.sha):
                            return found
        return None

    def _answered(self, path: Path, examples: Sequence[str]) -> Answers:
        if path not in self._read:
            try:
                content = path.read_bytes()  # whose last line a kill may have torn
                blocks = msgspec.json.Decoder(_Block).decode_lines(content[: content.rfind(b"\n") + 1])
            except (OSError, msgspec.DecodeError) as error:
                raise RecordError(f"{path}: not readable as items ({error})") from None
            first = {block.id: block for block in blocks if block.first == 0 and block.responses}
            asked = [first[name] for name in examples if name in first]
            texts = {block.id: block.responses[0] for block in asked}
            self._read[path] = Answers(texts, {block.id: block.prompt for block in asked if block.prompt is not None})
        return self._read[path]


def _game(game: GameRecord) -> dict[str, Any]:
    return {
        "first": game.candidate_first, "status": game.status, "score": game.score, "weight": game.weight,
        "label": game.label and game.label[:200],
    }  # fmt: skip
