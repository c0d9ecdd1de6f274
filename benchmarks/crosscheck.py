"""What `--xcheck` shows on published responses: the tables of docs/lm-eval.md.

    python benchmarks/crosscheck.py DATA_FOLDER [--set openai] [--show 3]

DATA_FOLDER holds the responses to GSM8K's test questions that benchmarks/grader_agreement.py describes. They are graded
by our verifier, as in an evaluation, and then by lm-eval's graders.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.lm_eval import crosscheck, crosscheck_markdown
from tasks.grading import judge

sys.path.insert(0, str(Path(__file__).parent))
from grader_agreement import openai, r1_distill

SETS = {"r1-distill": r1_distill, "openai": openai}


def main() -> None:
    """The page of xcheck.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", choices=SETS, default="r1-distill")
    parser.add_argument("--show", type=int, default=3, help="disagreements a scorer that are listed")
    arguments = parser.parse_args()
    responses = list(SETS[arguments.set](arguments.folder))
    verdicts = judge([(response.gold, response.text) for response in responses])
    blocks = [
        {
            "id": response.id, "first": 0, "responses": [response.text], "answers": [verdict.extracted],
            "correct": [int(verdict.lenient)], "strict": [int(verdict.strict)],
        }
        for response, verdict in zip(responses, verdicts, strict=True)
    ]  # fmt: skip
    golds = {response.id: response.gold for response in responses}
    print(crosscheck_markdown(crosscheck("gsm8k", blocks, golds, show=arguments.show)))


if __name__ == "__main__":
    main()
