"""How the settings of a table's rows were found, in words: trials, space, the choice, and what the others scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .records import SearchRecord
from .runs import Table

TRAINING = "training."


@dataclass(frozen=True)
class Found:
    """One row's search."""

    label: str
    trials: int
    failed: tuple[str, ...]  # trial and cause
    space: str
    chosen: str
    score: float | None
    others: tuple[float, ...]  # scores of the other trials, best first
    edge: tuple[str, ...]  # ranges whose end the choice is nearest to of all trials: a better one may lie beyond


def found(table: Table) -> list[Found]:
    """The searches of a table's rows, by label."""
    rows = sorted(table.rows, key=lambda row: row.label)
    return [_found(row.label, row.search) for row in rows if row.search is not None]


def unsearched(table: Table) -> list[str]:
    """The rows of a table with searches that have none."""
    return sorted(r.label for r in table.rows if r.search is None and not r.control) if found(table) else []


def protocol(search: SearchRecord) -> str:
    """What all trials of a search had in common: `final sampled accuracy on the dev split: …`."""
    seeds = ", ".join(map(str, search["seeds"]))
    return (
        f"{search['metric']} ({search['dev_examples']} examples, expected share {search['dev_share']:g} of the "
        f"training set, not trained on in the trials), mean over seed{'s' * (len(search['seeds']) > 1)} {seeds}"
    )


def setting(values: Mapping[str, Any]) -> str:
    """`learning_rate=0.000173, clip_low=0.03`."""
    return ", ".join(f"{name.removeprefix(TRAINING)}={value}" for name, value in values.items())


def space(declared: Mapping[str, Any]) -> str:
    """`learning_rate 3e-05 to 0.001 (log); clip_low, clip_high of 3`."""
    parts = []
    for names, span in declared.items():
        name = names.replace(TRAINING, "")
        if isinstance(span, Mapping):
            parts.append(f"{name} {float(span['low']):g} to {float(span['high']):g} ({span.get('scale', 'log')})")
        else:
            parts.append(f"{name} of {', '.join(map(str, span))}")
    return "; ".join(parts)


def _found(label: str, search: SearchRecord) -> Found:
    trials, best = search["trials"], search["trials"][search["chosen"]]
    others = [trial["score"] for trial in trials if trial is not best and trial["score"] is not None]
    edge = []
    for name, span in search["space"].items():
        if isinstance(span, Mapping) and len(trials) > 1:
            tried = [trial["setting"][name] for trial in trials]
            edge += [name.removeprefix(TRAINING)] * (best["setting"][name] in (min(tried), max(tried)))
    return Found(
        label=label,
        trials=len(trials),
        failed=tuple(f"{trial['label']}: {' '.join(trial['error'].split())}" for trial in trials if trial["error"]),
        space=space(search["space"]),
        chosen=setting(best["setting"]),
        score=best["score"],
        others=tuple(sorted(others, reverse=True)),
        edge=tuple(edge),
    )
