"""Commands that compare answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import (
    CACHE,
    CapChars,
    Judge,
    JudgeCache,
    JudgePrompt,
    JudgeSet,
    MaxCost,
    OneOrder,
    Plugin,
    Policy,
    Price,
    app,
)


@app.command()
def judge(
    candidate: Annotated[str, typer.Argument(help="An evaluation's folder, an outputs file, or a checkpoint.")],
    opponent: Annotated[str | None, typer.Argument(help="The same; default: the benchmark's own baseline.")] = None,
    judge: Judge = None,
    tasks: Annotated[str, typer.Option(help="With commas; default: those of the evaluation.")] = "",
    judge_set: JudgeSet = None,
    judge_prompt: JudgePrompt = "auto",
    policy: Policy = None,
    one_order: OneOrder = False,
    cap_chars: CapChars = None,
    price: Price = None,
    max_cost: MaxCost = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much would be asked, and its cost.")] = False,
    judge_cache: JudgeCache = CACHE,
    out: Annotated[
        Path | None, typer.Option(help="Where verdicts go; default: beside the candidate's answers, or results/judged.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="TASK.PARAMETER=VALUE, e.g. alpaca_eval.folder=~/alpaca.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16, or auto")] = "auto",
    plugin: Plugin = None,
) -> None:
    """Which of two answers is better: a checkpoint against a benchmark's baseline, or against another one."""
    from ..errors import UserError
    from ..judging.command import Judging, run

    if judge is None:
        raise UserError("judge: name one, --judge openai:MODEL, engine:MODEL, reward_model:MODEL, replay:FILE or mock")
    asked = Judging(
        judge, judge_set or [], judge_prompt, policy, one_order, cap_chars, price, max_cost, dry_run, judge_cache,
        device, precision,
    )  # fmt: skip
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    sys.exit(run(candidate, opponent, names, set_ or [], asked, out, plugin or []))


@app.command()
def winrates(
    places: Annotated[list[Path], typer.Argument(help="Folders of verdicts, or folders that hold several.")],
    reference: Annotated[
        str | None, typer.Option(help="The row that head-to-head verdicts are against, e.g. grpo.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Where AlpacaEval's side file lies: alpaca_eval.folder=~/alpaca.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where tables go; default: the first folder.")] = None,
    tasks: Annotated[str, typer.Option(help="Verdicts on these alone, with commas.")] = "",
    lc: Annotated[
        str, typer.Option(help="ours; or official: AlpacaEval's own length control beside it (groupbench[judges]).")
    ] = "ours",
    arena: Annotated[
        str | None, typer.Option(help="Arena-Hard's score as upstream makes it, beside ours: upstream-v0.1 or -v2.")
    ] = None,
) -> None:
    """Make a win-rate table (Markdown, CSV, LaTeX) for each judge from the verdicts on disk."""
    from ..errors import UserError
    from ..judging import tables

    if lc not in ("ours", "official"):
        raise UserError(f"--lc {lc}; allowed: ours, official")
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    sys.exit(tables.win_rates(places, names, reference, set_ or [], out, lc == "official", arena))
