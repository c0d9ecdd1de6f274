"""A gate's verdict as JUnit XML, in the dialect that Jenkins, GitLab and GitHub's reporters read.

One `testsuite` a task; a `testcase` a metric (classname gate.<task>) and one for each problem. A regression is a
`failure`, what the data cannot carry an `error`; what is inconclusive, or only to be warned of, is `skipped`.
Properties stand on the suite, where every dialect has them, named <metric>.<property>. There is no clock and no host in
it: equal gates give equal bytes.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from ..gate.advice import advice
from ..gate.checks import Problem
from ..gate.decide import Report, Result
from ..gate.report import HEADER, provenance, rows, verdict_line

# What XML 1.0 cannot hold, not even escaped; names of models and items come from anywhere.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report, allowed: bool = False, seconds: float | None = None) -> str:
    """The document, as text; `seconds`: what the candidate's evaluation took, where it is known."""
    root = ET.Element("testsuites", name="groupbench gate")
    tasks = list(dict.fromkeys(result.metric.task for result in report.results))
    for task in tasks:
        suite = ET.SubElement(root, "testsuite", name=task)
        properties = ET.SubElement(suite, "properties")
        known = {"verdict": verdict_line(report, allowed), **provenance(report)}
        for key, value in known.items():
            if not key.startswith("protocol of ") or key == f"protocol of {task}":
                _property(properties, key, value)
        others = tuple(f"{other}: " for other in tasks if other != task)
        for number, note in enumerate([note for note in report.notes if not note.startswith(others)], start=1):
            _property(properties, f"note {number}", note)
        shown = zip(report.results, rows(report), strict=True)
        for result, row in [(result, row) for result, row in shown if result.metric.task == task]:
            _numbers(properties, result)
            _case(suite, result, row, "not comparable" if report.code == 2 else "incomplete")
        for problem in [problem for problem in report.problems if problem.task == task]:
            _problem(suite, problem)
        if said := [alarm for alarm in report.alarms if alarm.startswith(f"{task}: ")]:
            ET.SubElement(suite, "system-out").text = _clean("\n".join(f"warning: {alarm}" for alarm in said))
        _count(suite)
    _count(root)
    if seconds is not None:
        root.set("time", f"{seconds:.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, result: Result, row: Sequence[str], error: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"gate.{_clean(result.metric.task)}", name=result.metric.metric)
    text = ", ".join(f"{key} {cell}" for key, cell in zip(HEADER[1:], row[1:], strict=True))
    said = "; ".join(filter(None, (result.reason, advice(result))))
    if result.verdict == "pass":
        pass
    elif result.verdict == "inconclusive" or not result.metric.gated:
        word = "inconclusive" if result.verdict == "inconclusive" else f"warning only: {result.verdict}"
        ET.SubElement(case, "skipped", message=_clean(f"{word}: {said}"))
    elif result.verdict == "regression":
        ET.SubElement(case, "failure", type="regression", message=_clean(said)).text = _clean(text)
    else:
        ET.SubElement(case, "error", type=error, message=_clean(said)).text = _clean(text)
    ET.SubElement(case, "system-out").text = _clean(text)


def _problem(suite: ET.Element, problem: Problem) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"gate.{_clean(problem.task)}", name=f"check.{problem.name}")
    tag, kind = ("failure", "regression") if problem.code == 1 else ("error", "incomplete")
    if not problem.gated:
        ET.SubElement(case, "skipped", message=_clean(f"warning only: {problem.text}"))
    else:
        kind = "not comparable" if problem.code == 2 else kind
        ET.SubElement(case, tag, type=kind, message=_clean(problem.text)).text = _clean(problem.text)


def _numbers(properties: ET.Element, result: Result) -> None:
    found = {
        "margin": result.margin, "low": result.low, "high": result.high, "level": result.level,
        "n": len(result.pairs.ids) if result.pairs else 0, "look": result.look,
    }  # fmt: skip
    for key, value in found.items():
        _property(properties, f"{result.metric.metric}.{key}", "" if value is None else f"{value:.6g}")


def _property(properties: ET.Element, name: str, value: str) -> None:
    ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))


def _count(element: ET.Element) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    names = (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    for attribute, tag in names if element.tag == "testsuite" else names[:2]:
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))


def _clean(text: str) -> str:
    return FORBIDDEN.sub("�", text)
