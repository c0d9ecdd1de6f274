"""Evaluation with an engine and a task that are made up: what is asked, how it is counted, what is paired."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from harness.codec import Codec
from harness.evaluation.answers import Answer, Item, ask, mean, readable
from harness.evaluation.looks import evaluations, greedy, splits_of
from harness.models import find, load_codec
from harness.rollout import Completion, Engine, Request
from harness.settings import Evaluation, Sampling
from tasks.arithmetic import Arithmetic
from tasks.base import Example, Grade, Task
from tasks.dev import DevSplit

EXAMPLES = tuple(Example(f"{a}+{b}", f"{a}+{b}=", str(a + b)) for a, b in ((1, 1), (2, 5), (9, 9), (4, 0)))


@dataclass
class FakeEngine:
    """Answers each prompt from a script: one text a sample, taken in turn."""

    foreign: ClassVar[bool] = False
    codec: Codec
    script: dict[str, Sequence[str]]
    asked: list[list[Request]] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        self.asked.append(list(requests))
        self.samplings.append(sampling)
        return [[self._complete(r, k) for k in range(len(r.seeds))] for r in requests]

    def release(self) -> None:
        pass

    def _complete(self, request: Request, sample: int) -> Completion:
        text = self.script.get(self.codec.text(request.prompt), ["0"])
        said = text[sample % len(text)]
        tokens = self.codec.demonstration(said)
        truncated = len(tokens) > 4
        tokens = tokens[:4]
        return Completion(tokens, (0.0,) * len(tokens), truncated)


class FakeTask(Task):
    """Right is right; an answer that holds `=` is no answer; `-` leaves the verdict open."""

    train = ()
    heldout = EXAMPLES

    def grade(self, example: Example, response: str) -> Grade:
        if "=" in response:
            return Grade(0.0, False, None)
        if "-" in response:
            return Grade(0.5, None, response)
        return Grade(float(response == example.answer), response == example.answer, response)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec(find("tiny"))


SCRIPT = {"1+1=": ["2", "3", "="], "2+5=": ["7", "7", "7"], "9+9=": ["18", "123456", "-"], "4+0=": ["==", "40", "4"]}


def run(
    codec: Codec, examples: Sequence[Example] = EXAMPLES, samples: int = 3, seed: int = 0
) -> tuple[list[Item], FakeEngine]:
    fake = FakeEngine(codec, SCRIPT)
    engine: Engine = fake
    return ask(engine, codec, FakeTask(), examples, Sampling(8), seed, range(samples)), fake


def test_items_stand_in_the_order_of_the_examples_and_are_graded_one_by_one(codec: Codec) -> None:
    items, engine = run(codec)
    assert [(item.id, *(item.each(f) for f in ("correct", "tokens", "truncated", "answered"))) for item in items] == [
        ("1+1", [1, 0, 0], [2, 2, 2], [0, 0, 0], [1, 1, 0]),
        ("2+5", [1, 1, 1], [2, 2, 2], [0, 0, 0], [1, 1, 1]),
        ("9+9", [1, 0, 0], [3, 4, 2], [0, 1, 0], [1, 1, 1]),
        ("4+0", [0, 0, 1], [3, 3, 2], [0, 0, 0], [0, 1, 1]),
    ]
    backwards, _ = run(codec, EXAMPLES[::-1])
    assert backwards == items[::-1]
    assert len(engine.asked) == 1, "all prompts in one call"
    assert engine.samplings == [Sampling(8)]
    assert [codec.text(request.prompt) for request in engine.asked[0]] == [e.prompt for e in EXAMPLES]


def test_means_are_over_examples_of_means_over_samples(codec: Codec) -> None:
    items, _ = run(codec)
    assert mean(items, "correct") == pytest.approx(6 / 12)
    assert mean(items, "tokens") == pytest.approx(29 / 12)
    assert mean(items, "truncated") == pytest.approx(1 / 12)
    assert mean(items, "answered") == pytest.approx(10 / 12)


def answer(right: bool, tokens: int, truncated: bool = False) -> Answer:
    return Answer("", (1,) * tokens, truncated, Grade(float(right), right, ""))


def test_every_example_weighs_the_same_however_many_samples_it_has() -> None:
    items = [Item("a", (answer(True, 2),) * 4), Item("b", (answer(False, 6, True),))]
    assert mean(items, "correct") == 0.5
    assert mean(items, "tokens") == 4
    assert mean(items, "truncated") == 0.5


def test_tables_count_the_lenient_verdict_and_show_the_strict_one() -> None:
    forgiven, late = Grade(0.0, False, "7", lenient=True), Grade(0.0, False, "9^{9^{9}}", timed_out=True)
    items = [Item("a", (Answer("7", (1, 1), False, forgiven), Answer("", (1, 1), False, late)))]
    assert [mean(items, f) for f in ("correct", "strict", "answered", "timed_out")] == [0.5, 0.0, 1.0, 0.5]


def seeds(engine: FakeEngine) -> dict[str, tuple[int, ...]]:
    return {request_id.id: r.seeds for request_id, r in zip(EXAMPLES, engine.asked[0], strict=False)}


def test_seeds_pair_evaluations_of_one_run_seed_and_part_those_of_two(codec: Codec) -> None:
    first, again, other = (seeds(run(codec, seed=s)[1]) for s in (0, 0, 1))
    assert first == again
    drawn = [seed for s in (first, other) for group in s.values() for seed in group]
    assert len(set(drawn)) == len(drawn) == 24


def test_seeds_belong_to_the_example_not_to_its_place_or_company(codec: Codec) -> None:
    everything = seeds(run(codec)[1])
    _, engine = run(codec, EXAMPLES[2:0:-1])
    assert [r.seeds for r in engine.asked[0]] == [everything["9+9"], everything["2+5"]]


def test_fewer_samples_are_the_first_of_more(codec: Codec) -> None:
    three, two = seeds(run(codec, samples=3)[1]), seeds(run(codec, samples=2)[1])
    assert {name: drawn[:2] for name, drawn in three.items()} == two
    assert len(run(codec, samples=1)[0][0].answers) == 1


def test_seeds_are_stable(codec: Codec) -> None:
    assert seeds(run(codec)[1])["1+1"][0] == 1661119944307600122


def test_greedy_keeps_the_limit_and_nothing_else() -> None:
    assert greedy(Sampling(77, 0.6, 0.9, 40)) == Sampling(77, 0.0, 1.0, 0)
    assert not greedy(Sampling(77, 0.6, 0.9, 40)).truncates


# --- splits ---


def test_the_probe_is_a_fixed_part_of_what_is_trained_on() -> None:
    task = Arithmetic(level=1)
    some, more, all_of_them = (splits_of(task, Evaluation(probe=n)) for n in (10, 30, 500))
    assert set(some["probe"]) < set(more["probe"]) < set(all_of_them["probe"]) == set(task.train)
    assert len(some["probe"]) == 10 and all_of_them["heldout"] == task.heldout
    assert splits_of(task, Evaluation(probe=10)) == some
    assert splits_of(task, Evaluation(probe=0, examples=3)).keys() == {"heldout"}


def test_the_probe_of_a_dev_split_is_its_own() -> None:
    dev = DevSplit(Arithmetic(level=1), 0.2)
    found = splits_of(dev, Evaluation())
    assert found == {"heldout": tuple(dev.heldout), "probe": tuple(dev.train)}


class Paired(FakeTask):
    """The first half is held out; examples of one sum give each other away."""

    train = EXAMPLES[2:]
    heldout = EXAMPLES[:2]

    def leak_key(self, example: Example) -> str:
        return "+".join(sorted(example.id.split("+")))


SPENT: Any = {"steps": 7, "seconds": 1.5}


def test_both_splits_are_asked_in_one_call_and_recorded_apart(codec: Codec) -> None:
    engine = FakeEngine(codec, SCRIPT)
    found = list(evaluations(engine, codec, Paired(), Evaluation(samples=3, temperature=0.7), 8, 0, SPENT))
    assert engine.samplings == [Sampling(8, 0.0), Sampling(8, 0.7)]
    assert [len(requests) for requests in engine.asked] == [4, 4]
    assert [(r["mode"], r["split"], r["examples"], r["samples"]) for r, _ in found] == [
        ("greedy", "heldout", 2, 1), ("greedy", "probe", 2, 1),
        ("sampled", "heldout", 2, 3), ("sampled", "probe", 2, 3),
    ]  # fmt: skip
    assert all(r["step"] == 7 and r["counters"] == SPENT for r, _ in found)
    sampled = dict((r["split"], (r, items)) for r, items in found[2:])
    assert sampled["heldout"][0]["accuracy"] == pytest.approx(4 / 6)
    assert sampled["probe"][0]["accuracy"] == pytest.approx(2 / 6)
    assert sampled["probe"][0]["no_answer"] == pytest.approx(1 / 6)
    assert [item["id"] for item in sampled["probe"][1]] == ["9+9", "4+0"]
    assert {key: sampled["probe"][1][1][key] for key in ("step", "split", "mode", "correct")} == {
        "step": 7, "split": "probe", "mode": "sampled", "correct": [0, 0, 1]}  # fmt: skip


def test_a_cluster_is_written_only_where_it_is_not_the_id(codec: Codec) -> None:
    for _, items in evaluations(FakeEngine(codec, SCRIPT), codec, Paired(), Evaluation(), 8, 0, SPENT):
        assert [(i["id"], i.get("cluster")) for i in items] in (
            [("1+1", None), ("2+5", None)], [("9+9", None), ("4+0", "0+4")],
        )  # fmt: skip


def test_draws_are_those_of_the_example_on_either_side(codec: Codec) -> None:
    engine = FakeEngine(codec, SCRIPT)
    list(evaluations(engine, codec, Paired(), Evaluation(samples=3), 8, 0, SPENT))
    drawn = [request.seeds for request in engine.asked[1]]
    assert drawn == [request.seeds for request in run(codec)[1].asked[0]]
    assert len({seed for seeds in drawn for seed in seeds}) == 12


def test_recorded_texts_can_be_read_by_every_reader() -> None:
    assert readable("a\ud800é😀") == "a?é😀"


def test_a_prompt_for_people_has_its_roles_where_it_has_several_turns() -> None:
    turns = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"})
    assert Example("x", "1+1=", "2").text == "1+1="
    assert Example("x", turns[1:], "2").text == "1+1?"
    assert Example("x", turns, "2").text == "System: Be brief.\n\nUser: 1+1?"
