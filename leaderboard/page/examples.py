"""What a run was asked and answered, for its page: held-out examples, judged pairs, and samples from training."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from .. import packed, reading
from ..records import EvalRecord, RecordError, SampleRecord
from ..runs import MODES
from .curves import Evals
from .judgements import Comparison
from .texts import Texts

Examples = Literal["none", "sample", "all"]
EXAMPLES: tuple[Examples, ...] = get_args(Examples)
PER_PAGE = 50
STEPS = {"none": 0, "sample": 20, "all": 200}  # whose samples a page has, at most
LONGEST_ID = 200

_STEP = re.compile(rb'\{"step": ?(\d+),')


def last(evals: Evals) -> dict[str, EvalRecord]:
    """The last held-out evaluation in each mode that was used."""
    return {mode: curve[-1] for mode in MODES if (curve := evals.get(("heldout", mode)))}


def heldout(folder: Path, evals: Evals, page: int, texts: Texts) -> list[dict[str, Any]]:
    """Examples of page `page` (from 0): verdict, tokens and reward of each response, greedy and sampled."""
    found: dict[str, dict[str, Any]] = {}
    for mode, evaluation in last(evals).items():
        for item in reading.told(folder, evaluation, page * PER_PAGE, PER_PAGE):
            example = found.setdefault(
                item.id,
                {"id": item.id[:LONGEST_ID], "prompt": texts.add(item.prompt), "answer": texts.add(item.answer),
                 "modes": []},
            )  # fmt: skip
            responses: dict[str, Any] = {"mode": mode, "correct": item.correct, "tokens": item.tokens}
            if item.reward is not None:
                responses["reward"] = [_short(value) for value in item.reward]
            if item.gold is not None:
                responses["gold"] = [_short(value) for value in item.gold]
            if item.texts is not None:
                responses["texts"] = [texts.add(text) for text in item.texts]
            example["modes"].append(responses)
    return list(found.values())


def pairs(comparison: Comparison, page: int, texts: Texts) -> dict[str, Any]:
    """One opponent's pairs of page `page`, with every judge's games."""
    found = []
    for name in comparison.ids[page * PER_PAGE : (page + 1) * PER_PAGE]:
        pair = comparison.pair(name)
        said = {key: texts.add(pair[key]) for key in ("prompt", "mine", "theirs")}
        found.append({**pair, **said, "id": name[:LONGEST_ID]})
    return {"task": comparison.task, "opponent": comparison.opponent, "total": len(comparison.ids), "items": found}


def samples(folder: Path, steps: Sequence[int], most: int, texts: Texts) -> list[dict[str, Any]]:
    """Texts from training at up to `most` of the steps, evenly spread: a prompt and its responses, by step.

    Raises RecordError that names file and line.
    """
    wanted = spread(steps, most)
    groups: dict[int, dict[str, dict[str, Any]]] = {step: {} for step in wanted}
    path = folder / "samples.jsonl"
    for number, sample in _samples(path, groups):
        try:
            group = groups[sample["step"]].setdefault(sample["id"], {"id": sample["id"][:LONGEST_ID], "responses": []})
            if "prompt" in sample:
                group["prompt"] = texts.add(sample["prompt"])
            said = [texts.add(sample["text"]), _short(sample["reward"]), sample["source"]]
            group["responses"].append(said)
        except (KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"{path}, line {number}: not a sample ({error!r})") from None
    return [{"step": step, "groups": list(found.values())} for step, found in groups.items() if found]


def spread(steps: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly spread, both ends among them."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(n * (len(steps) - 1) / (most - 1))] for n in range(most)] if most > 1 else []


def _samples(path: Path, wanted: Mapping[int, object]) -> list[tuple[int, SampleRecord]]:
    """The samples of these steps, without reading the JSON of the others: a long run has gigabytes."""
    found: list[tuple[int, SampleRecord]] = []
    if not wanted or not packed.there(path):
        return found
    with packed.opened(path) as file:
        for number, line in enumerate(file, start=1):
            stated = _STEP.match(line)
            if (stated and int(stated[1]) not in wanted) or not line.endswith(b"\n"):
                continue
            try:
                sample = json.loads(line)
            except ValueError as error:
                raise RecordError(f"{path}, line {number}: not a JSON record ({error})") from None
            if isinstance(sample, dict) and sample.get("step") in wanted:
                found.append((number, sample))  # type: ignore[arg-type]
    return found


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
