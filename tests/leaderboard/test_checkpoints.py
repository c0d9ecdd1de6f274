"""A checkpoint's numbers, from items whose numbers are known; and the page that shows them."""

from typing import Any

import pytest

from leaderboard.checkpoints import describe, markdown, metrics
from leaderboard.evaluations import EvaluationRecord, Item, TaskEvaluation
from leaderboard.stats import of_shares


def item(name: str, correct: list[int], strict: list[int] | None = None, **more: Any) -> Item:
    n = len(correct)
    fields: dict[str, Any] = {
        "content": "", "strict": strict or correct, "tokens": [10] * n, "truncated": [0] * n, "timed_out": [0] * n,
        "answers": ["1"] * n,
    }  # fmt: skip
    return Item(id=name, correct=list(correct), **{**fields, **more})


def task(items: list[Item], samples: int, **protocol: Any) -> TaskEvaluation:
    record: Any = {
        "task": "t", "protocol": "avg@4", "samples": samples, "temperature": 0.6, "top_p": 0.95, "max_tokens": 64,
        "examples": [one.id for one in items], **protocol,
    }  # fmt: skip
    return TaskEvaluation(record, items)


ITEMS = [
    item("a", [1, 1, 1, 1], [1, 1, 0, 0]),
    item("b", [1, 0, 0, 0], answers=["1", "2", "2", None], truncated=[0, 0, 0, 1], tokens=[2, 2, 2, 34]),
    item("c", [0, 0, 0, 0], timed_out=[1, 0, 0, 0]),
]


def test_every_number() -> None:
    found = metrics(task(ITEMS, 4), {"a": [0, 0, 0, 0], "b": [0, 1, 1, -1], "c": [0, 0, 0, 0]})
    assert (found["accuracy"], found["strict"]) == (pytest.approx(5 / 12), pytest.approx(3 / 12))
    assert found["format_gap"] == pytest.approx(2 / 12)
    assert (found["accuracy_low"], found["accuracy_high"]) == of_shares([1, 0.25, 0])
    assert (found["pass@2"], found["pass@4"]) == (pytest.approx((1 + 0.5) / 3), pytest.approx(2 / 3))
    assert (found["pass^2"], found["pass^4"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert found["g-pass@4(0.5)"] == pytest.approx(1 / 3)
    assert found["maj@4"] == pytest.approx(1 / 3) and "maj@2" not in found
    assert (found["truncated"], found["no_answer"], found["timed_out"]) == (pytest.approx(1 / 12),) * 3
    assert found["response_tokens"] == pytest.approx(10)


def test_clusters_widen_the_interval_and_their_first_item_names_none() -> None:
    alone = [item(f"{n}", [n % 3 == 0]) for n in range(30)]
    paired = [item(f"{n}", [n // 2 % 3 == 0], cluster=f"{n - 1}" if n % 2 else None) for n in range(30)]
    widths = [(m := metrics(task(items, 1)))["accuracy_high"] - m["accuracy_low"] for items in (alone, paired)]
    assert widths[1] > 1.3 * widths[0]


def test_one_sample_has_no_pass_at_k_and_more_than_asked_are_left_out() -> None:
    one = metrics(task([item("a", [1, 0]), item("b", [0, 1])], 1))
    assert one["accuracy"] == 0.5 and not [key for key in one if "@" in key or "^" in key]


def test_what_is_incomplete_has_no_numbers() -> None:
    with pytest.raises(ValueError, match=r"1 items are missing, the first is .'b'"):
        metrics(task([item("a", [1]), item("b", [])], 1))
    with pytest.raises(ValueError, match="item a has a sample without a score"):
        metrics(task([item("a", [None])], 1))  # type: ignore[list-item]


def test_the_page_names_k_and_what_was_asked() -> None:
    checkpoint: Any = {"name": "mine", "fingerprint": "f", "precision": "bfloat16", "engine": "vllm"}
    evaluated = task(ITEMS, 4)
    votes = {"a": [0] * 4, "b": [0, 1, 1, -1], "c": [0] * 4}
    results: Any = {"t": {"protocol": evaluated.protocol, "items": 3, "metrics": metrics(evaluated, votes)}}
    page = markdown(EvaluationRecord(schema=1, checkpoint=checkpoint, tasks=results))
    assert "| t | avg@4: T 0.6, top-p 0.95, 64 tokens | 3 | 41.7 % [" in page
    assert "pass@4 66.7 %, pass^4 33.3 %, maj@4 33.3 %" in page and "| t | 10 | 8.3 % | 8.3 % | 8.3 % |" in page


def test_greedy_says_no_temperature() -> None:
    asked = {"protocol": "greedy", "temperature": 0.0, "top_p": 1.0, "max_tokens": 9}
    assert describe(asked) == "greedy, 9 tokens"
    assert describe({**asked, "protocol": "greedy but max_tokens"}) == "greedy but max_tokens: greedy, 9 tokens"
