"""How well a local judge agrees with people, and with what is known to be right: a table of docs/judging.md.

    python benchmarks/judge_agreement.py DATA_FOLDER [--judge engine:smollm2-135m] [--precision bfloat16]
        [--limit N] [--cap-chars N] [--cache FOLDER]

DATA_FOLDER holds `rlhf/`: LLMBar's 419 pairs, the 466 pairs of MT-Bench, FairEval and LLMEval2 that LLMBar processed
(LLMBar's 315 case studies are left out), and JudgeBench's 620. Every pair is judged in both orders with our prompt for
labels. --limit takes N pairs of each of the three, always the same, and the larger N the smaller's too; with --cache a
run that ends early, or a larger one, goes on with the replies. An answer over --cap-chars characters is cut, and
counted; a question that is then longer than the judge's context is an error, not left out.

A pair is right where the better answer has more than half of both games' points; exactly half is a tie and counts ½
(bfloat16 has few values for two logits). `consistent`: the same winner in both orders. `first`: the share of the points
that goes to the answer shown first; ½ is no preference for a place. `mass`: the probability of the two labels together
as the reply's first token, on average over the games. Intervals are 95 %, pairs of one instruction being one cluster.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness import models
from harness.experiment import resolve_device
from harness.judging.labels import LabelEngine
from harness.rewards.scorer import RewardScorer
from leaderboard.stats import AGREEMENT, of_shares
from leaderboard.winrates.pairs import consistent, first_share
from tasks.judges import asking, registry
from tasks.judges.base import Judge
from tasks.judges.cache import Cache
from tasks.judges.games import Pair
from tasks.judges.prompts import OURS
from tasks.judges.results import Compared, Judged
from tasks.judges.texts import CAP_CHARS

LLMBAR, PROCESSED, JUDGEBENCH = "LLMBar", "processed by LLMBar", "JudgeBench"
PARTS = {"LLMBar": LLMBAR, "Processed": PROCESSED}  # by the head of a subset's name; case studies are no test set


@dataclass(frozen=True)
class Labelled:
    """A pair whose candidate is the answer that is labelled better."""

    collection: str
    subset: str
    pair: Pair


@dataclass(frozen=True)
class Rate:
    """A mean of shares in [0, 1] with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Agreement:
    """A set's row. `unread`: games without a verdict; their pairs are in no rate."""

    name: str
    n: int
    accuracy: Rate | None
    consistency: Rate | None
    first: Rate | None
    ties: int
    mass: float | None
    cut: int
    unread: int
    seconds: float  # of the judge's computing, whenever that was

    def __str__(self) -> str:
        rates = " | ".join(str(rate or "–") for rate in (self.accuracy, self.consistency, self.first))
        mass = "–" if self.mass is None else f"{self.mass:.3f}"
        rest = f"{self.ties} | {mass} | {self.cut} | {self.unread} | {self.seconds:.0f}"
        return f"| {self.name} | {self.n} | {rates} | {rest} |"


def llmbar(folder: Path) -> list[Labelled]:
    """LLMBar and what it processed; label 1 or 2 is the better output's number."""
    table = pd.read_parquet(folder / "rlhf" / "llmbar_and_processed_human_pairs.parquet")
    found = []
    for number, row in enumerate(table.to_dict("records")):
        part, _, subset = row["subset"].partition("/")
        if part in PARTS:
            outputs = row["output_1"], row["output_2"]
            better, worse = outputs if row["label"] == 1 else outputs[::-1]
            pair = Pair(f"llmbar/{number}", row["input"], better, worse)
            found.append(Labelled(PARTS[part], subset.removeprefix("Adversarial/"), pair))
    return found


def judgebench(folder: Path) -> list[Labelled]:
    """JudgeBench, MMLU-Pro's fourteen subjects as one set; label `A>B` or `B>A`."""
    found = []
    for row in pd.read_parquet(folder / "rlhf" / "judgebench_620.parquet").to_dict("records"):
        answers = row["response_A"], row["response_B"]
        better, worse = {"A>B": answers, "B>A": answers[::-1]}[row["label"]]
        subset = "mmlu-pro" if row["source"].startswith("mmlu-pro") else row["source"]
        found.append(Labelled(JUDGEBENCH, subset, Pair(f"judgebench/{row['pair_id']}", row["question"], better, worse)))
    return found


def chosen(labelled: Sequence[Labelled], limit: int | None) -> list[Labelled]:
    """`limit` pairs of each collection: the first ones by the hash of their id."""
    order = sorted(labelled, key=lambda one: hashlib.sha256(one.pair.id.encode()).digest())
    return [
        one for name in (LLMBAR, PROCESSED, JUDGEBENCH) for one in [o for o in order if o.collection == name][:limit]
    ]


def build(name: str, precision: str) -> Judge:
    """The judge KIND:MODEL of this machine: `engine`, or `reward_model`."""
    kind, _, model = name.partition(":")
    source, device = models.find(model), resolve_device("auto")
    engine, scorer = LabelEngine(source, precision, device), RewardScorer(source, precision, device)
    return registry.build(kind, {}, prompt=OURS["labels-1"], engine=engine, scorer=scorer)


def agreement(name: str, judged: Sequence[Judged], units: Mapping[str, str], seconds: float) -> Agreement:
    """What the verdicts on labelled pairs come to; `units`: each pair's cluster."""
    right: dict[str, float] = {}
    same, first = {}, {}
    for one in judged:
        scores = [game.score for game in one.games if game.score is not None]
        if len(scores) < len(one.games):
            continue
        share = float(np.mean(scores))
        right[one.id] = 0.5 if abs(share - 0.5) < AGREEMENT else float(share > 0.5)
        if len(scores) == 2 and all(game.status == "read" for game in one.games):  # identical answers show nothing
            same[one.id] = float(consistent(*scores))
            first[one.id] = first_share(*scores)
    games = [game for one in judged for game in one.games]
    masses = [game.mass for game in games if game.mass is not None]
    return Agreement(
        name, len(judged), *(_rate(values, units) for values in (right, same, first)),
        ties=sum(value == 0.5 for value in right.values()),
        mass=float(np.mean(masses)) if masses else None,
        cut=sum("truncated" in one.flags + one.baseline_flags for one in judged),
        unread=sum(game.score is None for game in games),
        seconds=seconds,
    )  # fmt: skip


def _rate(values: Mapping[str, float], units: Mapping[str, str]) -> Rate | None:
    shares = list(values.values())
    return Rate(float(np.mean(shares)), *of_shares(shares, [units[name] for name in values])) if shares else None


def judge_all(
    judge: Judge, labelled: Sequence[Labelled], cache: Cache | None, cap_chars: int = CAP_CHARS
) -> dict[tuple[str, str], Compared]:
    """Each set's verdicts, by collection and subset."""
    sets: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for one in labelled:
        sets[one.collection, one.subset].append(one.pair)
    found = {key: asking.compare(judge, pairs, cache, cap_chars=cap_chars) for key, pairs in sets.items()}
    return dict(sorted(found.items(), key=lambda item: item[0]))


def rows(labelled: Sequence[Labelled], compared: Mapping[tuple[str, str], Compared]) -> list[Agreement]:
    """The three collections, each before its sets."""
    units = {one.pair.id: one.pair.instruction for one in labelled}
    found = []
    for collection in (LLMBAR, PROCESSED, JUDGEBENCH):
        own = {subset: one for (name, subset), one in compared.items() if name == collection}
        took = {subset: one.usage.seconds + one.usage.cached_seconds for subset, one in own.items()}
        if own:
            every = [pair for one in own.values() for pair in one.pairs]
            found.append(agreement(f"**{collection}**", every, units, sum(took.values())))
        found += [agreement(subset, one.pairs, units, took[subset]) for subset, one in own.items()]
    return found


def main() -> None:
    """Judge, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--judge", default="engine:smollm2-135m")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--cap-chars", type=int, default=CAP_CHARS)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    judge = build(arguments.judge, arguments.precision)
    labelled = chosen(llmbar(arguments.folder) + judgebench(arguments.folder), arguments.limit)
    with Cache(arguments.cache) if arguments.cache else nullcontext() as cache:
        compared = judge_all(judge, labelled, cache, arguments.cap_chars)
    identity = judge.identity
    asked = f"prompt {identity.prompt or 'none'}"
    print(f"{identity.kind} {identity.model} {identity.revision}, {identity.backend}; {asked}\n")
    print("| set | pairs | accuracy | consistent | first | ties | mass | cut | unread | seconds |")
    print("|---|--:|---|---|---|--:|--:|--:|--:|--:|")
    print(*rows(labelled, compared), sep="\n")


if __name__ == "__main__":
    main()
