"""From two evaluations to an exit code: comparable? complete? worse, not worse, or not known?

    2  not comparable, or the configuration does not fit          precedence 2 > 3 > 1 > 4 > 0
    3  incomplete: items missing or not asked, no score, too much truncated, unanswered or timed out
    1  a required metric is shown to be worse than its margin, below its floor, or much longer
    4  a required metric is neither shown to be worse nor shown not to be
    0  every required metric is shown not to be worse

A pass is an intersection-union test: each metric at α, no correction (R. L. Berger, Technometrics 24, 1982). A failure
is declared with Holm's correction over the required metrics (Scandinavian Journal of Statistics 6, 1979). Where a
metric may be looked at twice (`max_k`), each look has α/2 of either error (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..evaluations import Evaluation
from ..stats import holm
from .bounds import Bounds, bounds
from .checks import Problem, check
from .config import Config, Metric, tasks_of
from .metrics import Pairs, by_id, pair

Extend = Callable[[Mapping[str, int]], Evaluation]
Verdict = Literal["pass", "regression", "inconclusive", "error"]
PRECEDENCE = (2, 3, 1, 4, 0)
ALARM = 0.10  # a gain beyond it is checked before it is believed
MEANING = {
    0: "PASS: no gated metric is worse than its margin",
    1: "REGRESSION: worse than the margin, or below a floor",
    2: "NOT COMPARABLE: nothing was tested",
    3: "INCOMPLETE: the data cannot carry a verdict",
    4: "INCONCLUSIVE: neither shown to be worse nor shown not to be",
}


@dataclass(frozen=True)
class Result:
    """What became of one metric. Scores, change and bounds are in its own unit, as they are: cand − base."""

    metric: Metric
    verdict: Verdict
    reason: str
    margin: float = 0.0  # in the unit of the scores
    level: float = 0.05  # α of this look
    look: int = 1
    pairs: Pairs | None = None
    base: float | None = None
    cand: float | None = None
    low: float | None = None  # None: unbounded
    high: float | None = None
    p_pass: float = 1.0  # times the number of looks
    p_fail: float = 1.0  # the same
    p_holm: float | None = None
    span: float = 1.0  # the most that one cluster's change can be

    @property
    def change(self) -> float | None:
        """Candidate − baseline."""
        return None if self.cand is None or self.base is None else self.cand - self.base


@dataclass(frozen=True)
class Report:
    """The decision, with all that it stands on."""

    config: Config
    candidate: Evaluation | None
    baseline: Evaluation
    results: tuple[Result, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code, before anybody allows anything."""
        found = {problem.code for problem in self.problems if problem.gated}
        found |= {{"regression": 1, "inconclusive": 4, "error": 3, "pass": 0}[r.verdict] for r in self._required}
        if not self._required:  # nothing that could have failed has not passed
            found.add(0 if all(result.verdict != "error" for result in self.results) else 3)
        return worst(found)

    @property
    def _required(self) -> list[Result]:
        return [result for result in self.results if result.metric.gated]


def worst(codes: Iterable[int]) -> int:
    """The one that goes before the others; 0 for none."""
    return min(codes, key=PRECEDENCE.index, default=0)


def decide(config: Config, baseline: Evaluation, candidate: Evaluation | None, extend: Extend | None = None) -> Report:
    """Compare `candidate` (None: `extend` makes it) with `baseline`.

    `extend` takes samples wanted by task key, and returns the candidate's evaluation with at least as many of each
    item; it is called once for the first look, where there is no candidate yet, and once more where samples may decide.
    """
    wanted = _samples(config, baseline, "k")
    unfit = check(config, baseline, None, "k")
    if candidate is None and extend is not None and not unfit:
        candidate = extend(wanted)
    notes = _notes(config, baseline, candidate)
    problems = check(config, baseline, candidate, "k") if candidate is not None else unfit
    broken = {problem.task for problem in problems if problem.fatal}
    if candidate is None:
        results = [_undecided(metric, problems) for metric in config.metrics]
        return Report(config, candidate, baseline, tuple(results), tuple(problems), tuple(notes))
    whole = [metric for metric in config.metrics if metric.task not in broken]
    twice = {metric for metric in whole if _can_grow(metric, baseline, candidate, extend)}
    notes += _shares(config, baseline, candidate, problems)
    measured = {m: measure(m, candidate, baseline, m.k, config.alpha, 2 if m in twice else 1) for m in whole}
    results = corrected([measured.get(metric) or _undecided(metric, problems) for metric in config.metrics], config)
    report = Report(config, candidate, baseline, tuple(results), tuple(problems), tuple(notes))
    again = {r.metric for r in results if r.verdict == "inconclusive"} & twice
    if report.code == 4 and again:
        report = _second_look(report, again, extend)
    return replace(report, alarms=tuple(_alarms(report.results)))


def measure(
    metric: Metric, candidate: Evaluation, baseline: Evaluation, samples: int | None, alpha: float, looks: int
) -> Result:
    """One metric on the shared items, before Holm's correction."""
    pairs = pair(metric, candidate.tasks[metric.task], baseline.tasks[metric.task], samples)
    base, cand = float(pairs.base.mean()), float(pairs.cand.mean())
    if metric.rtol is not None:
        return _legacy(metric, pairs, base, cand)
    largest, margin = 1.0, metric.delta
    if metric.metric == "response_tokens":  # of the baseline's mean; at most an answer of full length
        asked = [evaluation.tasks[metric.task].protocol["max_tokens"] for evaluation in (candidate, baseline)]
        largest, margin = float(max(*asked, pairs.base.max(), pairs.cand.max())), margin * base
    if margin <= 0:
        return Result(metric, "error", "the baseline's mean length is 0: there is no share of it", pairs=pairs)
    span = pairs.span(largest)
    found = bounds(pairs.changes(metric.sign), margin, alpha / looks, span)
    return replace(_judged(metric, pairs, base, cand, margin, found, alpha, looks), span=span)


def unreadable(config: Config, baseline: Evaluation, why: str) -> Report:
    """What is decided where the candidate's evaluation cannot be read: incomplete."""
    problems = [Problem(task, "data", 3, why) for task in tasks_of(config.metrics)]
    results = [_undecided(metric, problems) for metric in config.metrics]
    return Report(config, None, baseline, tuple(results), tuple(problems))


def corrected(results: Sequence[Result], config: Config) -> list[Result]:
    """The same, where a regression is declared only if Holm's correction over the required metrics leaves it one."""
    family = [r.p_fail if r.metric.gated and r.metric.rtol is None and r.verdict != "error" else None for r in results]
    final = []
    for result, adjusted in zip(results, holm(family), strict=True):
        if adjusted is not None:
            result = replace(result, p_holm=adjusted)
        if result.reason == WORSE and adjusted is not None and adjusted >= config.alpha:
            why = "worse by itself, but not among as many metrics (Holm)"
            result = replace(result, verdict="inconclusive", reason=why)
        final.append(result)
    return final


WORSE = "worse than the margin"


def _judged(
    metric: Metric, pairs: Pairs, base: float, cand: float, margin: float, found: Bounds, alpha: float, looks: int
) -> Result:
    low, high = float(found.low), float(found.high)
    verdict: Verdict = "inconclusive"
    reason = "the interval straddles the margin"
    if metric.min is not None and cand < metric.min:
        verdict, reason = "regression", f"{cand:.4f} is below its floor, min: {metric.min}"
        reason += ", and worse than the margin" * (high < -margin)
    elif low > -margin:
        verdict, reason = "pass", "not worse than the margin"
    elif high < -margin:
        verdict, reason = "regression", WORSE
    ends = (low, high) if metric.sign > 0 else (-high, -low)
    shown = [None if abs(end) == float("inf") else end for end in ends]
    p_pass, p_fail = (min(1.0, looks * float(p)) for p in (found.p_pass, found.p_fail))
    return Result(
        metric, verdict, reason, margin, alpha / looks, 1, pairs, base, cand, shown[0], shown[1], p_pass, p_fail
    )


def _legacy(metric: Metric, pairs: Pairs, base: float, cand: float) -> Result:
    rtol = metric.rtol or 0.0
    good = cand >= base * (1 - rtol) if metric.sign > 0 else cand <= base * (1 + rtol)
    good = good and (metric.min is None or cand >= metric.min)
    said = f"legacy rtol {rtol:g}: two numbers compared, no error is controlled"
    return Result(metric, "pass" if good else "regression", said, rtol * base, pairs=pairs, base=base, cand=cand)


def _second_look(report: Report, again: set[Metric], extend: Extend | None) -> Report:
    config, baseline, candidate = report.config, report.baseline, report.candidate
    assert candidate is not None
    if not all(_holds(candidate, metric) for metric in again):
        assert extend is not None
        candidate = extend({m.task: max(o.max_k or 1 for o in again if o.task == m.task) for m in again})
    problems = check(config, baseline, candidate, "max_k", again)
    report = replace(report, candidate=candidate, problems=(*report.problems, *problems))
    if any(problem.fatal for problem in problems):
        results = [_undecided(r.metric, problems) if r.metric in again else r for r in report.results]
        return replace(report, results=tuple(results))
    results = []
    for first in report.results:
        if first.metric not in again:
            results.append(first)
            continue
        second = replace(measure(first.metric, candidate, baseline, first.metric.max_k, config.alpha, 2), look=2)
        results.append(second)
    firsts = {first.metric: first.p_fail for first in report.results}
    family = [replace(r, p_fail=min(r.p_fail, firsts[r.metric])) for r in results]
    return replace(report, results=tuple(corrected(family, config)))


def _undecided(metric: Metric, problems: Sequence[Problem]) -> Result:
    own = [problem.text for problem in problems if problem.fatal and problem.task == metric.task]
    return Result(metric, "error", own[0] if own else "nothing was tested")


def _samples(config: Config, baseline: Evaluation, key: Literal["k", "max_k"]) -> dict[str, int]:
    """How many samples the first look wants, by task: as many as the baseline's protocol, where nothing is said."""
    wanted: dict[str, int] = {}
    for metric in config.metrics:
        if metric.task in baseline.tasks:
            own = getattr(metric, key) or baseline.tasks[metric.task].protocol["samples"]
            wanted[metric.task] = max(wanted.get(metric.task, 1), own)
    return wanted


def _can_grow(metric: Metric, baseline: Evaluation, candidate: Evaluation, extend: Extend | None) -> bool:
    sampled = baseline.tasks[metric.task].protocol["temperature"] > 0
    return bool(metric.max_k and sampled and (extend is not None or _holds(candidate, metric)))


def _holds(candidate: Evaluation, metric: Metric) -> bool:
    items = candidate.tasks[metric.task].items
    return all(len(item.correct) >= (metric.max_k or 1) for item in items)


def _notes(config: Config, baseline: Evaluation, candidate: Evaluation | None) -> list[str]:
    found = [f"the baseline was written against the gate's verdict: {baseline.note}"] if baseline.note else []
    if candidate and candidate.checkpoint["fingerprint"] == baseline.checkpoint["fingerprint"]:
        found.append("candidate and baseline are the same checkpoint")
    found += _made_otherwise(candidate, baseline) if candidate else []
    for metric in config.metrics:
        task = baseline.tasks.get(metric.task)
        if metric.max_k and task and not task.protocol["temperature"]:
            found.append(f"{metric.name}: max_k says nothing of greedy answers, which are all the same")
        if metric.rtol is not None:
            found.append(f"{metric.name}: legacy rtol: two numbers compared, no error is controlled")
    return found


def _made_otherwise(candidate: Evaluation, baseline: Evaluation) -> list[str]:
    """What may move scores besides the weights, and is no part of a protocol."""
    pairs = [(key, candidate.checkpoint.get(key), baseline.checkpoint.get(key)) for key in ("engine", "precision")]
    return [
        f"another {key} than the baseline's: {ours} against {theirs}; a change may be of that, not of the weights"
        for key, ours, theirs in pairs
        if ours != theirs
    ]


def _shares(config: Config, baseline: Evaluation, candidate: Evaluation, problems: Sequence[Problem]) -> list[str]:
    """What is said of items that only one side holds."""
    found = []
    broken = {problem.task for problem in problems if problem.fatal}
    said = {problem.task for problem in problems if problem.name == "coverage"}
    for task in tasks_of(config.metrics):
        if task not in broken:
            ours, theirs = (by_id(one.tasks[task].items).keys() for one in (candidate, baseline))
            if theirs - ours and task not in said:
                found.append(f"{task}: compared on {len(ours & theirs):,} of the baseline's {len(theirs):,} items")
            if ours - theirs:
                found.append(f"{task}: {len(ours - theirs):,} items that the baseline does not hold are left out")
    return found


def _alarms(results: Sequence[Result]) -> list[str]:
    return [
        f"{r.metric.name}: {100 * r.change:+.1f} pp, better than a new checkpoint should be: check the extractor, and "
        "for contamination"
        for r in results
        if r.change is not None and r.metric.metric != "response_tokens" and r.metric.sign * r.change > ALARM
    ]
