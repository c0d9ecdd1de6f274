"""A cell's evaluations against their items: every score once more, and nothing left out or added."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import msgspec

from ..records import EvalRecord, StepRecord
from .faults import Faults, hostile

NEAR = 1e-9  # of means of the same numbers in the same order
MEASURES = ("accuracy", "reward", "gold")
SHARES = ("truncated", "no_answer", "timed_out", "strict", "reward_cut")
MOST_TOKENS = 2**31  # of a response
UNGRADED = "none"  # the verifier of a task that has none
MODES, GREEDY = ("greedy", "sampled"), "greedy"
Asked = dict[str, tuple[tuple[str, str | None], ...]]
Measures = Mapping[str, tuple[str, ...]]  # by split, of MEASURES


class Item(msgspec.Struct, gc=False):
    """A `records.ItemRecord`, without texts."""

    step: int
    split: str
    mode: str
    id: str
    correct: list[int]
    tokens: list[int]
    cluster: str | None = None
    reward: list[float] | None = None
    gold: list[float] | None = None


def check_evaluations(
    folder: str, spec: Mapping[str, Any], steps: Sequence[StepRecord], ends: Set[int], evals: Sequence[EvalRecord],
    contents: Mapping[str, bytes], faults: Faults,
) -> tuple[dict[tuple[str, str], EvalRecord], Asked]:  # fmt: skip
    """Check all; the last evaluation of each split and mode, and which items every split asked.

    `ends`: the steps at which a run, or a stage of one, begins and ends.
    """
    _when(folder, spec, ends, evals, faults)
    content, place, asked = contents[f"{folder}/items.jsonl"], 0, Asked()
    decoder = msgspec.json.Decoder(Item)
    counters = {record["step"]: record["counters"] for record in steps}
    for record in evals:
        where, file = _where(record), f"{folder}/evals.jsonl.gz"
        _counters(file, where, record, counters, faults)
        _samples(file, where, spec, record, faults)
        if "items" not in record:
            faults.add(file, where, "no items", "[start, stop): the bytes of its items")
            continue
        if len(record["items"]) != 2:
            faults.add(file, where, f"items = {record['items']}", "[start, stop)", unsafe=True)
            continue
        start, stop = record["items"]
        if start != place or not start < stop <= len(content):
            faults.add(file, where, f"items = {record['items']}", f"[{place}, …) in {len(content)} bytes of items")
            if not 0 <= start < stop <= len(content):
                continue
        place = stop
        try:
            items = decoder.decode_lines(content[start:stop])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            faults.add(f"{folder}/items.jsonl.gz", f"bytes {start} to {stop}", error, "items", unsafe=True)
            continue
        _items(folder, where, record, items, faults)
        _same(folder, where, record["split"], items, asked, faults)
    if place != len(content):
        found = f"{len(content) - place} bytes behind the last evaluation's items"
        faults.add(f"{folder}/items.jsonl.gz", "", found, "none")
    return {(record["split"], record["mode"]): record for record in evals}, asked


def check_measures(
    folder: str, spec: Mapping[str, Any], evals: Sequence[EvalRecord], faults: Faults
) -> dict[str, tuple[str, ...]]:
    """What each split's first evaluation measures, which all others must: what is not measured is left out of means."""
    file, found = f"{folder}/evals.jsonl.gz", dict[str, tuple[str, ...]]()
    for record in evals:
        said: Any = record  # by names that are in no literal
        mine = tuple(name for name in MEASURES if said.get(name) is not None)
        first = found.setdefault(record["split"], mine)
        if mine != first:
            expected = f"{_listed(first)}, as the first evaluation of the split"
            faults.add(file, _where(record), f"measured: {_listed(mine)}", expected)
        for name in wanted(spec):
            if name not in mine:
                faults.add(file, _where(record), f"measured: {_listed(mine)}", f"{name} besides")
    return found


def wanted(spec: Mapping[str, Any]) -> list[str]:
    """What must be measured: a reward where one is named, and verdicts where a verifier is known to give them."""
    if "reward" not in spec:  # nothing is trained on without either
        return ["accuracy"]
    task = spec["task"]  # a plug-in's does not say whether it is graded; its cells must agree
    return ["accuracy", "reward"] if task.get("source") is None and task.get("verifier") != UNGRADED else ["reward"]


def _listed(measures: Sequence[str]) -> str:
    return ", ".join(measures) or "nothing"


def _where(record: EvalRecord) -> str:
    return f"step {record['step']}, {record['split']}, {record['mode']}"


def _when(folder: str, spec: Mapping[str, Any], ends: Set[int], evals: Sequence[EvalRecord], faults: Faults) -> None:
    """Every split in both modes, before the first step, at every `evaluation.every` and after the last."""
    last = max(ends)
    every, file = spec["evaluation"]["every"], f"{folder}/evals.jsonl.gz"
    due = {*range(0, last, every), *ends}  # as many as there are steps at most
    splits = {"heldout"} | {record["split"] for record in evals}
    if spec["evaluation"].get("probe"):  # of training examples, which every run has
        splits |= {"probe"}
    if unknown := sorted(splits - {"heldout", "probe"}):
        faults.add(file, "", f"the split {unknown[0]!r}", "heldout or probe", unsafe=True)
    for split in sorted(splits):
        for mode in MODES:
            found = [r["step"] for r in evals if (r["split"], r["mode"]) == (split, mode)]
            if absent := sorted(due - set(found)):
                what = "the start" if absent[0] == 0 else "the end" if absent[0] == last else f"every {every} steps"
                faults.add(file, f"{split}, {mode}", f"no evaluation at step {absent[0]}", f"one at {what}")
            if found != sorted(set(found)) or set(found) - due:
                faults.add(file, f"{split}, {mode}", f"steps {found}"[:120], f"{sorted(due)}"[:120])
    if other := sorted({record["mode"] for record in evals} - set(MODES)):
        faults.add(file, "", f"the mode {other[0]!r}", " or ".join(MODES), unsafe=True)


def _counters(file: str, where: str, record: EvalRecord, counters: Mapping[int, Any], faults: Faults) -> None:
    """What was spent until then, as the step's record says; nothing before the first."""
    mine, step = msgspec.to_builtins(record["counters"]), record["step"]
    theirs = msgspec.to_builtins(counters[step]) if step in counters else dict.fromkeys(mine, 0)
    if step in counters or step == 0:
        for axis, found in mine.items():
            if found != theirs[axis]:
                faults.add(file, where, f"counters.{axis} = {found}", f"{theirs[axis]}, as at the end of step {step}")


def _samples(file: str, where: str, spec: Mapping[str, Any], record: EvalRecord, faults: Faults) -> None:
    settings = spec["evaluation"]
    samples = 1 if record["mode"] == GREEDY else settings["samples"]
    if record["samples"] != samples:
        faults.add(file, where, f"{record['samples']} samples an item", f"{samples}, by its specification")
    examples, probe = settings.get("examples"), settings.get("probe")
    if record["split"] == "heldout" and examples is not None and record["examples"] != examples:
        faults.add(file, where, f"{record['examples']} examples", f"{examples}, by its specification")
    if record["split"] == "probe" and probe is not None and record["examples"] > probe:
        faults.add(file, where, f"{record['examples']} examples", f"at most {probe}, by its specification")


def _items(folder: str, where: str, record: EvalRecord, items: Sequence[Item], faults: Faults) -> None:
    """The evaluation's numbers against what its items give."""
    said: Any = record  # by names that are in no literal
    file, kind = f"{folder}/items.jsonl.gz", (record["step"], record["split"], record["mode"])
    if stranger := next((item for item in items if (item.step, item.split, item.mode) != kind), None):
        found = f"item {stranger.id!r} of step {stranger.step}, {stranger.split}, {stranger.mode}"
        faults.add(file, where, found, "items of this evaluation alone")
        return
    if len(items) != record["examples"]:
        faults.add(file, where, f"{len(items)} items", f"{record['examples']}, as {folder}/evals.jsonl.gz says")
    if not items:
        faults.add(file, where, "no items", "one at least")
        return
    graded = record["accuracy"] is not None
    for item in items:
        if fault := _item(item, record, graded):
            faults.add(file, f"{where}, item {item.id}", *fault)
            return
    truth: dict[str, float | None] = {
        "accuracy": _mean([item.correct for item in items]) if graded else None,
        "response_tokens": _mean([item.tokens for item in items]),
        "reward": _mean([item.reward for item in items if item.reward is not None]) if "reward" in record else None,
        "gold": _mean([item.gold for item in items if item.gold is not None]) if "gold" in record else None,
    }
    for key, expected in truth.items():
        found_value = said.get(key)
        if expected is not None and not _near(found_value, expected):
            of = f"{expected}, from its {len(items)} items"
            faults.add(f"{folder}/evals.jsonl.gz", where, f"{key} = {found_value}", of)
    for key in SHARES:
        share = said.get(key)
        responses = record["examples"] * record["samples"]
        if share is not None and not (0 <= share <= 1 and abs(share * responses - round(share * responses)) < 1e-6):
            faults.add(f"{folder}/evals.jsonl.gz", where, f"{key} = {share}", f"a share of {responses} responses")


def _item(item: Item, record: EvalRecord, graded: bool) -> tuple[str, str] | None:
    """What is wrong with one item, and what was expected."""
    samples = record["samples"]
    for name, values, wanted in (
        ("correct", item.correct, graded), ("tokens", item.tokens, True),
        ("reward", item.reward, "reward" in record), ("gold", item.gold, "gold" in record),
    ):  # fmt: skip
        count = len(values or ())
        if count != (samples if wanted else 0):
            return f"{count} values of {name}", f"{samples if wanted else 0}, one a sample"
        if values and not all(math.isfinite(value) for value in values):
            return f"{name} = {values}", "finite numbers"
    if set(item.correct) - {0, 1}:
        return f"correct = {item.correct}", "verdicts, 0 or 1"
    if min(item.tokens) < 0 or max(item.tokens) >= MOST_TOKENS:
        return f"tokens = {item.tokens}", f"0 or more, and fewer than {MOST_TOKENS}"
    if found := hostile(item.id) or hostile(item.cluster or ""):
        return f"a name that holds {found}", "no control or formatting character"
    return None


def _same(folder: str, where: str, split: str, items: Sequence[Item], asked: Asked, faults: Faults) -> None:
    """Every evaluation of a split asks the same items, each once."""
    mine = tuple((item.id, item.cluster) for item in items)
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        faults.add(f"{folder}/items.jsonl.gz", where, f"item {twice!r} more than once", "each once")
    if asked.setdefault(split, mine) != mine:
        other = sorted(set(mine) ^ set(asked[split]), key=str) or [("the order", None)]
        found = f"other items than the first evaluation of the split: {other[0][0]}"
        faults.add(f"{folder}/items.jsonl.gz", where, found, "the same")


def _mean(values: Sequence[Sequence[float]]) -> float:
    """Over items of the mean over samples, in the order in which the run added them up."""
    return sum(sum(each) / len(each) for each in values) / len(values)


def _near(found: float | None, expected: float) -> bool:
    return found is not None and math.isclose(found, expected, rel_tol=NEAR, abs_tol=1e-12)
