"""Performance profiles of a table across tasks (arXiv 2108.13264): of all runs, how many end above each score τ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..columns.across import FEWEST, Across
from ..records import Measure
from ..runs import MODES, Mode
from ..stats import performance_profile, profile_band
from ..words import one_line
from .charts import rounded, thinned

DRAWN = 3  # seeds of a row that all tasks have; of fewer, a share of runs says next to nothing
NO_TASKS = "There is none: it takes two tasks of one model, or more, that share a row with a finished seed."
NO_MEASURE = (
    "There is none: the tasks are not measured by one thing (accuracy, or the same reward), so their scores have no τ "
    "in common."
)


def profiles(across: Across) -> dict[str, Any]:
    """`panels`, a way to decode each, that which rows are ranked by first; `says` why there is none.

    A panel has, by label, the scores at which a row's profile falls (`tau`, rising) and, from there on, the `share` of
    runs above, with the ends of its band; before the first it is 1. The same records give the same numbers.
    """
    measure, first = across.measure, across.analyses[0].view.metric
    if measure is None:
        return {"panels": [], "says": [NO_MEASURE]}
    modes = [first, *(mode for mode in MODES if mode != first)]
    return {"panels": [found for mode in modes if (found := _panel(across, mode, measure))], "says": []}


def _panel(across: Across, mode: Mode, measure: Measure) -> dict[str, Any] | None:
    """None where no run was decoded so."""
    if not any(analysis.scores(row, mode) for analysis in across.analyses for row in analysis.rows if not row.control):
        return None
    found = {label: across.finals(label, mode) for label in across.labels}
    drawn = {label: scores for label, scores in found.items() if scores is not None and len(scores) >= DRAWN}
    return {
        "name": mode,
        "heading": f"{mode} {measure}",
        "kind": "share" if measure == "accuracy" else "reward",
        "tasks": len(across.analyses),
        "rows": {label: _profile(scores, measure) for label, scores in drawn.items()},
        "says": _says(drawn, [label for label in across.labels if label not in drawn], len(across.analyses)),
    }


def _profile(scores: np.ndarray, measure: Measure) -> dict[str, Any]:
    """Of final scores (R, M). It falls at them alone."""
    taus = np.unique(scores)
    taus = taus[thinned(len(taus))]
    made: dict[str, Any] = {
        "tau": rounded(taus, measure),
        "share": _shares(performance_profile(scores, taus)),
        "low": None,
        "high": None,
        "final": float(scores.mean()),
        "seeds": len(scores),
    }
    if len(scores) >= FEWEST:
        low, high = profile_band(scores, taus)
        made |= {"low": _shares(low), "high": _shares(high)}
    return made


def _shares(values: np.ndarray) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


def _says(drawn: Mapping[str, np.ndarray], left: Sequence[str], tasks: int) -> list[str]:
    """What is not there, and why not."""
    few = f"{DRAWN} finished seeds that all {tasks} tasks have"
    if not drawn:
        return [f"Nothing is drawn: no row has {few}."]
    said = [f"Not drawn, without {few}: {', '.join(map(one_line, left))}."] if left else []
    bare = [label for label, scores in drawn.items() if len(scores) < FEWEST]
    if bare:
        who = "" if len(bare) == len(drawn) else f" for {', '.join(map(one_line, bare))}"
        said.append(
            f"No band{who}: a bootstrap's takes {FEWEST} seeds a task, for with fewer it is too narrow by far. Between "
            "two lines without one, nothing is tested."
        )
    return said
