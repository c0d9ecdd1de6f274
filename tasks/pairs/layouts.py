r"""How preference sets write a pair in a row: which columns, and how a prompt and two answers are read from them.

    prompt, chosen, rejected               texts, or messages (UltraFeedback; Skywork has no prompt column)
    conversations, chosen, rejected        ShareGPT: {"from": "human" | "gpt" | …, "value": text}
    chosen, rejected                       messages, or HH transcripts: "\n\nHuman: …\n\nAssistant: …"
    instruction and/or input, output_1, output_2, label     1 or 2 is the better output (LLMBar)
    instruction, input, response1, response2, annotator1 … annotator3     0 (tie), 1 or 2; the majority (PandaLM)
    question, response_A, response_B, label                 A>B or B>A (JudgeBench)

Messages are {"role", "content"} or ShareGPT's; a cell may hold them as JSON text. Where both answers are whole
conversations, what they begin with together is the prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..base import Message
from ..files import Columns

Read = tuple[tuple[Message, ...], str, str]
"""Prompt, chosen and rejected answer."""

TIE, FORKED = "ties", "without a common prompt"
_ROLES = {
    "system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
    "tool": "tool", "function_call": "assistant", "observation": "user",
}  # fmt: skip
_TURN = re.compile(r"\n\n(Human|Assistant):")
_CELL = (str, list, dict)
_NOTE = (str, type(None))


class BadCell(Exception):
    """A cell that cannot be read: its column, what was found and what is expected."""


class NoPair(Exception):
    """A row that holds no pair, for a reason that is counted."""


@dataclass(frozen=True)
class Layout:
    """Needed columns with the types of their cells, and what reads a row of them; BadCell and NoPair come from it."""

    columns: Columns
    read: Callable[[Mapping[str, Any]], Read]


def _prompted(row: Mapping[str, Any]) -> Read:
    prompt = messages_of(row["prompt"], "prompt") or (Message(role="user", content=_text(row["prompt"], "prompt")),)
    return _after(prompt, row)


def _sharegpt(row: Mapping[str, Any]) -> Read:
    prompt = messages_of(row["conversations"], "conversations")
    if prompt is None:
        raise BadCell(f"conversations is {row['conversations']!r:.60}; expected messages with from and value")
    return _after(prompt, row)


def _whole(row: Mapping[str, Any]) -> Read:
    both = [_conversation(row[column], column) for column in ("chosen", "rejected")]
    same = 0
    while same < min(map(len, both)) - 1 and both[0][same] == both[1][same]:
        same += 1
    if not same or any(len(one) != same + 1 for one in both):
        raise NoPair(FORKED)
    return both[0][:same], _answer(both[0][-1], "chosen"), _answer(both[1][-1], "rejected")


def _after(prompt: tuple[Message, ...], row: Mapping[str, Any]) -> Read:
    """Answers behind a prompt of its own column; whole conversations say the prompt once more."""
    found = {column: messages_of(row[column], column) for column in ("chosen", "rejected")}
    if all(messages is not None and len(messages) > 1 for messages in found.values()):
        return _whole(row)
    answers = []
    for column, messages in found.items():
        if messages is not None and len(messages) != 1:
            raise BadCell(f"{column} has {len(messages)} messages; expected one answer, or whole conversations in both")
        answers.append(_answer(messages[0], column) if messages else _text(row[column], column))
    return prompt, answers[0], answers[1]


def _outputs(row: Mapping[str, Any]) -> Read:
    outputs = row["output_1"], row["output_2"]
    if row["label"] not in (1, 2):
        raise BadCell(f"label is {row['label']!r}; expected 1 or 2, the better output's number")
    return _instructed(row), outputs[row["label"] - 1], outputs[2 - row["label"]]


def _annotated(row: Mapping[str, Any]) -> Read:
    votes = [row[f"annotator{n}"] for n in (1, 2, 3)]
    if not set(votes) <= {0, 1, 2}:
        raise BadCell(f"annotator1 … annotator3 are {votes}; expected 0 (tie), 1 or 2")
    better = next((number for number in (1, 2) if votes.count(number) >= 2), None)
    if better is None:
        raise NoPair(TIE)
    return _instructed(row), row[f"response{better}"], row[f"response{3 - better}"]


def _lettered(row: Mapping[str, Any]) -> Read:
    answers = row["response_A"], row["response_B"]
    if row["label"] in ("A=B", "tie"):
        raise NoPair(TIE)
    if row["label"] not in ("A>B", "B>A"):
        raise BadCell(f"label is {row['label']!r}; expected A>B or B>A (or A=B, a tie)")
    better, worse = answers if row["label"] == "A>B" else answers[::-1]
    return (Message(role="user", content=row["question"]),), better, worse


def _instructed(row: Mapping[str, Any]) -> tuple[Message, ...]:
    parts = [row.get("instruction"), row.get("input")]
    return (Message(role="user", content="\n\n".join(part for part in parts if part)),)


def _conversation(cell: Any, column: str) -> tuple[Message, ...]:
    messages = messages_of(cell, column)
    if messages is not None:
        return messages
    text = cell if isinstance(cell, str) else ""
    if not text.startswith("\n\n"):
        text = "\n\n" + text.lstrip("\n")
    before, *turns = _TURN.split(text)
    if before or not turns:
        raise BadCell(
            f"{column} is {cell!r:.60}, and there is no column prompt; expected messages, or a transcript "
            r"'\n\nHuman: …\n\nAssistant: …'"
        )
    roles = ("user" if name == "Human" else "assistant" for name in turns[::2])
    return tuple(Message(role=role, content=said.strip()) for role, said in zip(roles, turns[1::2], strict=True))


def messages_of(cell: Any, column: str) -> tuple[Message, ...] | None:
    """A cell's messages; None where it holds plain text. A text counts as JSON only where that gives messages."""
    if isinstance(cell, str):
        try:
            read = json.loads(cell) if cell.lstrip()[:1] in ("[", "{") else None
        except (ValueError, RecursionError):
            return None
        listed = [read] if isinstance(read, dict) else read
        if not isinstance(listed, list) or not listed or not all(_is_message(one) for one in listed):
            return None
        cell = listed
    turns = [cell] if isinstance(cell, dict) else cell
    if not turns or not all(_is_message(one) for one in turns):
        raise BadCell(f"{column} is {cell!r:.60}; expected text, or messages with role and content (or from and value)")
    return tuple(_message(turn, column) for turn in turns)


def _is_message(turn: Any) -> bool:
    return isinstance(turn, dict) and (turn.keys() >= {"role", "content"} or turn.keys() >= {"from", "value"})


def _message(turn: Mapping[str, Any], column: str) -> Message:
    role, content = (turn["role"], turn["content"]) if "role" in turn else (turn["from"], turn["value"])
    if role not in _ROLES or not isinstance(content, str):
        raise BadCell(
            f"{column} has a message of role {role!r} with content {content!r:.40}; expected text and one of the "
            f"roles {', '.join(_ROLES)}"
        )
    return Message(role=_ROLES[role], content=content)


def _answer(message: Message, column: str) -> str:
    if message["role"] != "assistant":
        raise BadCell(f"{column} ends with a message of the role {message['role']}; expected the assistant's answer")
    return message["content"]


def _text(cell: Any, column: str) -> str:
    if not isinstance(cell, str):
        raise BadCell(f"{column} is {type(cell).__name__}; expected text")
    return cell


_ANNOTATORS: Columns = {f"annotator{n}": int for n in (1, 2, 3)}
_OUTPUTS: Columns = {"output_1": str, "output_2": str, "label": int}
_BOTH: Columns = {"chosen": _CELL, "rejected": _CELL}
LAYOUTS: Sequence[Layout] = (
    Layout({"prompt": _CELL, **_BOTH}, _prompted),
    Layout({"conversations": _CELL, **_BOTH}, _sharegpt),
    Layout(_BOTH, _whole),
    Layout({"instruction": str, "input": _NOTE, **_OUTPUTS}, _outputs),
    Layout({"instruction": str, **_OUTPUTS}, _outputs),
    Layout({"input": str, **_OUTPUTS}, _outputs),
    Layout({"instruction": str, "input": _NOTE, "response1": str, "response2": str, **_ANNOTATORS}, _annotated),
    Layout({"question": str, "response_A": str, "response_B": str, "label": str}, _lettered),
)
