"""JUnit XML that others can read: an independent parser, and the rules of the Jenkins schema (xunit-plugin, junit-10)
in our own words, as no package that we install carries that file."""

from __future__ import annotations

import importlib.util
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import junitparser
import pytest

from leaderboard.export.junit import junit
from leaderboard.gate import Config, decide, parse, unreadable

# The helpers of the gate's tests, by their place: tests are no package.
_SPEC = importlib.util.spec_from_file_location("gate_made", Path(__file__).parents[1] / "gate" / "conftest.py")
assert _SPEC and _SPEC.loader
made = sys.modules["gate_made"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made)

# element: allowed attributes, required ones, children; in the schema's words, order of children included
RULES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), ["testsuite"]),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
        {"name", "tests", "failures", "errors"},
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, {"name", "value"}, []),
    "testcase": (
        {"name", "classname", "time", "assertions", "status"},
        {"name", "classname"},
        ["skipped", "error", "failure", "system-out", "system-err"],
    ),
    "failure": ({"type", "message"}, {"type"}, []),
    "error": ({"type", "message"}, {"type"}, []),
    "skipped": ({"type", "message"}, set(), []),
    "system-out": (set(), set(), []),
}


def follow(element: ET.Element) -> None:
    """Assert the rules for an element and all below it."""
    allowed, required, children = RULES[element.tag]
    assert required <= element.attrib.keys() <= allowed, element.tag
    order = [children.index(child.tag) for child in element]
    assert order == sorted(order), element.tag
    for name in {"tests", "failures", "errors", "skipped"} & element.attrib.keys():
        assert re.fullmatch(r"\d+", element.get(name, ""))
    if "time" in element.attrib:
        assert re.fullmatch(r"\d+\.\d{1,3}", element.get("time", ""))
    for child in element:
        follow(child)


def config() -> Config:
    tasks = ("pass", "worse", "open", "cut", "gone", "aime")
    return parse({"metrics": [{"task": task, "metric": "accuracy", "margin": 0.03} for task in tasks]}, "it")


@pytest.fixture
def report():
    """One task of every kind."""
    values = made.right(800, 0.7)
    tasks = {name: made.task(name, made.scores(values)) for name in ("pass", "worse", "cut", "gone", "aime")}
    tasks["open"] = made.task("open", made.scores(values[:40]))
    bad = {name: made.task(name, made.scores(made.worse(values, 90))) for name in ("worse", "aime")}
    bad["cut"] = made.task("cut", made.scores(values, truncated=[1]))
    gone = made.task("gone", made.scores(values[3:]), examples=tasks["gone"].protocol["examples"])
    return made.Evaluation, tasks, bad | {"gone": gone}


def decided(report):
    _, tasks, bad = report
    base = made.evaluation(**tasks)
    candidate = made.evaluation(**(tasks | bad), name='<bad> & "worse" \x00\x1b ☃')
    return decide(config(), base, candidate)


def test_a_task_that_cannot_be_tested_leaves_the_others(report):
    root = ET.fromstring(junit(decided(report)))
    follow(root)
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("8", "3", "1")


def test_every_kind_of_verdict(report):
    _, tasks, bad = report
    del tasks["gone"], bad["gone"]
    metrics = [metric for metric in config().metrics if metric.task != "gone"]
    decision = decide(Config(tuple(metrics)), made.evaluation(**tasks), made.evaluation(**(tasks | bad), name="☃ \x00"))
    text = junit(decision, seconds=12.3456)
    follow(ET.fromstring(text))
    suites = junitparser.JUnitXml.fromstring(text.encode())
    kinds = {suite.name: [[type(r).__name__ for r in case.result] for case in suite] for suite in suites}
    assert kinds == {
        "pass": [[]], "worse": [["Failure"]], "open": [["Skipped"]], "cut": [[], ["Error"]], "aime": [["Skipped"]],
    }  # fmt: skip
    worse = next(suite for suite in suites if suite.name == "worse")
    case = next(iter(worse))
    assert (case.classname, case.name, case.result[0].type) == ("gate.worse", "accuracy", "regression")
    properties = {one.name: one.value for one in worse.properties()}
    assert float(properties["accuracy.margin"]) == 0.03 and float(properties["accuracy.high"]) < -0.03
    assert properties["accuracy.n"] == "800" and "sha-base" in properties["baseline"]
    assert (
        "☃ �" in properties["candidate"] and "protocol of worse" in properties and "protocol of cut" not in properties
    )
    assert (suites.tests, suites.failures, suites.errors) == (6, 1, 1) and 'time="12.346"' in text
    assert junit(decision, seconds=12.3456) == text


def test_alarms_are_shown():
    few, many = (made.evaluation(made.task("t", made.scores(made.right(900, share)))) for share in (0.5, 0.8))
    root = ET.fromstring(junit(decide(parse({"metrics": [{"task": "t", "metric": "accuracy"}]}, "it"), few, many)))
    follow(root)
    assert "contamination" in (root.findtext("testsuite/system-out") or "")


def test_what_could_not_be_read():
    base = made.evaluation(made.task("t", made.scores(made.right(9, 0.5))))
    root = ET.fromstring(
        junit(unreadable(parse({"metrics": [{"task": "t", "metric": "accuracy"}]}, "it"), base, "cut short"))
    )
    follow(root)
    assert [error.get("message") for error in root.iter("error")] == ["cut short", "cut short"]
