"""`--xcheck`: responses that we graded, graded once more by lm-eval's own filters and metrics.

The generations are the same, so whatever differs is the graders' doing: a bug in one of them, or what they count as an
answer. lm-eval's tasks are built from their installed YAML files around our gold answers; nothing of them is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from ..errors import UserError, first_line
from . import library
from .records import plain

# Ours -> lm-eval's tasks, by their files below its folder of tasks, and how our gold answer reads as theirs.
_GSM8K = {"gsm8k": "gsm8k/gsm8k.yaml"}
_MATH = {
    "minerva_math500": "minerva_math/minerva_math500.yaml",
    "hendrycks_math500": "hendrycks_math/hendrycks_math500.yaml",
}
GRADERS = {"gsm8k": _GSM8K, "math500": _MATH, "math": _MATH}
VERDICTS = ("correct", "strict")
TAIL = 160  # characters of a response that a disagreement shows


class Counts(TypedDict):
    """Samples by two verdicts: ours and lm-eval's."""

    both: int
    neither: int
    only_ours: int
    only_theirs: int


class Disagreement(TypedDict):
    """A sample that we count otherwise than lm-eval does."""

    id: str
    sample: int
    gold: str
    ours: int
    our_answer: str | None
    theirs: int
    their_extraction: str | None  # None where the grader does not tell
    tail: str  # of the response


class Scorer(TypedDict):
    """One of lm-eval's verdicts, against ours."""

    scorer: str
    correct: int  # by lm-eval
    against: dict[str, Counts]  # our `correct`, which tables count, and our `strict`, which training sees
    disagreements: int  # with `correct`
    shown: list[Disagreement]


class Crosscheck(TypedDict):
    """The samples of one task, graded twice."""

    schema: int
    harness: str
    task: str
    samples: int
    ours: dict[str, int]  # correct samples by each of our verdicts
    scorers: list[Scorer]
    left_out: dict[str, str]  # graders that could not be used, and why


class _Sample(TypedDict):
    id: str
    number: int
    response: str
    answer: str | None
    verdicts: dict[str, int]


def crosscheck(
    task: str, items: Iterable[Mapping[str, Any]], golds: Mapping[str, str], *, show: int = 20
) -> Crosscheck:
    """Grade the responses of `items` (`ItemBlock`s, as in items.jsonl) with lm-eval's graders for `task`.

    `golds`: the right answer by item id (`Example.answer`). `show`: how many disagreements a scorer lists; all are
    counted. Raises UserError for a task that lm-eval has no grader for, an item without a gold answer or without
    texts, and where lm-eval is missing.
    """
    version = library.version()
    if task not in GRADERS:
        raise UserError(f"--xcheck: lm-eval has no grader for task {task!r}; allowed: {', '.join(GRADERS)}")
    samples = list(_samples(items, golds))
    if not samples:
        raise UserError(f"--xcheck: no graded response of {task}")
    record: Crosscheck = {
        "schema": 1,
        "harness": f"lm-eval {version}",
        "task": task,
        "samples": len(samples),
        "ours": {name: sum(sample["verdicts"][name] for sample in samples) for name in VERDICTS},
        "scorers": [],
        "left_out": {},
    }
    with library.quiet(lambda _: None):
        for name, file in GRADERS[task].items():
            try:
                theirs = _grade(name, file, samples, golds)
            except (ImportError, AssertionError) as error:
                record["left_out"][name] = first_line(error)
                continue
            record["scorers"] += [_compare(key, marks, samples, golds, show) for key, marks in theirs.items()]
    return record


def _samples(items: Iterable[Mapping[str, Any]], golds: Mapping[str, str]) -> Iterable[_Sample]:
    for block in items:
        name = block["id"]
        if name not in golds:
            raise UserError(f"--xcheck: item {name} has no gold answer among the task's examples")
        if len(block.get("responses") or ()) != len(block["correct"]):
            raise UserError(f"--xcheck: item {name} comes without the texts of its responses")
        for number, response in enumerate(block["responses"]):
            verdicts = {key: int(block[key][number]) for key in VERDICTS}
            answer = block["answers"][number]
            yield {"id": name, "number": block["first"] + number, "response": response, "answer": answer,
                   "verdicts": verdicts}  # fmt: skip


def _grade(
    name: str, file: str, samples: list[_Sample], golds: Mapping[str, str]
) -> dict[str, list[tuple[int, str | None]]]:
    """By scorer, for each sample: lm-eval's verdict and what it extracted."""
    from lm_eval.api.instance import Instance

    gold = list(dict.fromkeys(sample["id"] for sample in samples))
    task = _build(file, [golds[each] for each in gold])
    documents = dict(zip(gold, task.eval_docs, strict=True))
    instances = [
        Instance("generate_until", documents[s["id"]], ("", {}), i, resps=[s["response"]])
        for i, s in enumerate(samples)
    ]
    task._instances = instances
    task.apply_filters()
    version = plain(task.VERSION)
    found: dict[str, list[tuple[int, str | None]]] = {}
    for filtered in instances[0].filtered_resps:
        for instance in instances:
            extracted = instance.filtered_resps[filtered]
            for metric, value in task.process_results(instance.doc, [extracted]).items():
                label = f"{name} v{version:g} {metric}" + ("" if filtered == "none" else f" {filtered}")
                told = None if filtered == "none" else str(extracted)
                found.setdefault(label, []).append((int(value), told))
    return found


def _build(file: str, golds: list[str]) -> Any:
    """lm-eval's task as its YAML file has it, over documents that hold our gold answers."""
    import datasets
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(library.tasks_folder() / file)
    # As their data sets write it: GSM8K's solutions end in `#### 18`, MATH's in a box.
    rows = [
        {"question": "", "problem": "", "answer": f"#### {gold}", "solution": rf"\boxed{{{gold}}}"} for gold in golds
    ]
    if "process_docs" in config:
        rows = [{key: row[key] for key in ("problem", "solution")} for row in rows]
    data = {split: datasets.Dataset.from_list(rows) for split in ("train", "test")}
    config |= {"custom_dataset": lambda **_: data, "fewshot_split": None, "fewshot_config": None, "num_fewshot": 0}
    return ConfigurableTask(config={key: value for key, value in config.items() if value is not None})


def _compare(
    scorer: str, marks: list[tuple[int, str | None]], samples: list[_Sample], golds: Mapping[str, str], show: int
) -> Scorer:
    against = {}
    for verdict in VERDICTS:
        pairs = [(sample["verdicts"][verdict], mark) for sample, (mark, _) in zip(samples, marks, strict=True)]
        against[verdict] = Counts(
            both=pairs.count((1, 1)), neither=pairs.count((0, 0)),
            only_ours=pairs.count((1, 0)), only_theirs=pairs.count((0, 1)),
        )  # fmt: skip
    differing = [
        Disagreement(
            id=sample["id"], sample=sample["number"], gold=golds[sample["id"]], ours=sample["verdicts"]["correct"],
            our_answer=sample["answer"], theirs=mark, their_extraction=told, tail=sample["response"][-TAIL:],
        )
        for sample, (mark, told) in zip(samples, marks, strict=True)
        if mark != sample["verdicts"]["correct"]
    ]  # fmt: skip
    return {
        "scorer": scorer,
        "correct": sum(mark for mark, _ in marks),
        "against": against,
        "disagreements": len(differing),
        "shown": differing[:show],
    }


def crosscheck_markdown(record: Crosscheck) -> str:
    """The record for people: a table of counts, then the disagreements that it shows."""
    ours, samples = record["ours"], record["samples"]
    lines = [
        f"# {record['task']}: our verdicts and those of {record['harness']} on the same {samples} responses",
        "",
        f"We count {ours['correct']} correct, and {ours['strict']} by the strict verdict that training sees.",
        "",
        "| lm-eval's scorer | correct | our verdict | both | neither | only ours | only lm-eval's | agreement |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for scorer in record["scorers"]:
        for verdict, counts in scorer["against"].items():
            agreement = (counts["both"] + counts["neither"]) / samples
            lines.append(
                f"| {scorer['scorer']} | {scorer['correct']} | {verdict} | {counts['both']} | {counts['neither']} | "
                f"{counts['only_ours']} | {counts['only_theirs']} | {agreement:.1%} |"
            )
    lines += ["", *(f"Left out: {name}: {why}" for name, why in record["left_out"].items())]
    for scorer in record["scorers"]:
        if not scorer["shown"]:
            continue
        total, shown = scorer["disagreements"], len(scorer["shown"])
        lines += ["", f"## {scorer['scorer']}: {total} disagreements with `correct`, {shown} shown", ""]
        lines += ["| item | sample | gold | our answer | ours | lm-eval's extraction | lm-eval's | response ends |"]
        lines += ["|---|---:|---|---|---:|---|---:|---|"]
        for each in scorer["shown"]:
            cells = [
                each["id"], each["sample"], each["gold"], each["our_answer"], each["ours"], each["their_extraction"],
                each["theirs"], each["tail"][-80:],
            ]  # fmt: skip
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines).rstrip() + "\n"


def _cell(value: object) -> str:
    text = "–" if value is None else " ".join(str(value).split())
    return text.replace("|", "\\|").replace("$", "\\$")
