"""Claims held to studies whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from leaderboard import evaluations
from leaderboard.claims import CLAIMS, findings, scale_of
from leaderboard.claims.claim import Runs
from leaderboard.claims.deciding import decide
from leaderboard.claims.gather import gather
from leaderboard.records import append, write_json

STEPS, TOKENS = "gift-converges-faster-steps", "gift-converges-faster-tokens"


def rlvr(studies, rise, gift_at, study="gift-tiny-rlvr", **more):
    """GRPO reaches its 0.8 at evaluation 8, DAPO never gets far, GSPO at 9."""
    for n, (label, final, at) in enumerate(
        [("GRPO", 0.8, 8), ("DAPO", 0.4, 9), ("GSPO", 0.8, 9), ("GIFT", 0.8, gift_at)]
    ):
        studies.row(study, label, rise(final, at, n), **more)


def test_a_faster_row_and_one_that_never_arrives(studies, rise, pick):
    rlvr(studies, rise, gift_at=3)
    found = studies.said()
    for claim in (STEPS, TOKENS):
        whole, parts = pick(found, claim), pick(found, claim, parts=True)
        assert whole.verdict == "supported" and whole.seeds == 3 and whole.estimate is None
        assert set(parts) == {"against GRPO", "against DAPO", "against GSPO"}
        assert all(one.verdict == "supported" and one.low > 0 and one.p_holm < 0.05 for one in parts.values())
        assert "GIFT 3/3, DAPO 0/3" in parts["against DAPO"].why and "speed-up" not in parts["against DAPO"].why
        assert "GIFT 3/3, GRPO 3/3" in parts["against GRPO"].why and "speed-up × 2" in parts["against GRPO"].why
    steps, tokens = (pick(found, claim, parts=True)["against GRPO"] for claim in (STEPS, TOKENS))
    assert steps.unit == "steps" and 8 < steps.estimate < 12, "evaluations are two steps apart"
    assert tokens.unit == "generated tokens" and tokens.estimate == pytest.approx(1000 * steps.estimate)
    assert steps.table == whole.table == "arithmetic" and steps.command == "groupbench reproduce gift --scale tiny"


def test_a_slower_row_refutes(studies, rise, pick):
    rlvr(studies, rise, gift_at=10.5)
    found = studies.said()
    parts = pick(found, STEPS, parts=True)
    assert parts["against GRPO"].verdict == "refuted" and parts["against GRPO"].high < 0
    assert pick(found, STEPS).verdict == "refuted" and "one is enough" in pick(found, STEPS).why


def test_nothing_to_tell_apart(studies, rise, pick):
    for n, label in enumerate(["GRPO", "DAPO", "GSPO", "GIFT"]):
        studies.row("gift-tiny-rlvr", label, rise(0.8, 6, n))
    whole = pick(studies.said(), STEPS)
    assert whole.verdict == "inconclusive"


def test_no_target_no_verdict(studies, pick):
    for label in ("GRPO", "GIFT"):
        studies.row("gift-tiny-rlvr", label, lambda seed: [0.2 + 0.1 * (-1) ** seed * (n > 4) for n in range(11)])
    parts = pick(studies.said(), STEPS, parts=True)
    assert parts["against GRPO"].verdict == "inconclusive" and "no target" in parts["against GRPO"].why
    assert parts["against DAPO"].verdict == "not run" and "no row DAPO" in parts["against DAPO"].why


@pytest.mark.parametrize(("seeds", "said"), [((0, 1), "2 seeds: no verdict with fewer than 3"), ((4,), "1 seed: no")])
def test_few_seeds_make_no_verdict(studies, rise, pick, seeds, said):
    rlvr(studies, rise, 3, seeds=seeds)
    for n, label in enumerate(["GFT", "w/o GAL"]):
        studies.row("gft-tiny-ablation", label, rise(0.8 - 0.3 * n, 5, n), "gft", seeds, parameters={"row": label})
    found = studies.said()
    of_groups = pick(found, "gft-needs-groups")
    assert of_groups.verdict == "inconclusive" and said in of_groups.why and of_groups.seeds == len(seeds)
    assert not [one for one in found if one.verdict in ("supported", "refuted")]
    parts = pick(found, STEPS, parts=True)
    assert ("no target" if len(seeds) == 1 else said) in parts["against GRPO"].why, "one seed sets no target"


def test_cells_that_did_not_finish_are_missing(studies, rise, pick):
    studies.row("gift-tiny-rlvr", "GRPO", rise(0.8))
    studies.row("gift-tiny-rlvr", "GIFT", lambda seed: (), state=None)
    one = pick(studies.said(), STEPS, parts=True)["against GRPO"]
    assert one.verdict == "not run" and "GIFT 0 of 3" in one.why and one.command.endswith("--scale tiny")


def test_without_runs_every_claim_is_not_run_and_says_how(pick):
    found = findings(None)
    assert {one.verdict for one in found} == {"not run"}
    assert {(one.claim, one.scale) for one in found} == {(c.id, scale) for c in CLAIMS for scale in c.scales}
    assert pick(found, "gft-better-cold-start", "paper").command == "groupbench reproduce gft --scale paper"
    assert pick(found, "gift-minimiser-family", "lab").command == "groupbench lab gift@published"
    assert [one.paper for one in findings(None, papers=["gft"])] == ["gft"] * sum(
        len(c.scales) for c in CLAIMS if c.paper == "gft"
    )


def test_every_claim_says_what_it_is(pick):
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) > 25
    for claim in CLAIMS:
        assert claim.text.endswith(".") and claim.source.startswith("arXiv") and len(claim.note) > 40


@pytest.mark.parametrize(
    ("benchmark", "model", "scale"),
    [
        ("gift-paper-rlvr", "tiny", "paper"),
        ("gft-small-main", None, "small"),
        ("quickstart", "tiny, warm-started", "tiny"),
        ("mine", "Qwen/Qwen2.5-Math-7B", "paper"),
        ("mine", "meta-llama/Llama-3.2-3B-Instruct", "paper"),
        ("mine", "smollm2-135m", "small"),
        ("mine", None, "small"),
        ("gift-large-rlvr", "tiny", "tiny"),
    ],
)
def test_scales(benchmark, model, scale):
    assert scale_of(benchmark, model) == scale


def test_any_archive_by_patterns(studies, rise, pick):
    """Presets and labels of their own, a control arm, and models that are never pooled."""
    for model in ("tiny", "smollm2-135m", "tiny-other"):
        for n, (label, name, at) in enumerate([
            ("grpo@no-kl", "grpo", 8), ("gift@released(epsilon=0.1)", "gift", 3), ("gift@published", "gift", 9),
            ("dapo@verl", "dapo", 8),
        ]):  # fmt: skip
            studies.row("mine", label, rise(0.8, at, n), name, model=model)
        arm = {"provenance": {"control": "a-a"}, "control": "a-a"}
        studies.row("mine", "gift@released, again", rise(0.8, 9, 7), "gift", model=model, **arm)
    found = studies.said()
    tiny = [one for one in found if one.claim == STEPS and one.scale == "tiny" and not one.part]
    assert len(tiny) == 2 and len({one.table for one in tiny}) == 2, "a finding a table"
    parts = pick(found, STEPS, "small", parts=True)
    assert parts["against GRPO"].verdict == parts["against DAPO"].verdict == "supported"
    assert parts["against GRPO"].comparison.startswith("gift@released(epsilon=0.1) against grpo@no-kl")
    assert pick(found, STEPS, "small").verdict == "inconclusive", "GSPO is not there"
    assert pick(found, STEPS, "paper").verdict == "not run"


def test_a_study_decides_its_own_claims_alone(studies, rise, pick):
    for n, (label, name) in enumerate([("GFT", "gft"), ("GRPO", "grpo"), ("SFT(mix)", "sft"), ("DFT", "dft")]):
        studies.row("gft-tiny-chains", label, rise(0.9 if label == "GFT" else 0.6, 5, n), name)
    found = studies.said()
    assert pick(found, "gft-beats-baselines").verdict == "not run"
    assert pick(found, STEPS).verdict == "not run"
    cold = pick(found, "gft-better-cold-start")
    assert cold.verdict == "not run" and "gft-tiny-chains does not have what this takes" in cold.why


def test_chains_are_not_their_stages(studies, rise, pick):
    for n, (label, name, final) in enumerate([
        ("grpo@no-kl", "grpo", 0.6), ("sft → gft → grpo", "sft+gft+grpo", 0.8), ("sft → grpo", "sft+grpo", 0.6),
        ("gft → grpo", "gft+grpo", 0.9), ("sft → gft", "sft+gft", 0.5), ("grpo → grpo", "grpo+grpo", 0.7),
        ("sft → grpo → grpo", "sft+grpo+grpo", 0.65),
    ]):  # fmt: skip
        studies.row("mine", label, rise(final, 5, n), name)
    found = studies.said()
    assert pick(found, "gft-better-cold-start").comparison.startswith("sft → gft → grpo against sft → grpo")
    assert set(pick(found, "gft-before-grpo", parts=True)) == {"against GRPO", "against GRPO+GRPO"}
    assert pick(found, "gft-better-cold-start").verdict == pick(found, "gft-before-grpo").verdict == "supported"
    assert pick(found, "gft-sft-blocks-grpo").verdict == "inconclusive"
    assert pick(found, "gft-sft-blocks-grpo", parts=True)["against GRPO+GRPO"].verdict == "supported"
    assert pick(found, "gft-after-sft").verdict == pick(found, "gft-beats-baselines").verdict == "not run"


def test_main_study(studies, rise, pick):
    """Accuracy, ten times the prompts, drift, entropy."""
    drift = {"SFT": (3.0, 0.2), "SFT(mix)": (2.5, 0.3), "GRPO": (0.5, 0.4), "DFT": (2.0, 0.4), "GFT": (0.9, 0.8)}

    def change(label):
        def of(seed, record):
            kl, entropy = drift[label]
            record["kl"] = record["step"] / 20 * (kl + 0.05 * seed)
            record["entropy"] = entropy + 0.01 * np.random.default_rng([seed, *label.encode()]).normal()
            if label == "SFT":
                record["counters"]["prompts"] *= 10

        return of

    finals = {"SFT": 0.6, "SFT(mix)": 0.62, "GRPO": 0.95, "DFT": 0.7, "GFT": 0.8, "GFT(no mix)": 0.7}
    for n, (label, final) in enumerate(finals.items()):
        name = "gft" if label.startswith("GFT") else label.partition("(")[0].lower()
        studies.row("gft-tiny-main", label, rise(final, 6, n), name, change=change(label) if label in drift else None)
    found = studies.said()
    assert pick(found, "gft-ten-thousand-beat-hundred").verdict == "supported"
    assert pick(found, "gft-ten-thousand-beat-hundred").estimate == pytest.approx(20, abs=2)
    parts = pick(found, "gft-beats-baselines", parts=True)
    assert {part: one.verdict for part, one in parts.items()} == {
        "against SFT(mix)": "supported", "against GRPO": "refuted", "against DFT": "supported",
    }  # fmt: skip
    assert pick(found, "gft-beats-baselines").verdict == "refuted"
    assert pick(found, "gft-mix-helps").verdict == "supported"
    assert pick(found, "gft-smaller-drift").verdict == "inconclusive", "all seeds differ by the same, exactly"
    assert "agree exactly" in pick(found, "gft-smaller-drift").why
    assert pick(found, "gft-keeps-entropy").verdict == "supported"
    # No study at this scale has another task: a command that is said to help would be the one that was just run.
    assert not [one for one in found if (one.claim, one.scale) == ("gft-forgets-less", "tiny")]
    assert pick(found, "gft-forgets-less", "paper").command == "groupbench reproduce gft --scale paper"


@pytest.mark.parametrize(("kl", "verdict"), [(0.9, "supported"), (2.6, "refuted"), (1.75, "inconclusive")])
def test_drift_between_two(studies, rise, pick, kl, verdict):
    for n, (label, name, own) in enumerate([("SFT", "sft", 3.0), ("GRPO", "grpo", 0.5), ("GFT", "gft", kl)]):

        def change(seed, record, own=own, n=n):
            record["kl"] = own + 0.05 * ((seed * (n + 1)) % 3) - 0.05
            record["entropy"] = 1.0

        studies.row("gft-tiny-main", label, rise(0.8, 6, n), name, change=change)
    assert pick(studies.said(), "gft-drift-near-grpo").verdict == verdict


def test_ten_times_the_prompts_or_no_verdict(studies, rise, pick):
    for n, label in enumerate(["SFT", "GFT"]):
        studies.row("gft-tiny-main", label, rise(0.6 + 0.2 * n, 6, n))
    one = pick(studies.said(), "gft-ten-thousand-beat-hundred")
    assert one.verdict == "not run" and "SFT saw 1 times the prompts of GFT" in one.why
    drift = pick(studies.said(), "gft-smaller-drift")
    assert drift.verdict == "inconclusive" and "drift: true" in drift.why


def test_ablations(studies, rise, pick):
    """Under the labels of the recipes: 4:4 is the row GFT, and τ = 0 is w/o DCR."""
    finals = {
        "GFT": 0.75, "w/o GAL": 0.6, "w/o DCR": 0.6, "GFT τ=0.1": 0.7, "GFT τ=0.7": 0.8, "GFT τ=0.9": 0.6,
        "GFT 8:0": 0.3, "GFT 6:2": 0.7, "GFT 2:6": 0.7, "GFT 0:8": 0.5,
    }  # fmt: skip
    taus = {"w/o DCR": 0.0, "GFT τ=0.1": 0.1, "GFT τ=0.7": 0.7, "GFT τ=0.9": 0.9}
    for n, (label, final) in enumerate(finals.items()):
        curve = rise(final, 9 if label == "w/o GAL" else 5, n)
        if label == "w/o DCR":
            smooth = curve
            curve = lambda seed, smooth=smooth: [  # noqa: E731
                y + (0.08 + 0.01 * seed) * (-1) ** k * (0 < k < 10) for k, y in enumerate(smooth(seed))
            ]
        parameters = {"tau": taus.get(label, 0.583), "mix": label if ":" in label else "4:4"}
        studies.row("gft-tiny-ablation", label, curve, "dcr" if label == "w/o GAL" else "gft", parameters=parameters)
    found = studies.said()
    for claim in ("gft-needs-groups", "gft-needs-rectification", "gft-groups-are-quick", "gft-rectification-is-steady",
                  "gft-tau-inside", "gft-mixtures-beat-unmixed"):  # fmt: skip
        assert pick(found, claim).verdict == "supported", pick(found, claim)
    assert pick(found, "gft-own-samples-help").verdict == "refuted"
    ends = pick(found, "gft-tau-inside", parts=True)
    assert set(ends) == {"against τ=0", "against τ=0.9"}
    assert ends["against τ=0"].comparison.startswith("GFT τ=0.7 against w/o DCR")
    mixed = pick(found, "gft-mixtures-beat-unmixed", parts=True)
    assert mixed["against 8:0"].estimate == pytest.approx(100 * (0.7 + 0.75 + 0.7) / 3 - 30, abs=1)
    assert "GFT 6:2, GFT 2:6, GFT" in mixed["against 0:8"].comparison
    assert pick(found, "gft-groups-are-quick").unit == "steps"


def test_sensitivity(studies, rise, pick):
    for n, (label, final) in enumerate([
        ("GIFT lr=1e-4", 0.8), ("GIFT lr=3e-5", 0.78), ("GIFT lr=1e-3", 0.75), ("GRPO lr=1e-4", 0.8),
        ("GRPO lr=3e-5", 0.5), ("GRPO lr=3e-3", 0.1), ("GRPO β=0.1", 0.5), ("GIFT β=0.2", 0.5),
    ]):  # fmt: skip
        studies.row("gift-tiny-sensitivity", label, rise(final, 5, n), label[:4].lower(), parameters={"row": label})
    found = studies.said()
    one = pick(found, "gift-less-sensitive")
    assert one.verdict == "supported" and "over lr = 3e-05, 0.0001" in one.comparison
    assert one.estimate == pytest.approx(30 - 2, abs=2), "over the values that both have"


def test_overfitting_is_paired_by_item(studies, pick):
    """Gains on the probe and held out, item by item: GIFT gains as much on both, the others on the probe alone."""
    rng, n = np.random.default_rng(3), 60
    start = rng.random((n, 1)) < 0.3
    for label in ("GRPO", "DAPO", "GSPO", "GIFT"):
        for seed in range(4):
            own = np.random.default_rng([seed, len(label), ord(label[1])])
            final = {
                "probe": own.random((n, 1)) < 0.8,
                "heldout": own.random((n, 1)) < (0.8 if label == "GIFT" else 0.35),
            }
            items = {(split, "sampled", 0): start.astype(int).tolist() for split in final}
            items |= {(split, "sampled", 4): verdicts.astype(int).tolist() for split, verdicts in final.items()}
            studies.results.cell(label, seed, benchmark="gift-tiny-rlvr", name=label.lower(), items=items)
    found = studies.said()
    assert pick(found, "gift-overfits-less").verdict == "supported"
    assert all(30 < one.estimate < 60 for one in pick(found, "gift-overfits-less", parts=True).values())
    assert pick(found, "gift-overfits-less", parts=True)["against GRPO"].comparison.endswith("paired by seed and item")


def test_no_probe_is_said(studies, rise, pick):
    rlvr(studies, rise, 3)
    found = studies.said()
    assert "no train probe" in pick(found, "gift-overfits-less", parts=True)["against GRPO"].why


def test_peaks(studies, pick):
    for n, label in enumerate(["GRPO", "DAPO", "GSPO", "GIFT"]):
        losses = [(0.02 if label == "GIFT" else 0.3) + 0.01 * x for x in np.random.default_rng(n).random(3)]
        studies.row("gift-tiny-rlvr", label, lambda seed, losses=losses: [
            0.2, 0.4, 0.7, 0.7, 0.7, 0.7, *[0.7 - losses[seed]] * 3
        ])  # fmt: skip
    assert pick(studies.said(), "gift-holds-its-peak").verdict == "supported"


def final_task(folder, task, accuracies, trained=False):
    """An evaluation beside a cell, as a recipe's final tasks leave it."""
    (folder / "final" / task).mkdir(parents=True)
    ids = [f"{task}-{n}" for n in range(len(accuracies))]
    lines = [
        {"id": name, "content": name, "first": 0, "responses": ["", ""], "answers": ["1", "1"], "correct": [a, a],
         "strict": [a, a], "tokens": [1, 1], "truncated": [0, 0], "timed_out": [0, 0]}
        for name, a in zip(ids, accuracies, strict=True)
    ]  # fmt: skip
    append(folder / "final" / task / "items.jsonl", lines)
    protocol = {"task": task, "parameters": {}, "protocol": "p", "samples": 2, "temperature": 1.0, "top_p": 1.0,
                "max_tokens": 4, "seed": 0, "verifier": "1", "examples": ids, "data": "d"}  # fmt: skip
    record = {"schema": evaluations.SCHEMA, "checkpoint": {"name": "c"}, "tasks": {
        task: {"protocol": protocol, "items": len(ids), "metrics": {}}
    }}  # fmt: skip
    write_json(folder / "final" / "evaluation.json", record)


@pytest.mark.parametrize(
    ("kept", "verdict"), [({"GFT": 0.8, "SFT": 0.4}, "supported"), ({"GFT": 0.4, "SFT": 0.8}, "refuted")]
)
def test_forgetting_by_final_tasks(studies, rise, pick, kept, verdict):
    for n, (label, share) in enumerate(kept.items()):
        for seed, folder in enumerate(studies.row("gft-tiny-main", label, rise(0.8, 6, n))):
            rng = np.random.default_rng([seed, n])
            final_task(folder, "svamp", (rng.random(100) < share).astype(int).tolist())
    one = pick(studies.said(), "gft-forgets-less")
    assert one.verdict == verdict and "on svamp" in one.comparison and abs(abs(one.estimate) - 40) < 12
    assert one.command == "", "runs of one's own decide it here; no command would"


def test_runs_that_are_not_the_study_s_say_so(studies, rise, pick):
    rlvr(studies, rise, 3)
    studies.row("mine", "gift@released", rise(0.8, 3), "gift")
    studies.row("mine", "grpo@no-kl", rise(0.8, 8, 3), "grpo")
    others = [f"budget.{n} = 1, not 2" for n in range(5)]

    def departures(table):
        return others if table.benchmark.startswith("gift-") else ()

    found = studies.said(departures=departures)
    parts = [one for one in found if one.claim == STEPS and one.departures]
    assert len(parts) == 4, "the claim and its comparisons"
    plain = [one for one in studies.said() if one.claim == STEPS and one.table == parts[0].table]
    for one, without in zip(parts, plain, strict=True):
        assert one.departures == tuple(others) and one.verdict == without.verdict
        assert one.why == (f"{without.why}; not the study's settings: {'; '.join(others[:3])}; and 2 more")
    rest = [one for one in found if not one.departures]
    assert any(one.table for one in rest) and all("study's settings" not in one.why for one in rest)
    assert not [one for one in found if one.departures and one.verdict == "not run"]


def test_what_is_missing_where_no_study_has_it_is_not_asked_for(studies, rise):
    for folder in studies.row("mine", "gft@released", rise(0.8), "gft"):
        final_task(folder, "svamp", [1, 0, 1])
    assert [one.scale for one in studies.said() if one.claim == "gft-forgets-less"] == ["paper"]


def test_the_same_records_give_the_same_findings(studies, rise):
    rlvr(studies, rise, 3)
    rlvr(studies, rise, 9, study="other")
    folder = studies.results.plan()
    one, two, three = (
        findings(gather(places).archive)
        for places in ([folder], [folder, folder / "other"], [folder / "other", folder])
    )
    assert one == two == three and json.dumps([replace(o).__dict__ for o in one])


def test_times_of_equal_algorithms_rarely_have_a_verdict(in_memory):
    """Four rows that learn alike, 3 seeds, 150 tables: any verdict on any of the three comparisons.

    9 % is as far above 5 % as chance takes one such test in 60; the draws are the same each time.
    """
    (claim,) = [one for one in CLAIMS if one.id == STEPS]
    hits = 0
    for number in range(150):
        archive = in_memory(np.random.default_rng([9, number]))
        verdicts = [one.verdict for one in decide(claim.check.compare(Runs(archive, archive.tables[0], True)))]
        hits += "supported" in verdicts or "refuted" in verdicts
    assert hits / 150 <= 0.09, hits


@pytest.fixture
def in_memory(rise):
    """An archive of noisy curves without a folder: 15 evaluations of 4 rows of 3 seeds."""
    from leaderboard.runs import Cell, Row, Table
    from leaderboard.selection import Archive

    def record(step, accuracy):
        counters = {"steps": step, "prompts": 8 * step, "generated_tokens": 100 * step}
        return {"step": step, "accuracy": accuracy, "counters": counters, "split": "heldout", "mode": "sampled"}

    def make(rng):
        rows = []
        for label in ("GRPO", "DAPO", "GSPO", "GIFT"):
            cells = []
            for seed in range(3):
                speed, final = 4 * np.exp(0.3 * rng.normal()), 0.8 + 0.03 * rng.normal()
                clean = 0.2 + (final - 0.2) * (1 - np.exp(-np.arange(15) / speed))
                noisy = rng.binomial(400, np.clip(clean, 0, 1)) / 400
                curve = tuple(record(2 * n, float(y)) for n, y in enumerate(noisy))
                cells.append(Cell(seed, "done", evals={("heldout", "sampled"): curve}))
            rows.append(Row(label, label, tuple(cells), label.lower()))
        return Archive([Table("gift-tiny-rlvr", "arithmetic", "tiny", {}, "arithmetic", tuple(rows))])

    return make


def test_a_study_with_another_model_decides_as_well(studies, rise, pick):
    for n, (label, final) in enumerate({"SFT": 0.5, "SFT(mix)": 0.5, "GRPO": 0.5, "DFT": 0.5, "GFT": 0.8}.items()):
        studies.row("gft-paper-main-7b", label, rise(final, 6, n), model="Qwen/Qwen2.5-Math-7B")
        studies.row(
            "gft-paper-mainly", label, rise(1 - final, 6, n), model="Qwen/Qwen2.5-Math-7B"
        )  # none of the paper's
    own = [
        one for one in studies.said() if one.claim == "gft-beats-baselines" and one.scale == "paper" and not one.part
    ]
    assert [one.verdict for one in own] == ["supported"]


def test_nearer_to_the_lower_takes_a_lower(studies, rise, pick):
    for n, (label, name, kl) in enumerate([("SFT", "sft", 0.5), ("GRPO", "grpo", 3.0), ("GFT", "gft", 0.6)]):

        def change(seed, record, kl=kl):
            record["kl"] = kl + 0.01 * seed

        studies.row("gft-tiny-main", label, rise(0.8, 6, n), name, change=change)
    one = pick(studies.said(), "gft-drift-near-grpo")
    assert one.verdict == "inconclusive" and "GRPO did not end nearer to the start" in one.why


def test_unequal_learning_rates_stand_beside_the_verdict(studies, rise, pick):
    for n, (label, rate) in enumerate({"GFT": 1e-4, "w/o GAL": 3e-4}.items()):
        studies.row("gft-tiny-ablation", label, rise(0.8 - 0.3 * n, 6, n), training={"learning_rate": rate})
    assert pick(studies.said(), "gft-needs-groups").comparison.endswith("(learning rates 0.0001 and 0.0003)")
