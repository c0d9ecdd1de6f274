"""Candidates that are the same, a little worse, much worse, broken or too good get the verdict that they deserve."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaderboard.gate import decide, parse, unreadable


def config(*metrics, **keys):
    lines = metrics or ({"task": "gsm8k", "metric": "accuracy"},)
    return parse({"metrics": list(lines), **keys}, "it")


@pytest.fixture(scope="module")
def verdicts(made):
    return made.right(1319, 0.75)


@pytest.fixture(scope="module")
def base(made, verdicts):
    return made.evaluation(made.task("gsm8k", made.scores(verdicts)))


def candidate(made, values, **changes):
    return made.evaluation(made.task("gsm8k", made.scores(values, **changes)), name="candidate")


@pytest.mark.parametrize(
    ("lost", "gained", "code"),
    [(0, 0, 0), (30, 30, 0), (33, 20, 0), (46, 20, 4), (80, 14, 1), (130, 30, 1), (0, 40, 0)],
)
def test_verdicts(made, verdicts, base, lost, gained, code):
    report = decide(config(), base, candidate(made, made.worse(verdicts, lost, gained)))
    assert report.code == code and report.results[0].change == pytest.approx((gained - lost) / 1319)


def test_lower_is_better(made, base, verdicts):
    wanted = config({"task": "gsm8k", "metric": "response_tokens", "margin": 0.1}, limits={"length": None})
    for tokens, code in ((100, 0), (90, 0), (105, 0), (140, 1)):
        assert decide(wanted, base, candidate(made, verdicts, tokens=[tokens])).code == code
    result = decide(wanted, base, candidate(made, verdicts, tokens=[140])).results[0]
    assert result.change == 40 and result.low > result.margin == pytest.approx(10)


def test_floors(made, base, verdicts):
    wanted = config({"task": "gsm8k", "metric": "accuracy", "min": 0.76})
    report = decide(wanted, base, candidate(made, verdicts))
    assert report.code == 1 and "below its floor" in report.results[0].reason


def test_half_right_samples_are_not_counted(made):
    """A share of a verdict has a mean, and no number of ways to choose it."""
    half = made.evaluation(made.task("m", made.scores(np.full((40, 4), 0.5))))
    for metric, code in (("accuracy", 4), ("pass@2", 3), ("pass^2", 3)):
        report = decide(config({"task": "m", "metric": metric}), half, half)
        assert report.code == code and (code == 4 or "with an odd one" in report.problems[0].text)


def test_alarm_leaves_the_exit_code(made, base):
    report = decide(config(), base, candidate(made, made.right(1319, 0.9, seed=1)))
    assert report.code == 0 and "contamination" in report.alarms[0] and "+15.0 pp" in report.alarms[0]


def broken(made, verdicts, **how):
    """A candidate with one thing wrong."""
    items = made.scores(verdicts)
    changes = {}
    if "missing" in how:
        changes["examples"] = [one.id for one in items]
        items = items[how["missing"] :]
    if "nan" in how:
        items[3].correct[0] = how["nan"]
    if "content" in how:
        items[5].content = "another prompt"
    if "samples" in how:
        changes["samples"] = how["samples"]
    if "rate" in how:
        name, count = how["rate"]
        for one in items[:count]:
            setattr(one, name, [None] if name == "answers" else [1])
    if "tokens" in how:
        for one in items:
            one.tokens = [how["tokens"]]
    if "odd" in how:
        items[0].id = items[1].id
    if "protocol" in how:
        changes |= how["protocol"]
    if "names" in how:
        for one in items:
            one.id = "other " + one.id
        changes["examples"] = [one.id for one in items]
    return made.evaluation(made.task("gsm8k", items, **changes), name="candidate")


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ({"missing": 1}, 3, "1 of 1319 items are missing or incomplete: q0000"),
        ({"missing": 1319}, 3, "answered no item"),
        ({"samples": 4}, 3, "1319 of 1319 items are missing or incomplete"),
        ({"nan": None}, 3, "1 items have a sample without a verdict, or with an odd one: q0003"),
        ({"nan": float("nan")}, 3, "without a verdict"),
        ({"nan": 7.0}, 3, "with an odd one"),
        ({"odd": True}, 3, "two items have one id"),
        ({"content": True}, 2, "1 of 1319 shared items have another prompt or answer: q0005"),
        ({"names": True}, 2, "have no item in common"),
        ({"protocol": {"temperature": 1.0}}, 2, "temperature: 1.0 against 0.6"),
        ({"protocol": {"verifier": "v2"}}, 2, "verifier: 'v2' against 'v1'"),
        ({"protocol": {"parameters": {"shots": 5}}}, 2, "parameters:"),
        ({"rate": ("truncated", 67)}, 3, "truncated 5.1 %, limit 5 %"),
        ({"rate": ("timed_out", 14)}, 3, "timed out 1.1 %, limit 1 %"),
        ({"rate": ("answers", 27)}, 3, "unanswered 2.0 %, limit 2 %"),
        ({"tokens": 126}, 1, "126 tokens an answer, baseline 100, limit +25 %"),
    ],
)
def test_what_is_not_compared(made, base, verdicts, how, code, said):
    report = decide(config(), base, broken(made, verdicts, **how))
    assert report.code == code and any(said in problem.text for problem in report.problems), report.problems


@pytest.mark.parametrize(
    "how", [{"rate": ("truncated", 65)}, {"rate": ("answers", 26)}, {"tokens": 125}, {"protocol": {"seed": 5}}]
)
def test_what_limits_allow(made, base, verdicts, how):
    assert decide(config(), base, broken(made, verdicts, **how)).code == 0


def test_a_response_that_was_cut_off_is_not_one_without_an_answer(made, base, verdicts):
    found = broken(made, verdicts, rate=("answers", 60))
    for one in found.tasks["gsm8k"].items[:60]:
        one.truncated = [1]
    assert decide(config(), base, found).code == 0


def test_precedence(made, verdicts, base):
    """2 > 3 > 1 > 4 > 0, whatever else is true."""
    bad = made.worse(verdicts, 130)
    assert decide(config(), base, candidate(made, bad)).code == 1
    cut = candidate(made, bad, truncated=[1])
    assert decide(config(), base, cut).code == 3  # and 1
    other = replace(
        cut, tasks={"gsm8k": replace(cut.tasks["gsm8k"], protocol={**cut.tasks["gsm8k"].protocol, "top_p": 1.0})}
    )
    assert decide(config(), base, other).code == 2  # and 3 and 1
    two = config({"task": "gsm8k", "metric": "accuracy"}, {"task": "aime", "metric": "accuracy", "required": True})
    small = made.task("aime", made.scores(made.right(30, 0.2, 8)))
    both = made.evaluation(base.tasks["gsm8k"], small)
    assert decide(two, both, made.evaluation(base.tasks["gsm8k"], small)).code == 4  # and 0
    assert decide(two, both, made.evaluation(candidate(made, bad).tasks["gsm8k"], small)).code == 1  # and 4


def test_what_is_not_required_warns(made, base, verdicts):
    wanted = config({"task": "gsm8k", "metric": "accuracy", "required": False})
    report = decide(wanted, base, candidate(made, made.worse(verdicts, 130), truncated=[1]))
    assert report.code == 0 and report.results[0].verdict == "regression" and not report.problems[0].gated
    assert decide(wanted, base, broken(made, verdicts, missing=1)).code == 3
    assert decide(wanted, base, broken(made, verdicts, content=True)).code == 2


def test_tasks_that_are_not_there(made, base, verdicts):
    report = decide(config({"task": "gsm8", "metric": "accuracy"}), base, candidate(made, verdicts))
    assert report.code == 2 and "did you mean 'gsm8k'" in report.problems[0].text
    other = made.evaluation(made.task("math500", made.scores(verdicts)))
    report = decide(config(), base, other)
    assert report.code == 3 and "the candidate was not evaluated on it; it has math500" in report.problems[0].text
    assert unreadable(config(), base, "cut short").code == 3
    incomplete = broken(made, verdicts, missing=2)
    assert decide(config(), incomplete, candidate(made, verdicts)).code == 3


def test_holm_over_required_metrics(made, base, verdicts):
    """One alone is declared at .05, one of two only at .025; a pass needs no correction."""
    worse = candidate(made, made.worse(verdicts, 38))
    alone = decide(config(), base, worse).results[0]
    assert alone.verdict == "regression" and 0.025 < alone.p_fail < 0.05
    both = config({"task": "gsm8k", "metric": "accuracy"}, {"task": "gsm8k", "metric": "response_tokens"})
    report = decide(both, base, worse)
    assert report.code == 4 and "Holm" in report.results[0].reason and report.results[1].verdict == "pass"
    assert report.results[0].p_holm == pytest.approx(2 * alone.p_fail)
    shown = config(
        {"task": "gsm8k", "metric": "accuracy"}, {"task": "gsm8k", "metric": "format_gap", "required": False}
    )
    assert decide(shown, base, worse).code == 1


def test_a_part_of_the_items_is_named(made, base, verdicts):
    few = made.evaluation(
        made.task("gsm8k", [*made.scores(verdicts[:1200]), made.item("new", [1.0])]), name="candidate"
    )
    report = decide(config(), base, few)
    assert report.code == 3 and [(p.name, p.gated) for p in report.problems] == [("coverage", True)]
    assert "1,200 of the baseline's 1,319 items (91.0 %); limits.coverage wants 100 %" in report.problems[0].text
    assert report.notes == ("gsm8k: 1 items that the baseline does not hold are left out",)
    assert decide(config(limits={"coverage": 0.92}), base, few).code == 3
    shown = config({"task": "gsm8k", "metric": "accuracy", "required": False})
    assert decide(shown, base, few).code == 0 and not decide(shown, base, few).problems[0].gated
    report = decide(config(limits={"coverage": 0.9}), base, few)
    assert report.code == 0 and len(report.results[0].pairs.ids) == 1200 and not report.problems
    assert decide(config(limits={"coverage": None}), base, few).code == 0
    assert report.notes == (
        "gsm8k: compared on 1,200 of the baseline's 1,319 items",
        "gsm8k: 1 items that the baseline does not hold are left out",
    )


def test_rtol_is_legacy_and_says_so(made, base, verdicts):
    wanted = config({"task": "gsm8k", "metric": "accuracy", "rtol": 0.05})
    for lost, code in ((40, 0), (60, 1)):
        report = decide(wanted, base, candidate(made, made.worse(verdicts, lost)))
        assert report.code == code and "no error is controlled" in report.notes[-1]


class Sampler:
    """A checkpoint that is evaluated on demand."""

    def __init__(self, made, values):
        self.made, self.values, self.calls = made, values, []

    def __call__(self, wanted):
        self.calls.append(dict(wanted))
        return self.made.evaluation(
            self.made.task("m", self.made.scores(self.values[:, : wanted["m"]])), name="candidate"
        )


TWICE = {"task": "m", "metric": "accuracy", "k": 2, "max_k": 16, "margin": 0.03}


def test_samples_are_added_once_where_they_may_decide(made):
    chance = np.random.default_rng(1).beta(2, 2, size=400)
    rng = np.random.default_rng(2)
    ours, theirs = ((rng.random((400, 16)) < chance[:, None]).astype(float) for _ in range(2))
    base = made.evaluation(made.task("m", made.scores(theirs)))
    extend = Sampler(made, ours)
    report = decide(config(TWICE), base, None, extend)
    result = report.results[0]
    assert extend.calls == [{"m": 2}, {"m": 16}] and report.code == 0
    assert (result.look, result.level, result.pairs.samples) == (2, 0.025, (16, 16))
    # A finished evaluation that holds them already needs nobody to make them.
    held = decide(config(TWICE), base, made.evaluation(made.task("m", made.scores(ours))))
    assert held.results[0].low == result.low and held.code == 0
    # One that does not is looked at once, at the full level.
    short = decide(config(TWICE), base, made.evaluation(made.task("m", made.scores(ours[:, :2]))))
    assert short.results[0].level == 0.05 and short.results[0].look == 1


def test_no_second_look_where_the_first_decides_or_none_can(made):
    values = made.right(1319, 0.5, 16)
    base = made.evaluation(made.task("m", made.scores(values)))
    extend = Sampler(made, values)
    assert decide(config(TWICE), base, None, extend).code == 0 and len(extend.calls) == 1
    extend = Sampler(made, values * 0)
    assert decide(config(TWICE), base, None, extend).code == 1 and len(extend.calls) == 1
    greedy = made.evaluation(made.task("m", made.scores(values), temperature=0.0))
    report = decide(config(TWICE), greedy, greedy)
    assert report.results[0].level == 0.05 and "greedy" in " ".join(report.notes)
    # Nothing is evaluated for a config that does not fit.
    extend = Sampler(made, values)
    assert decide(config(TWICE | {"task": "x"}), base, None, extend).code == 2 and not extend.calls


def test_a_second_look_that_comes_back_short_is_incomplete(made):
    values = made.right(100, 0.5, 16)
    base = made.evaluation(made.task("m", made.scores(values)))

    def extend(wanted):
        return made.evaluation(made.task("m", made.scores(values[:, :2])))

    assert decide(config(TWICE), base, None, extend).code == 3


small = st.integers(0, 2**32 - 1)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=small, lost=st.integers(0, 20), gained=st.integers(0, 10))
def test_what_does_not_matter(made, seed, lost, gained):
    """Order of items, items of the baseline that nobody asked, names of clusters, and what both have in common."""
    rng = np.random.default_rng(seed)
    values = made.right(120, 0.6, 2, seed)
    groups = rng.integers(0, 60, size=120)

    def both(theirs, ours, order, extra=0, rename=""):
        def items(array):
            found = made.scores(array)
            for one, group in zip(found, groups, strict=True):
                one.cluster = f"{rename}{(group * 7919 + 13) % 1009 if rename else group}"
            return [found[i] for i in order]

        more = [made.item(f"extra{i}", [1, 0]) for i in range(extra)]
        pair = made.task("t", items(theirs) + more), made.task("t", items(ours))
        base, cand = (made.evaluation(one) for one in pair)
        result = decide(config({"task": "t", "metric": "accuracy", "margin": 0.1}), base, cand).results[0]
        return result.verdict, result.low, result.high, result.change

    changed = made.worse(values, lost, gained)
    plain = both(values, changed, range(120))
    assert both(values, changed, rng.permutation(120)) == plain
    assert both(values, changed, range(120), extra=40) == plain
    assert both(values, changed, range(120), rename="c") == plain
    shifted = both(values / 2 + 0.25, changed / 2 + 0.25, range(120))
    again = both(values / 2, changed / 2, range(120))
    assert shifted[0] == again[0] and shifted[1:] == pytest.approx(again[1:])


def test_records_survive_a_round_trip(made, base, tmp_path):
    """A baseline file gives the verdict that its evaluation gives, and the same bytes each time."""
    from leaderboard.evaluations import read, write_baseline

    noted = replace(base, note="exit 1: because")
    for name in ("b.json.gz", "b.json"):
        write_baseline(tmp_path / name, noted)
        first = (tmp_path / name).read_bytes()
        found = read(tmp_path / name)
        assert found.note == noted.note and msgspec.to_builtins(found.tasks["gsm8k"].items) == msgspec.to_builtins(
            base.tasks["gsm8k"].items
        )
        write_baseline(tmp_path / name, found)
        assert (tmp_path / name).read_bytes() == first
        assert "because" in decide(config(), found, base).notes[0]
