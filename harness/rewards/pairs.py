"""Sets of pairs by name: a task that gives its own, or what `tasks.pairs` reads; and a reward model's word on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leaderboard.stats.preferences import PreferenceReport, preferences
from tasks.base import TaskDataError
from tasks.pairs import SETS, Pairs, load_pairs, prompt_key

from .. import plugins
from ..errors import UserError
from .scorer import RewardScorer

GENERATED = 2000  # pairs of a task, where nobody says how many


def find_pairs(
    name: str, parameters: Mapping[str, Any] | None = None, limit: int | None = None, seed: int = 0
) -> Pairs:
    """The pairs of a task with `parameters`, drawn from `seed`, or of a set; `limit`: so many. Reads no model.

    Raises UserError for a task that gives none and for parameters that are none of the task's, TaskDataError as
    `load_pairs`.
    """
    known = plugins.known_tasks()
    if name not in known:
        if parameters:
            raise UserError(f"pairs {name!r} has no parameters: it is no task; found: {', '.join(parameters)}")
        return load_pairs(name).limited(limit)
    task = plugins.build_task(name, parameters or {}, f"pairs {name}")
    if not hasattr(task, "preference_pairs"):
        giving = [task_name for task_name, cls in known.items() if hasattr(cls, "preference_pairs")]
        raise UserError(
            f"pairs {name!r}: the task gives no pairs; allowed: {', '.join([*giving, *SETS])}, an owner/name on "
            "the Hub, a file or a folder"
        )
    count = GENERATED if limit is None else limit
    found = tuple(task.preference_pairs(count, seed))
    if not found:
        raise TaskDataError(f"task {name}: no pairs; expected {count}")
    return Pairs(found, f"task {name}, seed {seed}", len(found))


@dataclass(frozen=True)
class Measured:
    """A reward model on one set of pairs; `too_long`: pairs that it cannot read whole, which are in no number."""

    name: str
    fingerprint: str  # of the pairs measured
    report: PreferenceReport
    too_long: int = 0
    dropped: Mapping[str, int] | None = None


def measure(scorer: RewardScorer, name: str, pairs: Pairs) -> Measured:
    """Score both answers of each pair that fits into the model's context. Raises RewardError where none does.

    Lengths are characters of the answers; pairs of one prompt are one cluster.
    """
    limit = scorer.limit
    kept = [
        pair
        for pair in pairs.pairs
        if limit is None or all(len(scorer.encoded(chat, reply=False)) <= limit for chat in pair.conversations())
    ]
    if not kept:
        raise scorer.error(
            f"reward model {scorer.model!r}: it reads {limit} tokens, and none of the {len(pairs.pairs)} pairs of "
            f"{name} is as short"
        )
    scored = scorer.score([chat for pair in kept for chat in pair.conversations()])
    rewards = [one.reward for one in scored]
    if bad := [reward for reward in rewards if not abs(reward) < float("inf")]:
        raise scorer.error(
            f"reward model {scorer.model!r}: {len(bad)} of {len(rewards)} rewards on {name} are no finite numbers, the "
            f"first is {bad[0]}; try --precision float32, or another model"
        )
    report = preferences(
        [chosen - rejected for chosen, rejected in zip(rewards[::2], rewards[1::2], strict=True)],
        [len(pair.chosen) for pair in kept],
        [len(pair.rejected) for pair in kept],
        [prompt_key(pair) for pair in kept],
    )
    measured = Pairs(tuple(kept), pairs.origin, pairs.rows)
    return Measured(name, measured.fingerprint, report, len(pairs.pairs) - len(kept), dict(pairs.dropped))
