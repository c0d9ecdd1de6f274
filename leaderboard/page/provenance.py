"""What a run was, where it was made, and how to make it again: the part of its page that nobody else's text is in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..records import CellRecord, Status
from ..words import NOTHING, one_line, quantity
from . import again
from .markup import Content, Markup, described, element, folded, joined, table

LONGEST = 2000  # characters of one value that are shown
MIB = 2**20


def reproduction(cell: CellRecord, name: str, earlier: bool = False) -> Markup:
    """The commands that make the same cell again, and its own recipe; `name` is that of the page.

    `earlier`: a plug-in's file has been edited since.
    """
    known = cell["provenance"]
    if not isinstance(known.get("recipe"), Mapping):
        return element("p", (
            "The record does not say how to run this again: it is of an earlier version, a stage that others begin "
            "with, or a trial of a search. Its full specification is below."
        ))  # fmt: skip
    parts: list[Markup] = []
    if lines := again.commands(known, name):
        parts += [element("p", "Out of the recipe that it is from:"), _command(lines)]
    words = [*again.RUN, f"{name}.yaml", *map(str, known.get("plugins") or ()), *again.out(name)]
    text = recipe(cell)
    download = {"href": f"data:text/yaml;charset=utf-8,{quote(text)}", "download": f"{name}.yaml", "class": "button"}
    parts += [
        element("p", ["Alone, by a recipe that holds nothing else: ", element("a", f"Save {name}.yaml", download)]),
        _command([*again.code(known), shlex.join(words)]),
        folded("The recipe", element("pre", text)),
    ]
    return joined([*parts, *(element("p", remark, {"class": "note"}) for remark in _remarks(cell, earlier))])


def recipe(cell: CellRecord) -> str:
    """The recorded recipe of this cell alone, as YAML."""
    import yaml

    return str(yaml.safe_dump(cell["provenance"]["recipe"], sort_keys=False, allow_unicode=True, width=110))


def _remarks(cell: CellRecord, earlier: bool) -> list[str]:
    """What the commands do not carry."""
    known, spec = cell["provenance"], cell["spec"]
    said = []
    if known.get("commit", "") and str(known["commit"]).endswith("+"):
        said.append("The code had changes that are in no commit; the commit alone may run otherwise.")
    foreign = [key for key in ("algorithm", "task", "reward") if _field(spec.get(key), "source")]
    if foreign:
        said.append(
            f"Not ours: {' and '.join(foreign)}. The run's id holds a hash of that source, and of what it imports of "
            "its author's, which are needed too."
        )
    if earlier:
        said.append("That source was edited after this run: with the present one, these commands make another cell.")
    if known.get("control"):
        said.append("It runs two cells: this control arm, and the algorithm that the arm repeats.")
    if _field(spec.get("budget"), "seconds") is not None:
        said.append("Its budget has a limit in seconds, so where it ends depends on the machine.")
    return said


def origin(cell: CellRecord, status: Status | None) -> Markup:
    """Code, machine, sessions, memory and weights."""
    known = cell["provenance"]
    commit, versions = str(known.get("commit") or ""), known.get("versions") or {}
    entries: list[tuple[str, Content]] = [
        ("Run", element("code", cell["id"])),
        (
            "Commit",
            [element("code", commit.removesuffix("+") or "not recorded"), ", with changes" * commit.endswith("+")],
        ),
        ("Versions", ", ".join(f"{key} {value}" for key, value in sorted(versions.items())) or NOTHING),
        ("Python", _text(known.get("python"))),
        ("Hardware", _text(known.get("device"))),
        ("Threads", _text(known.get("threads"))),
        ("Model", [_text(known.get("model")), " ", element("code", str(known.get("start") or ""))]),
    ]
    if status is not None:
        entries += [
            ("Weights before", element("code", status["weights_start"] or NOTHING)),
            ("Weights after", element("code", status["weights_end"] or NOTHING)),
            ("Wall clock", f"{quantity(status['seconds'])} s, evaluation included"),
        ]
    if shared := _field(known.get("overlaps"), "shared"):
        listed = ", ".join(f"{count} of the {questions} of {task}" for task, (count, questions) in shared.items())
        entries.append(("Trained on evaluation questions", listed))
    parts = [described(entries, "facts")]
    if sessions := known.get("sessions"):
        parts.append(_sessions(sessions))
    if memory := known.get("memory"):
        parts.append(_memory(memory))
    return joined(parts)


def _sessions(sessions: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [
        [str(n), _text(one.get("started")), f"step {_text(one.get('resumed_from'))}", _text(one.get("device")),
         _text(str(one.get("commit") or NOTHING)[:12])]
        for n, one in enumerate(sessions, start=1)
    ]  # fmt: skip
    return table(("Session", "Started", "Went on from", "Device", "Commit"), rows, "Sessions")


def _memory(memory: Mapping[str, Any]) -> Markup:
    """The plan that was made before it started."""

    def mib(size: object) -> str:
        return f"{size / MIB:,.0f}" if isinstance(size, int | float) else NOTHING

    phases: Mapping[str, Mapping[str, Any]] = memory.get("phases") or {}
    parts = sorted({part for phase in phases.values() for part in phase})
    rows = [[phase, *(mib(sizes.get(part)) for part in parts)] for phase, sizes in phases.items()]
    peak = f"Peak {mib(memory.get('peak'))} of {mib(memory.get('room'))} MiB, in {_text(memory.get('peak_phase'))}"
    turns = "; models take turns" if memory.get("offload") else ""
    return table(("Phase", *parts), rows, f"Memory plan in MiB. {peak}{turns}.")


def card(cell: CellRecord) -> Markup:
    """What the algorithm computes, in words."""
    description = _text(cell["provenance"].get("description"))
    if "card" not in cell:
        return element("p", description if description != NOTHING else "No spec card was recorded.")
    words = [(key, one_line(str(value))) for key, value in cell["card"]["words"].items()]
    failing = cell["card"].get("failing", {})
    words += [(f"does not conform: {one_line(key)}", one_line(value)) for key, value in failing.items()]
    return joined([element("p", description), described(words, "facts")])


def specification(spec: Mapping[str, Any]) -> Markup:
    """The whole identity, mappings within mappings."""
    return folded("The full specification, whose hash is the run's id", _nested(spec))


def _nested(value: Any) -> Markup:
    if isinstance(value, Mapping) and value:
        return described([(str(key), _nested(inner)) for key, inner in value.items()], "nested")
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        return described([(str(n), _nested(inner)) for n, inner in enumerate(value)], "nested")
    return joined(_text(", ".join(map(str, value)) if isinstance(value, list | tuple) and value else value))


def _command(lines: Sequence[str]) -> Markup:
    copy = element("button", "Copy", {"class": "copy", "type": "button"})
    return element("div", [element("pre", "\n".join(lines), {"class": "command"}), copy], {"class": "commands"})


def _field(part: Any, key: str) -> Any:
    return part.get(key) if isinstance(part, Mapping) else None


def _text(value: object) -> str:
    if value is None or value == "" or value == [] or value == {}:
        return NOTHING
    said = one_line(str(value).lower() if isinstance(value, bool) else str(value))
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
