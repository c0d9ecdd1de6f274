"""What makes two evaluations incomparable (2), incomplete (3), or too odd to be trusted."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from ..declared import suggestion
from ..evaluations import PER_SAMPLE, Evaluation, Item, TaskEvaluation, comparable
from .config import Config, Limits, Metric, tasks_of
from .metrics import by_id

ABSOLUTE = ("truncated", "timed_out", "unanswered")  # limits that need no baseline
NAMED = 4  # ids that a message names


@dataclass(frozen=True)
class Problem:
    """One reason why there is no clean verdict on a task."""

    task: str
    name: str  # data, protocol, or the limit that was broken
    code: int  # 2, 3, or 1 for answers that grew too long
    text: str
    gated: bool = True  # False: shown, without consequence

    @property
    def fatal(self) -> bool:
        """Whether nothing can be measured."""
        return self.name in ("data", "protocol")


def check(
    config: Config,
    baseline: Evaluation,
    candidate: Evaluation | None,
    key: Literal["k", "max_k"],
    of: Collection[Metric] | None = None,
) -> list[Problem]:
    """All problems of the tasks that `config` names (or of the metrics `of`), in their order.

    `key`: the samples that are looked at. Without a candidate only what can be said of the baseline is.
    """
    found = []
    for task in tasks_of([metric for metric in config.metrics if of is None or metric in of]):
        metrics = [metric for metric in config.metrics if metric.task == task and (of is None or metric in of)]
        if task not in baseline.tasks:
            found.append(Problem(task, "protocol", 2, f"{task}: not in the baseline{suggestion(task, baseline.tasks)}"))
            continue
        least, whole = max(metric.least for metric in metrics), any(metric.counts for metric in metrics)
        found += of_data(task, "baseline", baseline.tasks[task], least, whole)
        if candidate is None:
            continue
        if task not in candidate.tasks:
            has = ", ".join(candidate.tasks) or "none"
            found.append(Problem(task, "data", 3, f"{task}: the candidate was not evaluated on it; it has {has}"))
            continue
        found += _of_pair(task, candidate.tasks[task], baseline.tasks[task])
        wanted = max([least, *(getattr(metric, key) or 1 for metric in metrics)])
        found += of_data(task, "candidate", candidate.tasks[task], wanted, whole)
        if not any(problem.fatal and problem.task == task for problem in found):
            gated = any(metric.gated for metric in metrics)
            found += of_limits(task, candidate.tasks[task], config.limits, gated)
            found += _against(task, candidate.tasks[task], baseline.tasks[task], config.limits, gated)
    return found


def _of_pair(task: str, candidate: TaskEvaluation, baseline: TaskEvaluation) -> list[Problem]:
    found = [
        Problem(task, "protocol", 2, f"{task}: asked otherwise than the baseline: {difference}")
        for difference in comparable(candidate.protocol, baseline.protocol)
    ]
    ours, theirs = by_id(candidate.items), by_id(baseline.items)
    shared = sorted(ours.keys() & theirs.keys())
    if not set(candidate.protocol["examples"]) & theirs.keys():
        found.append(Problem(task, "protocol", 2, f"{task}: candidate and baseline have no item in common"))
    elif not shared:
        found.append(Problem(task, "data", 3, f"{task}: the candidate answered no item that the baseline holds"))
    other = [name for name in shared if ours[name].content != theirs[name].content]
    if other:
        said = f"{task}: {len(other)} of {len(shared)} shared items have another prompt or answer: {_some(other)}"
        found.append(Problem(task, "protocol", 2, said))
    return found


def of_data(task: str, who: str, evaluation: TaskEvaluation, wanted: int = 1, whole: bool = False) -> list[Problem]:
    """Missing items, fewer samples than `wanted`, and scores that are none; `whole`: none between right and wrong."""
    found, asked = [], len(evaluation.protocol["examples"])
    if missing := evaluation.missing:
        found.append(f"{len(missing)} of {asked} items are missing or incomplete: {_some(missing)}")
    short = [item.id for item in evaluation.items if len(item.correct) < wanted]
    misfits: list[str] = []
    if short and not missing:
        has = min(len(item.correct) for item in evaluation.items)
        text = f"{len(short)} items have fewer samples than the {wanted} to be looked at ({has}): {_some(short)}"
        # The candidate can be asked more; a baseline that has them not does not fit the configuration.
        (misfits if who == "baseline" else found).append(text)
    if bad := [item.id for item in evaluation.items if not _scored(item, whole)]:
        found.append(f"{len(bad)} items have a sample without a verdict, or with an odd one: {_some(bad)}")
    if len(by_id(evaluation.items)) < len(evaluation.items):
        found.append("two items have one id")
    return [
        Problem(task, "data", code, f"{task}: {who}: {text}")
        for code, texts in ((2, misfits), (3, found))
        for text in texts
    ]


def _scored(item: Item, whole: bool) -> bool:
    verdicts = [*item.correct, *item.strict]
    lengths = {len(getattr(item, name)) for name in PER_SAMPLE}
    good = len(lengths) == 1 and all(v is not None and math.isfinite(v) and 0 <= v <= 1 for v in verdicts)
    return good and not (whole and any(v not in (0, 1) for v in item.correct))


def of_limits(task: str, candidate: TaskEvaluation, limits: Limits, gated: bool) -> list[Problem]:
    """The limits that need no baseline."""
    found = []
    for name in ABSOLUTE:
        limit, share = getattr(limits, name), rate(candidate.items, name)
        if limit is not None and share > limit:
            said = f"{task}: {name.replace('_', ' ')} {100 * share:.1f} %, limit {100 * limit:g} %"
            found.append(Problem(task, name, 3, said, gated))
    return found


def _against(
    task: str, candidate: TaskEvaluation, baseline: TaskEvaluation, limits: Limits, gated: bool
) -> list[Problem]:
    """The limits that compare."""
    found = []
    held = by_id(baseline.items).keys()
    shared = by_id(candidate.items).keys() & held
    if held and limits.coverage is not None and len(shared) / len(held) < limits.coverage:
        share = f"{len(shared):,} of the baseline's {len(held):,} items ({100 * len(shared) / len(held):.1f} %)"
        said = f"{task}: the candidate was asked {share}; limits.coverage wants {100 * limits.coverage:g} %"
        found.append(Problem(task, "coverage", 3, said, gated))
    ours, theirs = (length([i for i in e.items if i.id in shared]) for e in (candidate, baseline))
    if limits.length is not None and ours > theirs * (1 + limits.length):
        said = f"{task}: {ours:.0f} tokens an answer, baseline {theirs:.0f}, limit +{100 * limits.length:g} %"
        found.append(Problem(task, "length", 1, said, gated))
    return found


def rate(items: Sequence[Item], name: str) -> float:
    """Mean over items of the share of samples that were truncated, timed_out, or are unanswered.

    Unanswered: without an answer though neither cut off nor late, which are counted as that. Tables' `no_answer` counts
    all without an answer; a ceiling on that would be one on truncation, too.
    """
    if name != "unanswered":
        return _mean([sum(getattr(item, name)) / len(item.correct) for item in items])
    silent = [
        [a is None and not cut and not late for a, cut, late in zip(i.answers, i.truncated, i.timed_out, strict=True)]
        for i in items
    ]
    return _mean([sum(one) / len(one) for one in silent])


def length(items: Sequence[Item]) -> float:
    """Mean over items of the mean tokens of their samples."""
    return _mean([sum(item.tokens) / len(item.tokens) for item in items])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
