r"""Our two verdicts beside lm-eval's two GSM8K filters and beside the labels that published model outputs came with.

    python benchmarks/grader_agreement.py DATA_FOLDER [--examples 3]

DATA_FOLDER holds `teacher/*.parquet`. Prints a table of responses, right by each scorer, and agreement with our strict
and lenient verdict; then every kind of disagreement with its count and the first ids (file, row, column or sample).
Nothing is downloaded; lm-eval's filters and their patterns come from the installed lm-eval 0.4.13.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tasks.grading import Verdict, judge, normalise_number

OPENAI = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


@dataclass(frozen=True)
class Response:
    """One published response; `label` is what its file says about it, None where it says nothing."""

    id: str
    gold: str
    text: str
    label: bool | None


def openai(folder: Path) -> Iterator[Response]:
    """6B and 175B models of the GSM8K paper on the test set: `A: 18`, labelled by its authors."""
    for row in rows_of(folder, "gsm8k_test_openai_model_solutions"):
        gold = row["ground_truth"].rpartition("A:")[2].strip()
        for column in OPENAI:
            solution = json.loads(row[column])
            yield Response(f"{row['row']}/{column}", gold, solution["solution"], solution["is_correct"])


def r1_distill(folder: Path) -> Iterator[Response]:
    """DeepSeek-R1-Distill-Qwen-7B on the GSM8K test set, 3 runs, many cut off; labelled by its repository."""
    for row in rows_of(folder, "gsm8k_test_r1_distill_qwen7b_3runs"):
        yield Response(f"{row['row']}", row["answer"], row["model_output"], json.loads(row["rest"])["score"] == 1.0)


def gpt35(folder: Path) -> Iterator[Response]:
    """GPT-3.5 on GSM8K training questions: `### 72`; labelled by comparing the last number."""
    for row in rows_of(folder, "gsm8k_gpt35_solutions_1000"):
        if row["in_gsm8k_train"]:
            yield Response(f"{row['row']}", row["gold"], row["teacher_solution"], bool(row["is_correct"]))


def math100(folder: Path) -> Iterator[Response]:
    """Qwen2.5-Math on 100 MATH test problems, 8 samples; labelled by Qwen2.5-Math's evaluation code."""
    for row in rows_of(folder, "math100_qwen_rm_example"):
        samples = zip(json.loads(row["code"]), json.loads(row["score"]), strict=True)
        for number, (text, label) in enumerate(samples):
            yield Response(f"{row['row']}/{number}", row["gt"], text, label)


def qwen3(name: str) -> Callable[[Path], Iterator[Response]]:
    """Qwen3-8B-Base's 16 samples on 128 problems; no labels."""

    def read(folder: Path) -> Iterator[Response]:
        for row in rows_of(folder, name):
            gold = json.loads(row["reward_model"])["ground_truth"]
            for number, text in enumerate(json.loads(row["output"])):
                yield Response(f"{row['row']}/{number}", gold, text, None)

    return read


SETS: dict[str, Callable[[Path], Iterator[Response]]] = {
    "GSM8K, OpenAI 6B and 175B": openai,
    "GSM8K, R1-Distill-Qwen-7B": r1_distill,
    "GSM8K train, GPT-3.5": gpt35,
    "MATH, Qwen2.5-Math": math100,
    "MATH train, Qwen3-8B-Base": qwen3("math_train128_qwen3_8b_base_samples"),
    "Polaris, Qwen3-8B-Base": qwen3("polaris128_qwen3_8b_base_samples"),
}


def rows_of(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a file, with their numbers."""
    for number, row in enumerate(pd.read_parquet(folder / "teacher" / f"{name}.parquet").to_dict("records")):
        yield {"row": number} | {str(key): value for key, value in row.items()}


def lm_eval_gsm8k() -> dict[str, Callable[[str, str], bool]]:
    """lm-eval's gsm8k scorers by name, each (gold, text) -> right, made of its own filter, metric and YAML."""
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters.extraction import RegexFilter

    package = importlib.util.find_spec("lm_eval")
    assert package is not None and package.origin is not None
    config = yaml.safe_load((Path(package.origin).parent / "tasks" / "gsm8k" / "gsm8k.yaml").read_text())
    metric = {key: config["metric_list"][0][key] for key in ("regexes_to_ignore", "ignore_case", "ignore_punctuation")}

    def scorer(steps: list[dict[str, Any]]) -> Callable[[str, str], bool]:
        regex = RegexFilter(**{key: value for key, value in steps[0].items() if key != "function"})

        def right(gold: str, text: str) -> bool:
            [[found]] = regex.apply([[text]], [{}])
            return bool(exact_match_hf_evaluate([found], [gold], **metric)["exact_match"])

        return right

    return {entry["name"]: scorer(entry["filter"]) for entry in config["filter_list"]}


@dataclass(frozen=True)
class Scored:
    """One response, our verdict, and what the others say."""

    response: Response
    verdict: Verdict
    others: dict[str, bool]


def score(folder: Path) -> dict[str, list[Scored]]:
    """All sets, scored by everyone; lm-eval's GSM8K filters only where the right answer is a number."""
    scorers = lm_eval_gsm8k()
    scored = {}
    for name, read in SETS.items():
        responses = list(read(folder))
        verdicts = judge([(response.gold, response.text) for response in responses])
        scored[name] = []
        for response, verdict in zip(responses, verdicts, strict=True):
            others = {} if response.label is None else {"label": response.label}
            if normalise_number(response.gold) is not None:
                others |= {scorer: right(response.gold, response.text) for scorer, right in scorers.items()}
            scored[name].append(Scored(response, verdict, others))
    return scored


def agreement(scored: list[Scored], other: str) -> tuple[int, int, int, int]:
    """Responses that `other` scores, those it calls right, those where our strict and our lenient verdict agree."""
    rows = [row for row in scored if other in row.others]
    return (
        len(rows),
        sum(row.others[other] for row in rows),
        sum(row.others[other] == row.verdict.strict for row in rows),
        sum(row.others[other] == row.verdict.lenient for row in rows),
    )


def main() -> None:
    """Print the table, then the disagreements."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--examples", type=int, default=3)
    arguments = parser.parse_args()
    scored = score(arguments.folder)
    print("| outputs | responses | strict | lenient | timed out | scorer | responses | right | = strict | = lenient |")
    print("|---|---:|---:|---:|---:|---|---:|---:|---:|---:|")
    for name, rows in scored.items():
        strict, lenient = sum(row.verdict.strict for row in rows), sum(row.verdict.lenient for row in rows)
        head = f"| {name} | {len(rows)} | {strict} | {lenient} | {sum(row.verdict.timed_out for row in rows)} |"
        for other in dict.fromkeys(other for row in rows for other in row.others) or ["none"]:
            count, right, as_strict, as_lenient = agreement(rows, other)
            print(head, f"{other} | {count} | {right} | {as_strict} | {as_lenient} |")
    for name, rows in scored.items():
        kinds: dict[str, list[Scored]] = defaultdict(list)
        for row in rows:
            for other, right in row.others.items():
                if right != row.verdict.lenient:
                    kinds[f"{other} {'right' if right else 'wrong'}, lenient {not right}"].append(row)
        for kind, members in sorted(kinds.items()):
            print(f"\n{name}: {kind}: {len(members)}")
            for row in members[: arguments.examples]:
                print(f"  {row.response.id}: gold {row.response.gold!r}, extracted {row.verdict.extracted!r}")


if __name__ == "__main__":
    main()
