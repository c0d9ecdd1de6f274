"""What a run began with, ended with and spent, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import EvalRecord
from ..runs import MODES, SPLITS
from ..words import AXIS_NAMES, NOTHING, number, percent, quantity
from .curves import NAMES, Evals
from .markup import Markup, described, table

MEASURES = (  # rows: field, name, whether a share in %
    ("accuracy", "Accuracy, %", True),
    ("strict", "Strict verdict, %", True),
    ("reward", "Reward", False),
    ("gold", "Gold, nats", False),
    ("kl", "KL to the start, nats a response", False),
    ("entropy", "Entropy, nats a token", False),
    ("response_tokens", "Response tokens", False),
    ("truncated", "Truncated, %", True),
    ("no_answer", "No answer, %", True),
    ("timed_out", "Grader timed out, %", True),
)


def ends(evals: Evals) -> dict[tuple[str, str], tuple[EvalRecord, EvalRecord]]:
    """The first and the last evaluation by split and mode, as far as there is any."""
    places = [(split, mode) for split in SPLITS for mode in MODES]
    return {place: (curve[0], curve[-1]) for place in places if (curve := evals.get(place))}


def finals(evals: Evals) -> Markup:
    """From the first evaluation to the last, a column for each split and mode."""
    found = ends(evals)
    heads = [f"{NAMES[split]}, {mode} × {last['samples']}" for (split, mode), (_, last) in found.items()]
    rows = [[name, *_row(list(found.values()), field, share)] for field, name, share in MEASURES]
    counts = dict.fromkeys(f"{last['examples']} {NAMES[split]}" for (split, _), (_, last) in found.items())
    first, last = next(iter(found.values()))
    caption = f"At step {first['step']} → at step {last['step']}; items: {', '.join(counts)}"
    return table(["", *heads], [row for row in rows if set(row[1:]) != {NOTHING}], caption)


def spent(evals: Evals) -> Markup:
    """The counters of the last evaluation, on every axis."""
    _, last = next(iter(ends(evals).values()))
    counters = last["counters"]
    return described([(name, quantity(counters[axis])) for axis, name in AXIS_NAMES.items()], "facts spent")


def _row(found: Sequence[tuple[EvalRecord, EvalRecord]], field: str, share: bool) -> list[str]:
    """`26.2 → 33.7`, for each."""
    said = []
    for pair in found:
        values: list[float | None] = [record.get(field) for record in pair]  # type: ignore[misc]
        texts = [NOTHING if v is None else percent(v) if share else number(v) for v in values]
        alone = pair[0]["step"] == pair[1]["step"]
        said.append(texts[1] if alone or values[1] is None else " → ".join(texts))
    return said
