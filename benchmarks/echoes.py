r"""Reward for nothing: boxes with a formula of the question. And its price: right responses that are taken for such.

    python benchmarks/echoes.py DATA_FOLDER

Of each MATH-500 question every formula (`$…$`) and every side of its `=` and `\le` is boxed as the answer, the last
formula first; and the published responses of `grader_agreement` are judged with and without their question.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from tasks import load
from tasks.grading import judge
from tasks.math_problems import MathProblems

sys.path.insert(0, str(Path(__file__).parent))
from grader_agreement import SETS, rows_of

_FORMULA = re.compile(r"\$\$?([^$]+)\$\$?|\\\[(.+?)\\\]", re.DOTALL)
_SIDES = re.compile(r"=|\\leq?|\\geq?|[<>]|,|\\text\{[^}]*\}")
PUBLISHED = {
    "math100_qwen_rm_example": "MATH, Qwen2.5-Math",
    "math_train128_qwen3_8b_base_samples": "MATH train, Qwen3-8B-Base",
    "polaris128_qwen3_8b_base_samples": "Polaris, Qwen3-8B-Base",
}


def echoes(question: str) -> list[str]:
    """The last formula and its sides; then all other ones. Without repeats."""
    formulas = [(first or second).strip(" .,\n") for first, second in _FORMULA.findall(question)][::-1]
    found = [part.strip() for formula in formulas for part in (formula, *_SIDES.split(formula))]
    return list(dict.fromkeys(part for part in found if part and len(part) <= 200))


def earned(folder: Path) -> dict[str, list[tuple[str, str, str]]]:
    """(id, right answer, box) of each question's first echo that is strictly right, by whether echoes are denied."""
    task = load()["math500"](folder=str(folder))  # type: ignore[call-arg]
    assert isinstance(task, MathProblems)
    triples = [(example, part) for example in task.heldout for part in echoes(task.question(example))]
    pairs = [(example.answer, f"\\boxed{{{part}}}") for example, part in triples]
    questions = [task.question(example) for example, _ in triples]
    outcome = {}
    for name, verdicts in (("without", judge(pairs)), ("with", judge(pairs, questions))):
        first: dict[str, tuple[str, str, str]] = {}
        for (example, part), verdict in zip(triples, verdicts, strict=True):
            if verdict.strict:
                first.setdefault(example.id, (example.id, example.answer, part))
        outcome[name] = list(first.values())
    return outcome


def published(folder: Path, file: str) -> tuple[int, int, list[tuple[str, str, str | None]]]:
    """Responses, strictly right ones, and those (id, right answer, box) that are not right as the question has them."""
    rows = {row["row"]: row for row in rows_of(folder, file)}
    responses = list(SETS[PUBLISHED[file]](folder))
    questions = []
    for response in responses:
        row = rows[int(response.id.partition("/")[0])]
        questions.append(row["question"] if "question" in row else json.loads(row["prompt"])[-1]["content"])
    pairs = [(response.gold, response.text) for response in responses]
    before, after = judge(pairs), judge(pairs, questions)
    lost = [
        (response.id, response.gold, old.extracted)
        for response, old, new in zip(responses, before, after, strict=True)
        if old.strict and not new.strict
    ]
    return len(responses), sum(verdict.strict for verdict in before), lost


def main() -> None:
    """Print what can be earned, and what is lost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, rows in earned(folder).items():
        print(f"MATH-500, {name} the question: an echo is strictly right for {len(rows)} of 500")
        for row in rows:
            print("  ", *row, sep="  ")
    for file in PUBLISHED:
        responses, strict, lost = published(folder, file)
        print(f"{file}: {responses} responses, {strict} strictly right, {len(lost)} of them an echo", *lost, sep="\n  ")


if __name__ == "__main__":
    main()
