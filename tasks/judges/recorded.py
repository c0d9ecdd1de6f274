"""Recorded verdicts, as other projects and ours keep them, as replies that can be looked up.

    Arena-Hard   JSONL, a question a line with its `games`: the baseline is A in game 0, the candidate in game 1
    AlpacaEval   annotations, JSON or JSONL: output_1 is the baseline; the order shown is its seeded switch
    ours         a cache's folder or shard, or the games.jsonl of a comparison, with the pairs.jsonl beside it

Arena-Hard: lmarena/arena-hard-auto@0489bf3 and @196f6b8, gen_judgment.py. AlpacaEval: tatsu-lab/alpaca_eval@cd543a1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from .asking import alpaca_eval_order
from .attempts import logprobs_of
from .base import Identity, JudgeError
from .cache import Line, key_of, read
from .games import Game, Pair, Reply
from .parsing import PARSERS
from .prompts import OURS, JudgePrompt
from .texts import content_of, prepare

Rows = list[tuple[str, dict[str, Any]]]  # where a row stands, and the row


@dataclass(frozen=True)
class Recorded:
    """Replies by key. A reply with a `share` says what was read; its text is the label, where one is known."""

    replies: Mapping[str, Reply]
    model: str  # the judge that once replied
    policy: str | None  # how its replies are read; None: the record does not say
    prompt_sha: str = ""
    by_text: bool = False  # keys are of texts; else of the pair's id and the order
    shown: Mapping[str, str] | None = None  # by key, what the judge saw: a check where keys are ids
    identity: Identity | None = None  # of a cache's replies, whose keys it is part of
    content: Mapping[str, str] | None = None  # by pair, `content_of` what was judged: a check where keys are ids

    def find(self, game: Game, prompt: JudgePrompt | None) -> Reply | None:
        """The reply to a game; None where there is none, or it was about other answers."""
        if self.identity is not None:
            reply = self.replies.get(key_of(self.identity, game))
            if reply is None and self.identity.kind == "reward_model":  # one game a pair: the order says nothing
                reply = self.replies.get(key_of(self.identity, replace(game, candidate_first=not game.candidate_first)))
                reply = replace(reply, share=1 - reply.share) if reply and reply.share is not None else reply
            return reply
        if not self.by_text:
            key = _by_id(game.pair.id, game.candidate_first)
            shown = (self.shown or {}).get(key)
            if shown is not None and not (game.first in shown and game.second in shown):
                return None
            if self.content is not None and self.content.get(game.pair.id) != content_of(game.pair):
                return None
            return self.replies.get(key)
        if prompt is not None:
            found = self.replies.get(_digest(prompt.messages(game)[-1]["content"]))
            if found is not None:
                return found
        return self.replies.get(_digest(game.pair.instruction, game.first, game.second))


def load(path: Path, prompt: JudgePrompt | None, candidate: str | None) -> Recorded:
    """A file's or folder's replies. `candidate`: whose, in a file of several models' answers.

    Raises JudgeError that names the file, the row, what was found and what is expected.
    """
    path = path.expanduser()
    if path.is_dir():
        return _cached(path, read(path), prompt)
    rows = _rows(path)
    keys = set(rows[0][1]) if rows else set()
    if {"key", "reply", "judge_id"} <= keys:
        return _cached(path, read(path), prompt)
    if "games" in keys:
        return _arena_hard(_of(candidate, "model", rows, path), prompt)
    if {"instruction", "output_1", "output_2", "preference"} <= keys:
        return _alpaca_eval(_of(candidate, "generator_2", rows, path))
    if {"id", "candidate_first", "status"} <= keys:
        return _games(path, rows)
    raise JudgeError(
        f"{path}: keys {', '.join(sorted(keys)) or 'none'}; expected Arena-Hard's judgments (games), AlpacaEval's "
        "annotations (instruction, output_1, output_2, preference), games.jsonl, or a cache of verdicts"
    )


def _rows(path: Path) -> Rows:
    """The objects of a JSON list or of JSONL."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip().startswith("["):
            found = [(f"{path}, row {number}", row) for number, row in enumerate(json.loads(text), start=1)]
        else:
            lines = enumerate(text.split("\n"), start=1)
            found = [(f"{path}, line {number}", json.loads(line)) for number, line in lines if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise JudgeError(f"{path}: cannot be read ({error}); expected JSON or JSONL of recorded verdicts") from None
    for where, row in found:
        if not isinstance(row, dict):
            raise JudgeError(f"{where}: {type(row).__name__}; expected an object")
    return found


def _of(candidate: str | None, key: str, rows: Rows, path: Path) -> Rows:
    """One model's rows."""
    names = sorted({str(row.get(key)) for _, row in rows})
    if candidate is None and len(names) > 1:
        raise JudgeError(f"{path}: answers of {len(names)} models; name the candidate: {', '.join(names)}")
    if candidate is not None and candidate not in names:
        raise JudgeError(f"{path}: no answers of {candidate!r}; there are {', '.join(names)}")
    return [(where, row) for where, row in rows if candidate is None or str(row.get(key)) == candidate]


def _judge_of(rows: Rows, key: str) -> str:
    """Whose replies the rows are. JudgeError where they are of several judges."""
    where, first = rows[0]
    for other, row in rows:
        if row.get(key) != first.get(key):
            raise JudgeError(f"{where} is by the judge {first.get(key)!r}, {other} by {row.get(key)!r}; expected one")
    return str(first.get(key, ""))


def _arena_hard(rows: Rows, prompt: JudgePrompt | None) -> Recorded:
    replies: dict[str, Reply] = {}
    shown: dict[str, str] = {}
    policy = "upstream-v2" if "uid" in rows[0][1] else "upstream-v0.1"
    for where, row in rows:
        identity = row.get("uid", row.get("question_id"))
        games = row["games"]
        if not isinstance(identity, str) or not isinstance(games, list) or len(games) > 2:
            raise JudgeError(f"{where}: expected question_id or uid, and at most two games")
        for number, game in enumerate(games):
            if not isinstance(game, dict):  # null: the question got no reply
                continue
            judgment = game.get("judgment")
            text = judgment.get("answer") if isinstance(judgment, dict) else judgment
            if not isinstance(text, str):
                continue
            asked = game.get("user_prompt") or (game.get("prompt") or [{}])[-1].get("content")
            by_id = _by_id(identity, number == 1)
            key = _digest(asked) if prompt is not None and asked else by_id
            if key in replies and replies[key].text != text:
                raise JudgeError(f"{where}, game {number}: judged twice, with two replies; expected one")
            replies[key] = Reply(text)
            if asked:
                shown[by_id] = asked
    sha = prompt.sha if prompt is not None else ""
    return Recorded(replies, _judge_of(rows, "judge"), policy, sha, by_text=bool(shown and prompt), shown=shown)


def _alpaca_eval(rows: Rows) -> Recorded:
    replies = {}
    for where, row in rows:
        raw = row.get("raw_completion")
        try:
            instruction, preference = row["instruction"], row["preference"]
            pair = prepare([Pair("", instruction, row["output_2"], row["output_1"])])[0].pair
            choice = json.loads(raw) if isinstance(raw, str) and raw else raw
            first, reply = _alpaca_eval_reply(instruction, preference, choice)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise JudgeError(f"{where}: no annotation of AlpacaEval ({type(error).__name__}: {error})") from None
        game = Game(pair, first)
        if reply is not None:
            replies[_digest(pair.instruction, game.first, game.second)] = reply
    return Recorded(replies, _judge_of(rows, "annotator"), "alpaca_eval", by_text=True)


def _alpaca_eval_reply(instruction: str, preference: float | None, choice: Any) -> tuple[bool, Reply | None]:
    """Whether the candidate was shown first, and the reply: its log-probabilities where it keeps them.

    The order is AlpacaEval's; where the preference says that it was the other one, that is believed.
    """
    first = alpaca_eval_order(instruction)
    score = 0.5 if preference == 0 else -1.0 if preference is None else preference - 1  # v1 writes a tie as 0
    if isinstance(choice, dict):
        reply = Reply(
            str(choice.get("text", "")), logprobs_of(choice), prompt_tokens=int(choice.get("total_tokens") or 0)
        )
        share = PARSERS["alpaca_eval"](reply).first
        if share is not None and 0 <= score <= 1:
            first = first if abs((share if first else 1 - share) - score) < 1e-3 else not first
        return first, reply
    return first, Reply("", share=score if first else 1 - score) if 0 <= score <= 1 else None


def _games(path: Path, rows: Rows) -> Recorded:
    replies = {}
    for where, row in rows:
        score, first = row.get("score"), row["candidate_first"]
        if row["status"] == "invalid":
            replies[_by_id(row["id"], first)] = Reply(str(row.get("label") or ""))
        elif row["status"] in ("read", "same"):
            if not isinstance(score, int | float) or not 0 <= score <= 1:
                raise JudgeError(f"{where}: status {row['status']!r} with score {score!r}; expected one in [0, 1]")
            reply = Reply(str(row.get("label") or ""), share=score if first else 1 - score)
            replies[_by_id(row["id"], first)] = reply
    pairs = _rows(path.with_name("pairs.jsonl"))
    content = {str(row.get("id")): str(row.get("content")) for _, row in pairs}
    return Recorded(replies, _recorded_model(path.with_name("judged.json")), "ours", content=content)


def _recorded_model(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["judge"]["model"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _cached(path: Path, lines: Iterable[Line], prompt: JudgePrompt | None) -> Recorded:
    """The replies of one judge: of several, the one that was asked with `prompt`."""
    lines = [line for line in lines if prompt is None or line.identity.prompt_sha == prompt.sha]
    identities = {line.identity for line in lines}
    if len(identities) != 1:
        names = ", ".join(sorted(f"{i.kind}:{i.model} (prompt {i.prompt_sha[:8]})" for i in identities)) or "none"
        raise JudgeError(f"{path}: replies of {names}; expected those of one judge to one prompt")
    identity = identities.pop()
    known = {ours.sha: ours.parser for ours in OURS.values()} | {"": "share"}
    replies = {line.key: replace(line.reply, text="") if line.reply.share is not None else line.reply for line in lines}
    return Recorded(replies, identity.model, known.get(identity.prompt_sha), identity.prompt_sha, identity=identity)


def _by_id(identity: str, candidate_first: bool) -> str:
    return _digest(identity, "candidate first" if candidate_first else "baseline first")


def _digest(*texts: str) -> str:
    return sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
