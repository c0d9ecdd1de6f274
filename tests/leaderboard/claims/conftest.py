"""Studies made by hand, whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaderboard.claims import Finding, findings
from leaderboard.claims.gather import gather

Curve = Callable[[int], Sequence[float]]


def amend(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change every evaluation of a cell."""
    path = folder / "evals.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for record in found:
        change(record)
    path.write_text("".join(json.dumps(record) + "\n" for record in found))


class Studies:
    """Writes rows of curves over seeds; `said` holds claims to all that was written."""

    def __init__(self, results: Any) -> None:
        self.results = results

    def row(
        self, study: str, label: str, curve: Curve, algorithm: str | None = None, seeds: Sequence[int] = (0, 1, 2),
        change: Callable[[int, dict[str, Any]], None] | None = None, model: str = "tiny",
        parameters: Mapping[str, Any] | None = None, **cell: Any,
    ) -> list[Path]:  # fmt: skip
        """One row: `curve(seed)` are its held-out accuracies."""
        folders, name = [], algorithm or label.lower()
        cell["algorithm"] = {"name": name, "preset": label} | ({"parameters": parameters} if parameters else {})
        for seed in seeds:
            folder = self.results.cell(
                label, seed, sampled=curve(seed), benchmark=study, name=name, model={"name": model}, **cell,
            )  # fmt: skip
            if change is not None:
                amend(folder, lambda record, seed=seed: change(seed, record))
            folders.append(folder)
        return folders

    def said(self, **more: Any) -> list[Finding]:
        """All findings."""
        return findings(gather([self.results.plan()]).archive, **more)


@pytest.fixture
def studies(results: Any) -> Studies:
    return Studies(results)


def jitter(seed: int, key: int = 0) -> float:
    """A seed's own, of about a point; the same each time, another for other keys."""
    return 0.005 * float(np.random.default_rng([seed, key]).normal())


@pytest.fixture
def rise() -> Callable[..., Curve]:
    """Curves that rise in a straight line from 20 % to `final`, which they reach at evaluation `at`, 11 in all."""

    def make(final: float, at: float = 10, key: int = 0) -> Curve:
        def curve(seed: int) -> list[float]:
            end, start = final + jitter(seed, key), 0.2
            return [start + (end - start) * min(1.0, n / (at + 10 * jitter(seed, key + 1))) for n in range(11)]

        return curve

    return make


@pytest.fixture
def pick() -> Callable[..., Any]:
    """The one finding of a claim at a scale, its parts by name with `parts`."""

    def of(found: Sequence[Finding], claim: str, scale: str = "tiny", parts: bool = False) -> Any:
        own = [one for one in found if (one.claim, one.scale) == (claim, scale)]
        if parts:
            by_part: Mapping[str, Finding] = {one.part: one for one in own if one.part}
            return by_part
        (only,) = [one for one in own if not one.part]
        return only

    return of
