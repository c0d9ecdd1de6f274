"""Commands about one checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import CACHE, Judge, JudgeCache, JudgePrompt, JudgeSet, MaxCost, Plugin, Price, app


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A model folder, a Hub id, or the folder of a run's cell.")],
    tasks: Annotated[
        str,
        typer.Option(help="TASK, TASK@PROTOCOL or lm-eval:TASK, with commas; default: what a cell was trained on."),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Its folder, in which an interrupted one goes on; default: results/evaluations/NAME."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="TASK.PARAMETER=VALUE, e.g. gsm8k.folder=~/gsm8k; may be repeated."),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of a Hub id: commit, tag or branch.")] = None,
    limit: Annotated[int | None, typer.Option(help="A fixed subset of so many examples a task.", min=1)] = None,
    samples: Annotated[int | None, typer.Option(help="Responses an example, instead of the protocol's.", min=1)] = None,
    temperature: Annotated[float | None, typer.Option(help="Instead of the protocol's; 0: greedy.", min=0)] = None,
    top_p: Annotated[float | None, typer.Option(help="Instead of the protocol's.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Of a response, instead of the protocol's.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    engine: Annotated[str, typer.Option(help="transformers or vllm")] = "transformers",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16, or auto: bfloat16 on CUDA, float32 on a CPU")
    ] = "auto",
    decode_tokens: Annotated[
        int, typer.Option(help="Tokens of the key-value cache that are decoded together.")
    ] = 65536,
    xcheck: Annotated[
        bool, typer.Option("--xcheck", help="Grade the same responses with lm-eval's graders as well.")
    ] = False,
    include_path: Annotated[Path | None, typer.Option(help="A folder of YAML tasks for lm-eval:TASK.")] = None,
    few_shots: Annotated[int | None, typer.Option(help="Of lm-eval:TASK; default: the task's.", min=0)] = None,
    chat: Annotated[bool, typer.Option("--chat", help="lm-eval:TASK through the model's chat template.")] = False,
    allow_code_execution: Annotated[
        bool, typer.Option("--allow-code-execution", help="Permit lm-eval tasks that run code of the model.")
    ] = False,
    judge: Judge = None,
    judge_set: JudgeSet = None,
    judge_prompt: JudgePrompt = "auto",
    judge_cache: JudgeCache = CACHE,
    price: Price = None,
    max_cost: MaxCost = None,
    plugin: Plugin = None,
) -> None:
    """Evaluate a checkpoint on tasks, item by item; run again, it does only what is missing."""
    from ..evaluation import command
    from ..evaluation.asked import Changes

    names = [name.strip() for name in tasks.split(",") if name.strip()]
    changes = Changes(samples, temperature, top_p, max_tokens, limit, seed)
    how = command.How(engine, device, precision, decode_tokens, plugin or [])
    beside = command.Beside(xcheck, include_path, few_shots, chat, allow_code_execution)
    judging = None
    if judge is not None:
        from ..judging.command import Judging

        judging = Judging(
            judge, judge_set or [], judge_prompt, price=price, max_cost=max_cost, cache=judge_cache, device=device,
            precision=precision,
        )  # fmt: skip
    sys.exit(command.run(checkpoint, names, set_ or [], changes, how, beside, out, revision, judging))


@app.command()
def gate(
    candidate: Annotated[
        str | None, typer.Option(help="An evaluation's folder; or a checkpoint, which is evaluated first.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A baseline file; default: the one that --config names.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A gate.yaml; see docs/gate.md.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Append Markdown, as to $GITHUB_STEP_SUMMARY.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    allow_inconclusive: Annotated[
        bool, typer.Option("--allow-inconclusive", help="Exit with 0 where the data decide nothing.")
    ] = False,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Where the gate passes, the candidate is the next baseline.")
    ] = False,
    create_baseline: Annotated[
        bool,
        typer.Option("--create-baseline", help="There is none yet: the candidate is the first; nothing is compared."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Update it although the gate does not pass.")] = False,
    reason: Annotated[str, typer.Option(help="Why, with --force; recorded in the baseline.")] = "",
    aa: Annotated[
        int | None, typer.Option(min=1, help="Simulate so many gates instead: false alarms, and losses found.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Where a checkpoint's tasks have their data: gsm8k.folder=~/g.")
    ] = None,
    device: Annotated[str, typer.Option(help="Of a checkpoint's evaluation: auto, cpu or cuda")] = "auto",
    plugin: Plugin = None,
) -> None:
    """May this checkpoint follow that one? Exit codes: 0 pass, 1 regression, 2 usage, 3 incomplete, 4 inconclusive."""
    from .. import gate

    outputs = gate.Outputs(junit, summary, json)
    update = gate.Update(update_baseline, force, reason, create_baseline)
    asking = gate.Asking(set_ or [], device, plugin or [])
    sys.exit(gate.run(candidate, baseline, config, outputs, update, allow_inconclusive, aa, asking))
