"""Numbers and names as words, the same in every export and every sentence below a table."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .analysis import Analysis
from .records import Axis, Measure
from .runs import MODES, Table

NOTHING = "–"
AXIS_NAMES: Mapping[Axis, str] = {
    "steps": "steps",
    "optimizer_steps": "optimizer steps",
    "prompts": "prompts",
    "generated_tokens": "generated tokens",
    "trained_tokens": "trained tokens",
    "flops": "FLOPs",
    "seconds": "seconds",
}
_PREFIXES = ((1e24, "Y"), (1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def titles(tables: Sequence[Table]) -> list[str]:
    """One title a table: benchmark, task, model; with the table's slug where two would be the same."""
    plain = [f"{table.benchmark}: {table.task}, {table.model or 'model unknown'}" for table in tables]
    counts = Counter(plain)
    return [
        title if counts[title] == 1 else f"{title} ({table.slug})" for title, table in zip(plain, tables, strict=True)
    ]


def budget(spec: Mapping[str, Any] | None) -> str:
    """A budget in words: `50 steps or 2 M generated tokens, whichever comes first`."""
    if spec is None:
        return "unknown (no cell was started)"
    limits = [
        f"{quantity(limit)} {AXIS_NAMES.get(axis, axis)}"  # type: ignore[call-overload]
        for axis in (*AXIS_NAMES, *sorted(spec.keys() - AXIS_NAMES.keys()))
        if (limit := spec.get(axis)) is not None
    ]
    if not limits:
        return "none recorded"
    return limits[0] if len(limits) == 1 else f"{', '.join(limits[:-1])} or {limits[-1]}, whichever comes first"


def quantity(value: object) -> str:
    """A count with at most four digits and an SI prefix, `512`, `1.235 M`, `20 k`, or what else stands there."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    factor, prefix = scale(value)
    # What is no whole number was measured or averaged, and is not exact to four digits.
    digits = 4 if value == int(value) or abs(value / factor) >= 999.5 else 3
    return minus(f"{value / factor:.{digits}g}") + prefix


def number(value: float) -> str:
    """Three digits; 1234.5 is not 1.23e+03."""
    return quantity(value) if math.isinf(value) or abs(value) >= 999.5 else minus(f"{value:.3g}")


def scale(value: float) -> tuple[float, str]:
    """By what a count is divided, and the prefix that says so: (1e6, " M"); (1, "") below 10 000."""
    if abs(value) >= 9999.5:  # what would be shown as 1e+04
        for factor, prefix in _PREFIXES:
            if abs(value) >= 0.9999 * factor:
                return factor, f" {prefix}"
    return 1.0, ""


def measured(analysis: Analysis) -> str:
    """How many held-out items the last evaluations had: `200 held-out items, sampled × 4, greedy × 1`; may be empty.

    Where items are no more independent of each other than clusters of them: `235 held-out items in 120 clusters, …`.
    """
    sizes: dict[str, dict[str, None]] = {}
    for mode in MODES:
        for row in analysis.rows:
            scores = analysis.scores(row, mode)
            clusters = f" in {len(set(scores.clusters))} clusters" if scores and scores.clusters else ""
            for cell in row.done:
                if last := cell.final(mode):
                    items = f"{last['examples']} held-out items{clusters}"
                    sizes.setdefault(items, {})[f"{mode} × {last['samples']}"] = None
    return " or ".join(f"{items}, {', '.join(how)}" for items, how in sizes.items())


def conditions(analysis: Analysis) -> str:
    """`Budget of each run: 50 steps. Finished seeds a row: 3. Last evaluation: 200 held-out items, sampled × 4.`."""
    chains = ", of a chain for its last stage unless noted" if any(row.stages for row in analysis.rows) else ""
    said = [f"Budget of each run{chains}: {budget(analysis.table.budget)}."]
    if analysis.table.reward is not None:
        said.append(f"Trained on the reward {analysis.table.reward}.")
    seeds = sorted({len(row.done) for row in analysis.rows if not row.control})
    if any(seeds):
        said.append(f"Finished seeds a row: {' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))}.")
    if sizes := measured(analysis):
        said.append(f"Last evaluation: {sizes}.")
    return " ".join(said)


def settings(table: Table) -> str:
    """The settings that all rows share, as far as they are recorded: `Protocol: 16 prompts × 8 responses a step, …`."""
    rows = [{"training": row.training, **row.protocol} for row in table.rows if row.training or row.protocol]

    def shared(part: str, name: str) -> str:
        values = [row.get(part, {}).get(name) for row in rows]
        return (
            quantity(values[0]) if values and values[0] is not None and values.count(values[0]) == len(values) else ""
        )

    prompts, responses = shared("training", "prompts_per_step"), shared("training", "responses_per_prompt")
    updates, probe = shared("training", "updates_per_rollout"), shared("evaluation", "probe")
    temperature, tokens = shared("sampling", "temperature"), shared("sampling", "max_tokens")
    every = shared("evaluation", "every")
    said = [f"{prompts} prompts × {responses} responses a step"] * bool(prompts and responses)
    said += [f"{prompts} prompts a step"] * bool(prompts and not responses)
    said += [f"{responses} responses a prompt"] * bool(responses and not prompts)
    said += [f"{updates} update{'s' * (updates != '1')} a rollout"] * bool(updates)
    said += [f"temperature {temperature}"] * bool(temperature)
    said += [f"at most {tokens} tokens"] * bool(tokens)
    said += [f"evaluated every {every} steps" if every != "1" else "evaluated every step"] * bool(every)
    said += [f"at most {probe} probe items" if probe != "0" else "no probe"] * bool(probe)
    return f"Protocol: {', '.join(said)}." if said else ""


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage without its sign."""
    return NOTHING if share is None else minus(f"{100 * share:.{digits}f}")


def score(value: float | None, measure: Measure) -> str:
    """A number of a table's measure: an accuracy in % without the sign, a reward with three digits."""
    return percent(value) if value is None or measure == "accuracy" else number(value)


def minus(text: str) -> str:
    """A number with a minus sign instead of a hyphen."""
    return text.replace("-", "−")


def one_line(text: str) -> str:
    """Text that breaks no line and steers no terminal: white space is one space, other control characters are �.

    A label is what its author wrote; CSV keeps it as it is.
    """
    text = re.sub(r"[\t-\r\x1c-\x1f\x85\u2028\u2029 ]+", " ", text).strip(" ")
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
