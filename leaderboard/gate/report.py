"""A decision as data, as Markdown for a step summary, and as a few lines for a terminal: the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..evaluations import Evaluation
from ..export.markdown import escape
from ..stats import wilson
from ..words import NOTHING, minus
from .advice import advice
from .decide import MEANING, Report, Result
from .metrics import by_id
from .simulate import Rates

MOST = 1_000_000  # bytes of a summary; GitHub refuses 1,048,576
TOP = 10  # regressed items that are shown
CUT = "\n\n*The summary was cut here: it was longer than GitHub shows. `--json` has all of it.*\n"
HEADER = ("metric", "base", "cand", "Δ", "interval", "margin", "n", "verdict")


def verdict_line(report: Report, allowed: bool = False) -> str:
    """The verdict in one line; `allowed`: an inconclusive one does not stop anything."""
    said = MEANING[report.code]
    if report.code == 0 and not any(result.metric.gated for result in report.results):
        said = "PASS: no metric is required, so nothing could have failed"
    return f"{said} (allowed)" if report.code == 4 and allowed else said


def rows(report: Report) -> list[tuple[str, ...]]:
    """The table's cells, a row a metric, under `HEADER`."""
    return [_row(result) for result in report.results]


def remarks(report: Report) -> list[str]:
    """What must be said beside the table: alarms, problems, reasons, advice, notes."""
    found = [f"warning: {alarm}" for alarm in report.alarms]
    found += [problem.text if problem.gated else f"warning: {problem.text}" for problem in report.problems]
    for result in report.results:
        if result.verdict == "inconclusive" or (result.verdict == "regression" and result.metric.min is not None):
            found.append(": ".join(filter(None, (result.metric.name, result.reason, advice(result)))))
    return found + [f"note: {note}" for note in report.notes]


def markdown(report: Report, allowed: bool = False, room: int = MOST) -> str:
    """The step summary, of at most `room` bytes."""
    parts = [f"## Gate: {escape(verdict_line(report, allowed))}", _table(HEADER, [_bold(row) for row in rows(report)])]
    parts += ["\n".join(f"- {escape(remark)}" for remark in remarks(report))] if remarks(report) else []
    parts.append(escape(legend(report)))
    parts += [_regressed(result) for result in report.results if regressed(result)]
    where = "\n".join(f"- {escape(key)}: {escape(value)}" for key, value in provenance(report).items())
    parts.append(f"<details><summary>Provenance</summary>\n\n{where}\n\n</details>")
    return cut("\n\n".join(parts) + "\n", room)


def cut(text: str, room: int) -> str:
    """The text within `room` bytes of UTF-8, at the end of a line, with a note where something is left out."""
    data = text.encode()
    if len(data) <= room:
        return text
    kept = data[: max(0, room - len(CUT.encode()) - len("\n</details>"))].decode(errors="ignore")
    kept = kept[: max(0, kept.rfind("\n"))]
    return kept + ("\n</details>" if kept.count("<details>") > kept.count("</details>") else "") + CUT


def legend(report: Report) -> str:
    """What the interval of the table is."""
    levels = sorted({result.level for result in report.results if result.pairs and result.metric.rtol is None})
    if not levels:
        return "Unit: percentage points, or tokens."
    shown = " or ".join(f"{100 * (1 - 2 * level):g} %" for level in levels)
    return (
        f"Interval: {shown}, paired by item; a metric passes where its worse end is within the margin, and fails where "
        "its better end is beyond. Unit: percentage points, or tokens."
    )


def regressed(result: Result) -> list[tuple[str, float, float]]:
    """Items that lost most: id, baseline, candidate; at most `TOP`."""
    if result.pairs is None:
        return []
    change = result.metric.sign * (result.pairs.cand - result.pairs.base)
    order = np.argsort(change, kind="stable")[:TOP]
    return [
        (result.pairs.ids[i], float(result.pairs.base[i]), float(result.pairs.cand[i])) for i in order if change[i] < 0
    ]


def provenance(report: Report) -> dict[str, str]:
    """Who was compared with whom, in words."""
    found = {
        f"{who}": _checkpoint(one)
        for who, one in (("candidate", report.candidate), ("baseline", report.baseline))
        if one
    }
    for task in dict.fromkeys(result.metric.task for result in report.results):
        if held := report.baseline.tasks.get(task):
            asked = held.protocol
            found[f"protocol of {task}"] = (
                f"{asked['protocol']}, temperature {asked['temperature']:g}, top_p {asked['top_p']:g}, "
                f"{asked['max_tokens']} tokens, verifier {asked['verifier']}, data {asked['data']}"
            )
    return found | dict(report.provenance)


def as_data(report: Report, allowed: bool = False) -> dict[str, Any]:
    """Everything, as JSON: nothing is rounded; what has no bound is null."""
    return {
        "schema": 1,
        "exit": 0 if allowed and report.code == 4 else report.code,
        "code": report.code,
        "verdict": verdict_line(report, allowed),
        "metrics": [_data(report, result) for result in report.results],
        "problems": [asdict(problem) for problem in report.problems],
        "alarms": list(report.alarms),
        "notes": list(report.notes),
        "config": asdict(report.config),
        "candidate": report.candidate.checkpoint if report.candidate else None,
        "baseline": report.baseline.checkpoint,
        "provenance": provenance(report),
    }


def rates_table(found: Mapping[str, Sequence[Rates]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of an A/A test: false alarms with Wilson's interval, then fails / passes at each loss, in %."""
    losses = [f"−{100 * one.loss:g} pp" for one in next(iter(found.values()))[1:]]
    header = ("metric", "false alarms", "95 % interval", "passes unchanged", *losses)
    lines = []
    for name, (unchanged, *others) in found.items():
        low, high = wilson(unchanged.failed, unchanged.repetitions)
        cells = [f"{_share(one.failed, one)} / {_share(one.passed, one)}" for one in others]
        interval = f"{100 * low:.2f} to {100 * high:.2f}"
        lines.append((name, _share(unchanged.failed, unchanged), interval, _share(unchanged.passed, unchanged), *cells))
    return header, lines


def rates_data(found: Mapping[str, Sequence[Rates]]) -> dict[str, Any]:
    """The same as JSON."""
    return {"schema": 1, "rates": {name: [asdict(one) for one in rates] for name, rates in found.items()}}


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of plain cells, the first column to the left."""
    return _table(header, lines)


def _share(count: int, of: Rates) -> str:
    return f"{100 * count / of.repetitions:.1f}"


def _row(result: Result) -> tuple[str, ...]:
    metric, pairs = result.metric, result.pairs
    verdict = (
        result.verdict
        + ("" if metric.gated else " (warning only)")
        + (" (legacy rtol)" if metric.rtol is not None else "")
    )
    if pairs is None or result.base is None or result.cand is None or result.change is None:
        return (metric.name, *[NOTHING] * 6, verdict)
    tokens = metric.metric == "response_tokens"
    scale, digits = (1, 0 if result.base >= 100 else 1) if tokens else (100, 1)

    def number(value: float | None, sign: str = "") -> str:
        return NOTHING if value is None else minus(f"{scale * value + 0.0:{sign}.{digits}f}")

    interval = NOTHING
    if result.low is not None or result.high is not None:
        interval = f"{number(result.low, '+')} … {number(result.high, '+')}"
    count = f"{len(pairs.ids)} × {pairs.samples[1]}" + (
        "" if pairs.clusters == len(pairs.ids) else f" in {pairs.clusters}"
    )
    change, margin = number(result.change, "+"), number(result.margin)
    return (metric.name, number(result.base), number(result.cand), change, interval, margin, count, verdict)


def _bold(row: Sequence[str]) -> tuple[str, ...]:
    return (*row[:-1], row[-1].replace("regression", "**regression**", 1))


def _data(report: Report, result: Result) -> dict[str, Any]:
    pairs = result.pairs
    return {
        "task": result.metric.task,
        "metric": result.metric.metric,
        "required": result.metric.gated,
        "verdict": result.verdict,
        "reason": result.reason,
        "advice": advice(result),
        "base": result.base,
        "candidate": result.cand,
        "change": result.change,
        "low": result.low,
        "high": result.high,
        "margin": result.margin,
        "level": result.level,
        "look": result.look,
        "p_pass": result.p_pass,
        "p_fail": result.p_fail,
        "p_holm": result.p_holm,
        "items": len(pairs.ids) if pairs else 0,
        "clusters": pairs.clusters if pairs else 0,
        "samples": list(pairs.samples) if pairs else None,
        "regressed": [{"id": name, "base": base, "candidate": cand} for name, base, cand in regressed(result)],
        "answers": _answers(report, result),
    }


def _answers(report: Report, result: Result) -> dict[str, list[Any]]:
    """First extracted answers of the regressed items: baseline, candidate."""
    if report.candidate is None or not regressed(result):
        return {}
    task = result.metric.task
    theirs, ours = (by_id(one.tasks[task].items) for one in (report.baseline, report.candidate))
    return {name: [theirs[name].answers[0], ours[name].answers[0]] for name, _, _ in regressed(result)}


def _regressed(result: Result) -> str:
    lines = [(name, f"{base:.3g}", f"{cand:.3g}") for name, base, cand in regressed(result)]
    title = f"{escape(result.metric.name)}: items that lost most"
    table = _table(("item", "base", "cand"), lines)
    return f"<details><summary>{title}</summary>\n\n{table}\n\n</details>"


def _checkpoint(one: Evaluation) -> str:
    what = one.checkpoint
    return f"{what['name']}, {what['fingerprint']}, {what['precision']}, {what['engine']}"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = [":--", *["--:"] * (len(header) - 1)]
    body = [
        [escape(cells[0]), *(cell if cell.startswith("**") else escape(cell) for cell in cells[1:])] for cells in lines
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [list(header), rule, *body])
