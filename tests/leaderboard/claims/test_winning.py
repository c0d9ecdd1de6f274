"""Win rates by judge."""

from __future__ import annotations

import numpy as np
import pytest

from leaderboard.claims import Verdicts, findings
from leaderboard.claims.gather import gather
from leaderboard.records import read_json, write_json
from leaderboard.verdicts import GameRecord, Judged, JudgeRecord, PairRecord, Player, Record, Task, write

JUDGE = JudgeRecord("mock", "judge-1", "r1", "labels", "sha")
CLAIM, ARENA = "gift-higher-win-rate", "gift-higher-arena-hard"


def judging(label, algorithm, seed, share, judge=JUDGE, task="preference", pairs=60, opponent="start", official=True):
    """Both orders of each pair; a game is won with probability `share`, and lengths lie on either side."""
    rng = np.random.default_rng([seed, *label.encode(), *judge.model.encode()])
    names = [f"pair-{n}" for n in range(pairs)]
    lengths = np.random.default_rng(7).integers(80, 120, (pairs, 2)).tolist()
    found = [PairRecord(name, f"content-{name}", tuple(chars)) for name, chars in zip(names, lengths, strict=True)]
    games = [
        GameRecord(name, first, "read", float(won))
        for name in names
        for won in [rng.random() < share]
        for first in (True, False)
    ]
    player = Player(f"{label}-{seed}", "f", algorithm, label, seed, "sha")
    against = Player(opponent, None, None, None, None, "b")
    return Judged(Record(1, Task(task), player, against, judge, "labels", names, official=official), found, games)


def panel(shares, seeds=range(3), **more):
    return [judging(label, label.lower(), seed, share, **more) for label, share in shares.items() for seed in seeds]


SHARES = {"GRPO": 0.4, "DAPO": 0.4, "GSPO": 0.4, "GIFT": 0.9}


def test_each_judge_has_a_verdict_of_its_own(pick):
    other = JudgeRecord("mock", "judge-2", "r1", "labels", "sha")
    judged = [*panel(SHARES), *panel({**SHARES, "GIFT": 0.1}, judge=other)]
    judged += panel({"GIFT": 0.9}, opponent="GRPO", official=False)  # head to head: not what is claimed
    found = findings(None, judged=[Verdicts("gift-tiny-rlhf", judged)])
    own = [one for one in found if one.claim == CLAIM and one.scale == "tiny" and not one.part]
    verdicts = (
        {one.verdict for one in own if "judge-1" in one.comparison},
        {o.verdict for o in own if "judge-2" in o.comparison},
    )
    assert len(own) == 2 and verdicts == ({"supported"}, {"refuted"})
    parts = [one for one in found if one.claim == CLAIM and one.part == "against GRPO" and one.verdict == "supported"]
    assert len(parts) == 1 and 30 < parts[0].estimate < 70 and parts[0].unit == "points" and parts[0].seeds == 3
    assert "on preference against start, judged by judge-1@r1" in parts[0].comparison
    assert [(one.scale, one.verdict) for one in found if one.claim == ARENA] == [("paper", "not run")]


def test_few_seeds_and_missing_rows(pick):
    found = findings(None, judged=[Verdicts("gift-tiny-rlhf", panel({"GRPO": 0.3, "GIFT": 0.9}, seeds=[1, 2]))])
    parts = pick(found, CLAIM, parts=True)
    assert "2 seeds: no verdict" in parts["against GRPO"].why and parts["against DAPO"].verdict == "not run"


def test_what_cannot_be_length_controlled_says_why(pick):
    found = findings(None, judged=[Verdicts("gift-tiny-rlhf", panel(SHARES, pairs=5))])
    one = pick(found, CLAIM, parts=True)["against GRPO"]
    assert one.verdict == "inconclusive" and "not length-controlled: 5 judged pairs" in one.why
    found = findings(None, judged=[Verdicts("gift-tiny-rlhf", panel(SHARES, task="alpaca_eval"))])
    assert "side file is not there" in pick(found, CLAIM, parts=True)["against GRPO"].why


def test_arena_hard_is_a_claim_of_its_own(pick):
    found = findings(None, judged=[Verdicts("gift-small-rlhf", panel(SHARES, task="arena_hard"))])
    assert pick(found, ARENA, "small").verdict == "supported" and pick(found, CLAIM, "small").verdict == "not run"


def test_the_same_seed_twice_is_no_verdict(pick):
    found = findings(None, judged=[Verdicts("gift-tiny-rlhf", panel(SHARES) + panel({"GIFT": 0.9}))])
    assert pick(found, CLAIM).verdict == "inconclusive" and "expected each seed once" in pick(found, CLAIM).why


@pytest.mark.parametrize(("name", "scale"), [("gift-paper-rlhf", "paper"), ("mine", "tiny")])
def test_verdicts_on_disk_belong_to_their_benchmark(studies, rise, pick, name, scale):
    """With the labels of presets where the benchmark is nobody's study."""
    labels = (
        SHARES if name != "mine" else {"grpo@no-kl": 0.4, "dapo@verl": 0.4, "gspo@paper": 0.4, "gift@released": 0.9}
    )
    studies.row(name, next(iter(labels)), rise(0.8), "grpo")
    folder = studies.results.plan()
    for n, (label, share) in enumerate(labels.items()):
        for seed in range(3):
            one = judging(label, label.partition("@")[0].lower(), seed, share)
            write(folder / name / "judged" / f"{n}-{seed}", one)
    found = gather([folder])
    assert [one.benchmark for one in found.judged] == [name] and len(found.judged[0].judged) == 12
    said = pick(findings(found.archive, judged=found.judged), CLAIM, scale)
    assert said.verdict == "supported" and said.table == "arithmetic"


def test_verdicts_are_of_the_runs_in_their_own_folder(studies, rise):
    """Of two folders with a study's name, one of which was run with other settings."""
    for n, name in enumerate(("long", "short")):
        studies.row(name, "GRPO", rise(0.8, 5 + n), "grpo")
    folder = studies.results.plan()
    for name in ("long", "short"):
        plan = read_json(folder / name / "benchmark.json")
        write_json(folder / name / "benchmark.json", plan | {"name": "gift-tiny-rlhf"})
        for n, (label, share) in enumerate(SHARES.items()):
            for seed in range(3):
                write(folder / name / "judged" / f"{n}-{seed}", judging(label, label.lower(), seed, share))
    found = gather([folder])
    of = {t.slug: t.rows[0].cells[0].folder.parents[1].name for t in found.archive.tables}
    assert sorted(of.values()) == ["long", "short"]
    said = findings(
        found.archive, judged=found.judged,
        departures=lambda table: ["budget.steps = 2, not 14"] if of[table.slug] == "short" else [],
    )  # fmt: skip
    own = [one for one in said if one.claim == CLAIM and one.scale == "tiny" and not one.part]
    assert sorted((of[one.table], len(one.departures)) for one in own) == [("long", 0), ("short", 1)]
