"""One candidate against one opponent: asked, and written as verdicts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard import verdicts
from leaderboard.verdicts import Cost, GameRecord, JudgeRecord, PairRecord, Player
from leaderboard.winrates import style
from tasks.base import Example
from tasks.judges import asking
from tasks.judges.asking import Budget, Watch
from tasks.judges.base import as_json
from tasks.judges.cache import Cache
from tasks.judges.games import Pair
from tasks.judges.prices import Price
from tasks.judges.results import Compared, Estimate
from tasks.judges.results import Judged as JudgedPair
from tasks.judges.texts import CAP_CHARS, answer_of, content_of
from tasks.open_ended import OpenEnded

from ..errors import UserError
from ..evaluation.asked import recorded_parameters
from .panel import Panel
from .sides import Side


@dataclass
class Purse:
    """What a command may spend, on all that it judges, and what it has spent."""

    max_usd: float | None = None  # None: no limit
    price: Price | None = None  # the user's
    spent: float = 0.0

    @property
    def budget(self) -> Budget:
        """What is left."""
        return Budget(None if self.max_usd is None else max(0.0, self.max_usd - self.spent), self.price)


@dataclass(frozen=True)
class How:
    """What decides no verdict, but for `orders` and `cap_chars`."""

    orders: int = 2
    cap_chars: int = CAP_CHARS
    purse: Purse = field(default_factory=Purse)
    on_gpu: bool = False  # whether the judge computes on a GPU of one's own


@dataclass(frozen=True)
class Match:
    """Two sides and the examples that both have answered."""

    key: str  # of the task, as the candidate was asked it
    task: OpenEnded
    candidate: Side
    opponent: Side
    official: bool  # whether the opponent is the benchmark's own baseline

    @property
    def examples(self) -> tuple[Example, ...]:
        """In the task's order. Raises UserError where there is none."""
        found = tuple(
            example
            for example in self.task.heldout
            if example.id in self.candidate.answers and example.id in self.opponent.answers
        )
        if not found:
            raise UserError(f"{self.title}: no instruction was answered by both")
        return found

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.key}: {self.candidate.player.name} against {self.opponent.player.name}"

    def pairs(self, examples: Sequence[Example]) -> list[Pair]:
        """The two answers to each."""
        return [
            Pair(e.id, self.task.instruction(e), self.candidate.answers[e.id], self.opponent.answers[e.id])
            for e in examples
        ]


def estimate(match: Match, panel: Panel, cache: Cache | None, how: How) -> list[Estimate]:
    """What `judge` would ask, a prompt at a time; asks nothing."""
    return [
        asking.estimate(
            judge, match.pairs(examples), cache, orders=how.orders, budget=how.purse.budget, cap_chars=how.cap_chars
        )
        for judge, examples in panel.judges
    ]


def judge(match: Match, panel: Panel, cache: Cache | None, how: How, folder: Path, watch: Watch) -> verdicts.Judged:
    """Ask what the cache does not hold, and write the verdicts into `folder`. Raises JudgeError, replies kept."""
    examples = match.examples
    _check_place(folder, match)
    found: dict[str, JudgedPair] = {}
    done: list[Compared] = []
    for one, theirs in panel.judges:
        compared = asking.compare(
            one, match.pairs(theirs), cache, orders=how.orders, budget=how.purse.budget, watch=watch,
            cap_chars=how.cap_chars,
        )  # fmt: skip
        how.purse.spent += compared.usd or 0.0
        found |= {pair.id: pair for pair in compared.pairs}
        done.append(compared)
    judged = verdicts.Judged(
        _record(match, panel, examples, how, done),
        [_pair(match, example, found[example.id]) for example in examples],
        [
            GameRecord(v.id, v.candidate_first, v.status, v.score, v.weight, v.label, v.mass)
            for example in examples
            for v in found[example.id].games
        ],
    )
    verdicts.write(folder, judged)
    return judged


def _record(
    match: Match, panel: Panel, examples: Sequence[Example], how: How, done: Sequence[Compared]
) -> verdicts.Record:
    identity, task = panel.identity, match.task
    known = [compared.usd for compared in done] + [compared.cached_usd for compared in done]
    usages = [compared.usage for compared in done]
    return verdicts.Record(
        schema=verdicts.SCHEMA,
        task=verdicts.Task(task.name, recorded_parameters(task), len(task.heldout)),
        candidate=match.candidate.player,
        opponent=match.opponent.player,
        judge=JudgeRecord(**as_json(identity), backend=identity.backend),
        parser=panel.parser,
        orders=how.orders,
        cap_chars=how.cap_chars,
        official=match.official,
        pairs=[example.id for example in examples],
        cost=Cost(
            calls=sum(u.calls for u in usages),
            cached=sum(u.cached for u in usages),
            prompt_tokens=sum(u.prompt_tokens + u.cached_prompt_tokens for u in usages),
            completion_tokens=sum(u.completion_tokens + u.cached_completion_tokens for u in usages),
            usd=None if None in known else sum(usd or 0.0 for usd in known),
            gpu_seconds=sum(u.seconds + u.cached_seconds for u in usages) if how.on_gpu else 0.0,
        ),
    )


def _pair(match: Match, example: Example, judged: JudgedPair) -> PairRecord:
    """Lengths are of whole answers, as far as a judge could read them; the content is what it was shown."""
    task = match.task
    answers = [answer_of(side.answers[example.id]) for side in (match.candidate, match.opponent)]
    difficulty = task.difficulty(example) if match.official else None  # it is that against the baseline
    return PairRecord(
        id=example.id, content=content_of(judged.shown), chars=(len(answers[0]), len(answers[1])),
        tokens=(style.tokens(answers[0]), style.tokens(answers[1])), difficulty=difficulty,
        style=(style.features(answers[0]), style.features(answers[1])), flags=list(judged.flags),
        opponent_flags=list(judged.baseline_flags), category=task.category(example),
    )  # fmt: skip


def _check_place(folder: Path, match: Match) -> None:
    """Refuse to write over verdicts about something else."""
    if not (folder / verdicts.FILE).exists():
        return
    there = verdicts.read(folder).record
    asked = [("task", there.task.name, match.task.name)]
    for name, mine in (("candidate", match.candidate.player), ("opponent", match.opponent.player)):
        asked.append((name, _identity(getattr(there, name)), _identity(mine)))
    for what, found, wanted in asked:
        if found != wanted:
            raise UserError(f"{folder} holds verdicts with another {what}: {found}, now {wanted}; choose another --out")


def _identity(player: Player) -> str:
    return player.fingerprint or f"{player.name} (answers {player.outputs_sha})"


def slug(panel: Panel, how: How) -> str:
    """A folder's name for what decides the verdicts: another judge, prompt or way to ask has another one."""
    identity = panel.identity
    said = f"{as_json(identity)} {identity.backend} {panel.parser} {how.orders} {how.cap_chars}"
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{identity.kind}-{Path(identity.model).name}").strip("-.")[:60]
    return f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
