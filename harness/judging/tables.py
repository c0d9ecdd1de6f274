"""`groupbench winrates`: verdicts on disk, as tables. Loads no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leaderboard.declared import suggestion
from leaderboard.export.terminal import Plain
from leaderboard.verdicts import Judged
from leaderboard.winrates import alpaca_package, arena, build, length_control
from leaderboard.winrates.pairs import read_pairs
from leaderboard.winrates.side_file import SideFile

from .. import plugins
from ..console import console, say
from ..errors import UserError
from .side import of_verdicts

POLICIES = tuple(name for name in arena.POLICIES if name != "ours")


def win_rates(
    places: Sequence[Path], names: Sequence[str], reference: str | None, settings: Sequence[str], out: Path | None,
    official: bool, policy: str | None,
) -> int:  # fmt: skip
    """See the command. `official`: AlpacaEval's own length control beside ours; `policy`: an upstream Arena-Hard's."""
    if policy is not None and policy not in POLICIES:
        raise UserError(f"--arena {policy}{suggestion(policy, POLICIES)}")
    judged = build.find(places, names)
    side = side_of(judged, plugins.parse_settings(settings))
    built, errors = build.build(judged, out or places[0], reference, side)
    for made in built:
        console.print(Plain(made.grid))
        for path in made.paths:
            say(f"wrote {path}")
    for one in judged:
        if read_pairs(one).refused is None:
            if official and side is not None and one.record.official:
                _say_official(one, side)
            if policy is not None and one.record.task.name == "arena_hard" and one.record.official:
                found = arena.score(arena.of_judged(one, policy), policy, one.title)
                ends = f"{100 * found.low:.1f} to {100 * found.high:.1f}"
                say(f"{one.title}: {100 * found.score:.2f} ({ends}) by {policy}")
    if errors and not built:
        raise errors[0]
    for error in errors:
        say(f"NO TABLE: {error}")
    return 1 if errors else 0


def side_of(judged: Sequence[Judged], parameters: dict[str, dict[str, Any]]) -> SideFile | None:
    """AlpacaEval's side file, where there are verdicts on it."""
    if unknown := [name for name in parameters if name != "alpaca_eval"]:
        raise UserError(f"--set {unknown[0]}.…: allowed: alpaca_eval.folder, where its side file lies")
    return of_verdicts(judged, parameters.get("alpaca_eval"))


def _say_official(one: Judged, side: SideFile) -> None:
    """Its standard error is not shown, for it is not the estimate's."""
    rows = length_control.of_judged(one)
    if rows is None or len(rows.share) < len(side.difficulty):
        return
    theirs, ours = alpaca_package.official(rows, side), length_control.fit(rows, side)
    said = f"LC {100 * theirs.length_controlled:.2f} by alpaca_eval's own function, {100 * ours.win_rate:.2f} by ours"
    say(f"{one.title}: {said}")
