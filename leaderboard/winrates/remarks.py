"""What stands below a win-rate table: what its numbers are, and what is wrong with verdicts or answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ..ranking import ALPHA
from ..tables import SIGNS, UNITS, Line
from ..verdicts import JudgeRecord, Player
from . import length_control
from .pairs import Notice
from .rows import KINDS, Contest

INTERVAL = (
    "interval: 95 % of 1,000 bootstraps over instructions, refitted, for one seed, and over seeds and jackknifed "
    "instructions for several."
)
LC = f"LC: AlpacaEval's length-controlled win rate; {INTERVAL}"
PLAIN_LC = (
    "LC: plainly length-controlled, the win rate at equal lengths by a logistic fit to the row's own pairs: "
    f"AlpacaEval's without its difficulties and gamed answers, and not to be compared with it; {INTERVAL}"
)
BAND = "If unread: the win rate if every game without a verdict were lost, and if it were won."
DISCRETE = "Discrete: pairs won, and half of those tied."
ARENA = "Arena-Hard: weighted mean over games; 95 % interval over questions, and seeds where there are several."
STYLE = "Style-controlled: Arena-Hard at the baseline's length and Markdown, fitted over the rows of this table alone."
CONDUCT = (
    "Consistency: pairs with the same winner in both orders. First: the share of the answer shown first, 50 % without "
    "bias. Invalid: replies that could not be read. They and n are those of the leftmost win rate of the row."
)
PROXY = (
    "The judge is a reward model: where the rows were trained on it, or on one of its family, a win rate measures how "
    "far they optimised it, not how good they are."
)
REFUSED = "Refused: more than 5 % of the games have no verdict, or of the replies could not be read."


def caption(found: Contest, names: set[str], lines: Sequence[Line]) -> tuple[str, ...]:
    """What its columns (`names`) are, against whom, and what a reader must know of its rows."""
    said = [UNITS["share"]]
    plain = any(one.record.task.name != length_control.ALPACA for row in found.rows for one in row.main)
    lc = PLAIN_LC if plain else LC
    for name, words in (("lc_win_rate", lc), ("band", BAND), ("discrete", DISCRETE), ("arena_hard", ARENA),
                        ("style_controlled", STYLE), ("consistency", CONDUCT)):  # fmt: skip
        said += [words] * (name in names)
    said += _terms(found)
    ranking = found.ranking
    if ranking.pairs:
        said.append(
            f"Rank: 1 + the number of rows that are significantly better (paired by seed and item, p < {ALPHA:g} after "
            f"Holm over {ranking.tests} pairs); rows that cannot be told apart share a rank."
        )
    else:
        said.append("No ranks: they take two rows of two seeds each, on the same pairs.")
    entries = [entry for line in lines for entry in line.entries]
    if "vs_reference" in names:
        said.append(
            f"Vs {found.reference}: the judge saw both answers to a prompt; of several seeds, each meets its own. "
            "W/T/L: pairs won, tied and lost there, in all seeds."
        )
    marks = {entry.mark for entry in entries}
    said += [SIGNS["*"]] * bool(marks & {"*", "**"}) + [SIGNS["†"]] * ("†" in marks)
    said += ["‡ judged on other pairs than the reference: not ranked."] * ("‡" in marks)
    said += [SIGNS["Bold"]] * any(entry.bold for entry in entries)
    said += [REFUSED] * any((entry.text or "").startswith("refused") for entry in entries)
    return tuple([*said, *_notices(found)])


def _same(judge: JudgeRecord, player: Player) -> bool:
    """Whether the judge is the player, by weights or by name."""
    plain = [re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].lower()) for name in (judge.model, player.name)]
    return plain[0] == plain[1] or (judge.revision != "" and judge.revision == player.fingerprint)


def _severity(notice: Notice) -> tuple[bool, float]:
    return notice.refuse, abs(notice.value - notice.limit)


def _terms(found: Contest) -> list[str]:
    """Against whom each column is, and which rows were asked a part of the benchmark."""
    said = []
    for kind, name in (("main", "Win rate"), ("arena", "Arena-Hard")):
        records = [one.record for row in found.rows for one in row.of(kind)]  # type: ignore[arg-type]
        if records:
            task = records[0].task
            asked = "".join(f", {key} {value}" for key, value in sorted(task.parameters.items()) if value is not None)
            said.append(f"{name}: {task.name}{asked}, against {records[0].opponent.label}.")
    parts = {
        (row.label, one.record.task.name, len(one.record.pairs), one.record.task.instructions)
        for row in found.rows
        for one in row.every
        if one.record.task.instructions and len(one.record.pairs) < one.record.task.instructions
    }
    said += [f"{label}: {n} of the {whole} instructions of {name}." for label, name, n, whole in sorted(parts)]
    return said


def _notices(found: Contest) -> list[str]:
    """What is wrong with a row's verdicts, of each kind the worst seed's, with its answers, and with the judge."""
    every = [one.record for row in found.rows for one in row.every]
    judge = every[0].judge
    said = [PROXY] * (judge.kind == "reward_model")
    if own := sorted({p.name for one in every for p in (one.candidate, one.opponent) if _same(judge, p)}):
        said.append(f"The judge is one of those judged, {own[0]}: judges prefer their own answers.")
    for row in found.rows:
        reasons = [] if row.refused("main") else [length_control.unplain(one) for one in row.main]
        said += [f"{row.label}: {why}." for why in filter(None, reasons)][:1]
        for kind in KINDS:
            worst: dict[str, Notice] = {}
            flags, theirs = Counter[str](), Counter[str]()
            for pairs in row.pairs[kind]:
                if kind == row.leading:  # the same answers, of whatever kind
                    flags.update(pairs.flags)
                    theirs.update(pairs.opponent_flags if kind == "direct" else {})
                for notice in pairs.notices:
                    known = worst.get(notice.kind)
                    if known is None or _severity(notice) > _severity(known):
                        worst[notice.kind] = notice
            words = [notice.words for notice in worst.values()]
            words += [f"{count} answers are flagged {flag}" for flag, count in sorted(flags.items())]
            words += [f"{count} of the opponent's are flagged {flag}" for flag, count in sorted(theirs.items())]
            if words:
                one = row.of(kind)[0].record
                against = f"against {one.opponent.label}" if kind == "direct" else one.task.name
                said.append(f"{row.label}, {against}: {'; '.join(words)}.")
    return said
