"""One checkpoint's numbers: from graded items to accuracy with its interval, pass@k, votes and rates; as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .evaluations import EvaluationRecord, Item, TaskEvaluation, TaskResult
from .stats import g_pass_at_k, majority_at_k, of_shares, pass_at_k, pass_hat_k

UNGRADED = "none"  # the verifier of a task whose answers only a judge can compare
RATES = ("truncated", "no_answer", "timed_out")


def metrics(evaluation: TaskEvaluation, votes: Mapping[str, Sequence[int]] | None = None) -> dict[str, float]:
    """All numbers of a complete evaluation; each item weighs the same.

    accuracy (avg@k of the verdict that tables count) with its 95 % interval over items, or clusters of them; strict and
    format_gap = accuracy − strict; pass@j, pass^j, G-Pass@j at half and, with `votes` (labels of equal answers by item
    id, negative for none), maj@j for j = 2, 4, … and k; rates and mean length. Of a task whose answers only a judge can
    compare, truncated and mean length alone. ValueError where a sample is missing.
    """
    samples = evaluation.protocol["samples"]
    if evaluation.missing or not evaluation.items:
        raise ValueError(f"{len(evaluation.missing)} items are missing, the first is {evaluation.missing[:1]}")
    if evaluation.protocol.get("verifier", "").partition(" ")[0] == UNGRADED:
        return _conduct([item.cut(samples) for item in evaluation.items])
    if bad := [item.id for item in evaluation.items if None in item.correct or None in item.strict]:
        raise ValueError(f"item {bad[0]} has a sample without a score")
    items = [item.cut(samples) for item in evaluation.items]
    accuracy, strict = _scores(items, "correct"), _scores(items, "strict")
    low, high = of_shares(accuracy, [item.unit for item in items])
    found = {
        "accuracy": float(accuracy.mean()), "accuracy_low": low, "accuracy_high": high,
        "strict": float(strict.mean()), "format_gap": float(accuracy.mean() - strict.mean()),
    }  # fmt: skip
    verdicts = [[int(c or 0) for c in item.correct] for item in items]
    right = [sum(each) for each in verdicts]
    for k in _powers(samples):
        found[f"pass@{k}"] = float(np.mean([pass_at_k(c, samples, k) for c in right]))
        found[f"pass^{k}"] = float(np.mean([pass_hat_k(c, samples, k) for c in right]))
        found[f"g-pass@{k}(0.5)"] = float(np.mean([g_pass_at_k(c, samples, k, 0.5) for c in right]))
        if votes is not None and k > 2:  # of two there is no majority
            voted = [majority_at_k(votes[i.id], each, k) for i, each in zip(items, verdicts, strict=True)]
            found[f"maj@{k}"] = float(np.mean(voted))
    found["no_answer"] = float(np.mean([[answer is None for answer in item.answers] for item in items]))
    found["timed_out"] = float(_scores(items, "timed_out").mean())
    return found | _conduct(items)


def _conduct(items: Sequence[Item]) -> dict[str, float]:
    return {
        "truncated": float(_scores(items, "truncated").mean()),
        "response_tokens": float(_scores(items, "tokens").mean()),
    }


def _scores(items: Sequence[Item], field: str) -> np.ndarray:
    return np.array([np.mean(getattr(item, field)) for item in items])


def _powers(samples: int) -> list[int]:
    """2, 4, 8, … below `samples`, and `samples` itself; nothing for one sample."""
    return [*(2**j for j in range(1, 12) if 2**j < samples), *([samples] if samples > 1 else [])]


def markdown(record: EvaluationRecord) -> str:
    """The same for people: what was evaluated, a table of accuracies, one of rates, and how each task was asked."""
    checkpoint, tasks = record["checkpoint"], record["tasks"]
    lines = [
        f"# {checkpoint['name']}", "",
        f"{checkpoint['fingerprint']}, {checkpoint['precision']}, engine {checkpoint['engine']}",
    ]  # fmt: skip
    if graded := {key: result for key, result in tasks.items() if "accuracy" in result["metrics"]}:
        lines += _own(graded)
    if others := {key: result for key, result in tasks.items() if key not in graded}:
        lines += _to_be_judged(others)
    if outside := record.get("lm_eval"):
        lines += _outside(outside)
    return "\n".join(lines) + "\n"


def _own(tasks: Mapping[str, TaskResult]) -> list[str]:
    lines = [
        "",
        "| task | protocol | items | accuracy [95 %] | strict | format gap | of all k samples |",
        "| :-- | :-- | --: | --: | --: | --: | :-- |",
    ]  # fmt: skip
    lines += [_accuracy_line(key, result) for key, result in tasks.items()]
    lines += [
        "", "| task | mean tokens | truncated | no answer | grader timed out |", "| :-- | --: | --: | --: | --: |",
        *(_rates_line(key, result) for key, result in tasks.items()), "",
        "accuracy: mean over items of the mean over samples, of the lenient verdict, with a 95 % interval over items;",
        "strict: of answers in the form that the prompt wants, which is what training rewards; format gap: the rest.",
        "Truncated answers count as they were graded. The interval says nothing of other training seeds.",
    ]  # fmt: skip
    overlaps = [(key, n) for key, result in tasks.items() if (n := result.get("overlap"))]
    lines += [f"\n**{key}: {n} of its questions were training prompts of this run.**" for key, n in overlaps]
    return lines


def _to_be_judged(tasks: Mapping[str, TaskResult]) -> list[str]:
    lines = [
        "", "Answers that only a judge can compare (`groupbench judge`):", "",
        "| task | protocol | items | mean tokens | truncated |", "| :-- | :-- | --: | --: | --: |",
    ]  # fmt: skip
    for key, result in tasks.items():
        found = result["metrics"]
        cells = [key, describe(result["protocol"]), str(result["items"]), f"{found['response_tokens']:.0f}"]
        lines.append("| " + " | ".join([*cells, _percent(found["truncated"])]) + " |")
    return lines


def _outside(tasks: Mapping[str, Any]) -> list[str]:
    lines = ["", "By lm-eval's own tasks, prompts and graders:", "", "| protocol | metric | value | ± its SE | n |"]
    lines.append("| :-- | :-- | --: | --: | --: |")
    for task in tasks.values():
        for found in task["results"]:
            name = found["metric"] + (f", {found['filter']}" if found["filter"] != "none" else "")
            value, error = (("–" if found[key] is None else f"{found[key]:.4g}") for key in ("value", "stderr"))
            lines.append(f"| {task['protocol']} | {name} | {value} | {error} | {task['samples']} |")
    return lines


def _accuracy_line(key: str, result: TaskResult) -> str:
    found, protocol = result["metrics"], result["protocol"]
    k = protocol["samples"]
    ends = f"{_percent(found['accuracy'])} [{100 * found['accuracy_low']:.1f}, {100 * found['accuracy_high']:.1f}]"
    several = ", ".join(
        f"{name}{k} {_percent(found[f'{name}{k}'])}" for name in ("pass@", "pass^", "maj@") if f"{name}{k}" in found
    )
    cells = [
        key, describe(protocol), str(result["items"]), ends, _percent(found["strict"]), _points(found["format_gap"]),
        several or "–",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _rates_line(key: str, result: TaskResult) -> str:
    found = result["metrics"]
    cells = [key, f"{found['response_tokens']:.0f}", *(_percent(found[name]) for name in RATES)]
    return "| " + " | ".join(cells) + " |"


def describe(protocol: Mapping[str, Any]) -> str:
    """`avg@4: T 0.6, top-p 0.95, 2048 tokens`."""
    drawn = "greedy" if protocol["temperature"] == 0 else f"T {protocol['temperature']:g}"
    if protocol["temperature"] and protocol["top_p"] < 1:
        drawn += f", top-p {protocol['top_p']:g}"
    name = "" if protocol["protocol"] == drawn else f"{protocol['protocol']}: "
    return f"{name}{drawn}, {protocol['max_tokens']} tokens"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:+.1f} pp"
