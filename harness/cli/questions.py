"""Commands that answer: what an algorithm is, and whether it is what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .app import Plugin, app


@app.command()
def lab(
    names: Annotated[
        list[str] | None, typer.Argument(help="Algorithms, e.g. gift or grpo@paper; default: ours.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where records, Markdown and figure go.")] = Path("results/lab"),
    plugin: Plugin = None,
) -> None:
    """What an algorithm's minimiser really is: claims about it against exact expectations on a small policy."""
    from .. import lab

    sys.exit(lab.run(names or [], out, plugin or []))


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="algorithms, tasks, rewards, judges or models")] = "algorithms",
    name: Annotated[
        str | None,
        typer.Argument(help="An algorithm, to see its spec card and hyper-parameters, or a task, its protocols."),
    ] = None,
    plugin: Plugin = None,
) -> None:
    """List what a recipe may name, or show what one algorithm computes."""
    from .. import catalogue

    catalogue.list_names(kind, name, plugin or [])


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Algorithms, e.g. grpo@trl, and tasks; default: all algorithms, or the plug-in's."),
    ] = None,
    plugin: Plugin = None,
) -> None:
    """Hold algorithms to what every one must satisfy, and tasks to their gold answers; exit code 1 where one fails."""
    from .. import catalogue

    sys.exit(catalogue.check(names or [], plugin or []))
