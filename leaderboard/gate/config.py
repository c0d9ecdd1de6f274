"""gate.yaml: which metrics of which tasks must not fall by more than what margin; checked before anything is read.

baseline: baselines/main.json.gz        # or --baseline
metrics:
  - task: gsm8k                         # a key of the baseline: TASK, or TASK@PROTOCOL
    metric: accuracy                    # see `METRICS`; pass@4 and pass^4 for any number
    margin: 0.02                        # default: 0.02 GSM8K, 0.03 MATH-500 and others, 0.06 AIME
    min: 0.60                           # a floor, whatever the baseline has
    k: 4                                # samples an item to be looked at; default: all there are
    max_k: 8                            # and to be added, once, where k decide nothing
    required: true                      # false: shown, never a reason to stop; default: false for AIME alone
limits: {coverage: 1.0, length: 0.25, truncated: 0.05, unanswered: 0.02, timed_out: 0.01}
alpha: 0.05
discordance: 0.05                       # for --aa of greedy answers: share of items on which two equal models differ
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from .. import declared
from ..declared import STRICT, suggestion
from ..records import LeaderboardError

Direction = Literal["higher", "lower"]
METRICS: Mapping[str, Direction] = {
    "accuracy": "higher",  # the verdict that tables count
    "strict_accuracy": "higher",  # the verdict that training sees
    "format_gap": "lower",  # accuracy − strict accuracy
    "response_tokens": "lower",  # mean length; its margin is a share of the baseline's mean
}
OF_SAMPLES = re.compile(r"pass([@^])([1-9]\d*)")  # right at least once, or each time, in that many samples
MARGINS = (("gsm8k", 0.02), ("aime", 0.06))  # by the beginning of a task's name; others 0.03
OTHERS, LENGTH = 0.03, 0.10


class ConfigError(LeaderboardError):
    """A gate.yaml that cannot be used; the message names the file, the key, what was found and what is allowed."""


@dataclass(frozen=True)
class Metric:
    """One line of `metrics`: see the module."""

    __pydantic_config__: ClassVar = STRICT
    task: str
    metric: str
    margin: float | None = None
    direction: Direction | None = None  # the metric's own, for readers; another is refused
    min: float | None = None
    k: int | None = None
    max_k: int | None = None
    required: bool | None = None
    rtol: float | None = None  # legacy: candidate ≥ baseline · (1 − rtol), no statistics

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.task}: {self.metric}"

    @property
    def delta(self) -> float:
        """The margin, or its default."""
        if self.margin is not None:
            return self.margin
        if self.metric == "response_tokens":
            return LENGTH
        return next((margin for start, margin in MARGINS if _plain(self.task).startswith(start)), OTHERS)

    @property
    def sign(self) -> int:
        """1 where more is better, −1 where less is."""
        return 1 if METRICS.get(self.metric, "higher") == "higher" else -1

    @property
    def gated(self) -> bool:
        """Whether it can stop anything."""
        return not _plain(self.task).startswith("aime") if self.required is None else self.required

    @property
    def least(self) -> int:
        """The fewest samples of an item that it can be computed from."""
        found = OF_SAMPLES.fullmatch(self.metric)
        return int(found[2]) if found else 1

    @property
    def counts(self) -> bool:
        """Whether it counts right samples, so that none may be half right."""
        return OF_SAMPLES.fullmatch(self.metric) is not None


@dataclass(frozen=True)
class Limits:
    """Of a task, each a share; null: none. `coverage` is a floor, the others are ceilings."""

    __pydantic_config__: ClassVar = STRICT
    coverage: float | None = 1.0  # of the baseline's items, those that the candidate shares: who chooses them decides
    length: float | None = 0.25  # growth of the mean length: a regression
    truncated: float | None = 0.05  # these three: data that cannot be trusted
    unanswered: float | None = 0.02  # of answers that were neither cut off nor late; tables' no_answer counts all
    timed_out: float | None = 0.01


@dataclass(frozen=True)
class Config:
    """A checked gate.yaml."""

    __pydantic_config__: ClassVar = STRICT
    metrics: tuple[Metric, ...]
    baseline: str | None = None
    limits: Limits = field(default_factory=Limits)
    alpha: float = 0.05
    discordance: float = 0.05


def load(path: Path) -> Config:
    """Read and check a gate.yaml. Raises ConfigError."""
    where = f"gate config {path}"
    return parse(declared.yaml(path, where, ConfigError), where)


def parse(content: Any, where: str) -> Config:
    """A config from parsed YAML; `where` stands in front of every complaint. Raises ConfigError."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where}: found {type(content).__name__}, expected keys such as metrics, limits, alpha")
    config = declared.checked(Config, content, where, ConfigError, "keys")
    if not config.metrics:
        raise ConfigError(f"{where}: metrics is empty; a gate without a metric would pass everything")
    for number, metric in enumerate(config.metrics):
        _check(metric, f"{where}: metrics.{number} ({metric.name})")
    names = [metric.name for metric in config.metrics]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{where}: metrics holds {twice[0]!r} {names.count(twice[0])} times; once is enough")
    for name, value, top in (("alpha", config.alpha, 0.5), ("discordance", config.discordance, 1.0)):
        if not 0 < value < top:
            raise ConfigError(f"{where}: {name} = {value}; must lie between 0 and {top}")
    for one in fields(config.limits):
        limit = getattr(config.limits, one.name)
        if one.name == "coverage" and limit is not None and not 0 <= limit <= 1:
            raise ConfigError(f"{where}: limits.coverage = {limit}; must be a share in [0, 1], or null for no limit")
        if limit is not None and not 0 <= limit < float("inf"):
            raise ConfigError(f"{where}: limits.{one.name} = {limit}; must be 0 or more, or null for no limit")
    return config


def _check(metric: Metric, where: str) -> None:
    if metric.metric not in METRICS and not OF_SAMPLES.fullmatch(metric.metric):
        raise ConfigError(f"{where}: unknown metric{suggestion(metric.metric, [*METRICS, 'pass@4', 'pass^4'])}")
    for key, good, allowed in (
        ("margin", 0 < metric.delta < 1, "above 0 and below 1: 0.02 is two percentage points (of a length: 2 %)"),
        ("rtol", metric.rtol is None or 0 <= metric.rtol < 1, "0 or more, below 1"),
        ("min", metric.min is None or -1 <= metric.min <= 1, "a share in [0, 1]"),
        ("k", metric.k is None or metric.k >= metric.least, f"{metric.least} or more"),
        ("max_k", metric.max_k is None or metric.max_k > (metric.k or 0), "more than k"),
    ):
        if not good:
            raise ConfigError(f"{where}: {key} = {getattr(metric, key)!r}; must be {allowed}")
    own = "higher" if metric.sign > 0 else "lower"
    if metric.direction not in (None, own):
        said = f"of {metric.metric}, {own} is better: leave it out, or write {own}"
        raise ConfigError(f"{where}: direction = {metric.direction!r}; {said}")
    if metric.min is not None and metric.sign < 0:
        raise ConfigError(f"{where}: min = {metric.min}; a floor is for metrics where more is better")
    if metric.max_k is not None and metric.k is None:
        raise ConfigError(f"{where}: max_k = {metric.max_k} needs k: how many samples are looked at first")
    if metric.rtol is not None and (metric.margin is not None or metric.max_k is not None):
        raise ConfigError(f"{where}: rtol knows neither margin nor max_k: it compares two numbers, without a test")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def tasks_of(metrics: Sequence[Metric]) -> list[str]:
    """The tasks that metrics name, each once, in their order."""
    return list(dict.fromkeys(metric.task for metric in metrics))
